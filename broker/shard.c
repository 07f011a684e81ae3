#include "broker/shard.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "broker/custody.h"
#include "broker/dispatch.h"
#include "broker/holder.h"
#include "broker/inherit.h"
#include "broker/listener.h"
#include "broker/log.h"
#include "broker/session.h"
#include "proto/error.h"
#include "proto/socket.h"

#define AUDIT_MS 2000 /* how often what cannot be seen is looked for: wrong positions, changed options */

static enum sb_steer_policy policy_of(const struct sb_shard *shard)
{
    uint32_t weight = 0;

    if (shard->endpoint->config.policy == SB_POLICY_SOURCE_HASH)
        return SB_STEER_SOURCE_HASH;
    for (size_t i = 0; i < SB_STEER_SLOTS_MAX; i++) {
        if (shard->weights[i] && weight && shard->weights[i] != weight)
            return SB_STEER_WEIGHTED;
        weight = shard->weights[i] ? shard->weights[i] : weight;
    }
    return SB_STEER_EVEN;
}

/* ---- opening ---- */

/* The listener borrows the group's socket. */
static sockbroker_status add_listener(struct sb_shard *shard, size_t slot)
{
    const struct sb_shard_request *as = &shard->group.as;
    sockbroker_socket sock = sb_shard_group_socket(&shard->group, slot);
    sockbroker_status st = sb_listener_create(shard->endpoint, &sock, &as->addr, as->dual, &shard->slots[slot]);

    if (st)
        return st;
    shard->slots[slot]->shard = shard;
    shard->slots[slot]->slot = slot;
    return SOCKBROKER_OK;
}

static sockbroker_status add_listeners(struct sb_shard *shard)
{
    sockbroker_status st = SOCKBROKER_OK;

    for (size_t i = 0; i < shard->group.as.n_slots && !st; i++)
        st = add_listener(shard, i);
    for (size_t i = 0; st && i < shard->group.as.n_slots && shard->slots[i]; i++)
        sb_listener_close(shard->slots[i], 0);
    return st;
}

/* Clients go where there may be a worker that has the socket; it comes back soon, or its end is noticed. */
static void weigh_claims(struct sb_shard *shard, const sockbroker_socket *socks, size_t n)
{
    for (size_t i = 0; i < n; i++)
        shard->weights[i] = socks[i] != SOCKBROKER_SOCKET_NONE && sb_custody_is_claimed(shard->endpoint->broker, socks[i]);
}

/* From sockets that came from somebody else; false when there are none of this group. */
static bool adopt(struct sb_shard *shard, const struct sb_endpoint_config *config, const struct sb_listen_request *request,
                  struct sb_shard_request *how)
{
    sockbroker_socket socks[SB_STEER_SLOTS_MAX];
    struct sb_listen_request r = *request;
    bool any = false;

    for (uint32_t i = 0; i < config->slots; i++) {
        struct sockbroker_addr at;

        socks[i] = SOCKBROKER_SOCKET_NONE;
        if (!sb_inherit_take(&shard->endpoint->broker->inherited, config->name, config->protocol, i, &r, &socks[i], &at))
            continue;
        r.addr.port = at.port; /* of one group now */
        how->addr = at;
        any = true;
    }
    if (!any)
        return false;
    how->dual = request->dual && how->addr.family == request->addr.family;
    weigh_claims(shard, socks, config->slots);
    sb_shard_group_adopt(how, socks, &(struct sb_steering){ policy_of(shard), shard->weights, config->slots, 0 },
                         &shard->group);
    return true;
}

/* Those of the broker that we take over from. How many there were: all, or none. */
static size_t take_inherited(struct sb_endpoint *e, const struct sb_endpoint_config *config, struct sb_shard_request *how,
                             sockbroker_socket *socks)
{
    struct sb_listen_request r = { .addr = how->addr, .dual = how->dual };
    size_t n = 0;

    while (n < how->n_slots &&
           sb_inherit_take(&e->broker->inherited, config->name, config->protocol, (uint32_t)n, &r, &socks[n], &how->addr)) {
        r.addr = how->addr;
        n++;
    }
    return n;
}

/* It still serves with them. */
static bool join(struct sb_shard *shard, const struct sb_endpoint_config *config, struct sb_shard_request *how)
{
    struct sb_shard_request as = *how;
    sockbroker_socket socks[SB_STEER_SLOTS_MAX];
    size_t n = take_inherited(shard->endpoint, config, &as, socks);

    if (n == as.n_slots) {
        sb_shard_group_join(&as, socks, &shard->group);
        return true;
    }
    while (n)
        sb_socket_close(&socks[--n]);
    return false;
}

static sockbroker_status open_group(struct sb_shard *shard, const struct sb_endpoint_config *config,
                                    const struct sb_listen_request *request, struct sb_shard_request *how,
                                    enum sb_listen_note *note_out, struct sockbroker_error *error)
{
    bool is_there = shard->endpoint->broker->taking ? join(shard, config, how) : adopt(shard, config, request, how);

    *note_out = SB_LISTEN_AS_ASKED;
    return is_there ? SOCKBROKER_OK : sb_shard_group_open(how, &shard->group, note_out, error);
}

sockbroker_status sb_shard_open(struct sb_endpoint *e, const struct sb_endpoint_config *config,
                                const struct sb_listen_request *request, struct sb_shard **shard_out,
                                enum sb_listen_note *note_out, struct sockbroker_error *error_out)
{
    struct sb_shard *shard = calloc(1, sizeof(*shard));
    struct sb_shard_request how = { .addr = request->addr,
                                    .dual = request->dual,
                                    .type = config->protocol == SB_PROTOCOL_UDP ? SOCKBROKER_DATAGRAM : SOCKBROKER_STREAM,
                                    .backlog = request->backlog,
                                    .receive_buffer = config->receive_buffer,
                                    .n_slots = config->slots };

    if (!shard)
        return sb_error_set(error_out, SOCKBROKER_NO_MEMORY, 0, "out of memory for a shard");
    shard->endpoint = e;
    sockbroker_status st = open_group(shard, config, request, &how, note_out, error_out);
    if (st) {
        free(shard);
        return st;
    }
    st = add_listeners(shard);
    if (st) {
        sb_shard_close(shard);
        return sb_error_set(error_out, st, 0, "the listeners of a shard: %s", sockbroker_status_text(st));
    }
    *shard_out = shard;
    return SOCKBROKER_OK;
}

void sb_shard_close(struct sb_shard *shard)
{
    sb_shard_group_close(&shard->group);
    free(shard);
}

/* ---- slots ---- */

uint32_t sb_shard_n_addresses(const struct sb_endpoint *e)
{
    const struct sb_shard *shard;
    uint32_t n;

    DL_COUNT(e->shards, shard, n);
    return n;
}

static struct sb_shard *shard_at(const struct sb_endpoint *e, uint32_t index)
{
    struct sb_shard *shard = e->shards;

    while (index--)
        shard = shard->next;
    return shard;
}

/* Whose slot it is, in any of the groups; NULL: it is free. */
static const struct sb_session *owner_of(const struct sb_endpoint *e, size_t slot)
{
    const struct sb_shard *shard;

    DL_FOREACH(e->shards, shard) {
        if (shard->slots[slot]->holders)
            return shard->slots[slot]->holders->session;
    }
    return NULL;
}

static bool find_slot(const struct sb_endpoint *e, const struct sb_session *s, size_t *slot_out)
{
    bool found = false;

    for (size_t i = 0; i < e->config.slots; i++) {
        const struct sb_session *owner = owner_of(e, i);

        if (owner == s) {
            *slot_out = i;
            return true;
        }
        if (!owner && !found) {
            *slot_out = i;
            found = true;
        }
    }
    return found;
}

sockbroker_status sb_shard_choose(struct sb_endpoint *e, const struct sb_session *s, uint32_t index,
                                  struct sb_listener **listener_out, struct sockbroker_error *error_out)
{
    size_t slot;

    if (!find_slot(e, s, &slot))
        return sb_error_set(error_out, SOCKBROKER_BUSY, 0, "all %u slots of endpoint \"%s\" are taken; raise slots",
                            e->config.slots, e->config.name);
    *listener_out = shard_at(e, index)->slots[slot];
    return SOCKBROKER_OK;
}

bool sb_shard_is_live(const struct sb_listener *l)
{
    return l->holders && l->holders->has_it && l->holders->session->state == SB_SESSION_READY;
}

/* ---- steering ---- */

/* True when they are not as before. */
static bool weigh(struct sb_shard *shard)
{
    bool changed = false;

    for (size_t i = 0; i < shard->group.as.n_slots; i++) {
        const struct sb_listener *l = shard->slots[i];
        uint32_t weight =
            sb_shard_is_live(l) ? l->holders->session->weight : sb_custody_is_claimed(shard->endpoint->broker, l->sock);

        changed |= weight != shard->weights[i];
        shard->weights[i] = weight;
    }
    return changed;
}

static void steer(struct sb_shard *shard)
{
    struct sb_steering how = { policy_of(shard), shard->weights, shard->group.as.n_slots, 0 };
    struct sockbroker_error error;

    if (sb_shard_group_steer(&shard->group, &how, &error))
        sb_log(SB_LOG_WARNING, "steering_failed", "endpoint=%s cause=\"%s\" effect=\"the old one stays\"",
               shard->endpoint->config.name, error.text);
}

void sb_shard_update(struct sb_endpoint *e)
{
    struct sb_shard *shard;

    DL_FOREACH(e->shards, shard) {
        if (weigh(shard))
            steer(shard);
        for (size_t i = 0; i < shard->group.as.n_slots; i++)
            sb_listener_refresh(shard->slots[i]);
    }
}

void sb_shard_reconfigure(struct sb_endpoint *e)
{
    struct sb_shard *shard;

    DL_FOREACH(e->shards, shard) {
        shard->group.as.backlog = e->config.backlog;
        steer(shard);
    }
}

/* ---- repairs ---- */

/* Before a repair, which may close them. */
static void pause_lost(struct sb_shard *shard)
{
    for (size_t i = 0; i < shard->group.as.n_slots; i++) {
        if (shard->group.positions[i] == SB_SHARD_NOWHERE || !sb_shard_group_is_on(&shard->group, i))
            sb_listener_pause(shard->slots[i]);
    }
}

/* The worker's is a dead socket now, and it cannot be given another in its place. */
static void replace(struct sb_shard *shard, size_t slot)
{
    struct sb_listener *old = shard->slots[slot];
    struct sb_session *owner = old->holders ? old->holders->session : NULL;

    if (add_listener(shard, slot)) {
        shard->slots[slot] = old; /* the next repair tries again */
        return;
    }
    DL_REPLACE_ELEM(shard->endpoint->listeners, old, shard->slots[slot]);
    sb_listener_close(old, 0);
    if (owner)
        sb_session_drain(owner);
}

static void note_repair(struct sb_shard *shard, size_t slot, enum sb_shard_repaired what)
{
    struct sb_listener *l = shard->slots[slot];
    char names[200];

    if (what == SB_SHARD_AS_IT_WAS)
        return;
    shard->endpoint->counters.repaired++;
    shard->endpoint->broker->listener_repairs++;
    sb_log(SB_LOG_WARNING, "listener_repaired", "endpoint=%s slot=%zu cause=\"%s\" by=\"%s\" result=%s",
           shard->endpoint->config.name, slot, "shut down or connected", sb_holders_name(l, names, sizeof(names)),
           what == SB_SHARD_LOST       ? "lost"
           : what == SB_SHARD_REPLACED ? "replaced"
                                       : "listens");
    if (what == SB_SHARD_REPLACED)
        replace(shard, slot);
}

static void repair(struct sb_shard *shard, bool audit)
{
    enum sb_shard_repaired what[SB_STEER_SLOTS_MAX];
    struct sockbroker_error error;

    pause_lost(shard);
    sockbroker_status st =
        audit ? sb_shard_group_audit(&shard->group, what, &error) : sb_shard_group_repair(&shard->group, what, &error);

    for (size_t i = 0; i < shard->group.as.n_slots; i++) {
        note_repair(shard, i, what[i]);
        sb_listener_refresh(shard->slots[i]);
    }
    shard->is_failing = st != SOCKBROKER_OK;
    if (st && st != SOCKBROKER_AGAIN)
        sb_log(SB_LOG_WARNING, "shard_not_repaired", "endpoint=%s cause=\"%s\" effect=\"tried again\"",
               shard->endpoint->config.name, error.text);
}

static bool is_well(const struct sb_shard *shard)
{
    for (size_t i = 0; i < shard->group.as.n_slots; i++) {
        if (!sb_shard_group_is_on(&shard->group, i))
            return false;
    }
    return !shard->group.unsure;
}

/* True when any worker has one. */
static bool restore_held(const struct sb_shard *shard)
{
    bool any = false;

    for (size_t i = 0; i < shard->group.as.n_slots; i++) {
        if (!shard->slots[i]->holders)
            continue;
        sb_listener_restore(shard->slots[i]);
        any = true;
    }
    return any;
}

/* At once what can be seen and mended; now and then the rest. */
static void look_after(struct sb_shard *shard, uint64_t now_ms)
{
    bool is_due = now_ms >= shard->audit_at_ms;
    bool audit = is_due && restore_held(shard);

    if (is_due)
        shard->audit_at_ms = now_ms + AUDIT_MS;
    if (audit || (!is_well(shard) && (is_due || !shard->is_failing)))
        repair(shard, audit);
}

/* ---- workers that do not accept any more ---- */

/* Its queue has not been empty for long: asked whether it is there, it answers, or what waits goes to others. */
static void watch_queue(struct sb_listener *l, uint64_t now_ms)
{
    struct sb_session *s = l->holders ? l->holders->session : NULL;
    uint32_t patience_ms = l->endpoint->config.withdraw_after_ms;

    if (!sb_shard_is_live(l) || !sb_listen_queue(l->sock)) {
        l->queued_since_ms = 0;
        l->is_asked = false;
        return;
    }
    if (!l->queued_since_ms || (l->is_asked && !s->probe)) { /* it was asked, and has answered: it is only busy */
        l->queued_since_ms = now_ms;
        l->is_asked = false;
    }
    uint64_t age_ms = now_ms - l->queued_since_ms;
    if (age_ms < patience_ms)
        return;
    if (l->is_asked && age_ms >= 2 * (uint64_t)patience_ms)
        sb_session_mark_stuck(s);
    else if (!l->is_asked)
        sb_session_probe(s);
    l->is_asked = true;
}

void sb_shard_tick(struct sb_endpoint *e, uint64_t now_ms)
{
    struct sb_shard *shard;

    DL_FOREACH(e->shards, shard) {
        look_after(shard, now_ms);
        for (size_t i = 0; e->config.protocol == SB_PROTOCOL_TCP && i < shard->group.as.n_slots; i++)
            watch_queue(shard->slots[i], now_ms);
    }
}
