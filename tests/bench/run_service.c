#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run.h"

#define START_MS 10000
#define WARM_UP_CONNECTIONS 400
#define WARM_UP_TRIES 20

static void path_of(char path[MAX_PATH], const char *dir, const char *name)
{
    snprintf(path, MAX_PATH, "%s/%s", dir, name);
}

/* "ready port=P workers=PID,PID,..." */
static bool parse_ready(const char *line, struct service *s)
{
    const char *at;
    int used = 0;

    if (sscanf(line, "ready port=%d workers=%n", &s->port, &used) != 1 || used == 0)
        return false;
    for (at = line + used; *at && s->n_workers < MAX_WORKERS; at += *at == ',') {
        char *end;

        s->workers[s->n_workers++] = (pid_t)strtol(at, &end, 10);
        if (end == at)
            return false;
        at = end;
    }
    return s->n_workers > 0;
}

static bool start_baseline(const struct settings *settings, const struct candidate *candidate, struct service *s,
                           const char *log_path)
{
    char program[MAX_PATH];
    char script[MAX_PATH];
    char n_workers[12];
    char line[1024];
    char *argv[8] = { 0 };
    int n = 0;
    int from;
    bool ok;

    path_of(program, settings->bin_dir, candidate->program);
    path_of(script, settings->source_dir, "base_node.js");
    snprintf(n_workers, sizeof n_workers, "%d", settings->n_workers);
    argv[n++] = candidate->kind == NODE ? "node" : program;
    if (candidate->kind == NODE)
        argv[n++] = script;
    argv[n++] = "--workers";
    argv[n++] = n_workers;
    if (candidate->extra)
        argv[n++] = (char *)candidate->extra;
    s->broker = process_start(argv, log_path, &from);
    ok = process_read_line(from, line, sizeof line, START_MS) && parse_ready(line, s);
    close(from);
    return ok;
}

static bool start_worker(const struct settings *settings, const struct candidate *candidate, struct service *s, int index,
                         const char *log_path)
{
    char program[MAX_PATH];
    char name[16];
    char numbers[2][12];
    char line[64];
    char *argv[13] = { program, "--dir", s->dir, "--endpoint", "bench", "--name", name, "--index", numbers[0] };
    int from;
    bool ok;

    path_of(program, settings->bin_dir, "bench_worker");
    snprintf(name, sizeof name, "w%d", index);
    snprintf(numbers[0], sizeof numbers[0], "%d", index);
    snprintf(numbers[1], sizeof numbers[1], "%d", s->port);
    if (candidate->accepts)
        argv[9] = "--accept";
    if (candidate->kind == PLAIN) {
        argv[10] = "--port";
        argv[11] = numbers[1];
    }
    s->workers[s->n_workers++] = process_start(argv, log_path, &from);
    ok = process_read_line(from, line, sizeof line, START_MS) && strcmp(line, "ready") == 0;
    close(from);
    return ok;
}

static bool start_workers(const struct settings *settings, const struct candidate *candidate, struct service *s,
                          const char *log_path)
{
    for (int i = 0; i < settings->n_workers; i++)
        if (!start_worker(settings, candidate, s, i, log_path))
            return false;
    return true;
}

static bool start_plain(const struct settings *settings, const struct candidate *candidate, struct service *s,
                        const char *log_path)
{
    s->port = service_free_port();
    return start_workers(settings, candidate, s, log_path);
}

static bool start_sockbroker(const struct settings *settings, const struct candidate *candidate, struct service *s,
                             const char *log_path)
{
    char program[MAX_PATH];
    char endpoint[128];
    char *argv[] = { program, "serve", "--dir", s->dir, "--set", "keeper=no", "--endpoint", endpoint, NULL };

    s->port = service_free_port();
    path_of(program, settings->bin_dir, candidate->program);
    snprintf(endpoint, sizeof endpoint, "bench=[::]:%d,backlog=4096,%s", s->port, candidate->extra);
    s->broker = process_start(argv, log_path, NULL);
    return service_wait_for_broker(program, s) && start_workers(settings, candidate, s, log_path);
}

/* Serves once before the clock runs: caches are warm, and every worker is known to be there. */
static bool warm_up(const struct settings *settings, const struct candidate *candidate, const struct service *s)
{
    for (int try = 0; try < WARM_UP_TRIES && !interrupted(); try++) {
        double by_worker[MAX_WORKERS] = { 0 };
        struct sample sample;
        int n_idle = 0;

        if (!client_run(settings, s->port, WARM_UP_CONNECTIONS, 8, &sample, by_worker))
            return false;
        for (int i = 0; i < settings->n_workers; i++)
            n_idle += by_worker[i] == 0;
        if (sample.failed == 0 && (n_idle == 0 || !candidate->even))
            return true;
    }
    return false;
}

bool service_start(const struct settings *settings, const struct candidate *candidate, struct service *service_out)
{
    char log_path[MAX_PATH];
    bool ok = false;

    service_open(service_out);
    service_log_path(service_out, log_path);
    switch (candidate->kind) {
    case SOCKBROKER:
        ok = start_sockbroker(settings, candidate, service_out, log_path);
        break;
    case PLAIN:
        ok = start_plain(settings, candidate, service_out, log_path);
        break;
    case BASELINE:
    case NODE:
        ok = start_baseline(settings, candidate, service_out, log_path);
        break;
    }
    ok = ok && warm_up(settings, candidate, service_out);
    if (!ok && !interrupted()) {
        fprintf(stderr, "%s did not come up; its messages:\n", candidate->name);
        service_show_log(service_out);
    }
    return ok;
}
