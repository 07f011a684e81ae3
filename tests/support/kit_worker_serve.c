#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <uv.h>

#include "tests/support/format.h"
#include "tests/support/kit_orders.h"
#include "tests/support/kit_worker.h"

#define REQUEST_WAIT_MS 30000

void kit_worker_say(const char *format, ...)
{
    char line[256];
    va_list args;

    va_start(args, format);
    int n = vsnprintf(line, sizeof(line) - 1, format, args);
    va_end(args);
    if (n > (int)sizeof(line) - 2)
        n = (int)sizeof(line) - 2;
    line[n] = '\n';
    fwrite(line, 1, (size_t)n + 1, stdout);
    fflush(stdout);
}

void kit_worker_answer(const struct kit_task *t, const struct sockbroker_conn *conn, const char *echo)
{
    char line[256];
    size_t n = format_text(line, sizeof(line), "%s %d ipv%d %llu %u%s%s\n", t->options.name, kit_own_pid(),
                           (int)conn->info.peer.family, (unsigned long long)conn->info.lease_id, conn->info.peer.port,
                           echo ? " " : "", echo ? echo : "");

    net_send(conn->sock, line, n);
}

void kit_worker_over(const struct kit_task *t, const struct sockbroker_conn *conn)
{
    sockbroker_socket sock = conn->sock;

    net_close(&sock);
    atomic_fetch_add(&t->journal->answered, 1);
    if (t->reports_finish)
        sockbroker_worker_finished(t->worker, conn->info.lease_id);
}

/* A line of the client, without its newline. False when it leaves first. */
static bool read_request(sockbroker_socket sock, char *line, size_t room)
{
    size_t len = 0;

    while (len + 1 < room) {
        if (!net_wait_readable(sock, REQUEST_WAIT_MS) || net_receive(sock, line + len, 1) <= 0)
            return false;
        if (line[len] == '\n')
            break;
        len++;
    }
    line[len] = '\0';
    return true;
}

static void serve_one(const struct kit_task *t, const struct sockbroker_conn *conn)
{
    char line[64];
    bool echoes = t->mode == KIT_ECHO;

    atomic_fetch_add(&t->journal->begun, 1);
    if (t->pause_ms)
        uv_sleep(t->pause_ms);
    if (!echoes || read_request(conn->sock, line, sizeof(line)))
        kit_worker_answer(t, conn, echoes ? line : NULL);
    kit_worker_over(t, conn);
}

void kit_worker_say_end(struct kit_task *t, sockbroker_status st)
{
    struct sockbroker_error error;

    if (st == SOCKBROKER_DRAINING) {
        kit_worker_say("draining");
    } else if (st == SOCKBROKER_REFUSED) {
        sockbroker_worker_error(t->worker, &error);
        kit_worker_say("refused %s", error.text);
    } else if (st != SOCKBROKER_CLOSED) {
        kit_worker_say("next gave %s", sockbroker_status_name(st));
    }
}

/* OK or the end. At the descriptor limit the broker has it back already. */
static sockbroker_status next(struct kit_task *t, struct sockbroker_conn *conn)
{
    sockbroker_status st;

    while ((st = sockbroker_worker_next(t->worker, SOCKBROKER_FOREVER, conn)) == SOCKBROKER_NO_DESCRIPTORS)
        kit_worker_say("no descriptors");
    return st;
}

void kit_worker_serve(void *arg)
{
    struct kit_task *t = arg;
    struct sockbroker_conn conn;
    sockbroker_status st;

    while (!(st = next(t, &conn)))
        serve_one(t, &conn);
    kit_worker_say_end(t, st);
}

void kit_worker_take(struct kit_task *t, unsigned n)
{
    struct sockbroker_conn conn;

    for (unsigned i = 0; i < n; i++) {
        sockbroker_status st = next(t, &conn);

        if (st) {
            kit_worker_say_end(t, st);
            return;
        }
        kit_worker_say("took %llu", (unsigned long long)conn.info.lease_id);
        serve_one(t, &conn);
    }
}
