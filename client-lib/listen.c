#include "client-lib/listen.h"

#include "client-lib/bound.h"
#include "client-lib/sysnet.h"
#include "proto/oserr.h"
#include "proto/socket.h"
#include "sockbroker/addr.h"

static sockbroker_status start(const struct sb_bound_request *at, const struct sb_listen_request *r, sockbroker_socket sock,
                               struct sockbroker_addr *addr_out, struct sockbroker_error *error)
{
    const char *operation = sb_listen_claim(sock, r->reuseport);

    if (operation)
        return sb_bound_failed(at, operation, sb_oserr_last(), error);
    sockbroker_status st = sb_bound_bind(at, sock, addr_out, error);
    if (!st && listen(sock, (int)r->backlog))
        return sb_bound_failed(at, "listen on", sb_oserr_last(), error);
    return st;
}

static sockbroker_status open_exactly(const struct sb_bound_request *at, const struct sb_listen_request *r,
                                      sockbroker_socket *sock_out, struct sockbroker_addr *addr_out,
                                      struct sockbroker_error *error)
{
    sockbroker_socket sock = SOCKBROKER_SOCKET_NONE;
    struct sockbroker_addr addr;
    sockbroker_status st = sb_bound_create(at, &sock, error);

    if (!st)
        st = start(at, r, sock, &addr, error);
    if (!st) {
        *addr_out = addr;
        *sock_out = sb_socket_take(&sock);
    }
    sb_socket_close(&sock);
    return st;
}

sockbroker_status sb_listen_open(const struct sb_listen_request *request, sockbroker_socket *sock_out,
                                 struct sockbroker_addr *addr_out, enum sb_listen_note *note_out,
                                 struct sockbroker_error *error_out)
{
    struct sb_bound_request at = { request->addr, request->dual, SOCKBROKER_STREAM };

    *note_out = sb_bound_fall_back(&at) ? SB_LISTEN_NO_IPV6 : SB_LISTEN_AS_ASKED;
    return open_exactly(&at, request, sock_out, addr_out, error_out);
}

sockbroker_status sb_listen_again(sockbroker_socket sock, const struct sockbroker_addr *at, uint32_t backlog)
{
    struct sockaddr_storage sa;
    socklen_t len = (socklen_t)sockbroker_addr_to_sockaddr(at, &sa);

    if (bind(sock, (struct sockaddr *)&sa, len) && !sb_listen_is_bound_code(sb_oserr_last()))
        return sb_oserr_status(sb_oserr_last());
    return listen(sock, (int)backlog) ? sb_oserr_status(sb_oserr_last()) : SOCKBROKER_OK;
}

bool sb_listen_is_on(sockbroker_socket sock)
{
    int on = 0;
    socklen_t len = sizeof(on);

    return getsockopt(sock, SOL_SOCKET, SO_ACCEPTCONN, (void *)&on, &len) == 0 && on;
}

bool sb_listen_has_ipv6(void)
{
    return sb_bound_has(SOCKBROKER_IPV6);
}

bool sb_listen_has_ipv6_address(void)
{
    struct sb_bound_request loopback = { .addr.family = SOCKBROKER_IPV6, .type = SOCKBROKER_STREAM };
    sockbroker_socket sock = SOCKBROKER_SOCKET_NONE;
    struct sb_listen_request how = { .backlog = 1 };
    struct sockbroker_addr addr;

    loopback.addr.ip[15] = 1;
    bool there = sb_listen_has_ipv6() && open_exactly(&loopback, &how, &sock, &addr, NULL) == SOCKBROKER_OK;
    sb_socket_close(&sock);
    return there;
}
