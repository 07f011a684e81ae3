/* The UDP socket that the servers of the datagram benchmark share, so that only what happens with a datagram differs. */
#ifndef UDP_SOCKET_H
#define UDP_SOCKET_H

#include "base.h"

#define UDP_BATCH 64
#define UDP_ROOM 2048

/* One dual-stack socket on [::]:port. */
int udp_socket_open(const struct base_options *options);

/* Until there is something to receive. */
void udp_socket_wait(int sock);

#endif
