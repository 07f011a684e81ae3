#include "broker/waiter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "broker/control.h"
#include "broker/session.h"
#include "broker/supervise.h"

#define WAITERS_MAX 32 /* each holds a call of the control channel */

struct sb_waiter {
    struct sb_call *call;
    uint64_t *session_ids;
    size_t n_sessions;
    size_t n_matched;
    struct sb_waiter *prev, *next;
};

static bool matches(const struct sb_drain *d, const struct sb_session *s)
{
    char id[24];

    if (d->by_generation)
        return s->generation == d->generation;
    snprintf(id, sizeof(id), "%llu", (unsigned long long)s->key.id);
    return !strcmp(d->worker, s->name) || !strcmp(d->worker, id);
}

static bool is_done(struct sb_broker *b, uint64_t session_id)
{
    const struct sb_session *s = sb_session_find(b, session_id);

    return !s || (!s->n_unacked && !s->n_open);
}

static void answer(struct sb_call *call, size_t n)
{
    struct sb_reply reply = { .kind = SB_REPLY_DONE };

    reply.as.done_count = n;
    sb_call_reply(call, &reply);
}

static void free_waiter(struct sb_waiter *w)
{
    if (w)
        free(w->session_ids);
    free(w);
}

static void finish(struct sb_broker *b, struct sb_waiter *w)
{
    DL_DELETE(b->waiters, w);
    answer(w->call, w->n_matched);
    free_waiter(w);
}

static bool all_done(struct sb_broker *b, struct sb_waiter *w)
{
    while (w->n_sessions && is_done(b, w->session_ids[w->n_sessions - 1]))
        w->n_sessions--;
    return !w->n_sessions;
}

void sb_waiters_check(struct sb_broker *b)
{
    struct sb_waiter *w, *tmp;

    DL_FOREACH_SAFE(b->waiters, w, tmp) {
        if (all_done(b, w))
            finish(b, w);
    }
}

void sb_waiters_tick(struct sb_broker *b)
{
    struct sb_waiter *w, *tmp;

    DL_FOREACH_SAFE(b->waiters, w, tmp) {
        if (sb_call_is_lost(w->call))
            finish(b, w);
    }
}

void sb_waiters_end(struct sb_broker *b)
{
    struct sb_waiter *w, *tmp;

    DL_FOREACH_SAFE(b->waiters, w, tmp)
        finish(b, w);
}

/* NULL: out of memory, or too many wait already. */
static struct sb_waiter *make_waiter(struct sb_broker *b, struct sb_call *call)
{
    struct sb_waiter *w, *other;
    size_t n;

    DL_COUNT(b->waiters, other, n);
    w = n < WAITERS_MAX ? calloc(1, sizeof(*w)) : NULL;
    if (!w)
        return NULL;
    w->call = call;
    w->session_ids = calloc(b->n_sessions + 1, sizeof(uint64_t));
    if (w->session_ids)
        return w;
    free_waiter(w);
    return NULL;
}

static size_t drain_matching(struct sb_broker *b, const struct sb_drain *drain, struct sb_waiter *w)
{
    struct sb_session *s, *tmp;
    size_t n = 0;

    DL_FOREACH_SAFE(b->sessions, s, tmp) {
        if (!matches(drain, s))
            continue;
        if (w)
            w->session_ids[w->n_sessions++] = s->key.id;
        n++;
        sb_supervise_drained(s);
        sb_session_drain(s);
    }
    return n;
}

void sb_waiter_drain(struct sb_broker *b, const struct sb_drain *drain, struct sb_call *call)
{
    struct sb_waiter *w = drain->wait ? make_waiter(b, call) : NULL;

    if (drain->wait && !w) {
        sb_control_fail(call, SOCKBROKER_BUSY, "too many callers wait for drains already; try again later");
        return;
    }
    size_t n = drain_matching(b, drain, w);
    if (n && w) {
        w->n_matched = n;
        DL_APPEND(b->waiters, w);
        sb_waiters_check(b);
        return;
    }
    free_waiter(w);
    if (n)
        answer(call, n);
    else
        sb_control_fail(call, SOCKBROKER_NOT_FOUND, "no worker matches; `sockbroker status` lists them");
}
