#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "client-lib/udp_batch.h"
#include "client-lib/udp_route.h"
#include "client-lib/zone.h"
#include "proto/oserr.h"
#include "sockbroker/addr.h"

/* Both records of the destination, and some room for what the application may have turned on itself (times, marks). */
#define CONTROL_MAX (CMSG_SPACE(sizeof(struct in_pktinfo)) + CMSG_SPACE(sizeof(struct in6_pktinfo)) + 184)

union control {
    struct cmsghdr align;
    unsigned char bytes[CONTROL_MAX];
};

struct inbox {
    struct mmsghdr messages[SOCKBROKER_UDP_BATCH_MAX];
    struct iovec parts[SOCKBROKER_UDP_BATCH_MAX];
    struct sockaddr_in6 peers[SOCKBROKER_UDP_BATCH_MAX]; /* has room for IPv4 */
    union control controls[SOCKBROKER_UDP_BATCH_MAX];
};

static void lay_out(struct inbox *box, const struct sockbroker_datagram *batch, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        box->parts[i] = (struct iovec){ batch[i].data, batch[i].room };
        box->messages[i].msg_hdr = (struct msghdr){
            .msg_name = &box->peers[i],
            .msg_namelen = sizeof(box->peers[i]),
            .msg_iov = &box->parts[i],
            .msg_iovlen = 1,
            .msg_control = &box->controls[i],
            .msg_controllen = sizeof(box->controls[i]),
        };
    }
}

/* Two addresses: the one in the packet, and the one of ours that it stands for (ipi_spec_dst), which is another when the first
 * is a broadcast address. Both are needed: no other record tells the broadcast address of a network. The second is 0 for what
 * was queued before the option was on. */
static void take_ipv4(const struct cmsghdr *c, struct sockbroker_datagram *d)
{
    struct in_pktinfo info;

    memcpy(&info, CMSG_DATA(c), sizeof(info));
    d->local = (struct sockbroker_addr){ .family = SOCKBROKER_IPV4 };
    memcpy(d->local.ip, &info.ipi_addr, 4);
    d->interface_index = (uint32_t)info.ipi_ifindex;
    d->to_group = sb_udp_is_group(&d->local) || (info.ipi_spec_dst.s_addr && info.ipi_spec_dst.s_addr != info.ipi_addr.s_addr);
}

/* Systems give the IPv4 destination of a dual-stack socket here too, mapped, beside the record above or instead of it. */
static void take_ipv6(const struct cmsghdr *c, struct sockbroker_datagram *d)
{
    struct in6_pktinfo info;

    memcpy(&info, CMSG_DATA(c), sizeof(info));
    d->local = (struct sockbroker_addr){ .family = SOCKBROKER_IPV6 };
    memcpy(d->local.ip, &info.ipi6_addr, 16);
    d->interface_index = (uint32_t)info.ipi6_ifindex;
    if (sb_zone_applies(&d->local))
        d->local.scope_id = d->interface_index;
    sockbroker_addr_normalise(&d->local);
    d->to_group = sb_udp_is_group(&d->local);
}

static void take_nothing(struct sockbroker_datagram *d)
{
    d->local = (struct sockbroker_addr){ .family = SOCKBROKER_FAMILY_NONE };
    d->interface_index = 0;
    d->to_group = false;
}

static void take_destination(struct msghdr *m, struct sockbroker_datagram *d)
{
    const struct cmsghdr *ipv4 = NULL;
    const struct cmsghdr *ipv6 = NULL;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO)
            ipv4 = c;
        else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO)
            ipv6 = c;
    }
    if (ipv4)
        take_ipv4(ipv4, d);
    else if (ipv6)
        take_ipv6(ipv6, d);
    else
        take_nothing(d);
}

static void take(struct mmsghdr *message, uint16_t port, struct sockbroker_datagram *d)
{
    struct msghdr *m = &message->msg_hdr;

    d->peer = (struct sockbroker_addr){ .family = SOCKBROKER_FAMILY_NONE };
    sockbroker_addr_from_sockaddr(m->msg_name, m->msg_namelen, &d->peer);
    sockbroker_addr_normalise(&d->peer);
    take_destination(m, d);
    d->local.port = d->local.family ? port : 0;
    d->len = message->msg_len;
    d->truncated = (m->msg_flags & MSG_TRUNC) != 0;
    d->status = SOCKBROKER_OK;
    d->os_code = 0;
}

sockbroker_status sb_udp_batch_prepare(sockbroker_socket sock)
{
    (void)sock; /* each call says that it does not wait */
    return SOCKBROKER_OK;
}

sockbroker_status sb_udp_batch_receive(const struct sockbroker_udp *udp, struct sockbroker_datagram *batch, size_t n,
                                       size_t *n_out)
{
    struct inbox box;
    int n_taken = -1;

    lay_out(&box, batch, n);
    for (unsigned i = 0; i < SB_UDP_TRIES && n_taken < 0; i++) {
        n_taken = recvmmsg(udp->sock, box.messages, (unsigned)n, MSG_DONTWAIT, NULL);
        if (n_taken < 0 && (errno == EAGAIN || sb_udp_error_is_final(errno)))
            return sb_oserr_status(errno);
    }
    if (n_taken < 0) /* ICMP faster than we are; the socket stays readable */
        return errno == EFAULT || errno == ENOMEM ? sb_oserr_status(errno) : SOCKBROKER_AGAIN;
    for (int i = 0; i < n_taken; i++)
        take(&box.messages[i], udp->port, &batch[i]);
    *n_out = (size_t)n_taken;
    return SOCKBROKER_OK;
}
