/* supervise_reload.c: what the operator changes in the groups while they run, and who is told how it ended. */
#include <stdio.h>
#include <string.h>
#include <utlist.h>

#include "broker/control.h"
#include "broker/custody.h"
#include "broker/dispatch.h"
#include "broker/log.h"
#include "broker/notify.h"
#include "broker/rollover.h"
#include "broker/supervise_inside.h"
#include "broker/wishes.h"
#include "proto/clock.h"
#include "proto/error.h"

struct sb_group *sb_supervise_find(const struct sb_supervisor *sup, const char *name)
{
    struct sb_group *g;

    DL_FOREACH(sup->groups, g) {
        if (!g->leaves && !strcmp(g->name, name))
            return g;
    }
    return NULL;
}

/* Workers of a group of that name that is still leaving have their names. */
static uint64_t first_number(struct sb_supervisor *sup, const char *name)
{
    const struct sb_group *g;
    uint64_t number = sb_supervise_first_number(sup, name);

    DL_FOREACH(sup->groups, g) {
        if (!strcmp(g->name, name) && g->last_number >= number)
            number = g->last_number + 1;
    }
    return number;
}

sockbroker_status sb_supervise_add(struct sb_supervisor *sup, const struct sb_group_config *config)
{
    struct sb_group_config first = *config; /* lent */
    struct sb_group *g;

    first.spawn = sb_wishes_wanted(sup->broker, config);
    sockbroker_status st = sb_group_create(&first, &sb_supervise_ops, sup, first_number(sup, config->name), sb_clock_ms(), &g);

    if (st)
        return st;
    g->configured = config->spawn;
    DL_APPEND(sup->groups, g);
    return SOCKBROKER_OK;
}

/* ---- the outcome ---- */

static void add_text(struct sb_supervisor *sup, const char *text)
{
    size_t len = strlen(sup->text);

    snprintf(sup->text + len, sizeof(sup->text) - len, "%s%s", len ? "\n" : "", text);
}

/* Of several failures the first one gives the code. */
static void note(struct sb_supervisor *sup, sockbroker_status status, const char *text)
{
    if (status && !sup->outcome) { /* what went well is not asked for any more */
        sup->outcome = status;
        sup->text[0] = '\0';
    }
    if (status || !sup->outcome)
        add_text(sup, text);
}

static void answer(struct sb_supervisor *sup)
{
    struct sb_reply reply = { .kind = SB_REPLY_OUTCOME };

    if (!sup->call)
        return;
    memcpy(reply.as.outcome.text, sup->text, sizeof(sup->text));
    if (sup->outcome)
        sb_control_fail(sup->call, sup->outcome, sup->text);
    else
        sb_call_reply(sup->call, &reply);
    sup->call = NULL;
}

static void begin(struct sb_supervisor *sup, struct sb_call *call)
{
    sup->call = call;
    sup->outcome = SOCKBROKER_OK;
    sup->text[0] = '\0';
    sup->n_rolling = 1; /* as long as more may be added */
}

static void one_less(struct sb_supervisor *sup)
{
    if (--sup->n_rolling)
        return;
    answer(sup);
    sb_notify_ready("serving");
}

void sb_supervise_note(struct sb_group *g, sockbroker_status status, const char *text)
{
    struct sb_supervisor *sup = g->owner;

    note(sup, status, text);
    one_less(sup);
    sb_dispatch_note(sup->broker);
}

static void roll(struct sb_supervisor *sup, struct sb_group *g, const struct sb_group_config *config)
{
    struct sockbroker_error error;

    sup->n_rolling++;
    sockbroker_status st = sb_rollover_begin(g, config, sb_clock_ms(), &error);
    if (!st)
        return;
    note(sup, st, error.text);
    one_less(sup);
}

/* ---- commands ---- */

/* True, and the call is answered, when it cannot be now. */
static bool is_refused(const struct sb_supervisor *sup, struct sb_call *call)
{
    if (sup->broker->state == SB_BROKER_STOPPING)
        sb_control_fail(call, SOCKBROKER_BUSY, "the broker is stopping; it replaces no workers any more");
    else if (sup->open_at_ms)
        sb_control_fail(call, SOCKBROKER_BUSY,
                        "the broker before crashed, and its workers are waited for; try again in 2 seconds");
    else if (sup->broker->giving)
        sb_control_fail(call, SOCKBROKER_BUSY, "an upgrade of the broker is under way; try again when that is over");
    else if (sup->n_rolling)
        sb_control_fail(call, SOCKBROKER_BUSY,
                        "a generation is being replaced already; wait for its end, `sockbroker status` shows it");
    else
        return false;
    return true;
}

static void fail_unknown(const char *name, struct sb_call *call)
{
    char text[SOCKBROKER_ERROR_TEXT_MAX];

    snprintf(text, sizeof(text), "there is no group %s here; `sockbroker status` lists them", name);
    sb_control_fail(call, SOCKBROKER_NOT_FOUND, text);
}

void sb_supervise_reload(struct sb_broker *b, const struct sb_reload *reload, struct sb_call *call)
{
    struct sb_supervisor *sup = b->supervisor;
    struct sb_group *g, *tmp;
    bool all = !reload->group[0];

    if (is_refused(sup, call))
        return;
    if (all && !sup->groups) {
        sb_control_fail(call, SOCKBROKER_NOT_FOUND,
                        "this broker started no workers; give it a command (serve --spawn N -- CMD...), or restart yours");
        return;
    }
    if (!all && !sb_supervise_find(sup, reload->group)) {
        fail_unknown(reload->group, call);
        return;
    }
    sb_notify_reloading();
    begin(sup, call);
    DL_FOREACH_SAFE(sup->groups, g, tmp) {
        if (!g->leaves && (all || !strcmp(g->name, reload->group)))
            roll(sup, g, NULL);
    }
    one_less(sup);
}

void sb_supervise_scale(struct sb_broker *b, const struct sb_scale *scale, struct sb_call *call)
{
    struct sb_reply reply = { .kind = SB_REPLY_OUTCOME };
    struct sb_supervisor *sup = b->supervisor;
    struct sb_group *g = sb_supervise_find(sup, scale->group);
    struct sockbroker_error error;

    if (is_refused(sup, call))
        return;
    if (!g) {
        fail_unknown(scale->group, call);
        return;
    }
    uint32_t before = g->wanted;
    sockbroker_status st = sb_group_scale(g, scale->wanted, sb_clock_ms(), &error);
    sb_custody_note(b);
    sb_custody_sync(b); /* before the answer: it counts also when this broker dies now */
    if (st) {
        sb_control_fail(call, st, error.text);
        return;
    }
    sb_log(SB_LOG_NOTICE, "group_scaled", "group=%s wanted=%u before=%u", g->name, g->wanted, before);
    snprintf(reply.as.outcome.text, sizeof(reply.as.outcome.text), "group %s: %u wanted, %u before", g->name, g->wanted,
             before);
    sb_call_reply(call, &reply);
}

/* ---- the configuration ---- */

/* A number that was scaled stays, unless the configuration has another one now. */
static void roll_configured(struct sb_supervisor *sup, struct sb_group *g, const struct sb_group_config *config)
{
    if (config->spawn != g->configured)
        g->wanted = g->configured = config->spawn;
    roll(sup, g, config);
}

void sb_supervise_apply(struct sb_broker *b, const struct sb_config *config)
{
    struct sb_supervisor *sup = b->supervisor;
    struct sb_group *g, *tmp;

    sb_custody_note(b); /* of numbers that the configuration says now */
    begin(sup, NULL);
    DL_FOREACH_SAFE(sup->groups, g, tmp) {
        const struct sb_group_config *c = sb_config_find_group(config, g->name);

        if (c && !g->leaves)
            roll_configured(sup, g, c);
        else if (!g->leaves)
            sb_group_leave(g, sb_clock_ms(), sb_clock_ms());
    }
    for (size_t i = 0; i < config->n_groups; i++) {
        if (!sb_supervise_find(sup, config->groups[i].name) && sb_supervise_add(sup, &config->groups[i]))
            sb_log(SB_LOG_ERROR, "group_failed", "group=%s cause=\"out of memory\" cure=\"reload again\"",
                   config->groups[i].name);
    }
    one_less(sup);
}

bool sb_supervise_is_rolling(struct sb_broker *b, bool again)
{
    struct sb_supervisor *sup = b->supervisor;

    if (!sup || (!sup->n_rolling && !sup->open_at_ms))
        return false;
    sup->again |= again;
    return true;
}
