/* The worker of the tests: kit.h says what it does. Built against the public library alone. */
#include "tests/support/kit_worker.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define THREADS_MAX 64
#define STATE_LOOK_MS 50

struct crew {
    pthread_t threads[THREADS_MAX];
    unsigned n;
    atomic_uint n_working;
    struct kit_task *task;
};

static void *work(void *arg)
{
    struct crew *crew = arg;

    if (crew->task->mode == KIT_HOLD)
        kit_worker_hold(crew->task);
    else if (crew->task->mode == KIT_ACCEPT)
        kit_worker_accept(crew->task);
    else
        kit_worker_serve(crew->task);
    atomic_fetch_sub(&crew->n_working, 1);
    return NULL;
}

static void start_crew(struct crew *crew, struct kit_task *t)
{
    unsigned n = t->mode == KIT_NONE ? 0 : t->mode == KIT_HOLD || t->mode == KIT_ACCEPT ? 1 : t->n_threads;

    crew->task = t;
    atomic_store(&crew->n_working, n);
    while (crew->n < n && crew->n < THREADS_MAX) {
        if (pthread_create(&crew->threads[crew->n], NULL, work, crew))
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
        eventfd_write(t->told, 1);
    } else if (!strcmp(line, "stop")) {
        return false;
    }
    return true;
}

/* False: stop, or the test is gone. */
static bool read_orders(struct kit_task *t)
{
    char text[512];
    char *save = NULL;
    ssize_t n = read(0, text, sizeof(text) - 1);

    if (n <= 0)
        return false;
    text[n] = '\0';
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        if (!obey(t, line))
            return false;
    }
    return true;
}

/* Until told to stop, or the crew has nothing to do any more. */
static void command(struct kit_task *t, struct crew *crew, int signals)
{
    struct pollfd fds[] = { { t->is_spawned ? -1 : 0, POLLIN, 0 }, { signals, POLLIN, 0 } };
    enum sockbroker_worker_state state = SOCKBROKER_WORKER_READY;

    for (;;) {
        say_state(t, &state);
        if (poll(fds, 2, STATE_LOOK_MS) > 0 && (fds[1].revents || !read_orders(t)))
            return;
        if (crew->n && !atomic_load(&crew->n_working))
            return;
        if (!crew->n && (state == SOCKBROKER_WORKER_DRAINING || state == SOCKBROKER_WORKER_REFUSED))
            return;
    }
}

static int block_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int main(int argc, char **argv)
{
    static struct kit_task task;
    static struct crew crew;
    struct sockbroker_error error;
    int signals = block_signals();

    if (!kit_worker_read_args(&task, argc, argv))
        return 2;
    if (task.is_spawned)
        signal(SIGPIPE, SIG_IGN); /* it outlives the broker whose output it has */
    task.told = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    sockbroker_status st = sockbroker_worker_open(&task.options, &task.worker, &error);
    if (st) {
        kit_worker_say("open gave %s: %s", sockbroker_status_name(st), error.text);
        return 1;
    }
    if (task.mode == KIT_ACCEPT)
        kit_worker_prepare_accept(&task);
    kit_worker_say("ready");
    start_crew(&crew, &task);
    command(&task, &crew, signals);
    sockbroker_worker_stop(task.worker);
    atomic_store(&task.release, true); /* one that holds and drains does not hear of the stop */
    eventfd_write(task.told, 1);
    for (unsigned i = 0; i < crew.n; i++)
        pthread_join(crew.threads[i], NULL);
    sockbroker_worker_close(task.worker);
    kit_worker_say("ended");
    close(signals);
    close(task.told);
    return 0;
}
