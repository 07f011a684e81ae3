#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "broker/control.h"
#include "broker/custody.h"
#include "broker/dispatch.h"
#include "broker/endpoint.h"
#include "broker/log.h"
#include "broker/mailbox.h"
#include "broker/outbound.h"
#include "broker/session.h"
#include "broker/supervise.h"
#include "broker/takeover.h"
#include "broker/takeover_link.h"
#include "broker/takeover_send.h"
#include "proto/clock.h"
#include "proto/error.h"
#include "proto/failpoint.h"
#include "proto/socket.h"
#include "proto/thread.h"
#include "sockbroker/sockbroker.h"

#define TIMEOUT_MS 10000  /* until the new one asks for the state; meanwhile everything is served */
#define FROZEN_MS 3000    /* from then on nothing is served: a good one takes milliseconds */
#define QUIET_MS 500      /* sockets that workers asked for may still get to them */
#define LAST_WORDS_MS 200 /* it has hung up: its exit code tells why */
#define ANSWER_MS 1000    /* for whoever asked to read the answer */

struct sb_giving {
    struct sb_broker *broker;
    sockbroker_socket channel;
    struct sb_peer heir;
    uv_poll_t poll;
    struct sb_call *call; /* NULL: a signal asked */
    char binary[SB_BINARY_ROOM];
    char release[SB_WORD_MAX + 1]; /* of the new one */
    uint64_t offered;              /* fingerprint of the sockets it was given */
    uint64_t give_up_ms;
    uint32_t timeout_ms;
    bool has_asked;
    uint64_t asked_ms;
    uint64_t frozen_ns;
    bool stop_after, reload_after; /* what was asked for meanwhile */
};

/* ---- the end without a successor ---- */

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void answer_failure(struct sb_giving *g, const struct sockbroker_error *error)
{
    if (g->call)
        sb_control_fail(g->call, error->status, error->text);
    g->call = NULL;
}

/* It gets no chance to take anything any more: first it is dead, then we go on. */
static void give_up(struct sb_giving *g, const struct sockbroker_error *error)
{
    struct sb_broker *b = g->broker;
    bool stops = g->stop_after, reloads = g->reload_after;
    char end[64];

    sb_takeover_reap(&g->heir, 0, end, sizeof(end));
    sb_log(SB_LOG_ERROR, "upgrade_failed", "cause=\"%s\" effect=\"this broker goes on\"", error->text);
    answer_failure(g, error);
    b->giving = NULL;
    sb_peer_close(&g->heir);
    uv_close((uv_handle_t *)&g->poll, on_closed); /* leaves epoll before the descriptor closes */
    sb_socket_close(&g->channel);
    if (stops)
        sb_broker_stop(b);
    else if (reloads)
        sb_broker_reload(b);
    sb_dispatch_note(b);
}

/* What it said itself, or how it ended. */
static void explain_end(struct sb_giving *g, struct sockbroker_error *error)
{
    char end[64];

    sb_takeover_reap(&g->heir, LAST_WORDS_MS, end, sizeof(end));
    sb_error_set(error, SOCKBROKER_SYSTEM, 0, "%.200s %s before it was ready; its log, if it is a sockbroker, says more",
                 g->binary, end);
}

static sockbroker_status explain(struct sb_giving *g, sockbroker_status st, struct sockbroker_error *error)
{
    if (st == SOCKBROKER_CLOSED)
        explain_end(g, error);
    else if (st == SOCKBROKER_TIMEOUT)
        sb_error_set(error, st, 0, "%.200s did not go on within %u ms", g->binary, FROZEN_MS);
    else
        sb_error_set(error, st, 0, "the state could not be given: %s", sockbroker_status_text(st));
    return st;
}

static sockbroker_status refuse_version(const struct sb_giving *g, uint32_t version, struct sockbroker_error *error)
{
    return sb_error_set(error, SOCKBROKER_VERSION, 0,
                        "%.200s speaks version %u of the takeover, this broker %u; stop this broker and start that one",
                        g->binary, version, SB_TAKEOVER_VERSION);
}

static sockbroker_status take_failure(const struct sb_failure *failed, struct sockbroker_error *error)
{
    return sb_error_set(error, failed->status, 0, "%s", failed->text);
}

/* ---- frozen: nothing but this runs, so nothing changes ---- */

/* The only message that can come, or its word why not. */
static sockbroker_status expect_step(struct sb_giving *g, enum sb_takeover_step step, uint64_t until_ms,
                                     struct sockbroker_error *error)
{
    struct sb_takeover *m = malloc(sizeof(*m));
    sockbroker_socket socks[SB_TAKEOVER_DESCRIPTORS_MAX];
    sockbroker_status st = m ? sb_takeover_receive(g->channel, until_ms, m, socks, error) : SOCKBROKER_NO_MEMORY;

    if (st) {
        explain(g, st, error);
    } else {
        sb_takeover_close_socks(socks);
        if (m->kind == SB_TAKEOVER_FAILED)
            st = take_failure(&m->as.failed, error);
        else if (m->kind != SB_TAKEOVER_STEP || m->as.step != step)
            st = sb_error_set(error, SOCKBROKER_BAD_MESSAGE, 0, "%.200s said something out of order", g->binary);
    }
    free(m);
    return st;
}

static sockbroker_status say_step(struct sb_giving *g, enum sb_takeover_step step, uint64_t until_ms,
                                  struct sockbroker_error *error)
{
    struct sb_takeover *m = malloc(sizeof(*m));
    sockbroker_status st = SOCKBROKER_NO_MEMORY;

    if (m) {
        m->kind = SB_TAKEOVER_STEP;
        m->as.step = step;
        st = sb_takeover_send(g->channel, m, NULL, until_ms);
    }
    free(m);
    return st ? explain(g, st, error) : SOCKBROKER_OK;
}

static sockbroker_status send_state(struct sb_giving *g, uint64_t until_ms, struct sockbroker_error *error)
{
    struct sb_broker *b = g->broker;

    if (sb_takeover_fingerprint(b) != g->offered)
        return sb_error_set(error, SOCKBROKER_BUSY, 0, "a listening socket was replaced meanwhile; upgrade again");
    (void)sb_failpoint("takeover_old_3");
    sockbroker_status st = sb_takeover_send_state(b, g->channel, until_ms);
    (void)sb_failpoint("takeover_old_5");
    return st ? explain(g, st, error) : SOCKBROKER_OK;
}

/* OK: the new one is there, under our names. */
static sockbroker_status hand_over(struct sb_giving *g, struct sockbroker_error *error)
{
    uint64_t until_ms = sb_clock_ms() + FROZEN_MS;
    sockbroker_status st = send_state(g, until_ms, error);

    if (!st)
        st = expect_step(g, SB_STEP_READY, until_ms, error);
    (void)sb_failpoint("takeover_old_6");
    if (!st)
        st = sb_rundir_keep(&g->broker->rundir, error);
    if (!st)
        st = say_step(g, SB_STEP_GO, until_ms, error);
    (void)sb_failpoint("takeover_old_7");
    if (!st)
        st = expect_step(g, SB_STEP_THERE, sb_clock_ms() + FROZEN_MS, error);
    return st;
}

/* ---- leaving ---- */

/* A client sees the end of its connection only when the last copy is closed. */
static void drop_copies(struct sb_broker *b)
{
    struct sb_session *s;
    struct sb_endpoint *e;
    struct sb_conn *c;

    DL_FOREACH(b->sessions, s)
        DL_FOREACH(s->leases, c)
            sb_socket_close(&c->sock);
    DL_FOREACH(b->endpoints, e)
        DL_FOREACH(e->held, c)
            sb_socket_close(&c->sock);
}

static void answer_success(struct sb_giving *g, uint64_t frozen_us)
{
    struct sb_reply reply = { .kind = SB_REPLY_UPGRADED };

    if (!g->call)
        return;
    snprintf(reply.as.upgraded.text, sizeof(reply.as.upgraded.text),
             "upgraded: pid %u version %s, before pid %u version %s; nothing was served for %llu.%llu ms", g->heir.pid,
             g->release, sb_process_id(), sockbroker_version(), (unsigned long long)(frozen_us / 1000),
             (unsigned long long)(frozen_us % 1000 / 100));
    uint32_t caller = sb_call_caller(g->call);
    sb_call_reply(g->call, &reply);
    sb_server_wait_caller(g->broker->server, caller, ANSWER_MS);
}

/* Does not come back: whatever an orderly end would undo is the new one's. */
static void leave(struct sb_giving *g)
{
    struct sockbroker_error error;

    (void)sb_failpoint("takeover_old_8");
    sockbroker_status st = say_step(g, SB_STEP_LEFT, sb_clock_ms() + FROZEN_MS, &error);
    uint64_t frozen_us = (sb_clock_ns() - g->frozen_ns) / 1000u;
    drop_copies(g->broker);
    (void)sb_failpoint("takeover_old_9");
    sb_log(SB_LOG_NOTICE, "upgraded", "pid=%u version=%s frozen_us=%llu last_word=%s", g->heir.pid, g->release,
           (unsigned long long)frozen_us, sockbroker_status_name(st));
    sb_rundir_forget(&g->broker->rundir);
    answer_success(g, frozen_us);
    sb_log_close();
    _Exit(0);
}

static void give(struct sb_giving *g)
{
    struct sockbroker_error error;

    (void)sb_failpoint("takeover_old_2");
    sb_control_serve(g->broker); /* nobody's question is left lying */
    sb_mailbox_collect(g->broker->mailbox);
    g->frozen_ns = sb_clock_ns();
    if (hand_over(g, &error) == SOCKBROKER_OK)
        leave(g);
    char end[64];
    sb_takeover_reap(&g->heir, 0, end, sizeof(end)); /* before the names are put back */
    sb_rundir_put_back(&g->broker->rundir);
    give_up(g, &error);
}

/* A worker that has asked for a socket would not find it at another broker. */
static bool is_quiet(const struct sb_giving *g, uint64_t now_ms)
{
    const struct sb_broker *b = g->broker;

    return (!b->grants && !b->outbounds) || now_ms - g->asked_ms >= QUIET_MS;
}

/* ---- while everything is served ---- */

static void take_hello(struct sb_giving *g, const struct sb_takeover_hello *hello)
{
    struct sockbroker_error error;

    if (hello->version != SB_TAKEOVER_VERSION) {
        refuse_version(g, hello->version, &error);
        give_up(g, &error);
        return;
    }
    memcpy(g->release, hello->release, sizeof(g->release));
    g->has_asked = true;
    g->asked_ms = sb_clock_ms();
    uv_poll_stop(&g->poll);
    if (is_quiet(g, g->asked_ms))
        give(g);
}

static void take_message(struct sb_giving *g, const struct sb_takeover *m)
{
    struct sockbroker_error error;

    if (m->kind == SB_TAKEOVER_HELLO && !m->as.hello.dir[0]) {
        take_hello(g, &m->as.hello);
        return;
    }
    if (m->kind == SB_TAKEOVER_FAILED)
        take_failure(&m->as.failed, &error);
    else
        sb_error_set(&error, SOCKBROKER_BAD_MESSAGE, 0, "%.200s said something out of order", g->binary);
    give_up(g, &error);
}

static void on_word(uv_poll_t *poll, int status, int events)
{
    struct sb_giving *g = poll->data;
    struct sb_takeover *m = malloc(sizeof(*m));
    sockbroker_socket socks[SB_TAKEOVER_DESCRIPTORS_MAX];
    struct sockbroker_error error;

    (void)status;
    (void)events;
    sockbroker_status st = m ? sb_takeover_receive(g->channel, 0, m, socks, &error) : SOCKBROKER_TIMEOUT;
    if (!st) {
        sb_takeover_close_socks(socks);
        take_message(g, m);
    } else if (st != SOCKBROKER_TIMEOUT) {
        if (st == SOCKBROKER_CLOSED)
            explain_end(g, &error);
        give_up(g, &error);
    }
    free(m);
}

void sb_giving_tick(struct sb_broker *b, uint64_t now_ms)
{
    struct sb_giving *g = b->giving;
    struct sockbroker_error error;

    if (!g)
        return;
    if (g->has_asked && is_quiet(g, now_ms)) {
        give(g);
        return;
    }
    if (g->has_asked || now_ms < g->give_up_ms)
        return;
    sb_error_set(&error, SOCKBROKER_TIMEOUT, 0,
                 "%.200s was not ready within %u ms; give it more time with --timeout, or look into its log", g->binary,
                 g->timeout_ms);
    give_up(g, &error);
}

bool sb_giving_holds_stop(struct sb_broker *b)
{
    if (!b->giving || b->giving->stop_after)
        return false;
    b->giving->stop_after = true;
    sb_log(SB_LOG_NOTICE, "stop_waits", "cause=\"an upgrade is under way\" cure=\"a second signal stops at once\"");
    return true;
}

bool sb_giving_holds_reload(struct sb_broker *b)
{
    if (!b->giving)
        return false;
    b->giving->reload_after = true;
    sb_log(SB_LOG_NOTICE, "reload_waits",
           "cause=\"an upgrade is under way\" effect=\"the new broker reads the configuration\"");
    return true;
}

void sb_giving_cancel(struct sb_broker *b)
{
    struct sockbroker_error error;

    if (!b->giving)
        return;
    b->giving->stop_after = b->giving->reload_after = false;
    sb_error_set(&error, SOCKBROKER_BUSY, 0, "the broker was told to stop meanwhile");
    give_up(b->giving, &error);
}

/* ---- the beginning ---- */

static sockbroker_status check(struct sb_broker *b, struct sockbroker_error *error)
{
    if (b->giving)
        return sb_error_set(error, SOCKBROKER_BUSY, 0, "an upgrade is under way already (pid %u); wait for its end",
                            b->giving->heir.pid);
    if (b->state == SB_BROKER_STOPPING)
        return sb_error_set(error, SOCKBROKER_BUSY, 0, "the broker is stopping; start another one");
    if (sb_supervise_is_rolling(b, false))
        return sb_error_set(
            error, SOCKBROKER_BUSY, 0,
            "workers are being replaced, or waited for after a crash; upgrade when that is over, `sockbroker status` "
            "shows it");
    return SOCKBROKER_OK;
}

/* What fits is there before the new one is: so that it has the sockets even if we end at once. */
static sockbroker_status start(struct sb_giving *g, sockbroker_socket end, struct sockbroker_error *error)
{
    sockbroker_status st = sb_takeover_send_offer(g->broker, g->channel, 0);

    if (st)
        return sb_error_set(error, st, 0, "the sockets do not fit into a pair of sockets at once: %s; raise net.core.wmem_max",
                            sockbroker_status_text(st));
    g->offered = sb_takeover_fingerprint(g->broker);
    bool has_keeper = sb_custody_channel(g->broker) != SOCKBROKER_SOCKET_NONE; /* which starts another when we die */
    st = sb_takeover_spawn(g->binary, g->broker->args, end, has_keeper, &g->heir, error);
    (void)sb_failpoint("takeover_old_1");
    return st;
}

static sockbroker_status connect_to(struct sb_giving *g, struct sockbroker_error *error)
{
    sockbroker_socket ends[2] = { SOCKBROKER_SOCKET_NONE, SOCKBROKER_SOCKET_NONE };
    sockbroker_status st = sb_takeover_open_pair(ends);

    if (st)
        return sb_error_set(error, st, 0, "no pair of sockets for the new broker: %s", sockbroker_status_text(st));
    g->channel = ends[0];
    if (uv_poll_init_socket(&g->broker->loop, &g->poll, g->channel))
        st = sb_error_set(error, SOCKBROKER_NO_MEMORY, 0, "out of memory for an upgrade");
    if (!st)
        g->poll.data = g;
    if (!st)
        st = start(g, ends[1], error);
    sb_socket_close(&ends[1]); /* its alone: so its end shows */
    return st;
}

static struct sb_giving *make(struct sb_broker *b, const struct sb_upgrade *request)
{
    struct sb_giving *g = calloc(1, sizeof(*g));

    if (!g)
        return NULL;
    g->broker = b;
    g->channel = SOCKBROKER_SOCKET_NONE;
    g->heir.handle = SOCKBROKER_SOCKET_NONE;
    g->timeout_ms = request->timeout_ms ? request->timeout_ms : TIMEOUT_MS;
    g->give_up_ms = sb_clock_ms() + g->timeout_ms;
    memcpy(g->binary, request->binary, sizeof(g->binary));
    return g;
}

static void discard(struct sb_giving *g)
{
    bool in_loop = g->poll.data != NULL;

    if (in_loop)
        uv_close((uv_handle_t *)&g->poll, on_closed);
    sb_socket_close(&g->channel);
    if (!in_loop)
        free(g);
}

static sockbroker_status begin(struct sb_broker *b, const struct sb_upgrade *request, struct sb_call *call,
                               struct sockbroker_error *error)
{
    sockbroker_status st = check(b, error);

    if (st)
        return st;
    struct sb_giving *g = make(b, request);
    if (!g)
        return sb_error_set(error, SOCKBROKER_NO_MEMORY, 0, "out of memory for an upgrade");
    if (!g->binary[0])
        st = sb_takeover_own_binary(g->binary, error);
    if (!st)
        st = connect_to(g, error);
    if (st) {
        discard(g);
        return st;
    }
    g->call = call;
    b->giving = g;
    uv_poll_start(&g->poll, UV_READABLE, on_word);
    sb_log(SB_LOG_NOTICE, "upgrade", "pid=%u timeout_ms=%u", g->heir.pid, g->timeout_ms);
    return SOCKBROKER_OK;
}

void sb_giving_begin(struct sb_broker *b, const struct sb_upgrade *request, struct sb_call *call)
{
    struct sockbroker_error error;
    sockbroker_status st = begin(b, request, call, &error);

    if (!st)
        return;
    sb_log(SB_LOG_WARNING, "upgrade_refused", "cause=\"%s\"", error.text);
    if (call)
        sb_control_fail(call, st, error.text);
}
