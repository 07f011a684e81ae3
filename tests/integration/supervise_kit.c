#include <string.h>

#include "tests/integration/supervise_kit.h"

int supervise_setup(void **state)
{
    supervise_take_orphans();
    return kit_setup(state);
}

int supervise_teardown(void **state)
{
    int result = kit_teardown(state);

    supervise_end_orphans();
    return result;
}

struct kit_broker *start(const struct kit_start *how)
{
    struct kit_broker *b = kit_broker_launch(how);

    kit_broker_wait_log(b, "event=ready");
    return b;
}

int run(struct kit_broker *b, char output[OUTPUT], const char *command, const char *first, const char *second)
{
    const char *args[8] = { command, "--dir", b->dir };
    size_t n = 3;

    if (first)
        args[n++] = first;
    if (second)
        args[n++] = second;
    return kit_run(args, output, OUTPUT);
}

void must_run(struct kit_broker *b, const char *command, const char *first, const char *second)
{
    char output[OUTPUT];

    if (run(b, output, command, first, second))
        kit_fail("%s: %s", command, output);
}

const struct sb_slot_status *find_slot(const struct sb_status_report *r, const char *worker)
{
    for (size_t i = 0; i < r->n_slots; i++) {
        if (!strcmp(r->slots[i].worker, worker))
            return &r->slots[i];
    }
    return NULL;
}

struct sb_slot_status slot_now(struct kit_broker *b, const char *worker)
{
    struct sb_status_report r;

    kit_status(b, &r);
    const struct sb_slot_status *found = find_slot(&r, worker);
    if (!found)
        kit_fail("no slot %s", worker);
    struct sb_slot_status slot = *found;
    sb_status_report_deinit(&r);
    return slot;
}

struct wanted {
    const char *name, *state;
};

static bool slot_is(const struct sb_status_report *r, void *arg)
{
    const struct wanted *w = arg;
    const struct sb_slot_status *slot = find_slot(r, w->name);

    return !strcmp(slot ? slot->state : "gone", w->state);
}

void wait_slot(struct kit_broker *b, const char *worker, const char *state)
{
    struct wanted w = { worker, state };

    kit_broker_wait_status(b, slot_is, &w, "that slot in that state");
}

static bool has_generations(const struct sb_status_report *r, void *arg)
{
    return r->n_generations == *(size_t *)arg;
}

void wait_generations(struct kit_broker *b, size_t n)
{
    kit_broker_wait_status(b, has_generations, &n, "as many generations as wanted");
}

sockbroker_socket held_connection(struct kit_broker *b, struct kit_answer *a)
{
    sockbroker_socket sock = kit_connect(NULL, "::1", kit_broker_port(b, "web"));

    kit_read_answer(sock, a);
    return sock;
}

struct kit_answer ask(struct kit_broker *b)
{
    struct kit_answer a;

    kit_read_only_answer(kit_connect(NULL, "127.0.0.1", kit_broker_port(b, "web")), &a);
    return a;
}

static bool holds(const struct sb_status_report *r, void *arg)
{
    return kit_endpoint(r, "web")->counters.held == *(uint64_t *)arg;
}

void wait_held(struct kit_broker *b, uint64_t n)
{
    kit_broker_wait_status(b, holds, &n, "as many held as wanted");
}
