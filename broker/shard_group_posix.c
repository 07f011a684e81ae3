#include "broker/shard_group.h"

#include <poll.h>
#include <string.h>

#include "broker/shard_member.h"
#include "broker/shard_probe.h"
#include "proto/error.h"
#include "proto/socket.h"
#include "sockbroker/addr.h"

/* ---- steering ---- */

static size_t first_there(const struct sb_shard_group *g)
{
    size_t i = 0;

    while (i + 1 < g->as.n_slots && g->positions[i] == SB_SHARD_NOWHERE)
        i++;
    return i;
}

/* Slots that are out of the group get nothing. */
static void make_plan(const struct sb_shard_group *g, struct sb_steer_plan *plan_out)
{
    uint32_t weights[SB_STEER_SLOTS_MAX];
    struct sb_steering how = { g->policy, weights, g->as.n_slots, g->fallback };

    for (size_t i = 0; i < g->as.n_slots; i++)
        weights[i] = g->positions[i] == SB_SHARD_NOWHERE ? 0 : g->weights[i];
    if (g->positions[how.fallback] == SB_SHARD_NOWHERE)
        how.fallback = first_there(g);
    sb_steer_plan_make(&how, plan_out);
}

static sockbroker_status attach(const struct sb_shard_group *g, struct sockbroker_error *error)
{
    struct sb_steer_plan plan;

    make_plan(g, &plan);
    return sb_shard_attach(g, &plan, NULL, error);
}

static void take_over(struct sb_shard_group *g, const struct sb_steering *how)
{
    g->policy = how->policy;
    g->fallback = how->fallback;
    memmove(g->weights, how->weights, how->n_slots * sizeof(g->weights[0]));
}

sockbroker_status sb_shard_group_steer(struct sb_shard_group *g, const struct sb_steering *how,
                                       struct sockbroker_error *error_out)
{
    struct sb_shard_group next = *g;

    take_over(&next, how);
    sockbroker_status st = attach(&next, error_out);
    if (!st)
        take_over(g, how);
    return st;
}

/* ---- opening, growing, closing ---- */

static uint16_t next_position(const struct sb_shard_group *g)
{
    uint16_t next = 0;

    for (size_t i = 0; i < g->as.n_slots; i++) {
        if (g->positions[i] != SB_SHARD_NOWHERE && g->positions[i] >= next)
            next = (uint16_t)(g->positions[i] + 1);
    }
    return next;
}

/* The last one first: no other changes its position. */
static void close_from(struct sb_shard_group *g, size_t n_kept)
{
    while (g->as.n_slots > n_kept)
        sb_socket_close(&g->socks[--g->as.n_slots]);
}

static sockbroker_status add_slots(struct sb_shard_group *g, size_t n_slots, struct sockbroker_error *error)
{
    sockbroker_status st = SOCKBROKER_OK;

    while (!st && g->as.n_slots < n_slots) {
        size_t i = g->as.n_slots;

        st = sb_shard_member_join(&g->as, &g->socks[i], error);
        if (st)
            break;
        g->weights[i] = 0;
        g->positions[i] = next_position(g);
        if (++g->as.n_slots == 2) /* a group only now */
            st = attach(g, error);
    }
    return st;
}

/* All or none; the program keeps new clients away from those that may have to close again. */
static sockbroker_status add_and_steer(struct sb_shard_group *g, size_t n_slots, struct sockbroker_error *error)
{
    size_t n_before = g->as.n_slots;
    sockbroker_status st = add_slots(g, n_slots, error);

    if (!st)
        st = attach(g, error);
    if (st)
        close_from(g, n_before);
    return st;
}

sockbroker_status sb_shard_group_open(const struct sb_shard_request *request, struct sb_shard_group *group_out,
                                      enum sb_listen_note *note_out, struct sockbroker_error *error_out)
{
    struct sb_shard_group g = { .as = *request, .policy = SB_STEER_EVEN };
    sockbroker_status st = sb_shard_member_found(request, &g.socks[0], &g.as.addr, note_out, error_out);

    if (st)
        return st;
    g.as.dual = request->dual && *note_out == SB_LISTEN_AS_ASKED;
    g.as.n_slots = 1;
    st = add_and_steer(&g, request->n_slots, error_out);
    if (st)
        close_from(&g, 0);
    else
        *group_out = g;
    return st;
}

void sb_shard_group_join(const struct sb_shard_request *as, sockbroker_socket *socks, struct sb_shard_group *group_out)
{
    static const struct sb_shard_group none;

    *group_out = none;
    group_out->as = *as;
    group_out->policy = SB_STEER_EVEN;
    group_out->unsure = true;
    for (size_t i = 0; i < as->n_slots; i++) {
        group_out->socks[i] = sb_socket_take(&socks[i]);
        group_out->positions[i] = (uint16_t)i; /* the likeliest */
    }
}

void sb_shard_group_close(struct sb_shard_group *g)
{
    close_from(g, 0);
}

sockbroker_status sb_shard_group_grow(struct sb_shard_group *g, size_t n_slots, struct sockbroker_error *error_out)
{
    return add_and_steer(g, n_slots, error_out);
}

sockbroker_socket sb_shard_group_socket(const struct sb_shard_group *g, size_t slot)
{
    return g->socks[slot];
}

bool sb_shard_group_is_on(const struct sb_shard_group *g, size_t slot)
{
    return sb_shard_member_is_on(&g->as, g->socks[slot]);
}

/* ---- repair ---- */

/* A datagram socket can look well and be in no group: when somebody connected and disconnected it. */
static bool is_stray(const struct sb_shard_group *g, size_t slot, const struct sb_steer_plan *plan)
{
    return g->as.type == SOCKBROKER_DATAGRAM && g->as.n_slots > 1 && !sb_shard_attach_through(g, slot, plan);
}

static bool is_out(const struct sb_shard_group *g, size_t slot)
{
    return g->positions[slot] == SB_SHARD_NOWHERE || !sb_shard_group_is_on(g, slot);
}

/* LOST for those that are out, AS_IT_WAS for the others. True when there are any. */
static bool find_lost(const struct sb_shard_group *g, bool audit, enum sb_shard_repaired *repaired_out)
{
    struct sb_steer_plan plan;
    bool any = audit;

    for (size_t i = 0; i < g->as.n_slots; i++) {
        repaired_out[i] = is_out(g, i) ? SB_SHARD_LOST : SB_SHARD_AS_IT_WAS;
        any |= repaired_out[i] == SB_SHARD_LOST;
    }
    if (!any)
        return false;
    make_plan(g, &plan);
    for (size_t i = 0; i < g->as.n_slots; i++) {
        if (repaired_out[i] == SB_SHARD_AS_IT_WAS && is_stray(g, i, &plan))
            repaired_out[i] = SB_SHARD_LOST;
    }
    return true;
}

static void revive_or_dismiss(struct sb_shard_group *g, enum sb_shard_repaired *repaired_out)
{
    for (size_t i = 0; i < g->as.n_slots; i++) {
        if (repaired_out[i] != SB_SHARD_LOST)
            continue;
        sb_shard_member_reassert(&g->as, g->socks[i]);
        if (!sb_shard_group_is_on(g, i) && sb_shard_member_revive(&g->as, g->socks[i]))
            repaired_out[i] = SB_SHARD_LISTENS_AGAIN;
        else
            sb_shard_member_dismiss(&g->as, g->socks[i]);
    }
}

static void replace_lost(struct sb_shard_group *g, enum sb_shard_repaired *repaired_out, struct sockbroker_error *error)
{
    for (size_t i = 0; i < g->as.n_slots; i++) {
        sockbroker_socket fresh = SOCKBROKER_SOCKET_NONE;

        if (repaired_out[i] != SB_SHARD_LOST || sb_shard_member_join(&g->as, &fresh, error))
            continue;
        sb_socket_close(&g->socks[i]);
        g->socks[i] = fresh;
        repaired_out[i] = SB_SHARD_REPLACED;
    }
}

static sockbroker_status learn_positions(struct sb_shard_group *g, struct sockbroker_error *error)
{
    struct sb_steer_plan plan;

    make_plan(g, &plan);
    sockbroker_status st = sb_shard_probe(g, &plan, g->positions, error);
    g->unsure = st != SOCKBROKER_OK;
    return st;
}

static sockbroker_status settle(struct sb_shard_group *g, struct sockbroker_error *error)
{
    struct sockbroker_error local = { SOCKBROKER_OK, 0, "" };
    sockbroker_status learnt = learn_positions(g, &local);
    sockbroker_status st = attach(g, error);

    if (!st && learnt) {
        if (error)
            *error = local;
        st = learnt;
    }
    return st;
}

/* The last slot that is not in the group now. */
static bool is_any_outside(const struct sb_shard_group *g, enum sb_shard_repaired *repaired_out, size_t *slot_out)
{
    bool any = false;

    for (size_t i = 0; i < g->as.n_slots; i++) {
        if (g->positions[i] != SB_SHARD_NOWHERE)
            continue;
        repaired_out[i] = SB_SHARD_LOST;
        *slot_out = i;
        any = true;
    }
    return any;
}

static sockbroker_status tell_lost(const struct sb_shard_group *g, size_t slot, const struct sockbroker_error *cause,
                                   struct sockbroker_error *error)
{
    char text[SOCKBROKER_ADDR_TEXT_MAX];

    return sb_error_set(error, cause->status ? cause->status : SOCKBROKER_BUSY, cause->os_code,
                        "slot %zu of %s gets no clients: %s", slot, sockbroker_addr_format(&g->as.addr, text),
                        cause->status ? cause->text : "nothing arrives there. Repair again, which replaces its socket");
}

static sockbroker_status repair(struct sb_shard_group *g, bool audit, enum sb_shard_repaired *repaired_out,
                                struct sockbroker_error *error)
{
    struct sockbroker_error cause = { SOCKBROKER_OK, 0, "" };
    size_t slot;

    if (!find_lost(g, audit, repaired_out) && !g->unsure)
        return SOCKBROKER_OK;
    revive_or_dismiss(g, repaired_out);
    replace_lost(g, repaired_out, &cause);
    sockbroker_status st = settle(g, error);
    return !st && is_any_outside(g, repaired_out, &slot) ? tell_lost(g, slot, &cause, error) : st;
}

sockbroker_status sb_shard_group_repair(struct sb_shard_group *g, enum sb_shard_repaired *repaired_out,
                                        struct sockbroker_error *error_out)
{
    return repair(g, false, repaired_out, error_out);
}

sockbroker_status sb_shard_group_audit(struct sb_shard_group *g, enum sb_shard_repaired *repaired_out,
                                       struct sockbroker_error *error_out)
{
    for (size_t i = 0; i < g->as.n_slots; i++)
        sb_shard_member_reassert(&g->as, g->socks[i]);
    return repair(g, true, repaired_out, error_out);
}

/* Until they are learnt, the order of the slots is the best guess: that is how they were opened. */
void sb_shard_group_adopt(const struct sb_shard_request *request, const sockbroker_socket *socks, const struct sb_steering *how,
                          struct sb_shard_group *group_out)
{
    struct sb_shard_group g = { .as = *request, .unsure = true };
    enum sb_shard_repaired repaired[SB_STEER_SLOTS_MAX];
    uint16_t position = 0;

    for (size_t i = 0; i < request->n_slots; i++) {
        g.socks[i] = socks[i];
        g.positions[i] = socks[i] == SOCKBROKER_SOCKET_NONE ? SB_SHARD_NOWHERE : position++;
    }
    take_over(&g, how);
    *group_out = g;
    sb_shard_group_audit(group_out, repaired, NULL);
}

/* ---- taking over a queue ---- */

static bool is_waiting(int sock)
{
    struct pollfd p = { .fd = sock, .events = POLLIN };

    return poll(&p, 1, 0) != 0; /* an error too: accept() says it better */
}

enum sb_accept_result sb_shard_group_take_queue(struct sb_shard_group *g, size_t slot, bool blocking,
                                                struct sb_shard_taken *taken_out, size_t room, size_t *n_out, int *os_code_out)
{
    enum sb_accept_result result = SB_ACCEPT_OK;
    size_t n = 0;

    sb_socket_set_nonblocking(g->socks[slot], true); /* a worker may have changed it for all who hold the socket */
    while (n < room && (result == SB_ACCEPT_OK || result == SB_ACCEPT_RETRY)) {
        if (!is_waiting(g->socks[slot])) {
            result = SB_ACCEPT_EMPTY;
            break;
        }
        result = sb_accept(g->socks[slot], blocking, &taken_out[n].sock, &taken_out[n].peer, os_code_out);
        n += result == SB_ACCEPT_OK;
    }
    *n_out = n;
    return result;
}
