#include "broker/supervise.h"

#include <stdlib.h>
#include <utlist.h>

#include "broker/config_keys.h"
#include "broker/death.h"
#include "broker/dispatch.h"
#include "broker/endpoint.h"
#include "broker/environment.h"
#include "broker/log.h"
#include "broker/session.h"
#include "broker/supervise_inside.h"
#include "broker/wishes.h"
#include "proto/clock.h"
#include "proto/error.h"
#include "proto/secret.h"

#define COME_BACK_MS 2000u    /* a worker whose broker crashed attaches again within one second */
#define KILLED_WITHIN_MS 5000 /* SIGKILL works at once, but for a process that the kernel holds */

/* ---- processes ---- */

/* Its connections go to others before anybody takes its name again. */
static void end_sessions(struct sb_broker *b, const struct sb_slot *slot)
{
    struct sb_session *s, *tmp;

    DL_FOREACH_SAFE(b->sessions, s, tmp) {
        if (s->slot != slot)
            continue;
        s->slot = NULL;
        if (s->peer.handle != SOCKBROKER_SOCKET_NONE && !sb_peer_is_alive(&s->peer))
            sb_session_end(s, "died");
        else
            sb_session_drain(s); /* killed with its leader, and not dead yet: no survivor to go on with */
    }
}

/* The loop lets go of the handle before it closes. */
static void bury(struct sb_kid *kid, char how[SB_CHILD_END_MAX])
{
    struct sb_supervisor *sup = kid->supervisor;
    struct sb_slot *slot = kid->slot;

    DL_DELETE(sup->kids, kid);
    sb_death_forget(kid->death, free);
    sb_child_bury(&kid->child, how);
    slot->process = NULL;
    end_sessions(sup->broker, slot);
}

static void on_kid_ended(void *arg)
{
    struct sb_kid *kid = arg;
    struct sb_broker *b = kid->supervisor->broker;
    struct sb_slot *slot = kid->slot;
    char how[SB_CHILD_END_MAX];

    bury(kid, how);
    sb_group_slot_ended(slot, how, sb_clock_ms());
    sb_dispatch_pump(b);
}

static sockbroker_status spawn(struct sb_broker *b, struct sb_slot *slot, struct sb_child *child_out,
                               struct sockbroker_error *error)
{
    const struct sb_group_config *c = &slot->generation->config;
    struct sb_text_list environment;
    sockbroker_status st = sb_environment_make(b, slot, &environment);

    if (st)
        return sb_error_set(error, st, 0, "%s: out of memory for its environment", c->command.texts[0]);
    const struct sb_spawn_request request = { &c->command, &environment, c->user, b->rundir.mark };
    st = sb_spawn(&request, child_out, error);
    sb_text_list_clear(&environment);
    return st;
}

static void abandon(struct sb_kid *kid)
{
    char how[SB_CHILD_END_MAX];

    sb_child_end(&kid->child, true);
    sb_child_bury(&kid->child, how);
    free(kid);
}

bool sb_kid_watch(struct sb_supervisor *sup, struct sb_kid *kid, struct sb_slot *slot)
{
    kid->supervisor = sup;
    kid->slot = slot;
    if (sb_death_watch(&sup->broker->loop, kid->child.handle, on_kid_ended, kid, &kid->death))
        return false;
    DL_APPEND(sup->kids, kid);
    slot->process = kid;
    return true;
}

static sockbroker_status start(struct sb_slot *slot, struct sockbroker_error *error_out)
{
    struct sb_supervisor *sup = slot->generation->group->owner;
    struct sb_kid *kid = calloc(1, sizeof(*kid));

    if (!kid)
        return sb_error_set(error_out, SOCKBROKER_NO_MEMORY, 0, "worker %s: out of memory", slot->name);
    sockbroker_status st = spawn(sup->broker, slot, &kid->child, error_out);
    if (st) {
        free(kid);
        return st;
    }
    if (!sb_kid_watch(sup, kid, slot)) {
        abandon(kid);
        return sb_error_set(error_out, SOCKBROKER_NO_MEMORY, 0, "worker %s: out of memory to watch it", slot->name);
    }
    sb_log(SB_LOG_INFO, "worker_started", "worker=%s pid=%u restarts=%u", slot->name, kid->child.pid, slot->n_restarts);
    return SOCKBROKER_OK;
}

static void end(struct sb_slot *slot, bool at_once)
{
    const struct sb_kid *kid = slot->process;

    if (!kid)
        return;
    sb_log(SB_LOG_INFO, at_once ? "worker_killed" : "worker_told_to_end", "worker=%s pid=%u", slot->name, kid->child.pid);
    sb_child_end(&kid->child, at_once);
}

/* ---- sessions ---- */

static struct sb_broker *broker_of(const struct sb_slot *slot)
{
    const struct sb_supervisor *sup = slot->generation->group->owner;

    return sup->broker;
}

static void admit(struct sb_slot *slot)
{
    struct sb_session *s;

    DL_FOREACH(broker_of(slot)->sessions, s) {
        if (s->slot == slot)
            sb_session_admit(s);
    }
}

static void drain(struct sb_slot *slot)
{
    struct sb_session *s, *tmp;

    DL_FOREACH_SAFE(broker_of(slot)->sessions, s, tmp) {
        if (s->slot == slot)
            sb_session_drain(s);
    }
}

/* One that accepts by itself holds connections that nobody counts. */
static bool accepts(const struct sb_session *s)
{
    for (uint32_t i = 0; i < s->n_places; i++) {
        if (s->places[i].endpoint && s->places[i].endpoint->config.mode != SB_MODE_HANDOFF)
            return true;
    }
    return false;
}

static bool is_idle(const struct sb_slot *slot)
{
    const struct sb_session *s;

    DL_FOREACH(broker_of(slot)->sessions, s) {
        if (s->slot == slot && (s->n_open || s->n_unacked || s->n_grants || accepts(s)))
            return false;
    }
    return true;
}

static uint32_t random_number(void)
{
    uint32_t number = 0;

    sb_secret_fill(&number, sizeof(number)); /* failing, nothing is jittered */
    return number;
}

const struct sb_group_ops sb_supervise_ops = { sb_supervise_adopt, start,        admit, drain, is_idle, end,
                                               sb_supervise_note,  random_number };

void sb_supervise_attached(struct sb_session *s)
{
    struct sb_supervisor *sup = s->broker->supervisor;
    struct sb_kid *kid;

    for (kid = sup ? sup->kids : NULL; kid; kid = kid->next) {
        if (!sb_child_has(&kid->child, s->peer.pid))
            continue;
        s->slot = kid->slot;
        return;
    }
}

bool sb_supervise_is_on_standby(const struct sb_session *s)
{
    return s->slot && s->slot->generation->standby;
}

/* A slot that shall leave may get another session: its worker attached late, or again. */
void sb_supervise_ready(struct sb_session *s)
{
    if (!s->slot)
        return;
    sb_group_slot_ready(s->slot, sb_clock_ms());
    if (s->slot->state != SB_SLOT_READY)
        sb_session_drain(s);
}

void sb_supervise_drained(struct sb_session *s)
{
    if (s->slot)
        sb_group_slot_drained(s->slot, sb_clock_ms());
}

/* ---- life ---- */

static void open_groups(struct sb_supervisor *sup)
{
    const struct sb_config *c = &sup->broker->config;

    sup->open_at_ms = 0;
    for (size_t i = 0; i < c->n_groups; i++) {
        if (sb_supervise_add(sup, &c->groups[i]))
            sb_log(SB_LOG_ERROR, "group_failed", "group=%s cause=\"out of memory\" cure=\"reload\"", c->groups[i].name);
        sb_supervise_drain_others(sup, c->groups[i].name);
    }
    sb_wishes_clear(sup->broker);
}

sockbroker_status sb_supervise_open(struct sb_broker *b, struct sockbroker_error *error_out)
{
    struct sb_supervisor *sup = calloc(1, sizeof(*sup));

    if (!sup)
        return sb_error_set(error_out, SOCKBROKER_NO_MEMORY, 0, "out of memory");
    sup->broker = b;
    b->supervisor = sup;
    return SOCKBROKER_OK;
}

void sb_supervise_start(struct sb_broker *b)
{
    struct sb_supervisor *sup = b->supervisor;

    if (b->taking) {
        sb_supervise_resume(sup);
    } else if (b->rundir.was_left && b->config.n_groups) {
        sup->open_at_ms = sb_clock_ms() + COME_BACK_MS;
        sb_log(SB_LOG_NOTICE, "workers_waited_for", "ms=%u cause=\"the broker before did not end in good order\"",
               COME_BACK_MS);
    } else {
        open_groups(sup);
    }
}

static void free_group(struct sb_supervisor *sup, struct sb_group *g)
{
    DL_DELETE(sup->groups, g);
    sb_group_destroy(g);
}

void sb_supervise_close(struct sb_broker *b)
{
    struct sb_supervisor *sup = b->supervisor;
    struct sb_kid *kid, *kid_tmp;
    struct sb_group *g, *g_tmp;
    char how[SB_CHILD_END_MAX];

    if (!sup)
        return;
    DL_FOREACH(sup->kids, kid)
        sb_child_end(&kid->child, true);
    DL_FOREACH_SAFE(sup->kids, kid, kid_tmp) {
        if (!sb_child_wait(&kid->child, KILLED_WITHIN_MS))
            sb_log(SB_LOG_ERROR, "worker_survives", "worker=%s pid=%u cause=\"the system does not end it\"", kid->slot->name,
                   kid->child.pid);
        bury(kid, how);
    }
    DL_FOREACH_SAFE(sup->groups, g, g_tmp)
        free_group(sup, g);
    b->supervisor = NULL;
    free(sup);
}

void sb_supervise_tick(struct sb_broker *b, uint64_t now_ms)
{
    struct sb_supervisor *sup = b->supervisor;
    struct sb_group *g, *tmp;

    DL_FOREACH_SAFE(sup->groups, g, tmp) {
        sb_group_tick(g, now_ms);
        if (sb_group_is_over(g))
            free_group(sup, g);
    }
    if (sup->open_at_ms && now_ms >= sup->open_at_ms) {
        open_groups(sup);
        if (sup->stop_after)
            sb_broker_stop(b);
    }
    if (!sup->again || sb_supervise_is_rolling(b, false))
        return;
    sup->again = false;
    sb_broker_reload(b);
}

bool sb_supervise_holds_stop(struct sb_broker *b)
{
    struct sb_supervisor *sup = b->supervisor;

    if (!sup || !sup->open_at_ms)
        return false;
    if (sup->stop_after) {
        open_groups(sup);
        return false;
    }
    sup->stop_after = true;
    sb_log(SB_LOG_NOTICE, "stop_waits", "cause=\"workers of the broker before are waited for\" cure=\"a second signal\"");
    return true;
}

void sb_supervise_rest(struct sb_broker *b)
{
    struct sb_group *g;

    DL_FOREACH(b->supervisor->groups, g)
        sb_group_rest(g, sb_clock_ms());
}

bool sb_supervise_stop(struct sb_broker *b, uint64_t since_ms, uint64_t now_ms)
{
    struct sb_group *g;

    DL_FOREACH(b->supervisor->groups, g)
        sb_group_leave(g, since_ms, now_ms);
    return !b->supervisor->groups && !b->supervisor->kids;
}
