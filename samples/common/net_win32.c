#include "net.h"

#include <limits.h>

#include <winsock2.h>
#include <ws2tcpip.h>

/* Winsock was started by sockbroker_worker_open(). Its lengths are int; what does not fit is cut, as recv() may anyway. */
static int length(size_t n)
{
    return n > INT_MAX ? INT_MAX : (int)n;
}

int net_receive(sockbroker_socket sock, void *room, size_t n)
{
    return recv(sock, room, length(n), 0);
}

int net_peek(sockbroker_socket sock, void *room, size_t n)
{
    return recv(sock, room, length(n), MSG_PEEK);
}

bool net_send(sockbroker_socket sock, const void *bytes, size_t n)
{
    const char *rest = bytes;

    while (n > 0) {
        int sent = send(sock, rest, length(n), 0);
        if (sent < 0)
            return false;
        rest += sent;
        n -= (size_t)sent;
    }
    return true;
}

void net_set_blocking(sockbroker_socket sock)
{
    u_long nonblocking = 0;

    ioctlsocket(sock, (long)FIONBIO, &nonblocking);
}

/* Here a socket has the mode of the listener that it came from. */
sockbroker_socket net_accept(sockbroker_socket listener, struct sockbroker_addr *peer_out)
{
    struct sockaddr_storage sa;
    int len = sizeof(sa);
    SOCKET sock = accept(listener, (struct sockaddr *)&sa, &len);

    if (sock == INVALID_SOCKET)
        return SOCKBROKER_SOCKET_NONE;
    net_set_blocking(sock);
    sockbroker_addr_from_sockaddr((struct sockaddr *)&sa, (size_t)len, peer_out);
    sockbroker_addr_normalise(peer_out);
    return sock;
}

void net_close(sockbroker_socket sock)
{
    closesocket(sock);
}
