/* socket.h: the native socket, an address, and all there is to know of a socket that was handed over. */
#ifndef SOCKBROKER_SOCKET_H
#define SOCKBROKER_SOCKET_H

#include <stdbool.h>
#include <stdint.h>

#include "sockbroker/status.h"

/* Windows: a SOCKET, for closesocket(), WSAPoll() and the like; not a file descriptor of the C library. It is overlapped, is
 * not inherited by children, and belongs to no completion port yet. */
#ifdef _WIN32
#include <winsock2.h>
typedef SOCKET sockbroker_socket;
#define SOCKBROKER_SOCKET_NONE INVALID_SOCKET
#else
typedef int sockbroker_socket;
#define SOCKBROKER_SOCKET_NONE (-1)
#endif

#ifdef __cplusplus
extern "C" {
#endif

enum sockbroker_family {
    SOCKBROKER_FAMILY_NONE = 0,
    SOCKBROKER_IPV4 = 4,
    SOCKBROKER_IPV6 = 6,
};

/* An IP address with a port. An IPv4 peer of a dual-stack socket is always given as SOCKBROKER_IPV4, never
 * as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2); sockbroker_addr_map() gives the mapped form for calls on that socket. */
struct sockbroker_addr {
    enum sockbroker_family family;
    uint16_t port;     /* host byte order, 0..65535 */
    uint32_t scope_id; /* interface index of a link-local IPv6 address (RFC 4007), else 0 */
    uint8_t ip[16];    /* network byte order; IPv4 uses the first 4 bytes, the rest is 0 */
};

enum sockbroker_socket_type {
    SOCKBROKER_STREAM = 1,   /* SOCK_STREAM */
    SOCKBROKER_DATAGRAM = 2, /* SOCK_DGRAM */
};

#define SOCKBROKER_NAME_MAX 63 /* bytes in the name of an endpoint or worker, without the NUL */

/* Everything about a socket that the broker handed over, so that a worker needs no further system call. */
struct sockbroker_socket_info {
    uint64_t lease_id;                    /* never used twice by one broker; 0 = none */
    uint64_t accept_time_ns;              /* when the broker accepted it, by the clock that all processes of this machine
                                             share: CLOCK_MONOTONIC, QueryPerformanceCounter() */
    enum sockbroker_family socket_family; /* of the socket itself: IPV6 for a dual-stack one, also for an IPv4 peer */
    enum sockbroker_socket_type type;
    uint32_t protocol;                      /* IANA protocol number: 6 TCP, 17 UDP */
    bool nonblocking;                       /* how the socket was handed over; a deposit on Windows: never */
    bool listening;                         /* a stream that accepts; it has no peer */
    struct sockbroker_addr peer;            /* who is at the other end; FAMILY_NONE when nobody is */
    struct sockbroker_addr local;           /* the address the peer connected to; where a listening or UDP socket is bound */
    char endpoint[SOCKBROKER_NAME_MAX + 1]; /* of a deposit: its name; "" for an outbound connection */
};

#ifdef __cplusplus
}
#endif
#endif
