/* conn.h: an accepted connection while the broker is answerable for it.
 *
 * It is held (waiting for a worker) or leased (on its way to one). A lease is one hand-over, with an id that is never used
 * again; the same connection may be leased several times, never to two workers at once. The broker keeps its own
 * descriptor until the lease ends with an ack, and never reads, writes or shuts down.
 */
#ifndef SB_BROKER_CONN_H
#define SB_BROKER_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "sockbroker/socket.h"

struct sb_endpoint;
struct sb_record;
struct sb_session;

struct sb_conn {
    sockbroker_socket sock;
    struct sockbroker_socket_info info; /* info.lease_id is 0 while held */
    struct sb_endpoint *endpoint;
    struct sb_session *session; /* whose lease it is; NULL while held */
    uint64_t leased_ns;
    bool told;                   /* carrier = message: the Handoff has been sent */
    uint64_t told_in;            /* in which Told of the session */
    struct sb_record *blob;      /* as it was sent, until the worker has it: a socket in a record is made once. NULL: none */
    struct sb_conn *prev, *next; /* in the session's leases or the endpoint's held queue */
};

/* ---- every connection the broker has, by lease id ---- */

struct sb_lease_table {
    struct sb_conn **slots;
    uint32_t n_slots;
    uint32_t *free_slots; /* a stack */
    uint32_t n_free;
    uint64_t sequence;
    uint32_t n_conns; /* held and leased */
    uint32_t n_leased;
};

sockbroker_status sb_leases_init(struct sb_lease_table *t, uint64_t first_sequence);
void sb_leases_deinit(struct sb_lease_table *t);

/* A connection that is held; sock moves in on OK. OK, NO_MEMORY. */
sockbroker_status sb_conn_create(struct sb_lease_table *t, sockbroker_socket *sock, const struct sockbroker_socket_info *info,
                                 struct sb_endpoint *endpoint, struct sb_conn **conn_out);

/* Ends its lease, if any, and frees it. Its socket must have been closed or moved out. */
void sb_conn_destroy(struct sb_lease_table *t, struct sb_conn *conn);

/* A new lease id for the connection. OK, NO_MEMORY. end: the id is void from now on. */
sockbroker_status sb_lease_begin(struct sb_lease_table *t, struct sb_conn *conn);
void sb_lease_end(struct sb_lease_table *t, struct sb_conn *conn);

/* The lease of a connection that another broker had given. Restore all there are, then settle once; no other lease before that.
 * OK, INVALID (not an id of ours, or twice the same), NO_MEMORY. */
sockbroker_status sb_lease_restore(struct sb_lease_table *t, struct sb_conn *conn, uint64_t lease_id);
void sb_leases_settle(struct sb_lease_table *t);

/* The connection of a living lease, else NULL. */
struct sb_conn *sb_lease_find(const struct sb_lease_table *t, uint64_t lease_id);

/* False for an id that no lease can have had yet. */
bool sb_lease_was_given(const struct sb_lease_table *t, uint64_t lease_id);

/* True when the kernel proves that nobody read from the connection or wrote to it since it was accepted
 * (design: then it may go to another worker after its worker's death). False when in doubt. */
bool sb_conn_is_untouched(const struct sb_conn *conn);

#endif
