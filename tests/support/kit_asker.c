/* kit_asker: a worker in a process of its own that asks for connections.
 *
 *     kit_asker DIR NAME ENDPOINTS [UID GID]      ENDPOINTS "": none
 *
 * Told on standard input "connect HOST PORT DEADLINE_MS [SOURCE_PORT]" says "asking", then "connected LOCAL PEER" or
 * "failed STATUS TEXT". Keeps what it has got until the end of its input. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sockbroker/sockbroker.h"
#include "tests/support/kit_become.h"
#include "tests/support/net.h"

static void ask(struct sockbroker_worker *worker, const char *host, unsigned port, unsigned deadline_ms, unsigned source_port)
{
    struct sockbroker_connect_options options = SOCKBROKER_CONNECT_OPTIONS_INIT;
    char local[SOCKBROKER_ADDR_TEXT_MAX], peer[SOCKBROKER_ADDR_TEXT_MAX];
    struct sockbroker_error error;
    struct sockbroker_conn conn;

    options.host = host;
    options.port = port;
    options.deadline_ms = deadline_ms;
    if (source_port) {
        sockbroker_addr_parse_ip("127.0.0.1", &options.source, NULL);
        options.source.port = (uint16_t)source_port;
    }
    printf("asking\n");
    sockbroker_status st = sockbroker_worker_connect(worker, &options, &conn, NULL, NULL, &error);
    if (st)
        printf("failed %s %s\n", sockbroker_status_name(st), error.text);
    else
        printf("connected %s %s\n", sockbroker_addr_format(&conn.info.local, local),
               sockbroker_addr_format(&conn.info.peer, peer));
}

int main(int argc, char **argv)
{
    struct sockbroker_worker_options options = SOCKBROKER_WORKER_OPTIONS_INIT;
    struct sockbroker_worker *worker;
    struct sockbroker_error error;
    char line[512], host[300];

    setvbuf(stdout, NULL, _IONBF, 0);
    if (argc != 4 && argc != 6)
        return 2;
    if (argc == 6 && !kit_become(argv[4], argv[5])) {
        perror("kit_asker: become");
        return 1;
    }
    net_start();
    options.dir = argv[1];
    options.name = argv[2];
    options.endpoints = argv[3];
    sockbroker_status st = sockbroker_worker_open(&options, &worker, &error);
    if (st) {
        printf("attach gave %s: %s\n", sockbroker_status_name(st), error.text);
        return 0;
    }
    printf("ready\n");
    while (fgets(line, sizeof(line), stdin)) {
        unsigned port, deadline_ms, source_port = 0;

        if (sscanf(line, "connect %299s %u %u %u", host, &port, &deadline_ms, &source_port) >= 3)
            ask(worker, host, port, deadline_ms, source_port);
    }
    sockbroker_worker_close(worker);
    return 0;
}
