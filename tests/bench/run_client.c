#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run.h"

#define CLIENT_SECONDS "30"
#define CLIENT_WAIT_MS 40000

double client_value(const char *line, const char *key)
{
    const char *at = strstr(line, key);

    return at ? strtod(at + strlen(key), NULL) : 0;
}

static void parse_counts(const char *line, double by_worker_out[MAX_WORKERS])
{
    const char *at = strstr(line, " by_worker=");
    char *end;

    if (!at)
        return;
    at += strlen(" by_worker=");
    for (int i = 0; i < MAX_WORKERS && *at; i++) {
        by_worker_out[i] = strtod(at, &end);
        if (end == at)
            return;
        at = end + (*end == ',');
    }
}

static void parse_line(const char *line, struct sample *sample_out)
{
    *sample_out = (struct sample){
        .rate = client_value(line, " rate="),
        .p50_us = client_value(line, " p50_us="),
        .p99_us = client_value(line, " p99_us="),
        .max_us = client_value(line, " max_us="),
        .client_us = client_value(line, " client_cpu_us="),
        .max_over_mean = client_value(line, " max_over_mean="),
        .failed = client_value(line, "connections=") - client_value(line, " served="),
    };
}

bool client_run(const struct settings *settings, int port, int n_connections, int concurrency, struct sample *sample_out,
                double by_worker_out[MAX_WORKERS])
{
    char program[MAX_PATH];
    char numbers[4][12];
    char line[1024];
    char *argv[] = {
        program,    "--max-seconds", CLIENT_SECONDS, "--port",    numbers[0], "--connections",
        numbers[1], "--concurrency", numbers[2],     "--workers", numbers[3], NULL,
    };
    int from;
    pid_t pid;
    bool ok;

    snprintf(program, sizeof program, "%s/bench_client", settings->bin_dir);
    snprintf(numbers[0], sizeof numbers[0], "%d", port);
    snprintf(numbers[1], sizeof numbers[1], "%d", n_connections);
    snprintf(numbers[2], sizeof numbers[2], "%d", concurrency);
    snprintf(numbers[3], sizeof numbers[3], "%d", settings->n_workers);
    pid = process_start(argv, "/dev/null", &from);
    ok = process_read_line(from, line, sizeof line, CLIENT_WAIT_MS);
    close(from);
    process_wait(pid, ok ? 2000 : 0);
    if (ok) {
        parse_line(line, sample_out);
        parse_counts(line, by_worker_out);
    }
    return ok;
}
