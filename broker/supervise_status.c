/* supervise_status.c: the groups as `sockbroker status` shows them. */
#include <stdio.h>
#include <string.h>
#include <utlist.h>

#include "broker/session.h"
#include "broker/supervise_inside.h"
#include "proto/clock.h"

/* Bytes outside of ASCII could be cut in the middle of a letter; they are shown as "?". */
static void put_command(const struct sb_text_list *command, char out[SB_COMMAND_TEXT_MAX + 1])
{
    size_t at = 0;

    for (size_t i = 0; i < command->n && at < SB_COMMAND_TEXT_MAX; i++)
        at += (size_t)snprintf(out + at, SB_COMMAND_TEXT_MAX + 1 - at, "%s%s", i ? " " : "", command->texts[i]);
    for (char *c = out; *c; c++) {
        if (*c < 0x20 || *c > 0x7e)
            *c = '?';
    }
}

static void fill_group(const struct sb_group *g, struct sb_group_status *out)
{
    const struct sb_generation *last = g->generations ? g->generations->prev : NULL; /* the newest */
    const struct sb_generation *shown = g->serving ? g->serving : last;

    memcpy(out->name, g->name, sizeof(out->name));
    out->command[0] = '\0';
    if (shown)
        put_command(&shown->config.command, out->command);
    out->wanted = g->wanted;
    out->generation = g->serving ? g->serving->number : 0;
    snprintf(out->failure, sizeof(out->failure), "%s", g->failure);
}

static uint64_t count_open(const struct sb_broker *b, const struct sb_generation *generation)
{
    const struct sb_session *s;
    uint64_t n = 0;

    DL_FOREACH(b->sessions, s)
        n += s->slot && s->slot->generation == generation ? s->n_open : 0;
    return n;
}

static void fill_generation(const struct sb_broker *b, const struct sb_generation *generation, struct sb_generation_status *out)
{
    const struct sb_slot *slot;

    memcpy(out->group, generation->group->name, sizeof(out->group));
    out->generation = generation->number;
    snprintf(out->state, sizeof(out->state), "%s", sb_generation_state_name(generation->state));
    out->workers = out->ready = 0;
    DL_FOREACH(generation->slots, slot) {
        out->workers += slot->state != SB_SLOT_GONE;
        out->ready += slot->state == SB_SLOT_READY;
    }
    out->open = count_open(b, generation);
    out->since_ms = sb_clock_ms() - generation->since_ms;
}

static void fill_slot(const struct sb_slot *slot, struct sb_slot_status *out)
{
    const struct sb_kid *kid = slot->process;

    memcpy(out->group, slot->generation->group->name, sizeof(out->group));
    out->generation = slot->generation->number;
    memcpy(out->worker, slot->name, sizeof(out->worker));
    out->pid = kid ? kid->child.pid : 0;
    snprintf(out->state, sizeof(out->state), "%s", sb_slot_state_name(slot->state));
    out->restarts = slot->n_restarts;
    out->since_ms = sb_clock_ms() - slot->since_ms;
}

static void fill_slots(const struct sb_generation *generation, const struct sb_groups_request *request, uint32_t *at,
                       struct sb_groups_page *page)
{
    const struct sb_slot *slot;

    DL_FOREACH(generation->slots, slot) {
        if ((*at)++ >= request->first_slot && page->n_slots < SB_PAGE_SLOTS)
            fill_slot(slot, &page->slots[page->n_slots++]);
    }
}

void sb_supervise_fill(struct sb_broker *b, const struct sb_groups_request *request, struct sb_groups_page *page)
{
    const struct sb_generation *generation;
    const struct sb_group *g;
    uint32_t at_group = 0, at_generation = 0, at_slot = 0;

    page->n_groups = page->n_generations = page->n_slots = 0;
    DL_FOREACH(b->supervisor->groups, g) {
        if (at_group++ >= request->first_group && page->n_groups < SB_PAGE_GROUPS)
            fill_group(g, &page->groups[page->n_groups++]);
        DL_FOREACH(g->generations, generation) {
            if (at_generation++ >= request->first_generation && page->n_generations < SB_PAGE_GENERATIONS)
                fill_generation(b, generation, &page->generations[page->n_generations++]);
            fill_slots(generation, request, &at_slot, page);
        }
    }
    page->next_group = request->first_group + page->n_groups;
    page->next_generation = request->first_generation + page->n_generations;
    page->next_slot = request->first_slot + page->n_slots;
}
