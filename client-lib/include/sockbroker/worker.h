/* worker.h: a process that serves connections which the broker accepted.
 *
 *     struct sockbroker_worker_options options = SOCKBROKER_WORKER_OPTIONS_INIT;
 *     options.endpoints = "web";
 *     sockbroker_worker_open(&options, &worker, &error);
 *     while (sockbroker_worker_next(worker, SOCKBROKER_FOREVER, &conn) == SOCKBROKER_OK) {
 *         serve(conn.sock);                      // yours; close it
 *         sockbroker_worker_finished(worker, conn.info.lease_id);
 *     }
 *     sockbroker_worker_close(worker);
 *
 * Threads: every function may be called from any thread at any time, but close() only once and last.
 * Fork: an object belongs to the process that opened it. In a forked child every call answers
 * SOCKBROKER_FORKED and touches nothing. A child of a process that has opened a worker cannot open one either (nng does not
 * survive a fork): fork first and open in the children, or exec.
 * Signals: none are installed, SIGPIPE is never raised. Nothing is started by loading the library.
 * Windows: the same calls. There is no fork, and no signal tells a worker to end: it hears of it by DRAINING, and what the
 * console says (SetConsoleCtrlHandler()) may call sockbroker_worker_stop(), as its handler runs in a thread. Winsock has been
 * started when open() returns OK, and stays so; call WSAStartup() only for sockets before that.
 */
#ifndef SOCKBROKER_WORKER_H
#define SOCKBROKER_WORKER_H

#include <stddef.h>

#include "sockbroker/socket.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SOCKBROKER_FOREVER (-1)

struct sockbroker_worker;

struct sockbroker_worker_options {
    size_t size;           /* sizeof(struct sockbroker_worker_options); set by the INIT macro */
    const char *dir;       /* runtime directory of the broker; NULL: $SOCKBROKER_DIR, then the system's default. Windows: a name
                              for its pipe, or a path, of which one is made */
    const char *endpoints; /* names joined by ",", at most 32; "": none, a worker that only asks for sockets (request.h);
                              NULL: $SOCKBROKER_ENDPOINT */
    const char *name;      /* unique among living workers, [A-Za-z0-9._-]{1,63}; NULL: $SOCKBROKER_NAME, else
                              "worker-" and the process id */
    uint64_t generation;   /* the release this worker belongs to; a larger number is newer; 0: $SOCKBROKER_GENERATION, if set */
    unsigned weight;       /* 1..1000: share of new connections next to other workers; 0 means 1 */
    unsigned window;       /* most connections on their way to this worker, 1..1024; 0: the endpoint's own */
    int attach_timeout_ms; /* how long open() may wait for the broker's answer, and try again when it is busy; 0 means 5000 */
    bool wait_for_broker;  /* open() succeeds without a broker and attaches as soon as there is one */
};
#define SOCKBROKER_WORKER_OPTIONS_INIT                                                                                         \
    {                                                                                                                          \
        sizeof(struct sockbroker_worker_options), NULL, NULL, NULL, 0, 0, 0, 0, false                                          \
    }

/* A connection that is yours now. */
struct sockbroker_conn {
    sockbroker_socket sock;
    struct sockbroker_socket_info info;
};

enum sockbroker_worker_state {
    SOCKBROKER_WORKER_ATTACHING, /* no broker now; the library tries again by itself, with a growing, jittered delay */
    SOCKBROKER_WORKER_READY,
    SOCKBROKER_WORKER_DRAINING, /* told to finish; nothing new will come */
    SOCKBROKER_WORKER_REFUSED,  /* the broker came back and does not take this worker; sockbroker_worker_error() says why */
    SOCKBROKER_WORKER_CLOSED,
};

/* Attaches to the broker.
 * OK: worker_out is yours, give it to sockbroker_worker_close().
 * INVALID (an option), NO_BROKER, TIMEOUT, REFUSED, NOT_FOUND (no such endpoint), NAME_TAKEN, BUSY, VERSION and the
 * system's failures; error_out (may be NULL) says it in words. */
SOCKBROKER_API sockbroker_status sockbroker_worker_open(const struct sockbroker_worker_options *options,
                                                        struct sockbroker_worker **worker_out,
                                                        struct sockbroker_error *error_out);

/* A descriptor that becomes readable when sockbroker_worker_next() has something to say; for poll, epoll, libuv and
 * every other loop. Level-triggered; it stays the same over a re-attach; never read from it, never close it.
 * Windows: a SOCKET, for WSAPoll(), select() and uv_poll_init_socket(). */
SOCKBROKER_API sockbroker_socket sockbroker_worker_fd(const struct sockbroker_worker *worker);

/* Takes the next connection. The broker has been told before this returns, so from here on the connection is yours
 * alone: whatever happens to you, no other worker gets it.
 *   timeout_ms  0 polls, SOCKBROKER_FOREVER waits; monotonic time
 *   conn_out    filled on OK; conn_out->sock is yours to close
 * OK, AGAIN (timeout 0 and nothing there), TIMEOUT, DRAINING (nothing left and nothing will come: finish and close),
 * REFUSED (see state), CLOSED, FORKED, NO_DESCRIPTORS (this process is at its descriptor limit: the connection went
 * back to the broker and to another worker; close something). A broker that goes away is not an answer: the library
 * attaches to the next one and the call goes on waiting. */
SOCKBROKER_API sockbroker_status sockbroker_worker_next(struct sockbroker_worker *worker, int timeout_ms,
                                                        struct sockbroker_conn *conn_out);

/* Says that a connection is over, for least-connections and the open counts in `sockbroker status`. Call it once for
 * each connection taken. OK also when its broker is gone. */
SOCKBROKER_API sockbroker_status sockbroker_worker_finished(struct sockbroker_worker *worker, uint64_t lease_id);

SOCKBROKER_API enum sockbroker_worker_state sockbroker_worker_state(struct sockbroker_worker *worker);

/* Why the worker is not READY, in words; empty when it is. */
SOCKBROKER_API void sockbroker_worker_error(struct sockbroker_worker *worker, struct sockbroker_error *error_out);

/* How many connections were taken and not reported as finished. */
SOCKBROKER_API uint64_t sockbroker_worker_open_count(struct sockbroker_worker *worker);

/* Wakes every thread that waits in next(); they, and all later calls, answer CLOSED. What was on its way goes back to
 * the broker. Use it to stop threads before sockbroker_worker_close(). */
SOCKBROKER_API void sockbroker_worker_stop(struct sockbroker_worker *worker);

/* Detaches and frees. No thread may be inside a call on this worker. NULL is allowed. Returns NULL. */
SOCKBROKER_API struct sockbroker_worker *sockbroker_worker_close(struct sockbroker_worker *worker);

#ifdef __cplusplus
}
#endif
#endif
