#include "client-lib/listen.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

#include "proto/error.h"
#include "proto/failpoint.h"
#include "proto/oserr.h"
#include "proto/socket.h"
#include "sockbroker/addr.h"

static const char *cure_of(int code)
{
    switch (code) {
    case EADDRINUSE:
        return "stop what listens there (ss -ltnp shows it) or choose another port";
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

static sockbroker_status failed(const struct sb_listen_request *r, const char *operation, int code,
                                struct sockbroker_error *error)
{
    char text[SOCKBROKER_ADDR_TEXT_MAX];
    char what[SOCKBROKER_ADDR_TEXT_MAX + 32];

    snprintf(what, sizeof(what), "%s %s (%s)", operation, sockbroker_addr_format(&r->addr, text),
             r->addr.family == SOCKBROKER_IPV6 ? (r->dual ? "IPv6 and IPv4" : "IPv6") : "IPv4");
    return sb_oserr_set(error, code, what, cure_of(code));
}

static int open_socket(enum sockbroker_family family)
{
    int injected = family == SOCKBROKER_IPV6 ? sb_failpoint("socket6") : 0;

    if (injected) {
        errno = injected;
        return -1;
    }
    return socket(family == SOCKBROKER_IPV6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
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

/* NULL, or the operation that failed, with errno. */
static const char *bind_and_listen(int sock, const struct sb_listen_request *r)
{
    struct sockaddr_storage sa;
    socklen_t len = (socklen_t)sockbroker_addr_to_sockaddr(&r->addr, &sa);
    int on = 1;

    if (r->addr.family == SOCKBROKER_IPV6 && set_v6only(sock, !r->dual))
        return "IPV6_V6ONLY on";
    if (setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)))
        return "SO_REUSEADDR on";
    if (bind(sock, (struct sockaddr *)&sa, len))
        return "bind";
    return listen(sock, (int)r->backlog) ? "listen on" : NULL;
}

static sockbroker_status read_address(int sock, struct sockbroker_addr *addr_out)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);

    if (getsockname(sock, (struct sockaddr *)&sa, &len))
        return sb_oserr_status(errno);
    return sockbroker_addr_from_sockaddr((struct sockaddr *)&sa, len, addr_out);
}

static sockbroker_status open_exactly(const struct sb_listen_request *r, sockbroker_socket *sock_out,
                                      struct sockbroker_addr *addr_out, struct sockbroker_error *error)
{
    sockbroker_socket sock = open_socket(r->addr.family);

    if (sock < 0)
        return failed(r, "socket for", errno, error);
    const char *operation = bind_and_listen(sock, r);
    if (operation) {
        sockbroker_status st = failed(r, operation, errno, error);

        sb_socket_close(&sock);
        return st;
    }
    sockbroker_status st = read_address(sock, addr_out);
    if (st)
        sb_socket_close(&sock);
    else
        *sock_out = sock;
    return st;
}

sockbroker_status sb_listen_open(const struct sb_listen_request *request, sockbroker_socket *sock_out,
                                 struct sockbroker_addr *addr_out, enum sb_listen_note *note_out,
                                 struct sockbroker_error *error_out)
{
    struct sb_listen_request ipv4 = *request;

    *note_out = SB_LISTEN_AS_ASKED;
    if (!request->dual || sb_listen_has_ipv6())
        return open_exactly(request, sock_out, addr_out, error_out);
    *note_out = SB_LISTEN_NO_IPV6;
    sockbroker_addr_parse_ip("0.0.0.0", &ipv4.addr, NULL);
    ipv4.addr.port = request->addr.port;
    ipv4.dual = false;
    return open_exactly(&ipv4, sock_out, addr_out, error_out);
}

sockbroker_status sb_listen_again(sockbroker_socket sock, const struct sockbroker_addr *at, uint32_t backlog)
{
    struct sockaddr_storage sa;
    socklen_t len = (socklen_t)sockbroker_addr_to_sockaddr(at, &sa);

    if (bind(sock, (struct sockaddr *)&sa, len) && errno != EINVAL) /* EINVAL: it is bound still */
        return sb_oserr_status(errno);
    return listen(sock, (int)backlog) ? sb_oserr_status(errno) : SOCKBROKER_OK;
}

bool sb_listen_is_on(sockbroker_socket sock)
{
    int on = 0;
    socklen_t len = sizeof(on);

    return getsockopt(sock, SOL_SOCKET, SO_ACCEPTCONN, &on, &len) == 0 && on;
}

bool sb_listen_has_ipv6(void)
{
    int sock = open_socket(SOCKBROKER_IPV6);
    bool there = sock >= 0 || errno != EAFNOSUPPORT;

    sb_socket_close(&sock);
    return there;
}

bool sb_listen_has_ipv6_address(void)
{
    struct sb_listen_request loopback = { .backlog = 1 };
    sockbroker_socket sock = SOCKBROKER_SOCKET_NONE;
    struct sockbroker_addr at;

    loopback.addr.family = SOCKBROKER_IPV6;
    loopback.addr.ip[15] = 1;
    bool there = sb_listen_has_ipv6() && open_exactly(&loopback, &sock, &at, NULL) == SOCKBROKER_OK;
    sb_socket_close(&sock);
    return there;
}
