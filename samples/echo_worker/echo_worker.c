/* echo_worker: some threads that share one worker. Each takes a connection when it has none, sends back what it reads,
 * in blocking calls, until the client has said all, and takes the next:
 *
 *     sockbroker serve --dir /tmp/sb --endpoint 'echo=[::]:7007' &  echo_worker --dir /tmp/sb --endpoint echo --threads 8
 */
#include "../common/net.h"
#include "../common/sample.h"
#include "../common/system.h"

#define THREADS_MAX 1000

static struct sockbroker_worker *worker;
static sockbroker_status last_answers[THREADS_MAX];

static void echo(const struct sockbroker_conn *conn);

/* One of the threads. Any number of them may wait in sockbroker_worker_next(); each connection goes to one. */
static void serve(unsigned thread)
{
    struct sockbroker_conn conn;
    sockbroker_status st;

    do {
        while ((st = sockbroker_worker_next(worker, SOCKBROKER_FOREVER, &conn)) == SOCKBROKER_OK) {
            echo(&conn);
            net_close(conn.sock);
            sockbroker_worker_finished(worker, conn.info.lease_id);
        }
    } while (sample_try_again(st));
    last_answers[thread] = st;
}

static void echo(const struct sockbroker_conn *conn)
{
    char bytes[16384];
    int n;

    if (conn->info.nonblocking) /* so it is when the endpoint is configured with blocking=no */
        net_set_blocking(conn->sock);
    do
        n = net_receive(conn->sock, bytes, sizeof(bytes));
    while (n > 0 && net_send(conn->sock, bytes, (size_t)n));
}

int main(int argc, char **argv)
{
    struct sample_option threads = { "threads", "how many connections at a time", 1, THREADS_MAX, 4, NULL };

    sample_stop_on_signals();
    worker = sample_open(argc, argv, &threads);
    system_run_threads((unsigned)threads.value, serve);
    return sample_close(worker, last_answers[threads.value - 1]);
}
