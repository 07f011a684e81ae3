/* session_told.c: what a worker hears through its parked Next. */
#include <utlist.h>

#include "broker/log.h"
#include "broker/older.h"
#include "broker/session_inside.h"
#include "broker/supervise.h"
#include "proto/clock.h"
#include "proto/failpoint.h"

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

static void become_ready(struct sb_session *s)
{
    sb_log(SB_LOG_INFO, "worker_ready", "worker=%s pid=%u generation=%llu", s->name, s->peer.pid,
           (unsigned long long)s->generation);
    sb_session_set_state(s, sb_supervise_is_on_standby(s) ? SB_SESSION_STANDBY : SB_SESSION_READY);
    sb_older_drain(s);
    sb_supervise_ready(s);
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
