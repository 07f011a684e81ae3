/* socket.h: the few calls on a socket that every floor needs. */
#ifndef SB_PROTO_SOCKET_H
#define SB_PROTO_SOCKET_H

#include "sockbroker/socket.h"

/* Closes and leaves NONE; does nothing to NONE. Keeps the last error code. */
void sb_socket_close(sockbroker_socket *sock);

/* Closes so that the TCP peer sees a reset, not an orderly end: what was refused must not look served. */
void sb_socket_reset(sockbroker_socket *sock);

/* Would closing the last copy wait (SO_LINGER with a time)? */
bool sb_socket_lingers(sockbroker_socket sock);

/* Moves the socket out, leaving NONE. */
sockbroker_socket sb_socket_take(sockbroker_socket *sock);

/* Another number for the same socket, close-on-exec. OK, NO_DESCRIPTORS. */
sockbroker_status sb_socket_duplicate(sockbroker_socket sock, sockbroker_socket *sock_out);

/* False also for NONE. */
bool sb_socket_is_datagram(sockbroker_socket sock);

/* The same for all numbers of one socket, and no other open one's; 0 for NONE. */
uint64_t sb_socket_identity(sockbroker_socket sock);

bool sb_socket_is_nonblocking(sockbroker_socket sock);
sockbroker_status sb_socket_set_nonblocking(sockbroker_socket sock, bool nonblocking);

#endif
