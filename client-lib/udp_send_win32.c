#include <stddef.h>
#include <string.h>

#include "client-lib/sysnet.h"
#include "client-lib/udp_batch.h"
#include "client-lib/udp_route.h"
#include "proto/failpoint.h"
#include "proto/oserr.h"
#include "sockbroker/addr.h"

#include <mswsock.h>

/* One record of control data; the system's own macros lay it out like this. */
union control {
    struct {
        WSACMSGHDR head;
        IN_PKTINFO info;
    } ipv4;
    struct {
        WSACMSGHDR head;
        IN6_PKTINFO info;
    } ipv6;
};

static void put_ipv4(const struct sb_udp_route *r, union control *control, WSAMSG *m)
{
    size_t len = offsetof(union control, ipv4.info) + sizeof(control->ipv4.info);

    control->ipv4.head = (WSACMSGHDR){ .cmsg_len = len, .cmsg_level = IPPROTO_IP, .cmsg_type = IP_PKTINFO };
    control->ipv4.info = (IN_PKTINFO){ .ipi_ifindex = r->interface_index };
    if (r->from.family)
        memcpy(&control->ipv4.info.ipi_addr, r->from.ip, 4);
    m->Control.buf = (char *)control;
    m->Control.len = sizeof(control->ipv4);
}

static void put_ipv6(const struct sb_udp_route *r, union control *control, WSAMSG *m)
{
    size_t len = offsetof(union control, ipv6.info) + sizeof(control->ipv6.info);

    control->ipv6.head = (WSACMSGHDR){ .cmsg_len = len, .cmsg_level = IPPROTO_IPV6, .cmsg_type = IPV6_PKTINFO };
    control->ipv6.info = (IN6_PKTINFO){ .ipi6_ifindex = r->interface_index };
    if (r->from.family)
        memcpy(&control->ipv6.info.ipi6_addr, r->from.ip, 16);
    m->Control.buf = (char *)control;
    m->Control.len = sizeof(control->ipv6);
}

/* The record of IPv4 for all IPv4, also on an IPv6 socket. */
static void put_source(const struct sb_udp_route *r, union control *control, WSAMSG *m)
{
    if (!r->from.family && !r->interface_index)
        return;
    if (r->ipv4)
        put_ipv4(r, control, m);
    else
        put_ipv6(r, control, m);
}

/* 0, or what the system says. */
static int send_once(sockbroker_socket sock, WSAMSG *m)
{
    int injected = sb_failpoint("udp_send");
    DWORD n;

    if (injected)
        return injected;
    return WSASendMsg(sock, m, 0, &n, NULL, NULL) ? WSAGetLastError() : 0;
}

static int send_one(const struct sockbroker_udp *udp, const struct sockbroker_datagram *d, const struct sb_udp_route *route)
{
    struct sockaddr_storage peer;
    union control control;
    WSABUF part = { (ULONG)d->len, d->data };
    WSAMSG m = { .name = (struct sockaddr *)&peer, .lpBuffers = &part, .dwBufferCount = 1 };
    int code = WSAEMSGSIZE;

    if (d->len > ULONG_MAX)
        return code;
    m.namelen = (INT)sockbroker_addr_to_sockaddr(&route->to, &peer);
    put_source(route, &control, &m);
    for (unsigned i = 0; i < SB_UDP_TRIES; i++) {
        code = send_once(udp->sock, &m);
        if (!code || code == WSAEWOULDBLOCK || sb_udp_error_is_final(code))
            break;
    }
    return code;
}

sockbroker_status sb_udp_batch_send(const struct sockbroker_udp *udp, struct sockbroker_datagram *batch, size_t n,
                                    size_t *n_done_out)
{
    struct sb_udp_route route;
    size_t at = 0;
    int code = 0;

    for (; at < n; at++) {
        struct sockbroker_datagram *d = &batch[at];

        d->os_code = 0;
        d->status = sb_udp_route_find(udp, d, &route) ? SOCKBROKER_INVALID : SOCKBROKER_OK;
        code = d->status ? 0 : send_one(udp, d, &route);
        if (code == WSAEWOULDBLOCK || sb_udp_error_is_final(code))
            break;
        d->os_code = code;
        d->status = d->status ? d->status : sb_udp_error_status(code);
        code = 0;
    }
    sb_oserr_set_last(code);
    if (code && (at == 0 || code != WSAEWOULDBLOCK))
        return sb_oserr_status(code);
    *n_done_out = at;
    return SOCKBROKER_OK;
}
