#include "client-lib/wake.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "proto/oserr.h"
#include "proto/socket.h"

sockbroker_status sb_wake_open(struct sb_wake *wake_out)
{
    struct sb_wake w = SB_WAKE_NONE;

    w.set = epoll_create1(EPOLL_CLOEXEC);
    w.bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w.set < 0 || w.bell < 0 || sb_wake_watch(&w, w.bell)) {
        int code = errno;

        sb_wake_close(&w);
        return sb_oserr_status(code);
    }
    *wake_out = w;
    return SOCKBROKER_OK;
}

void sb_wake_close(struct sb_wake *w)
{
    sb_socket_close(&w->set);
    sb_socket_close(&w->bell);
}

sockbroker_status sb_wake_watch(struct sb_wake *w, sockbroker_socket sock)
{
    struct epoll_event e = { .events = EPOLLIN, .data.fd = sock };

    return epoll_ctl(w->set, EPOLL_CTL_ADD, sock, &e) ? sb_oserr_status(errno) : SOCKBROKER_OK;
}

void sb_wake_unwatch(struct sb_wake *w, sockbroker_socket sock)
{
    epoll_ctl(w->set, EPOLL_CTL_DEL, sock, NULL);
}

void sb_wake_ring(struct sb_wake *w)
{
    uint64_t one = 1;
    ssize_t n = write(w->bell, &one, sizeof(one)); /* EAGAIN: it rings already */

    (void)n;
}

void sb_wake_quiet(struct sb_wake *w)
{
    uint64_t count;
    ssize_t n = read(w->bell, &count, sizeof(count));

    (void)n;
}

sockbroker_status sb_wake_wait(const struct sb_wake *w, int timeout_ms)
{
    struct epoll_event e;
    int n = epoll_wait(w->set, &e, 1, timeout_ms);

    return n == 0 ? SOCKBROKER_TIMEOUT : SOCKBROKER_OK; /* EINTR: look again, the caller keeps the deadline */
}
