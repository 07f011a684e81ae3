/* ip_socket.h: new IP sockets. ip_socket_posix.c, ip_socket_win32.c. */
#ifndef SB_CLIENT_IP_SOCKET_H
#define SB_CLIENT_IP_SOCKET_H

#include "sockbroker/socket.h"

/* TCP or UDP, non-blocking, and no child process gets it. Windows: overlapped, and associated with no completion port, for a
 * socket can have only one and it may go to another process. NONE: sb_oserr_last() says why. */
sockbroker_socket sb_ip_socket(enum sockbroker_family family, enum sockbroker_socket_type type);

#endif
