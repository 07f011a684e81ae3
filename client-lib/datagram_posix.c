#include "client-lib/datagram.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>

#include "client-lib/bound.h"
#include "client-lib/pktinfo.h"
#include "proto/socket.h"
#include "sockbroker/addr.h"

#define DISCARD_PORT 9 /* RFC 863 */

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

void sb_datagram_set_receive_buffer(sockbroker_socket sock, uint32_t bytes)
{
    struct sb_bound_request any = { .addr.family = SOCKBROKER_IPV4, .type = SOCKBROKER_DATAGRAM };
    sockbroker_socket fresh = SOCKBROKER_SOCKET_NONE;

    if (!bytes && !sb_bound_create(&any, &fresh, NULL))
        bytes = buffer_of(fresh);
    sb_socket_close(&fresh);
    if (bytes)
        ask_for_buffer(sock, bytes);
}

/* ---- what others have done to it ---- */

static bool is_shut_for_receiving(int sock)
{
    struct pollfd p = { .fd = sock, .events = POLLRDHUP };

    return poll(&p, 1, 0) < 0 || (p.revents & (POLLRDHUP | POLLHUP | POLLNVAL));
}

/* Only a send tells. This one goes nowhere: Linux looks at the shutdown before it finds that the data cannot be read. */
static bool is_shut_for_sending(int sock)
{
    static const char *const loopback[] = { "::1", "::ffff:127.0.0.1", "127.0.0.1" }; /* one that the socket can reach */
    const void *unreadable = (const void *)(uintptr_t)1;
    bool is_shut = false;

    for (size_t i = 0; i < 3 && !is_shut; i++) {
        struct sockbroker_addr to;
        struct sockaddr_storage sa;

        sockbroker_addr_parse_ip(loopback[i], &to, NULL);
        to.port = DISCARD_PORT;
        socklen_t len = (socklen_t)sockbroker_addr_to_sockaddr(&to, &sa);
        is_shut = sendto(sock, unreadable, 1, MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&sa, len) < 0 && errno == EPIPE;
        if (errno == EFAULT)
            break;
    }
    return is_shut;
}

bool sb_datagram_is_on(sockbroker_socket sock)
{
    return sock != SOCKBROKER_SOCKET_NONE && !is_shut_for_receiving(sock) && !is_shut_for_sending(sock);
}

static bool is_connected(int sock)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);

    return getpeername(sock, (struct sockaddr *)&sa, &len) == 0;
}

static bool is_bound_to(int sock, const struct sockbroker_addr *addr)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    struct sockbroker_addr at;

    return getsockname(sock, (struct sockaddr *)&sa, &len) == 0 &&
           sockbroker_addr_from_sockaddr((struct sockaddr *)&sa, len, &at) == SOCKBROKER_OK &&
           sockbroker_addr_compare(&at, addr) == 0;
}

sockbroker_status sb_datagram_mend(sockbroker_socket sock, const struct sockbroker_addr *addr, const char **cause_out)
{
    struct sb_bound_request at = { .addr = *addr, .type = SOCKBROKER_DATAGRAM };
    struct sockaddr nobody = { .sa_family = AF_UNSPEC };
    struct sockbroker_addr real;

    *cause_out = is_connected(sock) ? "connected" : NULL;
    if (*cause_out)
        connect(sock, &nobody, sizeof(nobody));
    if (is_bound_to(sock, addr))
        return SOCKBROKER_OK;
    if (!*cause_out)
        *cause_out = "unbound";
    return sb_bound_bind(&at, sock, &real, NULL);
}
