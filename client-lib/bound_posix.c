#include "client-lib/bound.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

#include "proto/failpoint.h"
#include "proto/oserr.h"
#include "proto/socket.h"
#include "sockbroker/addr.h"

static const char *cure_of(enum sockbroker_socket_type type, int code)
{
    switch (code) {
    case EADDRINUSE:
        return type == SOCKBROKER_DATAGRAM ? "stop what is bound there (ss -lunp shows it) or choose another port"
                                           : "stop what listens there (ss -ltnp shows it) or choose another port";
    case EADDRNOTAVAIL:
        return "use an address of this machine (ip addr shows them), or [::] for all";
    case EACCES:
    case EPERM:
        return "ports below 1024 need CAP_NET_BIND_SERVICE";
    case EAFNOSUPPORT:
        return "the kernel lacks this address family; use the other one";
    default: /* any other error explains itself */
        return NULL;
    }
}

sockbroker_status sb_bound_failed(const struct sb_bound_request *request, const char *operation, int os_code,
                                  struct sockbroker_error *error_out)
{
    const char *families = request->addr.family != SOCKBROKER_IPV6 ? "IPv4" : request->dual ? "IPv6 and IPv4" : "IPv6";
    char text[SOCKBROKER_ADDR_TEXT_MAX];
    char what[SOCKBROKER_ADDR_TEXT_MAX + 64];

    snprintf(what, sizeof(what), "%s %s (%s%s)", operation, sockbroker_addr_format(&request->addr, text),
             request->type == SOCKBROKER_DATAGRAM ? "UDP, " : "", families);
    return sb_oserr_set(error_out, os_code, what, cure_of(request->type, os_code));
}

static int open_socket(enum sockbroker_family family, enum sockbroker_socket_type type)
{
    int injected = family == SOCKBROKER_IPV6 ? sb_failpoint("socket6") : sb_failpoint("socket4");
    int kind = type == SOCKBROKER_DATAGRAM ? SOCK_DGRAM : SOCK_STREAM;

    if (injected) {
        errno = injected;
        return -1;
    }
    return socket(family == SOCKBROKER_IPV6 ? AF_INET6 : AF_INET, kind | SOCK_NONBLOCK | SOCK_CLOEXEC,
                  type == SOCKBROKER_DATAGRAM ? IPPROTO_UDP : IPPROTO_TCP);
}

static int set_v6only(int sock, int wanted)
{
    int got = !wanted;
    socklen_t len = sizeof(got);

    if (setsockopt(sock, IPPROTO_IPV6, IPV6_V6ONLY, &wanted, sizeof(wanted)) ||
        getsockopt(sock, IPPROTO_IPV6, IPV6_V6ONLY, &got, &len))
        return -1;
    if (got == wanted)
        return 0;
    errno = EOPNOTSUPP;
    return -1;
}

sockbroker_status sb_bound_create(const struct sb_bound_request *request, sockbroker_socket *sock_out,
                                  struct sockbroker_error *error_out)
{
    sockbroker_socket sock = open_socket(request->addr.family, request->type);

    if (sock < 0)
        return sb_bound_failed(request, "socket for", errno, error_out);
    if (request->addr.family == SOCKBROKER_IPV6 && set_v6only(sock, !request->dual)) {
        sockbroker_status st = sb_bound_failed(request, "IPV6_V6ONLY on", errno, error_out);

        sb_socket_close(&sock);
        return st;
    }
    *sock_out = sock;
    return SOCKBROKER_OK;
}

sockbroker_status sb_bound_bind(const struct sb_bound_request *request, sockbroker_socket sock,
                                struct sockbroker_addr *addr_out, struct sockbroker_error *error_out)
{
    struct sockaddr_storage sa;
    socklen_t len = (socklen_t)sockbroker_addr_to_sockaddr(&request->addr, &sa);

    if (bind(sock, (struct sockaddr *)&sa, len))
        return sb_bound_failed(request, "bind", errno, error_out);
    len = sizeof(sa);
    if (getsockname(sock, (struct sockaddr *)&sa, &len))
        return sb_bound_failed(request, "getsockname of", errno, error_out);
    return sockbroker_addr_from_sockaddr((struct sockaddr *)&sa, len, addr_out);
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
    int sock = open_socket(family, SOCKBROKER_DATAGRAM);
    bool there = sock >= 0 || errno != EAFNOSUPPORT;

    sb_socket_close(&sock);
    return there;
}

bool sb_bound_is_dual(sockbroker_socket sock)
{
    int v6only = 1;
    socklen_t len = sizeof(v6only);

    return getsockopt(sock, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, &len) == 0 && !v6only;
}
