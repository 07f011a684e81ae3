/* Load client: connects, waits for one byte (the index of the worker that served), resets.
 * Prints one key=value line. Exit code 0 when every connection got its byte, else 1. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "client_load.h"

static const char usage[] = "usage: bench_client --port P [--address A]... [--connections N] [--concurrency C]\n"
                            "                    [--workers N] [--timeout-ms T] [--max-seconds S]\n"
                            "Addresses are numbers and are taken in turn; without one: 127.0.0.1 and ::1.\n";

static _Noreturn void refuse(const char *what, const char *value)
{
    fprintf(stderr, "bench_client: %s: %s\n%s", what, value, usage);
    exit(2);
}

static long number(const char *text, long min, long max)
{
    char *end;
    long value = strtol(text, &end, 10);

    if (end == text || *end || value < min || value > max)
        refuse("number out of range", text);
    return value;
}

int load_over(const struct load *load, const struct tally *t)
{
    return now_ns() - t->started_ns > (uint64_t)load->max_seconds * 1000000000u;
}

static void add_target(struct load *load, const char *address, int port)
{
    if (!target_parse(address, port, &load->targets[load->n_targets]))
        refuse("not a numeric address", address);
    load->n_targets++;
}

static void parse(int argc, char **argv, struct load *load)
{
    static const struct option options[] = {
        { "port", required_argument, NULL, 'p' },        { "address", required_argument, NULL, 'a' },
        { "connections", required_argument, NULL, 'n' }, { "concurrency", required_argument, NULL, 'c' },
        { "workers", required_argument, NULL, 'w' },     { "timeout-ms", required_argument, NULL, 't' },
        { "max-seconds", required_argument, NULL, 's' }, { 0 },
    };
    const char *addresses[MAX_TARGETS] = { "127.0.0.1", "::1" };
    int n_addresses = 0;
    int port = 0;

    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'p':
            port = (int)number(optarg, 1, 65535);
            break;
        case 'n':
            load->n_connections = (size_t)number(optarg, 1, 10000000);
            break;
        case 'c':
            load->concurrency = (int)number(optarg, 1, MAX_CONCURRENCY);
            break;
        case 'w':
            load->n_workers = (int)number(optarg, 1, 256);
            break;
        case 't':
            load->timeout_ms = (int)number(optarg, 1, 60000);
            break;
        case 's':
            load->max_seconds = (int)number(optarg, 1, 3600);
            break;
        case 'a':
            if (n_addresses == MAX_TARGETS)
                refuse("too many addresses", optarg);
            addresses[n_addresses++] = optarg;
            break;
        default:
            refuse("unknown option", argv[optind - 1]);
        }
    }
    if (!port || optind != argc)
        refuse("wrong use", port ? argv[optind] : "--port is missing");
    for (int i = 0; i < (n_addresses ? n_addresses : 2); i++)
        add_target(load, addresses[i], port);
}

int main(int argc, char **argv)
{
    struct load load = { .n_connections = 10000, .concurrency = 1, .n_workers = 4, .timeout_ms = 2000, .max_seconds = 60 };
    struct tally tally;
    int all_served;

    parse(argc, argv, &load);
    tally_init(&tally, load.n_connections);
    if (load.concurrency == 1)
        load_one_by_one(&load, &tally);
    else
        load_many(&load, &tally);
    all_served = tally.n_by_outcome[SERVED] == load.n_connections;
    tally_print(&tally, load.n_workers);
    tally_deinit(&tally);
    return all_served ? 0 : 1;
}
