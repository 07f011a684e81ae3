#include "broker/group.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "broker/group_inside.h"
#include "broker/log.h"
#include "broker/rollover.h"
#include "proto/error.h"

#define IDLE_GRACE_MS 500 /* most workers end by themselves once they have drained */

const char *sb_slot_state_name(enum sb_slot_state state)
{
    static const char *const names[] = { "starting", "ready",   "draining", "ending", "killed",
                                         "waiting",  "stopped", "given-up", "gone" };

    return names[state];
}

const char *sb_generation_state_name(enum sb_generation_state state)
{
    static const char *const names[] = { "starting", "serving", "leaving" };

    return names[state];
}

static void set_state(struct sb_slot *slot, enum sb_slot_state state, uint64_t now_ms)
{
    slot->state = state;
    slot->since_ms = now_ms;
}

/* ---- made and freed ---- */

static uint32_t free_number(const struct sb_generation *generation)
{
    const struct sb_slot *slot;
    uint32_t number = 1;

    DL_FOREACH(generation->slots, slot) { /* by number */
        if (slot->number != number)
            break;
        number++;
    }
    return number;
}

static int by_number(const struct sb_slot *a, const struct sb_slot *b)
{
    return a->number < b->number ? -1 : a->number > b->number;
}

struct sb_slot *sb_slot_create(struct sb_generation *generation, uint32_t number, uint64_t now_ms)
{
    struct sb_slot *slot = calloc(1, sizeof(*slot));

    if (!slot)
        return NULL;
    slot->generation = generation;
    slot->number = number;
    snprintf(slot->name, sizeof(slot->name), "%.*s-%llu-%u", (int)SB_GROUP_NAME_MAX, generation->group->name,
             (unsigned long long)generation->number, slot->number);
    set_state(slot, SB_SLOT_WAITING, now_ms);
    slot->start_at_ms = now_ms;
    DL_INSERT_INORDER(generation->slots, slot, by_number);
    return slot;
}

static struct sb_slot *add_slot(struct sb_generation *generation, uint64_t now_ms)
{
    return sb_slot_create(generation, free_number(generation), now_ms);
}

static void destroy_generation(struct sb_generation *generation)
{
    struct sb_slot *slot, *tmp;

    DL_FOREACH_SAFE(generation->slots, slot, tmp)
        free(slot);
    sb_group_config_deinit(&generation->config);
    free(generation);
}

sockbroker_status sb_generation_create(struct sb_group *g, const struct sb_group_config *config, uint64_t now_ms,
                                       struct sb_generation **generation_out)
{
    struct sb_generation *generation = calloc(1, sizeof(*generation));

    if (!generation)
        return SOCKBROKER_NO_MEMORY;
    generation->group = g;
    generation->number = g->last_number + 1;
    generation->since_ms = now_ms;
    bool ok = sb_group_config_copy(config, &generation->config) == SOCKBROKER_OK;
    for (uint32_t i = 0; ok && i < g->wanted; i++)
        ok = add_slot(generation, now_ms) != NULL;
    if (!ok) {
        destroy_generation(generation);
        return SOCKBROKER_NO_MEMORY;
    }
    g->last_number++;
    DL_APPEND(g->generations, generation);
    *generation_out = generation;
    return SOCKBROKER_OK;
}

/* A leaving generation is over with its last slot. */
static void sweep(struct sb_group *g)
{
    struct sb_generation *generation, *generation_tmp;
    struct sb_slot *slot, *slot_tmp;

    DL_FOREACH_SAFE(g->generations, generation, generation_tmp) {
        DL_FOREACH_SAFE(generation->slots, slot, slot_tmp) {
            if (slot->state != SB_SLOT_GONE)
                continue;
            DL_DELETE(generation->slots, slot);
            free(slot);
        }
        if (generation->slots || generation->state != SB_GENERATION_LEAVING)
            continue;
        sb_log(SB_LOG_INFO, "generation_gone", "group=%s generation=%llu", g->name, (unsigned long long)generation->number);
        DL_DELETE(g->generations, generation);
        destroy_generation(generation);
    }
}

sockbroker_status sb_group_create(const struct sb_group_config *config, const struct sb_group_ops *ops, void *owner,
                                  uint64_t first_number, uint64_t now_ms, struct sb_group **group_out)
{
    struct sb_group *g = calloc(1, sizeof(*g));

    if (!g)
        return SOCKBROKER_NO_MEMORY;
    memcpy(g->name, config->name, sizeof(g->name));
    g->ops = ops;
    g->owner = owner;
    g->wanted = g->configured = config->spawn;
    g->last_number = first_number - 1;
    if (sb_generation_create(g, config, now_ms, &g->serving)) {
        free(g);
        return SOCKBROKER_NO_MEMORY;
    }
    g->serving->state = SB_GENERATION_SERVING;
    sb_generation_start(g->serving, now_ms);
    *group_out = g;
    return SOCKBROKER_OK;
}

void sb_group_destroy(struct sb_group *g)
{
    struct sb_generation *generation, *tmp;

    if (!g)
        return;
    DL_FOREACH_SAFE(g->generations, generation, tmp)
        destroy_generation(generation);
    free(g);
}

bool sb_group_is_over(const struct sb_group *g)
{
    return g->leaves && !g->generations;
}

/* ---- processes ---- */

static void start_again_later(struct sb_slot *slot, uint64_t up_ms, uint64_t now_ms)
{
    const struct sb_group_config *c = &slot->generation->config;
    const struct sb_backoff_limits limits = { c->restart_delay_ms, c->restart_max, c->restart_window_ms };
    uint32_t delay_ms;

    if (sb_backoff_next(&slot->backoff, &limits, now_ms, up_ms, slot->generation->group->ops->random(), &delay_ms)) {
        set_state(slot, SB_SLOT_WAITING, now_ms);
        slot->start_at_ms = now_ms + delay_ms;
        return;
    }
    set_state(slot, SB_SLOT_GIVEN_UP, now_ms);
    sb_log(SB_LOG_ERROR, "worker_given_up",
           "worker=%s restarts=%u within_ms=%u cure=\"find out why it ends; `sockbroker reload` or `scale` starts it again\"",
           slot->name, c->restart_max, c->restart_window_ms);
}

void sb_group_slot_ended(struct sb_slot *slot, const char *how, uint64_t now_ms)
{
    struct sb_generation *generation = slot->generation;
    uint64_t up_ms = slot->state == SB_SLOT_READY ? now_ms - slot->since_ms : 0;
    bool expected = slot->leaves || slot->drained_by_hand;
    char text[SOCKBROKER_ERROR_TEXT_MAX];

    slot->process = NULL;
    sb_log(expected ? SB_LOG_INFO : SB_LOG_WARNING, "worker_ended", "worker=%s state=%s how=\"%s\"", slot->name,
           sb_slot_state_name(slot->state), how);
    if (slot->leaves) {
        set_state(slot, SB_SLOT_GONE, now_ms);
    } else if (slot->drained_by_hand) {
        set_state(slot, SB_SLOT_STOPPED, now_ms);
    } else if (generation->state == SB_GENERATION_STARTING) {
        set_state(slot, SB_SLOT_STOPPED, now_ms);
        snprintf(text, sizeof(text), "worker %s %.280s before all of them were ready", slot->name, how);
        sb_rollover_fail(generation->group, SOCKBROKER_CLOSED, text, now_ms);
    } else {
        start_again_later(slot, up_ms, now_ms);
    }
}

static void start(struct sb_slot *slot, uint64_t now_ms)
{
    struct sockbroker_error error;

    set_state(slot, SB_SLOT_STARTING, now_ms);
    if (slot->generation->group->ops->adopt(slot))
        sb_group_slot_ready(slot, now_ms);
    else if (slot->generation->group->ops->start(slot, &error))
        sb_group_slot_ended(slot, error.text, now_ms);
}

void sb_generation_start(struct sb_generation *generation, uint64_t now_ms)
{
    struct sb_slot *slot;

    DL_FOREACH(generation->slots, slot) {
        if (generation->state != SB_GENERATION_LEAVING)
            start(slot, now_ms);
    }
}

void sb_group_slot_ready(struct sb_slot *slot, uint64_t now_ms)
{
    if (slot->state != SB_SLOT_STARTING)
        return;
    set_state(slot, SB_SLOT_READY, now_ms);
    if (slot->generation->state == SB_GENERATION_STARTING)
        sb_rollover_check(slot->generation->group, now_ms);
}

void sb_group_slot_drained(struct sb_slot *slot, uint64_t now_ms)
{
    if (slot->leaves || slot->state != SB_SLOT_READY)
        return;
    slot->drained_by_hand = true;
    set_state(slot, SB_SLOT_DRAINING, now_ms);
}

/* ---- leaving ---- */

static void end(struct sb_slot *slot, bool at_once, uint64_t now_ms)
{
    set_state(slot, at_once ? SB_SLOT_KILLED : SB_SLOT_ENDING, now_ms);
    slot->generation->group->ops->end(slot, at_once);
}

static void leave(struct sb_slot *slot, uint64_t since_ms, uint64_t now_ms)
{
    if (slot->leaves)
        return;
    slot->leaves = true;
    switch (slot->state) {
    case SB_SLOT_STARTING:
        end(slot, false, now_ms);
        break;
    case SB_SLOT_READY:
        slot->generation->group->ops->drain(slot);
        set_state(slot, SB_SLOT_DRAINING, since_ms);
        break;
    case SB_SLOT_DRAINING:
        slot->since_ms = since_ms;
        break;
    case SB_SLOT_ENDING:
    case SB_SLOT_KILLED:
    case SB_SLOT_GONE:
        break;
    case SB_SLOT_WAITING:
    case SB_SLOT_STOPPED:
    case SB_SLOT_GIVEN_UP:
        set_state(slot, SB_SLOT_GONE, now_ms);
        break;
    }
}

void sb_generation_leave(struct sb_generation *generation, uint64_t since_ms, uint64_t now_ms)
{
    struct sb_slot *slot;

    generation->state = SB_GENERATION_LEAVING;
    generation->since_ms = now_ms;
    DL_FOREACH(generation->slots, slot)
        leave(slot, since_ms, now_ms);
}

bool sb_generation_has_ready(const struct sb_generation *generation)
{
    const struct sb_slot *slot;

    DL_FOREACH(generation->slots, slot) {
        if (slot->state == SB_SLOT_READY)
            return true;
    }
    return false;
}

void sb_group_rest(struct sb_group *g, uint64_t now_ms)
{
    g->rests = true;
    if (g->starting)
        sb_rollover_fail(g, SOCKBROKER_CLOSED, "its workers are told to leave", now_ms);
}

void sb_group_leave(struct sb_group *g, uint64_t since_ms, uint64_t now_ms)
{
    struct sb_generation *serving = g->serving;

    if (g->leaves)
        return;
    sb_group_rest(g, now_ms);
    g->leaves = true;
    g->serving = NULL;
    if (serving)
        sb_generation_leave(serving, since_ms, now_ms);
}

/* ---- time ---- */

static void tick_starting(struct sb_slot *slot, uint64_t now_ms)
{
    uint32_t ready_ms = slot->generation->config.ready_ms;
    char text[SOCKBROKER_ERROR_TEXT_MAX];

    if (now_ms - slot->since_ms < ready_ms)
        return;
    snprintf(text, sizeof(text), "worker %s was not ready within %u ms", slot->name, ready_ms);
    sb_log(SB_LOG_WARNING, "worker_not_ready", "worker=%s after_ms=%u cure=\"raise ready_ms, or see what it waits for\"",
           slot->name, ready_ms);
    if (slot->generation->state == SB_GENERATION_STARTING)
        sb_rollover_fail(slot->generation->group, SOCKBROKER_TIMEOUT, text, now_ms);
    else
        end(slot, false, now_ms);
}

static void tick_draining(struct sb_slot *slot, uint64_t now_ms)
{
    uint64_t drained_ms = now_ms - slot->since_ms;

    if (!slot->leaves) /* by hand: it may take as long as it likes */
        return;
    if (drained_ms >= slot->generation->config.drain_ms) {
        sb_log(SB_LOG_WARNING, "drain_over", "worker=%s after_ms=%llu", slot->name, (unsigned long long)drained_ms);
        end(slot, false, now_ms);
    } else if (drained_ms >= IDLE_GRACE_MS && slot->generation->group->ops->is_idle(slot)) {
        end(slot, false, now_ms);
    }
}

static void tick_slot(struct sb_slot *slot, uint64_t now_ms)
{
    switch (slot->state) {
    case SB_SLOT_STARTING:
        tick_starting(slot, now_ms);
        break;
    case SB_SLOT_DRAINING:
        tick_draining(slot, now_ms);
        break;
    case SB_SLOT_ENDING:
        if (now_ms - slot->since_ms < slot->generation->config.term_ms)
            break;
        sb_log(SB_LOG_WARNING, "worker_does_not_end", "worker=%s after_ms=%u", slot->name, slot->generation->config.term_ms);
        end(slot, true, now_ms);
        break;
    case SB_SLOT_WAITING:
        if (now_ms < slot->start_at_ms || slot->generation->group->rests)
            break;
        slot->n_restarts++;
        start(slot, now_ms);
        break;
    case SB_SLOT_READY:
    case SB_SLOT_KILLED:
    case SB_SLOT_STOPPED:
    case SB_SLOT_GIVEN_UP:
    case SB_SLOT_GONE:
        break;
    }
}

void sb_group_tick(struct sb_group *g, uint64_t now_ms)
{
    struct sb_generation *generation;
    struct sb_slot *slot;

    DL_FOREACH(g->generations, generation) {
        DL_FOREACH(generation->slots, slot)
            tick_slot(slot, now_ms);
    }
    sweep(g);
}

/* ---- another number ---- */

static bool counts(const struct sb_slot *slot)
{
    return !slot->leaves && slot->state != SB_SLOT_GONE;
}

static uint32_t count_slots(const struct sb_generation *generation)
{
    const struct sb_slot *slot;
    uint32_t n = 0;

    DL_FOREACH(generation->slots, slot)
        n += counts(slot);
    return n;
}

static sockbroker_status add_slots(struct sb_generation *generation, uint32_t n, uint64_t now_ms)
{
    while (n--) {
        struct sb_slot *slot = add_slot(generation, now_ms);

        if (!slot)
            return SOCKBROKER_NO_MEMORY;
        start(slot, now_ms);
    }
    return SOCKBROKER_OK;
}

/* Those with the highest numbers. */
static void drop_slots(struct sb_generation *generation, uint32_t n_kept, uint64_t now_ms)
{
    struct sb_slot *slot;
    uint32_t n = 0;

    DL_FOREACH(generation->slots, slot) {
        if (counts(slot) && n++ >= n_kept)
            leave(slot, now_ms, now_ms);
    }
}

static void wake_slots(struct sb_generation *generation, uint64_t now_ms)
{
    static const struct sb_backoff fresh;
    struct sb_slot *slot;

    DL_FOREACH(generation->slots, slot) {
        if (slot->state != SB_SLOT_STOPPED && slot->state != SB_SLOT_GIVEN_UP)
            continue;
        slot->drained_by_hand = false;
        slot->backoff = fresh;
        start(slot, now_ms);
    }
}

sockbroker_status sb_group_scale(struct sb_group *g, uint32_t wanted, uint64_t now_ms, struct sockbroker_error *error_out)
{
    if (g->starting || !g->serving)
        return sb_error_set(error_out, SOCKBROKER_BUSY, 0, "group %s is changing its generation; try again when that is over",
                            g->name);
    uint32_t n = count_slots(g->serving);
    sockbroker_status st = SOCKBROKER_OK;

    g->wanted = wanted;
    drop_slots(g->serving, wanted, now_ms);
    wake_slots(g->serving, now_ms);
    if (n < wanted)
        st = add_slots(g->serving, wanted - n, now_ms);
    return st ? sb_error_set(error_out, st, 0, "group %s: out of memory for another worker", g->name) : SOCKBROKER_OK;
}
