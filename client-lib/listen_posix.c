#include "client-lib/listen.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <sys/socket.h>

const char *sb_listen_claim(sockbroker_socket sock, bool reuseport)
{
    int on = 1;

    if (setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)))
        return "SO_REUSEADDR on";
    if (reuseport && setsockopt(sock, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)))
        return "SO_REUSEPORT on";
    return NULL;
}

bool sb_listen_is_bound_code(int os_code)
{
    return os_code == EINVAL;
}

uint32_t sb_listen_queue(sockbroker_socket sock)
{
    struct tcp_info info;
    socklen_t len = sizeof(info);

    /* Of a listening socket: how many wait (tcp_diag tells it so too). */
    return getsockopt(sock, IPPROTO_TCP, TCP_INFO, &info, &len) ? 0 : info.tcpi_unacked;
}
