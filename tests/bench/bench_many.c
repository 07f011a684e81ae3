/* bench_many: N workers in one process, for what does not depend on who serves: the cost of many sessions in the broker.
 * One epoll loop over their descriptors; each connection gets one byte and is closed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <sockbroker/sockbroker.h>

static struct sockbroker_worker *open_one(const char *dir, unsigned i)
{
    struct sockbroker_worker_options options = SOCKBROKER_WORKER_OPTIONS_INIT;
    struct sockbroker_worker *worker = NULL;
    struct sockbroker_error error;
    char name[32];

    snprintf(name, sizeof(name), "many-%u", i);
    options.dir = dir;
    options.endpoints = "bench";
    options.name = name;
    options.attach_timeout_ms = 30000;
    if (sockbroker_worker_open(&options, &worker, &error)) {
        fprintf(stderr, "bench_many: %s\n", error.text);
        exit(1);
    }
    return worker;
}

static void serve_all(struct sockbroker_worker *worker)
{
    struct sockbroker_conn conn;

    while (sockbroker_worker_next(worker, 0, &conn) == SOCKBROKER_OK) {
        send(conn.sock, "\0", 1, MSG_NOSIGNAL);
        close(conn.sock);
        sockbroker_worker_finished(worker, conn.info.lease_id);
    }
}

int main(int argc, char **argv)
{
    unsigned n = argc == 3 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
    struct epoll_event events[64];
    int set = epoll_create1(EPOLL_CLOEXEC);

    if (!n || set < 0) {
        fprintf(stderr, "usage: bench_many DIR N\n");
        return 2;
    }
    for (unsigned i = 0; i < n; i++) {
        struct sockbroker_worker *worker = open_one(argv[1], i);
        struct epoll_event e = { .events = EPOLLIN, .data.ptr = worker };

        epoll_ctl(set, EPOLL_CTL_ADD, sockbroker_worker_fd(worker), &e);
    }
    puts("ready");
    fflush(stdout);
    for (;;) {
        int ready = epoll_wait(set, events, 64, -1);

        for (int i = 0; i < ready; i++)
            serve_all(events[i].data.ptr);
    }
}
