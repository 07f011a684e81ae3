#include "broker/watch.h"

#include <utlist.h>

#include "broker/control.h"
#include "broker/custody.h"
#include "broker/deposit.h"
#include "broker/dispatch.h"
#include "broker/endpoint.h"
#include "broker/grant.h"
#include "broker/greeting.h"
#include "broker/listener.h"
#include "broker/log.h"
#include "broker/mailbox.h"
#include "broker/outbound.h"
#include "broker/reload.h"
#include "broker/session.h"
#include "broker/shard.h"
#include "broker/supervise.h"
#include "broker/waiter.h"
#include "proto/clock.h"

#define SILENT_AFTER_HEARTBEATS 3

/* How long the oldest lease has been out, and the limits of its endpoint. Without a pair all that a worker was told waits until
 * its application comes for it: there it counts since when it has taken none. */
static uint64_t oldest_age_ms(const struct sb_session *s, uint64_t now_ms, const struct sb_endpoint_config **limits_out)
{
    if (!s->leases)
        return 0;
    *limits_out = &s->leases->endpoint->config;
    uint64_t leased_ms = s->leases->leased_ns / 1000000u;
    if (!sb_session_has_pair(s) && s->acked_ms > leased_ms)
        leased_ms = s->acked_ms;
    return now_ms > leased_ms ? now_ms - leased_ms : 0;
}

static void kill_worker(struct sb_session *s, uint64_t age_ms)
{
    sockbroker_status st = sb_peer_kill(&s->peer);

    s->kill_sent = true; /* its end comes through the process handle */
    sb_log(SB_LOG_ERROR, "worker_killed", "worker=%s pid=%u unacked_ms=%llu result=%s", s->name, s->peer.pid,
           (unsigned long long)age_ms, sockbroker_status_name(st));
}

/* Unread too long: to others. Taken and not acked too long: nothing new, then the end. */
static void watch_leases(struct sb_session *s, uint64_t now_ms)
{
    const struct sb_endpoint_config *limits = NULL;
    uint64_t age_ms = oldest_age_ms(s, now_ms, &limits);

    if (!limits || age_ms < limits->withdraw_after_ms)
        return;
    if (sb_session_withdraw(s) || s->state == SB_SESSION_STUCK || !sb_session_has_pair(s))
        sb_session_mark_stuck(s); /* to withdraw takes an unread probe back too: ask again */
    if (!s->leases || age_ms < limits->ack_timeout_ms)
        return;
    if (s->state != SB_SESSION_DRAINING) {
        sb_log(SB_LOG_WARNING, "worker_never_acks", "worker=%s pid=%u unacked_ms=%llu", s->name, s->peer.pid,
               (unsigned long long)age_ms);
        sb_session_drain(s);
    }
    if (age_ms >= 2 * (uint64_t)limits->ack_timeout_ms && limits->kill_stuck && !s->kill_sent)
        kill_worker(s, age_ms);
}

static void watch_heartbeat(struct sb_session *s, uint64_t now_ms)
{
    uint64_t quiet_ms = now_ms - s->heard_ms;
    uint64_t heartbeat_ms = s->broker->config.heartbeat_ms;

    if (s->parked && quiet_ms >= heartbeat_ms)
        sb_session_tell(s, true);
    else if (!s->parked && s->state == SB_SESSION_READY && quiet_ms >= SILENT_AFTER_HEARTBEATS * heartbeat_ms)
        sb_session_mark_silent(s);
}

static void watch_rest(struct sb_session *s, uint64_t now_ms)
{
    if (s->rest_until_ms && now_ms >= s->rest_until_ms) {
        s->rest_until_ms = 0;
        sb_session_refresh(s);
    }
    if (s->blocked) /* descriptors in flight give no event when they land */
        sb_session_heard(s, true);
}

static void watch_session(struct sb_session *s, uint64_t now_ms)
{
    if (s->state == SB_SESSION_ATTACHING) {
        if (now_ms - s->attached_ms > s->broker->config.attach_ms)
            sb_session_end(s, "never took its pair");
        return;
    }
    sb_grants_tick(s, now_ms);
    watch_rest(s, now_ms);
    watch_leases(s, now_ms);
    watch_heartbeat(s, now_ms);
}

static void watch_endpoint(struct sb_endpoint *e, uint64_t now_ms)
{
    struct sb_listener *l;

    while (e->held && sb_endpoint_refuses(e) && now_ms >= e->held->info.accept_time_ns / 1000000u + e->config.hold_ms)
        sb_dispatch_refuse(e->held);
    DL_FOREACH(e->listeners, l)
        sb_listener_tick(l, now_ms);
    if (e->shards)
        sb_shard_tick(e, now_ms);
}

void sb_watch_tick(struct sb_broker *b)
{
    uint64_t now_ms = sb_clock_ms();
    struct sb_session *s, *s_tmp;
    struct sb_endpoint *e;

    sb_mailbox_collect(b->mailbox);
    DL_FOREACH_SAFE(b->sessions, s, s_tmp)
        watch_session(s, now_ms);
    DL_FOREACH(b->endpoints, e)
        watch_endpoint(e, now_ms);
    sb_reload_tick(b, now_ms);
    sb_supervise_tick(b, now_ms);
    sb_deposits_tick(b, now_ms);
    sb_outbounds_tick(b);
    sb_waiters_tick(b);
    sb_custody_tick(b);
    sb_greeter_tick(b->greeter, now_ms);
    if (sb_server_tick(b->server))
        sb_control_serve(b);
    sb_dispatch_note(b); /* room may have come from anywhere */
    sb_dispatch_pump(b);
}
