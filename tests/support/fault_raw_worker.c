/* A raw worker in a process of its own, for what only a process can do: die, be another user, be another process.
 *
 *     fault_raw_worker DIR NAME WINDOW [UID GID]   attaches, says "ready"; then obeys, a line each:
 *         take      takes a packet, says "took LEASE"
 *         read N    reads N bytes of the connection taken last, says "read"
 *         write N   writes N bytes to it, says "wrote"
 *         ack       acks it, says "acked"
 *
 * Says "attach gave NAME: TEXT" when it is not taken in. Ends with its standard input.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/support/fault_raw.h"
#include "tests/support/format.h"
#include "tests/support/kit_become.h"

#define TAKE_MS 30000

struct taken {
    uint64_t lease_id;
    sockbroker_socket sock; /* those before stay open until the end */
};

static void take(struct fault_raw *r, struct taken *t)
{
    struct sb_delivery d;
    sockbroker_status st = fault_raw_take(r, TAKE_MS, &d, &t->sock);

    if (st) {
        printf("take gave %s\n", sockbroker_status_name(st));
        return;
    }
    t->lease_id = d.number;
    printf("took %llu\n", (unsigned long long)d.number);
}

static void obey(struct fault_raw *r, struct taken *t, const char *line)
{
    static char bytes[4096];
    size_t n;

    if (!strncmp(line, "take", 4)) {
        take(r, t);
    } else if (sscanf(line, "read %zu", &n) == 1) {
        printf("read%s\n", recv(t->sock, bytes, n, MSG_WAITALL) == (ssize_t)n ? "" : " failed");
    } else if (sscanf(line, "write %zu", &n) == 1) {
        printf("wrote%s\n", send(t->sock, bytes, n, MSG_NOSIGNAL) == (ssize_t)n ? "" : " failed");
    } else if (!strncmp(line, "ack", 3)) {
        printf("acked%s\n", fault_raw_report(r, t->lease_id, SB_VERDICT_ACK) ? " failed" : "");
    }
}

static int work(const char *dir, const char *name, const char *window)
{
    static struct fault_raw r = FAULT_RAW_NONE;
    struct taken t = { 0, SOCKBROKER_SOCKET_NONE };
    struct sockbroker_error error;
    char line[128];
    sockbroker_status st = fault_raw_open(&r, dir, name, (unsigned)strtoul(window, NULL, 10), &error);

    if (st) {
        printf("attach gave %s: %s\n", sockbroker_status_name(st), error.text);
        return 0;
    }
    printf("ready\n");
    while (fgets(line, sizeof(line), stdin))
        obey(&r, &t, line);
    return 0;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc != 4 && argc != 6)
        return 2;
    if (argc == 6 && !kit_become(argv[4], argv[5])) {
        perror("become");
        return 1;
    }
    return work(argv[1], argv[2], argv[3]);
}
