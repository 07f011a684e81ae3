#include "broker/greeting.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <utlist.h>

#include "broker/closer.h"
#include "broker/log.h"
#include "broker/session.h"
#include "proto/clock.h"
#include "proto/error.h"
#include "proto/oserr.h"
#include "proto/secret.h"
#include "proto/socket.h"

#define STRANGERS_MAX 64
#define BACKLOG 4096
#define REST_MS 100 /* out of descriptors: look again so much later */

struct stranger {
    struct sb_greeter *greeter;
    sockbroker_socket sock;
    uint64_t since_ms;
    uv_poll_t poll;
    struct stranger *prev, *next;
};

struct sb_greeter {
    struct sb_broker *broker;
    sockbroker_socket sock;
    uv_poll_t poll;
    bool resting;
    uint64_t resume_at_ms;
    struct stranger *strangers;
    uint32_t n_strangers;
};

static void on_stranger_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void drop(struct stranger *s)
{
    DL_DELETE(s->greeter->strangers, s);
    s->greeter->n_strangers--;
    uv_close((uv_handle_t *)&s->poll, on_stranger_closed);
    sb_socket_close(&s->sock);
}

static void drop_one_by_lot(struct sb_greeter *g)
{
    struct stranger *s = g->strangers;
    uint32_t pick = 0;

    sb_secret_fill(&pick, sizeof(pick)); /* failing, the oldest goes */
    for (pick %= g->n_strangers; pick; pick--)
        s = s->next;
    g->broker->busy_refusals++;
    drop(s);
}

/* ---- Hello ---- */

static sockbroker_status refuse(struct sb_greeter *g, sockbroker_status status, const struct sb_peer *peer, const char *cause)
{
    g->broker->bad_messages++;
    sb_log(SB_LOG_WARNING, "hello_refused", "pid=%u uid=%u cause=\"%s\"", peer->pid, peer->uid, cause);
    return status;
}

/* The token says which session; the kernel must say the same process that attached. */
static sockbroker_status check(struct sb_greeter *g, const struct sb_hello *hello, const struct sb_peer *peer,
                               struct sb_session **session_out)
{
    struct sb_session *s = sb_session_find(g->broker, hello->session_id);

    if (!s || s->token_spent)
        return refuse(g, SOCKBROKER_NOT_FOUND, peer, "no session waits for this token");
    if (!sb_secret_equal(hello->token, s->token, SB_SECRET_LEN))
        return refuse(g, SOCKBROKER_REFUSED, peer, "wrong token");
    if (peer->uid != s->peer.uid || peer->gid != s->peer.gid || peer->pid != s->peer.pid)
        return refuse(g, SOCKBROKER_REFUSED, peer, "another process attached with this token");
    s->token_spent = true;
    *session_out = s;
    return SOCKBROKER_OK;
}

static void answer(sockbroker_socket sock, sockbroker_status status, sockbroker_socket worker_end)
{
    struct sb_welcome welcome = { .status = status };
    uint8_t buf[SB_PACKET_MAX];
    size_t len;
    int os_code;

    snprintf(welcome.text, sizeof(welcome.text), "%s", status ? sockbroker_status_text(status) : "");
    if (!sb_wire_pack_welcome(&welcome, buf, sizeof(buf), &len))
        sb_xfer_send_packet(sock, buf, len, worker_end, &os_code); /* failing, the close says it, and its session times out */
}

static void greet(struct stranger *st, const struct sb_hello *hello)
{
    struct sb_peer peer = SB_PEER_NONE;
    struct sb_session *session = NULL;
    sockbroker_socket worker_end = SOCKBROKER_SOCKET_NONE;
    sockbroker_status status = sb_peer_open(st->sock, &peer);

    if (!status)
        status = check(st->greeter, hello, &peer, &session);
    if (!status)
        status = sb_session_connect(session, &peer.handle, hello->ring, &worker_end);
    answer(st->sock, status, worker_end);
    if (status && session)
        sb_session_end(session, "its pair could not be made");
    sb_peer_close(&peer);
}

static void on_hello(uv_poll_t *poll, int status, int events)
{
    struct stranger *st = poll->data;
    struct sb_hello hello;
    struct sockbroker_error error;
    uint8_t buf[SB_PACKET_MAX];
    size_t len;
    sockbroker_socket stray = SOCKBROKER_SOCKET_NONE;

    (void)status;
    (void)events;
    sockbroker_status result = sb_xfer_receive_packet(st->sock, buf, sizeof(buf), &len, &stray);
    if (result == SOCKBROKER_AGAIN)
        return;
    bool stray_came = stray != SOCKBROKER_SOCKET_NONE;
    sb_closer_close(st->greeter->broker, &stray);
    if (!result && !stray_came)
        result = sb_wire_unpack_hello(buf, len, &hello, &error);
    if (!result && !stray_came)
        greet(st, &hello);
    else if (result != SOCKBROKER_CLOSED)
        st->greeter->broker->bad_messages++;
    drop(st);
}

/* ---- the door ---- */

static void rest(struct sb_greeter *g, int os_code)
{
    char text[96];

    sb_log(SB_LOG_WARNING, "handoff_socket_paused", "cause=\"%s\"", sb_oserr_text(os_code, text, sizeof(text)));
    g->resting = true;
    g->resume_at_ms = sb_clock_ms() + REST_MS;
    uv_poll_stop(&g->poll);
}

static void let_in(struct sb_greeter *g, sockbroker_socket sock)
{
    struct stranger *s = calloc(1, sizeof(*s));

    sb_xfer_refuse_sockets(sock);
    if (!s || uv_poll_init_socket(&g->broker->loop, &s->poll, sock)) {
        free(s);
        sb_socket_close(&sock);
        return;
    }
    s->greeter = g;
    s->sock = sock;
    s->since_ms = sb_clock_ms();
    s->poll.data = s;
    DL_APPEND(g->strangers, s);
    g->n_strangers++;
    uv_poll_start(&s->poll, UV_READABLE, on_hello);
    if (g->n_strangers > STRANGERS_MAX)
        drop_one_by_lot(g);
}

static void on_knock(uv_poll_t *poll, int status, int events)
{
    struct sb_greeter *g = poll->data;
    int sock = accept4(g->sock, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    (void)status;
    (void)events;
    if (sock >= 0)
        let_in(g, sock);
    else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
        rest(g, errno);
}

static void resume(struct sb_greeter *g)
{
    g->resting = false;
    uv_poll_start(&g->poll, UV_READABLE, on_knock);
}

static sockbroker_status listen_at(const char *path, sockbroker_socket *sock_out, struct sockbroker_error *error)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    sockbroker_socket sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    memcpy(at.sun_path, path, strlen(path) + 1);
    if (sock < 0 || bind(sock, (struct sockaddr *)&at, sizeof(at)) || listen(sock, BACKLOG)) {
        int code = errno;

        sb_socket_close(&sock);
        return sb_oserr_set(error, code, path, "check the runtime directory");
    }
    *sock_out = sock;
    return SOCKBROKER_OK;
}

sockbroker_status sb_greeter_open(struct sb_broker *b, struct sb_greeter **greeter_out, struct sockbroker_error *error_out)
{
    char path[SB_PATH_MAX];
    struct sb_greeter *g = calloc(1, sizeof(*g));

    if (!g)
        return sb_error_set(error_out, SOCKBROKER_NO_MEMORY, 0, "out of memory for the handoff socket");
    g->broker = b;
    g->sock = SOCKBROKER_SOCKET_NONE;
    sockbroker_status st = listen_at(sb_rundir_private_path(&b->rundir, SB_RUNDIR_HANDOFF, path), &g->sock, error_out);
    if (!st && uv_poll_init_socket(&b->loop, &g->poll, g->sock))
        st = sb_error_set(error_out, SOCKBROKER_NO_MEMORY, 0, "%s: the loop could not take it", path);
    if (!st) {
        g->poll.data = g;
        resume(g);
        st = sb_rundir_publish(&b->rundir, SB_RUNDIR_HANDOFF, error_out);
        if (st) {
            sb_greeter_close(g);
            return st;
        }
        *greeter_out = g;
        return SOCKBROKER_OK;
    }
    sb_socket_close(&g->sock);
    free(g);
    return st;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void sb_greeter_close(struct sb_greeter *g)
{
    if (!g)
        return;
    while (g->strangers)
        drop(g->strangers);
    uv_close((uv_handle_t *)&g->poll, on_closed);
    sb_socket_close(&g->sock);
}

void sb_greeter_tick(struct sb_greeter *g, uint64_t now_ms)
{
    struct stranger *s, *tmp;

    if (g->resting && now_ms >= g->resume_at_ms)
        resume(g);
    DL_FOREACH_SAFE(g->strangers, s, tmp) {
        if (now_ms - s->since_ms > g->broker->config.attach_ms) {
            g->broker->busy_refusals++;
            drop(s);
        }
    }
}
