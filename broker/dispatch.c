#include "broker/dispatch.h"

#include <utlist.h>

#include "broker/closer.h"
#include "broker/endpoint.h"
#include "broker/histogram.h"
#include "broker/listener.h"
#include "broker/log.h"
#include "broker/session.h"
#include "proto/clock.h"
#include "proto/socket.h"

/* True when a worker has it. Workers that cannot take it now are passed over until none is left. */
static bool offer(struct sb_conn *c)
{
    struct sb_endpoint *e = c->endpoint;
    uint64_t hash = e->config.policy == SB_POLICY_SOURCE_HASH ? sb_selector_hash(c->info.peer.ip, sizeof(c->info.peer.ip)) : 0;

    for (;;) {
        struct sb_member *m = sb_selector_choose(&e->selector, hash);

        if (!m)
            return false;
        if (sb_session_lease(m->session, m, c) == SOCKBROKER_OK)
            break;
    }
    e->counters.leased++;
    sb_histogram_add(&e->counters.accept_to_lease, c->leased_ns - c->info.accept_time_ns);
    return true;
}

/* reset: the client shall see that nobody served it. */
static void let_go(struct sb_conn *c, bool reset)
{
    struct sb_broker *b = c->endpoint->broker;

    c->endpoint->n_conns--;
    if (reset)
        sb_socket_reset(&c->sock); /* lingers for no time at all */
    else
        sb_closer_close(b, &c->sock);
    sb_conn_destroy(&b->leases, c);
}

static void count_held(struct sb_endpoint *e)
{
    e->counters.held++;
    if (e->counters.held > e->counters.held_max)
        e->counters.held_max = e->counters.held;
}

static void hold(struct sb_conn *c, bool first)
{
    struct sb_endpoint *e = c->endpoint;

    if (first)
        DL_PREPEND(e->held, c);
    else
        DL_APPEND(e->held, c);
    count_held(e);
}

static void unhold(struct sb_conn *c)
{
    DL_DELETE(c->endpoint->held, c);
    c->endpoint->counters.held--;
}

static bool must_refuse(const struct sb_endpoint *e)
{
    return sb_endpoint_refuses(e) && e->counters.held >= e->config.hold_max;
}

void sb_dispatch_new(struct sb_endpoint *e, sockbroker_socket *sock, const struct sockbroker_socket_info *info)
{
    struct sb_conn *c;

    if (sb_conn_create(&e->broker->leases, sock, info, e, &c)) {
        e->counters.refused++;
        sb_log(SB_LOG_ERROR, "connection_refused", "endpoint=%s cause=\"out of memory\"", e->config.name);
        sb_socket_reset(sock);
        return;
    }
    e->n_conns++;
    if (!e->held && !sb_endpoint_is_paused(e) && offer(c)) /* those that wait come first */
        return;
    if (must_refuse(e)) {
        e->counters.refused++;
        let_go(c, true);
        return;
    }
    hold(c, false);
}

sockbroker_status sb_dispatch_restore(struct sb_endpoint *e, const struct sb_takeover_connection *r, struct sb_session *session,
                                      sockbroker_socket *sock)
{
    struct sb_lease_table *leases = &e->broker->leases;
    struct sb_conn *c;
    sockbroker_status st = sb_conn_create(leases, sock, &r->record.info, e, &c);

    if (st)
        return st;
    e->n_conns++;
    if (!session) {
        hold(c, false);
        return SOCKBROKER_OK;
    }
    st = sb_lease_restore(leases, c, r->lease_id);
    if (st)
        return st; /* the process ends */
    c->leased_ns = r->leased_ns;
    sb_session_restore_lease(session, c);
    return SOCKBROKER_OK;
}

void sb_dispatch_again(struct sb_conn *c)
{
    sb_lease_end(&c->endpoint->broker->leases, c);
    c->session = NULL;
    c->endpoint->counters.released++;
    hold(c, true);
    sb_dispatch_note(c->endpoint->broker);
}

void sb_dispatch_delivered(struct sb_conn *c)
{
    struct sb_endpoint *e = c->endpoint;

    e->counters.acked++;
    sb_histogram_add(&e->counters.lease_to_ack, sb_clock_ns() - c->leased_ns);
    let_go(c, false);
}

void sb_dispatch_in_doubt(struct sb_conn *c, bool holder_is_dead)
{
    struct sb_endpoint *e = c->endpoint;

    e->counters.in_doubt++;
    sb_log(SB_LOG_WARNING, "connection_in_doubt", "endpoint=%s lease=%llu holder=%s", e->config.name,
           (unsigned long long)c->info.lease_id, holder_is_dead ? "dead" : "alive");
    let_go(c, holder_is_dead); /* a live holder's copy is not ours to reset */
}

void sb_dispatch_refuse(struct sb_conn *c)
{
    struct sb_endpoint *e = c->endpoint;

    unhold(c);
    e->counters.refused++;
    sb_log(SB_LOG_WARNING, "connection_refused", "endpoint=%s cause=\"no worker took it in time\"", e->config.name);
    let_go(c, true);
}

static void serve_held(struct sb_endpoint *e)
{
    while (e->held && !sb_endpoint_is_paused(e) && sb_selector_has_any(&e->selector)) {
        struct sb_conn *c = e->held;

        unhold(c);
        if (offer(c))
            continue;
        hold(c, true);
        return;
    }
}

void sb_dispatch_note(struct sb_broker *b)
{
    b->pump_needed = true;
}

void sb_dispatch_pump(struct sb_broker *b)
{
    struct sb_endpoint *e;
    struct sb_listener *l;

    while (b->pump_needed) { /* serving may end a session, which puts connections back */
        b->pump_needed = false;
        DL_FOREACH(b->endpoints, e)
            serve_held(e);
        DL_FOREACH(b->endpoints, e)
            DL_FOREACH(e->listeners, l)
                sb_listener_refresh(l);
    }
}
