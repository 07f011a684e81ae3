#include <string.h>

#include "tests/support/kit.h"

void kit_status(struct kit_broker *b, struct sb_status_report *report_out)
{
    struct sb_client *client;
    struct sockbroker_error error;
    sockbroker_status st = sb_ask_open(b->dir, &client, &error);

    if (!st) {
        st = sb_ask_status(client, report_out, &error);
        sb_client_close(client);
    }
    if (st)
        kit_fail("no status: %s", error.text);
}

void kit_broker_wait_status(struct kit_broker *b, kit_predicate *predicate, void *arg, const char *what)
{
    uint64_t end_ms = kit_now_ms() + KIT_WAIT_MS;
    bool holds;

    do {
        struct sb_status_report r;

        kit_status(b, &r);
        holds = predicate(&r, arg);
        sb_status_report_deinit(&r);
        if (!holds && kit_now_ms() > end_ms)
            kit_fail("the broker's status never showed: %s", what);
        if (!holds)
            kit_pause(10);
    } while (!holds);
}

/* ---- what is often waited for ---- */

static bool has_ready(const struct sb_status_report *r, void *arg)
{
    unsigned n = 0;

    for (size_t i = 0; i < r->n_sessions; i++)
        n += !strcmp(r->sessions[i].state, "ready");
    return n == *(unsigned *)arg;
}

void kit_broker_wait_ready(struct kit_broker *b, unsigned n)
{
    kit_broker_wait_status(b, has_ready, &n, "as many ready workers as wanted");
}

struct wanted {
    const char *worker;
    const char *state;
};

static bool is_in_state(const struct sb_status_report *r, void *arg)
{
    const struct wanted *w = arg;
    const struct sb_session_status *s = kit_find_session(r, w->worker);

    return !strcmp(s ? s->state : "gone", w->state);
}

void kit_broker_wait_worker(struct kit_broker *b, const char *worker, const char *state)
{
    struct wanted w = { worker, state };

    kit_broker_wait_status(b, is_in_state, &w, "that worker in that state");
}

static bool is_settled(const struct sb_status_report *r, void *arg)
{
    uint64_t on_its_way = 0;

    (void)arg;
    for (size_t i = 0; i < r->n_sessions; i++)
        on_its_way += r->sessions[i].unacked;
    for (size_t i = 0; i < r->n_endpoints; i++)
        on_its_way += r->endpoints[i].counters.held;
    return !on_its_way;
}

void kit_broker_wait_settled(struct kit_broker *b)
{
    kit_broker_wait_status(b, is_settled, NULL, "nothing held, nothing on its way");
}

/* ---- in a report ---- */

const struct sb_endpoint_status *kit_endpoint(const struct sb_status_report *r, const char *name)
{
    for (size_t i = 0; i < r->n_endpoints; i++) {
        if (!strcmp(r->endpoints[i].name, name))
            return &r->endpoints[i];
    }
    kit_fail("the status has no endpoint %s", name);
}

const struct sb_session_status *kit_find_session(const struct sb_status_report *r, const char *name)
{
    for (size_t i = 0; i < r->n_sessions; i++) {
        if (!strcmp(r->sessions[i].name, name))
            return &r->sessions[i];
    }
    return NULL;
}

const struct sb_session_status *kit_session(const struct sb_status_report *r, const char *name)
{
    const struct sb_session_status *s = kit_find_session(r, name);

    if (!s)
        kit_fail("the status has no worker %s", name);
    return s;
}

struct sb_endpoint_counters kit_counters(struct kit_broker *b, const char *endpoint)
{
    struct sb_status_report r;

    kit_status(b, &r);
    struct sb_endpoint_counters counters = kit_endpoint(&r, endpoint)->counters;
    sb_status_report_deinit(&r);
    return counters;
}

struct sb_session_status kit_worker_status(struct kit_broker *b, const char *worker)
{
    struct sb_status_report r;

    kit_status(b, &r);
    struct sb_session_status s = *kit_session(&r, worker);
    sb_status_report_deinit(&r);
    return s;
}
