#include "broker/dial.h"

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
    case ECONNREFUSED:
        return "Nothing listens there: start the server or correct the port";
    case ENETUNREACH:
    case EHOSTUNREACH:
        return "This machine has no way there: see ip route get";
    case ETIMEDOUT:
        return "It does not answer: it is down, or a firewall drops the packets";
    case EADDRNOTAVAIL:
        return "Use a source address of this machine (ip addr shows them); without one, its ports are used up: wait";
    case EADDRINUSE:
        return "Use source port 0, or one that is free";
    case EACCES:
    case EPERM:
        return "See the firewall of this machine; source ports below 1024 need CAP_NET_BIND_SERVICE";
    case EMFILE:
    case ENFILE:
        return "Raise the limit (ulimit -n, LimitNOFILE)";
    case EINVAL:
        return "A link-local address needs its interface: fe80::1%eth0";
    case EAFNOSUPPORT:
        return "The kernel lacks this address family; use the other one";
    default: /* any other error explains itself */
        return NULL;
    }
}

static sockbroker_status failed(const char *operation, const struct sockbroker_addr *addr, int code,
                                struct sockbroker_error *error_out)
{
    char text[SOCKBROKER_ADDR_TEXT_MAX];
    char what[SOCKBROKER_ADDR_TEXT_MAX + 32];

    snprintf(what, sizeof(what), "%s %s", operation, sockbroker_addr_format(addr, text));
    sockbroker_status st = sb_oserr_set(error_out, code, what, cure_of(code));
    if (code != ECONNREFUSED)
        return st;
    if (error_out) /* NO_BROKER is for our own socket */
        error_out->status = SOCKBROKER_SYSTEM;
    return SOCKBROKER_SYSTEM;
}

static int open_socket(enum sockbroker_family family)
{
    int injected = sb_failpoint("dial_socket");

    if (injected) {
        errno = injected;
        return -1;
    }
    return socket(family == SOCKBROKER_IPV6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
}

/* Without a port, the system chooses it when the destination is known: otherwise each would be good for one connection only. */
static int bind_to(int sock, const struct sockbroker_addr *source)
{
    struct sockaddr_storage sa;
    socklen_t len = (socklen_t)sockbroker_addr_to_sockaddr(source, &sa);
    int on = 1;

    if (source->port == 0 && setsockopt(sock, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)))
        return -1;
    if (source->port != 0 && setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)))
        return -1;
    return bind(sock, (struct sockaddr *)&sa, len);
}

static int connect_to(int sock, const struct sockbroker_addr *destination)
{
    struct sockaddr_storage sa;
    socklen_t len = (socklen_t)sockbroker_addr_to_sockaddr(destination, &sa);

    if (connect(sock, (struct sockaddr *)&sa, len) == 0 || errno == EINPROGRESS || errno == EINTR)
        return 0;
    return -1;
}

sockbroker_status sb_dial_start(const struct sockbroker_addr *source, const struct sockbroker_addr *destination,
                                sockbroker_socket *sock_out, struct sockbroker_error *error_out)
{
    int only = 1;
    sockbroker_status st = SOCKBROKER_OK;
    sockbroker_socket sock = open_socket(destination->family);

    if (sock < 0)
        return failed("socket for", destination, errno, error_out);
    if (destination->family == SOCKBROKER_IPV6 && setsockopt(sock, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only)))
        st = failed("IPV6_V6ONLY for", destination, errno, error_out);
    if (!st && source->family != SOCKBROKER_FAMILY_NONE && bind_to(sock, source))
        st = failed("bind to the source", source, errno, error_out);
    if (!st && connect_to(sock, destination))
        st = failed("connect to", destination, errno, error_out);
    if (!st)
        *sock_out = sb_socket_take(&sock);
    sb_socket_close(&sock);
    return st;
}

/* 0, or what went wrong. */
static int read_end(int sock, bool far, struct sockbroker_addr *addr_out)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);

    if (far ? getpeername(sock, (struct sockaddr *)&sa, &len) : getsockname(sock, (struct sockaddr *)&sa, &len))
        return errno;
    return sockbroker_addr_from_sockaddr((struct sockaddr *)&sa, len, addr_out) ? EAFNOSUPPORT : 0;
}

sockbroker_status sb_dial_outcome(sockbroker_socket sock, const struct sockbroker_addr *destination,
                                  struct sockbroker_addr *local_out, struct sockbroker_addr *peer_out,
                                  struct sockbroker_error *error_out)
{
    struct sockbroker_addr local, peer;
    int code = 0;
    socklen_t len = sizeof(code);
    char text[SOCKBROKER_ADDR_TEXT_MAX];

    if (getsockopt(sock, SOL_SOCKET, SO_ERROR, &code, &len))
        code = errno;
    if (!code)
        code = read_end(sock, false, &local);
    if (!code)
        code = read_end(sock, true, &peer);
    if (code)
        return failed("connect to", destination, code, error_out);
    if (!sockbroker_addr_compare(&local, &peer))
        return sb_error_set(error_out, SOCKBROKER_SYSTEM, ECONNREFUSED,
                            "connect to %s: nothing listens there, it met itself. Start the server or correct the port",
                            sockbroker_addr_format(destination, text));
    *local_out = local;
    *peer_out = peer;
    return SOCKBROKER_OK;
}
