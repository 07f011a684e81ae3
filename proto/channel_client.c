#include "proto/channel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <nng/supplemental/util/platform.h>

#include "proto/channel_nng.h"
#include "proto/error.h"
#include "proto/peer.h"
#include "proto/socket.h"

struct sb_client {
    nng_socket sock;
    nng_mtx *lock; /* guards what follows; nng's threads write it */
    bool lost;
    uint32_t server_pid;
    bool distrusted;  /* what serves the path is not who it should be */
    char server[160]; /* with distrusted: who it is */
    sb_channel_wake on_lost;
    void *lost_arg;

    nng_ctx park_ctx;
    nng_aio *park_aio;
    enum { PARK_IDLE, PARK_SENDING, PARK_WAITING, PARK_ANSWERED } park;
    int park_error;      /* nng's code, with PARK_ANSWERED */
    nng_msg *park_reply; /* with PARK_ANSWERED and no error */
    sb_channel_wake answered;
    void *answered_arg;
};

/* nng calls this for each connection, also those it makes by itself, before anything is sent. */
static void pipe_came(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    struct sb_client *c = arg;
    char whom[sizeof(c->server)] = "";
    struct sb_nng_peer peer;

    (void)event;
    sb_nng_identify(pipe, &peer);
    nng_mtx_lock(c->lock);
    c->server_pid = peer.pid;
    nng_mtx_unlock(c->lock);
    if (sb_nng_trusts_server(pipe, whom, sizeof(whom)))
        return;
    nng_pipe_close(pipe);
    nng_mtx_lock(c->lock);
    c->distrusted = true;
    memcpy(c->server, whom, sizeof(whom));
    nng_mtx_unlock(c->lock);
}

static void pipe_gone(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    struct sb_client *c = arg;

    (void)pipe;
    (void)event;
    nng_mtx_lock(c->lock);
    bool first = !c->lost;
    c->lost = true;
    nng_mtx_unlock(c->lock);
    if (first && c->on_lost)
        c->on_lost(c->lost_arg);
}

static void park_settled(struct sb_client *c, int code)
{
    nng_mtx_lock(c->lock);
    c->park = PARK_ANSWERED;
    c->park_error = code;
    c->park_reply = code ? NULL : nng_aio_get_msg(c->park_aio);
    nng_mtx_unlock(c->lock);
    c->answered(c->answered_arg);
}

static void park_moved(void *arg)
{
    struct sb_client *c = arg;
    int code = nng_aio_result(c->park_aio);

    if (c->park == PARK_SENDING) {
        if (code) {
            nng_msg_free(nng_aio_get_msg(c->park_aio));
            park_settled(c, code);
            return;
        }
        c->park = PARK_WAITING;
        nng_ctx_recv(c->park_ctx, c->park_aio);
        return;
    }
    park_settled(c, code);
}

/* A request is asked once: the answer to a lost one comes from attaching again, not from nng's repetition. */
static int set_options(struct sb_client *c)
{
    int rv = nng_socket_set_ms(c->sock, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE);

    if (!rv)
        rv = nng_socket_set_size(c->sock, NNG_OPT_RECVMAXSZ, SB_MESSAGE_MAX);
    if (!rv)
        rv = nng_pipe_notify(c->sock, NNG_PIPE_EV_ADD_PRE, pipe_came, c);
    if (!rv)
        rv = nng_pipe_notify(c->sock, NNG_PIPE_EV_REM_POST, pipe_gone, c);
    return rv;
}

static int dial(struct sb_client *c, const char *path)
{
    char url[256];
    nng_dialer dialer;
    int rv = nng_dialer_create(&dialer, c->sock, sb_nng_url(path, url, sizeof(url)));

    return rv ? rv : nng_dialer_start(dialer, 0);
}

static int set_up(struct sb_client *c, const char *path)
{
    int rv = nng_mtx_alloc(&c->lock);

    if (!rv)
        rv = nng_req0_open(&c->sock);
    if (!rv)
        rv = set_options(c);
    if (!rv)
        rv = nng_ctx_open(&c->park_ctx, c->sock);
    if (!rv)
        rv = nng_aio_alloc(&c->park_aio, park_moved, c);
    return rv ? rv : dial(c, path);
}

static sockbroker_status refuse_server(struct sb_client *c, const char *path, struct sockbroker_error *error_out)
{
    nng_mtx_lock(c->lock);
    sockbroker_status st =
        c->distrusted
            ? sb_error_set(error_out, SOCKBROKER_UNSAFE_PATH, 0,
                           "%s: served by %s, not by this account, SYSTEM or an administrator; nothing was said to it. "
                           "End that process, or name another --dir",
                           path, c->server)
            : SOCKBROKER_OK;
    nng_mtx_unlock(c->lock);
    return st;
}

sockbroker_status sb_client_open(const char *path, sb_channel_wake lost, void *arg, struct sb_client **client_out,
                                 struct sockbroker_error *error_out)
{
    struct sb_client *c = calloc(1, sizeof(*c));

    if (!c)
        return sb_error_set(error_out, SOCKBROKER_NO_MEMORY, 0, "out of memory for a connection to the broker");
    c->sock = (nng_socket)NNG_SOCKET_INITIALIZER;
    c->park_ctx = (nng_ctx)NNG_CTX_INITIALIZER;
    c->on_lost = lost;
    c->lost_arg = arg;
    int rv = set_up(c, path);
    if (rv) {
        c->on_lost = NULL;
        sb_client_close(c);
        return sb_nng_error(error_out, rv, path);
    }
    sockbroker_status st = refuse_server(c, path, error_out);
    if (st) {
        c->on_lost = NULL;
        sb_client_close(c);
        return st;
    }
    *client_out = c;
    return SOCKBROKER_OK;
}

/* A number alone may be another's by now; not so while the connection is there. */
sockbroker_status sb_client_open_server(struct sb_client *c, sockbroker_socket *process_out)
{
    sockbroker_socket process = SOCKBROKER_SOCKET_NONE;

    nng_mtx_lock(c->lock);
    uint32_t pid = c->server_pid;
    nng_mtx_unlock(c->lock);
    sockbroker_status st = sb_peer_watch_pid(pid, &process);
    nng_mtx_lock(c->lock);
    bool lost = c->lost;
    nng_mtx_unlock(c->lock);
    if (!st && !lost)
        *process_out = sb_socket_take(&process);
    sb_socket_close(&process);
    return st ? st : lost ? SOCKBROKER_CLOSED : SOCKBROKER_OK;
}

void sb_client_stop(struct sb_client *c)
{
    if (c)
        nng_close(c->sock);
}

void sb_client_close(struct sb_client *c)
{
    if (!c)
        return;
    if (c->park_aio)
        nng_aio_stop(c->park_aio);
    nng_close(c->sock); /* after this nng calls nobody */
    nng_aio_free(c->park_aio);
    if (c->park_reply)
        nng_msg_free(c->park_reply);
    nng_mtx_free(c->lock);
    free(c);
}

static sockbroker_status pack(const struct sb_request *request, nng_msg **msg_out)
{
    uint8_t buf[SB_MESSAGE_MAX];
    size_t len;
    nng_msg *msg;
    sockbroker_status st = sb_wire_pack_request(request, buf, sizeof(buf), &len);

    if (st)
        return st;
    if (nng_msg_alloc(&msg, 0))
        return SOCKBROKER_NO_MEMORY;
    if (nng_msg_append(msg, buf, len)) {
        nng_msg_free(msg);
        return SOCKBROKER_NO_MEMORY;
    }
    *msg_out = msg;
    return SOCKBROKER_OK;
}

/* Takes the message. */
static sockbroker_status understand(nng_msg *msg, enum sb_reply_kind expect, struct sb_reply *reply_out,
                                    struct sockbroker_error *error_out)
{
    sockbroker_status st = sb_wire_unpack_reply(nng_msg_body(msg), nng_msg_len(msg), reply_out, error_out);

    nng_msg_free(msg);
    if (st)
        return st;
    if (reply_out->kind == SB_REPLY_FAILURE)
        return sb_error_set(error_out, reply_out->as.failure.status, 0, "%s", reply_out->as.failure.text);
    if (reply_out->kind != expect)
        return sb_error_set(error_out, SOCKBROKER_BAD_MESSAGE, 0, "the broker answered with reply %d where %d was due",
                            (int)reply_out->kind, (int)expect);
    return SOCKBROKER_OK;
}

/* The message is given back in *msg on failure. */
static int exchange(nng_ctx ctx, nng_aio *aio, int timeout_ms, nng_msg **msg)
{
    nng_aio_set_timeout(aio, timeout_ms < 0 ? NNG_DURATION_INFINITE : timeout_ms);
    nng_aio_set_msg(aio, *msg);
    nng_ctx_send(ctx, aio);
    nng_aio_wait(aio);
    int rv = nng_aio_result(aio);
    if (rv)
        return rv;
    *msg = NULL; /* nng's now */
    nng_ctx_recv(ctx, aio);
    nng_aio_wait(aio);
    rv = nng_aio_result(aio);
    if (!rv)
        *msg = nng_aio_get_msg(aio);
    return rv;
}

static int call(struct sb_client *c, int timeout_ms, nng_msg **msg)
{
    nng_ctx ctx;
    nng_aio *aio;
    int rv = nng_ctx_open(&ctx, c->sock);

    if (rv)
        return rv;
    rv = nng_aio_alloc(&aio, NULL, NULL);
    if (!rv) {
        rv = exchange(ctx, aio, timeout_ms, msg);
        nng_aio_free(aio);
    }
    nng_ctx_close(ctx);
    return rv;
}

static bool is_lost(struct sb_client *c)
{
    nng_mtx_lock(c->lock);
    bool lost = c->lost;
    nng_mtx_unlock(c->lock);
    return lost;
}

sockbroker_status sb_client_call(struct sb_client *c, const struct sb_request *request, enum sb_reply_kind expect,
                                 int timeout_ms, struct sb_reply *reply_out, struct sockbroker_error *error_out)
{
    nng_msg *msg = NULL;
    sockbroker_status st = is_lost(c) ? SOCKBROKER_CLOSED : pack(request, &msg);

    if (st)
        return sb_error_set(error_out, st, 0, "the request could not be sent: %s", sockbroker_status_text(st));
    int rv = call(c, timeout_ms, &msg);
    if (rv) {
        if (msg)
            nng_msg_free(msg);
        return sb_nng_error(error_out, rv, "the broker");
    }
    return understand(msg, expect, reply_out, error_out);
}

sockbroker_status sb_client_park(struct sb_client *c, const struct sb_request *request, sb_channel_wake answered, void *arg)
{
    nng_msg *msg;
    sockbroker_status st = is_lost(c) ? SOCKBROKER_CLOSED : pack(request, &msg);

    if (st)
        return st;
    c->answered = answered;
    c->answered_arg = arg;
    c->park = PARK_SENDING;
    nng_aio_set_timeout(c->park_aio, NNG_DURATION_INFINITE);
    nng_aio_set_msg(c->park_aio, msg);
    nng_ctx_send(c->park_ctx, c->park_aio);
    return SOCKBROKER_OK;
}

sockbroker_status sb_client_take(struct sb_client *c, enum sb_reply_kind expect, struct sb_reply *reply_out,
                                 struct sockbroker_error *error_out)
{
    nng_mtx_lock(c->lock);
    bool answered = c->park == PARK_ANSWERED;
    int code = c->park_error;
    nng_msg *msg = c->park_reply;
    if (answered) {
        c->park = PARK_IDLE;
        c->park_reply = NULL;
    }
    bool lost = c->lost;
    nng_mtx_unlock(c->lock);
    if (!answered)
        return lost ? SOCKBROKER_CLOSED : SOCKBROKER_AGAIN;
    return code ? sb_nng_error(error_out, code, "the broker") : understand(msg, expect, reply_out, error_out);
}
