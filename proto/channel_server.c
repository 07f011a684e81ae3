#include "proto/channel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/supplemental/util/platform.h>

#include "proto/channel_nng.h"
#include "proto/clock.h"
#include "proto/error.h"
#include "proto/secret.h"

#define SEND_TIMEOUT_MS 10000 /* for a caller that does not read */
#define LISTENING_MIN 8       /* calls that wait for a request at any time, while max_calls allows */
#define HELD_PER_CALLER 64    /* requests of one caller that may wait here; the REQ side of the library has at most a few */

/* One connected process. */
struct caller {
    uint32_t pipe_id;
    nng_pipe pipe;
    uint64_t heard_ms; /* when it connected, sent its last request, or got its last reply */
    bool introduced;   /* a whole, valid request has come */
    bool leaving;      /* told to go; nng takes its time */
    struct sb_nng_peer peer;
    uint32_t n_held;
    uint32_t tokens; /* of a bucket that refills with messages_per_second, in thousandths */
    uint64_t filled_ms;
    UT_hash_handle hh;
};

/* One nng context: waiting for a request, holding one, or sending its reply. */
struct sb_call {
    struct sb_server *server;
    nng_ctx ctx;
    nng_aio *aio;
    enum { CALL_LISTENING, CALL_QUEUED, CALL_TAKEN, CALL_SENDING, CALL_DEAD } state;
    nng_msg *msg;
    uint32_t pipe_id;
    struct sb_nng_peer peer;
    struct sb_call *prev, *next;         /* in the queue */
    struct sb_call *all_prev, *all_next; /* in the server's list of calls */
};

struct sb_server {
    struct sb_server_options options;
    nng_socket sock;
    void *guard;   /* of the listener */
    nng_mtx *lock; /* guards all that follows */
    nng_cv *gone;  /* somebody has hung up */
    struct caller *callers;
    struct sb_call *calls;
    struct sb_call *queue;
    uint32_t n_calls;
    uint32_t n_listening;
    uint32_t n_leaving;
    bool closing;
    struct sb_server_counters counters;
};

/* ---- callers ---- */

static bool is_silent(const struct caller *c)
{
    return !c->introduced && !c->leaving;
}

/* Returns its pipe, to be closed without the lock. */
static nng_pipe send_away(struct sb_server *s, struct caller *c)
{
    c->leaving = true;
    s->n_leaving++;
    return c->pipe;
}

/* Early random drop: when the house is full one who has not introduced itself leaves, so that a newcomer has a chance
 * however many connect and say nothing. Returns the pipe to close, or the newcomer's. */
static nng_pipe choose_to_drop(struct sb_server *s, nng_pipe newcomer)
{
    struct caller *c, *tmp;
    uint32_t silent = 0;
    uint32_t pick;
    nng_pipe dropped = newcomer;

    HASH_ITER(hh, s->callers, c, tmp)
        silent += is_silent(c);
    if (!silent || sb_secret_fill(&pick, sizeof(pick)))
        return newcomer;
    pick %= silent;
    HASH_ITER(hh, s->callers, c, tmp) {
        if (is_silent(c) && pick-- == 0)
            dropped = send_away(s, c);
    }
    return dropped;
}

static struct caller *add_caller(struct sb_server *s, nng_pipe pipe)
{
    struct caller *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->pipe = pipe;
    c->pipe_id = (uint32_t)nng_pipe_id(pipe);
    c->heard_ms = c->filled_ms = sb_clock_ms();
    c->tokens = s->options.messages_per_second * 1000u;
    sb_nng_identify(pipe, &c->peer);
    HASH_ADD(hh, s->callers, pipe_id, sizeof(c->pipe_id), c);
    if (!c->hh.tbl) { /* uthash could not grow */
        free(c);
        return NULL;
    }
    return c;
}

static struct caller *find_caller(struct sb_server *s, uint32_t pipe_id)
{
    struct caller *c;

    HASH_FIND(hh, s->callers, &pipe_id, sizeof(pipe_id), c);
    return c;
}

/* nng calls this before the pipe may carry anything. */
static void pipe_came(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    struct sb_server *s = arg;
    nng_pipe drop = NNG_PIPE_INITIALIZER;

    (void)event;
    nng_mtx_lock(s->lock);
    bool full = HASH_COUNT(s->callers) - s->n_leaving >= s->options.max_callers;
    if (full) {
        drop = choose_to_drop(s, pipe);
        s->counters.turned_away++;
    }
    bool failed = nng_pipe_id(drop) != nng_pipe_id(pipe) && !add_caller(s, pipe);
    nng_mtx_unlock(s->lock);
    if (full)
        nng_pipe_close(drop);
    if (failed)
        nng_pipe_close(pipe);
}

static void pipe_gone(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    struct sb_server *s = arg;

    (void)event;
    nng_mtx_lock(s->lock);
    struct caller *c = find_caller(s, (uint32_t)nng_pipe_id(pipe));
    if (c) {
        s->n_leaving -= c->leaving;
        HASH_DEL(s->callers, c);
    }
    nng_cv_wake(s->gone);
    nng_mtx_unlock(s->lock);
    free(c);
}

/* May this caller's request be looked at now? Takes a token if so. */
static bool has_turn(struct sb_server *s, struct caller *c, uint64_t now_ms)
{
    uint64_t full = (uint64_t)s->options.messages_per_second * 1000u;
    uint64_t tokens = c->tokens + (now_ms - c->filled_ms) * s->options.messages_per_second;

    c->filled_ms = now_ms;
    c->tokens = (uint32_t)(tokens > full ? full : tokens);
    if (c->tokens < 1000u)
        return false;
    c->tokens -= 1000u;
    return true;
}

/* ---- calls: nng's threads ---- */

static void listen_again(struct sb_call *call)
{
    call->state = CALL_LISTENING;
    nng_aio_set_timeout(call->aio, NNG_DURATION_INFINITE);
    nng_ctx_recv(call->ctx, call->aio);
}

static void queue_request(struct sb_call *call)
{
    struct sb_server *s = call->server;

    call->msg = nng_aio_get_msg(call->aio);
    call->pipe_id = (uint32_t)nng_pipe_id(nng_msg_get_pipe(call->msg));
    struct caller *c = find_caller(s, call->pipe_id);
    if (!c || c->n_held >= HELD_PER_CALLER) { /* gone, or asking more than any honest one would */
        nng_msg_free(call->msg);
        call->msg = NULL;
        listen_again(call);
        return;
    }
    c->n_held++;
    c->heard_ms = sb_clock_ms();
    call->peer = c->peer;
    call->state = CALL_QUEUED;
    s->n_listening--;
    DL_APPEND(s->queue, call);
}

static void received(struct sb_call *call)
{
    int code = nng_aio_result(call->aio);

    if (!code)
        queue_request(call);
    else if (code == NNG_ECLOSED || code == NNG_ECANCELED || call->server->closing)
        call->state = CALL_DEAD;
    else
        listen_again(call);
}

static void sent(struct sb_call *call)
{
    struct sb_server *s = call->server;
    struct caller *c = find_caller(s, call->pipe_id);

    if (c) { /* only now, or one that never reads its replies could take every call there is */
        c->n_held--;
        c->heard_ms = sb_clock_ms();
    }

    if (nng_aio_result(call->aio))
        nng_msg_free(nng_aio_get_msg(call->aio));
    if (s->closing) {
        call->state = CALL_DEAD;
        return;
    }
    s->n_listening++;
    listen_again(call);
}

static void call_moved(void *arg)
{
    struct sb_call *call = arg;
    struct sb_server *s = call->server;
    bool wake;

    nng_mtx_lock(s->lock);
    if (call->state == CALL_LISTENING)
        received(call);
    else
        sent(call);
    wake = call->state == CALL_QUEUED;
    nng_mtx_unlock(s->lock);
    if (wake)
        s->options.wake(s->options.arg);
}

/* ---- calls: the loop ---- */

static int add_call(struct sb_server *s)
{
    struct sb_call *call = calloc(1, sizeof(*call));

    if (!call)
        return NNG_ENOMEM;
    call->server = s;
    int rv = nng_ctx_open(&call->ctx, s->sock);
    if (!rv)
        rv = nng_aio_alloc(&call->aio, call_moved, call);
    if (rv) {
        nng_ctx_close(call->ctx);
        free(call);
        return rv;
    }
    nng_mtx_lock(s->lock);
    DL_APPEND2(s->calls, call, all_prev, all_next);
    s->n_calls++;
    s->n_listening++;
    call->state = CALL_LISTENING;
    nng_mtx_unlock(s->lock);
    nng_ctx_recv(call->ctx, call->aio);
    return 0;
}

/* Keeps LISTENING_MIN calls listening. Out of memory: the ones there are must do. */
static void keep_listening(struct sb_server *s)
{
    for (;;) {
        nng_mtx_lock(s->lock);
        bool enough = s->n_listening >= LISTENING_MIN || s->n_calls >= s->options.max_calls || s->closing;
        nng_mtx_unlock(s->lock);
        if (enough || add_call(s))
            return;
    }
}

static struct sb_call *take_queued(struct sb_server *s)
{
    struct sb_call *call, *tmp;
    uint64_t now_ms = sb_clock_ms();

    DL_FOREACH_SAFE(s->queue, call, tmp) {
        struct caller *c = find_caller(s, call->pipe_id);

        if (c && !has_turn(s, c, now_ms))
            continue;
        DL_DELETE(s->queue, call);
        call->state = CALL_TAKEN;
        return call;
    }
    return NULL;
}

static void note_introduced(struct sb_call *call)
{
    struct sb_server *s = call->server;

    nng_mtx_lock(s->lock);
    struct caller *c = find_caller(s, call->pipe_id);
    if (c)
        c->introduced = true;
    nng_mtx_unlock(s->lock);
}

static void refuse_invalid(struct sb_call *call, const struct sockbroker_error *error)
{
    static const struct sb_failure none;
    struct sb_reply reply;

    reply.kind = SB_REPLY_FAILURE;
    reply.as.failure = none;
    reply.as.failure.status = error->status;
    snprintf(reply.as.failure.text, sizeof(reply.as.failure.text), "%.*s", (int)SB_FAILURE_TEXT_MAX, error->text);
    nng_mtx_lock(call->server->lock);
    call->server->counters.bad_messages++;
    nng_mtx_unlock(call->server->lock);
    sb_call_reply(call, &reply);
}

bool sb_server_take(struct sb_server *s, struct sb_call **call_out, struct sb_request *request_out)
{
    struct sockbroker_error error;

    for (;;) {
        keep_listening(s);
        nng_mtx_lock(s->lock);
        struct sb_call *call = take_queued(s);
        nng_mtx_unlock(s->lock);
        if (!call)
            return false;
        sockbroker_status st = sb_wire_unpack_request(nng_msg_body(call->msg), nng_msg_len(call->msg), request_out, &error);
        nng_msg_free(call->msg);
        call->msg = NULL;
        if (!st) {
            note_introduced(call);
            *call_out = call;
            return true;
        }
        refuse_invalid(call, &error);
    }
}

static nng_msg *pack(const struct sb_reply *reply)
{
    uint8_t buf[SB_MESSAGE_MAX];
    size_t len;
    nng_msg *msg;

    if (sb_wire_pack_reply(reply, buf, sizeof(buf), &len) || nng_msg_alloc(&msg, 0))
        return NULL;
    if (nng_msg_append(msg, buf, len)) {
        nng_msg_free(msg);
        return NULL;
    }
    return msg;
}

void sb_call_reply(struct sb_call *call, const struct sb_reply *reply)
{
    nng_msg *msg = pack(reply);

    if (!msg) {
        sb_call_drop(call); /* the caller's own deadline tells it */
        return;
    }
    call->state = CALL_SENDING;
    nng_aio_set_timeout(call->aio, SEND_TIMEOUT_MS);
    nng_aio_set_msg(call->aio, msg);
    nng_ctx_send(call->ctx, call->aio);
}

static void let_go(struct sb_call *call)
{
    struct sb_server *s = call->server;

    nng_mtx_lock(s->lock);
    struct caller *c = find_caller(s, call->pipe_id);
    if (c)
        c->n_held--;
    nng_mtx_unlock(s->lock);
}

void sb_call_drop(struct sb_call *call)
{
    struct sb_server *s = call->server;

    let_go(call);
    nng_mtx_lock(s->lock);
    s->n_listening++;
    nng_mtx_unlock(s->lock);
    listen_again(call); /* receiving anew forgets the request that was not answered */
}

uint32_t sb_call_uid(const struct sb_call *call)
{
    return call->peer.uid;
}

uint32_t sb_call_gid(const struct sb_call *call)
{
    return call->peer.gid;
}

uint32_t sb_call_pid(const struct sb_call *call)
{
    return call->peer.pid;
}

uint32_t sb_call_caller(const struct sb_call *call)
{
    return call->pipe_id;
}

bool sb_server_wait_caller(struct sb_server *s, uint32_t caller, uint32_t timeout_ms)
{
    nng_time until = nng_clock() + timeout_ms;
    int rv = 0;

    nng_mtx_lock(s->lock);
    while (find_caller(s, caller) && rv != NNG_ETIMEDOUT)
        rv = nng_cv_until(s->gone, until);
    bool gone = !find_caller(s, caller);
    nng_mtx_unlock(s->lock);
    return gone;
}

bool sb_call_is_lost(const struct sb_call *call)
{
    nng_mtx_lock(call->server->lock);
    bool lost = !find_caller(call->server, call->pipe_id);
    nng_mtx_unlock(call->server->lock);
    return lost;
}

/* ---- server ---- */

static bool is_late(const struct sb_server *s, const struct caller *c, uint64_t now_ms)
{
    uint32_t limit_ms = c->introduced ? s->options.idle_ms : s->options.introduce_ms;

    return limit_ms && !c->leaving && !c->n_held && now_ms > c->heard_ms + limit_ms; /* a message cut short is silence, too */
}

#define DROPS_PER_TICK 64

bool sb_server_tick(struct sb_server *s)
{
    nng_pipe late[DROPS_PER_TICK];
    size_t n = 0;
    struct caller *c, *tmp;
    uint64_t now_ms = sb_clock_ms();

    nng_mtx_lock(s->lock);
    HASH_ITER(hh, s->callers, c, tmp) {
        if (n < DROPS_PER_TICK && is_late(s, c, now_ms))
            late[n++] = send_away(s, c);
    }
    s->counters.turned_away += n;
    bool waiting = s->queue != NULL;
    nng_mtx_unlock(s->lock);
    for (size_t i = 0; i < n; i++)
        nng_pipe_close(late[i]);
    return waiting;
}

void sb_server_counters(struct sb_server *s, struct sb_server_counters *counters_out)
{
    nng_mtx_lock(s->lock);
    *counters_out = s->counters;
    nng_mtx_unlock(s->lock);
}

/* The limit must be in force before the first byte arrives: nng 1.5.2 believes any length otherwise. */
static int listen_at(struct sb_server *s, const char *path, nng_listener *listener_out)
{
    char url[256];
    int rv = nng_socket_set_size(s->sock, NNG_OPT_RECVMAXSZ, SB_MESSAGE_MAX);

    if (!rv)
        rv = nng_pipe_notify(s->sock, NNG_PIPE_EV_ADD_PRE, pipe_came, s);
    if (!rv)
        rv = nng_pipe_notify(s->sock, NNG_PIPE_EV_REM_POST, pipe_gone, s);
    if (!rv)
        rv = nng_listener_create(listener_out, s->sock, sb_nng_url(path, url, sizeof(url)));
    return rv;
}

static sockbroker_status start(struct sb_server *s, const char *path, struct sockbroker_error *error_out)
{
    nng_listener listener;
    int rv = nng_mtx_alloc(&s->lock);

    if (!rv)
        rv = nng_cv_alloc(&s->gone, s->lock);
    if (!rv)
        rv = nng_rep0_open(&s->sock);
    if (!rv)
        rv = listen_at(s, path, &listener);
    if (rv)
        return sb_nng_error(error_out, rv, path);
    sockbroker_status st = sb_nng_guard(listener, &s->options, &s->guard, error_out);
    if (st)
        return st;
    rv = nng_listener_start(listener, 0);
    return rv ? sb_nng_error(error_out, rv, path) : SOCKBROKER_OK;
}

sockbroker_status sb_server_open(const char *path, const struct sb_server_options *options, struct sb_server **server_out,
                                 struct sockbroker_error *error_out)
{
    struct sb_server *s = calloc(1, sizeof(*s));

    if (!s)
        return sb_error_set(error_out, SOCKBROKER_NO_MEMORY, 0, "out of memory for the control channel");
    s->options = *options;
    s->sock = (nng_socket)NNG_SOCKET_INITIALIZER;
    sockbroker_status st = start(s, path, error_out);
    if (st) {
        sb_server_close(s);
        return st;
    }
    keep_listening(s);
    *server_out = s;
    return SOCKBROKER_OK;
}

static void free_calls(struct sb_server *s)
{
    struct sb_call *call, *tmp;

    DL_FOREACH_SAFE2(s->calls, call, tmp, all_next) {
        nng_aio_stop(call->aio); /* waits for the callback */
        nng_aio_free(call->aio);
        if (call->msg)
            nng_msg_free(call->msg);
        free(call);
    }
}

static void free_callers(struct sb_server *s)
{
    struct caller *c, *tmp;

    HASH_ITER(hh, s->callers, c, tmp) {
        HASH_DEL(s->callers, c);
        free(c);
    }
}

void sb_server_close(struct sb_server *s)
{
    if (!s)
        return;
    if (s->lock) {
        nng_mtx_lock(s->lock);
        s->closing = true;
        nng_mtx_unlock(s->lock);
    }
    nng_close(s->sock); /* ends every context; pipe events are over when it returns */
    free_calls(s);
    free_callers(s);
    sb_nng_unguard(s->guard);
    if (s->gone)
        nng_cv_free(s->gone);
    if (s->lock)
        nng_mtx_free(s->lock);
    free(s);
}
