#include "broker/wishes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "broker/custody.h"
#include "broker/deposit_memory.h"
#include "broker/endpoint.h"
#include "broker/keeper_link.h"
#include "broker/log.h"
#include "broker/supervise_inside.h"
#include "proto/socket.h"

/* Of the broker before. */
struct sb_wish {
    char name[SOCKBROKER_NAME_MAX + 1];
    bool pauses; /* an endpoint; else a group's number */
    uint32_t wanted, configured;
    struct sb_wish *prev, *next;
};

typedef void (*act_fn)(struct sb_broker *b, const char *label);

/* ---- labels ---- */

static void act_on_pause(struct sb_broker *b, const char *endpoint, act_fn act)
{
    char label[SB_LABEL_MAX + 1];

    snprintf(label, sizeof(label), "paused/%s", endpoint);
    act(b, label);
}

static void act_on_number(struct sb_broker *b, const char *group, uint32_t wanted, uint32_t configured, act_fn act)
{
    char label[SB_LABEL_MAX + 1];

    snprintf(label, sizeof(label), "wanted/%s/%u/%u", group, wanted, configured);
    act(b, label);
}

static void act_on_all(struct sb_broker *b, act_fn act)
{
    const struct sb_endpoint *e;
    const struct sb_group *g;
    const struct sb_wish *w;

    DL_FOREACH(b->endpoints, e) {
        if (sb_endpoint_is_paused(e))
            act_on_pause(b, e->config.name, act);
    }
    for (g = b->supervisor ? b->supervisor->groups : NULL; g; g = g->next) {
        if (!g->leaves && g->wanted != g->configured)
            act_on_number(b, g->name, g->wanted, g->configured, act);
    }
    DL_FOREACH(b->wishes, w) {
        if (!w->pauses)
            act_on_number(b, w->name, w->wanted, w->configured, act);
    }
}

/* A label is not kept alone. Memory is the only thing that stands for nothing else, and never hangs up: systemd would drop what
 * does. */
static void keep(struct sb_broker *b, const char *label)
{
    static const struct sb_deposit_record nothing;
    sockbroker_socket memory = SOCKBROKER_SOCKET_NONE;

    if (!sb_custody_has(b->custody, label) && sb_deposit_memory_write(&nothing, NULL, &memory)) {
        sb_custody_note(b);
        return;
    }
    sb_custody_keep(b->custody, label, memory);
    sb_socket_close(&memory);
}

static void end(struct sb_broker *b, const char *label)
{
    sb_custody_drop(b->custody, label);
}

void sb_wishes_keep(struct sb_broker *b)
{
    if (sb_custody_is_kept(b))
        act_on_all(b, keep);
}

void sb_wishes_end(struct sb_broker *b)
{
    act_on_all(b, end);
}

/* ---- what comes back ---- */

bool sb_wishes_are(char *const *parts, size_t n)
{
    return (n == 2 && !strcmp(parts[0], "paused")) || (n == 4 && !strcmp(parts[0], "wanted"));
}

sockbroker_status sb_wishes_take(struct sb_broker *b, char *const *parts)
{
    struct sb_wish *w = calloc(1, sizeof(*w));

    if (!w)
        return SOCKBROKER_NO_MEMORY;
    snprintf(w->name, sizeof(w->name), "%s", parts[1]);
    w->pauses = !strcmp(parts[0], "paused");
    if (!w->pauses) {
        w->wanted = (uint32_t)strtoul(parts[2], NULL, 10);
        w->configured = (uint32_t)strtoul(parts[3], NULL, 10);
    }
    DL_APPEND(b->wishes, w);
    return SOCKBROKER_OK;
}

void sb_wishes_pause(struct sb_broker *b)
{
    const struct sb_wish *w;

    DL_FOREACH(b->wishes, w) {
        struct sb_endpoint *e = w->pauses ? sb_endpoint_find(b, w->name) : NULL;

        if (!e)
            continue;
        sb_endpoint_set_paused(e, true);
        sb_log(SB_LOG_NOTICE, "endpoint_paused", "endpoint=%s cause=\"it was, before the crash\"", e->config.name);
    }
}

uint32_t sb_wishes_wanted(const struct sb_broker *b, const struct sb_group_config *config)
{
    const struct sb_wish *w;

    DL_FOREACH(b->wishes, w) {
        if (!w->pauses && !strcmp(w->name, config->name) && w->configured == config->spawn)
            return w->wanted;
    }
    return config->spawn;
}

void sb_wishes_clear(struct sb_broker *b)
{
    struct sb_wish *w, *tmp;

    DL_FOREACH_SAFE(b->wishes, w, tmp) {
        DL_DELETE(b->wishes, w);
        free(w);
    }
    sb_custody_note(b);
}
