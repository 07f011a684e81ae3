#include "sockbroker/worker.h"

#include <stdlib.h>
#include <string.h>

#include "client-lib/arrival.h"
#include "client-lib/options.h"
#include "client-lib/report.h"
#include "client-lib/worker_state.h"
#include "proto/clock.h"
#include "proto/error.h"
#include "proto/socket.h"

/* ---- open and close ---- */

static sockbroker_status set_up(struct sockbroker_worker *w, const struct sockbroker_worker_options *options,
                                struct sockbroker_error *error)
{
    sockbroker_status st = sb_options_read(options, &w->attach, w->dir, &w->attach_timeout_ms, error);

    if (st)
        return st;
    sb_rundir_path(w->dir, SB_RUNDIR_CONTROL, w->control_path);
    st = sb_channel_prepare(error);
    if (st)
        return st;
    st = sb_lock_create(&w->lock);
    if (!st)
        st = sb_wake_open(&w->wake);
    if (st)
        return sb_error_set(error, st, 0, "worker %s: %s", w->attach.name, sockbroker_status_text(st));
    return SOCKBROKER_OK;
}

/* Without a broker the control thread goes on looking for one, if that was asked for. */
static sockbroker_status connect_first(struct sockbroker_worker *w, bool wait_for_broker, struct sockbroker_error *error)
{
    sockbroker_status st = sb_control_connect(w, error);

    if (st == SOCKBROKER_NO_BROKER && wait_for_broker)
        st = SOCKBROKER_OK;
    if (!st && sb_thread_create(sb_control_run, w, &w->thread))
        st = sb_error_set(error, SOCKBROKER_NO_MEMORY, 0, "no thread for the control channel");
    return st;
}

sockbroker_status sockbroker_worker_open(const struct sockbroker_worker_options *options, struct sockbroker_worker **worker_out,
                                         struct sockbroker_error *error_out)
{
    static const struct sb_wake no_wake = SB_WAKE_NONE;
    struct sockbroker_worker *w = calloc(1, sizeof(*w));

    if (!w)
        return sb_error_set(error_out, SOCKBROKER_NO_MEMORY, 0, "out of memory for a worker");
    w->owner = sb_process_epoch();
    w->wake = no_wake;
    w->state = SOCKBROKER_WORKER_ATTACHING;
    sockbroker_status st = set_up(w, options, error_out);
    if (!st)
        st = connect_first(w, options->wait_for_broker, error_out);
    if (st) {
        sockbroker_worker_close(w);
        return st;
    }
    *worker_out = w;
    return SOCKBROKER_OK;
}

static bool is_forked(const struct sockbroker_worker *w)
{
    return w->owner != sb_process_epoch();
}

void sockbroker_worker_stop(struct sockbroker_worker *w)
{
    if (is_forked(w))
        return;
    sb_lock_take(w->lock);
    sb_worker_set_state(w, SOCKBROKER_WORKER_CLOSED);
    w->stopping = true;
    sb_lock_wake(w->lock);
    sb_lock_drop(w->lock);
}

/* A forked child closes its copies of the descriptors and leaves nng, the lock and the session to the parent. */
static void abandon(struct sockbroker_worker *w)
{
    if (w->link)
        sb_socket_close(&w->link->end);
    if (w->old_link)
        sb_socket_close(&w->old_link->end);
    sb_pending_deinit(&w->pending);
    sb_wake_close(&w->wake);
}

static void shut(struct sockbroker_worker *w)
{
    if (w->lock) {
        sockbroker_worker_stop(w);
        sb_thread_join(w->thread);
        sb_control_leave(w);
        sb_link_drop(w, w->link);
        sb_link_drop(w, w->old_link);
    }
    sb_pending_deinit(&w->pending);
    sb_wake_close(&w->wake);
    sb_lock_destroy(w->lock);
    free(w);
}

struct sockbroker_worker *sockbroker_worker_close(struct sockbroker_worker *w)
{
    if (w && is_forked(w))
        abandon(w);
    else if (w)
        shut(w);
    return NULL;
}

/* ---- connections ---- */

static int remaining_ms(uint64_t deadline_ms)
{
    uint64_t now_ms = sb_clock_ms();

    return now_ms >= deadline_ms ? 0 : (int)(deadline_ms - now_ms);
}

sockbroker_status sockbroker_worker_next(struct sockbroker_worker *w, int timeout_ms, struct sockbroker_conn *conn_out)
{
    uint64_t deadline_ms = timeout_ms > 0 ? sb_clock_ms() + (uint64_t)timeout_ms : 0;

    if (is_forked(w))
        return SOCKBROKER_FORKED;
    for (;;) {
        sockbroker_status st = sb_arrival_take(w, timeout_ms < 0, conn_out);

        if (st != SOCKBROKER_AGAIN || timeout_ms == 0)
            return st;
        int wait_ms = timeout_ms < 0 ? -1 : remaining_ms(deadline_ms);
        if (wait_ms == 0)
            return SOCKBROKER_TIMEOUT;
        sb_wake_wait(&w->wake, wait_ms);
    }
}

/* ---- the rest ---- */

sockbroker_socket sockbroker_worker_fd(const struct sockbroker_worker *w)
{
    return w->wake.set;
}

sockbroker_status sockbroker_worker_finished(struct sockbroker_worker *w, uint64_t lease_id)
{
    if (is_forked(w))
        return SOCKBROKER_FORKED;
    sb_report_finished(w, lease_id);
    return SOCKBROKER_OK;
}

enum sockbroker_worker_state sockbroker_worker_state(struct sockbroker_worker *w)
{
    if (is_forked(w))
        return SOCKBROKER_WORKER_CLOSED;
    sb_lock_take(w->lock);
    enum sockbroker_worker_state state = w->state;
    sb_lock_drop(w->lock);
    return state;
}

void sockbroker_worker_error(struct sockbroker_worker *w, struct sockbroker_error *error_out)
{
    if (is_forked(w)) {
        sb_error_set(error_out, SOCKBROKER_FORKED, 0, "worker %s was opened before a fork; open a new one in the child",
                     w->attach.name);
        return;
    }
    sb_lock_take(w->lock);
    *error_out = w->error;
    sb_lock_drop(w->lock);
}

uint64_t sockbroker_worker_open_count(struct sockbroker_worker *w)
{
    if (is_forked(w))
        return 0;
    sb_lock_take(w->lock);
    uint64_t n = w->n_open;
    sb_lock_drop(w->lock);
    return n;
}
