#include "broker/dial.h"

#include <winsock2.h>
#include <ws2tcpip.h>

#include <stdio.h>

#include "proto/error.h"
#include "proto/failpoint.h"
#include "proto/oserr.h"
#include "proto/socket.h"
#include "sockbroker/addr.h"

#ifndef SO_REUSE_UNICASTPORT
#define SO_REUSE_UNICASTPORT 0x3007 /* Windows 10, ws2def.h */
#endif

static const char *cure_of(int code)
{
    switch (code) {
    case WSAECONNREFUSED:
        return "Nothing listens there: start the server or correct the port";
    case WSAENETUNREACH:
    case WSAEHOSTUNREACH:
        return "This machine has no way there: see route print";
    case WSAETIMEDOUT:
        return "It does not answer: it is down, or a firewall drops the packets";
    case WSAEADDRNOTAVAIL:
        return "Use a source address of this machine (ipconfig shows them); without one, its ports are used up: wait";
    case WSAEADDRINUSE:
        return "Use source port 0, or one that is free";
    case WSAEACCES:
        return "See the firewall of this machine, or use another source port";
    case WSAEMFILE:
    case WSAENOBUFS:
        return "The system is short of buffers or ports: try again later";
    case WSAEINVAL:
    case WSAEFAULT:
        return "A link-local address needs its interface: fe80::1%12";
    case WSAEAFNOSUPPORT:
        return "The system lacks this address family; use the other one";
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
    if (code != WSAECONNREFUSED)
        return st;
    if (error_out) /* NO_BROKER is for our own pipe */
        error_out->status = SOCKBROKER_SYSTEM;
    return SOCKBROKER_SYSTEM;
}

/* Overlapped, so that the worker may use it as it likes. */
static SOCKET open_socket(enum sockbroker_family family)
{
    int injected = sb_failpoint("dial_socket");

    if (injected) {
        WSASetLastError(injected);
        return INVALID_SOCKET;
    }
    return WSASocketW(family == SOCKBROKER_IPV6 ? AF_INET6 : AF_INET, SOCK_STREAM, IPPROTO_TCP, NULL, 0,
                      WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
}

/* Without a port, the system chooses it when the destination is known, where it can (Windows 10): otherwise each would be good
 * for one connection only. */
static int bind_to(SOCKET sock, const struct sockbroker_addr *source)
{
    struct sockaddr_storage sa;
    int len = (int)sockbroker_addr_to_sockaddr(source, &sa);
    BOOL on = TRUE;

    if (source->port == 0)
        setsockopt(sock, SOL_SOCKET, SO_REUSE_UNICASTPORT, (const char *)&on, sizeof(on));
    else if (setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, (const char *)&on, sizeof(on)))
        return -1;
    return bind(sock, (struct sockaddr *)&sa, len);
}

static int connect_to(SOCKET sock, const struct sockbroker_addr *destination)
{
    struct sockaddr_storage sa;
    int len = (int)sockbroker_addr_to_sockaddr(destination, &sa);

    if (sb_socket_set_nonblocking(sock, true))
        return -1;
    return connect(sock, (struct sockaddr *)&sa, len) == 0 || WSAGetLastError() == WSAEWOULDBLOCK ? 0 : -1;
}

sockbroker_status sb_dial_start(const struct sockbroker_addr *source, const struct sockbroker_addr *destination,
                                sockbroker_socket *sock_out, struct sockbroker_error *error_out)
{
    DWORD only = 1;
    sockbroker_status st = SOCKBROKER_OK;
    sockbroker_socket sock = open_socket(destination->family);

    if (sock == SOCKBROKER_SOCKET_NONE)
        return failed("socket for", destination, WSAGetLastError(), error_out);
    if (destination->family == SOCKBROKER_IPV6 &&
        setsockopt(sock, IPPROTO_IPV6, IPV6_V6ONLY, (const char *)&only, sizeof(only)))
        st = failed("IPV6_V6ONLY for", destination, WSAGetLastError(), error_out);
    if (!st && source->family != SOCKBROKER_FAMILY_NONE && bind_to(sock, source))
        st = failed("bind to the source", source, WSAGetLastError(), error_out);
    if (!st && connect_to(sock, destination))
        st = failed("connect to", destination, WSAGetLastError(), error_out);
    if (!st)
        *sock_out = sb_socket_take(&sock);
    sb_socket_close(&sock);
    return st;
}

/* 0, or what went wrong. */
static int read_end(SOCKET sock, bool far_end, struct sockbroker_addr *addr_out)
{
    struct sockaddr_storage sa;
    int len = sizeof(sa);

    if (far_end ? getpeername(sock, (struct sockaddr *)&sa, &len) : getsockname(sock, (struct sockaddr *)&sa, &len))
        return WSAGetLastError();
    return sockbroker_addr_from_sockaddr((struct sockaddr *)&sa, (unsigned)len, addr_out) ? WSAEAFNOSUPPORT : 0;
}

sockbroker_status sb_dial_outcome(sockbroker_socket sock, const struct sockbroker_addr *destination,
                                  struct sockbroker_addr *local_out, struct sockbroker_addr *peer_out,
                                  struct sockbroker_error *error_out)
{
    struct sockbroker_addr local, peer;
    int code = 0, len = sizeof(code);
    char text[SOCKBROKER_ADDR_TEXT_MAX];

    if (getsockopt(sock, SOL_SOCKET, SO_ERROR, (char *)&code, &len))
        code = WSAGetLastError();
    if (!code)
        code = read_end(sock, false, &local);
    if (!code)
        code = read_end(sock, true, &peer);
    if (code)
        return failed("connect to", destination, code, error_out);
    if (!sockbroker_addr_compare(&local, &peer))
        return sb_error_set(error_out, SOCKBROKER_SYSTEM, WSAECONNREFUSED,
                            "connect to %s: nothing listens there, it met itself. Start the server or correct the port",
                            sockbroker_addr_format(destination, text));
    *local_out = local;
    *peer_out = peer;
    return SOCKBROKER_OK;
}
