/* What one system call costs on this machine: the prices a design is made of. Each line is the cheapest
 * of many short blocks, so that other programs on the machine do not count. No wake-up is contained:
 * everything happens in one process and is ready when it is asked for. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base.h"
#include "base_pass.h"

#define BLOCKS 300
#define CALLS 200

static struct {
    int pair[2];
    int timed[2]; /* with SO_RCVTIMEO at the receiving end */
    int idle[2];  /* nothing to read */
    int conn;     /* a connected TCP socket */
    int epoll;
    volatile int sink;
} s;

static void nothing(void)
{
    s.sink++;
}
static void getpid_call(void)
{
    s.sink = (int)syscall(SYS_getpid);
}
static void clock_call(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    s.sink = (int)t.tv_nsec;
}

static void poll_call(void)
{
    struct pollfd p[2] = { { .fd = s.idle[0], .events = POLLIN }, { .fd = s.pair[0], .events = POLLIN } };

    poll(p, 1, 0);
}

static void poll_two(void)
{
    struct pollfd p[2] = { { .fd = s.idle[0], .events = POLLIN }, { .fd = s.pair[0], .events = POLLIN } };

    poll(p, 2, 0);
}

static void epoll_call(void)
{
    struct epoll_event e;
    epoll_wait(s.epoll, &e, 1, 0);
}

static void epoll_ctl_pair(void)
{
    struct epoll_event e = { .events = EPOLLIN };

    epoll_ctl(s.epoll, EPOLL_CTL_ADD, s.conn, &e);
    epoll_ctl(s.epoll, EPOLL_CTL_DEL, s.conn, &e);
}

static void empty_recv(void)
{
    char b[16];
    recv(s.idle[0], b, sizeof b, MSG_DONTWAIT);
}

static void name_call(int (*call)(int, struct sockaddr *, socklen_t *))
{
    struct sockaddr_in6 at;
    socklen_t at_len = sizeof at;

    call(s.conn, (struct sockaddr *)&at, &at_len);
}

static void getsockname_call(void)
{
    name_call(getsockname);
}
static void getpeername_call(void)
{
    name_call(getpeername);
}

static void sockopt_call(void)
{
    int on = 1;

    setsockopt(s.conn, IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, sizeof on);
}

static void fcntl_call(void)
{
    s.sink = fcntl(s.conn, F_GETFL);
}
static void dup_close(void)
{
    close(fcntl(s.conn, F_DUPFD_CLOEXEC, 3));
}

static void ack_round(void)
{
    struct pass_ack a = { 0 };

    send(s.pair[0], &a, sizeof a, MSG_NOSIGNAL);
    recv(s.pair[1], &a, sizeof a, 0);
}

static void packet_round(void)
{
    struct pass_packet p = { 0 };

    send(s.pair[0], &p, sizeof p, MSG_NOSIGNAL);
    recv(s.pair[1], &p, sizeof p, 0);
}

static void pass_round_on(const int pair[2])
{
    uint64_t lease;

    pass_send(pair[0], s.conn, 1);
    close(pass_receive(pair[1], 0, &lease));
}

static void pass_round(void)
{
    pass_round_on(s.pair);
}
static void pass_timed(void)
{
    pass_round_on(s.timed);
}

static void pass_polled(void)
{
    struct pollfd p = { .fd = s.pair[1], .events = POLLIN };
    uint64_t lease;

    pass_send(s.pair[0], s.conn, 1);
    poll(&p, 1, 1000);
    close(pass_receive(s.pair[1], MSG_DONTWAIT, &lease));
}

static void pass_polled_two(void)
{
    struct pollfd p[2] = { { .fd = s.pair[1], .events = POLLIN }, { .fd = s.idle[0], .events = POLLIN } };
    uint64_t lease;

    pass_send(s.pair[0], s.conn, 1);
    poll(p, 2, 1000);
    close(pass_receive(s.pair[1], MSG_DONTWAIT, &lease));
}

static const struct {
    const char *name;
    void (*call)(void);
} prices[] = {
    { "nothing (the loop itself)", nothing },
    { "getpid (an empty system call)", getpid_call },
    { "clock_gettime (no system call)", clock_call },
    { "poll, 1 descriptor, not ready", poll_call },
    { "poll, 2 descriptors, not ready", poll_two },
    { "epoll_wait, not ready", epoll_call },
    { "epoll_ctl add + delete", epoll_ctl_pair },
    { "recv, nothing there (EAGAIN)", empty_recv },
    { "getsockname", getsockname_call },
    { "getpeername", getpeername_call },
    { "setsockopt TCP_NODELAY", sockopt_call },
    { "fcntl F_GETFL", fcntl_call },
    { "dup + close", dup_close },
    { "packet, 16 bytes: send + recv", ack_round },
    { "packet, 64 bytes: send + recv", packet_round },
    { "packet with descriptor: sendmsg + recvmsg + close", pass_round },
    { "the same, SO_RCVTIMEO set", pass_timed },
    { "the same, poll (1) before recvmsg", pass_polled },
    { "the same, poll (2) before recvmsg", pass_polled_two },
};

static uint64_t clock_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static double cheapest_ns(void (*call)(void))
{
    uint64_t best = UINT64_MAX;

    for (int b = 0; b < BLOCKS; b++) {
        uint64_t start = clock_ns();
        uint64_t took;

        for (int i = 0; i < CALLS; i++)
            call();
        took = clock_ns() - start;
        if (took < best)
            best = took;
    }
    return (double)best / CALLS;
}

static int connected_socket(void)
{
    struct base_options any_port = { 0 };
    struct sockaddr_in6 at;
    socklen_t at_len = sizeof at;
    int listener = base_listen(&any_port, 0);
    int conn = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

    base_check(getsockname(listener, (struct sockaddr *)&at, &at_len), "getsockname");
    at.sin6_addr = in6addr_loopback;
    base_check(connect(conn, (struct sockaddr *)&at, at_len), "connect");
    return conn; /* the other end stays in the listener's queue */
}

int main(void)
{
    struct timeval limit = { .tv_sec = 60 };
    struct epoll_event want = { .events = EPOLLIN };

    base_check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s.pair), "socketpair");
    base_check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s.timed), "socketpair");
    base_check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s.idle), "socketpair");
    base_check(setsockopt(s.timed[1], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), "SO_RCVTIMEO");
    s.conn = connected_socket();
    s.epoll = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(s.epoll, EPOLL_CTL_ADD, s.idle[0], &want);
    for (size_t i = 0; i < sizeof prices / sizeof *prices; i++)
        printf("%8.0f ns  %s\n", cheapest_ns(prices[i].call), prices[i].name);
    return 0;
}
