/* wake.h: one descriptor that tells an event loop, or a waiting thread, that a worker has something to say.
 *
 * It watches the worker's sockets and a bell. POSIX: an epoll set; many threads may wait, a packet wakes one of them. Windows:
 * the bell alone, a UDP socket on loopback that sends to itself, as every loop there can wait for sockets; connections come
 * over nng, whose thread rings it.
 */
#ifndef SB_CLIENT_WAKE_H
#define SB_CLIENT_WAKE_H

#include "sockbroker/socket.h"

struct sb_wake {
    sockbroker_socket set;
    sockbroker_socket bell;
};
#define SB_WAKE_NONE                                                                                                           \
    {                                                                                                                          \
        SOCKBROKER_SOCKET_NONE, SOCKBROKER_SOCKET_NONE                                                                         \
    }

sockbroker_status sb_wake_open(struct sb_wake *wake_out);
void sb_wake_close(struct sb_wake *wake);

sockbroker_status sb_wake_watch(struct sb_wake *wake, sockbroker_socket sock);
void sb_wake_unwatch(struct sb_wake *wake, sockbroker_socket sock); /* before the socket is closed */

/* By turns, and under one lock. */
void sb_wake_ring(struct sb_wake *wake);  /* readable from now on */
void sb_wake_quiet(struct sb_wake *wake); /* until it rings again */

/* OK (look again), TIMEOUT. timeout_ms -1 waits for ever. */
sockbroker_status sb_wake_wait(const struct sb_wake *wake, int timeout_ms);

#endif
