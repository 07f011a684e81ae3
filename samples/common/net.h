/* net.h: the calls on sockets that systems spell differently. net_posix.c, net_win32.c. */
#ifndef NET_H
#define NET_H

#include <stddef.h>

#include <sockbroker/sockbroker.h>

/* How many bytes came, 0 when the client has said all, -1 when it is gone. peek: they stay there for the next reader. */
int net_receive(sockbroker_socket sock, void *room, size_t n);
int net_peek(sockbroker_socket sock, void *room, size_t n);

/* All of it, on a blocking socket. False when the client has gone, which raises no signal. */
bool net_send(sockbroker_socket sock, const void *bytes, size_t n);

void net_set_blocking(sockbroker_socket sock);

/* SOCKBROKER_SOCKET_NONE when nobody waits there. The socket is blocking; an IPv4 client of a dual-stack socket is IPv4. */
sockbroker_socket net_accept(sockbroker_socket listener, struct sockbroker_addr *peer_out);

void net_close(sockbroker_socket sock);

#endif
