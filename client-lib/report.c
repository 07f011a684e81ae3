#include "client-lib/report.h"

#include "client-lib/ends.h"
#include "proto/clock.h"
#include "proto/xfer.h"

#define LOOK_AGAIN_MS 20 /* while the broker does not read, or cannot be asked */

static void begin(struct sb_report *r)
{
    r->n_results = 0;
    r->probe = 0;
    r->bell = false;
}

static void add(struct sb_report *r, uint64_t lease_id, enum sb_verdict verdict)
{
    r->results[r->n_results].lease_id = lease_id;
    r->results[r->n_results++].verdict = verdict;
}

/* Lock taken. A report has room for all that can wait, and one more. */
static void add_finished(struct sockbroker_worker *w, struct sb_report *r)
{
    for (uint32_t i = 0; i < w->n_finished; i++)
        add(r, w->finished[i], SB_VERDICT_FINISHED);
    w->n_finished = 0;
}

/* A report must not get lost: while the broker has not read the ones before, wait. A broker that is gone needs none, and a
 * worker that was stopped detaches, which says it all. */
static void send_by_pair(struct sockbroker_worker *w, const struct sb_link *link, const struct sb_report *r)
{
    for (;;) {
        sockbroker_status st = sb_xfer_send_report(link->end, r);

        if (st != SOCKBROKER_AGAIN && st != SOCKBROKER_BUSY)
            return;
        if (sockbroker_worker_state(w) == SOCKBROKER_WORKER_CLOSED)
            return;
        sb_ends_wait_writable(link->end, st == SOCKBROKER_AGAIN, LOOK_AGAIN_MS);
    }
}

static void send_report(struct sockbroker_worker *w, const struct sb_link *link, const struct sb_report *r)
{
    if (link->carrier == SB_CARRIER_MESSAGE)
        sb_control_settle(w, &link->session, r, NULL);
    else
        send_by_pair(w, link, r);
}

void sb_report_result(struct sockbroker_worker *w, struct sb_link *link, uint64_t lease_id, enum sb_verdict verdict)
{
    struct sb_report r;

    begin(&r);
    add(&r, lease_id, verdict);
    sb_lock_take(w->lock);
    add_finished(w, &r);
    w->n_open += verdict == SB_VERDICT_ACK;
    bool is_told = sb_ring_put(&link->ring, r.results, r.n_results);
    sb_lock_drop(w->lock);
    if (is_told && !sb_ring_bell_was_up(&link->ring))
        return;
    if (is_told)
        begin(&r);
    r.bell = is_told;
    send_by_pair(w, link, &r);
}

void sb_report_probe(struct sockbroker_worker *w, const struct sb_link *link, uint64_t number)
{
    struct sb_report r;

    begin(&r);
    r.probe = number;
    send_by_pair(w, link, &r);
}

static void pause_a_little(struct sockbroker_worker *w)
{
    sb_lock_take(w->lock);
    sb_lock_wait(w->lock, LOOK_AGAIN_MS);
    sb_lock_drop(w->lock);
}

sockbroker_status sb_report_insist(struct sockbroker_worker *w, const struct sb_link *link, struct sb_report *r, bool *kept_out)
{
    sockbroker_status st;

    while ((st = sb_control_settle(w, &link->session, r, kept_out))) {
        if (st == SOCKBROKER_NOT_FOUND || !sb_ends_is_open(link->end) || sockbroker_worker_state(w) == SOCKBROKER_WORKER_CLOSED)
            break;
        r->n_results = 1;
        pause_a_little(w);
    }
    return st;
}

/* The ends of others ride along once: asked again, the broker may have counted them. Acks it knows again. */
void sb_report_settle(struct sockbroker_worker *w, const struct sb_link *link, uint64_t lease_id, bool *kept_out)
{
    struct sb_report r;

    begin(&r);
    add(&r, lease_id, SB_VERDICT_ACK);
    sb_lock_take(w->lock);
    add_finished(w, &r);
    sb_lock_drop(w->lock);
    *kept_out = true;
    (void)sb_report_insist(w, link, &r, kept_out);
    sb_lock_take(w->lock);
    w->n_open += *kept_out;
    sb_lock_drop(w->lock);
}

/* Lock taken. Puts it with the others; takes them all out when they have to go now. */
static void note_finished(struct sockbroker_worker *w, uint64_t lease_id, struct sb_report *now)
{
    if (w->n_finished == SB_RESULTS_MAX - 1)
        add_finished(w, now);
    w->finished[w->n_finished++] = lease_id;
    if (!w->finish_within_ms || w->state != SOCKBROKER_WORKER_READY) {
        add_finished(w, now);
        return;
    }
    if (w->n_finished == 1)
        w->flush_at_ms = sb_clock_ms() + w->finish_within_ms;
    if (!w->flusher_knows) /* the control thread keeps the time */
        sb_lock_wake(w->lock);
    w->flusher_knows = true;
}

/* Without a link there is nobody to tell: the next Attach says how many are open. */
void sb_report_finished(struct sockbroker_worker *w, uint64_t lease_id)
{
    struct sb_report now;

    begin(&now);
    sb_lock_take(w->lock);
    w->n_open -= w->n_open > 0;
    struct sb_link *link = sb_link_use(w->link);
    if (link)
        note_finished(w, lease_id, &now);
    sb_lock_drop(w->lock);
    if (now.n_results)
        send_report(w, link, &now);
    sb_link_release(w, link);
}

void sb_report_flush(struct sockbroker_worker *w)
{
    struct sb_report r;

    begin(&r);
    sb_lock_take(w->lock);
    struct sb_link *link = sb_link_use(w->link);
    if (link)
        add_finished(w, &r);
    sb_lock_drop(w->lock);
    if (r.n_results)
        send_report(w, link, &r);
    sb_link_release(w, link);
}
