/* The negative control: each process has an SO_REUSEPORT socket of its own, and nobody keeps what waits there. */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "restart.h"

#define READY_MS 10000

const char *plain_missing(const struct restart_settings *settings)
{
    return program_is_built(settings->bin_dir, "base_http") ? NULL : "base_http is not built";
}

static pid_t start_one(const struct restart_settings *settings, const struct service *service)
{
    char program[MAX_PATH];
    char log_path[MAX_PATH];
    char port[12];
    char line[16];
    char *argv[] = { program, "--port", port, NULL };
    int from;
    pid_t pid;
    bool ok;

    bin_path(settings, "base_http", program);
    service_log_path(service, log_path);
    snprintf(port, sizeof port, "%d", service->port);
    pid = process_start(argv, log_path, &from);
    ok = process_read_line(from, line, sizeof line, READY_MS) && strcmp(line, "ready") == 0;
    close(from);
    return ok ? pid : 0;
}

bool plain_start(const struct restart_settings *settings, struct service *service)
{
    service->n_workers = 0;
    while (service->n_workers < SERVER_WORKERS) {
        pid_t pid = start_one(settings, service);

        if (!pid)
            return false;
        service->workers[service->n_workers++] = pid;
    }
    return true;
}

bool plain_restart(const struct restart_settings *settings, struct service *service)
{
    struct old_processes old = { .n = service->n_workers };
    bool ok;

    memcpy(old.pids, service->workers, sizeof old.pids);
    ok = plain_start(settings, service);
    for (int i = 0; i < old.n; i++)
        kill(old.pids[i], SIGTERM);
    for (int i = 0; i < old.n; i++)
        ok = process_wait(old.pids[i], RESTART_MS) == 0 && ok;
    return ok;
}
