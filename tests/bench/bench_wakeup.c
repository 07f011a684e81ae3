/* What it costs to wake a worker that sleeps in one of several ways: a packet with a descriptor to a child,
 * its 16-byte answer back. Cheapest of many blocks. "one core" pins both processes to one core, which makes
 * it the pure CPU price of both sides; "two cores" contains the wake-up of the other core as well. */
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base.h"
#include "base_pass.h"

#define BLOCKS 60
#define ROUNDS 100

static int epoll = -1;
static int other_fd; /* what a library also has to watch: its wake-up descriptor */

static int take_blocking(int pair, uint64_t *lease_out)
{
    return pass_receive(pair, 0, lease_out);
}

static int poll_then_take(int pair, nfds_t n, uint64_t *lease_out)
{
    struct pollfd p[2] = { { .fd = pair, .events = POLLIN }, { .fd = other_fd, .events = POLLIN } };

    poll(p, n, 60000);
    return pass_receive(pair, MSG_DONTWAIT, lease_out);
}

static int take_polled(int pair, uint64_t *lease_out)
{
    return poll_then_take(pair, 1, lease_out);
}

static int take_polled_two(int pair, uint64_t *lease_out)
{
    return poll_then_take(pair, 2, lease_out);
}

static int take_tried(int pair, uint64_t *lease_out)
{
    int conn = pass_receive(pair, MSG_DONTWAIT, lease_out);

    return conn == PASS_NOTHING ? poll_then_take(pair, 2, lease_out) : conn;
}

static int take_epoll(int pair, uint64_t *lease_out)
{
    struct epoll_event e = { .events = EPOLLIN };

    if (epoll < 0) {
        epoll = epoll_create1(EPOLL_CLOEXEC);
        epoll_ctl(epoll, EPOLL_CTL_ADD, pair, &e);
        epoll_ctl(epoll, EPOLL_CTL_ADD, other_fd, &e);
    }
    epoll_wait(epoll, &e, 1, 60000);
    return pass_receive(pair, MSG_DONTWAIT, lease_out);
}

static const struct {
    const char *name;
    int (*take)(int pair, uint64_t *lease_out);
    int timed;
} ways[] = {
    { "recvmsg, blocking", take_blocking, 0 },
    { "recvmsg, blocking, SO_RCVTIMEO", take_blocking, 1 },
    { "poll (1), recvmsg", take_polled, 0 },
    { "poll (2), recvmsg", take_polled_two, 0 },
    { "recvmsg without waiting, poll (2), recvmsg", take_tried, 0 },
    { "epoll_wait (2), recvmsg", take_epoll, 0 },
};

static void pin(int core)
{
    cpu_set_t cores;

    CPU_ZERO(&cores);
    CPU_SET((size_t)core, &cores);
    sched_setaffinity(0, sizeof cores, &cores);
}

static _Noreturn void answer(int pair, int core, int (*take)(int, uint64_t *))
{
    struct pass_ack ack = { 0 };
    int conn;

    pin(core);
    while ((conn = take(pair, &ack.lease)) != PASS_GONE) {
        if (conn < 0)
            continue;
        close(conn);
        base_check(send(pair, &ack, sizeof ack, MSG_NOSIGNAL) < 0, "ack");
    }
    _exit(0);
}

static double block_us(int pair)
{
    struct timespec from, to;
    struct pass_ack ack;

    clock_gettime(CLOCK_MONOTONIC, &from);
    for (int i = 0; i < ROUNDS; i++) {
        pass_send(pair, other_fd, 1);
        base_check(recv(pair, &ack, sizeof ack, 0) != sizeof ack, "ack");
    }
    clock_gettime(CLOCK_MONOTONIC, &to);
    return ((double)(to.tv_sec - from.tv_sec) * 1e6 + (double)(to.tv_nsec - from.tv_nsec) / 1e3) / ROUNDS;
}

static double cheapest_us(size_t way, int core)
{
    struct timeval limit = { .tv_sec = 60 };
    double best = 0;
    int ends[2];
    pid_t child;

    base_check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), "socketpair");
    if (ways[way].timed)
        base_check(setsockopt(ends[1], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), "SO_RCVTIMEO");
    child = fork();
    base_check(child < 0, "fork");
    if (child == 0) {
        close(ends[0]);
        answer(ends[1], core, ways[way].take);
    }
    close(ends[1]);
    for (int i = 0; i < BLOCKS; i++) {
        double us = block_us(ends[0]);

        if (i == 0 || us < best)
            best = us;
    }
    close(ends[0]);
    waitpid(child, NULL, 0);
    return best;
}

int main(void)
{
    int idle[2];

    base_check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, idle), "socketpair");
    other_fd = idle[0];
    base_exit_on_signals(60);
    pin(0);
    printf("one core  two cores   us there and back\n");
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        double one = cheapest_us(i, 0);

        printf("%8.2f   %8.2f   %s\n", one, cheapest_us(i, sysconf(_SC_NPROCESSORS_ONLN) > 1), ways[i].name);
    }
    return 0;
}
