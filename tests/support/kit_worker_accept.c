/* Accepts by itself, on one thread, and serves what is handed over as well: what waited in a dead worker's queue, for example.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/format.h"
#include "tests/support/kit_orders.h"
#include "tests/support/kit_watch.h"
#include "tests/support/kit_worker.h"

#define REST_MAX 4096 /* of a queue, at the end */
#define SOCKETS_MAX 64
#define LOOK_MS 1000 /* a wake-up dies with its worker */

static sockbroker_socket sockets[SOCKETS_MAX];
static atomic_uint n_sockets; /* orders come on another thread; a socket is there before it counts */

unsigned kit_worker_fetch(struct kit_task *t, const char *endpoint, unsigned index)
{
    struct sockbroker_error error;
    struct sockbroker_conn conn;
    unsigned n;
    sockbroker_status st = sockbroker_worker_socket(t->worker, endpoint, index, &conn, &n, &error);

    if (st) {
        kit_worker_say("not got %s %u: %s: %s", endpoint, index, sockbroker_status_name(st), error.text);
        return 0;
    }
    if (t->mode == KIT_ACCEPT && n_sockets < SOCKETS_MAX) {
        kit_watch_add(conn.sock, true);
        sockets[n_sockets] = conn.sock;
        n_sockets++;
    }
    kit_worker_say("got %s %u of %u as %d", endpoint, index, n, (int)conn.sock);
    return n;
}

void kit_worker_prepare_accept(struct kit_task *t)
{
    char names[512];
    char *rest = names;

    kit_watch_begin();
    format_text(names, sizeof(names), "%s", t->options.endpoints);
    for (char *name = kit_orders_cut(&rest, ","); name; name = kit_orders_cut(&rest, ",")) {
        unsigned n = kit_worker_fetch(t, name, 0);

        for (unsigned i = 1; i < n; i++)
            kit_worker_fetch(t, name, i);
    }
    kit_watch_add(sockbroker_worker_fd(t->worker), false);
}

/* No lease: the process id and a count make the number unlike any other. */
static void describe(const struct sockaddr_storage *sa, socklen_t len, struct sockbroker_conn *conn)
{
    static uint64_t n;

    memset(&conn->info, 0, sizeof(conn->info));
    conn->info.lease_id = (uint64_t)kit_own_pid() << 32 | ++n;
    sockbroker_addr_from_sockaddr((const struct sockaddr *)sa, (size_t)len, &conn->info.peer);
    sockbroker_addr_normalise(&conn->info.peer);
}

static void accept_one(const struct kit_task *t, sockbroker_socket listener)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    struct sockbroker_conn conn = { .sock = accept(listener, (struct sockaddr *)&sa, &len) };

    if (conn.sock == SOCKBROKER_SOCKET_NONE)
        return;
    atomic_fetch_add(&t->journal->begun, 1);
    describe(&sa, len, &conn);
    kit_worker_answer(t, &conn, NULL);
    net_close(&conn.sock);
    atomic_fetch_add(&t->journal->answered, 1);
}

static sockbroker_status take_handed_over(const struct kit_task *t)
{
    struct sockbroker_conn conn;
    sockbroker_status st;

    while (!(st = sockbroker_worker_next(t->worker, 0, &conn))) {
        atomic_fetch_add(&t->journal->begun, 1);
        kit_worker_answer(t, &conn, NULL);
        kit_worker_over(t, &conn);
    }
    return st;
}

/* The broker may have closed its own descriptors: what still waits is this worker's to serve. */
static void accept_the_rest(const struct kit_task *t)
{
    sockbroker_socket ready;

    kit_watch_drop(sockbroker_worker_fd(t->worker));
    for (unsigned i = 0; i < REST_MAX && kit_watch_wait(0, &ready); i++)
        accept_one(t, ready);
    while (n_sockets)
        net_close(&sockets[--n_sockets]);
}

void kit_worker_accept(void *arg)
{
    struct kit_task *t = arg;
    sockbroker_socket handed_over = sockbroker_worker_fd(t->worker);
    sockbroker_status st = SOCKBROKER_AGAIN;

    while (st == SOCKBROKER_AGAIN) {
        sockbroker_socket ready;

        if (!kit_watch_wait(LOOK_MS, &ready)) {
            for (unsigned i = 0; i < n_sockets; i++)
                accept_one(t, sockets[i]);
            continue;
        }
        if (ready == handed_over) {
            st = take_handed_over(t);
            continue;
        }
        atomic_fetch_add(&t->journal->woken, 1);
        accept_one(t, ready);
    }
    accept_the_rest(t);
    kit_worker_say_end(t, st);
    kit_watch_end();
}
