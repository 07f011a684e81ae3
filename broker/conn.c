#include "broker/conn.h"

#include <stdlib.h>

#include "proto/failpoint.h"
#include "proto/socket.h"

/* A lease id is a running number and the slot it stands in: found at once, and the same again only after 2^44 leases, which
 * at 50,000 a second is 11 years. */
#define SLOT_BITS 20
#define SLOT_MASK ((1u << SLOT_BITS) - 1)
#define FIRST_SLOTS 256u

sockbroker_status sb_leases_init(struct sb_lease_table *t, uint64_t first_sequence)
{
    static const struct sb_lease_table none;

    *t = none;
    t->sequence = first_sequence;
    return SOCKBROKER_OK;
}

void sb_leases_deinit(struct sb_lease_table *t)
{
    free(t->slots);
    free(t->free_slots);
    sb_leases_init(t, 0);
}

static sockbroker_status grow(struct sb_lease_table *t)
{
    uint32_t n = t->n_slots ? 2 * t->n_slots : FIRST_SLOTS;

    if (n > SLOT_MASK + 1)
        return SOCKBROKER_NO_MEMORY;
    struct sb_conn **slots = sb_failpoint("lease_memory") ? NULL : realloc(t->slots, n * sizeof(struct sb_conn *));
    if (!slots)
        return SOCKBROKER_NO_MEMORY;
    t->slots = slots;
    uint32_t *free_slots = realloc(t->free_slots, n * sizeof(uint32_t));
    if (!free_slots)
        return SOCKBROKER_NO_MEMORY;
    t->free_slots = free_slots;
    for (uint32_t i = n; i-- > t->n_slots;) {
        slots[i] = NULL;
        free_slots[t->n_free++] = i;
    }
    t->n_slots = n;
    return SOCKBROKER_OK;
}

sockbroker_status sb_conn_create(struct sb_lease_table *t, sockbroker_socket *sock, const struct sockbroker_socket_info *info,
                                 struct sb_endpoint *endpoint, struct sb_conn **conn_out)
{
    struct sb_conn *c = sb_failpoint("conn_memory") ? NULL : malloc(sizeof(*c));

    if (!c)
        return SOCKBROKER_NO_MEMORY;
    c->sock = sb_socket_take(sock);
    c->info = *info;
    c->info.lease_id = 0;
    c->endpoint = endpoint;
    c->session = NULL;
    c->blob = NULL;
    c->prev = c->next = NULL;
    t->n_conns++;
    *conn_out = c;
    return SOCKBROKER_OK;
}

void sb_conn_destroy(struct sb_lease_table *t, struct sb_conn *c)
{
    sb_lease_end(t, c);
    t->n_conns--;
    free(c);
}

sockbroker_status sb_lease_begin(struct sb_lease_table *t, struct sb_conn *c)
{
    if (!t->n_free) {
        sockbroker_status st = grow(t);
        if (st)
            return st;
    }
    uint32_t slot = t->free_slots[--t->n_free];
    c->info.lease_id = ++t->sequence << SLOT_BITS | slot;
    t->slots[slot] = c;
    t->n_leased++;
    return SOCKBROKER_OK;
}

sockbroker_status sb_lease_restore(struct sb_lease_table *t, struct sb_conn *c, uint64_t lease_id)
{
    uint32_t slot = (uint32_t)(lease_id & SLOT_MASK);

    while (slot >= t->n_slots) {
        sockbroker_status st = grow(t);
        if (st)
            return st;
    }
    if (t->slots[slot] || !sb_lease_was_given(t, lease_id))
        return SOCKBROKER_INVALID;
    c->info.lease_id = lease_id;
    t->slots[slot] = c;
    t->n_leased++;
    return SOCKBROKER_OK;
}

void sb_leases_settle(struct sb_lease_table *t)
{
    t->n_free = 0;
    for (uint32_t i = t->n_slots; i-- > 0;) {
        if (!t->slots[i])
            t->free_slots[t->n_free++] = i;
    }
}

void sb_lease_end(struct sb_lease_table *t, struct sb_conn *c)
{
    uint32_t slot = (uint32_t)(c->info.lease_id & SLOT_MASK);

    if (!c->info.lease_id)
        return;
    t->slots[slot] = NULL;
    t->free_slots[t->n_free++] = slot;
    t->n_leased--;
    c->info.lease_id = 0;
    free(c->blob);
    c->blob = NULL;
}

struct sb_conn *sb_lease_find(const struct sb_lease_table *t, uint64_t lease_id)
{
    uint32_t slot = (uint32_t)(lease_id & SLOT_MASK);
    struct sb_conn *c = slot < t->n_slots ? t->slots[slot] : NULL;

    return c && c->info.lease_id == lease_id ? c : NULL;
}

bool sb_lease_was_given(const struct sb_lease_table *t, uint64_t lease_id)
{
    return lease_id >> SLOT_BITS <= t->sequence;
}
