#include "broker/limits.h"

#include "broker/log.h"
#include "broker/process.h"
#include "proto/error.h"

#define PER_SESSION 4u
#define RESERVE 288u        /* callers that are no workers, strangers at the handoff socket, files, libuv, nng */
#define CONNECTIONS_MIN 64u /* fewer than that is no service */
#define SESSIONS_MIN 8u
#define CONNECTIONS_WANTED 65536u
#define CONNECTIONS_CAP (1u << 20) /* lease ids have 20 bits for the slot */

static uint64_t count_listeners(const struct sb_config *c)
{
    uint64_t n = 0;

    for (size_t i = 0; i < c->n_endpoints; i++) { /* split has two, a reload opens new ones first */
        const struct sb_endpoint_config *e = &c->endpoints[i];

        n += 2 * e->n_addresses * (e->mode == SB_MODE_SHARD ? e->slots : 1);
    }
    return n;
}

/* Each that the broker starts costs two more; two generations may be there at once. */
static uint64_t count_children(const struct sb_config *c)
{
    uint64_t n = 0;

    for (size_t i = 0; i < c->n_groups; i++)
        n += 2 * 2 * c->groups[i].spawn;
    return n;
}

sockbroker_status sb_limits_set(struct sb_broker *b, struct sockbroker_error *error_out)
{
    const struct sb_config *c = &b->config;
    uint64_t base = RESERVE + count_listeners(c) + count_children(c);
    uint64_t connections = c->max_connections ? c->max_connections : CONNECTIONS_MIN;
    uint64_t need = base + PER_SESSION * SESSIONS_MIN + connections;
    uint64_t limit;

    sb_process_raise_descriptors(base + PER_SESSION * c->max_sessions + (c->max_connections ? connections : CONNECTIONS_WANTED),
                                 &limit);
    if (limit < need)
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0,
                            "the descriptor limit is %llu and %llu are needed; raise it (ulimit -n, LimitNOFILE) or lower "
                            "max_connections",
                            (unsigned long long)limit, (unsigned long long)need);
    b->max_sessions = c->max_sessions;
    uint64_t room = limit - base - connections;
    if (room / PER_SESSION < b->max_sessions) { /* half for workers, half for connections */
        b->max_sessions = (uint32_t)(room / 2 / PER_SESSION < SESSIONS_MIN ? SESSIONS_MIN : room / 2 / PER_SESSION);
        sb_log(SB_LOG_WARNING, "fewer_workers", "max_sessions=%u descriptor_limit=%llu cure=\"raise the limit (ulimit -n)\"",
               b->max_sessions, (unsigned long long)limit);
    }
    uint64_t left = limit - base - PER_SESSION * (uint64_t)b->max_sessions;
    b->n_descriptors = (uint32_t)(left > UINT32_MAX ? UINT32_MAX : left);
    b->max_connections = (uint32_t)(left > CONNECTIONS_CAP ? CONNECTIONS_CAP : left);
    if (c->max_connections && c->max_connections < b->max_connections)
        b->max_connections = c->max_connections;
    return SOCKBROKER_OK;
}
