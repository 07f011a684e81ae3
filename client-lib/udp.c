#include "sockbroker/udp.h"

#include <stdio.h>

#include "client-lib/bound.h"
#include "client-lib/ends.h"
#include "client-lib/pktinfo.h"
#include "client-lib/udp_batch.h"
#include "client-lib/udp_route.h"
#include "proto/error.h"
#include "proto/oserr.h"
#include "sockbroker/addr.h"

#define PROTOCOL_UDP 17 /* IANA protocol numbers */

sockbroker_status sockbroker_udp_init(struct sockbroker_udp *udp_out, sockbroker_socket sock,
                                      struct sockbroker_error *error_out)
{
    struct sockbroker_socket_info info;
    bool no_ipv4; /* the broker has said so when it opened the socket; sending to IPv4 tells anyhow */

    sb_ends_describe(sock, &info);
    if (info.type != SOCKBROKER_DATAGRAM || info.protocol != PROTOCOL_UDP)
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0,
                            "socket %lld is not a UDP socket: give one of an endpoint with type=udp, or open one with "
                            "socket(AF_INET6, SOCK_DGRAM, 0)",
                            (long long)sock);
    struct sockbroker_udp udp = { sock, info.socket_family, sb_bound_is_dual(sock), info.local.port };
    const char *operation = sb_pktinfo_turn_on(sock, udp.socket_family, udp.dual, &no_ipv4);
    if (operation)
        return sb_oserr_set(error_out, sb_oserr_last(), operation, "the system does not tell where datagrams went to");
    if (sb_udp_batch_prepare(sock))
        return sb_oserr_set(error_out, sb_oserr_last(), "making the UDP socket non-blocking", NULL);
    *udp_out = udp;
    return SOCKBROKER_OK;
}

static bool is_batch(size_t n)
{
    return n >= 1 && n <= SOCKBROKER_UDP_BATCH_MAX;
}

sockbroker_status sockbroker_udp_receive(const struct sockbroker_udp *udp, struct sockbroker_datagram *batch, size_t n,
                                         size_t *n_out)
{
    if (!is_batch(n))
        return SOCKBROKER_INVALID;
    for (size_t i = 0; i < n; i++) {
        if (!batch[i].data && batch[i].room)
            return SOCKBROKER_INVALID;
    }
    return sb_udp_batch_receive(udp, batch, n, n_out);
}

static void explain(const struct sockbroker_udp *udp, const struct sockbroker_datagram *d, size_t index,
                    struct sockbroker_error *error)
{
    char to[SOCKBROKER_ADDR_TEXT_MAX], from[SOCKBROKER_ADDR_TEXT_MAX], what[2 * SOCKBROKER_ADDR_TEXT_MAX + 64];
    struct sb_udp_route route;

    snprintf(what, sizeof(what), "datagram %zu of the batch, to %s from %s", index, sockbroker_addr_format(&d->peer, to),
             d->local.family ? sockbroker_addr_format_ip(&d->local, from) : "any address");
    if (d->os_code) {
        sb_oserr_set(error, d->os_code, what, sb_udp_error_cure(d->os_code));
        error->status = d->status;
    } else {
        sb_error_set(error, d->status, 0, "%s: %s", what, sb_udp_route_find(udp, d, &route));
    }
}

static void explain_first(const struct sockbroker_udp *udp, const struct sockbroker_datagram *batch, size_t n,
                          struct sockbroker_error *error)
{
    sb_error_set(error, SOCKBROKER_OK, 0, "%s", "");
    for (size_t i = 0; i < n; i++) {
        if (batch[i].status) {
            explain(udp, &batch[i], i, error);
            return;
        }
    }
}

sockbroker_status sockbroker_udp_send(const struct sockbroker_udp *udp, struct sockbroker_datagram *batch, size_t n,
                                      size_t *n_done_out, struct sockbroker_error *error_out)
{
    size_t n_done = 0;

    if (!is_batch(n))
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0, "%zu datagrams in a batch: give 1 to %d", n,
                            SOCKBROKER_UDP_BATCH_MAX);
    sockbroker_status st = sb_udp_batch_send(udp, batch, n, &n_done);
    if (st && st != SOCKBROKER_AGAIN)
        return sb_oserr_set(error_out, sb_oserr_last(), "sending on the UDP socket",
                            "it is closed or shut down: get it from the broker again");
    if (error_out)
        explain_first(udp, batch, n_done, error_out);
    if (!st)
        *n_done_out = n_done;
    return st;
}
