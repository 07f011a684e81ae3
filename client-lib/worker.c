#include "sockbroker/worker.h"

#include <stdlib.h>
#include <string.h>

#include "client-lib/ends.h"
#include "client-lib/options.h"
#include "client-lib/worker_state.h"
#include "proto/clock.h"
#include "proto/error.h"
#include "proto/failpoint.h"
#include "proto/socket.h"
#include "proto/xfer.h"

/* ---- open and close ---- */

static sockbroker_status set_up(struct sockbroker_worker *w, const struct sockbroker_worker_options *options,
                                struct sockbroker_error *error)
{
    sockbroker_status st = sb_options_read(options, &w->attach, w->dir, &w->attach_timeout_ms, error);

    if (st)
        return st;
    sb_rundir_path(w->dir, SB_RUNDIR_CONTROL, w->control_path);
    st = sb_channel_prepare(error);
    if (st)
        return st;
    st = sb_lock_create(&w->lock);
    if (!st)
        st = sb_wake_open(&w->wake);
    if (st)
        return sb_error_set(error, st, 0, "worker %s: %s", w->attach.name, sockbroker_status_text(st));
    return SOCKBROKER_OK;
}

/* Without a broker the control thread goes on looking for one, if that was asked for. */
static sockbroker_status connect_first(struct sockbroker_worker *w, bool wait_for_broker, struct sockbroker_error *error)
{
    sockbroker_status st = sb_control_connect(w, error);

    if (st == SOCKBROKER_NO_BROKER && wait_for_broker)
        st = SOCKBROKER_OK;
    if (!st && sb_thread_create(sb_control_run, w, &w->thread))
        st = sb_error_set(error, SOCKBROKER_NO_MEMORY, 0, "no thread for the control channel");
    return st;
}

sockbroker_status sockbroker_worker_open(const struct sockbroker_worker_options *options,
                                         struct sockbroker_worker **worker_out, struct sockbroker_error *error_out)
{
    static const struct sb_wake no_wake = SB_WAKE_NONE;
    struct sockbroker_worker *w = calloc(1, sizeof(*w));

    if (!w)
        return sb_error_set(error_out, SOCKBROKER_NO_MEMORY, 0, "out of memory for a worker");
    w->owner = sb_process_epoch();
    w->wake = no_wake;
    w->state = SOCKBROKER_WORKER_ATTACHING;
    sockbroker_status st = set_up(w, options, error_out);
    if (!st)
        st = connect_first(w, options->wait_for_broker, error_out);
    if (st) {
        sockbroker_worker_close(w);
        return st;
    }
    *worker_out = w;
    return SOCKBROKER_OK;
}

static bool is_forked(const struct sockbroker_worker *w)
{
    return w->owner != sb_process_epoch();
}

void sockbroker_worker_stop(struct sockbroker_worker *w)
{
    if (is_forked(w))
        return;
    sb_lock_take(w->lock);
    w->stopping = true;
    w->state = SOCKBROKER_WORKER_CLOSED;
    sb_wake_ring(&w->wake);
    sb_lock_wake(w->lock);
    sb_lock_drop(w->lock);
}

/* A forked child closes its copies of the descriptors and leaves nng, the lock and the session to the parent. */
static void abandon(struct sockbroker_worker *w)
{
    if (w->link)
        sb_socket_close(&w->link->end);
    sb_wake_close(&w->wake);
}

static void shut(struct sockbroker_worker *w)
{
    if (w->lock) {
        sockbroker_worker_stop(w);
        sb_thread_join(w->thread);
        sb_control_leave(w);
        sb_link_drop(w, w->link);
        sb_link_drop(w, w->old_link);
    }
    sb_pending_deinit(&w->pending);
    sb_wake_close(&w->wake);
    sb_lock_destroy(w->lock);
    free(w);
}

struct sockbroker_worker *sockbroker_worker_close(struct sockbroker_worker *w)
{
    if (w && is_forked(w))
        abandon(w);
    else if (w)
        shut(w);
    return NULL;
}

/* ---- telling the broker ---- */

/* A report must not get lost: while the broker has not read the ones before, wait. A broker that is gone needs none. */
static void send_report(const struct sb_link *link, const struct sb_report *r)
{
    while (sb_xfer_send_report(link->end, r) == SOCKBROKER_AGAIN)
        sb_ends_wait_writable(link->end);
}

static void add_result(struct sb_report *r, uint64_t lease_id, enum sb_verdict verdict)
{
    r->results[r->n_results].lease_id = lease_id;
    r->results[r->n_results++].verdict = verdict;
}

/* Lock taken. What is over rides along; a report has room for all that can wait. */
static void add_finished(struct sockbroker_worker *w, struct sb_report *r)
{
    for (uint32_t i = 0; i < w->n_finished; i++)
        add_result(r, w->finished[i], SB_VERDICT_FINISHED);
    w->n_finished = 0;
}

static void begin_report(struct sb_report *r)
{
    r->n_results = 0;
    r->probe = 0;
}

static void report_result(struct sockbroker_worker *w, const struct sb_link *link, uint64_t lease_id, enum sb_verdict verdict)
{
    struct sb_report r;

    begin_report(&r);
    add_result(&r, lease_id, verdict);
    sb_lock_take(w->lock);
    add_finished(w, &r);
    w->n_open += verdict == SB_VERDICT_ACK;
    sb_lock_drop(w->lock);
    send_report(link, &r);
}

static void answer_probe(const struct sb_link *link, uint64_t number)
{
    struct sb_report r;

    begin_report(&r);
    r.probe = number;
    send_report(link, &r);
}

/* Lock taken. The session's link, kept for the caller; NULL before the first attach. */
static struct sb_link *current_link(struct sockbroker_worker *w)
{
    if (w->link)
        w->link->n_users++;
    return w->link;
}

static void link_release(struct sockbroker_worker *w, struct sb_link *link)
{
    sb_lock_take(w->lock);
    sb_link_drop(w, link);
    sb_lock_drop(w->lock);
}

void sb_worker_flush(struct sockbroker_worker *w)
{
    struct sb_report r;

    begin_report(&r);
    sb_lock_take(w->lock);
    struct sb_link *link = current_link(w);
    if (link)
        add_finished(w, &r);
    sb_lock_drop(w->lock);
    if (r.n_results && link->carrier == SB_CARRIER_MESSAGE)
        sb_control_settle(w, &link->session, &r, NULL);
    else if (r.n_results)
        send_report(link, &r);
    if (link)
        link_release(w, link);
}

/* ---- taking a connection ---- */

static void give(const struct sockbroker_socket_info *info, sockbroker_socket sock, struct sockbroker_conn *conn_out)
{
    conn_out->sock = sock;
    conn_out->info = *info;
}

static void count_open(struct sockbroker_worker *w)
{
    sb_lock_take(w->lock);
    w->n_open++;
    sb_lock_drop(w->lock);
}

/* carrier = message: the broker confirms before the application sees the connection, so nobody else can have it.
 * OK; AGAIN when the broker had given it to another worker. */
static sockbroker_status settle(struct sockbroker_worker *w, struct sb_link *link, struct sb_pending_entry *e,
                                struct sockbroker_conn *conn_out)
{
    struct sb_report ack;
    bool kept = false;
    sockbroker_status st;

    begin_report(&ack);
    add_result(&ack, e->lease_id, SB_VERDICT_ACK);
    sb_lock_take(w->lock);
    add_finished(w, &ack);
    sb_lock_drop(w->lock);
    do
        st = sb_control_settle(w, &link->session, &ack, &kept);
    while (st && sb_ends_is_open(link->end) && sockbroker_worker_state(w) != SOCKBROKER_WORKER_CLOSED);
    if (st) /* its broker is gone: nobody else knows of this connection */
        kept = true;
    if (!kept) {
        sb_socket_close(&e->sock);
        return SOCKBROKER_AGAIN;
    }
    count_open(w);
    give(&e->info, e->sock, conn_out);
    return SOCKBROKER_OK;
}

/* Lock taken. After the broker's end a socket without record is served with what the kernel knows of it. */
static bool take_pending(struct sockbroker_worker *w, const struct sb_link *link, struct sb_pending_entry *entry_out)
{
    if (sb_pending_take_complete(&w->pending, entry_out))
        return true;
    if (!link->empty || !sb_pending_take_orphan(&w->pending, entry_out))
        return false;
    if (!entry_out->has_record) {
        sb_ends_describe(entry_out->sock, &entry_out->info);
        entry_out->info.lease_id = entry_out->lease_id;
    }
    return true;
}

static sockbroker_status next_pending(struct sockbroker_worker *w, struct sb_link *link, struct sockbroker_conn *conn_out)
{
    struct sb_pending_entry e;

    sb_lock_take(w->lock);
    bool there = take_pending(w, link, &e);
    if (!w->pending.n_complete && w->state == SOCKBROKER_WORKER_READY)
        sb_wake_quiet(&w->wake);
    sb_lock_drop(w->lock);
    return there ? settle(w, link, &e, conn_out) : SOCKBROKER_AGAIN;
}

/* carrier = message: half a connection. OK: look at the table again. */
static sockbroker_status keep_socket(struct sockbroker_worker *w, struct sb_link *link, uint64_t lease_id, sockbroker_socket sock)
{
    sb_lock_take(w->lock);
    sockbroker_status st = sb_pending_add_socket(&w->pending, lease_id, sock, sb_clock_ms());
    sb_lock_wake(w->lock); /* the control thread watches for a half that stays alone */
    sb_lock_drop(w->lock);
    if (st) {
        sb_socket_close(&sock);
        report_result(w, link, lease_id, SB_VERDICT_NACK_UNUSABLE);
    }
    return SOCKBROKER_AGAIN;
}

/* One packet. OK: conn_out is filled. AGAIN with more_out: it was something else, look again. */
static sockbroker_status take_packet(struct sockbroker_worker *w, struct sb_link *link, struct sockbroker_conn *conn_out,
                                     bool *more_out)
{
    struct sb_delivery d;
    sockbroker_socket sock = SOCKBROKER_SOCKET_NONE;
    sockbroker_status st = sb_xfer_receive(link->end, &d, &sock);

    *more_out = false;
    if (st == SOCKBROKER_NO_DESCRIPTORS)
        report_result(w, link, d.number, SB_VERDICT_NACK_DESCRIPTORS);
    if (st)
        return st;
    (void)sb_failpoint("taken");
    if (d.kind == SB_DELIVERY_INFO) {
        report_result(w, link, d.number, SB_VERDICT_ACK);
        give(&d.record.info, sock, conn_out);
        return SOCKBROKER_OK;
    }
    *more_out = true;
    if (d.kind == SB_DELIVERY_LEASE)
        return keep_socket(w, link, d.number, sock);
    answer_probe(link, d.number);
    return SOCKBROKER_AGAIN;
}

/* The broker at the other end is gone and all it sent was read. Out of the set, or it would wake everybody for ever. */
static void note_empty(struct sockbroker_worker *w, struct sb_link *link)
{
    sb_lock_take(w->lock);
    if (!link->empty) {
        link->empty = true;
        sb_wake_unwatch(&w->wake, link->end);
    }
    if (w->old_link == link) {
        w->old_link = NULL;
        sb_link_drop(w, link);
    }
    sb_lock_drop(w->lock);
}

static sockbroker_status take_from(struct sockbroker_worker *w, struct sb_link *link, bool empty,
                                   struct sockbroker_conn *conn_out)
{
    sockbroker_status st = SOCKBROKER_AGAIN;
    bool more = true;

    while (st == SOCKBROKER_AGAIN && more) {
        more = false;
        if (link->carrier == SB_CARRIER_MESSAGE)
            st = next_pending(w, link, conn_out);
        if (st == SOCKBROKER_AGAIN && !empty)
            st = take_packet(w, link, conn_out, &more);
    }
    if (st == SOCKBROKER_BAD_MESSAGE) /* not one of our brokers: it sees the end and the library attaches anew */
        sb_ends_shut(link->end);
    else if (st != SOCKBROKER_CLOSED)
        return st;
    note_empty(w, link);
    return link->carrier == SB_CARRIER_MESSAGE ? next_pending(w, link, conn_out) : SOCKBROKER_AGAIN;
}

/* The link to read next, kept for the caller: first what an earlier broker left behind. */
static struct sb_link *link_use(struct sockbroker_worker *w, enum sockbroker_worker_state *state_out, bool *empty_out)
{
    sb_lock_take(w->lock);
    struct sb_link *link = w->old_link ? w->old_link : w->link;
    if (link)
        link->n_users++;
    *state_out = w->state;
    *empty_out = link && link->empty;
    sb_lock_drop(w->lock);
    return link;
}

/* What there is now. AGAIN: nothing, and something may come. */
static sockbroker_status poll_once(struct sockbroker_worker *w, struct sockbroker_conn *conn_out)
{
    enum sockbroker_worker_state state;
    bool empty;
    struct sb_link *link = link_use(w, &state, &empty);
    sockbroker_status st = SOCKBROKER_AGAIN;

    if (link && state != SOCKBROKER_WORKER_CLOSED)
        st = take_from(w, link, empty, conn_out);
    if (link)
        link_release(w, link);
    if (st != SOCKBROKER_AGAIN)
        return st;
    switch (state) {
    case SOCKBROKER_WORKER_DRAINING:
        return SOCKBROKER_DRAINING;
    case SOCKBROKER_WORKER_REFUSED:
        return SOCKBROKER_REFUSED;
    case SOCKBROKER_WORKER_CLOSED:
        return SOCKBROKER_CLOSED;
    case SOCKBROKER_WORKER_ATTACHING:
    case SOCKBROKER_WORKER_READY:
        break;
    }
    return SOCKBROKER_AGAIN;
}

static int remaining_ms(uint64_t deadline_ms)
{
    uint64_t now_ms = sb_clock_ms();

    return now_ms >= deadline_ms ? 0 : (int)(deadline_ms - now_ms);
}

sockbroker_status sockbroker_worker_next(struct sockbroker_worker *w, int timeout_ms, struct sockbroker_conn *conn_out)
{
    uint64_t deadline_ms = timeout_ms > 0 ? sb_clock_ms() + (uint64_t)timeout_ms : 0;

    if (is_forked(w))
        return SOCKBROKER_FORKED;
    for (;;) {
        sockbroker_status st = poll_once(w, conn_out);

        if (st != SOCKBROKER_AGAIN || timeout_ms == 0)
            return st;
        int wait_ms = timeout_ms < 0 ? -1 : remaining_ms(deadline_ms);
        if (wait_ms == 0)
            return SOCKBROKER_TIMEOUT;
        sb_wake_wait(&w->wake, wait_ms);
    }
}

/* ---- the rest ---- */

sockbroker_socket sockbroker_worker_fd(const struct sockbroker_worker *w)
{
    return w->wake.set;
}

/* Lock taken. True when it has to go now: nobody may wait, or no more fit. */
static bool note_finished(struct sockbroker_worker *w, uint64_t lease_id)
{
    w->n_open -= w->n_open > 0;
    w->finished[w->n_finished++] = lease_id;
    if (w->n_finished == 1) {
        w->flush_at_ms = sb_clock_ms() + w->finish_within_ms;
        if (!w->flusher_knows && w->finish_within_ms)
            sb_lock_wake(w->lock); /* the control thread keeps the time */
        w->flusher_knows = true;
    }
    return !w->finish_within_ms || w->n_finished == SB_RESULTS_MAX - 1 || w->state != SOCKBROKER_WORKER_READY;
}

sockbroker_status sockbroker_worker_finished(struct sockbroker_worker *w, uint64_t lease_id)
{
    if (is_forked(w))
        return SOCKBROKER_FORKED;
    sb_lock_take(w->lock);
    bool now = note_finished(w, lease_id);
    sb_lock_drop(w->lock);
    if (now)
        sb_worker_flush(w);
    return SOCKBROKER_OK;
}

enum sockbroker_worker_state sockbroker_worker_state(struct sockbroker_worker *w)
{
    if (is_forked(w))
        return SOCKBROKER_WORKER_CLOSED;
    sb_lock_take(w->lock);
    enum sockbroker_worker_state state = w->state;
    sb_lock_drop(w->lock);
    return state;
}

void sockbroker_worker_error(struct sockbroker_worker *w, struct sockbroker_error *error_out)
{
    if (is_forked(w)) {
        sb_error_set(error_out, SOCKBROKER_FORKED, 0,
                     "worker %s was opened before a fork; open a new one in the child", w->attach.name);
        return;
    }
    sb_lock_take(w->lock);
    *error_out = w->error;
    sb_lock_drop(w->lock);
}

uint64_t sockbroker_worker_open_count(struct sockbroker_worker *w)
{
    if (is_forked(w))
        return 0;
    sb_lock_take(w->lock);
    uint64_t n = w->n_open;
    sb_lock_drop(w->lock);
    return n;
}
