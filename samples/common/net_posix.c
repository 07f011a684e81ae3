#define _POSIX_C_SOURCE 200809L
#include "net.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

int net_receive(sockbroker_socket sock, void *room, size_t n)
{
    return (int)recv(sock, room, n, 0);
}

int net_peek(sockbroker_socket sock, void *room, size_t n)
{
    return (int)recv(sock, room, n, MSG_PEEK);
}

bool net_send(sockbroker_socket sock, const void *bytes, size_t n)
{
    const char *rest = bytes;

    while (n > 0) {
        ssize_t sent = send(sock, rest, n, MSG_NOSIGNAL);
        if (sent < 0)
            return false;
        rest += sent;
        n -= (size_t)sent;
    }
    return true;
}

void net_set_blocking(sockbroker_socket sock)
{
    fcntl(sock, F_SETFL, fcntl(sock, F_GETFL) & ~O_NONBLOCK);
}

sockbroker_socket net_accept(sockbroker_socket listener, struct sockbroker_addr *peer_out)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    int sock = accept(listener, (struct sockaddr *)&sa, &len);

    if (sock < 0)
        return SOCKBROKER_SOCKET_NONE;
    sockbroker_addr_from_sockaddr((struct sockaddr *)&sa, len, peer_out);
    sockbroker_addr_normalise(peer_out);
    return sock;
}

void net_close(sockbroker_socket sock)
{
    close(sock);
}
