#include "broker/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "broker/config_system.h"
#include "broker/custody.h"
#include "broker/death.h"
#include "broker/dispatch.h"
#include "broker/endpoint.h"
#include "broker/grant.h"
#include "broker/holder.h"
#include "broker/log.h"
#include "broker/mailbox.h"
#include "broker/outbound.h"
#include "broker/session_inside.h"
#include "broker/shard.h"
#include "broker/waiter.h"
#include "proto/clock.h"
#include "proto/failpoint.h"
#include "proto/secret.h"
#include "proto/socket.h"

#define N_OPEN_MAX (1u << 24) /* of what a worker says it holds from before */

/* ---- birth ---- */

/* Its own, or the largest of its endpoints. */
static uint32_t window_of(const struct sb_session *s)
{
    uint32_t window = s->asked_window;

    for (uint32_t i = 0; !s->asked_window && i < s->n_places; i++) {
        const struct sb_endpoint *e = s->places[i].endpoint;

        if (e && e->config.window > window)
            window = e->config.window;
    }
    return window;
}

void sb_session_update_window(struct sb_session *s)
{
    s->window = window_of(s);
    sb_session_refresh(s);
}

static sockbroker_status take_places(struct sb_session *s, const struct sb_attach *attach)
{
    s->carrier = sb_config_system_carrier; /* of a worker that only asks for sockets */
    s->places = calloc(attach->n_endpoints + 1u, sizeof(*s->places));
    if (!s->places)
        return SOCKBROKER_NO_MEMORY;
    for (uint32_t i = 0; i < attach->n_endpoints; i++) {
        struct sb_place *p = &s->places[i];

        p->endpoint = sb_endpoint_find(s->broker, attach->endpoints[i]);
        p->member.session = s;
        p->member.weight = attach->weight;
        p->member.name_hash = sb_selector_hash(attach->name, strlen(attach->name));
        sockbroker_status st = sb_selector_add(&p->endpoint->selector, &p->member);
        if (st)
            return st;
        s->n_places++;
        s->carrier = p->endpoint->config.carrier;
    }
    s->window = window_of(s);
    if (s->n_places == 1) /* what it holds from an earlier broker; with several endpoints nobody knows which */
        s->places[0].member.n_open = s->n_open;
    return SOCKBROKER_OK;
}

static sockbroker_status fill(struct sb_session *s, const struct sb_attach *attach, const struct sb_peer *ids)
{
    s->state = SB_SESSION_ATTACHING;
    s->end = s->worker_end = s->ring_memory = SOCKBROKER_SOCKET_NONE;
    s->peer = *ids;
    s->peer.handle = SOCKBROKER_SOCKET_NONE;
    memcpy(s->name, attach->name, sizeof(s->name));
    s->generation = attach->generation;
    s->weight = attach->weight;
    s->asked_window = attach->window;
    s->n_open = attach->n_open < N_OPEN_MAX ? attach->n_open : N_OPEN_MAX;
    s->attached_ms = s->heard_ms = sb_clock_ms();
    if (sb_secret_fill(&s->key, sizeof(s->key)) || sb_secret_fill(s->token, sizeof(s->token)))
        return SOCKBROKER_SYSTEM;
    s->key.id |= 1u; /* 0 is no id */
    return take_places(s, attach);
}

/* uthash leaves tbl NULL when it could not grow. */
sockbroker_status sb_session_enter(struct sb_session *s)
{
    struct sb_broker *b = s->broker;

    HASH_ADD(by_id, b->sessions_by_id, key.id, sizeof(s->key.id), s);
    if (!s->by_id.tbl)
        return SOCKBROKER_NO_MEMORY;
    HASH_ADD(by_name, b->sessions_by_name, name, (unsigned)strlen(s->name), s);
    if (!s->by_name.tbl) {
        HASH_DELETE(by_id, b->sessions_by_id, s);
        return SOCKBROKER_NO_MEMORY;
    }
    DL_APPEND(b->sessions, s);
    b->n_sessions++;
    b->n_attaching++;
    return SOCKBROKER_OK;
}

static void leave_all(struct sb_session *s)
{
    for (uint32_t i = 0; i < s->n_places; i++) {
        if (s->places[i].endpoint)
            sb_selector_remove(&s->places[i].endpoint->selector, &s->places[i].member);
    }
    s->n_places = 0;
}

void sb_session_discard(struct sb_session *s)
{
    leave_all(s);
    free(s->places);
    free(s);
}

sockbroker_status sb_session_create(struct sb_broker *b, const struct sb_attach *attach, const struct sb_peer *ids,
                                    struct sb_session **session_out)
{
    struct sb_session *s = sb_failpoint("session_memory") ? NULL : calloc(1, sizeof(*s));

    if (!s)
        return SOCKBROKER_NO_MEMORY;
    s->broker = b;
    sockbroker_status st = fill(s, attach, ids);
    if (!st)
        st = sb_session_enter(s);
    if (st) {
        sb_session_discard(s);
        return st;
    }
    *session_out = s;
    return SOCKBROKER_OK;
}

struct sb_session *sb_session_find(struct sb_broker *b, uint64_t id)
{
    struct sb_session *s;

    HASH_FIND(by_id, b->sessions_by_id, &id, sizeof(id), s);
    return s;
}

struct sb_session *sb_session_find_name(struct sb_broker *b, const char *name)
{
    struct sb_session *s;

    HASH_FIND(by_name, b->sessions_by_name, name, (unsigned)strlen(name), s);
    return s;
}

bool sb_session_needs_fresh_counts(const struct sb_session *s)
{
    for (uint32_t i = 0; i < s->n_places; i++) {
        if (s->places[i].endpoint && s->places[i].endpoint->config.policy == SB_POLICY_LEAST_CONNECTIONS)
            return true;
    }
    return false;
}

/* ---- state ---- */

static bool can_take(const struct sb_session *s)
{
    return s->state == SB_SESSION_READY && !s->blocked && !s->rest_until_ms && s->n_unacked < s->window;
}

void sb_session_refresh(struct sb_session *s)
{
    bool eligible = can_take(s);

    for (uint32_t i = 0; i < s->n_places; i++) {
        struct sb_place *p = &s->places[i];

        if (!p->endpoint)
            continue;
        if (p->member.eligible == eligible) {
            sb_selector_update(&p->endpoint->selector, &p->member);
            continue;
        }
        sb_selector_set_eligible(&p->endpoint->selector, &p->member, eligible);
        if (eligible)
            sb_dispatch_note(s->broker);
    }
}

static bool counts_as_worker(enum sb_session_state state)
{
    return state == SB_SESSION_READY;
}

void sb_session_set_state(struct sb_session *s, enum sb_session_state state)
{
    int change = (int)counts_as_worker(state) - (int)counts_as_worker(s->state);

    for (uint32_t i = 0; change && i < s->n_places; i++) {
        if (s->places[i].endpoint)
            s->places[i].endpoint->n_ready = (uint32_t)((int)s->places[i].endpoint->n_ready + change);
    }
    s->broker->n_attaching -= s->state == SB_SESSION_ATTACHING && state != SB_SESSION_ATTACHING;
    s->state = state;
    for (uint32_t i = 0; change && i < s->n_places; i++) {
        if (s->places[i].endpoint && s->places[i].endpoint->shards)
            sb_shard_update(s->places[i].endpoint);
    }
    if (change)
        sb_dispatch_note(s->broker); /* an endpoint that lost its last worker begins to hold */
    sb_session_refresh(s);
}

const char *sb_session_state_name(const struct sb_session *s)
{
    switch (s->state) {
    case SB_SESSION_ATTACHING:
        return "attaching";
    case SB_SESSION_STANDBY:
        return "standby";
    case SB_SESSION_READY:
        return "ready";
    case SB_SESSION_STUCK:
        return "stuck";
    case SB_SESSION_SILENT:
        return "silent";
    case SB_SESSION_DRAINING:
        return "draining";
    case SB_SESSION_ENDED:
        return "ended";
    }
    return "?";
}

/* ---- the pair ---- */

static void on_death(void *arg)
{
    struct sb_session *s = arg;
    struct sb_broker *b = s->broker;

    sb_session_end(s, "died");
    sb_dispatch_pump(b);
}

/* A worker that gets none sends packets: a ring costs a descriptor, and connections need them more. */
static void give_ring(struct sb_session *s)
{
    struct sb_broker *b = s->broker;

    if (b->n_rings >= b->n_descriptors / 2 || sb_ring_create(&s->ring, &s->ring_memory))
        return;
    if (sb_xfer_send_ring(s->end, s->ring_memory) == SOCKBROKER_OK) {
        b->n_rings++;
        return;
    }
    sb_ring_close(&s->ring);
    sb_socket_close(&s->ring_memory);
}

sockbroker_status sb_session_watch_death(struct sb_session *s)
{
    return sb_death_watch(&s->broker->loop, s->peer.handle, on_death, s, &s->death);
}

static sockbroker_status take_process(struct sb_session *s, sockbroker_socket *handle)
{
    s->peer.handle = *handle;
    sockbroker_status st = sb_session_watch_death(s);
    if (st)
        s->peer.handle = SOCKBROKER_SOCKET_NONE;
    else
        sb_socket_take(handle);
    return st;
}

sockbroker_status sb_session_connect(struct sb_session *s, sockbroker_socket *handle, bool wants_ring,
                                     sockbroker_socket *worker_end_out)
{
    sockbroker_status st = sb_xfer_open_pair(&s->end, &s->worker_end);

    if (!st)
        st = sb_mailbox_add(s->broker->mailbox, s);
    if (st)
        return st;
    s->in_mailbox = true;
    st = take_process(s, handle);
    if (st)
        return st;
    if (wants_ring && s->carrier == SB_CARRIER_DIRECT)
        give_ring(s);
    *worker_end_out = s->worker_end;
    sb_custody_welcome(s);
    return SOCKBROKER_OK;
}

sockbroker_status sb_session_connect_unpaired(struct sb_session *s, sockbroker_socket *handle)
{
    sockbroker_status st = take_process(s, handle);

    if (st)
        return st;
    s->end = s->peer.handle;
    sb_custody_welcome(s);
    return SOCKBROKER_OK;
}

/* ---- end ---- */

bool sb_session_has_pair(const struct sb_session *s)
{
    return s->worker_end != SOCKBROKER_SOCKET_NONE;
}

/* Somebody further up may still look at its state: it is freed after that. */
static void close_handles(struct sb_session *s)
{
    bool is_watched = s->death != NULL;

    if (s->in_mailbox)
        sb_mailbox_remove(s->broker->mailbox, s); /* both leave epoll before the descriptors close */
    if (is_watched)
        sb_death_forget(s->death, free);
    if (sb_session_has_pair(s))
        sb_socket_close(&s->end);
    sb_socket_close(&s->worker_end);
    s->broker->n_rings -= s->ring.page != NULL;
    sb_ring_close(&s->ring);
    sb_socket_close(&s->ring_memory);
    sb_peer_close(&s->peer);
    free(s->places);
    s->places = NULL;
    if (!is_watched)
        free(s);
}

/* Taken and not acked. Another worker may have it only if this one is dead and left no trace on it; or if it has left, where it
 * could not be withdrawn: told is as far as it came. */
static void judge_taken(struct sb_session *s, bool is_dead)
{
    bool is_free = is_dead || (s->has_left && !sb_session_has_pair(s));
    struct sb_conn *c, *tmp;

    DL_FOREACH_SAFE(s->leases, c, tmp) {
        sb_session_remove_lease(s, c, false);
        if (is_free && sb_conn_is_untouched(c))
            sb_dispatch_again(c);
        else
            sb_dispatch_in_doubt(c, is_dead);
    }
}

static void forget(struct sb_session *s)
{
    struct sb_broker *b = s->broker;

    HASH_DELETE(by_id, b->sessions_by_id, s);
    HASH_DELETE(by_name, b->sessions_by_name, s);
    DL_DELETE(b->sessions, s);
    b->n_sessions--;
}

static void dismiss(struct sb_session *s, const char *cause)
{
    struct sb_reply reply = { .kind = SB_REPLY_FAILURE };

    if (!s->parked)
        return;
    reply.as.failure.status = SOCKBROKER_NOT_FOUND;
    snprintf(reply.as.failure.text, sizeof(reply.as.failure.text), "the session has ended: %s", cause);
    sb_call_reply(s->parked, &reply);
    s->parked = NULL;
}

void sb_session_end(struct sb_session *s, const char *cause)
{
    struct sb_broker *b = s->broker;
    bool is_dead = s->peer.handle != SOCKBROKER_SOCKET_NONE && !sb_peer_is_alive(&s->peer);

    if (s->state == SB_SESSION_ENDED)
        return;
    while (s->n_unacked && sb_session_read_reports(s) == SOCKBROKER_OK)
        continue; /* acks that it sent before its end */
    sb_log(SB_LOG_INFO, "worker_gone", "worker=%s pid=%u cause=\"%s\" served=%llu unacked=%u", s->name, s->peer.pid, cause,
           (unsigned long long)s->n_served, s->n_unacked);
    sb_session_set_state(s, SB_SESSION_ENDED);
    leave_all(s);
    sb_session_withdraw(s);
    judge_taken(s, is_dead);
    sb_holders_forget_session(s);
    sb_outbounds_end(s);
    sb_grants_end(s);
    dismiss(s, cause);
    forget(s);
    close_handles(s);
    sb_waiters_check(b);
    sb_dispatch_note(b);
}

/* ---- places ---- */

static struct sb_place *place_of(struct sb_session *s, const struct sb_endpoint *e)
{
    for (uint32_t i = 0; i < s->n_places; i++) {
        if (s->places[i].endpoint == e)
            return &s->places[i];
    }
    return NULL;
}

static bool serves_any(const struct sb_session *s)
{
    for (uint32_t i = 0; i < s->n_places; i++) {
        if (s->places[i].endpoint)
            return true;
    }
    return false;
}

struct sb_member *sb_session_member(struct sb_session *s, const struct sb_endpoint *e)
{
    struct sb_place *p = place_of(s, e);

    return p ? &p->member : NULL;
}

/* The place stays in its array, for selectors know members by address. */
void sb_session_lose_place(struct sb_session *s, struct sb_endpoint *e)
{
    struct sb_place *p = place_of(s, e);

    if (counts_as_worker(s->state))
        e->n_ready--;
    p->endpoint = NULL;
    if (!serves_any(s))
        sb_session_drain(s);
}

void sb_session_leave(struct sb_session *s, struct sb_endpoint *e)
{
    struct sb_member *m = sb_session_member(s, e);

    if (!m)
        return;
    sb_selector_remove(&e->selector, m);
    sb_session_lose_place(s, e);
}
