/* Shared accept: the workers inherit one listening socket and accept for themselves.
 *   (nothing)  each blocks in accept4 (the kernel wakes one, first come first served)
 *   --epoll    each waits in its own epoll with EPOLLEXCLUSIVE on a non-blocking listener */
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base.h"

static int use_epoll;

static void accept_blocking(int listener, int index)
{
    for (;;) {
        int conn = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

        if (conn >= 0)
            base_answer(conn, index);
    }
}

static void accept_epoll(int listener, int index)
{
    struct epoll_event want = { .events = EPOLLIN | EPOLLEXCLUSIVE };
    struct epoll_event got;
    int epoll = epoll_create1(EPOLL_CLOEXEC);

    base_check(epoll < 0, "epoll");
    base_check(epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &want), "epoll_ctl");
    for (;;) {
        int conn;

        epoll_wait(epoll, &got, 1, -1);
        while ((conn = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
            base_answer(conn, index);
    }
}

static pid_t start_worker(int listener, int index)
{
    pid_t parent = getpid();
    pid_t worker = fork();

    base_check(worker < 0, "fork");
    if (worker > 0)
        return worker;
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* nothing else tells it that the parent is gone */
    if (getppid() != parent)
        _exit(0);
    if (use_epoll)
        accept_epoll(listener, index);
    else
        accept_blocking(listener, index);
    _exit(0);
}

int main(int argc, char **argv)
{
    const struct option switches[] = { { "epoll", no_argument, &use_epoll, 1 }, { 0 } };
    struct base_options options;
    pid_t workers[BASE_MAX_WORKERS];
    int listener;

    base_parse(argc, argv, switches, &options);
    listener = base_listen(&options, use_epoll ? SOCK_NONBLOCK : 0);
    base_exit_on_signals(options.seconds);
    for (int i = 0; i < options.n_workers; i++)
        workers[i] = start_worker(listener, i);
    base_ready(listener, workers, options.n_workers);
    while (wait(NULL) > 0)
        ;
    return 1; /* no worker left */
}
