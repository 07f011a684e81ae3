/* A worker that deposits and withdraws: kit_mover.h says what it does. Built against the public library alone. */
#include "tests/support/kit_mover.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/format.h"
#include "tests/support/kit_become.h"
#include "tests/support/kit_orders.h"
#include "tests/support/kit_page.h"
#include "tests/support/kit_state.h"
#include "tests/support/net.h"

static uint8_t state[SOCKBROKER_STATE_MAX];

/* ---- orders ---- */

static void connect_to(struct kit_mover *m, const char *host, const char *port)
{
    m->sock = net_open(strchr(host, ':') ? AF_INET6 : AF_INET, SOCK_STREAM);
    if (!net_connect(m->sock, host, (uint16_t)atoi(port)))
        fprintf(stderr, "connect: %s\n", net_error_text());
    printf("connected %u\n", net_port(m->sock));
}

static void deposit(struct kit_mover *m, const char *name, const char *bytes, const char *lifetime, const char *uid)
{
    struct sockbroker_deposit d = SOCKBROKER_DEPOSIT_INIT;
    struct sockbroker_error error;
    uint32_t allowed = uid ? (uint32_t)strtoul(uid, NULL, 10) : 0;

    d.name = name;
    d.sock = m->sock;
    d.state = state;
    d.state_len = strtoul(bytes, NULL, 10);
    d.lifetime_ms = lifetime ? (unsigned)strtoul(lifetime, NULL, 10) : 0;
    d.allow_uids = &allowed;
    d.n_allow_uids = uid != NULL;
    kit_state_fill(name, 1, state, d.state_len);
    sockbroker_status st = sockbroker_worker_deposit(m->worker, &d, &error);
    if (!st)
        net_close(&m->sock);
    printf("deposit %s gave %s: %s\n", name, sockbroker_status_name(st), error.text);
}

static void withdraw(struct kit_mover *m, const char *name)
{
    struct sockbroker_conn conn;
    struct sockbroker_error error;
    size_t len;
    sockbroker_status st = sockbroker_worker_withdraw(m->worker, name, &conn, state, sizeof(state), &len, &error);

    if (st) {
        printf("withdraw %s gave %s: %s\n", name, sockbroker_status_name(st), error.text);
        return;
    }
    m->sock = conn.sock;
    printf("withdraw %s gave OK: %zu bytes %s\n", name, len, kit_state_is_whole(name, 1, state, len) ? "whole" : "broken");
}

static void read_it(const struct kit_mover *m, const char *n)
{
    char text[64] = "";
    size_t len = strtoul(n, NULL, 10);
    size_t have = 0;
    long got = 1;

    while (have < len && len < sizeof(text) && got > 0) {
        got = net_receive(m->sock, text + have, len - have);
        if (got < 0 && net_is_pending())
            got = net_wait_readable(m->sock, -1);
        else if (got > 0)
            have += (size_t)got;
    }
    if (have < len)
        fprintf(stderr, "read: %s\n", net_error_text());
    printf("read %s\n", text);
}

static void write_it(const struct kit_mover *m, const char *text)
{
    char line[64];
    int len = (int)format_text(line, sizeof(line), "%s\n", text);

    if (net_send(m->sock, line, (size_t)len) != len)
        fprintf(stderr, "write: %s\n", net_error_text());
    printf("wrote\n");
}

static void obey(struct kit_mover *m, char *line)
{
    char *words[5] = { "" };
    size_t n = 0;

    for (char *word = kit_orders_cut(&line, " \n"); word && n < 5; word = kit_orders_cut(&line, " \n"))
        words[n++] = word;
    if (!strcmp(words[0], "connect") && n == 3) {
        connect_to(m, words[1], words[2]);
    } else if (!strcmp(words[0], "deposit") && n >= 3) {
        deposit(m, words[1], words[2], words[3], words[4]);
    } else if (!strcmp(words[0], "withdraw") && n == 2) {
        withdraw(m, words[1]);
    } else if (!strcmp(words[0], "read") && n == 2) {
        read_it(m, words[1]);
    } else if (!strcmp(words[0], "write") && n == 2) {
        write_it(m, words[1]);
    } else if (!strcmp(words[0], "close")) {
        net_close(&m->sock);
        printf("closed\n");
    } else if (!strcmp(words[0], "starve")) {
        printf(kit_starve() ? "starved\n" : "not starved\n");
    } else if (!strcmp(words[0], "move") && n == 3) {
        kit_mover_move(m, (unsigned)strtoul(words[1], NULL, 10));
        printf("moved %s\n", words[2]);
    }
}

/* ---- start ---- */

static bool map_moves(struct kit_mover *m, const char *path)
{
    m->page = kit_page_open(path, sizeof(*m->page), false);
    return m->page != NULL;
}

static bool read_args(struct kit_mover *m, struct sockbroker_worker_options *o, int argc, char **argv)
{
    static const struct option options[] = {
        { "endpoint", required_argument, NULL, 'e' },
        { "dir", required_argument, NULL, 'd' },
        { "name", required_argument, NULL, 'n' },
        { "uid", required_argument, NULL, 'u' },
        { "moves", required_argument, NULL, 'm' },
        { "slot", required_argument, NULL, 's' },
        { NULL, 0, NULL, 0 },
    };
    bool good = true;
    int option;

    while (good && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'd')
            o->dir = optarg;
        else if (option == 'e')
            o->endpoints = optarg;
        else if (option == 'n')
            o->name = optarg;
        else if (option == 's')
            m->slot = (unsigned)strtoul(optarg, NULL, 10);
        else
            good = option == 'u' ? kit_become(optarg, optarg) : option == 'm' && map_moves(m, optarg);
    }
    return good && optind == argc && m->slot < KIT_MOVES_MOVERS;
}

int main(int argc, char **argv)
{
    struct sockbroker_worker_options options = SOCKBROKER_WORKER_OPTIONS_INIT;
    struct kit_mover m = { .sock = SOCKBROKER_SOCKET_NONE };
    struct sockbroker_error error;
    char line[128];

    setvbuf(stdout, NULL, _IONBF, 0);
    net_start();
    options.endpoints = "";
    options.attach_timeout_ms = 30000;
    if (!read_args(&m, &options, argc, argv))
        return 2;
    sockbroker_status st = sockbroker_worker_open(&options, &m.worker, &error);
    if (st) {
        printf("open gave %s: %s\n", sockbroker_status_name(st), error.text);
        return 1;
    }
    printf("ready\n");
    while (fgets(line, sizeof(line), stdin) && strcmp(line, "leave\n"))
        obey(&m, line);
    if (feof(stdin))
        _Exit(0);
    sockbroker_worker_close(m.worker);
    net_close(&m.sock);
    return 0;
}
