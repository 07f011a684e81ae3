#include "client-lib/wake.h"

#include "client-lib/bound.h"
#include "client-lib/sysnet.h"
#include "proto/oserr.h"
#include "proto/socket.h"
#include "sockbroker/addr.h"

#define ARRIVES_MS 1000 /* a datagram to ourselves has been sent; far more than it takes */

/* Bound to a port of its own and connected to it: nobody else can send to it. */
static sockbroker_status open_circle(const char *loopback, sockbroker_socket *sock_out)
{
    struct sb_bound_request at = { .type = SOCKBROKER_DATAGRAM };
    sockbroker_socket sock = SOCKBROKER_SOCKET_NONE;
    struct sockbroker_addr self;
    struct sockaddr_storage sa;

    sockbroker_addr_parse_ip(loopback, &at.addr, NULL);
    sockbroker_status st = sb_bound_create(&at, &sock, NULL);
    if (!st)
        st = sb_bound_bind(&at, sock, &self, NULL);
    if (!st && connect(sock, (struct sockaddr *)&sa, (int)sockbroker_addr_to_sockaddr(&self, &sa)))
        st = sb_oserr_status(sb_oserr_last());
    if (!st)
        *sock_out = sb_socket_take(&sock);
    sb_socket_close(&sock);
    return st;
}

sockbroker_status sb_wake_open(struct sb_wake *wake_out)
{
    struct sb_wake w = SB_WAKE_NONE;
    sockbroker_status st = open_circle("127.0.0.1", &w.bell);

    if (st) /* IPv4 may be turned off */
        st = open_circle("::1", &w.bell);
    if (st)
        return st;
    w.set = w.bell;
    *wake_out = w;
    return SOCKBROKER_OK;
}

void sb_wake_close(struct sb_wake *w)
{
    sb_socket_close(&w->bell);
    w->set = SOCKBROKER_SOCKET_NONE;
}

sockbroker_status sb_wake_watch(struct sb_wake *w, sockbroker_socket sock)
{
    (void)w;
    (void)sock; /* a process, in which nothing arrives: the bell says all */
    return SOCKBROKER_OK;
}

void sb_wake_unwatch(struct sb_wake *w, sockbroker_socket sock)
{
    (void)w;
    (void)sock;
}

void sb_wake_ring(struct sb_wake *w)
{
    send(w->bell, "!", 1, 0);
}

/* The one that was sent may still be on its way; left there, it would wake everybody for nothing, for ever. */
void sb_wake_quiet(struct sb_wake *w)
{
    char bytes[2];

    sb_wake_wait(w, ARRIVES_MS);
    while (recv(w->bell, bytes, sizeof(bytes), 0) > 0)
        continue;
}

sockbroker_status sb_wake_wait(const struct sb_wake *w, int timeout_ms)
{
    WSAPOLLFD p = { .fd = w->set, .events = POLLRDNORM };

    return WSAPoll(&p, 1, timeout_ms) == 0 ? SOCKBROKER_TIMEOUT : SOCKBROKER_OK;
}
