/* Runs every candidate in turn, A B C A B C, so that what disturbs the machine disturbs all of them;
 * reports medians over the rounds and ratios taken within each round. See README.md. */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "run.h"

#define SETTLE_MS 5
#define SETTLE_TRIES 40

static const char usage[] = "usage: bench_run [--bin DIR] [--source DIR] [--rounds R] [--connections N] [--workers N]\n"
                            "                 [--concurrency C[,C]...] [--only NAME[,NAME]...] [--json FILE]\n";

static struct results results;

static _Noreturn void refuse(const char *what, const char *value)
{
    fprintf(stderr, "bench_run: %s: %s\n%s", what, value, usage);
    exit(2);
}

static int number(const char *text, int min, int max)
{
    char *end;
    long value = strtol(text, &end, 10);

    if (end == text || *end || value < min || value > max)
        refuse("number out of range", text);
    return (int)value;
}

static void parse_concurrencies(char *list, struct settings *settings)
{
    settings->n_concurrencies = 0;
    for (char *save, *one = strtok_r(list, ",", &save); one; one = strtok_r(NULL, ",", &save)) {
        if (settings->n_concurrencies == MAX_CONCURRENCIES)
            refuse("too many concurrencies", one);
        settings->concurrencies[settings->n_concurrencies++] = number(one, 1, 4096);
    }
}

static void parse(int argc, char **argv, struct settings *settings)
{
    static const struct option options[] = {
        { "bin", required_argument, NULL, 'b' },
        { "source", required_argument, NULL, 's' },
        { "rounds", required_argument, NULL, 'r' },
        { "connections", required_argument, NULL, 'n' },
        { "workers", required_argument, NULL, 'w' },
        { "concurrency", required_argument, NULL, 'c' },
        { "only", required_argument, NULL, 'o' },
        { "json", required_argument, NULL, 'j' },
        { 0 },
    };

    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'b':
            settings->bin_dir = optarg;
            break;
        case 's':
            settings->source_dir = optarg;
            break;
        case 'r':
            settings->n_rounds = number(optarg, 1, MAX_ROUNDS);
            break;
        case 'n':
            settings->n_connections = number(optarg, 1, 1000000);
            break;
        case 'w':
            settings->n_workers = number(optarg, 1, MAX_WORKERS);
            break;
        case 'c':
            parse_concurrencies(optarg, settings);
            break;
        case 'o':
            settings->only = optarg;
            break;
        case 'j':
            settings->json_path = optarg;
            break;
        default:
            refuse("unknown option", argv[optind - 1]);
        }
    }
    if (optind != argc)
        refuse("not an option", argv[optind]);
}

struct cpu {
    uint64_t broker_ns;
    uint64_t workers_ns;
};

static struct cpu cpu_now(const struct service *s)
{
    struct cpu cpu = { .broker_ns = s->broker > 0 ? cpu_tree_ns(s->broker, s->workers, s->n_workers) : 0 };

    for (int i = 0; i < s->n_workers; i++)
        cpu.workers_ns += cpu_process_ns(s->workers[i]);
    return cpu;
}

/* The client is gone before the last closes are done; wait until nobody moves. */
static struct cpu cpu_settled(const struct service *s)
{
    struct cpu before = cpu_now(s);

    for (int i = 0; i < SETTLE_TRIES; i++) {
        struct cpu after;

        process_pause_ms(SETTLE_MS);
        after = cpu_now(s);
        if (after.broker_ns == before.broker_ns && after.workers_ns == before.workers_ns)
            break;
        before = after;
    }
    return before;
}

static bool measure(const struct settings *settings, const struct candidate *candidate, int concurrency,
                    struct sample *sample_out)
{
    double n = settings->n_connections;
    double by_worker[MAX_WORKERS];
    struct service service;
    struct cpu before;
    struct cpu after;
    bool ok = service_start(settings, candidate, &service);

    if (ok) {
        before = cpu_settled(&service);
        ok = client_run(settings, service.port, settings->n_connections, concurrency, sample_out, by_worker);
        after = cpu_settled(&service);
        sample_out->broker_us = (double)(after.broker_ns - before.broker_ns) / n / 1e3;
        sample_out->workers_us = (double)(after.workers_ns - before.workers_ns) / n / 1e3;
    }
    service_stop(&service);
    return ok && !interrupted();
}

static void run_round(const struct settings *settings, int round)
{
    for (int level = 0; level < settings->n_concurrencies; level++) {
        for (size_t c = 0; c < n_candidates && !interrupted(); c++) {
            if (results.skipped[c])
                continue;
            results.valid[c][level][round] =
                measure(settings, &candidates[c], settings->concurrencies[level], &results.samples[c][level][round]);
            if (!results.valid[c][level][round] && !interrupted())
                results.skipped[c] = "did not come up";
        }
    }
}

int main(int argc, char **argv)
{
    struct settings settings = {
        .bin_dir = "build/bin",
        .source_dir = "tests/bench",
        .concurrencies = { 1, 64 },
        .n_concurrencies = 2,
        .n_rounds = 5,
        .n_connections = 10000,
        .n_workers = 4,
    };
    bool failed = false;

    parse(argc, argv, &settings);
    results.settings = &settings;
    catch_interrupts();
    for (size_t c = 0; c < n_candidates; c++)
        results.skipped[c] = candidate_missing(&settings, &candidates[c]);
    if (results.skipped[0])
        refuse("bare, which all others are compared with, is missing from", settings.bin_dir);
    report_machine(stdout);
    report_load(stdout, &settings);
    fflush(stdout);
    for (int round = 0; round < settings.n_rounds && !interrupted(); round++)
        run_round(&settings, round);
    if (interrupted()) {
        fputs("bench_run: interrupted; everything is stopped\n", stderr);
        return 130;
    }
    report_table(&results);
    if (settings.json_path)
        failed = !report_json(&results);
    for (size_t c = 0; c < n_candidates; c++)
        failed |= results.skipped[c] && strcmp(results.skipped[c], "did not come up") == 0;
    return failed ? 1 : 0;
}
