/* net.h: the socket calls of the tests and of the programs that they start, the same on both systems.
 *
 * Sockets are blocking and not inherited. Nothing here ends a test: what fails says so, and net_error_text() says why.
 */
#ifndef SB_TESTS_SUPPORT_NET_H
#define SB_TESTS_SUPPORT_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client-lib/sysnet.h"
#include "sockbroker/socket.h"

/* Once in each program, before all else. Writing to a socket or pipe that nobody reads is an error from then on, no signal. */
void net_start(void);

/* Length, or 0 when host is no IP address. */
socklen_t net_address(const char *host, uint16_t port, struct sockaddr_storage *out);

/* NONE when it fails. family: AF_INET, AF_INET6; type: SOCK_STREAM, SOCK_DGRAM. */
sockbroker_socket net_open(int family, int type);
/* Of the family of host, and bound to it. An IPv6 socket is IPv6 alone. */
sockbroker_socket net_open_bound(const char *host, uint16_t port, int type);
sockbroker_socket net_accept(sockbroker_socket listener);

/* Of a socket that does not block: net_is_pending() then tells whether it goes on. */
bool net_connect(sockbroker_socket sock, const char *host, uint16_t port);

bool net_set_nonblocking(sockbroker_socket sock);
bool net_set_option(sockbroker_socket sock, int level, int name, int value);
bool net_get_option(sockbroker_socket sock, int level, int name, int *value_out);

/* Before bind(): the port may be somebody else's already, as far as the system lets a thief of the same user have it. */
bool net_share_port(sockbroker_socket sock);

/* Would a program that this one starts get it? */
bool net_is_inherited(sockbroker_socket sock);

/* The port on our side, 0 when there is none. */
uint16_t net_port(sockbroker_socket sock);

/* Bytes, -1 on failure; receive: 0 at the end of the stream. */
long net_send(sockbroker_socket sock, const void *bytes, size_t len);
long net_receive(sockbroker_socket sock, void *bytes, size_t room);
bool net_send_to(sockbroker_socket sock, const void *bytes, size_t len, const struct sockaddr_storage *to, socklen_t to_len);
long net_receive_from(sockbroker_socket sock, void *bytes, size_t room, struct sockaddr_storage *from_out, socklen_t *len_out);
/* Bytes that wait to be read; -1 on failure. */
long net_unread(sockbroker_socket sock);

/* Both leave NONE, and do nothing to NONE. reset: so that no port stays in TIME_WAIT. */
void net_close(sockbroker_socket *sock);
void net_reset(sockbroker_socket *sock);

struct net_event {
    sockbroker_socket sock; /* NONE: passed over */
    bool wants_write;       /* else something to read, or the end */
    bool is_ready;          /* out */
};
/* Waits until one is ready, ms at most (-1: for ever). Returns how many are. */
unsigned net_wait(struct net_event *events, size_t n, int ms);
bool net_wait_readable(sockbroker_socket sock, int ms);

/* A socket that one thread waits for and others wake: readable from ring() until hear(). */
sockbroker_socket net_open_bell(void);
void net_ring(sockbroker_socket bell);
void net_hear(sockbroker_socket bell);

/* False on Wine 8, which shows each reset as an orderly end. */
bool net_tells_resets(void);

/* Waits for the end of the stream: true when it is a reset, or could be one. False when bytes come. */
bool net_ends_reset(sockbroker_socket sock);

/* Of the last call that failed, on this thread. */
int net_error(void);
const char *net_error_text(void);
bool net_is_pending(void); /* EAGAIN, EINPROGRESS, EINTR and their like */
bool net_is_reset(int code);

#endif
