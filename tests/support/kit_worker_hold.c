/* Keeps connections open, on one thread: the pollable descriptor of the worker among those of its connections. */
#include <stdlib.h>

#include "tests/support/kit_worker.h"

#define HELD_MAX 4096

struct held {
    struct sockbroker_conn conns[HELD_MAX];
    struct net_event events[HELD_MAX + 2]; /* told, the worker, the connections */
    unsigned n;
    sockbroker_status st; /* of next(): AGAIN while more may come */
};

static void drop(struct kit_task *t, struct held *h, unsigned i)
{
    kit_worker_over(t, &h->conns[i]);
    h->conns[i] = h->conns[--h->n];
    h->events[i + 2] = h->events[h->n + 2];
}

static void take_more(struct kit_task *t, struct held *h)
{
    struct sockbroker_conn conn;

    while (h->n < HELD_MAX && !(h->st = sockbroker_worker_next(t->worker, 0, &conn))) {
        atomic_fetch_add(&t->journal->begun, 1);
        kit_worker_say("took %llu", (unsigned long long)conn.info.lease_id);
        kit_worker_answer(t, &conn, NULL);
        h->events[h->n + 2] = (struct net_event){ .sock = conn.sock };
        h->conns[h->n++] = conn;
    }
    if (h->st == SOCKBROKER_NO_DESCRIPTORS) {
        kit_worker_say("no descriptors");
        h->st = SOCKBROKER_AGAIN;
    }
    if (h->st != SOCKBROKER_AGAIN) {
        kit_worker_say_end(t, h->st);
        h->events[1].sock = SOCKBROKER_SOCKET_NONE;
    }
}

static void take_order(struct kit_task *t, struct held *h)
{
    net_hear(t->told);
    while (atomic_load(&t->release) && h->n)
        drop(t, h, h->n - 1);
    atomic_store(&t->release, false);
}

static void look(struct kit_task *t, struct held *h)
{
    for (unsigned i = h->n; i-- > 0;) {
        if (h->events[i + 2].is_ready)
            drop(t, h, i); /* the client has closed; it says nothing else */
    }
    if (h->events[0].is_ready)
        take_order(t, h);
    if (h->events[1].is_ready)
        take_more(t, h);
}

void kit_worker_hold(void *arg)
{
    struct kit_task *t = arg;
    struct held *h = calloc(1, sizeof(*h));

    if (!h)
        abort();
    h->st = SOCKBROKER_AGAIN;
    h->events[0] = (struct net_event){ .sock = t->told };
    h->events[1] = (struct net_event){ .sock = sockbroker_worker_fd(t->worker) };
    take_more(t, h);
    while (h->st == SOCKBROKER_AGAIN || (h->st == SOCKBROKER_DRAINING && h->n)) {
        if (net_wait(h->events, h->n + 2, -1))
            look(t, h);
    }
    while (h->n)
        drop(t, h, h->n - 1);
    free(h);
}
