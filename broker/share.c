#include "broker/share.h"

#include <stdio.h>
#include <string.h>
#include <utlist.h>

#include "broker/control.h"
#include "broker/custody.h"
#include "broker/endpoint.h"
#include "broker/grant.h"
#include "broker/holder.h"
#include "broker/listener.h"
#include "broker/log.h"
#include "broker/session.h"
#include "broker/shard.h"
#include "client-lib/datagram.h"
#include "proto/clock.h"
#include "proto/error.h"
#include "proto/socket.h"

static bool on_given(struct sb_grant *g)
{
    struct sb_listener *l = g->subject;

    l->endpoint->counters.granted++;
    if (!sb_holder_add(l, g->session)) { /* another grant of the same may have ended, and its holder with it */
        struct sb_holder *h = sb_holder_find(l, g->session);

        h->has_it = true;
        sb_custody_keep_holder(h);
    }
    sb_log(SB_LOG_INFO, "socket_given", "endpoint=%s worker=%s mode=%s", l->endpoint->config.name, g->session->name,
           sb_mode_name(l->endpoint->config.mode));
    if (l->shard)
        sb_shard_update(l->endpoint);
    return true; /* the broker keeps its own, whatever becomes of this one */
}

/* A slot that nobody came for is free again. */
static void forget_unfetched(struct sb_listener *l, const struct sb_session *s)
{
    struct sb_holder *h = sb_holder_find(l, s);

    if (h && !h->has_it)
        sb_holder_remove(h);
}

static void on_ended(struct sb_grant *g)
{
    forget_unfetched(g->subject, g->session);
}

static const struct sb_grant_kind share_kind = { .given = on_given, .ended = on_ended };

void sb_share_forget(struct sb_listener *l)
{
    struct sb_holder *h;
    struct sb_grant *g, *tmp;

    DL_FOREACH(l->holders, h) {
        DL_FOREACH_SAFE(h->session->grants, g, tmp) {
            if (g->kind == &share_kind && g->subject == l)
                sb_grant_destroy(g);
        }
    }
    sb_holders_forget_listener(l);
}

void sb_share_lose(struct sb_listener *l, const char *cause)
{
    struct sb_holder *h, *tmp;
    char names[200];

    l->endpoint->counters.repaired++;
    l->endpoint->broker->listener_repairs++;
    sb_log(SB_LOG_ERROR, "socket_lost", "endpoint=%s cause=\"%s\" by=\"%s\" cure=\"restart the workers that have it\"",
           l->endpoint->config.name, cause, sb_holders_name(l, names, sizeof(names)));
    DL_FOREACH_SAFE(l->holders, h, tmp) /* its workers cannot use it any more either */
        sb_session_drain(h->session);
    sb_share_forget(l);
    sb_socket_close(&l->sock);
    sb_custody_note(l->endpoint->broker); /* no other socket can be bound while a copy of this one is kept */
}

/* ---- UDP ---- */

/* Another one can be bound when all who had the old one have closed it. */
static void open_anew(struct sb_listener *l)
{
    const struct sb_endpoint_config *config = &l->endpoint->config;
    struct sb_datagram_request request = { .addr = l->addr, .dual = l->dual, .receive_buffer = config->receive_buffer };
    struct sb_datagram_facts facts;

    if (sb_datagram_open(&request, &l->sock, &facts, NULL))
        return;
    sb_guard_init(&l->guard, l->sock);
    sb_custody_note(l->endpoint->broker);
    sb_log(SB_LOG_NOTICE, "socket_back", "endpoint=%s", config->name);
}

void sb_share_keep_datagram(struct sb_listener *l)
{
    if (l->sock != SOCKBROKER_SOCKET_NONE && !sb_datagram_is_on(l->sock))
        sb_share_lose(l, "shut down"); /* nothing opens it again */
    if (l->sock == SOCKBROKER_SOCKET_NONE)
        open_anew(l);
}

/* ---- requests ---- */

static sockbroker_status refuse_mode(const struct sb_endpoint *e, struct sockbroker_error *error)
{
    return sb_error_set(error, SOCKBROKER_REFUSED, 0,
                        "endpoint \"%s\" has mode = handoff: its connections come by next(); give it mode = share or shard",
                        e->config.name);
}

/* The index counts what a worker can have: the sockets, or in a shard the addresses. */
static struct sb_listener *listener_at(const struct sb_endpoint *e, uint32_t index)
{
    struct sb_listener *l;

    DL_FOREACH(e->listeners, l) {
        if (index-- == 0)
            return l;
    }
    return NULL;
}

static uint32_t count_listeners(const struct sb_endpoint *e)
{
    struct sb_listener *l;
    uint32_t n;

    DL_COUNT(e->listeners, l, n);
    return n;
}

static sockbroker_status choose(struct sb_session *s, const struct sb_share *request, struct sb_listener **listener_out,
                                uint32_t *n_sockets_out, struct sockbroker_error *error)
{
    struct sb_endpoint *e = sb_endpoint_find(s->broker, request->endpoint);
    bool is_shard = e && e->config.mode == SB_MODE_SHARD;

    if (!e || !sb_session_member(s, e))
        return sb_error_set(error, SOCKBROKER_NOT_FOUND, 0, "worker %s does not serve an endpoint \"%s\"; attach to it first",
                            s->name, request->endpoint);
    if (e->config.mode == SB_MODE_HANDOFF)
        return refuse_mode(e, error);
    if (s->state == SB_SESSION_DRAINING)
        return sb_error_set(error, SOCKBROKER_DRAINING, 0, "worker %s was told to finish; it gets nothing new", s->name);
    *n_sockets_out = is_shard ? sb_shard_n_addresses(e) : count_listeners(e);
    if (request->index >= *n_sockets_out)
        return sb_error_set(error, SOCKBROKER_NOT_FOUND, 0, "endpoint \"%s\" has %u sockets, counted from 0; there is no %u",
                            e->config.name, *n_sockets_out, request->index);
    if (is_shard)
        return sb_shard_choose(e, s, request->index, listener_out, error);
    *listener_out = listener_at(e, request->index);
    if ((*listener_out)->sock == SOCKBROKER_SOCKET_NONE)
        return sb_error_set(error, SOCKBROKER_BUSY, 0,
                            "a worker has shut the socket of endpoint \"%s\" down; it comes back when all who have it close it",
                            e->config.name);
    return SOCKBROKER_OK;
}

static void describe(const struct sb_listener *l, struct sb_grant *g, struct sb_granted *granted)
{
    bool is_udp = l->endpoint->config.protocol == SB_PROTOCOL_UDP;
    struct sockbroker_socket_info info = { .accept_time_ns = sb_clock_ns(),
                                           .socket_family = l->addr.family,
                                           .type = is_udp ? SOCKBROKER_DATAGRAM : SOCKBROKER_STREAM,
                                           .protocol = is_udp ? 17 : 6,
                                           .nonblocking = true,
                                           .listening = !is_udp,
                                           .local = l->addr };

    memcpy(info.endpoint, l->endpoint->config.name, sizeof(info.endpoint));
    sb_grant_describe_socket(g, &info, granted);
}

static sockbroker_status grant(struct sb_session *s, const struct sb_share *request, struct sb_granted *granted,
                               struct sockbroker_error *error)
{
    struct sb_listener *l;
    struct sb_grant *g;
    sockbroker_status st = choose(s, request, &l, &granted->n_sockets, error);

    if (st)
        return st;
    if (l->shard && !l->holders)
        sb_listener_restore(l); /* as the one before may have left it */
    st = sb_holder_add(l, s);
    if (!st)
        st = sb_grant_create(s, &share_kind, l->sock, l, &g);
    if (st)
        forget_unfetched(l, s);
    if (st)
        return sb_error_set(error, st, 0, "endpoint \"%s\": %s", request->endpoint, sockbroker_status_text(st));
    describe(l, g, granted);
    return SOCKBROKER_OK;
}

void sb_share(struct sb_session *s, const struct sb_share *request, struct sb_call *call)
{
    struct sb_reply reply = { .kind = SB_REPLY_GRANTED };
    struct sockbroker_error error;
    sockbroker_status st = grant(s, request, &reply.as.granted, &error);

    if (st)
        sb_control_fail(call, st, error.text);
    else
        sb_call_reply(call, &reply);
}
