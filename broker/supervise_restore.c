/* supervise_restore.c: groups, generations and slots as the broker before had them. */
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "broker/group_inside.h"
#include "broker/log.h"
#include "broker/session.h"
#include "broker/supervise_inside.h"
#include "proto/clock.h"
#include "proto/error.h"

sockbroker_status sb_supervise_restore_group(struct sb_broker *b, const struct sb_takeover_group *r,
                                             struct sb_group **group_out)
{
    struct sb_supervisor *sup = b->supervisor;
    struct sb_group *g = calloc(1, sizeof(*g));

    if (!g)
        return SOCKBROKER_NO_MEMORY;
    memcpy(g->name, r->name, sizeof(g->name));
    memcpy(g->failure, r->failure, sizeof(r->failure));
    g->ops = &sb_supervise_ops;
    g->owner = sup;
    g->wanted = r->wanted;
    g->configured = r->configured;
    g->last_number = r->last_number;
    g->leaves = r->leaves;
    g->rests = r->leaves;
    DL_APPEND(sup->groups, g);
    *group_out = g;
    return SOCKBROKER_OK;
}

/* As our configuration has it now. One that is not there any more has nothing to start, only deadlines. */
static const struct sb_group_config *find_config(const struct sb_group *g)
{
    const struct sb_supervisor *sup = g->owner;
    const struct sb_config *all = &sup->broker->config;
    const struct sb_group_config *c = sb_config_find_group(all, g->name);

    return c ? c : &all->workers;
}

sockbroker_status sb_supervise_restore_generation(struct sb_group *g, const struct sb_takeover_generation *r,
                                                  struct sb_generation **generation_out)
{
    struct sb_generation *generation = calloc(1, sizeof(*generation));

    if (!generation)
        return SOCKBROKER_NO_MEMORY;
    if (sb_group_config_copy(find_config(g), &generation->config)) {
        free(generation);
        return SOCKBROKER_NO_MEMORY;
    }
    generation->group = g;
    generation->number = r->number;
    generation->since_ms = r->since_ms;
    generation->state = r->serves ? SB_GENERATION_SERVING : SB_GENERATION_LEAVING;
    if (r->serves)
        g->serving = generation;
    DL_APPEND(g->generations, generation);
    *generation_out = generation;
    return SOCKBROKER_OK;
}

/* ---- slots ---- */

static void fill_slot(struct sb_slot *slot, const struct sb_takeover_slot *r)
{
    slot->state = (enum sb_slot_state)(r->state - 1);
    slot->since_ms = r->since_ms;
    slot->start_at_ms = r->start_at_ms;
    slot->leaves = r->leaves;
    slot->drained_by_hand = r->drained_by_hand;
    slot->n_restarts = r->restarts;
    slot->backoff.delay_ms = r->delay_ms;
    slot->backoff.n = r->n_restarted;
    slot->backoff.newest = r->n_restarted ? r->n_restarted - 1 : 0;
    memcpy(slot->backoff.at_ms, r->restarted_ms, r->n_restarted * sizeof(r->restarted_ms[0]));
}

static void find_sessions(const struct sb_broker *b, const struct sb_kid *kid)
{
    struct sb_session *s;

    DL_FOREACH(b->sessions, s) {
        if (!s->slot && sb_child_has(&kid->child, s->peer.pid))
            s->slot = kid->slot;
    }
}

static sockbroker_status take_process(struct sb_slot *slot, uint32_t pid, sockbroker_socket handle)
{
    struct sb_supervisor *sup = slot->generation->group->owner;
    struct sb_kid *kid = calloc(1, sizeof(*kid));

    if (!kid)
        return SOCKBROKER_NO_MEMORY;
    sockbroker_status st = sb_child_adopt(pid, handle, &kid->child);
    if (!st && !sb_kid_watch(sup, kid, slot))
        st = SOCKBROKER_NO_MEMORY;
    if (st)
        return st; /* the process ends */
    find_sessions(sup->broker, kid);
    return SOCKBROKER_OK;
}

sockbroker_status sb_supervise_restore_slot(struct sb_generation *generation, const struct sb_takeover_slot *r,
                                            sockbroker_socket handle)
{
    struct sb_slot *slot = sb_slot_create(generation, r->number, r->since_ms);

    if (!slot)
        return SOCKBROKER_NO_MEMORY;
    fill_slot(slot, r);
    return r->pid ? take_process(slot, r->pid, handle) : SOCKBROKER_OK;
}

/* ---- once we serve ---- */

static uint32_t count_slots(const struct sb_generation *generation)
{
    const struct sb_slot *slot;
    uint32_t n = 0;

    DL_FOREACH(generation->slots, slot)
        n += !slot->leaves && slot->state != SB_SLOT_GONE;
    return n;
}

/* To another number only when it changed: else those that were given up or drained by hand stay as they are. */
static void resume(struct sb_group *g, const struct sb_group_config *config)
{
    struct sockbroker_error error;

    if (config->spawn != g->configured)
        g->wanted = g->configured = config->spawn;
    if (count_slots(g->serving) != g->wanted && sb_group_scale(g, g->wanted, sb_clock_ms(), &error))
        sb_log(SB_LOG_ERROR, "group_failed", "group=%s cause=\"%s\" cure=\"scale it\"", g->name, error.text);
}

void sb_supervise_resume(struct sb_supervisor *sup)
{
    const struct sb_config *all = &sup->broker->config;
    struct sb_group *g;

    DL_FOREACH(sup->groups, g) {
        const struct sb_group_config *c = sb_config_find_group(all, g->name);

        if (g->leaves)
            continue;
        if (c && g->serving)
            resume(g, c);
        else
            sb_group_leave(g, sb_clock_ms(), sb_clock_ms());
    }
    for (size_t i = 0; i < all->n_groups; i++) {
        if (!sb_supervise_find(sup, all->groups[i].name) && sb_supervise_add(sup, &all->groups[i]))
            sb_log(SB_LOG_ERROR, "group_failed", "group=%s cause=\"out of memory\" cure=\"reload\"", all->groups[i].name);
    }
}
