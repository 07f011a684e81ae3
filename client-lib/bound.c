#include "client-lib/bound.h"

#include <stdio.h>

#include "client-lib/ip_socket.h"
#include "client-lib/sysnet.h"
#include "proto/error.h"
#include "proto/failpoint.h"
#include "proto/oserr.h"
#include "proto/socket.h"
#include "sockbroker/addr.h"

sockbroker_status sb_bound_failed(const struct sb_bound_request *request, const char *operation, int os_code,
                                  struct sockbroker_error *error_out)
{
    const char *families = request->addr.family != SOCKBROKER_IPV6 ? "IPv4" : request->dual ? "IPv6 and IPv4" : "IPv6";
    char text[SOCKBROKER_ADDR_TEXT_MAX];
    char what[SOCKBROKER_ADDR_TEXT_MAX + 64];
    const char *cure;
    sockbroker_status st = sb_bound_judge(request->type, os_code, &cure);

    snprintf(what, sizeof(what), "%s %s (%s%s)", operation, sockbroker_addr_format(&request->addr, text),
             request->type == SOCKBROKER_DATAGRAM ? "UDP, " : "", families);
    sb_oserr_set(error_out, os_code, what, cure);
    if (error_out)
        error_out->status = st;
    return st;
}

static sockbroker_socket open_socket(enum sockbroker_family family, enum sockbroker_socket_type type)
{
    int injected = family == SOCKBROKER_IPV6 ? sb_failpoint("socket6") : sb_failpoint("socket4");

    if (injected) {
        sb_oserr_set_last(injected);
        return SOCKBROKER_SOCKET_NONE;
    }
    return sb_ip_socket(family, type);
}

static sockbroker_status set_v6only(const struct sb_bound_request *request, sockbroker_socket sock,
                                    struct sockbroker_error *error)
{
    int wanted = !request->dual;
    int got = !wanted;
    socklen_t len = sizeof(got);

    if (setsockopt(sock, IPPROTO_IPV6, IPV6_V6ONLY, (const void *)&wanted, sizeof(wanted)) ||
        getsockopt(sock, IPPROTO_IPV6, IPV6_V6ONLY, (void *)&got, &len))
        return sb_bound_failed(request, "IPV6_V6ONLY on", sb_oserr_last(), error);
    if (!got == !wanted)
        return SOCKBROKER_OK;
    return sb_error_set(error, SOCKBROKER_UNSUPPORTED, 0,
                        "IPV6_V6ONLY: the system keeps it %s on IPv6 sockets; give the endpoint family=split and two addresses",
                        got ? "on" : "off");
}

sockbroker_status sb_bound_create(const struct sb_bound_request *request, sockbroker_socket *sock_out,
                                  struct sockbroker_error *error_out)
{
    sockbroker_socket sock = open_socket(request->addr.family, request->type);
    sockbroker_status st = SOCKBROKER_OK;

    if (sock == SOCKBROKER_SOCKET_NONE)
        return sb_bound_failed(request, "socket for", sb_oserr_last(), error_out);
    if (request->addr.family == SOCKBROKER_IPV6)
        st = set_v6only(request, sock, error_out);
    if (!st)
        *sock_out = sb_socket_take(&sock);
    sb_socket_close(&sock);
    return st;
}

sockbroker_status sb_bound_bind(const struct sb_bound_request *request, sockbroker_socket sock,
                                struct sockbroker_addr *addr_out, struct sockbroker_error *error_out)
{
    struct sockaddr_storage sa;
    socklen_t len = (socklen_t)sockbroker_addr_to_sockaddr(&request->addr, &sa);

    if (bind(sock, (struct sockaddr *)&sa, len))
        return sb_bound_failed(request, "bind", sb_oserr_last(), error_out);
    len = sizeof(sa);
    if (getsockname(sock, (struct sockaddr *)&sa, &len))
        return sb_bound_failed(request, "getsockname of", sb_oserr_last(), error_out);
    return sockbroker_addr_from_sockaddr((struct sockaddr *)&sa, (size_t)len, addr_out);
}

bool sb_bound_fall_back(struct sb_bound_request *request)
{
    struct sockbroker_addr any = { .family = SOCKBROKER_IPV4, .port = request->addr.port };

    if (!request->dual || sb_bound_has(SOCKBROKER_IPV6))
        return false;
    request->addr = any;
    request->dual = false;
    return true;
}

bool sb_bound_has(enum sockbroker_family family)
{
    sockbroker_socket sock = open_socket(family, SOCKBROKER_DATAGRAM);
    bool there = sock != SOCKBROKER_SOCKET_NONE || !sb_bound_is_no_family(sb_oserr_last());

    sb_socket_close(&sock);
    return there;
}

bool sb_bound_is_dual(sockbroker_socket sock)
{
    int v6only = 1;
    socklen_t len = sizeof(v6only);

    return getsockopt(sock, IPPROTO_IPV6, IPV6_V6ONLY, (void *)&v6only, &len) == 0 && !v6only;
}
