#include "broker/broker.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "broker/config_system.h"
#include "broker/control.h"
#include "broker/custody.h"
#include "broker/deposit.h"
#include "broker/dispatch.h"
#include "broker/endpoint.h"
#include "broker/greeting.h"
#include "broker/limits.h"
#include "broker/log.h"
#include "broker/mailbox.h"
#include "broker/notify.h"
#include "broker/outbound.h"
#include "broker/process.h"
#include "broker/reload.h"
#include "broker/session.h"
#include "broker/signals.h"
#include "broker/supervise.h"
#include "broker/takeover.h"
#include "broker/ticker.h"
#include "broker/waiter.h"
#include "broker/watch.h"
#include "broker/wishes.h"
#include "proto/clock.h"
#include "proto/error.h"
#include "proto/secret.h"
#include "proto/thread.h"
#include "sockbroker/sockbroker.h"

#define IDLE_AFTER_HEARTBEATS 4u /* a living worker has a Next parked; one that was stopped connects again */
#define FREE_CALLS 256u          /* beyond one parked Next for each worker */
#define CALLERS_SPARE 128u       /* connected processes beyond one for each worker */

/* ---- events ---- */

static void on_control(uv_async_t *async)
{
    sb_control_serve(async->data);
}

/* Runs on nng's threads. */
static void wake_control(void *arg)
{
    struct sb_broker *b = arg;

    uv_async_send(&b->control_wake);
}

/* Nothing is on its way, or nobody is left to take it, or the time is up. */
static bool is_handed_over(const struct sb_broker *b)
{
    return !b->leases.n_conns || !b->n_sessions || sb_clock_ms() >= b->stop_at_ms;
}

/* Workers that the broker started end after that. */
static bool has_stopped(struct sb_broker *b)
{
    return is_handed_over(b) && sb_supervise_stop(b, b->stop_began_ms, sb_clock_ms());
}

static void on_tick(void *arg)
{
    struct sb_broker *b = arg;

    sb_watch_tick(b);
    sb_giving_tick(b, sb_clock_ms());
    sb_taking_tick(b, sb_clock_ms());
    if (b->state == SB_BROKER_STOPPING && has_stopped(b))
        uv_stop(&b->loop);
}

static void on_signal(void *arg, enum sb_signal what, const char *how)
{
    static const struct sb_upgrade as_it_is;
    struct sb_broker *b = arg;

    sb_log(SB_LOG_NOTICE, "signal", "name=\"%s\"", how);
    switch (what) {
    case SB_SIGNAL_UPGRADE:
        sb_giving_begin(b, &as_it_is, NULL);
        break;
    case SB_SIGNAL_STOP:
        if (!sb_giving_holds_stop(b) && !sb_supervise_holds_stop(b))
            sb_broker_stop(b);
        break;
    case SB_SIGNAL_RELOAD:
        sb_broker_reload(b);
        break;
    }
}

/* ---- stop and reload ---- */

void sb_broker_stop(struct sb_broker *b)
{
    struct sb_endpoint *e;
    struct sb_session *s, *tmp;

    if (b->state == SB_BROKER_STOPPING) {
        uv_stop(&b->loop);
        return;
    }
    sb_giving_cancel(b);
    sb_wishes_end(b);
    sb_notify_stopping();
    b->state = SB_BROKER_STOPPING;
    b->stop_began_ms = sb_clock_ms();
    b->stop_at_ms = b->stop_began_ms + b->config.drain_ms;
    DL_FOREACH(b->endpoints, e)
        sb_endpoint_close_listeners(e);
    sb_supervise_rest(b);
    sb_dispatch_note(b);
    sb_dispatch_pump(b);
    DL_FOREACH_SAFE(b->sessions, s, tmp)
        sb_session_tell(s, false);
    sb_log(SB_LOG_NOTICE, "stopping", "connections=%u workers=%u drain_ms=%u", b->leases.n_conns, b->n_sessions,
           b->config.drain_ms);
    if (has_stopped(b))
        uv_stop(&b->loop);
}

/* Also when there is no memory to see it: a warning too many. */
static bool admits_somebody_new(const struct sb_broker *b, const struct sb_config *fresh)
{
    struct sb_id_list old = { NULL, 0 }, now = { NULL, 0 };
    bool admits = sb_config_list_users(&b->config, &old) || sb_config_list_users(fresh, &now);

    for (size_t i = 0; i < now.n && !admits; i++)
        admits = !sb_id_list_has(&old, now.ids[i]);
    free(old.ids);
    free(now.ids);
    return admits;
}

/* What is read once at start keeps its value. */
static void keep_fixed(const struct sb_broker *b, struct sb_config *fresh)
{
    if (strcmp(fresh->dir, b->config.dir) || fresh->dir_mode != b->config.dir_mode ||
        fresh->max_sessions != b->config.max_sessions || fresh->max_connections != b->config.max_connections ||
        fresh->keeper != b->config.keeper)
        sb_log(SB_LOG_WARNING, "needs_restart", "keys=\"dir dir_mode max_sessions max_connections keeper\"");
    if (sb_config_system_fixes_users && admits_somebody_new(b, fresh))
        sb_log(SB_LOG_WARNING, "needs_restart", "keys=\"allow_uid connect_uid\" effect=\"who is new there cannot connect\"");
    memcpy(fresh->dir, b->config.dir, sizeof(fresh->dir));
    fresh->dir_mode = b->config.dir_mode;
    fresh->max_sessions = b->config.max_sessions;
    fresh->max_connections = b->config.max_connections;
    fresh->keeper = b->config.keeper;
}

void sb_broker_reload(struct sb_broker *b)
{
    struct sockbroker_error error;
    struct sb_config fresh;

    if (b->state == SB_BROKER_STOPPING || sb_giving_holds_reload(b))
        return;
    if (sb_supervise_is_rolling(b, true)) {
        sb_log(SB_LOG_NOTICE, "reload_waits", "cause=\"a generation is being replaced\"");
        return;
    }
    sb_notify_reloading();
    sockbroker_status st = b->read_config(b->read_config_arg, &fresh, &error);
    if (!st) {
        keep_fixed(b, &fresh);
        st = sb_reload_endpoints(b, &fresh, &error);
    }
    if (!st) {
        sb_config_deinit(&b->config);
        b->config = fresh;
        sb_log_set_level(fresh.log_level);
        sb_log(SB_LOG_NOTICE, "reloaded", "endpoints=%zu groups=%zu", fresh.n_endpoints, fresh.n_groups);
        sb_supervise_apply(b, &b->config); /* says ready when the new generations serve */
    } else {
        sb_log(SB_LOG_ERROR, "reload_failed", "cause=\"%s\" effect=\"the old configuration stays\"", error.text);
        sb_config_deinit(&fresh);
        sb_notify_ready("serving");
    }
    sb_dispatch_pump(b);
}

/* ---- start ---- */

static sockbroker_status open_server(struct sb_broker *b, struct sockbroker_error *error)
{
    struct sb_server_options options = {
        .max_calls = b->max_sessions + FREE_CALLS,
        .max_callers = b->max_sessions + CALLERS_SPARE,
        .introduce_ms = b->config.attach_ms,
        .idle_ms = IDLE_AFTER_HEARTBEATS * b->config.heartbeat_ms,
        .messages_per_second = b->config.messages_per_second,
        .wake = wake_control,
        .arg = b,
    };
    struct sb_id_list users;
    char path[SB_PATH_MAX];
    sockbroker_status st = sb_config_list_users(&b->config, &users);

    if (st)
        return sb_error_set(error, st, 0, "out of memory");
    options.users = users.ids;
    options.n_users = (uint32_t)users.n;
    st = sb_server_open(sb_rundir_private_path(&b->rundir, SB_RUNDIR_CONTROL, path), &options, &b->server, error);
    free(users.ids);
    return st;
}

/* The handoff socket first: who finds control goes there next. */
static sockbroker_status publish(struct sb_broker *b, struct sockbroker_error *error)
{
    sockbroker_status st = sb_rundir_publish(&b->rundir, SB_RUNDIR_HANDOFF, error);

    return st ? st : sb_rundir_publish(&b->rundir, SB_RUNDIR_CONTROL, error);
}

static sockbroker_status start_events(struct sb_broker *b, struct sockbroker_error *error)
{
    uv_async_init(&b->loop, &b->control_wake, on_control);
    b->control_wake.data = b;
    if (sb_signals_open(&b->loop, on_signal, b, &b->signals))
        return sb_error_set(error, SOCKBROKER_NO_MEMORY, 0, "out of memory");
    sb_process_unblock_signals();
    return SOCKBROKER_OK;
}

/* Lease ids begin where no earlier broker of this machine's uptime can have come: at the clock. */
static uint64_t first_sequence(void)
{
    return sb_clock_ns() >> 10 & ((1ull << 43) - 1);
}

static sockbroker_status claim_dir(struct sb_broker *b, struct sockbroker_error *error)
{
    char dir[SB_RUNDIR_MAX];

    if (b->taking)
        return sb_taking_offer(b, error);
    sockbroker_status st = sb_rundir_find(b->config.dir, dir, error);
    return st ? st : sb_rundir_open(dir, b->config.dir_mode, &b->rundir, error);
}

/* Everything but what others see of it. */
static sockbroker_status prepare(struct sb_broker *b, struct sockbroker_error *error)
{
    sockbroker_status st = sb_channel_prepare(error);

    if (!st)
        st = sb_limits_set(b, error);
    if (!st)
        st = claim_dir(b, error);
    if (!st && !b->taking)
        st = sb_custody_open(b, error);
    if (!st)
        st = sb_reload_endpoints(b, &b->config, error);
    if (!st)
        sb_wishes_pause(b);
    if (!st && (sb_mailbox_open(b, &b->mailbox) || sb_ticker_open(&b->loop, on_tick, b, &b->tick)))
        st = sb_error_set(error, SOCKBROKER_NO_DESCRIPTORS, 0,
                          "no descriptor for the broker itself; check the descriptor limit");
    if (!st && sb_outbounds_open(b))
        st = sb_error_set(error, SOCKBROKER_NO_MEMORY, 0, "out of memory for outbound connections");
    if (!st)
        st = sb_greeter_open(b, &b->greeter, error);
    if (!st)
        st = sb_supervise_open(b, error);
    return st ? st : open_server(b, error);
}

static sockbroker_status start(struct sb_broker *b, struct sockbroker_error *error)
{
    sockbroker_status st = prepare(b, error);

    if (!st && b->taking)
        st = sb_taking_state(b, error);
    if (!st)
        st = publish(b, error);
    if (!st && b->taking)
        st = sb_taking_finish(b, error);
    if (st && b->taking)
        sb_taking_fail(b->taking, error);
    if (!st)
        sb_supervise_start(b); /* its workers look for the names */
    return st;
}

/* ---- end ---- */

static void close_handle(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void end_sessions(struct sb_broker *b)
{
    struct sb_session *s, *tmp;

    DL_FOREACH_SAFE(b->sessions, s, tmp)
        sb_session_end(s, "the broker stops");
}

/* One that never served touches nothing that the next one needs: what waits in its queues, and the names by which workers of
 * the broker before know that there will be another. */
static void finish(struct sb_broker *b, bool has_served)
{
    struct sb_endpoint *e, *tmp;

    sb_waiters_end(b);
    sb_supervise_close(b);
    end_sessions(b);
    sb_wishes_clear(b);
    sb_custody_close(b); /* before anything else closes: what it has not been told to drop stays */
    sb_outbounds_close(b);
    sb_deposits_close(b);
    sb_server_close(b->server);
    sb_greeter_close(b->greeter);
    sb_mailbox_close(b->mailbox);
    sb_ticker_close(b->tick);
    sb_signals_close(b->signals);
    DL_FOREACH_SAFE(b->endpoints, e, tmp) {
        DL_DELETE(b->endpoints, e);
        if (has_served)
            sb_endpoint_destroy(e);
        else
            sb_endpoint_destroy_unused(e);
    }
    b->rundir.stays = !has_served && b->rundir.was_left;
    sb_rundir_close(&b->rundir);
    uv_walk(&b->loop, close_handle, NULL);
    uv_run(&b->loop, UV_RUN_DEFAULT);
    uv_loop_close(&b->loop);
    sb_leases_deinit(&b->leases);
}

sockbroker_status sb_broker_run(struct sb_broker *b, struct sockbroker_error *error_out)
{
    static const struct sb_rundir no_dir = SB_RUNDIR_NONE;

    b->rundir = no_dir;
    b->started_ms = sb_clock_ms();
    sb_leases_init(&b->leases, first_sequence());
    if (uv_loop_init(&b->loop))
        return sb_error_set(error_out, SOCKBROKER_SYSTEM, 0, "the event loop could not be made; check the descriptor limit");
    sockbroker_status st = start_events(b, error_out);
    if (!st)
        st = start(b, error_out);
    if (!st) {
        sb_custody_ready(b);
        sb_log(SB_LOG_NOTICE, "ready", "dir=%s pid=%u version=%s max_connections=%u max_workers=%u", b->rundir.dir,
               sb_process_id(), sockbroker_version(), b->max_connections, b->max_sessions);
        if (b->taking && sb_custody_channel(b) == SOCKBROKER_SOCKET_NONE) /* else the keeper is the main process */
            sb_notify_ready_as(sb_process_id());
        else
            sb_notify_ready("serving");
        sb_ticker_set(b->tick, SB_TICK_MS, SB_TICK_MS);
        uv_run(&b->loop, UV_RUN_DEFAULT);
        sb_log(SB_LOG_NOTICE, "stopped", "connections_left=%u", b->leases.n_conns);
    }
    finish(b, st == SOCKBROKER_OK);
    return st;
}
