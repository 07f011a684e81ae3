/* request.h: sockets that a worker asks the broker for, or leaves with it.
 *
 * Each call is a conversation with the broker and blocks until it is over or its time-out has passed, also when the worker is
 * stopped meanwhile; they may be called from any thread, also while others wait in sockbroker_worker_next(). Whose a socket is
 * that has come already is asked until the broker answers, is gone, or the worker is stopped. A refusal says in its error which
 * rule or fact refused it. A socket that comes out is yours to close; the broker does not count it:
 * sockbroker_worker_finished() is for what next() gave. A socket given to a call is lent. Besides what is named, all give
 * INVALID (an argument), NO_BROKER (none is there now), TIMEOUT, CLOSED (the worker was stopped), FORKED, NOT_FOUND (the
 * session has ended; the library attaches anew: try again), NO_DESCRIPTORS and the system's failures. A worker that only asks
 * needs no endpoint: options.endpoints = "".
 */
#ifndef SOCKBROKER_REQUEST_H
#define SOCKBROKER_REQUEST_H

#include "sockbroker/worker.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- a socket of an endpoint that this worker serves ---- */

/* mode = share: the listening socket itself, the same for all workers. mode = shard: a listening socket that only this worker
 * has; the broker steers connections to it. protocol = udp: the bound UDP socket. An endpoint with several addresses or
 * families has several sockets: index counts from 0, *n_sockets_out (may be NULL) says how many there are. It comes
 * non-blocking, and all holders share that: leave it so. With share, wait with EPOLLEXCLUSIVE, and try accept() once a second:
 * a worker that dies between its wake-up and accept() leaves that connection to whoever looks next. When next() says DRAINING,
 * accept what waits and close it: the broker has the socket too and loses nothing, unless its endpoint is gone. What is left in
 * the UDP socket of a shard waits for the slot's next worker, so read it empty before. Windows: there is no mode = shard;
 * a client wakes all who wait on a shared socket, and accept() answers WSAEWOULDBLOCK to all but one, else a socket that is
 * non-blocking too. Neither WSAEventSelect() nor a completion port can be used by two processes on one socket: wait with
 * WSAPoll() or select(), and tie to a port only what you have accepted. conn_out->info: family, type, local address, listening.
 * OK, REFUSED (mode = handoff has none), NOT_FOUND (no such index, or this worker does not serve that endpoint), BUSY (a shard
 * has no slot left). */
SOCKBROKER_API sockbroker_status sockbroker_worker_socket(struct sockbroker_worker *worker, const char *endpoint,
                                                          unsigned index, struct sockbroker_conn *conn_out,
                                                          unsigned *n_sockets_out, struct sockbroker_error *error_out);

/* ---- a connection to somewhere ---- */

#define SOCKBROKER_ATTEMPTS_MAX 16
#define SOCKBROKER_ATTEMPT_TEXT_MAX 96

/* One destination, in the order in which it was tried, and what became of it. */
struct sockbroker_attempt {
    struct sockbroker_addr destination;
    struct sockbroker_addr source; /* FAMILY_NONE: there is none for it */
    bool started;
    unsigned started_ms; /* since the request */
    unsigned ended_ms;
    sockbroker_status status; /* OK: the winner */
    char text[SOCKBROKER_ATTEMPT_TEXT_MAX];
};

struct sockbroker_connect_options {
    size_t size;                             /* sizeof(struct sockbroker_connect_options); set by the INIT macro */
    const char *host;                        /* name or address, at most 255 bytes; NULL: addresses say where */
    unsigned port;                           /* 1..65535 */
    const struct sockbroker_addr *addresses; /* at most 16, in any order; their ports mean nothing */
    size_t n_addresses;
    struct sockbroker_addr source; /* FAMILY_NONE: the system chooses; port 0: any */
    unsigned deadline_ms;          /* 1..600000 until connected, the lookup included; 0 means 30000 */
};
#define SOCKBROKER_CONNECT_OPTIONS_INIT                                                                                        \
    {                                                                                                                          \
        sizeof(struct sockbroker_connect_options), NULL, 0, NULL, 0, { SOCKBROKER_FAMILY_NONE, 0, 0, { 0 } }, 0                \
    }

/* Destinations are sorted by RFC 6724 with the broker's policy table and raced by RFC 8305.
 * conn_out->info: both addresses. attempts_out (may be NULL) has room for SOCKBROKER_ATTEMPTS_MAX and is filled, with
 * *n_attempts_out, also when all failed. The connection comes in blocking mode.
 * OK, REFUSED (a rule: connect_allow, connect_deny, connect_uid), NOT_FOUND (no such host), TIMEOUT, and what the last attempt
 * gave. */
SOCKBROKER_API sockbroker_status sockbroker_worker_connect(struct sockbroker_worker *worker,
                                                           const struct sockbroker_connect_options *options,
                                                           struct sockbroker_conn *conn_out,
                                                           struct sockbroker_attempt *attempts_out, size_t *n_attempts_out,
                                                           struct sockbroker_error *error_out);

/* ---- deposits ---- */

#define SOCKBROKER_STATE_MAX 65536

struct sockbroker_deposit {
    size_t size;      /* sizeof(struct sockbroker_deposit); set by the INIT macro */
    const char *name; /* [A-Za-z0-9._-]{1,63}; not that of another deposit */
    sockbroker_socket sock;
    const void *state;          /* opaque, for whoever takes it out */
    size_t state_len;           /* at most SOCKBROKER_STATE_MAX */
    unsigned lifetime_ms;       /* 1..86400000: then the broker closes it and says so in its log; 0 means 60000 */
    const uint32_t *allow_uids; /* who may take it out, besides this worker's user, the broker's and root; at most 8. Windows:
                                   none, as accounts have no numbers there; SYSTEM and administrators count as root */
    size_t n_allow_uids;
};
#define SOCKBROKER_DEPOSIT_INIT                                                                                                \
    {                                                                                                                          \
        sizeof(struct sockbroker_deposit), NULL, SOCKBROKER_SOCKET_NONE, NULL, 0, 0, NULL, 0                                   \
    }

/* Leaves a socket (listening, connected, UDP) with the broker. On OK it is there, whole, whatever happens to this worker; close
 * your copy, for what you read from it, the next owner does not get. On anything else it is not there, but for TIMEOUT and
 * CLOSED: then it may be. OK, NAME_TAKEN, BUSY (max_deposits), INVALID (not such a socket).
 * Windows: only from workers of the broker's own account and administrators (REFUSED); allow_uids gives UNSUPPORTED. It comes
 * out in blocking mode, for all who have it; end WSAEventSelect() on it before. One that belongs to a completion port, as all
 * of libuv's do, stays with that port: the next owner cannot tie it to its own. */
SOCKBROKER_API sockbroker_status sockbroker_worker_deposit(struct sockbroker_worker *worker,
                                                           const struct sockbroker_deposit *deposit,
                                                           struct sockbroker_error *error_out);

/* Takes it out: on OK it is yours and not the broker's any more; on anything else it is still there, for as long as the broker.
 * state_out: room for state_room bytes; *state_len_out (may be NULL when state_room is 0) says how many were written.
 * OK, NOT_FOUND, REFUSED (another user's), BUSY (another worker is taking it), INVALID (its state is longer than state_room:
 * SOCKBROKER_STATE_MAX is always enough). */
SOCKBROKER_API sockbroker_status sockbroker_worker_withdraw(struct sockbroker_worker *worker, const char *name,
                                                            struct sockbroker_conn *conn_out, void *state_out,
                                                            size_t state_room, size_t *state_len_out,
                                                            struct sockbroker_error *error_out);

#ifdef __cplusplus
}
#endif
#endif
