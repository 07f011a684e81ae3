#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run.h"

const struct candidate candidates[] = {
    { "bare", BASELINE, "base_bare", NULL, true, "accept4, one packet with the descriptor, close" },
    { "ack", BASELINE, "base_bare", "--ack", true, "epoll; the descriptor is kept until the worker answers" },
    { "sockbroker", SOCKBROKER, "sockbroker", "carrier=direct", true, "handoff, round-robin" },
    { "sockbroker-message", SOCKBROKER, "sockbroker", "carrier=message", true, "the same, the record by nng" },
    { "libuv", BASELINE, "base_libuv", NULL, true, "uv_accept, uv_write2 over an IPC pipe" },
    { "node", NODE, "node", NULL, true, "node:cluster, SCHED_RR" },
    { "shared", BASELINE, "base_shared", NULL, false, "workers block in accept4 on one listener" },
    { "shared-epoll", BASELINE, "base_shared", "--epoll", false, "the same with EPOLLEXCLUSIVE" },
};
const size_t n_candidates = sizeof candidates / sizeof *candidates;

static bool is_executable(const char *dir, size_t dir_len, const char *program)
{
    char path[MAX_PATH];
    int n = snprintf(path, sizeof path, "%.*s/%s", (int)dir_len, dir, program);

    return n > 0 && (size_t)n < sizeof path && access(path, X_OK) == 0;
}

static bool is_in_search_path(const char *program)
{
    const char *dir = getenv("PATH");

    while (dir && *dir) {
        size_t len = strcspn(dir, ":");

        if (is_executable(dir, len, program))
            return true;
        dir += len + (dir[len] == ':');
    }
    return false;
}

static bool is_chosen(const char *only, const char *name)
{
    size_t len = strlen(name);

    for (const char *at = only; at && (at = strstr(at, name)); at += len)
        if ((at == only || at[-1] == ',') && (at[len] == ',' || at[len] == '\0'))
            return true;
    return !only;
}

const char *candidate_missing(const struct settings *settings, const struct candidate *candidate)
{
    if (candidate != &candidates[0] && !is_chosen(settings->only, candidate->name))
        return "not chosen";
    switch (candidate->kind) {
    case NODE:
        return is_in_search_path(candidate->program) ? NULL : "node is not installed";
    case SOCKBROKER:
        if (!is_executable(settings->bin_dir, strlen(settings->bin_dir), "bench_worker"))
            return "bench_worker is not built";
        break;
    case BASELINE:
        break;
    }
    return is_executable(settings->bin_dir, strlen(settings->bin_dir), candidate->program) ? NULL : "not built";
}
