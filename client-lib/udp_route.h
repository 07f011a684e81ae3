/* udp_route.h: where a datagram goes, where it comes from, and by which interface (RFC 1122, 3.2.1.3 and 4.1.3.5). */
#ifndef SB_CLIENT_UDP_ROUTE_H
#define SB_CLIENT_UDP_ROUTE_H

#include "sockbroker/udp.h"

struct sb_udp_route {
    struct sockbroker_addr to;   /* as the socket wants it: mapped for IPv4 on an IPv6 socket */
    struct sockbroker_addr from; /* never mapped; FAMILY_NONE: the system chooses */
    bool ipv4;                   /* the packet is IPv4, whatever the socket is */
    uint32_t interface_index;    /* 0: the routing table decides */
};

/* NULL when route_out was written, else what is wrong with the datagram and what to do about it. */
const char *sb_udp_route_find(const struct sockbroker_udp *udp, const struct sockbroker_datagram *datagram,
                              struct sb_udp_route *route_out);

/* Multicast, or the broadcast address of all networks; that of one network only the system can tell. */
bool sb_udp_is_group(const struct sockbroker_addr *addr);

#endif
