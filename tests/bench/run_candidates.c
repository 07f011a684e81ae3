#include <string.h>

#include "run.h"

#define HANDOFF "mode=handoff,policy=round-robin,"
#define NEXT false, NULL
#define ACCEPT true, "plain-reuseport"

const struct candidate candidates[] = {
    { "bare", BASELINE, "base_bare", NULL, NEXT, true, "accept4, one packet with the descriptor, close" },
    { "ack", BASELINE, "base_bare", "--ack", NEXT, true, "epoll; the descriptor is kept until the worker answers" },
    { "sockbroker", SOCKBROKER, "sockbroker", HANDOFF "carrier=direct", NEXT, true, "handoff, round-robin" },
    { "sockbroker-message", SOCKBROKER, "sockbroker", HANDOFF "carrier=message", NEXT, true, "the same, the record by nng" },
    { "libuv", BASELINE, "base_libuv", NULL, NEXT, true, "uv_accept, uv_write2 over an IPC pipe" },
    { "node", NODE, "node", NULL, NEXT, true, "node:cluster, SCHED_RR" },
    { "shared", BASELINE, "base_shared", NULL, NEXT, false, "workers block in accept4 on one listener" },
    { "shared-epoll", BASELINE, "base_shared", "--epoll", NEXT, false, "the same with EPOLLEXCLUSIVE" },
    { "plain-reuseport", PLAIN, "bench_worker", NULL, ACCEPT, true, "each worker opens its own SO_REUSEPORT socket" },
    { "share", SOCKBROKER, "sockbroker", "mode=share", ACCEPT, false, "the same worker on the broker's one socket" },
    { "shard", SOCKBROKER, "sockbroker", "mode=shard", ACCEPT, true, "the same worker on its own socket of the broker's" },
};
const size_t n_candidates = sizeof candidates / sizeof *candidates;

size_t candidate_base(size_t candidate)
{
    size_t base = 0;

    for (size_t i = 0; candidates[candidate].against && i < n_candidates; i++)
        if (!strcmp(candidates[i].name, candidates[candidate].against))
            base = i;
    return base;
}

const char *candidate_missing(const struct settings *settings, const struct candidate *candidate)
{
    char path[MAX_PATH];

    if (candidate != &candidates[0] && !is_chosen(settings->only, candidate->name))
        return "not chosen";
    switch (candidate->kind) {
    case NODE:
        return program_find(candidate->program, path) ? NULL : "node is not installed";
    case SOCKBROKER:
        if (!program_is_built(settings->bin_dir, "bench_worker"))
            return "bench_worker is not built";
        break;
    case BASELINE:
    case PLAIN:
        break;
    }
    return program_is_built(settings->bin_dir, candidate->program) ? NULL : "not built";
}
