#include "broker/dial_system.h"

#include "proto/failpoint.h"
#include "proto/socket.h"

#ifndef SO_REUSE_UNICASTPORT
#define SO_REUSE_UNICASTPORT 0x3007 /* Windows 10, ws2def.h */
#endif

sockbroker_socket sb_dial_system_open(enum sockbroker_family family)
{
    int injected = sb_failpoint("dial_socket");

    if (injected) {
        WSASetLastError(injected);
        return SOCKBROKER_SOCKET_NONE;
    }
    sockbroker_socket sock = WSASocketW(family == SOCKBROKER_IPV6 ? AF_INET6 : AF_INET, SOCK_STREAM, IPPROTO_TCP, NULL, 0,
                                        WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    if (sock != SOCKBROKER_SOCKET_NONE && sb_socket_set_nonblocking(sock, true))
        sb_socket_close(&sock); /* keeps the error */
    return sock;
}

bool sb_dial_system_set_port_use(sockbroker_socket sock, uint16_t port)
{
    BOOL on = TRUE;

    if (port)
        return setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, (const char *)&on, sizeof(on)) == 0;
    setsockopt(sock, SOL_SOCKET, SO_REUSE_UNICASTPORT, (const char *)&on, sizeof(on)); /* older ones do without */
    return true;
}

bool sb_dial_system_connect(sockbroker_socket sock, const struct sockaddr *destination, socklen_t len)
{
    return connect(sock, destination, len) == 0 || WSAGetLastError() == WSAEWOULDBLOCK;
}

const int sb_dial_system_refused = WSAECONNREFUSED;

const char *sb_dial_system_cure(int os_code)
{
    switch (os_code) {
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
