#include "client-lib/datagram.h"

#include "client-lib/bound.h"
#include "client-lib/pktinfo.h"
#include "client-lib/sysnet.h"
#include "proto/oserr.h"
#include "proto/socket.h"
#include "sockbroker/addr.h"

#define DISCARD_PORT 9 /* RFC 863 */

static sockbroker_status prepare(const struct sb_datagram_request *r, const struct sb_bound_request *at, sockbroker_socket sock,
                                 bool *no_ipv4_out, struct sockbroker_error *error)
{
    const char *operation = sb_datagram_claim(sock, r->reuseport);

    if (!operation && r->receive_buffer)
        sb_datagram_ask_buffer(sock, r->receive_buffer);
    if (!operation) /* before bind: the destination of what was queued earlier would stay unknown */
        operation = sb_pktinfo_turn_on(sock, at->addr.family, at->dual, no_ipv4_out);
    return operation ? sb_bound_failed(at, operation, sb_oserr_last(), error) : SOCKBROKER_OK;
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
        facts.receive_buffer = sb_datagram_buffer(sock);
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
        bytes = sb_datagram_buffer(fresh);
    sb_socket_close(&fresh);
    if (bytes)
        sb_datagram_ask_buffer(sock, bytes);
}

/* ---- what others have done to it ---- */

static bool is_shut_for_sending(sockbroker_socket sock)
{
    static const char *const loopback[] = { "::1", "::ffff:127.0.0.1", "127.0.0.1" }; /* one that the socket can reach */
    bool is_shut = false;
    bool told = false;

    for (size_t i = 0; i < 3 && !is_shut && !told; i++) {
        struct sockbroker_addr to;

        sockbroker_addr_parse_ip(loopback[i], &to, NULL);
        to.port = DISCARD_PORT;
        is_shut = sb_datagram_is_shut_for_sending(sock, &to, &told);
    }
    return is_shut;
}

bool sb_datagram_is_on(sockbroker_socket sock)
{
    return sock != SOCKBROKER_SOCKET_NONE && !sb_datagram_is_shut_for_receiving(sock) && !is_shut_for_sending(sock);
}

static bool is_connected(sockbroker_socket sock)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);

    return getpeername(sock, (struct sockaddr *)&sa, &len) == 0;
}

static bool is_bound_to(sockbroker_socket sock, const struct sockbroker_addr *addr)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    struct sockbroker_addr at;

    return getsockname(sock, (struct sockaddr *)&sa, &len) == 0 &&
           sockbroker_addr_from_sockaddr((struct sockaddr *)&sa, (size_t)len, &at) == SOCKBROKER_OK &&
           sockbroker_addr_compare(&at, addr) == 0;
}

sockbroker_status sb_datagram_mend(sockbroker_socket sock, const struct sockbroker_addr *addr, const char **cause_out)
{
    struct sb_bound_request at = { .addr = *addr, .type = SOCKBROKER_DATAGRAM };
    struct sockbroker_addr real;

    *cause_out = is_connected(sock) ? "connected" : NULL;
    if (*cause_out)
        sb_datagram_disconnect(sock, addr->family);
    if (is_bound_to(sock, addr))
        return SOCKBROKER_OK;
    if (!*cause_out)
        *cause_out = "unbound";
    return sb_bound_bind(&at, sock, &real, NULL);
}
