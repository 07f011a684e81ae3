/* move_connection: a live connection moves from one process to another, and its client does not notice. It numbers the lines
 * that a client sends. The first process answers three, leaves the connection with the broker and ends; the second takes
 * it out and goes on counting:
 *
 *     sockbroker serve --dir /tmp/sb --endpoint 'count=[::]:7000' &
 *     move_connection --dir /tmp/sb --endpoint count --role first &
 *     move_connection --dir /tmp/sb --role second &
 *     nc localhost 7000
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "../common/net.h"
#include "../common/sample.h"
#include "../common/system.h"

#define DEPOSIT "conversation"
#define LINES_OF_FIRST 3

/* What the second must know; it travels with the connection. */
struct memory {
    uint32_t n_lines;
};

/* ---- the conversation ---- */

/* One line and not a byte more: what is read is not there for the next owner. 0: the client has left. */
static size_t take_line(sockbroker_socket sock, char line[1024])
{
    for (size_t len = 0; len < 1024;) {
        int n = net_peek(sock, line + len, 1024 - len);
        char *end = n > 0 ? memchr(line + len, '\n', (size_t)n) : NULL;
        size_t take = end ? (size_t)(end + 1 - (line + len)) : (size_t)n;

        if (n <= 0 || net_receive(sock, line + len, take) != (int)take)
            return 0;
        len += take;
        if (end || len == 1024)
            return len;
    }
    return 0;
}

/* Numbers lines until there are so many. False when the client has left before. */
static bool converse(sockbroker_socket sock, struct memory *memory, uint32_t until)
{
    char line[1024], answer[1100];

    while (memory->n_lines < until) {
        size_t len = take_line(sock, line);
        int n = snprintf(answer, sizeof(answer), "%s %u: %.*s", sample_name(), (unsigned)memory->n_lines + 1, (int)len, line);

        if (!len || !net_send(sock, answer, (size_t)n))
            return false;
        memory->n_lines++;
    }
    return true;
}

/* ---- first ---- */

static bool leave(struct sockbroker_worker *worker, sockbroker_socket sock, const struct memory *memory)
{
    struct sockbroker_deposit deposit = SOCKBROKER_DEPOSIT_INIT;
    struct sockbroker_error error;

    deposit.name = DEPOSIT;
    deposit.sock = sock;
    deposit.state = memory;
    deposit.state_len = sizeof(*memory);
    if (sockbroker_worker_deposit(worker, &deposit, &error) == SOCKBROKER_OK)
        return true;
    fprintf(stderr, "move_connection: %s\n", error.text);
    return false;
}

static sockbroker_status be_first(struct sockbroker_worker *worker)
{
    struct sockbroker_conn conn;
    sockbroker_status st;
    bool moved = false;

    do {
        while (!moved && (st = sockbroker_worker_next(worker, SOCKBROKER_FOREVER, &conn)) == SOCKBROKER_OK) {
            struct memory memory = { 0 };

            moved = converse(conn.sock, &memory, LINES_OF_FIRST) && leave(worker, conn.sock, &memory);
            net_close(conn.sock); /* ours; the broker has its own */
            sockbroker_worker_finished(worker, conn.info.lease_id);
        }
    } while (!moved && sample_try_again(st));
    return moved ? SOCKBROKER_CLOSED : st;
}

/* ---- second ---- */

/* Asks again while it is not there yet. */
static sockbroker_status take_out(struct sockbroker_worker *worker, struct sockbroker_conn *conn, struct memory *memory)
{
    sockbroker_status st;
    size_t len;

    while ((st = sockbroker_worker_withdraw(worker, DEPOSIT, conn, memory, sizeof(*memory), &len, NULL)) ==
               SOCKBROKER_NOT_FOUND ||
           st == SOCKBROKER_NO_BROKER || st == SOCKBROKER_BUSY)
        system_pause(100);
    return st;
}

static sockbroker_status be_second(struct sockbroker_worker *worker)
{
    struct sockbroker_conn conn;
    struct memory memory;
    sockbroker_status st = take_out(worker, &conn, &memory);

    if (st)
        return st;
    converse(conn.sock, &memory, UINT32_MAX);
    net_close(conn.sock);
    return SOCKBROKER_CLOSED;
}

int main(int argc, char **argv)
{
    static const char *const roles[] = { "first", "second" };
    struct sample_option role = { "role", "first (counts, then leaves the connection) or second (takes it)", 0, 1, 0, roles };
    struct sockbroker_worker_options options;

    sample_stop_on_signals();
    sample_read(argc, argv, &options, &role);
    if (role.value)
        options.endpoints = ""; /* it serves none, it only asks */

    struct sockbroker_worker *worker = sample_attach(&options);
    return sample_close(worker, role.value ? be_second(worker) : be_first(worker));
}
