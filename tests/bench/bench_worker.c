/* The baselines' worker, written against libsockbroker: takes a connection, answers its index, closes.
 *   (nothing)          by sockbroker_worker_next()
 *   --accept           by accept4, on the sockets that the broker gives it
 *   --accept --port P  the same, without a broker, on an SO_REUSEPORT socket of its own
 * Prints "ready" once attached. SIGTERM ends it with code 0. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench_accept.h"
#include "sockbroker/sockbroker.h"

static const char usage[] = "usage: bench_worker [--dir DIR] --endpoint NAME[,NAME]... [--name NAME] [--index I]\n"
                            "                    [--accept [--port P]]\n";

struct choice {
    struct sockbroker_worker_options options;
    unsigned char index;
    int accepts;
    int port; /* 0: the broker's sockets */
};

static void leave(int signo)
{
    (void)signo;
    _exit(0);
}

static void parse(int argc, char **argv, struct choice *c)
{
    static const struct option known[] = {
        { "dir", required_argument, NULL, 'd' },
        { "endpoint", required_argument, NULL, 'e' },
        { "name", required_argument, NULL, 'n' },
        { "index", required_argument, NULL, 'i' },
        { "accept", no_argument, NULL, 'a' },
        { "port", required_argument, NULL, 'p' },
        { 0 },
    };

    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (option) {
        case 'd':
            c->options.dir = optarg;
            break;
        case 'e':
            c->options.endpoints = optarg;
            break;
        case 'n':
            c->options.name = optarg;
            break;
        case 'i':
            c->index = (unsigned char)atoi(optarg);
            break;
        case 'a':
            c->accepts = 1;
            break;
        case 'p':
            c->port = atoi(optarg);
            break;
        default:
            fputs(usage, stderr);
            exit(2);
        }
    }
}

static sockbroker_status serve(struct sockbroker_worker *worker, unsigned char index)
{
    struct sockbroker_conn conn;
    sockbroker_status st;

    while ((st = sockbroker_worker_next(worker, SOCKBROKER_FOREVER, &conn)) == SOCKBROKER_OK) {
        send(conn.sock, &index, 1, MSG_NOSIGNAL);
        close(conn.sock);
        sockbroker_worker_finished(worker, conn.info.lease_id);
    }
    return st;
}

static void say_ready(void)
{
    puts("ready");
    fflush(stdout);
}

static int serve_alone(const struct choice *c)
{
    int set = bench_accept_open();

    if (!bench_accept_own(set, c->port)) {
        perror("bench_worker");
        return 1;
    }
    say_ready();
    bench_accept_serve(set, NULL, c->index);
    return 1;
}

int main(int argc, char **argv)
{
    struct choice c = { .options = SOCKBROKER_WORKER_OPTIONS_INIT };
    struct sockbroker_worker *worker = NULL;
    struct sockbroker_error error = { 0 };
    sockbroker_status st;
    int set = -1;

    parse(argc, argv, &c);
    signal(SIGTERM, leave);
    if (c.port)
        return serve_alone(&c);
    st = sockbroker_worker_open(&c.options, &worker, &error);
    if (!st && c.accepts) {
        set = bench_accept_open();
        st = bench_accept_fetch(set, worker, c.options.endpoints, &error);
    }
    if (st) {
        fprintf(stderr, "bench_worker: %s\n", error.text);
        return 1;
    }
    say_ready();
    st = c.accepts ? bench_accept_serve(set, worker, c.index) : serve(worker, c.index);
    fprintf(stderr, "bench_worker: %s\n", sockbroker_status_text(st));
    sockbroker_worker_close(worker);
    return st == SOCKBROKER_DRAINING ? 0 : 1;
}
