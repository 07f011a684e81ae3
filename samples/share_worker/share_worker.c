/* share_worker: greets like hello_worker, but accepts by itself, on the listening sockets of an endpoint with mode = share or
 * shard. What the broker took over from the queue of a dead worker comes by next(), as everywhere:
 *
 *     sockbroker serve --dir /tmp/sb --endpoint 'web=[::]:7000,mode=shard' &  share_worker --dir /tmp/sb --endpoint web
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../common/sample.h"

#define LISTENERS_MAX 32
#define LOOK_MS 1000

static int listeners[LISTENERS_MAX];
static unsigned n_listeners;

static void say_hello(sockbroker_socket sock, const struct sockbroker_addr *peer)
{
    char line[128];
    int len = snprintf(line, sizeof(line), "hello from %s over %s\n", sample_name(),
                       peer->family == SOCKBROKER_IPV6 ? "IPv6" : "IPv4");

    if (send(sock, line, (size_t)len, MSG_NOSIGNAL) < 0)
        perror("share_worker: send");
    close(sock);
}

/* Several workers wait on one listening socket: EPOLLEXCLUSIVE wakes one of them. The worker's own descriptor is for this one.
 */
static int watch(int set, int sock, uint32_t exclusive)
{
    struct epoll_event e = { .events = EPOLLIN | exclusive, .data.fd = sock };

    return epoll_ctl(set, EPOLL_CTL_ADD, sock, &e);
}

/* All listening sockets of the endpoint: it may have several addresses. */
static void fetch_listeners(struct sockbroker_worker *worker, const char *endpoint, int set)
{
    unsigned n_sockets = 1;

    for (unsigned i = 0; i < n_sockets; i++) {
        struct sockbroker_conn listener;
        struct sockbroker_error error;

        if (sockbroker_worker_socket(worker, endpoint, i, &listener, &n_sockets, &error) ||
            watch(set, listener.sock, EPOLLEXCLUSIVE)) {
            fprintf(stderr, "share_worker: %s\n", error.text);
            exit(EXIT_FAILURE);
        }
        if (n_listeners < LISTENERS_MAX)
            listeners[n_listeners++] = listener.sock;
    }
}

/* Another worker may have been quicker; then there is nothing to accept. */
static void accept_one(int listener)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    struct sockbroker_addr peer;
    int sock = accept(listener, (struct sockaddr *)&sa, &len);

    if (sock < 0)
        return;
    sockbroker_addr_from_sockaddr((struct sockaddr *)&sa, len, &peer);
    sockbroker_addr_normalise(&peer); /* a dual-stack socket shows IPv4 clients as ::ffff:a.b.c.d */
    say_hello(sock, &peer);
}

/* The kernel wakes one worker for one connection. If that one dies before it accepts, nobody else is woken until the next
 * connection comes: so they look by themselves now and then. */
static void look(void)
{
    for (unsigned i = 0; i < n_listeners; i++)
        accept_one(listeners[i]);
}

static sockbroker_status take_handed_over(struct sockbroker_worker *worker)
{
    struct sockbroker_conn conn;
    sockbroker_status st;

    while ((st = sockbroker_worker_next(worker, 0, &conn)) == SOCKBROKER_OK) {
        say_hello(conn.sock, &conn.info.peer);
        sockbroker_worker_finished(worker, conn.info.lease_id);
    }
    return st;
}

/* The broker may have let go of the sockets (the endpoint is gone, the broker has ended): what waits in their queues would end
 * with the last process that has them. More than a full queue need not be served: others take what comes later. */
static void accept_the_rest(int set, int handed_over)
{
    struct epoll_event event;

    epoll_ctl(set, EPOLL_CTL_DEL, handed_over, NULL);
    for (int i = 0; i < SOMAXCONN && epoll_wait(set, &event, 1, 0) == 1; i++)
        accept_one(event.data.fd);
    while (n_listeners)
        close(listeners[--n_listeners]);
}

int main(int argc, char **argv)
{
    sample_stop_on_signals();

    struct sockbroker_worker *worker = sample_open(argc, argv, NULL);
    int handed_over = sockbroker_worker_fd(worker);
    int set = epoll_create1(EPOLL_CLOEXEC);
    sockbroker_status st = SOCKBROKER_AGAIN;

    if (set < 0 || watch(set, handed_over, 0)) {
        perror("share_worker: epoll");
        return EXIT_FAILURE;
    }
    fetch_listeners(worker, sample_endpoint(), set);
    while (st == SOCKBROKER_AGAIN || sample_try_again(st)) {
        struct epoll_event event;

        if (epoll_wait(set, &event, 1, LOOK_MS) < 1)
            look();
        else if (event.data.fd != handed_over)
            accept_one(event.data.fd);
        else
            st = take_handed_over(worker);
    }
    accept_the_rest(set, handed_over);
    return sample_close(worker, st);
}
