/* session_lease.c: connections on their way to a worker: given, settled, reported, taken back. */
#include <utlist.h>

#include "broker/dispatch.h"
#include "broker/endpoint.h"
#include "broker/grant.h"
#include "broker/log.h"
#include "broker/mailbox.h"
#include "broker/session_inside.h"
#include "broker/waiter.h"
#include "proto/clock.h"
#include "proto/failpoint.h"
#include "proto/oserr.h"

#define REPORTS_MAX 64    /* packets of one worker before others get their turn */
#define REST_MS 100       /* a worker at its descriptor limit gets nothing for so long */
#define REST_LOG_MS 60000 /* a shortage of the whole machine: the first word says it all */

/* ---- given ---- */

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

static void append_lease(struct sb_session *s, struct sb_conn *c)
{
    c->session = s;
    c->told = false;
    c->told_in = 0;
    DL_APPEND(s->leases, c);
    if (s->n_unacked++ == 0)
        sb_mailbox_expect(s->broker->mailbox, s, true);
}

static void add_lease(struct sb_session *s, struct sb_member *m, struct sb_conn *c)
{
    append_lease(s, c);
    s->n_open++;
    m->n_pending++;
    m->n_open++;
    sb_session_refresh(s);
}

/* It is counted as open already. */
void sb_session_restore_lease(struct sb_session *s, struct sb_conn *c)
{
    struct sb_member *m = sb_session_member(s, c->endpoint);

    append_lease(s, c);
    if (m)
        m->n_pending++;
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

void sb_session_remove_lease(struct sb_session *s, struct sb_conn *c, bool stays_open)
{
    struct sb_member *m = sb_session_member(s, c->endpoint);

    DL_DELETE(s->leases, c);
    if (--s->n_unacked == 0)
        sb_mailbox_expect(s->broker->mailbox, s, false);
    s->n_open -= !stays_open;
    if (m) {
        m->n_pending--;
        m->n_open -= !stays_open;
    }
}

void sb_session_take_back(struct sb_session *s, struct sb_conn *c, const char *cause)
{
    sb_session_remove_lease(s, c, false);
    note_rest(s, cause);
    sb_dispatch_again(c);
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

static void remember_ack(struct sb_session *s, uint64_t lease_id)
{
    s->acked[s->n_acked++ % SB_ACKS_REMEMBERED] = lease_id;
}

/* It was stuck, and answers. */
static void note_back(struct sb_session *s)
{
    if (s->state != SB_SESSION_STUCK)
        return;
    sb_log(SB_LOG_NOTICE, "worker_back", "worker=%s", s->name);
    sb_session_set_state(s, SB_SESSION_READY);
}

/* The answer may get lost here too. */
static bool settle_grant(struct sb_session *s, const struct sb_result *result)
{
    if (result->verdict == SB_VERDICT_FINISHED || (result->verdict == SB_VERDICT_ACK && was_acked(s, result->lease_id)))
        return true;
    bool kept = sb_grant_settle(s, result);
    if (kept)
        remember_ack(s, result->lease_id);
    return kept;
}

bool sb_session_settle(struct sb_session *s, const struct sb_result *result)
{
    struct sb_conn *c = sb_lease_find(&s->broker->leases, result->lease_id);

    if (sb_grant_is_id(result->lease_id))
        return settle_grant(s, result);
    if (result->verdict == SB_VERDICT_FINISHED) {
        note_finished(s);
        return true;
    }
    if (!c || c->session != s) { /* late, repeated, or somebody else's: it changes nothing */
        s->broker->bad_messages += c || !sb_lease_was_given(&s->broker->leases, result->lease_id);
        return result->verdict == SB_VERDICT_ACK && was_acked(s, result->lease_id);
    }
    sb_session_remove_lease(s, c, result->verdict == SB_VERDICT_ACK);
    if (!sb_session_has_pair(s) && !s->leases)
        note_back(s);
    if (result->verdict == SB_VERDICT_ACK) {
        s->n_served++;
        s->acked_ms = sb_clock_ms();
        remember_ack(s, result->lease_id);
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
    note_back(s);
}

static void apply_report(struct sb_session *s, const struct sb_report *r)
{
    for (uint32_t i = 0; i < r->n_results; i++)
        sb_session_settle(s, &r->results[i]);
    if (r->probe)
        note_probe(s, r->probe);
}

static void note_bad_report(struct sb_session *s, const char *cause)
{
    s->broker->bad_messages++;
    sb_log(SB_LOG_WARNING, "bad_report", "worker=%s cause=\"%s\"", s->name, cause);
}

/* OK also when there is nothing. */
static sockbroker_status read_ring(struct sb_session *s)
{
    struct sb_report r;
    sockbroker_status st;

    while ((st = sb_ring_take(&s->ring, &r)) == SOCKBROKER_OK) {
        s->uses_ring = true;
        apply_report(s, &r);
        if (!s->n_unacked)
            return SOCKBROKER_OK; /* nothing more is expected; and nobody can hold us here for ever */
    }
    if (st == SOCKBROKER_BAD_MESSAGE)
        note_bad_report(s, "its ring holds no result");
    return st == SOCKBROKER_AGAIN ? SOCKBROKER_OK : st;
}

sockbroker_status sb_session_read_reports(struct sb_session *s)
{
    struct sb_report r;
    struct sockbroker_error error;
    sockbroker_status st = read_ring(s); /* what it said there came first */

    if (st)
        return st;

    for (unsigned i = 0; i < REPORTS_MAX; i++) {
        st = sb_xfer_receive_report(s->end, &r, &error);
        if (st == SOCKBROKER_BAD_MESSAGE)
            note_bad_report(s, error.text);
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
    sockbroker_status st = sb_session_read_reports(s);
    if (st && st != SOCKBROKER_AGAIN)
        sb_session_end(s, st == SOCKBROKER_BAD_MESSAGE ? "sent a bad packet" : "shut its pair down");
    else
        sb_session_refresh(s);
    sb_waiters_check(b);
}

bool sb_session_look(struct sb_session *s)
{
    struct sb_broker *b = s->broker;
    uint32_t n_before = s->ring.n_taken;
    sockbroker_status st = read_ring(s);
    bool came = st || s->ring.n_taken != n_before;

    if (st)
        sb_session_end(s, "sent a bad report");
    else if (came)
        sb_session_refresh(s);
    if (came)
        sb_waiters_check(b);
    return came;
}

/* ---- taking back ---- */

uint32_t sb_session_withdraw(struct sb_session *s)
{
    uint64_t lease_id;
    uint32_t n = 0;

    while (sb_session_has_pair(s) && sb_xfer_withdraw(s->worker_end, &lease_id) == SOCKBROKER_OK) {
        struct sb_conn *c = sb_lease_find(&s->broker->leases, lease_id);

        if (!c || c->session != s) {
            if (lease_id == 0)
                s->probe = 0; /* our own question came back */
            continue;
        }
        sb_session_remove_lease(s, c, false);
        c->endpoint->counters.withdrawn++;
        sb_dispatch_again(c);
        n++;
    }
    sb_session_refresh(s);
    return n;
}

void sb_session_probe(struct sb_session *s)
{
    struct sb_broker *b = s->broker;

    if (!s->probe && sb_session_has_pair(s) && sb_xfer_send_probe(s->end, b->n_probes + 1) == SOCKBROKER_OK)
        s->probe = ++b->n_probes;
}

void sb_session_mark_stuck(struct sb_session *s)
{
    if (s->state == SB_SESSION_READY) {
        sb_log(SB_LOG_WARNING, "worker_stuck", "worker=%s pid=%u", s->name, s->peer.pid);
        sb_session_set_state(s, SB_SESSION_STUCK);
    }
    sb_session_probe(s);
}

void sb_session_mark_silent(struct sb_session *s)
{
    sb_log(SB_LOG_WARNING, "worker_silent", "worker=%s pid=%u", s->name, s->peer.pid);
    sb_session_set_state(s, SB_SESSION_SILENT);
    sb_session_withdraw(s);
}
