#include "client-lib/ends.h"

#include <poll.h>
#include <sys/socket.h>

#include "proto/socket.h"
#include "sockbroker/addr.h"

void sb_ends_wait_writable(sockbroker_socket end, bool writable, int timeout_ms)
{
    struct pollfd p = { .fd = end, .events = writable ? POLLOUT : 0 };

    poll(&p, 1, timeout_ms);
}

void sb_ends_shut(sockbroker_socket end)
{
    shutdown(end, SHUT_RDWR);
}

bool sb_ends_is_open(sockbroker_socket end)
{
    struct pollfd p = { .fd = end, .events = 0 };

    return poll(&p, 1, 0) == 0;
}

bool sb_ends_may_hold(sockbroker_socket end)
{
    (void)end; /* whether they do shows when its last packet was read */
    return true;
}

static void fill_address(sockbroker_socket sock, int (*ask)(int, struct sockaddr *, socklen_t *),
                         struct sockbroker_addr *addr_out)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);

    if (ask(sock, (struct sockaddr *)&sa, &len) == 0 && !sockbroker_addr_from_sockaddr((struct sockaddr *)&sa, len, addr_out))
        sockbroker_addr_normalise(addr_out);
}

static int option(sockbroker_socket sock, int name)
{
    int value = 0;
    socklen_t len = sizeof(value);

    getsockopt(sock, SOL_SOCKET, name, &value, &len);
    return value;
}

void sb_ends_describe(sockbroker_socket sock, struct sockbroker_socket_info *info_out)
{
    static const struct sockbroker_socket_info none;

    int domain = option(sock, SO_DOMAIN);

    *info_out = none;
    if (domain != AF_INET && domain != AF_INET6)
        return;
    info_out->socket_family = domain == AF_INET6 ? SOCKBROKER_IPV6 : SOCKBROKER_IPV4;
    info_out->nonblocking = sb_socket_is_nonblocking(sock);
    info_out->listening = option(sock, SO_ACCEPTCONN);
    info_out->type = option(sock, SO_TYPE) == SOCK_DGRAM ? SOCKBROKER_DATAGRAM : SOCKBROKER_STREAM;
    info_out->protocol = (uint32_t)option(sock, SO_PROTOCOL);
    fill_address(sock, getpeername, &info_out->peer);
    fill_address(sock, getsockname, &info_out->local);
}
