#include "client-lib/datagram.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>

#include "client-lib/bound.h"
#include "client-lib/pktinfo.h"
#include "proto/socket.h"

/* The system gives what it allows; how much that is shows afterwards. */
static void ask_for_buffer(int sock, uint32_t bytes)
{
    int wanted = bytes > INT_MAX / 2 ? INT_MAX / 2 : (int)bytes;

    if (setsockopt(sock, SOL_SOCKET, SO_RCVBUFFORCE, &wanted, sizeof(wanted)))
        setsockopt(sock, SOL_SOCKET, SO_RCVBUF, &wanted, sizeof(wanted));
}

static uint32_t buffer_of(int sock)
{
    int bytes = 0;
    socklen_t len = sizeof(bytes);

    getsockopt(sock, SOL_SOCKET, SO_RCVBUF, &bytes, &len);
    return (uint32_t)bytes / 2; /* Linux doubles what was asked, for its own bookkeeping: socket(7) */
}

static sockbroker_status prepare(const struct sb_datagram_request *r, const struct sb_bound_request *at, int sock,
                                 bool *no_ipv4_out, struct sockbroker_error *error)
{
    int on = 1;

    if (r->reuseport && setsockopt(sock, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)))
        return sb_bound_failed(at, "SO_REUSEPORT on", errno, error);
    if (r->receive_buffer)
        ask_for_buffer(sock, r->receive_buffer);
    /* before bind: the destination of what was queued earlier would stay unknown */
    const char *operation = sb_pktinfo_turn_on(sock, at->addr.family, at->dual, no_ipv4_out);
    return operation ? sb_bound_failed(at, operation, errno, error) : SOCKBROKER_OK;
}

sockbroker_status sb_datagram_open(const struct sb_datagram_request *request, sockbroker_socket *sock_out,
                                   struct sb_datagram_facts *facts_out, struct sockbroker_error *error_out)
{
    struct sb_bound_request at = { request->addr, request->dual, SOCKBROKER_DATAGRAM };
    struct sb_datagram_facts facts = { .note = sb_bound_fall_back(&at) ? SB_DATAGRAM_NO_IPV6 : SB_DATAGRAM_AS_ASKED };
    sockbroker_socket sock = SOCKBROKER_SOCKET_NONE;
    bool no_ipv4 = false;
    sockbroker_status st = sb_bound_create(&at, &sock, error_out);

    if (!st)
        st = prepare(request, &at, sock, &no_ipv4, error_out);
    if (!st)
        st = sb_bound_bind(&at, sock, &facts.addr, error_out);
    if (!st) {
        if (no_ipv4)
            facts.note = SB_DATAGRAM_NO_IPV4;
        facts.receive_buffer = buffer_of(sock);
        *facts_out = facts;
        *sock_out = sb_socket_take(&sock);
    }
    sb_socket_close(&sock);
    return st;
}

bool sb_datagram_is_on(sockbroker_socket sock)
{
    struct pollfd p = { .fd = sock, .events = POLLRDHUP };

    return sock != SOCKBROKER_SOCKET_NONE && poll(&p, 1, 0) >= 0 && !(p.revents & (POLLRDHUP | POLLHUP | POLLNVAL));
}
