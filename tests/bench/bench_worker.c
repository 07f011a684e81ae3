/* The baselines' worker, written against libsockbroker: takes a connection, answers its index, closes.
 * Prints "ready" once attached. SIGTERM ends it with code 0. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sockbroker/sockbroker.h"

static const char usage[] = "usage: bench_worker [--dir DIR] --endpoint NAME[,NAME]... [--name NAME] [--index I]\n";

static void leave(int signo)
{
    (void)signo;
    _exit(0);
}

static void parse(int argc, char **argv, struct sockbroker_worker_options *options, unsigned char *index_out)
{
    static const struct option known[] = {
        { "dir", required_argument, NULL, 'd' },
        { "endpoint", required_argument, NULL, 'e' },
        { "name", required_argument, NULL, 'n' },
        { "index", required_argument, NULL, 'i' },
        { 0 },
    };

    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (c) {
        case 'd':
            options->dir = optarg;
            break;
        case 'e':
            options->endpoints = optarg;
            break;
        case 'n':
            options->name = optarg;
            break;
        case 'i':
            *index_out = (unsigned char)atoi(optarg);
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

int main(int argc, char **argv)
{
    struct sockbroker_worker_options options = SOCKBROKER_WORKER_OPTIONS_INIT;
    struct sockbroker_worker *worker = NULL;
    struct sockbroker_error error = { 0 };
    unsigned char index = 0;
    sockbroker_status st;

    parse(argc, argv, &options, &index);
    signal(SIGTERM, leave);
    if (sockbroker_worker_open(&options, &worker, &error)) {
        fprintf(stderr, "bench_worker: %s\n", error.text);
        return 1;
    }
    puts("ready");
    fflush(stdout);
    st = serve(worker, index);
    fprintf(stderr, "bench_worker: %s\n", sockbroker_status_text(st));
    sockbroker_worker_close(worker);
    return st == SOCKBROKER_DRAINING ? 0 : 1;
}
