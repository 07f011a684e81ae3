/* The broker below its keeper, as it runs by default, with workers that it starts itself. */
#include <signal.h>
#include <string.h>

#include "restart.h"

/* A keeper starts a broker at once only if the one before did not die just now. Each window is longer than this. */
#define KEEPER_WINDOW "keeper_window_ms=500"
#define READY_LINE " event=ready "
#define WORKER_LINE " event=worker_ready "
#define COMMAND_MS 20000

const char *sockbroker_missing(const struct restart_settings *settings)
{
    if (!program_is_built(settings->bin_dir, "sockbroker"))
        return "sockbroker is not built";
    return program_is_built(settings->bin_dir, "http_worker") ? NULL : "http_worker is not built";
}

static bool run_command(const struct restart_settings *settings, const char *log_path, char *const words[])
{
    char program[MAX_PATH];
    char *argv[6] = { program };

    bin_path(settings, "sockbroker", program);
    for (int i = 0; i < 4 && words[i]; i++)
        argv[i + 1] = words[i];
    return process_wait(process_start(argv, log_path, NULL), COMMAND_MS) == 0;
}

const char *sockbroker_upgrade_missing(const struct restart_settings *settings)
{
    char *words[] = { "upgrade", "--help", NULL };
    const char *missing = sockbroker_missing(settings);

    if (missing)
        return missing;
    return run_command(settings, "/dev/null", words) ? NULL : "this sockbroker has no upgrade";
}

struct log_lines {
    const struct service *service;
    const char *text;
    int n; /* how many there shall be */
};

static int count_lines(const struct service *service, const char *text)
{
    char path[MAX_PATH];
    char line[1024];
    int n = 0;
    FILE *log;

    service_log_path(service, path);
    log = fopen(path, "re");
    while (log && fgets(line, sizeof line, log))
        n += strstr(line, text) != NULL;
    if (log)
        fclose(log);
    return n;
}

static bool are_there(void *arg)
{
    const struct log_lines *lines = arg;

    return count_lines(lines->service, lines->text) >= lines->n;
}

static bool await_lines(const struct service *service, const char *text, int n)
{
    struct log_lines lines = { service, text, n };

    return process_await(are_there, &lines, RESTART_MS);
}

bool sockbroker_start(const struct restart_settings *settings, struct service *service)
{
    char program[MAX_PATH];
    char worker[MAX_PATH];
    char endpoint[64];
    char n_workers[12];
    char *argv[] = { program,   "serve",   "--dir", service->dir, "--set",     KEEPER_WINDOW, "--endpoint", endpoint,
                     "--spawn", n_workers, "--",    worker,       "--idle-ms", "60000",       NULL };

    bin_path(settings, "sockbroker", program);
    bin_path(settings, "http_worker", worker);
    snprintf(endpoint, sizeof endpoint, "bench=[::]:%d,backlog=4096", service->port);
    snprintf(n_workers, sizeof n_workers, "%d", SERVER_WORKERS);
    start_server(service, argv);
    return await_lines(service, WORKER_LINE, SERVER_WORKERS);
}

static pid_t broker_of(const struct service *service)
{
    return process_child_called(service->broker, "sockbroker");
}

static bool ask_broker(const struct restart_settings *settings, struct service *service, char *what)
{
    char *words[] = { what, "--dir", service->dir, NULL };
    char log_path[MAX_PATH];

    service_log_path(service, log_path);
    return run_command(settings, log_path, words);
}

/* The workers are the broker's children, or the keeper's when they outlived a broker. */
bool sockbroker_reload(const struct restart_settings *settings, struct service *service)
{
    struct old_processes old;

    note_children(broker_of(service), &old);
    return ask_broker(settings, service, "reload") && await_end(&old);
}

bool sockbroker_upgrade(const struct restart_settings *settings, struct service *service)
{
    struct old_processes old = { { broker_of(service) }, 1 };

    return ask_broker(settings, service, "upgrade") && await_end(&old);
}

bool sockbroker_crash(const struct restart_settings *settings, struct service *service)
{
    int n_ready = count_lines(service, READY_LINE);
    int n_workers = count_lines(service, WORKER_LINE);

    (void)settings;
    return kill(broker_of(service), SIGKILL) == 0 && await_lines(service, READY_LINE, n_ready + 1) &&
           await_lines(service, WORKER_LINE, n_workers + SERVER_WORKERS);
}
