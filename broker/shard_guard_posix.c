#include "broker/shard_guard.h"

#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "broker/steer_program.h"

#ifndef IPV6_MINHOPCOUNT
#define IPV6_MINHOPCOUNT 73 /* linux/in6.h, which cannot be included beside netinet/in.h */
#endif

static int get(int sock, int level, int option)
{
    int value = 0;
    socklen_t len = sizeof(value);

    getsockopt(sock, level, option, &value, &len);
    return value;
}

static void set(int sock, int level, int option, int value)
{
    setsockopt(sock, level, option, &value, sizeof(value));
}

static bool is_tcp(const struct sb_shard_group *g)
{
    return g->as.type == SOCKBROKER_STREAM;
}

static bool is_ipv6(const struct sb_shard_group *g)
{
    return g->as.addr.family == SOCKBROKER_IPV6;
}

void sb_shard_guard_open(const struct sb_shard_group *g, struct sb_shard_guard *guard_out)
{
    for (size_t i = 0; is_tcp(g) && i < g->as.n_slots; i++) {
        guard_out->min_ttl[i] = get(g->socks[i], IPPROTO_IP, IP_MINTTL);
        set(g->socks[i], IPPROTO_IP, IP_MINTTL, SB_SHARD_PROBE_TTL + 1);
        if (!is_ipv6(g))
            continue;
        guard_out->min_hops[i] = get(g->socks[i], IPPROTO_IPV6, IPV6_MINHOPCOUNT);
        set(g->socks[i], IPPROTO_IPV6, IPV6_MINHOPCOUNT, SB_SHARD_PROBE_TTL + 1);
    }
}

void sb_shard_guard_expect(const struct sb_shard_group *g, const struct sb_steer_probes *probes)
{
    struct sb_steer_program filter;

    if (is_tcp(g))
        return;
    sb_steer_program_make_filter(probes, &filter);
    struct sock_fprog code = { .len = (unsigned short)filter.n, .filter = filter.code };
    for (size_t i = 0; i < g->as.n_slots; i++)
        setsockopt(g->socks[i], SOL_SOCKET, SO_ATTACH_FILTER, &code, sizeof(code));
}

void sb_shard_guard_close(const struct sb_shard_group *g, const struct sb_shard_guard *guard)
{
    for (size_t i = 0; i < g->as.n_slots; i++) {
        if (is_tcp(g))
            set(g->socks[i], IPPROTO_IP, IP_MINTTL, guard->min_ttl[i]);
        else
            set(g->socks[i], SOL_SOCKET, SO_DETACH_FILTER, 0);
        if (is_tcp(g) && is_ipv6(g))
            set(g->socks[i], IPPROTO_IPV6, IPV6_MINHOPCOUNT, guard->min_hops[i]);
    }
}

uint32_t sb_shard_guard_drops(sockbroker_socket sock)
{
    uint32_t counts[SK_MEMINFO_VARS] = { 0 };
    socklen_t len = sizeof(counts);

    getsockopt(sock, SOL_SOCKET, SO_MEMINFO, counts, &len);
    return counts[SK_MEMINFO_DROPS];
}
