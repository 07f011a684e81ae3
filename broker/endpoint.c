#include "broker/endpoint.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "broker/custody.h"
#include "broker/dispatch.h"
#include "broker/holder.h"
#include "broker/listener.h"
#include "broker/opening.h"
#include "broker/session.h"
#include "broker/shard.h"
#include "client-lib/datagram.h"
#include "client-lib/listen.h"
#include "proto/clock.h"
#include "proto/error.h"
#include "proto/socket.h"

/* ---- life ---- */

sockbroker_status sb_endpoint_open(struct sb_broker *b, const struct sb_endpoint_config *config, const struct sb_config *next,
                                   struct sb_endpoint **endpoint_out, struct sockbroker_error *error_out)
{
    struct sb_endpoint *e = calloc(1, sizeof(*e));

    if (!e)
        return sb_error_set(error_out, SOCKBROKER_NO_MEMORY, 0, "endpoint %s: out of memory", config->name);
    e->broker = b;
    sb_selector_init(&e->selector, config->policy);
    sockbroker_status st = sb_endpoint_config_copy(config, &e->config);
    if (!st)
        st = sb_opening_listeners(e, config, next, &e->listeners, error_out);
    if (st) {
        sb_endpoint_config_deinit(&e->config);
        free(e);
        return st;
    }
    *endpoint_out = e;
    return SOCKBROKER_OK;
}

sockbroker_status sb_endpoint_create_closing(struct sb_broker *b, const struct sb_endpoint_config *config,
                                             struct sb_endpoint **endpoint_out)
{
    struct sb_endpoint *e = calloc(1, sizeof(*e));

    if (!e)
        return SOCKBROKER_NO_MEMORY;
    e->broker = b;
    e->state = SB_ENDPOINT_CLOSING;
    e->closing_ms = sb_clock_ms();
    sb_selector_init(&e->selector, config->policy);
    sockbroker_status st = sb_endpoint_config_copy(config, &e->config);
    if (st) {
        free(e);
        return st;
    }
    DL_APPEND(b->endpoints, e);
    *endpoint_out = e;
    return SOCKBROKER_OK;
}

/* A worker that is well, or another listener, may have the same socket: then its queue is in good hands. */
static bool is_shared(struct sb_broker *b, const struct sb_listener *l)
{
    struct sb_listen_request same = { .addr = l->addr, .dual = l->dual };
    const struct sb_holder *h;

    DL_FOREACH(l->holders, h) {
        if (h->has_it && h->session->state == SB_SESSION_READY)
            return true;
    }
    return sb_opening_find(b, l->endpoint->config.protocol, &same) != NULL;
}

/* unused: they never accepted, so nothing in their queue is ours. */
static void close_list(struct sb_endpoint *e, struct sb_listener *list, bool unused)
{
    struct sb_listener *l, *tmp;

    if (!unused)
        sb_custody_release(e->broker, list);
    DL_FOREACH_SAFE(list, l, tmp)
        sb_listener_close(l, unused || is_shared(e->broker, l) ? 0 : e->config.backlog);
}

void sb_endpoint_close_listeners(struct sb_endpoint *e)
{
    struct sb_listener *list = e->listeners;

    e->listeners = NULL;
    close_list(e, list, false);
    sb_opening_close_shards(e);
    e->state = SB_ENDPOINT_CLOSING;
    e->closing_ms = sb_clock_ms();
}

void sb_endpoint_destroy_unused(struct sb_endpoint *e)
{
    close_list(e, e->listeners, true);
    e->listeners = NULL;
    sb_opening_close_shards(e);
    e->state = SB_ENDPOINT_CLOSING;
    sb_endpoint_destroy(e);
}

void sb_endpoint_destroy(struct sb_endpoint *e)
{
    if (e->state == SB_ENDPOINT_LISTENING)
        sb_endpoint_close_listeners(e);
    while (e->held)
        sb_dispatch_refuse(e->held);
    sb_selector_deinit(&e->selector);
    sb_endpoint_config_deinit(&e->config);
    free(e);
}

static void apply_backlog(struct sb_endpoint *e)
{
    struct sb_listener *l;

    if (e->config.protocol == SB_PROTOCOL_UDP)
        return;
    DL_FOREACH(e->listeners, l)
        sb_listen_again(l->sock, &l->addr, e->config.backlog);
}

sockbroker_status sb_endpoint_prepare(struct sb_endpoint *e, const struct sb_endpoint_config *config,
                                      const struct sb_config *next, struct sockbroker_error *error_out)
{
    struct sb_endpoint_change *change = calloc(1, sizeof(*change));
    sockbroker_status st = change ? sb_endpoint_config_copy(config, &change->config) : SOCKBROKER_NO_MEMORY;

    if (st) {
        free(change);
        return sb_error_set(error_out, st, 0, "endpoint %s: out of memory", config->name);
    }
    change->moves = !sb_endpoint_config_same_sockets(&e->config, config);
    if (change->moves && (e->config.mode == SB_MODE_SHARD || config->mode == SB_MODE_SHARD))
        st = sb_error_set(error_out, SOCKBROKER_INVALID, 0,
                          "endpoint %s: the addresses, slots and mode of a shard cannot change while it runs; give the new one "
                          "another name and port, or restart the broker",
                          config->name);
    else if (change->moves)
        st = sb_opening_listeners(e, config, next, &change->listeners, error_out);
    if (st) {
        sb_endpoint_config_deinit(&change->config);
        free(change);
        return st;
    }
    e->change = change;
    return SOCKBROKER_OK;
}

void sb_endpoint_cancel(struct sb_endpoint *e)
{
    if (!e->change)
        return;
    close_list(e, e->change->listeners, true);
    sb_endpoint_config_deinit(&e->change->config);
    free(e->change);
    e->change = NULL;
}

static void apply_receive_buffer(struct sb_endpoint *e)
{
    struct sb_listener *l;
    struct sb_shard *shard;

    DL_FOREACH(e->shards, shard)
        shard->group.as.receive_buffer = e->config.receive_buffer;
    DL_FOREACH(e->listeners, l) {
        if (!l->is_datagram || l->sock == SOCKBROKER_SOCKET_NONE)
            continue;
        sb_guard_check(&l->guard, l->sock, 0);
        sb_datagram_set_receive_buffer(l->sock, e->config.receive_buffer);
        sb_guard_init(&l->guard, l->sock);
    }
}

bool sb_endpoint_commit(struct sb_endpoint *e)
{
    struct sb_endpoint_change *change = e->change;
    struct sb_listener *old = e->listeners;
    bool backlog_changed = e->config.backlog != change->config.backlog;
    bool buffer_changed = e->config.receive_buffer != change->config.receive_buffer;
    bool moved = change->moves;

    if (moved) {
        e->listeners = change->listeners;
        close_list(e, old, false);
    }
    sb_endpoint_config_deinit(&e->config);
    e->config = change->config;
    free(change);
    e->change = NULL;
    if (backlog_changed)
        apply_backlog(e);
    if (buffer_changed)
        apply_receive_buffer(e);
    sb_shard_reconfigure(e);
    sb_dispatch_note(e->broker);
    return moved;
}

struct sb_endpoint *sb_endpoint_find(struct sb_broker *b, const char *name)
{
    struct sb_endpoint *e;

    DL_FOREACH(b->endpoints, e) {
        if (e->state == SB_ENDPOINT_LISTENING && !strcmp(e->config.name, name))
            return e;
    }
    return NULL;
}

struct sb_endpoint *sb_endpoint_find_any(struct sb_broker *b, const char *name)
{
    struct sb_endpoint *found = sb_endpoint_find(b, name);
    struct sb_endpoint *e;

    DL_FOREACH(b->endpoints, e) {
        if (!found && !strcmp(e->config.name, name))
            found = e;
    }
    return found;
}

void sb_endpoint_set_paused(struct sb_endpoint *e, bool paused)
{
    if (e->paused && !paused)
        e->resumed_ms = sb_clock_ms();
    e->paused = paused;
    sb_dispatch_note(e->broker);
}

bool sb_endpoint_is_paused(const struct sb_endpoint *e)
{
    return e->paused && e->state == SB_ENDPOINT_LISTENING;
}

bool sb_endpoint_refuses(const struct sb_endpoint *e)
{
    if (e->config.overload != SB_OVERLOAD_REFUSE || sb_endpoint_is_paused(e))
        return false;
    return !e->resumed_ms || sb_clock_ms() >= e->resumed_ms + e->config.hold_ms;
}

/* ---- what it admits ---- */

bool sb_endpoint_has_room(const struct sb_endpoint *e)
{
    const struct sb_broker *b = e->broker;
    uint32_t n = b->leases.n_conns + b->n_closing + b->n_deposits;

    if (e->state != SB_ENDPOINT_LISTENING || n >= b->max_connections || n + b->n_rings >= b->n_descriptors)
        return false;
    if (e->paused)
        return e->counters.held < e->config.hold_max;
    if (sb_selector_has_any(&e->selector) || sb_endpoint_refuses(e))
        return true;
    return !e->n_ready && e->counters.held < e->config.hold_max;
}

static bool is_in(const struct sb_prefix_list *list, const struct sockbroker_addr *addr)
{
    for (size_t i = 0; i < list->n; i++) {
        if (sockbroker_prefix_match(&list->prefixes[i], addr))
            return true;
    }
    return false;
}

bool sb_endpoint_admits_client(const struct sb_endpoint *e, const struct sockbroker_addr *addr)
{
    if (is_in(&e->config.deny, addr))
        return false;
    return !e->config.allow.n || is_in(&e->config.allow, addr);
}

bool sb_endpoint_admits_worker(const struct sb_endpoint *e, uint32_t uid, uint32_t gid)
{
    return sb_endpoint_config_admits(&e->config, uid, gid);
}

const char *sb_endpoint_state_name(const struct sb_endpoint *e)
{
    const struct sb_listener *l;

    if (e->state == SB_ENDPOINT_CLOSING)
        return "closing";
    if (e->paused)
        return "paused";
    DL_FOREACH(e->listeners, l) {
        if (l->resume_at_ms)
            return "paused";
    }
    return e->n_ready ? "listening" : "no-worker";
}
