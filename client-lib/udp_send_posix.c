#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "client-lib/udp_batch.h"
#include "client-lib/udp_route.h"
#include "proto/failpoint.h"
#include "proto/oserr.h"
#include "sockbroker/addr.h"

union control {
    struct cmsghdr align;
    unsigned char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))]; /* the longer one */
};

/* Only what can be sent is in it. */
struct outbox {
    struct mmsghdr messages[SOCKBROKER_UDP_BATCH_MAX];
    struct iovec parts[SOCKBROKER_UDP_BATCH_MAX];
    struct sockaddr_in6 peers[SOCKBROKER_UDP_BATCH_MAX]; /* has room for IPv4 */
    union control controls[SOCKBROKER_UDP_BATCH_MAX];
    struct sockbroker_datagram *datagrams[SOCKBROKER_UDP_BATCH_MAX];
    size_t n;
};

static void put(struct msghdr *m, union control *control, int level, int type, const void *info, size_t info_len)
{
    control->align = (struct cmsghdr){ .cmsg_len = CMSG_LEN(info_len), .cmsg_level = level, .cmsg_type = type };
    memcpy(CMSG_DATA(&control->align), info, info_len);
    m->msg_control = control;
    m->msg_controllen = CMSG_SPACE(info_len);
}

/* in_pktinfo for all IPv4, also on an IPv6 socket; in6_pktinfo for IPv6 only. */
static void put_source(const struct sb_udp_route *r, union control *control, struct msghdr *m)
{
    struct in_pktinfo info = { .ipi_ifindex = (int)r->interface_index };
    struct in6_pktinfo info6 = { .ipi6_ifindex = r->interface_index };

    if (!r->from.family && !r->interface_index)
        return;
    if (r->ipv4) {
        if (r->from.family)
            memcpy(&info.ipi_spec_dst, r->from.ip, 4);
        put(m, control, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
    } else {
        if (r->from.family)
            memcpy(&info6.ipi6_addr, r->from.ip, 16);
        put(m, control, IPPROTO_IPV6, IPV6_PKTINFO, &info6, sizeof(info6));
    }
}

static void pack(struct outbox *box, struct sockbroker_datagram *d, const struct sb_udp_route *route)
{
    size_t i = box->n++;
    struct msghdr *m = &box->messages[i].msg_hdr;
    struct sockaddr_storage peer;

    box->datagrams[i] = d;
    box->parts[i] = (struct iovec){ d->data, d->len };
    *m = (struct msghdr){ .msg_name = &box->peers[i], .msg_iov = &box->parts[i], .msg_iovlen = 1 };
    m->msg_namelen = (socklen_t)sockbroker_addr_to_sockaddr(&route->to, &peer);
    memcpy(&box->peers[i], &peer, sizeof(box->peers[i]));
    put_source(route, &box->controls[i], m);
}

static void pack_all(const struct sockbroker_udp *udp, struct sockbroker_datagram *batch, size_t n, struct outbox *box)
{
    struct sb_udp_route route;

    box->n = 0;
    for (size_t i = 0; i < n; i++) {
        batch[i].os_code = 0;
        batch[i].status = sb_udp_route_find(udp, &batch[i], &route) ? SOCKBROKER_INVALID : SOCKBROKER_OK;
        if (!batch[i].status)
            pack(box, &batch[i], &route);
    }
}

static int send_from(int sock, struct outbox *box, size_t at)
{
    int injected = sb_failpoint("udp_send");

    if (injected) {
        errno = injected;
        return -1;
    }
    return sendmmsg(sock, box->messages + at, (unsigned)(box->n - at), MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Returns the first message that is still to be sent, and in code_out why. The system stops at one that fails and tells its
 * error only when it is asked to begin with it. */
static size_t send_all(int sock, struct outbox *box, int *code_out)
{
    size_t at = 0;
    unsigned tries = 0;

    *code_out = 0;
    while (at < box->n) {
        int n_sent = send_from(sock, box, at);

        if (n_sent > 0) {
            at += (size_t)n_sent;
            tries = 0;
        } else if (errno == EAGAIN || sb_udp_error_is_final(errno)) {
            *code_out = errno;
            return at;
        } else if (++tries == SB_UDP_TRIES) {
            box->datagrams[at]->os_code = errno;
            box->datagrams[at++]->status = sb_udp_error_status(errno);
            tries = 0;
        }
    }
    return at;
}

sockbroker_status sb_udp_batch_send(const struct sockbroker_udp *udp, struct sockbroker_datagram *batch, size_t n,
                                    size_t *n_done_out)
{
    struct outbox box;
    int code;

    pack_all(udp, batch, n, &box);
    size_t at = send_all(udp->sock, &box, &code);
    size_t n_done = at < box.n ? (size_t)(box.datagrams[at] - batch) : n;
    if (code && (n_done == 0 || code != EAGAIN))
        return sb_oserr_status(code);
    *n_done_out = n_done;
    return SOCKBROKER_OK;
}
