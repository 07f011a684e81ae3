/* channel.h: control messages over nng REQ/REP and IPC. channel_*.c know nng; nobody else does.
 *
 * The server side belongs to one loop thread: nng's threads only queue what came and call `wake`. The client side may be
 * used by several threads. Neither survives a fork: the caller checks that.
 */
#ifndef SB_PROTO_CHANNEL_H
#define SB_PROTO_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/wire.h"

/* Called on any thread; must only note that something is there. */
typedef void (*sb_channel_wake)(void *arg);

/* To be called before anything else here. Refuses an nng that loses its listener (nanomsg/nng#1518): UNSUPPORTED with what to
 * do; and FORKED in a child whose parent has used nng, which nng would answer with abort(). */
sockbroker_status sb_channel_prepare(struct sockbroker_error *error_out);

/* ---- server ---- */

struct sb_server;
struct sb_call; /* one request, waiting for its reply; it may wait as long as you like */

struct sb_server_options {
    uint32_t max_calls;           /* most requests held at once, parked ones included */
    uint32_t max_callers;         /* most connected processes */
    uint32_t introduce_ms;        /* a caller that has sent no whole message by then is dropped */
    uint32_t idle_ms;             /* so is one that was silent that long, with nothing of its left to answer; 0: never */
    uint32_t messages_per_second; /* of one caller; what is above waits its turn */
    const uint32_t *users;        /* Windows: who may connect, besides our own account and administrators */
    uint32_t n_users;             /* POSIX: the mode of the socket and of its directory says */
    sb_channel_wake wake;
    void *arg;
};

struct sb_server_counters {
    uint64_t bad_messages; /* not a valid Request */
    uint64_t turned_away;  /* callers dropped by max_callers or introduce_ms */
};

/* Listens on the socket file `path`, which must not exist; on Windows on the pipe of that name, which nobody else may have, for
 * this machine only. ADDRESS_IN_USE, and the system's failures. */
sockbroker_status sb_server_open(const char *path, const struct sb_server_options *options, struct sb_server **server_out,
                                 struct sockbroker_error *error_out);

/* Waits until nng has let go of everything; calls not replied are dropped. NULL is allowed. */
void sb_server_close(struct sb_server *server);

/* The next request, already checked; invalid ones are answered with a Failure and counted here.
 * True: *call_out is yours, give it to reply or drop. request_out is filled. */
bool sb_server_take(struct sb_server *server, struct sb_call **call_out, struct sb_request *request_out);

/* Drops callers that are late with their introduction. Call it a few times a second.
 * True when requests wait for their turn: call sb_server_take() again after the next tick. */
bool sb_server_tick(struct sb_server *server);

void sb_server_counters(struct sb_server *server, struct sb_server_counters *counters_out);

/* Who asks, by the kernel's word (Windows: uid is that of sid_win32.h, gid 0). pid alone proves nothing: see peer.h. */
uint32_t sb_call_uid(const struct sb_call *call);
uint32_t sb_call_gid(const struct sb_call *call);
uint32_t sb_call_pid(const struct sb_call *call);

/* The connection it came by: a number that differs from those of all others that are open. */
uint32_t sb_call_caller(const struct sb_call *call);

/* Has the caller gone meanwhile? */
bool sb_call_is_lost(const struct sb_call *call);

/* Waits until that caller has hung up, at most timeout_ms: so it has read what it was answered. True when it has. */
bool sb_server_wait_caller(struct sb_server *server, uint32_t caller, uint32_t timeout_ms);

/* Both end the call. Queued means nothing about delivery: the caller may be gone. */
void sb_call_reply(struct sb_call *call, const struct sb_reply *reply);
void sb_call_drop(struct sb_call *call);

/* ---- client ---- */

struct sb_client;

/* Connects to the socket file or pipe `path`. Windows: what serves a pipe must belong to this account, to SYSTEM or to an
 * administrator; nothing is said to anybody else. lost (may be NULL) is called once when the connection ends.
 * OK, NO_BROKER, PERMISSION, UNSAFE_PATH (it belongs to somebody else), and the system's failures. */
sockbroker_status sb_client_open(const char *path, sb_channel_wake lost, void *arg, struct sb_client **client_out,
                                 struct sockbroker_error *error_out);

/* Ends the calls that other threads are in, with CLOSED. NULL is allowed. */
void sb_client_stop(struct sb_client *client);

/* No thread may be inside a call. NULL is allowed. */
void sb_client_close(struct sb_client *client);

/* The process that it is connected to, as a handle that shows its end (peer.h); yours to give to sb_socket_close().
 * OK, CLOSED (connection lost), PERMISSION (the system does not let us look), SYSTEM. */
sockbroker_status sb_client_open_server(struct sb_client *client, sockbroker_socket *process_out);

/* One request and its reply. A Failure reply becomes its status, its text goes to error_out.
 * expect: the kind of reply that answers the request; any other is BAD_MESSAGE.
 * OK, TIMEOUT, CLOSED (connection lost), BAD_MESSAGE, and whatever the broker answered. */
sockbroker_status sb_client_call(struct sb_client *client, const struct sb_request *request, enum sb_reply_kind expect,
                                 int timeout_ms, struct sb_reply *reply_out, struct sockbroker_error *error_out);

/* The same without waiting: one at a time. `answered` is called when sb_client_take() has something. */
sockbroker_status sb_client_park(struct sb_client *client, const struct sb_request *request, sb_channel_wake answered,
                                 void *arg);

/* AGAIN while the parked request is not answered, else as sb_client_call(). */
sockbroker_status sb_client_take(struct sb_client *client, enum sb_reply_kind expect, struct sb_reply *reply_out,
                                 struct sockbroker_error *error_out);

#endif
