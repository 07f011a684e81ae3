#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client_target.h"
#include "restart.h"

#define START_MS 10000

const struct way ways[] = {
    { "sockbroker-reload", sockbroker_missing, sockbroker_start, sockbroker_reload, 1, MUST_KEEP },
    { "sockbroker-upgrade", sockbroker_upgrade_missing, sockbroker_start, sockbroker_upgrade, 1, MUST_KEEP },
    { "sockbroker-crash", sockbroker_missing, sockbroker_start, sockbroker_crash, 1, MUST_KEEP },
    { "haproxy-reload", haproxy_missing, haproxy_start, haproxy_reload, 1, MAY_LOSE },
    { "nginx-reload", nginx_missing, nginx_start, nginx_reload, 1, MAY_LOSE },
    { "nginx-upgrade", nginx_missing, nginx_start, nginx_upgrade, 1, MAY_LOSE },
    { "plain-reuseport", plain_missing, plain_start, plain_restart, 20, MUST_LOSE },
};
const size_t n_ways = sizeof ways / sizeof *ways;

void bin_path(const struct restart_settings *settings, const char *program, char path_out[MAX_PATH])
{
    snprintf(path_out, MAX_PATH, "%s/%s", settings->bin_dir, program);
}

bool write_file(const struct service *service, const char *name, const char *text)
{
    char path[MAX_PATH];
    FILE *file;
    bool ok;

    snprintf(path, sizeof path, "%s/%s", service->dir, name);
    file = fopen(path, "we");
    ok = file && fputs(text, file) >= 0;
    if (file)
        ok = fclose(file) == 0 && ok;
    if (!ok)
        perror(path);
    return ok;
}

void start_server(struct service *service, char *const argv[])
{
    char log_path[MAX_PATH];

    service_log_path(service, log_path);
    service->broker = process_start(argv, log_path, NULL);
}

static bool is_listening_on(const char *address, int port)
{
    struct target to;
    int sock;
    bool ok;

    target_parse(address, port, &to);
    sock = socket(to.addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ok = sock >= 0 && connect(sock, (const struct sockaddr *)&to.addr, to.addr_len) == 0;
    reset_close(sock);
    return ok;
}

static bool is_listening(void *arg)
{
    const struct service *service = arg;

    return is_listening_on("127.0.0.1", service->port) && is_listening_on("::1", service->port);
}

bool await_listening(const struct service *service)
{
    return process_await(is_listening, (void *)service, START_MS);
}

void note_children(pid_t parent, struct old_processes *old_out)
{
    old_out->n = process_children(parent, old_out->pids, MAX_WORKERS);
}

/* Also when nobody has waited for it yet. */
static bool is_gone(pid_t pid)
{
    char path[64];
    char state = 'Z';
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    file = fopen(path, "re");
    if (!file)
        return true;
    if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
        state = 'Z';
    fclose(file);
    return state == 'Z';
}

static bool have_ended(void *arg)
{
    const struct old_processes *old = arg;

    for (int i = 0; i < old->n; i++)
        if (!is_gone(old->pids[i]))
            return false;
    return true;
}

bool await_end(const struct old_processes *old)
{
    return process_await(have_ended, (void *)old, RESTART_MS);
}
