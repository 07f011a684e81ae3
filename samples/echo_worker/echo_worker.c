/* echo_worker: some threads that share one worker. Each takes a connection when it has none, sends back what it reads,
 * in blocking calls, until the client has said all, and takes the next:
 *
 *     sockbroker serve --dir /tmp/sb --endpoint 'echo=[::]:7007' &  echo_worker --dir /tmp/sb --endpoint echo --threads 8
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../common/sample.h"

static void echo(const struct sockbroker_conn *conn);

/* One of the threads. Any number of them may wait in sockbroker_worker_next(); each connection goes to one. */
static void *serve(void *worker)
{
    struct sockbroker_conn conn;
    sockbroker_status st;

    do {
        while ((st = sockbroker_worker_next(worker, SOCKBROKER_FOREVER, &conn)) == SOCKBROKER_OK) {
            echo(&conn);
            close(conn.sock);
            sockbroker_worker_finished(worker, conn.info.lease_id);
        }
    } while (sample_try_again(st));
    return (void *)(uintptr_t)st;
}

/* False when the client has gone. */
static bool send_all(int sock, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(sock, bytes, n, MSG_NOSIGNAL);
        if (sent < 0)
            return false;
        bytes += sent;
        n -= (size_t)sent;
    }
    return true;
}

static void echo(const struct sockbroker_conn *conn)
{
    char bytes[16384];
    ssize_t n;

    if (conn->info.nonblocking) /* so it is when the endpoint is configured with blocking=no */
        fcntl(conn->sock, F_SETFL, fcntl(conn->sock, F_GETFL) & ~O_NONBLOCK);
    do
        n = recv(conn->sock, bytes, sizeof(bytes), 0);
    while (n > 0 && send_all(conn->sock, bytes, (size_t)n));
}

int main(int argc, char **argv)
{
    struct sample_option threads = { "threads", "how many connections at a time", 1, 1000, 4, NULL };
    pthread_t ids[1000];
    void *last = NULL;

    sample_stop_on_signals();
    struct sockbroker_worker *worker = sample_open(argc, argv, &threads);

    for (unsigned long i = 0; i < threads.value; i++) {
        int failed = pthread_create(&ids[i], NULL, serve, worker);
        if (failed) {
            fprintf(stderr, "echo_worker: thread %lu: %s\n", i + 1, strerror(failed));
            exit(EXIT_FAILURE);
        }
    }
    for (unsigned long i = 0; i < threads.value; i++)
        pthread_join(ids[i], &last);
    return sample_close(worker, (sockbroker_status)(uintptr_t)last);
}
