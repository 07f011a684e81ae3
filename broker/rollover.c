#include "broker/rollover.h"

#include <stdio.h>
#include <utlist.h>

#include "broker/group_inside.h"
#include "broker/log.h"
#include "proto/error.h"

static bool all_ready(const struct sb_generation *generation)
{
    const struct sb_slot *slot;

    DL_FOREACH(generation->slots, slot) {
        if (slot->state != SB_SLOT_READY)
            return false;
    }
    return true;
}

static void admit_all(struct sb_generation *generation)
{
    struct sb_slot *slot;

    generation->standby = false;
    DL_FOREACH(generation->slots, slot)
        generation->group->ops->admit(slot);
}

/* From here on the new generation serves. It is let in before the old one drains, so there is always somebody. */
static void commit(struct sb_group *g, uint64_t now_ms)
{
    struct sb_generation *old = g->serving;
    char text[SOCKBROKER_ERROR_TEXT_MAX];

    g->serving = g->starting;
    g->starting = NULL;
    g->serving->state = SB_GENERATION_SERVING;
    g->serving->since_ms = now_ms;
    g->failure[0] = '\0';
    admit_all(g->serving);
    sb_generation_leave(old, now_ms, now_ms);
    snprintf(text, sizeof(text), "group %s: generation %llu serves, generation %llu drains", g->name,
             (unsigned long long)g->serving->number, (unsigned long long)old->number);
    sb_log(SB_LOG_NOTICE, "generation_serves", "group=%s generation=%llu before=%llu", g->name,
           (unsigned long long)g->serving->number, (unsigned long long)old->number);
    g->ops->rolled(g, SOCKBROKER_OK, text);
}

void sb_rollover_check(struct sb_group *g, uint64_t now_ms)
{
    if (g->starting && all_ready(g->starting))
        commit(g, now_ms);
}

void sb_rollover_fail(struct sb_group *g, sockbroker_status status, const char *text, uint64_t now_ms)
{
    struct sb_generation *failed = g->starting;
    char whole[SOCKBROKER_ERROR_TEXT_MAX];

    if (!failed)
        return;
    g->starting = NULL;
    snprintf(whole, sizeof(whole), "group %s: generation %llu failed: %.200s; generation %llu goes on", g->name,
             (unsigned long long)failed->number, text, (unsigned long long)g->serving->number);
    snprintf(g->failure, sizeof(g->failure), "%s", whole);
    sb_log(SB_LOG_ERROR, "generation_failed", "group=%s generation=%llu cause=\"%s\" serving=%llu", g->name,
           (unsigned long long)failed->number, text, (unsigned long long)g->serving->number);
    sb_generation_leave(failed, now_ms, now_ms);
    g->ops->rolled(g, status, whole);
}

sockbroker_status sb_rollover_begin(struct sb_group *g, const struct sb_group_config *config, uint64_t now_ms,
                                    struct sockbroker_error *error_out)
{
    struct sb_generation *generation;

    if (g->starting || !g->serving)
        return sb_error_set(error_out, SOCKBROKER_BUSY, 0,
                            "group %s: generation %llu is being changed already; wait for its end", g->name,
                            (unsigned long long)g->last_number);
    if (sb_generation_create(g, config ? config : &g->serving->config, now_ms, &generation))
        return sb_error_set(error_out, SOCKBROKER_NO_MEMORY, 0, "group %s: out of memory for another generation", g->name);
    generation->standby = sb_generation_has_ready(g->serving);
    g->starting = generation;
    sb_log(SB_LOG_NOTICE, "generation_starts", "group=%s generation=%llu workers=%u", g->name,
           (unsigned long long)generation->number, g->wanted);
    sb_generation_start(generation, now_ms);
    sb_rollover_check(g, now_ms); /* without a slot it serves at once */
    return SOCKBROKER_OK;
}
