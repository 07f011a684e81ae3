/* session_told.c: what a worker hears through its parked Next. */
#include <stdlib.h>

#include <utlist.h>

#include "broker/log.h"
#include "broker/older.h"
#include "broker/session_inside.h"
#include "broker/supervise.h"
#include "proto/clock.h"
#include "proto/failpoint.h"
#include "proto/oserr.h"

/* A record with a socket in it is kept: the worker has the socket already, and a second one would stay there for ever. */
static void keep_blob(struct sb_conn *c, const struct sb_record *record)
{
    if (!record->protocol_info_len)
        return;
    c->blob = malloc(sizeof(*c->blob));
    if (c->blob)
        *c->blob = *record;
}

static sockbroker_status make_record(struct sb_session *s, struct sb_conn *c, struct sb_record *record, int *os_code_out)
{
    if (c->blob) {
        *record = *c->blob;
        return SOCKBROKER_OK;
    }
    record->info = c->info;
    sockbroker_status st = sb_xfer_fill_record(s->peer.handle, c->sock, record, os_code_out);
    if (!st)
        keep_blob(c, record);
    return st;
}

/* One that ended is not asked for more: its end comes as an event of its own. */
static void give_up(struct sb_session *s, struct sb_conn *c, sockbroker_status st, int os_code)
{
    char text[96];

    sb_session_take_back(s, c,
                         st == SOCKBROKER_CLOSED ? "its process has ended"
                         : os_code               ? sb_oserr_text(os_code, text, sizeof(text))
                                                 : sockbroker_status_text(st));
}

static uint32_t collect_handoffs(struct sb_session *s, struct sb_told *told)
{
    struct sb_conn *c, *tmp;

    told->n_handoffs = 0;
    if (s->carrier != SB_CARRIER_MESSAGE)
        return 0;
    DL_FOREACH_SAFE(s->leases, c, tmp) {
        int os_code = 0;

        if (c->told || told->n_handoffs == SB_HANDOFFS_MAX)
            continue;
        c->told_in = s->n_told;
        if (sb_failpoint("lose_handoff")) {
            c->told = true;
            continue;
        }
        sockbroker_status st = make_record(s, c, &told->handoffs[told->n_handoffs], &os_code);
        if (st) {
            give_up(s, c, st, os_code);
            continue;
        }
        told->n_handoffs++;
        c->told_in = s->n_told + 1;
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
    s->n_told++;
    sb_call_reply(s->parked, &reply);
    s->parked = NULL;
}

/* What it has not seen is told again, the same records; of what it has seen nothing need be kept. */
static void note_seen(struct sb_session *s, uint64_t n_told)
{
    struct sb_conn *c;

    if (n_told < s->n_told)
        s->drain_told = s->stopping_told = false;
    s->n_told = n_told;
    DL_FOREACH(s->leases, c) {
        if (!c->told)
            continue;
        c->told = c->told_in <= n_told;
        if (c->told) {
            free(c->blob);
            c->blob = NULL;
        }
    }
}

static void become_ready(struct sb_session *s)
{
    sb_log(SB_LOG_INFO, "worker_ready", "worker=%s pid=%u generation=%llu", s->name, s->peer.pid,
           (unsigned long long)s->generation);
    sb_session_set_state(s, sb_supervise_is_on_standby(s) ? SB_SESSION_STANDBY : SB_SESSION_READY);
    sb_older_drain(s);
    sb_supervise_ready(s);
}

void sb_session_park(struct sb_session *s, uint64_t n_told, struct sb_call *call)
{
    note_seen(s, n_told);
    if (sb_call_caller(call) == s->told_caller)
        sb_session_tell(s, true);
    else if (s->parked) /* of a connection that it has given up */
        sb_call_drop(s->parked);
    s->parked = call;
    s->told_caller = sb_call_caller(call);
    s->heard_ms = sb_clock_ms();
    if ((s->state == SB_SESSION_ATTACHING && s->end != SOCKBROKER_SOCKET_NONE) || s->state == SB_SESSION_SILENT)
        become_ready(s);
    sb_session_tell(s, false);
}

void sb_session_admit(struct sb_session *s)
{
    if (s->state == SB_SESSION_STANDBY)
        sb_session_set_state(s, SB_SESSION_READY);
}

void sb_session_drain(struct sb_session *s)
{
    if (s->state == SB_SESSION_DRAINING || s->state == SB_SESSION_ENDED)
        return;
    sb_log(SB_LOG_INFO, "worker_drains", "worker=%s open=%llu", s->name, (unsigned long long)s->n_open);
    s->draining_ms = sb_clock_ms();
    sb_session_set_state(s, SB_SESSION_DRAINING);
    sb_session_tell(s, false);
}
