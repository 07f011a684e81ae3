#include "watch.h"

#include <poll.h>
#include <sys/epoll.h>

static int set = -1;

bool watch_add(sockbroker_socket sock, bool exclusive)
{
    struct epoll_event e = { .events = EPOLLIN | (exclusive ? EPOLLEXCLUSIVE : 0u), .data.fd = sock };

    if (set < 0)
        set = epoll_create1(EPOLL_CLOEXEC);
    return epoll_ctl(set, EPOLL_CTL_ADD, sock, &e) == 0;
}

void watch_remove(sockbroker_socket sock)
{
    epoll_ctl(set, EPOLL_CTL_DEL, sock, NULL);
}

sockbroker_socket watch_wait(int timeout_ms)
{
    struct epoll_event e;

    return epoll_wait(set, &e, 1, timeout_ms) == 1 ? e.data.fd : SOCKBROKER_SOCKET_NONE;
}

bool watch_has_room(sockbroker_socket sock, int timeout_ms)
{
    return poll(&(struct pollfd){ sock, POLLOUT, 0 }, 1, timeout_ms) > 0;
}
