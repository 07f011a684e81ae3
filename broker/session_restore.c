/* session_restore.c: a worker's session as the broker before had it. */
#include <stdlib.h>
#include <string.h>

#include "broker/endpoint.h"
#include "broker/mailbox.h"
#include "broker/session_inside.h"
#include "proto/socket.h"

static sockbroker_status take_places(struct sb_session *s, const struct sb_takeover_session *r)
{
    s->places = calloc(r->n_places + 1u, sizeof(*s->places));
    if (!s->places)
        return SOCKBROKER_NO_MEMORY;
    for (uint32_t i = 0; i < r->n_places; i++) {
        struct sb_endpoint *e = sb_endpoint_find_any(s->broker, r->places[i].endpoint);
        struct sb_place *p = &s->places[s->n_places];

        if (!e)
            continue;
        p->endpoint = e;
        p->member.session = s;
        p->member.weight = r->weight;
        p->member.name_hash = sb_selector_hash(r->name, strlen(r->name));
        p->member.n_open = r->places[i].n_open;
        sockbroker_status st = sb_selector_add(&e->selector, &p->member);
        if (st)
            return st;
        s->n_places++;
    }
    return SOCKBROKER_OK;
}

static void fill(struct sb_session *s, const struct sb_takeover_session *r)
{
    s->state = SB_SESSION_ATTACHING;
    s->key = r->key;
    memcpy(s->token, r->token, sizeof(s->token));
    s->token_spent = r->token_spent;
    memcpy(s->name, r->name, sizeof(s->name));
    s->generation = r->generation;
    s->weight = r->weight;
    s->asked_window = r->window;
    s->carrier = r->carrier;
    s->peer = (struct sb_peer){ r->pid, r->uid, r->gid, SOCKBROKER_SOCKET_NONE };
    s->end = s->worker_end = s->ring_memory = SOCKBROKER_SOCKET_NONE;
    s->uses_ring = r->uses_ring;
    s->n_open = r->n_open;
    s->n_served = r->n_served;
    s->n_acked = r->n_acked;
    memcpy(s->acked, r->acked, sizeof(s->acked));
    s->heard_ms = r->heard_ms;
    s->attached_ms = r->attached_ms;
    s->draining_ms = r->draining_ms;
    s->kill_sent = r->kill_sent;
    s->probe = r->probe;
}

static sockbroker_status connect_pair(struct sb_session *s, const struct sb_takeover_session *r, sockbroker_socket *socks)
{
    struct sb_mailbox *mailbox = s->broker->mailbox;
    sockbroker_status st = SOCKBROKER_OK;

    s->end = sb_socket_take(&socks[0]);
    s->worker_end = sb_socket_take(&socks[1]);
    s->peer.handle = sb_socket_take(&socks[2]);
    if (r->has_ring) {
        s->ring_memory = sb_socket_take(&socks[3]);
        st = sb_ring_open(s->ring_memory, &s->ring);
        s->ring.n_taken = r->ring_taken;
        s->broker->n_rings += !st;
    }
    if (!st)
        st = sb_mailbox_add(mailbox, s);
    if (st)
        return st;
    s->in_mailbox = true;
    s->blocked = r->blocked;
    if (s->blocked)
        sb_mailbox_want_writable(mailbox, s, true);
    return sb_session_watch_death(s);
}

/* Its leases and what it holds of endpoints come later. */
sockbroker_status sb_session_restore(struct sb_broker *b, const struct sb_takeover_session *r, sockbroker_socket *socks)
{
    if (sb_session_find(b, r->key.id) || sb_session_find_name(b, r->name))
        return SOCKBROKER_INVALID;
    struct sb_session *s = calloc(1, sizeof(*s));
    if (!s)
        return SOCKBROKER_NO_MEMORY;
    s->broker = b;
    fill(s, r);
    sockbroker_status st = take_places(s, r);
    if (!st)
        st = sb_session_enter(s);
    if (st) {
        sb_session_discard(s);
        return st;
    }
    if (r->has_pair)
        st = connect_pair(s, r, socks);
    if (st)
        return st; /* the process ends */
    sb_session_set_state(s, (enum sb_session_state)(r->state - 1));
    sb_session_update_window(s);
    return SOCKBROKER_OK;
}
