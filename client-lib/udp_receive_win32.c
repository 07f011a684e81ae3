#include <limits.h>
#include <stdalign.h>
#include <stddef.h>
#include <string.h>

#include "client-lib/sysnet.h"
#include "client-lib/udp_batch.h"
#include "client-lib/udp_route.h"
#include "client-lib/zone.h"
#include "proto/oserr.h"
#include "proto/socket.h"
#include "sockbroker/addr.h"

#include <mswsock.h>

#ifndef SIO_UDP_NETRESET
#define SIO_UDP_NETRESET _WSAIOW(IOC_VENDOR, 15) /* mstcpip.h */
#endif

#define CONTROL_MAX                                                                                                            \
    256 /* both records of the destination, and some room for what the application may have turned on itself                   \
         */

union control {
    WSACMSGHDR head;
    char bytes[CONTROL_MAX];
};

/* One record of control data; the system's own macros lay it out like this. */
struct record_ipv4 {
    WSACMSGHDR head;
    IN_PKTINFO info;
};

struct record_ipv6 {
    WSACMSGHDR head;
    IN6_PKTINFO info;
};

/* What one call brings besides the data. */
struct arrival {
    struct sockaddr_storage peer;
    union control control;
    WSABUF part;
    WSAMSG message;
};

/* A system that does not know the second has nothing to turn off. */
sockbroker_status sb_udp_batch_prepare(sockbroker_socket sock)
{
    BOOL off = FALSE;
    DWORD n;

    WSAIoctl(sock, SIO_UDP_NETRESET, &off, sizeof(off), NULL, 0, &n, NULL, NULL);
    if (WSAIoctl(sock, SIO_UDP_CONNRESET, &off, sizeof(off), NULL, 0, &n, NULL, NULL))
        return sb_oserr_status(sb_oserr_last());
    return sb_socket_set_nonblocking(sock, true);
}

/* Each service provider may have its own. */
static LPFN_WSARECVMSG find_receive(sockbroker_socket sock)
{
    GUID id = WSAID_WSARECVMSG;
    LPFN_WSARECVMSG found = NULL;
    DWORD n;

    return WSAIoctl(sock, SIO_GET_EXTENSION_FUNCTION_POINTER, &id, sizeof(id), &found, sizeof(found), &n, NULL, NULL) ? NULL
                                                                                                                      : found;
}

static void lay_out(struct arrival *a, const struct sockbroker_datagram *d)
{
    a->part.len = d->room > ULONG_MAX ? ULONG_MAX : (ULONG)d->room;
    a->part.buf = d->data;
    a->message = (WSAMSG){ .name = (struct sockaddr *)&a->peer,
                           .namelen = sizeof(a->peer),
                           .lpBuffers = &a->part,
                           .dwBufferCount = 1,
                           .Control = { sizeof(a->control), a->control.bytes } };
}

static void take_ipv4(const struct record_ipv4 *r, struct sockbroker_datagram *d)
{
    d->local = (struct sockbroker_addr){ .family = SOCKBROKER_IPV4 };
    memcpy(d->local.ip, &r->info.ipi_addr, 4);
    d->interface_index = r->info.ipi_ifindex;
}

/* The IPv4 destination of a dual-stack socket may be given here too, mapped, beside the record above or instead of it. */
static void take_ipv6(const struct record_ipv6 *r, struct sockbroker_datagram *d)
{
    d->local = (struct sockbroker_addr){ .family = SOCKBROKER_IPV6 };
    memcpy(d->local.ip, &r->info.ipi6_addr, 16);
    d->interface_index = r->info.ipi6_ifindex;
    if (sb_zone_applies(&d->local))
        d->local.scope_id = d->interface_index;
    sockbroker_addr_normalise(&d->local);
}

static bool is_record(const WSACMSGHDR *head, int level, int type, size_t size)
{
    return head->cmsg_level == level && head->cmsg_type == type && head->cmsg_len >= size;
}

static void take_destination(const WSAMSG *m, struct sockbroker_datagram *d)
{
    const size_t align = alignof(WSACMSGHDR);
    struct record_ipv4 ipv4 = { .head.cmsg_len = 0 };
    struct record_ipv6 ipv6 = { .head.cmsg_len = 0 };
    WSACMSGHDR head;

    for (size_t at = 0; at + sizeof(head) <= m->Control.len; at += (head.cmsg_len + align - 1) / align * align) {
        memcpy(&head, m->Control.buf + at, sizeof(head));
        if (head.cmsg_len < sizeof(head) || head.cmsg_len > m->Control.len - at)
            break;
        if (is_record(&head, IPPROTO_IP, IP_PKTINFO, offsetof(struct record_ipv4, info) + sizeof(ipv4.info)))
            memcpy(&ipv4, m->Control.buf + at, head.cmsg_len < sizeof(ipv4) ? head.cmsg_len : sizeof(ipv4));
        else if (is_record(&head, IPPROTO_IPV6, IPV6_PKTINFO, offsetof(struct record_ipv6, info) + sizeof(ipv6.info)))
            memcpy(&ipv6, m->Control.buf + at, head.cmsg_len < sizeof(ipv6) ? head.cmsg_len : sizeof(ipv6));
    }
    d->local = (struct sockbroker_addr){ .family = SOCKBROKER_FAMILY_NONE };
    d->interface_index = 0;
    if (ipv4.head.cmsg_len)
        take_ipv4(&ipv4, d);
    else if (ipv6.head.cmsg_len)
        take_ipv6(&ipv6, d);
}

/* Only the flags tell the broadcast address of a network. */
static void take(struct arrival *a, size_t len, uint16_t port, struct sockbroker_datagram *d)
{
    WSAMSG *m = &a->message;

    d->peer = (struct sockbroker_addr){ .family = SOCKBROKER_FAMILY_NONE };
    sockbroker_addr_from_sockaddr(m->name, (size_t)m->namelen, &d->peer);
    sockbroker_addr_normalise(&d->peer);
    take_destination(m, d);
    d->local.port = d->local.family ? port : 0;
    d->to_group = (m->dwFlags & (MSG_BCAST | MSG_MCAST)) || (d->local.family && sb_udp_is_group(&d->local));
    d->truncated = (m->dwFlags & MSG_TRUNC) != 0;
    d->len = d->truncated ? d->room : len;
    d->status = SOCKBROKER_OK;
    d->os_code = 0;
}

/* OK, or what the system says. A cut datagram is reported as an error and is there all the same. */
static int receive_one(LPFN_WSARECVMSG receive, const struct sockbroker_udp *udp, struct sockbroker_datagram *d)
{
    struct arrival a;
    DWORD n = 0;

    lay_out(&a, d);
    int code = receive(udp->sock, &a.message, &n, NULL, NULL) ? WSAGetLastError() : 0;
    if (code && code != WSAEMSGSIZE)
        return code;
    if (code == WSAEMSGSIZE && !(a.message.dwFlags & MSG_CTRUNC))
        a.message.dwFlags |= MSG_TRUNC;
    take(&a, n, udp->port, d);
    return 0;
}

sockbroker_status sb_udp_batch_receive(const struct sockbroker_udp *udp, struct sockbroker_datagram *batch, size_t n,
                                       size_t *n_out)
{
    LPFN_WSARECVMSG receive = find_receive(udp->sock);
    size_t n_taken = 0;
    unsigned tries = 0;
    int code = receive ? 0 : WSAGetLastError();

    while (receive && n_taken < n && tries < SB_UDP_TRIES) {
        code = receive_one(receive, udp, &batch[n_taken]);
        if (code == WSAEWOULDBLOCK || sb_udp_error_is_final(code))
            break;
        n_taken += !code;
        tries = code ? tries + 1 : 0;
    }
    if (!n_taken) /* ICMP faster than we are: the socket stays readable */
        return !receive || code == WSAEFAULT || sb_udp_error_is_final(code) ? sb_oserr_status(code) : SOCKBROKER_AGAIN;
    *n_out = n_taken;
    return SOCKBROKER_OK;
}
