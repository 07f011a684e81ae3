/* The bare kernel limit: accept4, one packet with the descriptor, close. Round robin, no policy.
 *   (nothing)    broker blocks in accept4; nothing comes back from the worker
 *   --batch      broker waits in epoll and accepts until the queue is empty
 *   --ack        broker keeps each descriptor until the worker's 16-byte answer (implies epoll)
 *   --lazy-ack   like --ack, but no answer wakes the broker: it reads a worker's answers before it sends to
 *                that worker, and all of them after 1 ms without a new connection (which delays the
 *                end of file that the client sees by as much)
 *   --poll       worker calls poll before each recvmsg, as a library with a timeout would
 *   --lazy-poll  worker tries recvmsg first and polls only when nothing is there
 *   --timed      worker blocks in recvmsg under SO_RCVTIMEO */
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base.h"
#include "base_pass.h"

/* Fewer than fit into a socket buffer as packets or as answers, so that neither side can ever
 * block the other for good. */
#define MAX_LEASES 128
#define BATCH 64

#define WAIT_MS 60000

static int batch, ack, lazy_ack, poll_first, poll_lazily, timed;

struct broker {
    int listener;
    int n_workers;
    int pairs[BASE_MAX_WORKERS];
    int next;
    int epoll;
    int leased[MAX_LEASES]; /* descriptors lent to workers, by lease id */
    int free_ids[MAX_LEASES];
    int n_free;
};

static void wait_for_packet(int pair)
{
    struct pollfd readable = { .fd = pair, .events = POLLIN };

    poll(&readable, 1, WAIT_MS);
}

static int next_connection(int pair, uint64_t *lease_out)
{
    int flags = poll_first || poll_lazily ? MSG_DONTWAIT : 0;
    int conn = PASS_NOTHING;

    if (poll_first)
        wait_for_packet(pair);
    while ((conn = pass_receive(pair, flags, lease_out)) == PASS_NOTHING)
        if (flags)
            wait_for_packet(pair);
    return conn;
}

static void limit_waiting(int pair)
{
    struct timeval limit = { .tv_sec = WAIT_MS / 1000 };

    base_check(setsockopt(pair, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), "SO_RCVTIMEO");
}

static _Noreturn void work(int pair, int index)
{
    struct pass_ack answer = { 0 };
    int conn;

    if (timed)
        limit_waiting(pair);
    while ((conn = next_connection(pair, &answer.lease)) >= 0) {
        if (ack)
            base_check(send(pair, &answer, sizeof answer, MSG_NOSIGNAL) < 0, "ack");
        base_answer(conn, index);
    }
    _exit(0);
}

static void start_workers(struct broker *b, pid_t *workers)
{
    for (int i = 0; i < b->n_workers; i++) {
        int ends[2];

        base_check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), "socketpair");
        workers[i] = fork();
        base_check(workers[i] < 0, "fork");
        if (workers[i] == 0) {
            for (int k = 0; k < i; k++)
                close(b->pairs[k]); /* else a sibling keeps the broker's end open */
            close(ends[0]);
            close(b->listener);
            work(ends[1], i);
        }
        close(ends[1]);
        b->pairs[i] = ends[0];
    }
}

static int next_pair(struct broker *b)
{
    int pair = b->pairs[b->next];

    b->next = b->next + 1 == b->n_workers ? 0 : b->next + 1;
    return pair;
}

static void broker_blocking(struct broker *b)
{
    for (;;) {
        int conn = accept4(b->listener, NULL, NULL, SOCK_CLOEXEC);

        if (conn < 0)
            continue; /* the client left the queue */
        pass_send(next_pair(b), conn, 0);
        close(conn);
    }
}

static void take_acks(struct broker *b, int pair)
{
    struct pass_ack answer;

    while (recv(pair, &answer, sizeof answer, MSG_DONTWAIT) == sizeof answer) {
        base_check(answer.lease >= MAX_LEASES, "ack");
        close(b->leased[answer.lease]);
        b->free_ids[b->n_free++] = (int)answer.lease;
    }
}

static void lend(struct broker *b, int conn)
{
    int pair = next_pair(b);

    if (lazy_ack)
        take_acks(b, pair);
    if (ack) {
        int id = b->free_ids[--b->n_free];

        b->leased[id] = conn;
        pass_send(pair, conn, (uint64_t)id);
    } else {
        pass_send(pair, conn, 0);
        close(conn);
    }
}

static void accept_batch(struct broker *b)
{
    for (int i = 0; i < BATCH && b->n_free; i++) {
        int conn = accept4(b->listener, NULL, NULL, SOCK_CLOEXEC);

        if (conn < 0)
            return;
        lend(b, conn);
    }
}

static void watch(struct broker *b, int sock)
{
    struct epoll_event want = { .events = EPOLLIN, .data.fd = sock };

    base_check(epoll_ctl(b->epoll, EPOLL_CTL_ADD, sock, &want), "epoll_ctl");
}

static void broker_epoll(struct broker *b)
{
    struct epoll_event events[BASE_MAX_WORKERS + 1];

    b->epoll = epoll_create1(EPOLL_CLOEXEC);
    base_check(b->epoll < 0, "epoll");
    watch(b, b->listener);
    for (int i = 0; ack && !lazy_ack && i < b->n_workers; i++)
        watch(b, b->pairs[i]);
    for (int i = 0; i < MAX_LEASES; i++)
        b->free_ids[b->n_free++] = i;
    for (;;) {
        int timeout_ms = lazy_ack && b->n_free < MAX_LEASES ? 1 : -1;
        int n = epoll_wait(b->epoll, events, BASE_MAX_WORKERS + 1, timeout_ms);

        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == b->listener)
                accept_batch(b);
            else
                take_acks(b, events[i].data.fd);
        }
        for (int i = 0; lazy_ack && (n == 0 || !b->n_free) && i < b->n_workers; i++)
            take_acks(b, b->pairs[i]);
    }
}

int main(int argc, char **argv)
{
    const struct option switches[] = {
        { "batch", no_argument, &batch, 1 },
        { "ack", no_argument, &ack, 1 },
        { "lazy-ack", no_argument, &lazy_ack, 1 },
        { "poll", no_argument, &poll_first, 1 },
        { "timed", no_argument, &timed, 1 },
        { "lazy-poll", no_argument, &poll_lazily, 1 },
        { 0 },
    };
    struct base_options options;
    struct broker b = { 0 };
    pid_t workers[BASE_MAX_WORKERS];

    base_parse(argc, argv, switches, &options);
    ack |= lazy_ack;
    b.n_workers = options.n_workers;
    b.listener = base_listen(&options, batch || ack ? SOCK_NONBLOCK : 0);
    base_exit_on_signals(options.seconds);
    start_workers(&b, workers);
    base_ready(b.listener, workers, b.n_workers);
    if (batch || ack)
        broker_epoll(&b);
    else
        broker_blocking(&b);
}
