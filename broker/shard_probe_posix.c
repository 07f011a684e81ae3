#include "broker/shard_probe.h"

#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "broker/shard_guard.h"
#include "broker/shard_member.h"
#include "broker/steer_program.h"
#include "proto/clock.h"
#include "proto/error.h"
#include "proto/oserr.h"
#include "proto/socket.h"
#include "sockbroker/addr.h"

#define PASSES_MAX 6    /* two of them in a row must agree */
#define MISSES_MAX 2    /* positions that may belong to somebody else */
#define ARRIVAL_MS 20   /* on one machine a packet is there when send() returns, nearly always */
#define NOBODY SIZE_MAX /* its count grew: none */
#define SEVERAL (SIZE_MAX - 1)

struct pass {
    const struct sb_shard_group *g;
    const struct sb_steer_plan *plan;
    struct sockaddr_storage to;
    socklen_t to_len;
    struct sb_steer_probes probes;
    sockbroker_socket senders[SB_STEER_PROBES_MAX];
    uint32_t drops[SB_STEER_SLOTS_MAX]; /* as last seen */
    size_t n_misses;
    size_t n_there; /* sockets that should be in the group */
    size_t n_missing;
    uint16_t positions[SB_STEER_SLOTS_MAX];
};

/* ---- programs ---- */

static int attach_program(int sock, struct sb_steer_program *p)
{
    struct sock_fprog code = { .len = (unsigned short)p->n, .filter = p->code };

    return setsockopt(sock, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &code, sizeof(code));
}

static sockbroker_status attach_failed(const struct sb_shard_group *g, int code, struct sockbroker_error *error)
{
    char text[SOCKBROKER_ADDR_TEXT_MAX];
    char what[SOCKBROKER_ADDR_TEXT_MAX + 64];

    if (!code)
        return sb_error_set(error, SOCKBROKER_CLOSED, 0,
                            "SO_ATTACH_REUSEPORT_CBPF on %s: no slot is on. Repair the group first",
                            sockbroker_addr_format(&g->as.addr, text));
    snprintf(what, sizeof(what), "SO_ATTACH_REUSEPORT_CBPF on %s", sockbroker_addr_format(&g->as.addr, text));
    return sb_oserr_set(error, code, what, code == ENOMEM ? "raise net.core.optmem_max" : NULL);
}

sockbroker_status sb_shard_attach(const struct sb_shard_group *g, const struct sb_steer_plan *plan,
                                  const struct sb_steer_probes *probes, struct sockbroker_error *error_out)
{
    struct sb_steer_program program;
    int code = 0;

    if (g->as.n_slots == 1) /* it gets everything anyway, and may not be a group yet */
        return SOCKBROKER_OK;
    sb_steer_program_make(plan, g->positions, probes, &program);
    for (size_t i = 0; i < g->as.n_slots; i++) {
        if (!sb_shard_member_is_on(&g->as, g->socks[i]))
            continue;
        if (!attach_program(g->socks[i], &program))
            return SOCKBROKER_OK;
        code = errno;
    }
    return attach_failed(g, code, error_out);
}

bool sb_shard_attach_through(const struct sb_shard_group *g, size_t slot, const struct sb_steer_plan *plan)
{
    struct sb_steer_program program;

    sb_steer_program_make(plan, g->positions, NULL, &program);
    return !attach_program(g->socks[slot], &program) || errno != EINVAL;
}

/* ---- senders ---- */

static void close_senders(struct pass *p)
{
    for (size_t i = 0; i < p->probes.n; i++)
        sb_socket_close(&p->senders[i]);
    p->probes.n = 0;
}

static int bind_sender(int sock, const struct sockbroker_addr *source, uint16_t *port_out)
{
    struct sockbroker_addr at = *source;
    struct sockaddr_storage sa;
    int ttl = SB_SHARD_PROBE_TTL;

    at.port = 0;
    if (source->family == SOCKBROKER_IPV6)
        setsockopt(sock, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &ttl, sizeof(ttl));
    else
        setsockopt(sock, IPPROTO_IP, IP_TTL, &ttl, sizeof(ttl));
    socklen_t len = (socklen_t)sockbroker_addr_to_sockaddr(&at, &sa);
    if (bind(sock, (struct sockaddr *)&sa, len) || getsockname(sock, (struct sockaddr *)&sa, &len))
        return -1;
    if (sockbroker_addr_from_sockaddr((struct sockaddr *)&sa, len, &at))
        return -1;
    *port_out = at.port;
    return 0;
}

static sockbroker_status open_sender(struct pass *p)
{
    int family = p->probes.source.family == SOCKBROKER_IPV6 ? AF_INET6 : AF_INET;
    int type = p->g->as.type == SOCKBROKER_STREAM ? SOCK_STREAM : SOCK_DGRAM;
    sockbroker_socket sock = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (sock < 0)
        return sb_oserr_status(errno);
    if (bind_sender(sock, &p->probes.source, &p->probes.ports[p->probes.n])) {
        sockbroker_status st = sb_oserr_status(errno);

        sb_socket_close(&sock);
        return st;
    }
    p->senders[p->probes.n++] = sock;
    return SOCKBROKER_OK;
}

static sockbroker_status open_senders(struct pass *p, size_t n)
{
    sockbroker_status st = SOCKBROKER_OK;

    while (!st && p->probes.n < n)
        st = open_sender(p);
    return st;
}

/* ---- one packet, and who dropped it ---- */

static size_t whose_count_grew(struct pass *p)
{
    size_t who = NOBODY;

    for (size_t i = 0; i < p->g->as.n_slots; i++) {
        uint32_t drops = sb_shard_guard_drops(p->g->socks[i]);

        if (drops == p->drops[i])
            continue;
        p->drops[i] = drops;
        who = who == NOBODY ? i : SEVERAL;
    }
    return who;
}

static size_t send_probe(struct pass *p, size_t i)
{
    uint64_t end_ms = sb_clock_ms() + ARRIVAL_MS;
    size_t who;

    whose_count_grew(p);                                          /* what others have dropped by now does not count */
    connect(p->senders[i], (struct sockaddr *)&p->to, p->to_len); /* TCP: EINPROGRESS, the SYN is on its way */
    if (p->g->as.type == SOCKBROKER_DATAGRAM)
        send(p->senders[i], "", 0, MSG_NOSIGNAL);
    while ((who = whose_count_grew(p)) == NOBODY && sb_clock_ms() < end_ms)
        sched_yield();
    return who;
}

/* A position that is none leads to a socket that has another one: the first one found is true. */
static void note(struct pass *p, size_t who, uint32_t position)
{
    if (p->positions[who] != SB_SHARD_NOWHERE)
        return;
    p->positions[who] = (uint16_t)position;
    p->n_missing--;
}

/* ---- passes ---- */

static bool is_over(const struct pass *p)
{
    return !p->n_missing || p->n_misses > MISSES_MAX || p->probes.first >= p->g->as.n_slots + MISSES_MAX;
}

/* OK, AGAIN (noise), or what the system said. */
static sockbroker_status try_batch(struct pass *p)
{
    sockbroker_status st = open_senders(p, p->g->as.n_slots < SB_STEER_PROBES_MAX ? p->g->as.n_slots : SB_STEER_PROBES_MAX);

    if (!st) {
        sb_shard_guard_expect(p->g, &p->probes);
        st = sb_shard_attach(p->g, p->plan, &p->probes, NULL);
    }
    for (uint32_t i = 0; !st && i < p->probes.n && p->n_misses <= MISSES_MAX; i++) {
        size_t who = send_probe(p, i);

        if (who == SEVERAL)
            st = SOCKBROKER_AGAIN;
        else if (who == NOBODY)
            p->n_misses++;
        else
            note(p, who, p->probes.first + i);
    }
    p->probes.first += (uint32_t)p->probes.n;
    close_senders(p);
    return st;
}

static void pass_begin(struct pass *p, const struct sb_shard_group *g, const struct sb_steer_plan *plan)
{
    memset(p, 0, sizeof(*p));
    p->g = g;
    p->plan = plan;
    sb_shard_member_reach(&g->as, &p->probes.source);
    p->to_len = (socklen_t)sockbroker_addr_to_sockaddr(&p->probes.source, &p->to);
    for (size_t i = 0; i < g->as.n_slots; i++) {
        p->positions[i] = SB_SHARD_NOWHERE;
        p->n_there += sb_shard_member_is_on(&g->as, g->socks[i]);
    }
    p->n_missing = p->n_there;
}

static sockbroker_status run_pass(struct pass *p, const struct sb_shard_group *g, const struct sb_steer_plan *plan)
{
    sockbroker_status st = SOCKBROKER_OK;

    pass_begin(p, g, plan);
    while (!st && !is_over(p))
        st = try_batch(p);
    return !st && p->n_there && p->n_missing == p->n_there ? SOCKBROKER_TIMEOUT : st;
}

static sockbroker_status probe_failed(const struct sb_shard_group *g, sockbroker_status st, struct sockbroker_error *error)
{
    char text[SOCKBROKER_ADDR_TEXT_MAX];
    const char *cause = st == SOCKBROKER_AGAIN     ? "too many packets are dropped there. Wait until the load is less"
                        : st == SOCKBROKER_TIMEOUT ? "nothing that this machine sends itself arrives. Let it pass the firewall"
                                                   : sockbroker_status_text(st);

    return sb_error_set(error, st == SOCKBROKER_TIMEOUT ? SOCKBROKER_AGAIN : st, 0, "trying the sockets on %s: %s",
                        sockbroker_addr_format(&g->as.addr, text), cause);
}

static sockbroker_status run_passes(const struct sb_shard_group *g, const struct sb_steer_plan *plan, uint16_t *positions_out)
{
    struct pass passes[2];
    size_t size = g->as.n_slots * sizeof(positions_out[0]);
    sockbroker_status st = SOCKBROKER_AGAIN;

    for (unsigned i = 0; i < PASSES_MAX; i++) {
        bool before = i > 0 && !st;

        st = run_pass(&passes[i % 2], g, plan);
        if (st && st != SOCKBROKER_AGAIN)
            return st;
        if (!st && before && !memcmp(passes[0].positions, passes[1].positions, size)) {
            memcpy(positions_out, passes[0].positions, size);
            return SOCKBROKER_OK;
        }
    }
    return SOCKBROKER_AGAIN;
}

sockbroker_status sb_shard_probe(const struct sb_shard_group *g, const struct sb_steer_plan *plan, uint16_t *positions_out,
                                 struct sockbroker_error *error_out)
{
    struct sb_shard_guard guard;

    if (g->as.n_slots == 1) { /* nobody to steer between */
        positions_out[0] = 0;
        return SOCKBROKER_OK;
    }
    sb_shard_guard_open(g, &guard);
    sockbroker_status st = run_passes(g, plan, positions_out);
    sb_shard_guard_close(g, &guard);
    return st ? probe_failed(g, st, error_out) : SOCKBROKER_OK;
}
