#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "tests/support/kit_watch.h"

static int set = -1;

void kit_watch_begin(void)
{
    set = epoll_create1(EPOLL_CLOEXEC);
}

void kit_watch_end(void)
{
    close(set);
}

void kit_watch_add(sockbroker_socket sock, bool is_shared)
{
    struct epoll_event e = { .events = EPOLLIN | (is_shared ? EPOLLEXCLUSIVE : 0u), .data.fd = sock };

    if (epoll_ctl(set, EPOLL_CTL_ADD, sock, &e))
        abort();
}

void kit_watch_drop(sockbroker_socket sock)
{
    epoll_ctl(set, EPOLL_CTL_DEL, sock, NULL);
}

bool kit_watch_wait(int ms, sockbroker_socket *ready_out)
{
    struct epoll_event event;

    if (epoll_wait(set, &event, 1, ms) < 1)
        return false;
    *ready_out = event.data.fd;
    return true;
}
