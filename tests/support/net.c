#include "tests/support/net.h"

#include <string.h>

socklen_t net_address(const char *host, uint16_t port, struct sockaddr_storage *out)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;

    memset(out, 0, sizeof(*out));
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        return sizeof(*v4);
    }
    if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        return sizeof(*v6);
    }
    return 0;
}

sockbroker_socket net_open_bound(const char *host, uint16_t port, int type)
{
    struct sockaddr_storage at;
    socklen_t len = net_address(host, port, &at);
    sockbroker_socket sock = net_open(at.ss_family, type);

    if (at.ss_family == AF_INET6)
        net_set_option(sock, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    if (bind(sock, (struct sockaddr *)&at, len))
        net_close(&sock);
    return sock;
}

bool net_connect(sockbroker_socket sock, const char *host, uint16_t port)
{
    struct sockaddr_storage there;
    socklen_t len = net_address(host, port, &there);

    return len && connect(sock, (struct sockaddr *)&there, len) == 0;
}

uint16_t net_port(sockbroker_socket sock)
{
    struct sockaddr_storage own;
    socklen_t len = sizeof(own);

    if (getsockname(sock, (struct sockaddr *)&own, &len))
        return 0;
    return ntohs(own.ss_family == AF_INET ? ((struct sockaddr_in *)&own)->sin_port : ((struct sockaddr_in6 *)&own)->sin6_port);
}

void net_reset(sockbroker_socket *sock)
{
    struct linger now = { .l_onoff = 1, .l_linger = 0 };

    if (*sock != SOCKBROKER_SOCKET_NONE)
        setsockopt(*sock, SOL_SOCKET, SO_LINGER, (const char *)&now, sizeof(now));
    net_close(sock);
}

bool net_wait_readable(sockbroker_socket sock, int ms)
{
    struct net_event event = { .sock = sock };

    return net_wait(&event, 1, ms) > 0;
}

/* A UDP socket that is connected to itself. */
sockbroker_socket net_open_bell(void)
{
    sockbroker_socket bell = net_open_bound("127.0.0.1", 0, SOCK_DGRAM);

    if (bell != SOCKBROKER_SOCKET_NONE && (!net_connect(bell, "127.0.0.1", net_port(bell)) || !net_set_nonblocking(bell)))
        net_close(&bell);
    return bell;
}

void net_ring(sockbroker_socket bell)
{
    net_send(bell, "", 1);
}

void net_hear(sockbroker_socket bell)
{
    char byte;

    while (net_receive(bell, &byte, 1) > 0)
        continue;
}
