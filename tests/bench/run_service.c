#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "run.h"

#define START_MS 10000
#define STOP_MS 5000
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

/* Another program may take the port before the broker does; then the start fails and says so. */
static int free_port(void)
{
    struct sockaddr_in6 at = { .sin6_family = AF_INET6 };
    socklen_t at_len = sizeof at;
    int sock = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (sock < 0 || bind(sock, (struct sockaddr *)&at, sizeof at) || getsockname(sock, (struct sockaddr *)&at, &at_len)) {
        perror("free port");
        exit(1);
    }
    close(sock);
    return ntohs(at.sin6_port);
}

static bool wait_for_broker(const char *program, struct service *s)
{
    char *argv[] = { (char *)program, "status", "--dir", s->dir, NULL };

    for (int waited_ms = 0; waited_ms < START_MS && !interrupted(); waited_ms += 20) {
        int unread;
        pid_t status = process_start(argv, "/dev/null", &unread);
        int code = process_wait(status, 2000);

        close(unread);
        if (code == 0)
            return true;
        if (process_has_ended(s->broker))
            return false;
        process_pause_ms(20);
    }
    return false;
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
    s->port = free_port();
    return start_workers(settings, candidate, s, log_path);
}

static bool start_sockbroker(const struct settings *settings, const struct candidate *candidate, struct service *s,
                             const char *log_path)
{
    char program[MAX_PATH];
    char endpoint[128];
    char *argv[] = { program, "serve", "--dir", s->dir, "--set", "keeper=no", "--endpoint", endpoint, NULL };

    s->port = free_port();
    path_of(program, settings->bin_dir, candidate->program);
    snprintf(endpoint, sizeof endpoint, "bench=[::]:%d,backlog=4096,%s", s->port, candidate->extra);
    s->broker = process_start(argv, log_path, NULL);
    return wait_for_broker(program, s) && start_workers(settings, candidate, s, log_path);
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

static void show_log(const char *path)
{
    char line[512];
    FILE *log = fopen(path, "re");

    while (log && fgets(line, sizeof line, log))
        fprintf(stderr, "    %s", line);
    if (log)
        fclose(log);
}

bool service_start(const struct settings *settings, const struct candidate *candidate, struct service *service_out)
{
    char log_path[MAX_PATH];
    bool ok = false;

    *service_out = (struct service){ .dir = "/tmp/sockbroker-bench-XXXXXX" };
    if (!mkdtemp(service_out->dir)) {
        perror("runtime directory");
        exit(1);
    }
    path_of(log_path, service_out->dir, "bench.log");
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
        show_log(log_path);
    }
    return ok;
}

static void remove_dir(const char *dir)
{
    char *argv[] = { "rm", "-rf", "--", (char *)dir, NULL };

    process_wait(process_start(argv, "/dev/null", NULL), STOP_MS);
}

void service_stop(struct service *s)
{
    if (s->broker > 0) {
        kill(s->broker, SIGTERM);
        process_wait(s->broker, STOP_MS);
    }
    process_end_all(); /* the workers: by now they are our children, so their ids are still theirs */
    if (s->dir[0])
        remove_dir(s->dir);
    *s = (struct service){ 0 };
}
