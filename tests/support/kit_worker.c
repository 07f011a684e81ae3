/* The worker of the tests: kit.h says what it does. Built against the public library alone. */
#include "tests/support/kit_worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "tests/support/kit_orders.h"

#define THREADS_MAX 64
#define STATE_LOOK_MS 50

struct crew {
    uv_thread_t threads[THREADS_MAX];
    unsigned n;
    atomic_uint n_working;
    struct kit_task *task;
};

static void work(void *arg)
{
    struct crew *crew = arg;

    if (crew->task->mode == KIT_HOLD)
        kit_worker_hold(crew->task);
    else if (crew->task->mode == KIT_ACCEPT)
        kit_worker_accept(crew->task);
    else
        kit_worker_serve(crew->task);
    atomic_fetch_sub(&crew->n_working, 1);
}

static void start_crew(struct crew *crew, struct kit_task *t)
{
    unsigned n = t->mode == KIT_NONE ? 0 : t->mode == KIT_HOLD || t->mode == KIT_ACCEPT ? 1 : t->n_threads;

    crew->task = t;
    atomic_store(&crew->n_working, n);
    while (crew->n < n && crew->n < THREADS_MAX) {
        if (uv_thread_create(&crew->threads[crew->n], work, crew))
            abort();
        crew->n++;
    }
}

static void say_state(struct kit_task *t, enum sockbroker_worker_state *last)
{
    static const char *const names[] = { "attaching", "ready", "draining", "refused", "closed" };
    enum sockbroker_worker_state now = sockbroker_worker_state(t->worker);

    if (now != *last)
        kit_worker_say("state %s", names[now]);
    *last = now;
}

static void fetch(struct kit_task *t, const char *order)
{
    char endpoint[SOCKBROKER_NAME_MAX + 1];
    unsigned index;

    if (sscanf(order, "fetch %63s %u", endpoint, &index) == 2)
        kit_worker_fetch(t, endpoint, index);
}

/* False: stop. */
static bool obey(struct kit_task *t, char *line)
{
    if (!strncmp(line, "fetch ", 6)) {
        fetch(t, line);
    } else if (!strncmp(line, "take ", 5)) {
        kit_worker_take(t, (unsigned)atoi(line + 5));
    } else if (!strcmp(line, "release")) {
        atomic_store(&t->release, true);
        net_ring(t->told);
    } else if (!strcmp(line, "stop")) {
        return false;
    }
    return true;
}

/* False: stop. */
static bool obey_all(struct kit_task *t, char *text)
{
    bool goes_on = true;

    for (char *line = kit_orders_cut(&text, "\r\n"); line && goes_on; line = kit_orders_cut(&text, "\r\n"))
        goes_on = obey(t, line);
    return goes_on;
}

/* Until told to stop, or the crew has nothing to do any more. */
static void command(struct kit_task *t, struct crew *crew)
{
    char text[512];
    enum sockbroker_worker_state state = SOCKBROKER_WORKER_READY;

    for (;;) {
        say_state(t, &state);
        enum kit_order order = kit_orders_wait(text, sizeof(text), STATE_LOOK_MS);

        if (order == KIT_ORDER_END || (order == KIT_ORDER_LINES && !obey_all(t, text)))
            return;
        if (crew->n && !atomic_load(&crew->n_working))
            return;
        if (!crew->n && (state == SOCKBROKER_WORKER_DRAINING || state == SOCKBROKER_WORKER_REFUSED))
            return;
    }
}

int main(int argc, char **argv)
{
    static struct kit_task task;
    static struct crew crew;
    struct sockbroker_error error;

    if (!kit_worker_read_args(&task, argc, argv))
        return 2;
    net_start(); /* a spawned one outlives the broker whose output it has */
    kit_orders_begin(!task.is_spawned);
    task.told = net_open_bell();
    sockbroker_status st = sockbroker_worker_open(&task.options, &task.worker, &error);
    if (st) {
        kit_worker_say("open gave %s: %s", sockbroker_status_name(st), error.text);
        return 1;
    }
    if (task.mode == KIT_ACCEPT)
        kit_worker_prepare_accept(&task);
    kit_worker_say("ready");
    start_crew(&crew, &task);
    command(&task, &crew);
    sockbroker_worker_stop(task.worker);
    atomic_store(&task.release, true); /* one that holds and drains does not hear of the stop */
    net_ring(task.told);
    for (unsigned i = 0; i < crew.n; i++)
        uv_thread_join(&crew.threads[i]);
    sockbroker_worker_close(task.worker);
    kit_worker_say("ended");
    net_close(&task.told);
    return 0;
}
