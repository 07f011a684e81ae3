/* supervise_adopt.c: workers of a broker that crashed. They outlive it and attach to the next one, which goes on with them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "broker/ids.h"
#include "broker/log.h"
#include "broker/process.h"
#include "broker/session.h"
#include "broker/supervise_inside.h"

/* The generation in GROUP-GENERATION-NUMBER; 0 when the name is not of that form. */
static uint64_t generation_in(const char *name, const char *group)
{
    size_t len = strlen(group);
    unsigned long long generation;
    unsigned number;
    char more;

    if (strncmp(name, group, len) || sscanf(name + len, "-%llu-%u%c", &generation, &number, &more) != 2)
        return 0;
    return generation;
}

static bool is_survivor(const struct sb_session *s, const char *group)
{
    return !s->slot && s->state == SB_SESSION_READY && s->generation && s->generation == generation_in(s->name, group);
}

/* Nobody else gets our place by taking a name. */
static bool runs_as_it_should(const struct sb_session *s, const struct sb_account *user)
{
    return user ? s->peer.uid == user->uid : sb_process_is_own_user(s->peer.uid);
}

bool sb_supervise_adopt(struct sb_slot *slot)
{
    struct sb_supervisor *sup = slot->generation->group->owner;
    struct sb_session *s = sb_session_find_name(sup->broker, slot->name);
    struct sb_kid *kid = NULL;
    char how[SB_CHILD_END_MAX];

    if (!s || !is_survivor(s, slot->generation->group->name) || !runs_as_it_should(s, slot->generation->config.user))
        return false;
    kid = calloc(1, sizeof(*kid));
    if (!kid || sb_child_adopt(s->peer.pid, s->peer.handle, &kid->child)) {
        free(kid);
        return false;
    }
    if (!sb_kid_watch(sup, kid, slot)) {
        sb_child_bury(&kid->child, how);
        free(kid);
        return false;
    }
    s->slot = slot;
    sb_log(SB_LOG_NOTICE, "worker_adopted", "worker=%s pid=%u", slot->name, kid->child.pid);
    return true;
}

uint64_t sb_supervise_first_number(struct sb_supervisor *sup, const char *group)
{
    const struct sb_session *s;
    uint64_t newest = 1;

    DL_FOREACH(sup->broker->sessions, s) {
        if (is_survivor(s, group) && s->generation > newest)
            newest = s->generation;
    }
    return newest;
}

void sb_supervise_drain_others(struct sb_supervisor *sup, const char *group)
{
    struct sb_session *s, *tmp;

    DL_FOREACH_SAFE(sup->broker->sessions, s, tmp) {
        if (is_survivor(s, group))
            sb_session_drain(s);
    }
}
