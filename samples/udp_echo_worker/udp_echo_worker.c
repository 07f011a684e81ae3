/* udp_echo_worker: sends each datagram back, from the address it was sent to, over IPv4 and IPv6:
 *
 *     sockbroker serve --dir /tmp/sb --endpoint 'echo=[::]:7007,protocol=udp,mode=share' &
 *     udp_echo_worker --dir /tmp/sb --endpoint echo
 */
#include <stdio.h>
#include <stdlib.h>

#include "../common/sample.h"
#include "../common/watch.h"

#define BATCH 32
#define DATAGRAM_MAX 2048
#define SOCKETS_MAX 64
#define ROOM_WITHIN_MS 100
#define LOOK_MS 1000      /* another worker may have ended between its wake-up and its call */
#define LAST_BATCHES 1000 /* more than a queue holds */

static struct sockbroker_datagram batch[BATCH];
static unsigned char room[BATCH][DATAGRAM_MAX];

/* Longer ones are cut: an echo of half a datagram would be a lie, so there is none. */
static size_t keep_whole(size_t n)
{
    size_t n_whole = 0;

    for (size_t i = 0; i < n; i++) {
        if (batch[i].truncated)
            continue;
        struct sockbroker_datagram whole = batch[i];
        batch[i] = batch[n_whole]; /* the buffers change places with their datagrams */
        batch[n_whole++] = whole;
    }
    return n_whole;
}

/* A full socket buffer soon has room again; when it has none, what is left is dropped, as networks do. */
static void answer(const struct sockbroker_udp *udp, size_t n)
{
    size_t at = 0;

    while (at < n) {
        size_t n_done = 0;

        sockbroker_status st = sockbroker_udp_send(udp, batch + at, n - at, &n_done, NULL);
        at += n_done;
        if ((st && st != SOCKBROKER_AGAIN) || (at < n && !watch_has_room(udp->sock, ROOM_WITHIN_MS)))
            return;
    }
}

/* One batch, so that a word from the broker gets its turn under any load; false when there was none. */
static bool echo(const struct sockbroker_udp *udp)
{
    size_t n;

    if (sockbroker_udp_receive(udp, batch, BATCH, &n))
        return false;
    answer(udp, keep_whole(n));
    return true;
}

static void watch(sockbroker_socket sock)
{
    if (watch_add(sock, false))
        return;
    fprintf(stderr, "udp_echo_worker: the system does not watch this socket\n");
    exit(EXIT_FAILURE);
}

/* All sockets of the endpoint: it may have several addresses. They close with the process. */
static unsigned fetch(struct sockbroker_worker *worker, struct sockbroker_udp udp[SOCKETS_MAX])
{
    unsigned n_sockets = 1;

    for (unsigned i = 0; i < n_sockets && i < SOCKETS_MAX; i++) {
        struct sockbroker_conn conn;
        struct sockbroker_error error;

        if (sockbroker_worker_socket(worker, sample_endpoint(), i, &conn, &n_sockets, &error) ||
            sockbroker_udp_init(&udp[i], conn.sock, &error)) {
            fprintf(stderr, "udp_echo_worker: %s\n", error.text);
            exit(EXIT_FAILURE);
        }
        watch(conn.sock);
    }
    return n_sockets < SOCKETS_MAX ? n_sockets : SOCKETS_MAX;
}

static void make_room(void)
{
    for (size_t i = 0; i < BATCH; i++) {
        batch[i].data = room[i];
        batch[i].room = DATAGRAM_MAX;
    }
}

/* Told to finish: nothing new comes into the socket of a shard, and what is in it nobody else reads. A shared one has other
 * readers, and may never be empty. */
static void read_empty(const struct sockbroker_udp *udp, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        for (unsigned k = 0; k < LAST_BATCHES && echo(&udp[i]); k++)
            continue;
    }
}

int main(int argc, char **argv)
{
    sample_stop_on_signals();

    struct sockbroker_worker *worker = sample_open(argc, argv, NULL);
    struct sockbroker_conn none; /* a UDP endpoint has no connections; next() tells when to stop */
    struct sockbroker_udp udp[SOCKETS_MAX];
    sockbroker_status st = SOCKBROKER_AGAIN;
    unsigned n = fetch(worker, udp);

    watch(sockbroker_worker_fd(worker));
    make_room();
    while (st == SOCKBROKER_AGAIN) {
        sockbroker_socket sock = watch_wait(LOOK_MS);

        for (unsigned i = 0; i < n; i++) {
            if (udp[i].sock == sock || sock == SOCKBROKER_SOCKET_NONE)
                echo(&udp[i]);
        }
        if (sock == sockbroker_worker_fd(worker))
            st = sockbroker_worker_next(worker, 0, &none);
    }
    if (st == SOCKBROKER_DRAINING)
        read_empty(udp, n);
    return sample_close(worker, st);
}
