/* kit_worker.h: inside the test worker. What it says and is told stands in kit.h. */
#ifndef SB_TESTS_SUPPORT_KIT_WORKER_H
#define SB_TESTS_SUPPORT_KIT_WORKER_H

#include <stdatomic.h>
#include <stdbool.h>

#include "proto/printf.h"
#include "sockbroker/sockbroker.h"
#include "sockbroker/worker.h"
#include "tests/support/kit_journal.h"
#include "tests/support/net.h"

enum kit_mode { KIT_HELLO, KIT_ECHO, KIT_HOLD, KIT_NONE, KIT_ACCEPT };

struct kit_task {
    struct sockbroker_worker_options options;
    enum kit_mode mode;
    unsigned n_threads;
    bool reports_finish;
    bool is_spawned; /* by the broker: standard input is no order */
    unsigned pause_ms;
    struct kit_journal_page *journal; /* never NULL */
    struct sockbroker_worker *worker;
    sockbroker_socket told; /* a bell: the hold thread looks at `release` */
    atomic_bool release;
};

/* False with a sentence on stderr. */
bool kit_worker_read_args(struct kit_task *task, int argc, char **argv);

/* Thread bodies; they end when next() will not give any more. */
void kit_worker_serve(void *task);
void kit_worker_hold(void *task);
void kit_worker_accept(void *task);

/* mode accept, before its thread: the sockets of all its endpoints, as far as the broker gives them. */
void kit_worker_prepare_accept(struct kit_task *task);

/* Asks for a socket of an endpoint and says what came of it. It stays open. Returns how many there are, 0 when it got none. */
unsigned kit_worker_fetch(struct kit_task *task, const char *endpoint, unsigned index);

/* mode none: as many as told, then back. */
void kit_worker_take(struct kit_task *task, unsigned n);

/* Says "NAME PID FAMILY LEASE PORT[ ECHO]\n" to the client. */
void kit_worker_answer(const struct kit_task *task, const struct sockbroker_conn *conn, const char *echo);

/* The connection is over: closed and reported. */
void kit_worker_over(const struct kit_task *task, const struct sockbroker_conn *conn);

/* One line on standard output, whole. */
void kit_worker_say(const char *format, ...) SB_PRINTF(1, 2);

/* Why next() gives no more. */
void kit_worker_say_end(struct kit_task *task, sockbroker_status st);

#endif
