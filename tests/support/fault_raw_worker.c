/* A raw worker in a process of its own, for what only a process can do: die, be another user, be another process.
 *
 *     fault_raw_worker DIR NAME WINDOW [UID GID]             attaches, says "ready"; then obeys, a line each:
 *         take      takes a packet, says "took LEASE"
 *         read N    reads N bytes of the connection taken last, says "read"
 *         write N   writes N bytes to it, says "wrote"
 *         ack       acks it, says "acked"
 *     fault_raw_worker DIR --hello SESSION TOKEN [UID GID]   shows somebody else's token, says "hello gave NAME"
 *     fault_raw_worker DIR --drain WORKER [UID GID]          asks for a drain, says "drain gave NAME"
 *
 * Says "attach gave NAME: TEXT" when it is not taken in. Ends with its standard input.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "proto/rundir.h"
#include "tests/support/fault_raw.h"
#include "tests/support/format.h"
#include "tests/support/kit_become.h"

#define TAKE_MS 30000

static bool read_token(const char *hex, uint8_t token_out[SB_SECRET_LEN])
{
    for (size_t i = 0; i < SB_SECRET_LEN; i++) {
        unsigned byte;

        if (sscanf(hex + 2 * i, "%2x", &byte) != 1)
            return false;
        token_out[i] = (uint8_t)byte;
    }
    return true;
}

static int say_hello(const char *dir, const char *session, const char *token)
{
    struct fault_raw r = FAULT_RAW_NONE;
    struct sockbroker_error error;

    r.attached.session.id = strtoull(session, NULL, 10);
    if (!read_token(token, r.attached.token))
        return 2;
    sockbroker_status st = fault_raw_hello(&r, dir, &error);
    printf("hello gave %s\n", sockbroker_status_name(st));
    return 0;
}

static int ask_drain(const char *dir, const char *worker)
{
    char path[SB_PATH_MAX];
    struct sb_client *client;
    struct sockbroker_error error;
    static struct sb_reply reply;
    struct sb_request request = { .kind = SB_REQUEST_DRAIN };

    format_text(request.as.drain.worker, sizeof(request.as.drain.worker), "%s", worker);
    sockbroker_status st = sb_client_open(sb_rundir_path(dir, SB_RUNDIR_CONTROL, path), NULL, NULL, &client, &error);
    if (!st) {
        st = sb_client_call(client, &request, SB_REPLY_DONE, TAKE_MS, &reply, &error);
        sb_client_close(client);
    }
    printf("drain gave %s\n", sockbroker_status_name(st));
    return 0;
}

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
    struct sockbroker_error error;
    int n = argc > 2 && !strcmp(argv[2], "--hello") ? 5 : 4;

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc != n && argc != n + 2)
        return 2;
    if (argc == n + 2 && !kit_become(argv[n], argv[n + 1])) {
        perror("become");
        return 1;
    }
    if (sb_channel_prepare(&error)) {
        printf("%s\n", error.text);
        return 1;
    }
    if (n == 5)
        return say_hello(argv[1], argv[3], argv[4]);
    return strcmp(argv[2], "--drain") ? work(argv[1], argv[2], argv[3]) : ask_drain(argv[1], argv[3]);
}
