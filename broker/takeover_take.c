#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/command.h"
#include "broker/custody.h"
#include "broker/log.h"
#include "broker/process.h"
#include "broker/takeover.h"
#include "broker/takeover_build.h"
#include "broker/takeover_link.h"
#include "proto/clock.h"
#include "proto/error.h"
#include "proto/failpoint.h"
#include "proto/socket.h"
#include "proto/thread.h"
#include "sockbroker/sockbroker.h"

#define PATIENCE_MS 5000 /* a broker that says nothing for so long hangs; more than its own patience with us */
#define DYING_MS 1000    /* it has hung up: between that and its end lies little */
#define LEAVING_MS 3000  /* for its last words to whoever asked */
#define FAREWELL_MS 1000 /* for our last words */

struct sb_taking {
    sockbroker_socket channel;
    struct sb_peer giver;
    struct sb_takeover_hello hello;
    struct sb_takeover_building building;
    bool is_alone; /* the other one has died: what came is all there is */
    uint64_t kill_at_ms;
    struct sb_takeover message;
    sockbroker_socket socks[SB_TAKEOVER_DESCRIPTORS_MAX];
};

/* ---- the other one's end ---- */

static void be_alone(struct sb_taking *t, const char *cause)
{
    t->is_alone = true;
    sb_log(SB_LOG_ERROR, "takeover_without_giver", "pid=%u cause=\"%s\" effect=\"this broker goes on with what it has got\"",
           t->giver.pid, cause);
}

/* It hangs. Dead, it cannot wake up later and serve beside us. */
static void end_hanging(struct sb_taking *t)
{
    sb_peer_kill(&t->giver);
    sb_takeover_wait_end(&t->giver, PATIENCE_MS);
    be_alone(t, "it said nothing any more and was killed");
}

/* OK; CLOSED: the other one has ended, by itself or by us. CLOSED and not alone: it lives, and wants nothing of us any more. */
static sockbroker_status hear(struct sb_taking *t, struct sockbroker_error *error)
{
    sockbroker_status st = sb_takeover_receive(t->channel, sb_clock_ms() + PATIENCE_MS, &t->message, t->socks, error);

    if (st == SOCKBROKER_TIMEOUT)
        end_hanging(t);
    else if (st == SOCKBROKER_CLOSED && sb_takeover_wait_end(&t->giver, DYING_MS))
        be_alone(t, "it has ended");
    return st == SOCKBROKER_TIMEOUT ? SOCKBROKER_CLOSED : st;
}

/* The end of the other one is no failure of ours. */
static sockbroker_status forgive(const struct sb_taking *t, sockbroker_status st)
{
    return t->is_alone ? SOCKBROKER_OK : st;
}

static sockbroker_status say(struct sb_taking *t, struct sockbroker_error *error)
{
    sockbroker_status st = sb_takeover_send(t->channel, &t->message, NULL, sb_clock_ms() + PATIENCE_MS);

    if (st == SOCKBROKER_TIMEOUT)
        end_hanging(t);
    else if (st == SOCKBROKER_CLOSED && sb_takeover_wait_end(&t->giver, DYING_MS))
        be_alone(t, "it has ended");
    if (st && !t->is_alone)
        sb_error_set(error, st, 0, "the other broker does not listen: %s", sockbroker_status_text(st));
    return forgive(t, st);
}

static sockbroker_status say_step(struct sb_taking *t, enum sb_takeover_step step, struct sockbroker_error *error)
{
    t->message.kind = SB_TAKEOVER_STEP;
    t->message.as.step = step;
    return say(t, error);
}

static sockbroker_status expect_step(struct sb_taking *t, enum sb_takeover_step step, struct sockbroker_error *error)
{
    sockbroker_status st = hear(t, error);

    if (st)
        return forgive(t, st);
    sb_takeover_close_socks(t->socks);
    if (t->message.kind != SB_TAKEOVER_STEP || t->message.as.step != step)
        return sb_error_set(error, SOCKBROKER_BAD_MESSAGE, 0, "the other broker said something out of order");
    return SOCKBROKER_OK;
}

void sb_taking_fail(struct sb_taking *t, const struct sockbroker_error *error)
{
    sb_log(SB_LOG_ERROR, "takeover_failed", "cause=\"%s\"", error->text);
    t->message.kind = SB_TAKEOVER_FAILED;
    t->message.as.failed.status = error->status;
    snprintf(t->message.as.failed.text, sizeof(t->message.as.failed.text), "the new broker: %.*s",
             (int)SB_FAILURE_TEXT_MAX - 16, error->text);
    sb_takeover_send(t->channel, &t->message, NULL, sb_clock_ms() + FAREWELL_MS);
    sb_log_close();
    _Exit(SB_EXIT_FAILED);
}

/* ---- Hello ---- */

static sockbroker_status take_hello(struct sb_taking *t, struct sockbroker_error *error)
{
    sockbroker_status st = hear(t, error);

    if (st)
        return sb_error_set(error, SOCKBROKER_CLOSED, 0, "the broker that started this one said nothing");
    if (t->message.kind != SB_TAKEOVER_HELLO || !t->message.as.hello.dir[0])
        return sb_error_set(error, SOCKBROKER_BAD_MESSAGE, 0, "the broker that started this one said no Hello");
    t->hello = t->message.as.hello;
    if (t->hello.version != SB_TAKEOVER_VERSION)
        return sb_error_set(
            error, SOCKBROKER_VERSION, 0,
            "version %s speaks version %u of the takeover, the running broker %u; stop that one and start this one",
            sockbroker_version(), SB_TAKEOVER_VERSION, t->hello.version);
    return SOCKBROKER_OK;
}

sockbroker_status sb_taking_open(struct sb_taking **taking_out, struct sockbroker_error *error_out)
{
    sockbroker_socket end = sb_takeover_inherited_end();

    *taking_out = NULL;
    if (end == SOCKBROKER_SOCKET_NONE)
        return SOCKBROKER_OK;
    struct sb_taking *t = calloc(1, sizeof(*t));
    if (!t)
        return sb_error_set(error_out, SOCKBROKER_NO_MEMORY, 0, "out of memory for a takeover");
    t->channel = end;
    t->giver.handle = SOCKBROKER_SOCKET_NONE;
    sockbroker_status st = sb_takeover_peer(end, &t->giver);
    *taking_out = t;
    (void)sb_failpoint("takeover_new_1");
    if (st == SOCKBROKER_REFUSED)
        return sb_error_set(error_out, st, 0, "a process of another user left this one " SB_TAKEOVER_VARIABLE "; unset it");
    return SOCKBROKER_OK; /* if it is gone, that shows when it says nothing */
}

/* ---- the sockets ---- */

static sockbroker_status adopt_dir(struct sb_broker *b, sockbroker_socket *lock, struct sockbroker_error *error)
{
    const char *dir = b->taking->hello.dir;

    if (b->config.dir[0] && strcmp(b->config.dir, dir))
        sb_log(SB_LOG_WARNING, "needs_restart", "keys=\"dir\"");
    sockbroker_status st = sb_rundir_adopt(dir, b->config.dir_mode, lock, &b->rundir, error);
    memcpy(b->config.dir, dir, strlen(dir) + 1);
    return st;
}

/* From here on the keeper takes this process for the broker: when the other one dies, it starts no third one. It goes back to
 * the other one when this one ends first. */
static sockbroker_status join_keeper(struct sb_broker *b, sockbroker_socket *channel, struct sockbroker_error *error)
{
    sockbroker_status st = sb_custody_join(b, channel);

    return st ? sb_error_set(error, st, 0, "the keeper does not follow this process: %s", sockbroker_status_text(st))
              : SOCKBROKER_OK;
}

sockbroker_status sb_taking_offer(struct sb_broker *b, struct sockbroker_error *error_out)
{
    struct sb_taking *t = b->taking;
    sockbroker_status st = take_hello(t, error_out);

    t->building.broker = b;
    if (!st)
        st = adopt_dir(b, &t->socks[0], error_out);
    if (!st)
        st = join_keeper(b, &t->socks[1], error_out);
    if (!st && t->hello.hard_limit)
        sb_process_set_first_descriptors(t->hello.soft_limit, t->hello.hard_limit);
    for (uint64_t n = 0; !st && !t->is_alone && n < t->hello.n_records; n++) {
        st = hear(t, error_out);
        if (!st)
            st = sb_takeover_build(&t->building, &t->message, t->socks, error_out);
        st = forgive(t, st);
    }
    (void)sb_failpoint("takeover_new_2");
    return st;
}

/* ---- the state ---- */

static sockbroker_status ask(struct sb_taking *t, struct sockbroker_error *error)
{
    static const struct sb_takeover_hello none;
    struct sb_takeover_hello *m = &t->message.as.hello;

    t->message.kind = SB_TAKEOVER_HELLO;
    *m = none;
    m->version = SB_TAKEOVER_VERSION + (sb_failpoint("takeover_new_version") != 0);
    snprintf(m->release, sizeof(m->release), "%s", sockbroker_version());
    m->pid = sb_process_id();
    return say(t, error);
}

static sockbroker_status take_record(struct sb_taking *t, struct sockbroker_error *error)
{
    sockbroker_status st = hear(t, error);

    return st ? st : sb_takeover_build(&t->building, &t->message, t->socks, error);
}

static sockbroker_status take_records(struct sb_taking *t, struct sockbroker_error *error)
{
    sockbroker_status st = take_record(t, error);

    if (!st && t->message.kind != SB_TAKEOVER_BEGIN)
        st = sb_error_set(error, SOCKBROKER_BAD_MESSAGE, 0, "the other broker said something out of order");
    uint64_t n = st ? 0 : t->message.as.begin.n_records;
    for (uint64_t i = 0; i < n && !st; i++) {
        st = take_record(t, error);
        (void)sb_failpoint("takeover_new_5");
    }
    return forgive(t, st);
}

sockbroker_status sb_taking_state(struct sb_broker *b, struct sockbroker_error *error_out)
{
    struct sb_taking *t = b->taking;
    sockbroker_status st = SOCKBROKER_OK;

    (void)sb_failpoint("takeover_new_3");
    if (!t->is_alone)
        st = ask(t, error_out);
    (void)sb_failpoint("takeover_new_4");
    if (!st && !t->is_alone)
        st = take_records(t, error_out);
    if (st)
        return st;
    sb_takeover_built(b);
    (void)sb_failpoint("takeover_new_6");
    if (!t->is_alone)
        st = say_step(t, SB_STEP_READY, error_out);
    (void)sb_failpoint("takeover_new_7");
    if (!st && !t->is_alone)
        st = expect_step(t, SB_STEP_GO, error_out);
    (void)sb_failpoint("takeover_new_8");
    return st;
}

/* ---- the end ---- */

sockbroker_status sb_taking_finish(struct sb_broker *b, struct sockbroker_error *error_out)
{
    struct sb_taking *t = b->taking;
    sockbroker_status st = SOCKBROKER_OK;

    (void)sb_failpoint("takeover_new_9");
    if (!t->is_alone)
        st = say_step(t, SB_STEP_THERE, error_out);
    if (!st && !t->is_alone)
        st = expect_step(t, SB_STEP_LEFT, error_out);
    if (st)
        return st;
    sb_log(SB_LOG_NOTICE, "taken_over", "from_pid=%u from_version=%s workers=%u connections=%u deposits=%u", t->giver.pid,
           t->hello.release, b->n_sessions, b->leases.n_conns, b->n_deposits);
    t->kill_at_ms = sb_clock_ms() + LEAVING_MS;
    sb_takeover_close_surplus(b);
    return SOCKBROKER_OK;
}

/* Its copies keep connections open that workers have closed. */
void sb_taking_tick(struct sb_broker *b, uint64_t now_ms)
{
    struct sb_taking *t = b->taking;

    if (!t || (now_ms < t->kill_at_ms && !sb_takeover_wait_end(&t->giver, 0)))
        return;
    if (sb_peer_is_alive(&t->giver)) {
        sb_log(SB_LOG_WARNING, "giver_killed", "pid=%u cause=\"it has left and does not end\"", t->giver.pid);
        sb_peer_kill(&t->giver);
    }
    sb_peer_close(&t->giver);
    sb_socket_close(&t->channel);
    free(t);
    b->taking = NULL;
}
