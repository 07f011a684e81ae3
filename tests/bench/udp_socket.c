#include "udp_socket.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

int udp_socket_open(const struct base_options *options)
{
    struct sockaddr_in6 any = {
        .sin6_family = AF_INET6,
        .sin6_addr = IN6ADDR_ANY_INIT,
        .sin6_port = htons((uint16_t)options->port),
    };
    int sock = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int off = 0;

    base_check(sock < 0, "socket");
    base_check(setsockopt(sock, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off), "IPV6_V6ONLY");
    base_check(bind(sock, (struct sockaddr *)&any, sizeof any), "bind");
    return sock;
}

void udp_socket_wait(int sock)
{
    struct pollfd p = { .fd = sock, .events = POLLIN };

    poll(&p, 1, -1);
}
