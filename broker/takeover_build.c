#include "broker/takeover_build.h"

#include <string.h>
#include <utlist.h>

#include "broker/custody.h"
#include "broker/deposit_inside.h"
#include "broker/dispatch.h"
#include "broker/endpoint.h"
#include "broker/holder.h"
#include "broker/inherit.h"
#include "broker/listener.h"
#include "broker/session.h"
#include "broker/shard.h"
#include "broker/supervise.h"
#include "proto/error.h"
#include "sockbroker/addr.h"

static sockbroker_status refuse(struct sockbroker_error *error, const char *what, const char *name)
{
    return sb_error_set(error, SOCKBROKER_BAD_MESSAGE, 0,
                        "the other broker gave %s \"%s\", which does not fit what came before", what, name);
}

/* ---- the broker, its endpoints ---- */

static void build_begin(struct sb_broker *b, const struct sb_takeover_begin *m)
{
    if (b->leases.sequence < m->lease_sequence)
        b->leases.sequence = m->lease_sequence;
    b->n_grants_made = m->grants_made;
    b->n_probes = m->probes;
    b->started_ms = m->started_ms;
    b->bad_messages = m->bad_messages;
    b->busy_refusals = m->busy_refusals;
    b->listener_repairs += m->listener_repairs;
    b->n_grants_given = m->grants_given;
    b->deposits_expired = m->deposits_expired;
    b->connects_failed = m->connects_failed;
}

static void take_counts(struct sb_endpoint_counters *c, const struct sb_takeover_endpoint *m)
{
    uint64_t *const all[SB_TAKEOVER_COUNTS] = { &c->accepted, &c->leased,   &c->acked,   &c->nacked,  &c->withdrawn,
                                                &c->released, &c->in_doubt, &c->refused, &c->denied,  &c->accept_errors,
                                                &c->held,     &c->held_max, &c->granted, &c->repaired };

    for (size_t i = 0; i < SB_TAKEOVER_COUNTS; i++)
        *all[i] = m->counts[i];
    c->held = 0;
    c->accept_to_lease = m->accept_to_lease;
    c->lease_to_ack = m->lease_to_ack;
}

/* It is not in our configuration: it lives until what it has is handed over. */
static sockbroker_status build_gone(struct sb_broker *b, const struct sb_takeover_endpoint *m, struct sb_endpoint **out)
{
    struct sb_endpoint_config c;

    sb_endpoint_config_init(&c);
    memcpy(c.name, m->name, sizeof(c.name));
    c.mode = (enum sb_mode)m->mode;
    c.policy = (enum sb_policy)m->policy;
    c.carrier = m->carrier;
    c.window = m->window;
    c.withdraw_after_ms = m->withdraw_after_ms;
    c.ack_timeout_ms = m->ack_timeout_ms;
    c.kill_stuck = m->kill_stuck;
    c.overload = (enum sb_overload)m->overload;
    c.hold_ms = m->hold_ms;
    c.hold_max = m->hold_max;
    return sb_endpoint_create_closing(b, &c, out);
}

static sockbroker_status build_endpoint(struct sb_broker *b, const struct sb_takeover_endpoint *m)
{
    struct sb_endpoint *e = m->is_closing ? NULL : sb_endpoint_find(b, m->name);
    sockbroker_status st = e ? SOCKBROKER_OK : build_gone(b, m, &e);

    if (st)
        return st;
    take_counts(&e->counters, m);
    e->paused = m->paused;
    e->resumed_ms = m->resumed_ms;
    return SOCKBROKER_OK;
}

static struct sb_shard *find_shard(struct sb_broker *b, const char *name, const struct sockbroker_addr *address)
{
    struct sb_endpoint *e = sb_endpoint_find(b, name);
    struct sb_shard *shard;

    DL_FOREACH(e ? e->shards : NULL, shard) {
        if (!sockbroker_addr_compare(&shard->group.as.addr, address))
            return shard;
    }
    return NULL;
}

/* A group that is not in our configuration, or that has other slots now, is ours to steer anew, or closed. */
static void build_shard(struct sb_broker *b, const struct sb_takeover_shard *m)
{
    struct sb_shard *shard = find_shard(b, m->endpoint, &m->address);

    if (!shard || shard->group.as.n_slots != m->n_slots)
        return;
    for (uint32_t i = 0; i < m->n_slots; i++) {
        shard->group.positions[i] = (uint16_t)m->positions[i];
        shard->group.weights[i] = m->steered[i];
        shard->weights[i] = m->weights[i];
    }
    shard->group.policy = (enum sb_steer_policy)m->policy;
    shard->group.fallback = m->fallback;
    shard->group.unsure = m->unsure;
}

/* ---- workers ---- */

static struct sb_listener *find_listener(struct sb_broker *b, const struct sb_takeover_holding *m)
{
    struct sb_endpoint *e = sb_endpoint_find(b, m->endpoint);
    struct sb_listener *l;

    DL_FOREACH(e ? e->listeners : NULL, l) {
        if (!sockbroker_addr_compare(&l->addr, &m->address) && (l->shard != NULL) == m->is_shard && l->slot == m->slot)
            return l;
    }
    return NULL;
}

/* Of a socket that is not in our configuration any more nobody needs to know. */
static sockbroker_status build_holding(struct sb_broker *b, const struct sb_takeover_holding *m, struct sockbroker_error *error)
{
    struct sb_session *s = sb_session_find(b, m->session_id);
    struct sb_listener *l = find_listener(b, m);

    if (!s)
        return refuse(error, "a socket of endpoint", m->endpoint);
    if (!l)
        return SOCKBROKER_OK;
    sockbroker_status st = sb_holder_add(l, s);
    if (!st)
        sb_holder_find(l, s)->has_it = m->has_it;
    return st;
}

static sockbroker_status build_connection(struct sb_broker *b, const struct sb_takeover_connection *m, sockbroker_socket *sock,
                                          struct sockbroker_error *error)
{
    struct sb_endpoint *e = sb_endpoint_find_any(b, m->record.info.endpoint);
    struct sb_session *s = m->session_id ? sb_session_find(b, m->session_id) : NULL;

    if (!e || (m->session_id && !s))
        return refuse(error, "a connection of endpoint", m->record.info.endpoint);
    return sb_dispatch_restore(e, m, s, sock);
}

static sockbroker_status build_connections(struct sb_broker *b, const struct sb_takeover_connections *m,
                                           sockbroker_socket *socks, struct sockbroker_error *error)
{
    sockbroker_status st = SOCKBROKER_OK;

    for (uint32_t i = 0; i < m->n && !st; i++)
        st = build_connection(b, &m->at[i], &socks[i], error);
    return st;
}

/* ---- deposits ---- */

static sockbroker_status build_state(struct sb_takeover_building *t, const struct sb_takeover_state *m,
                                     struct sockbroker_error *error)
{
    struct sb_kept *k = t->deposit;

    if (!k || m->offset != k->n_received || m->chunk_len > k->asked.state_len - k->n_received)
        return refuse(error, "the state of deposit", k ? k->asked.name : "");
    memcpy(k->state + k->n_received, m->chunk, m->chunk_len);
    k->n_received += m->chunk_len;
    return SOCKBROKER_OK;
}

/* ---- all ---- */

static sockbroker_status build(struct sb_takeover_building *t, const struct sb_takeover *m, sockbroker_socket *socks,
                               struct sockbroker_error *error)
{
    struct sb_broker *b = t->broker;

    switch (m->kind) {
    case SB_TAKEOVER_BEGIN:
        build_begin(b, &m->as.begin);
        return SOCKBROKER_OK;
    case SB_TAKEOVER_SOCKET:
        return sb_inherit_add(&b->inherited, m->as.socket.endpoint,
                              m->as.socket.is_shard ? m->as.socket.slot : SB_INHERIT_ANY_SLOT, &socks[0], error);
    case SB_TAKEOVER_ENDPOINT:
        return build_endpoint(b, &m->as.endpoint);
    case SB_TAKEOVER_SHARD:
        build_shard(b, &m->as.shard);
        return SOCKBROKER_OK;
    case SB_TAKEOVER_SESSION:
        return sb_session_restore(b, &m->as.session, socks);
    case SB_TAKEOVER_HOLDING:
        return build_holding(b, &m->as.holding, error);
    case SB_TAKEOVER_CONNECTIONS:
        return build_connections(b, &m->as.connections, socks, error);
    case SB_TAKEOVER_DEPOSIT:
        t->deposit = sb_deposit_restore(b, &m->as.deposit, &socks[0]);
        return t->deposit ? SOCKBROKER_OK : SOCKBROKER_NO_MEMORY;
    case SB_TAKEOVER_STATE:
        return build_state(t, &m->as.state, error);
    case SB_TAKEOVER_GROUP:
        t->generation = NULL;
        return sb_supervise_restore_group(b, &m->as.group, &t->group);
    case SB_TAKEOVER_GENERATION:
        return t->group ? sb_supervise_restore_generation(t->group, &m->as.generation, &t->generation)
                        : refuse(error, "a generation", "of no group");
    case SB_TAKEOVER_SLOT:
        return t->generation ? sb_supervise_restore_slot(t->generation, &m->as.slot, socks[0])
                             : refuse(error, "a worker", "of no generation");
    case SB_TAKEOVER_KEPT:
        return sb_custody_restore(b, m->as.kept.label, m->as.kept.number);
    case SB_TAKEOVER_HELLO:
    case SB_TAKEOVER_STEP:
    case SB_TAKEOVER_FAILED:
        break;
    }
    return refuse(error, "a message", "out of order");
}

sockbroker_status sb_takeover_build(struct sb_takeover_building *t, const struct sb_takeover *message, sockbroker_socket *socks,
                                    struct sockbroker_error *error_out)
{
    sb_error_set(error_out, SOCKBROKER_OK, 0, "%s", "");
    sockbroker_status st = build(t, message, socks, error_out);

    sb_takeover_close_socks(socks);
    if (st && !error_out->status)
        sb_error_set(error_out, st, 0, "what the other broker gave could not be taken: %s", sockbroker_status_text(st));
    return st;
}

void sb_takeover_built(struct sb_broker *b)
{
    struct sb_endpoint *e;

    sb_leases_settle(&b->leases);
    DL_FOREACH(b->endpoints, e) {
        if (e->shards)
            sb_shard_update(e);
    }
    sb_dispatch_note(b);
}

/* What waits in the queue of a socket that closes is taken over, as with a reload; not where workers accept it themselves. */
static void empty_queue(struct sb_broker *b, struct sb_inherited *s)
{
    struct sb_endpoint *e = sb_endpoint_find_any(b, s->endpoint);
    struct sb_listener *l;

    if (!e || e->config.mode != SB_MODE_HANDOFF || s->protocol != SB_PROTOCOL_TCP || s->slot != SB_INHERIT_ANY_SLOT)
        return;
    if (!sb_listener_create(e, &s->sock, &s->addr, s->dual, &l))
        sb_listener_close(l, e->config.backlog);
}

void sb_takeover_close_surplus(struct sb_broker *b)
{
    struct sb_inherited *s;

    DL_FOREACH(b->inherited, s)
        empty_queue(b, s);
    sb_inherit_close(&b->inherited);
    sb_dispatch_pump(b);
}
