#include "broker/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "broker/dispatch.h"
#include "broker/endpoint.h"
#include "broker/log.h"
#include "broker/mailbox.h"
#include "broker/waiter.h"
#include "proto/clock.h"
#include "proto/failpoint.h"
#include "proto/oserr.h"
#include "proto/secret.h"
#include "proto/socket.h"

#define REPORTS_MAX 64      /* packets of one worker before others get their turn */
#define N_OPEN_MAX (1u << 24) /* of what a worker says it holds from before */
#define REST_MS 100         /* a worker at its descriptor limit gets nothing for so long */
#define REST_LOG_MS 60000   /* a shortage of the whole machine: the first word says it all */

/* ---- birth ---- */

/* Its own, or the largest of its endpoints. */
static uint32_t window_of(const struct sb_session *s)
{
    uint32_t window = s->asked_window;

    for (uint32_t i = 0; !s->asked_window && i < s->n_places; i++) {
        const struct sb_endpoint *e = s->places[i].endpoint;

        if (e && e->config.window > window)
            window = e->config.window;
    }
    return window;
}

void sb_session_update_window(struct sb_session *s)
{
    s->window = window_of(s);
    sb_session_refresh(s);
}

static sockbroker_status take_places(struct sb_session *s, const struct sb_attach *attach)
{
    s->places = calloc(attach->n_endpoints, sizeof(*s->places));
    if (!s->places)
        return SOCKBROKER_NO_MEMORY;
    for (uint32_t i = 0; i < attach->n_endpoints; i++) {
        struct sb_place *p = &s->places[i];

        p->endpoint = sb_endpoint_find(s->broker, attach->endpoints[i]);
        p->member.session = s;
        p->member.weight = attach->weight;
        p->member.name_hash = sb_selector_hash(attach->name, strlen(attach->name));
        sockbroker_status st = sb_selector_add(&p->endpoint->selector, &p->member);
        if (st)
            return st;
        s->n_places++;
        s->carrier = p->endpoint->config.carrier;
    }
    s->window = window_of(s);
    if (s->n_places == 1) /* what it holds from an earlier broker; with several endpoints nobody knows which */
        s->places[0].member.n_open = s->n_open;
    return SOCKBROKER_OK;
}

static sockbroker_status fill(struct sb_session *s, const struct sb_attach *attach, const struct sb_peer *ids)
{
    s->state = SB_SESSION_ATTACHING;
    s->end = s->worker_end = SOCKBROKER_SOCKET_NONE;
    s->peer = *ids;
    s->peer.handle = SOCKBROKER_SOCKET_NONE;
    memcpy(s->name, attach->name, sizeof(s->name));
    s->generation = attach->generation;
    s->weight = attach->weight;
    s->asked_window = attach->window;
    s->n_open = attach->n_open < N_OPEN_MAX ? attach->n_open : N_OPEN_MAX;
    s->attached_ms = s->heard_ms = sb_clock_ms();
    if (sb_secret_fill(&s->key, sizeof(s->key)) || sb_secret_fill(s->token, sizeof(s->token)))
        return SOCKBROKER_SYSTEM;
    s->key.id |= 1u; /* 0 is no id */
    return take_places(s, attach);
}

/* uthash leaves tbl NULL when it could not grow. */
static sockbroker_status enter(struct sb_session *s)
{
    struct sb_broker *b = s->broker;

    HASH_ADD(by_id, b->sessions_by_id, key.id, sizeof(s->key.id), s);
    if (!s->by_id.tbl)
        return SOCKBROKER_NO_MEMORY;
    HASH_ADD(by_name, b->sessions_by_name, name, (unsigned)strlen(s->name), s);
    if (!s->by_name.tbl) {
        HASH_DELETE(by_id, b->sessions_by_id, s);
        return SOCKBROKER_NO_MEMORY;
    }
    DL_APPEND(b->sessions, s);
    b->n_sessions++;
    b->n_attaching++;
    return SOCKBROKER_OK;
}

static void leave_all(struct sb_session *s)
{
    for (uint32_t i = 0; i < s->n_places; i++) {
        if (s->places[i].endpoint)
            sb_selector_remove(&s->places[i].endpoint->selector, &s->places[i].member);
    }
    s->n_places = 0;
}

sockbroker_status sb_session_create(struct sb_broker *b, const struct sb_attach *attach, const struct sb_peer *ids,
                                    struct sb_session **session_out)
{
    struct sb_session *s = sb_failpoint("session_memory") ? NULL : calloc(1, sizeof(*s));

    if (!s)
        return SOCKBROKER_NO_MEMORY;
    s->broker = b;
    sockbroker_status st = fill(s, attach, ids);
    if (!st)
        st = enter(s);
    if (st) {
        leave_all(s);
        free(s->places);
        free(s);
        return st;
    }
    *session_out = s;
    return SOCKBROKER_OK;
}

struct sb_session *sb_session_find(struct sb_broker *b, uint64_t id)
{
    struct sb_session *s;

    HASH_FIND(by_id, b->sessions_by_id, &id, sizeof(id), s);
    return s;
}

struct sb_session *sb_session_find_name(struct sb_broker *b, const char *name)
{
    struct sb_session *s;

    HASH_FIND(by_name, b->sessions_by_name, name, (unsigned)strlen(name), s);
    return s;
}

bool sb_session_needs_fresh_counts(const struct sb_session *s)
{
    for (uint32_t i = 0; i < s->n_places; i++) {
        if (s->places[i].endpoint && s->places[i].endpoint->config.policy == SB_POLICY_LEAST_CONNECTIONS)
            return true;
    }
    return false;
}

/* ---- state ---- */

static bool can_take(const struct sb_session *s)
{
    return s->state == SB_SESSION_READY && !s->blocked && !s->rest_until_ms && s->n_unacked < s->window;
}

void sb_session_refresh(struct sb_session *s)
{
    bool eligible = can_take(s);

    for (uint32_t i = 0; i < s->n_places; i++) {
        struct sb_place *p = &s->places[i];

        if (!p->endpoint)
            continue;
        if (p->member.eligible == eligible) {
            sb_selector_update(&p->endpoint->selector, &p->member);
            continue;
        }
        sb_selector_set_eligible(&p->endpoint->selector, &p->member, eligible);
        if (eligible)
            sb_dispatch_note(s->broker);
    }
}

static bool counts_as_worker(enum sb_session_state state)
{
    return state == SB_SESSION_READY;
}

static void set_state(struct sb_session *s, enum sb_session_state state)
{
    int change = (int)counts_as_worker(state) - (int)counts_as_worker(s->state);

    for (uint32_t i = 0; change && i < s->n_places; i++) {
        if (s->places[i].endpoint)
            s->places[i].endpoint->n_ready = (uint32_t)((int)s->places[i].endpoint->n_ready + change);
    }
    s->broker->n_attaching -= s->state == SB_SESSION_ATTACHING && state != SB_SESSION_ATTACHING;
    s->state = state;
    if (change)
        sb_dispatch_note(s->broker); /* an endpoint that lost its last worker begins to hold */
    sb_session_refresh(s);
}

const char *sb_session_state_name(const struct sb_session *s)
{
    switch (s->state) {
    case SB_SESSION_ATTACHING:
        return "attaching";
    case SB_SESSION_READY:
        return "ready";
    case SB_SESSION_STUCK:
        return "stuck";
    case SB_SESSION_SILENT:
        return "silent";
    case SB_SESSION_DRAINING:
        return "draining";
    case SB_SESSION_ENDED:
        return "ended";
    }
    return "?";
}

/* ---- the pair ---- */

static void on_death(uv_poll_t *poll, int status, int events)
{
    struct sb_session *s = poll->data;
    struct sb_broker *b = s->broker;

    (void)status;
    (void)events;
    sb_session_end(s, "died");
    sb_dispatch_pump(b);
}

sockbroker_status sb_session_connect(struct sb_session *s, sockbroker_socket *handle, sockbroker_socket *worker_end_out)
{
    sockbroker_status st = sb_xfer_open_pair(&s->end, &s->worker_end);

    if (st)
        return st;
    st = sb_mailbox_add(s->broker->mailbox, s);
    if (st)
        return st;
    s->in_mailbox = true;
    if (uv_poll_init_socket(&s->broker->loop, &s->death, *handle))
        return SOCKBROKER_NO_MEMORY;
    s->watches_death = true;
    s->death.data = s;
    s->peer.handle = sb_socket_take(handle);
    uv_poll_start(&s->death, UV_READABLE, on_death);
    *worker_end_out = s->worker_end;
    return SOCKBROKER_OK;
}

/* ---- leases ---- */

static struct sb_place *place_of(struct sb_session *s, const struct sb_endpoint *e)
{
    for (uint32_t i = 0; i < s->n_places; i++) {
        if (s->places[i].endpoint == e)
            return &s->places[i];
    }
    return NULL;
}

/* The pair is full: an event tells when it is not. */
static void note_blocked(struct sb_session *s)
{
    s->blocked = true;
    sb_mailbox_want_writable(s->broker->mailbox, s, true);
    sb_log(SB_LOG_NOTICE, "worker_blocked", "worker=%s cause=\"its pair is full\"", s->name);
    sb_session_refresh(s);
}

/* No event tells when that is over: the clock does. */
static void note_rest(struct sb_session *s, const char *cause)
{
    static uint64_t quiet_until_ms;
    uint64_t now_ms = sb_clock_ms();

    s->rest_until_ms = now_ms + REST_MS;
    if (now_ms >= quiet_until_ms) {
        quiet_until_ms = now_ms + REST_LOG_MS;
        sb_log(SB_LOG_NOTICE, "worker_rests", "worker=%s cause=\"%s\"", s->name, cause);
    }
    sb_session_refresh(s);
}

static void add_lease(struct sb_session *s, struct sb_member *m, struct sb_conn *c)
{
    c->session = s;
    c->told = false;
    DL_APPEND(s->leases, c);
    s->n_unacked++;
    s->n_open++;
    m->n_pending++;
    m->n_open++;
    sb_session_refresh(s);
}

sockbroker_status sb_session_lease(struct sb_session *s, struct sb_member *m, struct sb_conn *c)
{
    struct sb_record record;
    char text[96];
    int os_code = 0;

    if (sb_lease_begin(&s->broker->leases, c)) {
        note_rest(s, "out of memory");
        return SOCKBROKER_BUSY;
    }
    c->leased_ns = sb_clock_ns();
    record.info = c->info;
    record.protocol_info_layout = 0;
    record.protocol_info_len = 0;
    struct sb_stamp *stamp = &c->endpoint->stamps[c->info.peer.family == SOCKBROKER_IPV6];
    sockbroker_status st = sb_xfer_send(s->end, s->carrier, &record, c->sock, stamp, &os_code);
    if (!st) {
        add_lease(s, m, c);
        if (s->carrier == SB_CARRIER_MESSAGE)
            sb_session_tell(s, false);
        return SOCKBROKER_OK;
    }
    sb_lease_end(&s->broker->leases, c);
    if (st == SOCKBROKER_AGAIN)
        note_blocked(s);
    else if (st == SOCKBROKER_BUSY)
        note_rest(s, sb_oserr_text(os_code, text, sizeof(text)));
    else
        sb_session_end(s, st == SOCKBROKER_PERMISSION ? "the system refuses to pass descriptors to it" : "its pair is broken");
    return SOCKBROKER_BUSY;
}

/* The lease leaves the session; what becomes of the connection is the caller's to say. */
static void remove_lease(struct sb_session *s, struct sb_conn *c, bool stays_open)
{
    struct sb_place *p = place_of(s, c->endpoint);

    DL_DELETE(s->leases, c);
    s->n_unacked--;
    s->n_open -= !stays_open;
    if (p) {
        p->member.n_pending--;
        p->member.n_open -= !stays_open;
    }
}

/* The worker's word on a connection it had. Which endpoint it was is not known any more with several; the first that has any
 * is taken, which only shifts a count. */
static void note_finished(struct sb_session *s)
{
    if (s->n_open > s->n_unacked)
        s->n_open--;
    for (uint32_t i = 0; i < s->n_places; i++) {
        struct sb_member *m = &s->places[i].member;

        if (m->n_open > m->n_pending) {
            m->n_open--;
            break;
        }
    }
}

static void note_nack(struct sb_session *s, struct sb_conn *c, enum sb_verdict verdict)
{
    c->endpoint->counters.nacked++;
    sb_log(SB_LOG_NOTICE, "nack", "worker=%s endpoint=%s reason=%s", s->name, c->endpoint->config.name,
           verdict == SB_VERDICT_NACK_DESCRIPTORS ? "descriptors"
           : verdict == SB_VERDICT_NACK_MISSING   ? "missing"
                                                  : "unusable");
    s->rest_until_ms = sb_clock_ms() + REST_MS;
}

/* carrier = message: the answer to a Settle may get lost, and the worker asks again. */
static bool was_acked(const struct sb_session *s, uint64_t lease_id)
{
    for (size_t i = 0; i < SB_ACKS_REMEMBERED; i++) {
        if (s->acked[i] == lease_id)
            return true;
    }
    return false;
}

bool sb_session_settle(struct sb_session *s, const struct sb_result *result)
{
    struct sb_conn *c = sb_lease_find(&s->broker->leases, result->lease_id);

    if (result->verdict == SB_VERDICT_FINISHED) {
        note_finished(s);
        return true;
    }
    if (!c || c->session != s) { /* late, repeated, or somebody else's: it changes nothing */
        s->broker->bad_messages += c || !sb_lease_was_given(&s->broker->leases, result->lease_id);
        return result->verdict == SB_VERDICT_ACK && was_acked(s, result->lease_id);
    }
    remove_lease(s, c, result->verdict == SB_VERDICT_ACK);
    if (result->verdict == SB_VERDICT_ACK) {
        s->acked[s->n_served++ % SB_ACKS_REMEMBERED] = result->lease_id;
        sb_dispatch_delivered(c);
        return true;
    }
    note_nack(s, c, result->verdict);
    if (sb_conn_is_untouched(c)) /* its word is not enough */
        sb_dispatch_again(c);
    else
        sb_dispatch_in_doubt(c, false);
    return true;
}

/* ---- reports ---- */

static void note_probe(struct sb_session *s, uint64_t number)
{
    if (number != s->probe)
        return;
    s->probe = 0;
    if (s->state == SB_SESSION_STUCK) {
        sb_log(SB_LOG_NOTICE, "worker_back", "worker=%s", s->name);
        set_state(s, SB_SESSION_READY);
    }
}

static void apply_report(struct sb_session *s, const struct sb_report *r)
{
    for (uint32_t i = 0; i < r->n_results; i++)
        sb_session_settle(s, &r->results[i]);
    if (r->probe)
        note_probe(s, r->probe);
}

/* OK: there may be more; AGAIN: that was all; anything else: the session cannot go on. */
static sockbroker_status read_reports(struct sb_session *s)
{
    struct sb_report r;
    struct sockbroker_error error;

    for (unsigned i = 0; i < REPORTS_MAX; i++) {
        sockbroker_status st = sb_xfer_receive_report(s->end, &r, &error);

        if (st == SOCKBROKER_BAD_MESSAGE) {
            s->broker->bad_messages++;
            sb_log(SB_LOG_WARNING, "bad_report", "worker=%s cause=\"%s\"", s->name, error.text);
        }
        if (st)
            return st;
        apply_report(s, &r);
        if (!s->n_unacked)
            break; /* most likely that was all; if not, the loop calls again */
    }
    return SOCKBROKER_OK;
}

void sb_session_heard(struct sb_session *s, bool writable)
{
    struct sb_broker *b = s->broker;

    if (s->state == SB_SESSION_ENDED) /* by what another one reported just now */
        return;
    if (writable) {
        s->blocked = false;
        sb_mailbox_want_writable(b->mailbox, s, false);
    }
    sockbroker_status st = read_reports(s);
    if (st && st != SOCKBROKER_AGAIN)
        sb_session_end(s, st == SOCKBROKER_BAD_MESSAGE ? "sent a bad packet" : "shut its pair down");
    else
        sb_session_refresh(s);
    sb_waiters_check(b);
}

/* ---- what it is told ---- */

static uint32_t collect_handoffs(struct sb_session *s, struct sb_told *told)
{
    struct sb_conn *c;

    told->n_handoffs = 0;
    if (s->carrier != SB_CARRIER_MESSAGE)
        return 0;
    DL_FOREACH(s->leases, c) {
        if (c->told || told->n_handoffs == SB_HANDOFFS_MAX)
            continue;
        if (sb_failpoint("lose_handoff")) {
            c->told = true;
            continue;
        }
        struct sb_record *r = &told->handoffs[told->n_handoffs++];
        r->info = c->info;
        r->protocol_info_layout = 0;
        r->protocol_info_len = 0;
        c->told = !sb_failpoint("repeat_handoff");
    }
    return told->n_handoffs;
}

void sb_session_tell(struct sb_session *s, bool always)
{
    struct sb_reply reply;
    struct sb_told *told = &reply.as.told;
    bool stopping = s->broker->state == SB_BROKER_STOPPING;

    if (!s->parked)
        return;
    told->drain = s->state == SB_SESSION_DRAINING && !s->drain_told;
    told->stopping = stopping && !s->stopping_told;
    if (!collect_handoffs(s, told) && !told->drain && !told->stopping && !always)
        return;
    s->drain_told |= told->drain;
    s->stopping_told |= told->stopping;
    reply.kind = SB_REPLY_TOLD;
    sb_call_reply(s->parked, &reply);
    s->parked = NULL;
}

/* It comes by another connection: what it was told by the one before may be lost. */
static void tell_anew(struct sb_session *s)
{
    struct sb_conn *c;

    if (s->parked)
        sb_call_drop(s->parked);
    s->parked = NULL;
    s->drain_told = s->stopping_told = false;
    DL_FOREACH(s->leases, c)
        c->told = false;
}

void sb_session_park(struct sb_session *s, struct sb_call *call)
{
    if (sb_call_caller(call) == s->told_caller)
        sb_session_tell(s, true);
    else
        tell_anew(s);
    s->parked = call;
    s->told_caller = sb_call_caller(call);
    s->heard_ms = sb_clock_ms();
    if ((s->state == SB_SESSION_ATTACHING && s->end != SOCKBROKER_SOCKET_NONE) || s->state == SB_SESSION_SILENT) {
        sb_log(SB_LOG_INFO, "worker_ready", "worker=%s pid=%u generation=%llu", s->name, s->peer.pid,
               (unsigned long long)s->generation);
        set_state(s, SB_SESSION_READY);
    }
    sb_session_tell(s, false);
}

void sb_session_drain(struct sb_session *s)
{
    if (s->state == SB_SESSION_DRAINING || s->state == SB_SESSION_ENDED)
        return;
    sb_log(SB_LOG_INFO, "worker_drains", "worker=%s open=%llu", s->name, (unsigned long long)s->n_open);
    s->draining_ms = sb_clock_ms();
    set_state(s, SB_SESSION_DRAINING);
    sb_session_tell(s, false);
}

/* ---- taking back ---- */

uint32_t sb_session_withdraw(struct sb_session *s)
{
    uint64_t lease_id;
    uint32_t n = 0;

    while (s->worker_end != SOCKBROKER_SOCKET_NONE && sb_xfer_withdraw(s->worker_end, &lease_id) == SOCKBROKER_OK) {
        struct sb_conn *c = sb_lease_find(&s->broker->leases, lease_id);

        if (!c || c->session != s) {
            if (lease_id == 0)
                s->probe = 0; /* our own question came back */
            continue;
        }
        remove_lease(s, c, false);
        c->endpoint->counters.withdrawn++;
        sb_dispatch_again(c);
        n++;
    }
    sb_session_refresh(s);
    return n;
}

void sb_session_mark_stuck(struct sb_session *s)
{
    static uint64_t number;

    if (s->state == SB_SESSION_READY) {
        sb_log(SB_LOG_WARNING, "worker_stuck", "worker=%s pid=%u", s->name, s->peer.pid);
        set_state(s, SB_SESSION_STUCK);
    }
    if (!s->probe && sb_xfer_send_probe(s->end, number + 1) == SOCKBROKER_OK)
        s->probe = ++number;
}

void sb_session_mark_silent(struct sb_session *s)
{
    sb_log(SB_LOG_WARNING, "worker_silent", "worker=%s pid=%u", s->name, s->peer.pid);
    set_state(s, SB_SESSION_SILENT);
    sb_session_withdraw(s);
}

/* ---- end ---- */

static void on_handle_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void close_handles(struct sb_session *s)
{
    if (s->in_mailbox)
        sb_mailbox_remove(s->broker->mailbox, s); /* both leave epoll before the descriptors close */
    if (s->watches_death)
        uv_close((uv_handle_t *)&s->death, on_handle_closed);
    sb_socket_close(&s->end);
    sb_socket_close(&s->worker_end);
    sb_peer_close(&s->peer);
    free(s->places);
    s->places = NULL;
    if (!s->watches_death)
        free(s);
}

/* Taken and not acked. Another worker may have it only if this one is dead and left no trace on it. */
static void judge_taken(struct sb_session *s, bool is_dead)
{
    struct sb_conn *c, *tmp;

    DL_FOREACH_SAFE(s->leases, c, tmp) {
        remove_lease(s, c, false);
        if (is_dead && sb_conn_is_untouched(c))
            sb_dispatch_again(c);
        else
            sb_dispatch_in_doubt(c, is_dead);
    }
}

static void forget(struct sb_session *s)
{
    struct sb_broker *b = s->broker;

    HASH_DELETE(by_id, b->sessions_by_id, s);
    HASH_DELETE(by_name, b->sessions_by_name, s);
    DL_DELETE(b->sessions, s);
    b->n_sessions--;
}

static void dismiss(struct sb_session *s, const char *cause)
{
    struct sb_reply reply = { .kind = SB_REPLY_FAILURE };

    if (!s->parked)
        return;
    reply.as.failure.status = SOCKBROKER_NOT_FOUND;
    snprintf(reply.as.failure.text, sizeof(reply.as.failure.text), "the session has ended: %s", cause);
    sb_call_reply(s->parked, &reply);
    s->parked = NULL;
}

void sb_session_end(struct sb_session *s, const char *cause)
{
    struct sb_broker *b = s->broker;
    bool is_dead = s->peer.handle != SOCKBROKER_SOCKET_NONE && !sb_peer_is_alive(&s->peer);

    if (s->state == SB_SESSION_ENDED)
        return;
    while (s->n_unacked && read_reports(s) == SOCKBROKER_OK)
        continue; /* acks that it sent before its end */
    sb_log(SB_LOG_INFO, "worker_gone", "worker=%s pid=%u cause=\"%s\" served=%llu unacked=%u", s->name, s->peer.pid, cause,
           (unsigned long long)s->n_served, s->n_unacked);
    set_state(s, SB_SESSION_ENDED);
    leave_all(s);
    sb_session_withdraw(s);
    judge_taken(s, is_dead);
    dismiss(s, cause);
    forget(s);
    close_handles(s);
    sb_waiters_check(b);
    sb_dispatch_note(b);
}

static bool serves_any(const struct sb_session *s)
{
    for (uint32_t i = 0; i < s->n_places; i++) {
        if (s->places[i].endpoint)
            return true;
    }
    return false;
}

struct sb_member *sb_session_member(struct sb_session *s, const struct sb_endpoint *e)
{
    struct sb_place *p = place_of(s, e);

    return p ? &p->member : NULL;
}

/* The place stays in its array, for selectors know members by address. */
void sb_session_lose_place(struct sb_session *s, struct sb_endpoint *e)
{
    struct sb_place *p = place_of(s, e);

    if (counts_as_worker(s->state))
        e->n_ready--;
    p->endpoint = NULL;
    if (!serves_any(s))
        sb_session_drain(s);
}

void sb_session_leave(struct sb_session *s, struct sb_endpoint *e)
{
    struct sb_member *m = sb_session_member(s, e);

    if (!m)
        return;
    sb_selector_remove(&e->selector, m);
    sb_session_lose_place(s, e);
}
