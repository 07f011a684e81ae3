#include <stdlib.h>
#include <string.h>

#include "client-lib/ends.h"
#include "client-lib/link.h"
#include "client-lib/report.h"
#include "client-lib/worker_state.h"
#include "proto/clock.h"
#include "proto/error.h"
#include "proto/secret.h"
#include "proto/socket.h"
#include "proto/xfer.h"

#define RETRY_FIRST_MS 50 /* doubled each time, each time spread over half to one and a half of it */
#define RETRY_MOST_MS 1000
#define YOUNG_MS 250 /* who forgets a session that is older is another broker, not one that does not want it */
#define CALL_TIMEOUT_MS 5000
#define LAST_ANSWER_MS 1000   /* it was sent before the answer to the Detach, which is there */
#define MISSING_AFTER_MS 1000 /* carrier = message: how long one half may be late */

static sockbroker_status make_link(struct sockbroker_worker *w, const struct sb_attached *attached, struct sb_link **link_out,
                                   struct sockbroker_error *error)
{
    struct sb_hello hello = { .session_id = attached->session.id };
    struct sb_link *link = calloc(1, sizeof(*link));

    if (!link)
        return sb_error_set(error, SOCKBROKER_NO_MEMORY, 0, "out of memory");
    memcpy(hello.token, attached->token, sizeof(hello.token));
    link->end = SOCKBROKER_SOCKET_NONE;
    link->carrier = attached->carrier;
    link->session = attached->session;
    link->n_users = 1;
    hello.ring = link->carrier == SB_CARRIER_DIRECT;
    sockbroker_status st = sb_link_fetch(w->dir, w->client, &hello, w->attach_timeout_ms, &link->end, error);
    if (st == SOCKBROKER_NOT_FOUND) /* the session just made had to make room for others */
        st = SOCKBROKER_BUSY;
    if (!st)
        st = sb_wake_watch(&w->wake, link->end);
    if (st) {
        sb_socket_close(&link->end);
        free(link);
        return st;
    }
    *link_out = link;
    return SOCKBROKER_OK;
}

/* ---- client ---- */

static void on_lost(void *arg)
{
    struct sockbroker_worker *w = arg;

    sb_lock_take(w->lock);
    w->connection_lost = true;
    sb_lock_wake(w->lock);
    sb_lock_drop(w->lock);
}

static void on_answer(void *arg)
{
    struct sockbroker_worker *w = arg;

    sb_lock_take(w->lock);
    w->next_answered = true;
    sb_lock_wake(w->lock);
    sb_lock_drop(w->lock);
}

struct sb_client *sb_control_use_client(struct sockbroker_worker *w)
{
    sb_lock_take(w->lock);
    struct sb_client *client = w->connection_lost ? NULL : w->client;
    w->n_client_users += client != NULL;
    sb_lock_drop(w->lock);
    return client;
}

void sb_control_release_client(struct sockbroker_worker *w)
{
    sb_lock_take(w->lock);
    w->n_client_users--;
    sb_lock_wake(w->lock);
    sb_lock_drop(w->lock);
}

static void drop_client(struct sockbroker_worker *w)
{
    sb_lock_take(w->lock);
    struct sb_client *client = w->client;
    w->client = NULL;
    sb_lock_drop(w->lock);
    sb_client_stop(client); /* ends the calls of other threads */
    sb_lock_take(w->lock);
    while (w->n_client_users)
        sb_lock_wait(w->lock, -1);
    w->connection_lost = false;
    w->next_answered = false;
    sb_lock_drop(w->lock);
    sb_client_close(client);
}

static sockbroker_status connect_client(struct sockbroker_worker *w, struct sockbroker_error *error)
{
    struct sb_client *client;
    sockbroker_status st = sb_client_open(w->control_path, on_lost, w, &client, error);

    if (st)
        return st;
    sb_lock_take(w->lock);
    w->client = client;
    sb_lock_drop(w->lock);
    return SOCKBROKER_OK;
}

/* ---- session ---- */

/* The link before the last still holds packets only if the application has read nothing for two brokers' lives; both may be
 * kept no longer then. */
static void change_link(struct sockbroker_worker *w, struct sb_link *link)
{
    sb_link_drop(w, w->old_link);
    w->old_link = w->link && !w->link->empty && sb_ends_may_hold(w->link->end) ? w->link : NULL;
    if (w->link && !w->old_link)
        sb_link_drop(w, w->link);
    w->link = link;
    sb_worker_set_state(w, SOCKBROKER_WORKER_READY);
    sb_error_set(&w->error, SOCKBROKER_OK, 0, "%s", "");
}

/* What is open goes into the Attach, so what is over need not be reported to the new broker. */
static uint64_t take_open_count(struct sockbroker_worker *w)
{
    sb_lock_take(w->lock);
    uint64_t n = w->n_open;
    w->n_finished = 0;
    sb_lock_drop(w->lock);
    return n;
}

static sockbroker_status attach(struct sockbroker_worker *w, struct sockbroker_error *error)
{
    struct sb_request request = { .kind = SB_REQUEST_ATTACH };
    struct sb_reply *reply = malloc(sizeof(*reply));
    struct sb_link *link = NULL;

    if (!reply)
        return sb_error_set(error, SOCKBROKER_NO_MEMORY, 0, "out of memory");
    request.as.attach = w->attach;
    request.as.attach.n_open = take_open_count(w);
    sockbroker_status st = sb_client_call(w->client, &request, SB_REPLY_ATTACHED, w->attach_timeout_ms, reply, error);
    if (!st)
        st = make_link(w, &reply->as.attached, &link, error);
    uint32_t finish_within_ms = st ? 0 : reply->as.attached.finish_within_ms;
    free(reply);
    if (st)
        return st;
    sb_lock_take(w->lock);
    change_link(w, link);
    w->attached_ms = sb_clock_ms();
    w->finish_within_ms = finish_within_ms;
    sb_lock_drop(w->lock);
    return SOCKBROKER_OK;
}

/* ---- waiting ---- */

static uint64_t jittered(uint64_t ms)
{
    uint32_t r = 0;

    sb_secret_fill(&r, sizeof(r)); /* failing, it is no jitter */
    return ms / 2 + ms * (r % 1024u) / 1024u;
}

/* False when told to stop. */
static bool pause_before_retry(struct sockbroker_worker *w, uint64_t *delay_ms)
{
    uint64_t until_ms = sb_clock_ms() + jittered(*delay_ms);

    *delay_ms = *delay_ms * 2 > RETRY_MOST_MS ? RETRY_MOST_MS : *delay_ms * 2;
    sb_lock_take(w->lock);
    for (uint64_t now_ms = sb_clock_ms(); !w->stopping && now_ms < until_ms; now_ms = sb_clock_ms())
        sb_lock_wait(w->lock, (int64_t)(until_ms - now_ms));
    bool go_on = !w->stopping;
    sb_lock_drop(w->lock);
    return go_on;
}

/* ---- attaching ---- */

/* Lost, or turned away by a limit: the same question may have another answer a little later. */
static bool may_pass(sockbroker_status st)
{
    return st == SOCKBROKER_BUSY || st == SOCKBROKER_CLOSED;
}

static sockbroker_status connect_once(struct sockbroker_worker *w, struct sockbroker_error *error)
{
    sockbroker_status st = connect_client(w, error);

    if (!st)
        st = attach(w, error);
    if (st)
        drop_client(w);
    return may_pass(st) ? SOCKBROKER_BUSY : st;
}

sockbroker_status sb_control_connect(struct sockbroker_worker *w, struct sockbroker_error *error_out)
{
    uint64_t until_ms = sb_clock_ms() + (uint64_t)w->attach_timeout_ms;
    uint64_t delay_ms = RETRY_FIRST_MS;
    sockbroker_status st;

    do
        st = connect_once(w, error_out);
    while (st == SOCKBROKER_BUSY && sb_clock_ms() < until_ms && pause_before_retry(w, &delay_ms));
    return st;
}

static sockbroker_status park_next(struct sockbroker_worker *w)
{
    struct sb_request request = { .kind = SB_REQUEST_NEXT };

    sb_lock_take(w->lock);
    request.as.next.session = w->link->session;
    request.as.next.n_told = w->link->n_told;
    w->next_answered = false;
    sb_lock_drop(w->lock);
    return sb_client_park(w->client, &request, on_answer, w);
}

/* Lock taken. Both halves at once, or neither. */
static sockbroker_status add_whole(struct sockbroker_worker *w, const struct sb_record *record, sockbroker_socket sock)
{
    uint64_t session_id = w->link->session.id;
    uint64_t now_ms = sb_clock_ms();
    sockbroker_status st = sb_pending_add_socket(&w->pending, session_id, record->info.lease_id, sock, now_ms);

    if (st)
        sb_socket_close(&sock);
    else
        sb_pending_add_record(&w->pending, session_id, &record->info, now_ms); /* it has its place already */
    return st;
}

/* Lock taken. A socket that came inside its record is opened now, whatever becomes of it, and only once: the same one told
 * again would close somebody else's. */
static sockbroker_status add_handoff(struct sockbroker_worker *w, const struct sb_record *record)
{
    sockbroker_socket sock = SOCKBROKER_SOCKET_NONE;

    if (record->protocol_info_len && record->info.lease_id <= w->link->opened)
        return SOCKBROKER_OK;
    sockbroker_status st = sb_xfer_open_record(record, &sock);
    if (st == SOCKBROKER_AGAIN) {
        sb_pending_add_record(&w->pending, w->link->session.id, &record->info, sb_clock_ms()); /* no room: it is withdrawn */
        return SOCKBROKER_OK;
    }
    w->link->opened = record->info.lease_id; /* they come in their order */
    return st ? st : add_whole(w, record, sock);
}

/* Lock taken. nack_out: what cannot be used. */
static void note_told(struct sockbroker_worker *w, const struct sb_told *told, struct sb_report *nack_out)
{
    nack_out->n_results = 0;
    w->link->n_told++;
    for (uint32_t i = 0; i < told->n_handoffs; i++) {
        sockbroker_status st = add_handoff(w, &told->handoffs[i]);
        struct sb_result *r = &nack_out->results[nack_out->n_results];

        if (!st)
            continue;
        r->lease_id = told->handoffs[i].info.lease_id;
        r->verdict = st == SOCKBROKER_NO_DESCRIPTORS ? SB_VERDICT_NACK_DESCRIPTORS : SB_VERDICT_NACK_UNUSABLE;
        nack_out->n_results++;
    }
    sb_worker_set_state(w, told->drain ? SOCKBROKER_WORKER_DRAINING : w->state);
}

/* OK: ask again. NOT_FOUND: the broker does not know the session (any more). CLOSED and others: connect again. */
static sockbroker_status take_answer(struct sockbroker_worker *w)
{
    struct sb_reply *reply = malloc(sizeof(*reply));
    sockbroker_status st = reply ? sb_client_take(w->client, SB_REPLY_TOLD, reply, NULL) : SOCKBROKER_NO_MEMORY;
    struct sb_report nack = { .n_results = 0 };

    if (!st) {
        sb_lock_take(w->lock);
        note_told(w, &reply->as.told, &nack);
        sb_lock_drop(w->lock);
    }
    free(reply);
    if (nack.n_results)
        sb_control_settle(w, &w->link->session, &nack, NULL);
    return st;
}

/* carrier = message: gives back what came in one half only. Halves of a session that has ended are nobody's to give back to: a
 * socket is served without its record, a record without socket is forgotten. */
static void give_back_late(struct sockbroker_worker *w)
{
    struct sb_pending_entry e;
    struct sb_pending_query q = { SB_PENDING_HALF, 0, 0, sb_clock_ms() - MISSING_AFTER_MS };

    for (;;) {
        struct sb_report nack = { .n_results = 1 };

        sb_lock_take(w->lock);
        struct sb_link *link = sb_link_use(w->link);
        q.session_id = sb_worker_live_session(w);
        bool late = q.session_id && sb_pending_take(&w->pending, &q, &e);
        sb_worker_update_bell(w);
        sb_lock_drop(w->lock);
        if (late) {
            nack.results[0].lease_id = e.lease_id;
            nack.results[0].verdict = e.has_record ? SB_VERDICT_NACK_MISSING : SB_VERDICT_NACK_UNUSABLE;
            sb_control_settle(w, &link->session, &nack, NULL);
            sb_socket_close(&e.sock);
        }
        sb_link_release(w, link);
        if (!late)
            return;
    }
}

static void forget_records(struct sockbroker_worker *w)
{
    struct sb_pending_entry e;
    struct sb_pending_query q = { SB_PENDING_RECORD, 0, 0, sb_clock_ms() - MISSING_AFTER_MS };

    sb_lock_take(w->lock);
    q.except_id = sb_worker_live_session(w);
    while (!w->old_link && sb_pending_take(&w->pending, &q, &e))
        continue;
    sb_worker_update_bell(w);
    sb_lock_drop(w->lock);
}

enum event { EVENT_STOP, EVENT_ANSWER, EVENT_LOST, EVENT_TIME };

/* Lock taken. How long until something is due: a half that stays alone, or finished connections that waited for company.
 * -1: nothing. */
static int64_t until_due_ms(struct sockbroker_worker *w)
{
    uint64_t now_ms = sb_clock_ms();
    struct sb_pending_query half = { SB_PENDING_HALF, 0, 0, UINT64_MAX };
    int64_t wait_ms = sb_pending_has(&w->pending, &half) ? MISSING_AFTER_MS : -1;

    w->flusher_knows = w->n_finished > 0;
    if (!w->n_finished)
        return wait_ms;
    int64_t flush_ms = w->flush_at_ms > now_ms ? (int64_t)(w->flush_at_ms - now_ms) : 0;
    return wait_ms < 0 || flush_ms < wait_ms ? flush_ms : wait_ms;
}

static enum event wait_event(struct sockbroker_worker *w)
{
    enum event event = EVENT_TIME;

    sb_lock_take(w->lock);
    while (!w->stopping && !w->next_answered && !w->connection_lost) {
        int64_t wait_ms = until_due_ms(w);

        if (wait_ms == 0)
            break;
        sb_lock_wait(w->lock, wait_ms);
        if (wait_ms == MISSING_AFTER_MS)
            break;
    }
    if (w->stopping)
        event = EVENT_STOP;
    else if (w->next_answered)
        event = EVENT_ANSWER;
    else if (w->connection_lost)
        event = EVENT_LOST;
    sb_lock_drop(w->lock);
    return event;
}

/* Serves one connection to the broker until it ends. OK: told to stop. NOT_FOUND: attach anew. */
static sockbroker_status converse(struct sockbroker_worker *w)
{
    sockbroker_status st = park_next(w);

    while (!st) {
        switch (wait_event(w)) {
        case EVENT_STOP:
            return SOCKBROKER_OK;
        case EVENT_LOST:
            st = SOCKBROKER_CLOSED;
            break;
        case EVENT_ANSWER:
            st = take_answer(w);
            if (!st)
                st = park_next(w);
            give_back_late(w); /* answers may come so often that there is never time */
            break;
        case EVENT_TIME:
            give_back_late(w);
            forget_records(w);
            sb_report_flush(w);
            break;
        }
    }
    return st;
}

/* ---- coming back ---- */

/* A rule that says no will say no again; everything else may pass. */
static bool is_final(sockbroker_status st)
{
    return st == SOCKBROKER_REFUSED || st == SOCKBROKER_VERSION || st == SOCKBROKER_INVALID;
}

/* Notes why there is no broker; false when there is nothing to try again for. A worker that was told to finish and lost its
 * broker has nothing to come back for. */
static bool note_absence(struct sockbroker_worker *w, const struct sockbroker_error *error)
{
    sb_lock_take(w->lock);
    w->error = *error;
    if (w->state != SOCKBROKER_WORKER_DRAINING)
        sb_worker_set_state(w, is_final(error->status) ? SOCKBROKER_WORKER_REFUSED : SOCKBROKER_WORKER_ATTACHING);
    bool go_on = w->state == SOCKBROKER_WORKER_ATTACHING;
    sb_lock_drop(w->lock);
    return go_on;
}

/* Connects to the broker that is there; keeps the session when it may be known there, else attaches anew. */
static bool come_back(struct sockbroker_worker *w, bool session_known)
{
    uint64_t delay_ms = RETRY_FIRST_MS;
    struct sockbroker_error error = { .status = SOCKBROKER_OK };

    drop_client(w);
    for (;;) {
        sockbroker_status st = session_known ? connect_client(w, &error) : sb_control_connect(w, &error);

        if (!st)
            return true;
        error.status = st;
        if (!note_absence(w, &error) || !pause_before_retry(w, &delay_ms))
            return false;
    }
}

static void wait_for_stop(struct sockbroker_worker *w)
{
    sb_lock_take(w->lock);
    while (!w->stopping)
        sb_lock_wait(w->lock, -1);
    sb_lock_drop(w->lock);
}

void sb_control_run(void *worker)
{
    struct sockbroker_worker *w = worker;
    uint64_t delay_ms = RETRY_FIRST_MS;
    bool there = w->client || come_back(w, false);

    while (there) {
        uint64_t began_ms = sb_clock_ms();
        sockbroker_status st = converse(w);

        if (st == SOCKBROKER_OK)
            return;
        bool is_new_broker = st == SOCKBROKER_NOT_FOUND && sb_clock_ms() - w->attached_ms > YOUNG_MS;
        if (is_new_broker || sb_clock_ms() - began_ms > RETRY_MOST_MS)
            delay_ms = RETRY_FIRST_MS;
        else if (!pause_before_retry(w, &delay_ms)) /* a broker that sends us away at once is not asked in a tight loop */
            return;
        there = come_back(w, st != SOCKBROKER_NOT_FOUND && st != SOCKBROKER_REFUSED);
    }
    wait_for_stop(w);
}

/* carrier = message: halves and wholes that the application has not seen. */
static void give_back_pending(struct sockbroker_worker *w)
{
    struct sb_pending_query q = { SB_PENDING_ANY, 0, 0, UINT64_MAX };
    struct sb_pending_entry e;
    struct sb_report r = { .n_results = 0 };

    q.session_id = sb_worker_live_session(w);
    while (q.session_id && sb_pending_take(&w->pending, &q, &e)) {
        r.results[r.n_results].lease_id = e.lease_id;
        r.results[r.n_results++].verdict = SB_VERDICT_NACK_UNUSABLE;
        if (r.n_results == SB_RESULTS_MAX || !sb_pending_has(&w->pending, &q)) {
            sb_control_settle(w, &w->link->session, &r, NULL);
            r.n_results = 0;
        }
        sb_socket_close(&e.sock);
    }
}

/* The broker answers the Next before the Detach, but each answer has a thread of its own here. */
static void await_last_answer(struct sockbroker_worker *w)
{
    uint64_t until_ms = sb_clock_ms() + LAST_ANSWER_MS;

    sb_lock_take(w->lock);
    for (uint64_t now_ms = sb_clock_ms(); !w->next_answered && !w->connection_lost && now_ms < until_ms; now_ms = sb_clock_ms())
        sb_lock_wait(w->lock, (int64_t)(until_ms - now_ms));
    sb_lock_drop(w->lock);
}

/* No other thread is in here any more. */
void sb_control_leave(struct sockbroker_worker *w)
{
    struct sb_request request = { .kind = SB_REQUEST_DETACH };
    struct sb_reply *reply = malloc(sizeof(*reply));

    sb_report_flush(w);
    give_back_pending(w);
    if (reply && w->client && w->link) {
        request.as.detach = w->link->session;
        if (!sb_client_call(w->client, &request, SB_REPLY_DONE, CALL_TIMEOUT_MS, reply, NULL))
            await_last_answer(w);
        take_answer(w); /* what came before the broker heard of it: its sockets are closed with the others */
    }
    free(reply);
    drop_client(w);
}

sockbroker_status sb_control_call(struct sockbroker_worker *w, const struct sb_request *request, enum sb_reply_kind expect,
                                  int timeout_ms, struct sb_reply *reply_out, struct sockbroker_error *error_out)
{
    struct sb_client *client = sb_control_use_client(w);

    if (!client)
        return sb_error_set(error_out, SOCKBROKER_NO_BROKER, 0, "no broker answers in %s now", w->dir);
    sockbroker_status st = sb_client_call(client, request, expect, timeout_ms, reply_out, error_out);
    sb_control_release_client(w);
    return st;
}

sockbroker_status sb_control_settle(struct sockbroker_worker *w, const struct sb_session_key *session,
                                    const struct sb_report *report, bool *kept_out)
{
    struct sb_request *request = malloc(sizeof(*request));
    struct sb_reply *reply = malloc(sizeof(*reply));
    sockbroker_status st = SOCKBROKER_CLOSED;

    if (request && reply) {
        request->kind = SB_REQUEST_SETTLE;
        request->as.settle.session = *session;
        request->as.settle.n_results = report->n_results;
        memcpy(request->as.settle.results, report->results, report->n_results * sizeof(report->results[0]));
        st = sb_control_call(w, request, SB_REPLY_SETTLED, CALL_TIMEOUT_MS, reply, NULL);
    }
    if (!st && kept_out)
        *kept_out = reply->as.settled.n_kept && reply->as.settled.kept[0];
    free(request);
    free(reply);
    return st;
}
