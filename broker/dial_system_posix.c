#include "broker/dial_system.h"

#include <errno.h>
#include <stddef.h>

#include "proto/failpoint.h"

sockbroker_socket sb_dial_system_open(enum sockbroker_family family)
{
    int injected = sb_failpoint("dial_socket");

    if (injected) {
        errno = injected;
        return SOCKBROKER_SOCKET_NONE;
    }
    return socket(family == SOCKBROKER_IPV6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
}

bool sb_dial_system_set_port_use(sockbroker_socket sock, uint16_t port)
{
    int on = 1;

    if (port == 0)
        return setsockopt(sock, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) == 0;
    return setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0;
}

bool sb_dial_system_connect(sockbroker_socket sock, const struct sockaddr *destination, socklen_t len)
{
    return connect(sock, destination, len) == 0 || errno == EINPROGRESS || errno == EINTR;
}

const int sb_dial_system_refused = ECONNREFUSED;

const char *sb_dial_system_cure(int os_code)
{
    switch (os_code) {
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
