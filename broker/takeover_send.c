#include "broker/takeover_send.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "broker/custody.h"
#include "broker/deposit_inside.h"
#include "broker/endpoint.h"
#include "broker/holder.h"
#include "broker/keeper_link.h"
#include "broker/listener.h"
#include "broker/process.h"
#include "broker/session.h"
#include "broker/shard.h"
#include "broker/supervise_inside.h"
#include "proto/failpoint.h"
#include "proto/socket.h"
#include "proto/thread.h"
#include "sockbroker/sockbroker.h"

struct sender {
    struct sb_broker *broker;
    sockbroker_socket channel;
    uint64_t until_ms;
    bool counts_only; /* how many there are is said first */
    uint64_t n;
    struct sb_takeover message;
    sockbroker_socket socks[SB_TAKEOVER_DESCRIPTORS_MAX];
};

/* Zeroes the message, which takes time for the largest: only what this kind has. */
static void *begin(struct sender *s, enum sb_takeover_kind kind, size_t size)
{
    s->message.kind = kind;
    memset(&s->message.as, 0, size);
    return &s->message.as;
}

static sockbroker_status put(struct sender *s)
{
    s->n++;
    if (s->counts_only)
        return SOCKBROKER_OK;
    if (s->message.kind != SB_TAKEOVER_SOCKET)
        (void)sb_failpoint("takeover_old_4");
    return sb_takeover_send(s->channel, &s->message, s->socks, s->until_ms);
}

/* ---- endpoints ---- */

static sockbroker_status put_socket(struct sender *s, const struct sb_listener *l)
{
    struct sb_takeover_socket *m = begin(s, SB_TAKEOVER_SOCKET, sizeof(*m));

    memcpy(m->endpoint, l->endpoint->config.name, sizeof(m->endpoint));
    m->is_shard = l->shard != NULL;
    m->slot = (uint32_t)l->slot;
    s->socks[0] = l->sock;
    return put(s);
}

static sockbroker_status put_sockets(struct sender *s)
{
    const struct sb_endpoint *e;
    const struct sb_listener *l;
    sockbroker_status st = SOCKBROKER_OK;

    DL_FOREACH(s->broker->endpoints, e) {
        DL_FOREACH(e->listeners, l) {
            if (!st && l->sock != SOCKBROKER_SOCKET_NONE)
                st = put_socket(s, l);
        }
    }
    return st;
}

static void fill_counts(const struct sb_endpoint_counters *c, uint64_t counts[SB_TAKEOVER_COUNTS])
{
    const uint64_t all[SB_TAKEOVER_COUNTS] = { c->accepted,  c->leased,   c->acked,   c->nacked,  c->withdrawn,
                                               c->released,  c->in_doubt, c->refused, c->denied,  c->accept_errors,
                                               0 /* held */, c->held_max, c->granted, c->repaired };

    memcpy(counts, all, sizeof(all));
}

static sockbroker_status put_endpoint(struct sender *s, const struct sb_endpoint *e)
{
    const struct sb_endpoint_config *c = &e->config;
    struct sb_takeover_endpoint *m = begin(s, SB_TAKEOVER_ENDPOINT, sizeof(*m));

    memcpy(m->name, c->name, sizeof(m->name));
    fill_counts(&e->counters, m->counts);
    m->accept_to_lease = e->counters.accept_to_lease;
    m->lease_to_ack = e->counters.lease_to_ack;
    m->mode = c->mode;
    m->policy = c->policy;
    m->carrier = c->carrier;
    m->window = c->window;
    m->withdraw_after_ms = c->withdraw_after_ms;
    m->ack_timeout_ms = c->ack_timeout_ms;
    m->kill_stuck = c->kill_stuck;
    m->overload = c->overload;
    m->hold_ms = c->hold_ms;
    m->hold_max = c->hold_max;
    m->is_closing = e->state == SB_ENDPOINT_CLOSING;
    m->paused = e->paused;
    m->resumed_ms = e->resumed_ms;
    return put(s);
}

static sockbroker_status put_endpoints(struct sender *s)
{
    const struct sb_endpoint *e;
    sockbroker_status st = SOCKBROKER_OK;

    DL_FOREACH(s->broker->endpoints, e) {
        if (!st)
            st = put_endpoint(s, e);
    }
    return st;
}

static sockbroker_status put_shard(struct sender *s, const struct sb_shard *shard)
{
    const struct sb_shard_group *g = &shard->group;
    struct sb_takeover_shard *m = begin(s, SB_TAKEOVER_SHARD, sizeof(*m));

    memcpy(m->endpoint, shard->endpoint->config.name, sizeof(m->endpoint));
    m->address = g->as.addr;
    m->n_slots = m->n_weights = m->n_steered = (uint32_t)g->as.n_slots;
    for (size_t i = 0; i < g->as.n_slots; i++) {
        m->positions[i] = g->positions[i];
        m->weights[i] = shard->weights[i];
        m->steered[i] = g->weights[i];
    }
    m->policy = g->policy;
    m->fallback = (uint32_t)g->fallback;
    m->unsure = g->unsure;
    return put(s);
}

static sockbroker_status put_shards(struct sender *s)
{
    const struct sb_endpoint *e;
    const struct sb_shard *shard;
    sockbroker_status st = SOCKBROKER_OK;

    DL_FOREACH(s->broker->endpoints, e) {
        DL_FOREACH(e->shards, shard) {
            if (!st)
                st = put_shard(s, shard);
        }
    }
    return st;
}

/* ---- sessions ---- */

static void fill_places(const struct sb_session *from, struct sb_takeover_session *m)
{
    for (uint32_t i = 0; i < from->n_places && m->n_places < SB_ENDPOINTS_PER_WORKER_MAX; i++) {
        const struct sb_place *p = &from->places[i];

        if (!p->endpoint)
            continue;
        memcpy(m->places[m->n_places].endpoint, p->endpoint->config.name, sizeof(m->places[0].endpoint));
        m->places[m->n_places++].n_open = p->member.n_open;
    }
}

static void fill_session(const struct sb_session *from, struct sb_takeover_session *m)
{
    m->key = from->key;
    memcpy(m->token, from->token, sizeof(m->token));
    m->token_spent = from->token_spent;
    memcpy(m->name, from->name, sizeof(m->name));
    m->generation = from->generation;
    m->weight = from->weight;
    m->window = from->asked_window;
    m->carrier = from->carrier;
    m->state = (uint32_t)from->state + 1;
    m->pid = from->peer.pid;
    m->uid = from->peer.uid;
    m->gid = from->peer.gid;
    m->has_pair = from->peer.handle != SOCKBROKER_SOCKET_NONE;
    m->has_ring = from->ring.page != NULL;
    m->uses_ring = from->uses_ring;
    m->ring_taken = from->ring.n_taken;
    m->blocked = from->blocked;
    m->kill_sent = from->kill_sent;
    m->n_open = from->n_open;
    m->n_served = from->n_served;
    m->probe = from->probe;
    m->heard_ms = from->heard_ms;
    m->attached_ms = from->attached_ms;
    m->draining_ms = from->draining_ms;
    m->n_acked = from->n_acked;
    memcpy(m->acked, from->acked, sizeof(m->acked));
}

static sockbroker_status put_session(struct sender *s, const struct sb_session *from)
{
    struct sb_takeover_session *m = begin(s, SB_TAKEOVER_SESSION, sizeof(*m));

    fill_session(from, m);
    fill_places(from, m);
    s->socks[0] = from->end;
    s->socks[1] = from->worker_end;
    s->socks[2] = from->peer.handle;
    s->socks[3] = from->ring_memory;
    return put(s);
}

static sockbroker_status put_sessions(struct sender *s)
{
    const struct sb_session *from;
    sockbroker_status st = SOCKBROKER_OK;

    DL_FOREACH(s->broker->sessions, from) {
        if (!st)
            st = put_session(s, from);
    }
    return st;
}

static sockbroker_status put_holding(struct sender *s, const struct sb_holder *h)
{
    struct sb_takeover_holding *m = begin(s, SB_TAKEOVER_HOLDING, sizeof(*m));

    m->session_id = h->session->key.id;
    memcpy(m->endpoint, h->listener->endpoint->config.name, sizeof(m->endpoint));
    m->address = h->listener->addr;
    m->is_shard = h->listener->shard != NULL;
    m->slot = (uint32_t)h->listener->slot;
    m->has_it = h->has_it;
    return put(s);
}

static sockbroker_status put_holdings(struct sender *s)
{
    const struct sb_session *from;
    const struct sb_holder *h;
    sockbroker_status st = SOCKBROKER_OK;

    DL_FOREACH(s->broker->sessions, from) {
        DL_FOREACH2(from->holdings, h, session_next) {
            if (!st)
                st = put_holding(s, h);
        }
    }
    return st;
}

/* ---- workers of our own ---- */

static sockbroker_status put_slot(struct sender *s, const struct sb_slot *slot)
{
    struct sb_takeover_slot *m = begin(s, SB_TAKEOVER_SLOT, sizeof(*m));
    const struct sb_kid *kid = slot->process;

    if (slot->state == SB_SLOT_GONE)
        return SOCKBROKER_OK;
    m->number = slot->number;
    m->state = (uint32_t)slot->state + 1;
    m->since_ms = slot->since_ms;
    m->start_at_ms = slot->start_at_ms;
    m->leaves = slot->leaves;
    m->drained_by_hand = slot->drained_by_hand;
    m->restarts = slot->n_restarts;
    m->delay_ms = slot->backoff.delay_ms;
    m->n_restarted = sb_backoff_list(&slot->backoff, m->restarted_ms);
    m->pid = kid ? kid->child.pid : 0;
    s->socks[0] = kid ? kid->child.handle : SOCKBROKER_SOCKET_NONE;
    return put(s);
}

static sockbroker_status put_generation(struct sender *s, const struct sb_generation *generation)
{
    struct sb_takeover_generation *m = begin(s, SB_TAKEOVER_GENERATION, sizeof(*m));
    const struct sb_slot *slot;

    m->number = generation->number;
    m->serves = generation->state == SB_GENERATION_SERVING;
    m->since_ms = generation->since_ms;
    sockbroker_status st = put(s);
    DL_FOREACH(generation->slots, slot) {
        if (!st)
            st = put_slot(s, slot);
    }
    return st;
}

static sockbroker_status put_group(struct sender *s, const struct sb_group *g)
{
    struct sb_takeover_group *m = begin(s, SB_TAKEOVER_GROUP, sizeof(*m));
    const struct sb_generation *generation;

    memcpy(m->name, g->name, sizeof(m->name));
    snprintf(m->failure, sizeof(m->failure), "%s", g->failure);
    m->wanted = g->wanted;
    m->configured = g->configured;
    m->last_number = g->last_number;
    m->leaves = g->leaves;
    sockbroker_status st = put(s);
    DL_FOREACH(g->generations, generation) {
        if (!st)
            st = put_generation(s, generation);
    }
    return st;
}

static sockbroker_status put_groups(struct sender *s)
{
    const struct sb_group *g;
    sockbroker_status st = SOCKBROKER_OK;

    DL_FOREACH(s->broker->supervisor->groups, g) {
        if (!st)
            st = put_group(s, g);
    }
    return st;
}

/* ---- connections ---- */

static sockbroker_status flush_connections(struct sender *s)
{
    struct sb_takeover_connections *m = &s->message.as.connections;
    sockbroker_status st = m->n ? put(s) : SOCKBROKER_OK;

    m->n = 0;
    return st;
}

static sockbroker_status add_connection(struct sender *s, const struct sb_conn *c)
{
    struct sb_takeover_connections *m = &s->message.as.connections;
    struct sb_takeover_connection *to = &m->at[m->n];

    to->session_id = c->session ? c->session->key.id : 0;
    to->lease_id = c->info.lease_id;
    to->leased_ns = c->session ? c->leased_ns : 0;
    to->record.info = c->info;
    to->record.info.lease_id |= !c->info.lease_id;
    s->socks[m->n++] = c->sock;
    return m->n == SB_TAKEOVER_CONNECTIONS_MAX ? flush_connections(s) : SOCKBROKER_OK;
}

/* Leases first: if this broker dies on the way, held ones are lost, and those of workers are not. */
static sockbroker_status put_connections(struct sender *s)
{
    const struct sb_session *from;
    const struct sb_endpoint *e;
    const struct sb_conn *c;
    sockbroker_status st = SOCKBROKER_OK;

    begin(s, SB_TAKEOVER_CONNECTIONS, sizeof(s->message.as.connections));
    DL_FOREACH(s->broker->sessions, from) {
        DL_FOREACH(from->leases, c) {
            if (!st)
                st = add_connection(s, c);
        }
    }
    DL_FOREACH(s->broker->endpoints, e) {
        DL_FOREACH(e->held, c) {
            if (!st)
                st = add_connection(s, c);
        }
    }
    return st ? st : flush_connections(s);
}

/* ---- deposits ---- */

static sockbroker_status put_state(struct sender *s, const struct sb_kept *k)
{
    struct sb_takeover_state *m = begin(s, SB_TAKEOVER_STATE, offsetof(struct sb_takeover_state, chunk));
    sockbroker_status st = SOCKBROKER_OK;

    for (; !st && m->offset < k->asked.state_len; m->offset += m->chunk_len) {
        uint32_t left = k->asked.state_len - m->offset;

        m->chunk_len = left < SB_CHUNK_MAX ? left : SB_CHUNK_MAX;
        memcpy(m->chunk, k->state + m->offset, m->chunk_len);
        st = put(s);
    }
    return st;
}

static sockbroker_status put_deposit(struct sender *s, const struct sb_kept *k)
{
    struct sb_takeover_deposit *m = begin(s, SB_TAKEOVER_DEPOSIT, sizeof(*m));

    memcpy(m->name, k->asked.name, sizeof(m->name));
    m->lifetime_ms = k->asked.lifetime_ms;
    m->state_len = k->asked.state_len;
    m->n_allow_uids = k->asked.n_allow_uids;
    memcpy(m->allow_uids, k->asked.allow_uids, sizeof(m->allow_uids));
    memcpy(m->owner, k->owner, sizeof(m->owner));
    m->uid = k->uid;
    m->since_ms = k->since_ms;
    m->record.info = k->info;
    m->record.info.lease_id = 1;
    if (m->record.info.local.family == SOCKBROKER_FAMILY_NONE) /* the message wants one: 0.0.0.0 or :: */
        m->record.info.local.family = m->record.info.socket_family;
    s->socks[0] = k->sock;
    sockbroker_status st = put(s);
    return st ? st : put_state(s, k);
}

static sockbroker_status put_deposits(struct sender *s)
{
    const struct sb_kept *k;
    sockbroker_status st = SOCKBROKER_OK;

    DL_FOREACH(s->broker->deposits, k) {
        if (!st)
            st = put_deposit(s, k);
    }
    return st;
}

/* ---- what systemd keeps ---- */

_Static_assert(SB_TAKEOVER_LABEL_MAX == SB_LABEL_MAX, "every label fits");

static sockbroker_status put_kept_thing(void *arg, const char *label, uint64_t number)
{
    struct sender *s = arg;
    struct sb_takeover_kept *m = begin(s, SB_TAKEOVER_KEPT, sizeof(*m));

    snprintf(m->label, sizeof(m->label), "%s", label);
    m->number = number;
    return put(s);
}

static sockbroker_status put_kept(struct sender *s)
{
    return sb_custody_tell(s->broker, put_kept_thing, s);
}

/* ---- all of it ---- */

/* In this order: each part names things of those before it. Whatever else a broker may come to own is a line here and a kind of
 * message in takeover_build.c. */
static sockbroker_status (*const parts[])(struct sender *s) = {
    put_endpoints, put_sessions, put_groups, put_holdings, put_shards, put_connections, put_deposits, put_kept,
};

static sockbroker_status put_parts(struct sender *s)
{
    sockbroker_status st = SOCKBROKER_OK;

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && !st; i++)
        st = parts[i](s);
    return st;
}

static void fill_begin(const struct sb_broker *b, uint64_t n_records, struct sb_takeover_begin *m)
{
    struct sb_server_counters counters;

    sb_server_counters(b->server, &counters);
    m->n_records = n_records;
    m->lease_sequence = b->leases.sequence;
    m->grants_made = b->n_grants_made;
    m->probes = b->n_probes;
    m->started_ms = b->started_ms;
    m->bad_messages = b->bad_messages + counters.bad_messages;
    m->busy_refusals = b->busy_refusals + counters.turned_away;
    m->listener_repairs = b->listener_repairs;
    m->grants_given = b->n_grants_given;
    m->deposits_expired = b->deposits_expired;
    m->connects_failed = b->connects_failed;
}

static struct sender *make_sender(struct sb_broker *b, sockbroker_socket channel, uint64_t until_ms)
{
    struct sender *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->broker = b;
    s->channel = channel;
    s->until_ms = until_ms;
    s->counts_only = true;
    return s;
}

sockbroker_status sb_takeover_send_state(struct sb_broker *b, sockbroker_socket channel, uint64_t until_ms)
{
    struct sender *s = make_sender(b, channel, until_ms);

    if (!s)
        return SOCKBROKER_NO_MEMORY;
    sockbroker_status st = put_parts(s);
    uint64_t n = s->n;
    s->counts_only = false;
    fill_begin(b, n, begin(s, SB_TAKEOVER_BEGIN, sizeof(s->message.as.begin)));
    if (!st)
        st = sb_takeover_send(channel, &s->message, s->socks, until_ms);
    if (!st)
        st = put_parts(s);
    free(s);
    return st;
}

sockbroker_status sb_takeover_send_offer(struct sb_broker *b, sockbroker_socket channel, uint64_t until_ms)
{
    struct sender *s = make_sender(b, channel, until_ms);

    if (!s)
        return SOCKBROKER_NO_MEMORY;
    put_sockets(s);
    struct sb_takeover_hello *m = begin(s, SB_TAKEOVER_HELLO, sizeof(*m));
    m->version = SB_TAKEOVER_VERSION + (sb_failpoint("takeover_old_version") != 0);
    snprintf(m->release, sizeof(m->release), "%s", sockbroker_version());
    m->pid = sb_process_id();
    memcpy(m->dir, b->rundir.dir, sizeof(b->rundir.dir));
    m->n_records = s->n;
    sb_process_first_descriptors(&m->soft_limit, &m->hard_limit);
    s->socks[0] = b->rundir.lock;
    s->socks[1] = sb_custody_channel(b);
    m->has_keeper = s->socks[1] != SOCKBROKER_SOCKET_NONE;
    s->counts_only = false;
    sockbroker_status st = sb_takeover_send(channel, &s->message, s->socks, until_ms);
    if (!st)
        st = put_sockets(s);
    free(s);
    return st;
}

uint64_t sb_takeover_fingerprint(const struct sb_broker *b)
{
    const struct sb_endpoint *e;
    const struct sb_listener *l;
    uint64_t sum = 0;

    DL_FOREACH(b->endpoints, e) {
        DL_FOREACH(e->listeners, l)
            sum = sum * 31u + sb_socket_identity(l->sock);
    }
    return sum;
}
