/* share_worker: greets like hello_worker, but accepts by itself, on the listening sockets of an endpoint with mode = share or
 * shard. What the broker took over from the queue of a dead worker comes by next(), as everywhere:
 *
 *     sockbroker serve --dir /tmp/sb --endpoint 'web=[::]:7000,mode=shard' &  share_worker --dir /tmp/sb --endpoint web
 */
#include <stdio.h>
#include <stdlib.h>

#include "../common/net.h"
#include "../common/sample.h"
#include "../common/watch.h"

#define LISTENERS_MAX 64
#define LOOK_MS 1000
#define QUEUE_MAX 4096 /* clients that wait in a socket's queue; systems have fewer */

static sockbroker_socket listeners[LISTENERS_MAX];
static unsigned n_listeners;

static void say_hello(sockbroker_socket sock, const struct sockbroker_addr *peer)
{
    char line[128];
    int len = snprintf(line, sizeof(line), "hello from %s over %s\n", sample_name(),
                       peer->family == SOCKBROKER_IPV6 ? "IPv6" : "IPv4");

    net_send(sock, line, (size_t)len); /* a client that has left is no matter */
    net_close(sock);
}

/* All listening sockets of the endpoint: it may have several addresses. Other workers wait on them too. */
static void fetch_listeners(struct sockbroker_worker *worker, const char *endpoint)
{
    unsigned n_sockets = 1;

    for (unsigned i = 0; i < n_sockets; i++) {
        struct sockbroker_conn listener;
        struct sockbroker_error error;

        if (sockbroker_worker_socket(worker, endpoint, i, &listener, &n_sockets, &error)) {
            fprintf(stderr, "share_worker: %s\n", error.text);
            exit(EXIT_FAILURE);
        }
        if (n_listeners == LISTENERS_MAX || !watch_add(listener.sock, true)) {
            fprintf(stderr, "share_worker: %u listening sockets are too many to watch\n", n_sockets);
            exit(EXIT_FAILURE);
        }
        listeners[n_listeners++] = listener.sock;
    }
}

/* Another worker may have been quicker; then there is nothing to accept. */
static void accept_one(sockbroker_socket listener)
{
    struct sockbroker_addr peer;
    sockbroker_socket sock = net_accept(listener, &peer);

    if (sock != SOCKBROKER_SOCKET_NONE)
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
static void accept_the_rest(sockbroker_socket handed_over)
{
    sockbroker_socket sock;

    watch_remove(handed_over);
    for (int i = 0; i < QUEUE_MAX && (sock = watch_wait(0)) != SOCKBROKER_SOCKET_NONE; i++)
        accept_one(sock);
    while (n_listeners)
        net_close(listeners[--n_listeners]);
}

int main(int argc, char **argv)
{
    sample_stop_on_signals();

    struct sockbroker_worker *worker = sample_open(argc, argv, NULL);
    sockbroker_socket handed_over = sockbroker_worker_fd(worker);
    sockbroker_status st = SOCKBROKER_AGAIN;

    if (!watch_add(handed_over, false)) {
        fprintf(stderr, "share_worker: the worker's descriptor cannot be watched\n");
        return EXIT_FAILURE;
    }
    fetch_listeners(worker, sample_endpoint());
    while (st == SOCKBROKER_AGAIN || sample_try_again(st)) {
        sockbroker_socket sock = watch_wait(LOOK_MS);

        if (sock == SOCKBROKER_SOCKET_NONE)
            look();
        else if (sock != handed_over)
            accept_one(sock);
        else
            st = take_handed_over(worker);
    }
    accept_the_rest(handed_over);
    return sample_close(worker, st);
}
