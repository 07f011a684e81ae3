/* hello_worker: the smallest worker. It says hello to each client, with its own name and the client's family, and
 * closes:
 *
 *     sockbroker serve --dir /tmp/sb --endpoint 'hello=[::]:7000' &  hello_worker --dir /tmp/sb --endpoint hello
 */
#include <stdio.h>

#include "../common/net.h"
#include "../common/sample.h"

static void say_hello(const struct sockbroker_conn *conn)
{
    char line[128];
    int len = snprintf(line, sizeof(line), "hello from %s over %s\n", sample_name(),
                       conn->info.peer.family == SOCKBROKER_IPV6 ? "IPv6" : "IPv4");

    net_send(conn->sock, line, (size_t)len); /* a client that has left is no matter */
    net_close(conn->sock);
}

int main(int argc, char **argv)
{
    sample_stop_on_signals();

    struct sockbroker_worker *worker = sample_open(argc, argv, NULL);
    struct sockbroker_conn conn;
    sockbroker_status st;

    do {
        while ((st = sockbroker_worker_next(worker, SOCKBROKER_FOREVER, &conn)) == SOCKBROKER_OK) {
            say_hello(&conn);
            sockbroker_worker_finished(worker, conn.info.lease_id);
        }
    } while (sample_try_again(st));
    return sample_close(worker, st);
}
