#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/command.h"
#include "broker/explain.h"
#include "broker/process.h"
#include "broker/pump.h"
#include "proto/socket.h"
#include "proto/thread.h"
#include "sockbroker/sockbroker.h"

static const char help[] =
    "usage: sockbroker connect HOST PORT [--timeout MS] [--source ADDRESS] [--explain] [--dir DIR]\n\n"
    "Has the broker make a connection, sends it the standard input, and prints what comes. The end of the\n"
    "input is told by a half-close; the command ends when the peer closes.\n\n"
    "  HOST               name or address\n"
    "  PORT               1 to 65535\n"
    "  --timeout MS       until it is connected, the lookup included, 1 to 600000; default 30000\n"
    "  --source ADDRESS   connect from there: 192.0.2.1, 2001:db8::1, or with a port, 192.0.2.1:5000\n"
    "  --explain          print the destinations on standard error, in their order (RFC 6724), and what\n"
    "                     became of each in the race (RFC 8305)\n"
    "  --dir DIR          runtime directory of the broker\n";

static const struct option long_options[] = {
    { "timeout", required_argument, NULL, 't' }, { "source", required_argument, NULL, 's' },
    { "explain", no_argument, NULL, 'e' },       { "dir", required_argument, NULL, 'd' },
    { "help", no_argument, NULL, 'h' },          { NULL, 0, NULL, 0 },
};

#define TIMEOUT_MS_MAX 600000 /* request.h */

struct wish {
    struct sockbroker_connect_options to;
    const char *dir;
    bool explain;
};

/* ---- the connection ---- */

static sockbroker_status open_worker(const char *dir, struct sockbroker_worker **worker_out, struct sockbroker_error *error)
{
    struct sockbroker_worker_options options = SOCKBROKER_WORKER_OPTIONS_INIT;
    char name[32];

    snprintf(name, sizeof(name), "connect-%u", sb_process_id());
    options.dir = dir;
    options.name = name;
    options.endpoints = ""; /* it only asks */
    return sockbroker_worker_open(&options, worker_out, error);
}

/* The broker is not needed any more once the connection is ours. */
static sockbroker_status connect_to(const struct wish *w, struct sockbroker_conn *conn_out, struct sockbroker_error *error)
{
    static struct sockbroker_attempt attempts[SOCKBROKER_ATTEMPTS_MAX];
    struct sockbroker_worker *worker = NULL;
    size_t n_attempts = 0;
    sockbroker_status st = open_worker(w->dir, &worker, error);

    if (!st)
        st = sockbroker_worker_connect(worker, &w->to, conn_out, attempts, &n_attempts, error);
    if (w->explain)
        sb_explain_print(attempts, n_attempts, stderr);
    sockbroker_worker_close(worker);
    return st;
}

static int run(const struct wish *w)
{
    struct sockbroker_conn conn;
    struct sockbroker_error error;

    if (connect_to(w, &conn, &error))
        return sb_command_fail("connect", &error);
    sockbroker_status st = sb_pump_run(SB_PUMP_INPUT, SB_PUMP_OUTPUT, conn.sock, &error);
    sb_socket_close(&conn.sock);
    return st ? sb_command_fail("connect", &error) : SB_EXIT_OK;
}

/* ---- the command line ---- */

static bool read_number(const char *text, unsigned max, unsigned *out)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);

    if (text[0] < '0' || text[0] > '9' || *end || n < 1 || n > max)
        return false;
    *out = (unsigned)n;
    return true;
}

static bool read_source(const char *text, struct sockbroker_addr *out, struct sockbroker_error *error)
{
    return !sockbroker_addr_parse_ip(text, out, NULL) || !sockbroker_addr_parse(text, out, error);
}

static int read_target(char **words, int n_words, struct wish *w)
{
    if (n_words != 2)
        return sb_command_misuse("connect", "name a host and a port");
    w->to.host = words[0];
    if (!words[0][0] || strlen(words[0]) > 255)
        return sb_command_misuse("connect", "host \"%s\": use 1 to 255 bytes", words[0]);
    if (!read_number(words[1], 65535, &w->to.port))
        return sb_command_misuse("connect", "port \"%s\": use 1 to 65535", words[1]);
    return run(w);
}

int sb_command_connect(int argc, char **argv)
{
    struct wish w = { .to = SOCKBROKER_CONNECT_OPTIONS_INIT };
    struct sockbroker_error error;
    int option;

    while ((option = getopt_long(argc, argv, "t:s:ed:h", long_options, NULL)) != -1) {
        switch (option) {
        case 't':
            if (!read_number(optarg, TIMEOUT_MS_MAX, &w.to.deadline_ms))
                return sb_command_misuse("connect", "--timeout \"%s\": use 1 to %d milliseconds", optarg, TIMEOUT_MS_MAX);
            break;
        case 's':
            if (!read_source(optarg, &w.to.source, &error))
                return sb_command_misuse("connect", "--source: %s", error.text);
            break;
        case 'e':
            w.explain = true;
            break;
        case 'd':
            w.dir = optarg;
            break;
        case 'h':
            fputs(help, stdout);
            return SB_EXIT_OK;
        default: /* getopt_long has said what is wrong */
            return sb_command_misuse("connect", "wrong option");
        }
    }
    return read_target(argv + optind, argc - optind, &w);
}
