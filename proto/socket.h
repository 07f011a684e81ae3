/* socket.h: the few calls on a socket that every floor needs. */
#ifndef SB_PROTO_SOCKET_H
#define SB_PROTO_SOCKET_H

#include "sockbroker/socket.h"

/* Before the first socket of the process; again as often as you like. POSIX: nothing. Windows: starts Winsock. */
sockbroker_status sb_socket_prepare(void);

/* Closes and leaves NONE; does nothing to NONE. Keeps the last error code. Also for a process handle (peer.h). */
void sb_socket_close(sockbroker_socket *sock);

/* Closes so that the TCP peer sees a reset, not an orderly end: what was refused must not look served. */
void sb_socket_reset(sockbroker_socket *sock);

/* Would closing the last copy wait (SO_LINGER with a time)? */
bool sb_socket_lingers(sockbroker_socket sock);

/* Moves the socket out, leaving NONE. */
sockbroker_socket sb_socket_take(sockbroker_socket *sock);

/* Another number for the same socket or process, close-on-exec. OK, NO_DESCRIPTORS. */
sockbroker_status sb_socket_duplicate(sockbroker_socket sock, sockbroker_socket *sock_out);

/* False also for NONE. */
bool sb_socket_is_datagram(sockbroker_socket sock);

/* The same for all numbers of one socket, and no other open one's; 0 for NONE. Windows cannot tell copies: each is another. */
uint64_t sb_socket_identity(sockbroker_socket sock);

/* Windows does not tell: false. */
bool sb_socket_is_nonblocking(sockbroker_socket sock);
sockbroker_status sb_socket_set_nonblocking(sockbroker_socket sock, bool nonblocking);

#endif
