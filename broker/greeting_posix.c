#include "broker/control.h"
#include "broker/greeting.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <utlist.h>

#include "broker/closer.h"
#include "broker/grant.h"
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
    uint64_t session_id, grant_id; /* it has shown the token of an inward grant: the socket comes next */
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

/* What was to come through this door; NULL: nothing, or its session has ended. */
static struct sb_grant *awaited_grant(const struct stranger *s)
{
    struct sb_session *session = s->grant_id ? sb_session_find(s->greeter->broker, s->session_id) : NULL;

    return session ? sb_grant_find(session, s->grant_id) : NULL;
}

static void drop(struct stranger *s)
{
    struct sb_grant *grant = awaited_grant(s);

    if (grant)
        sb_grant_abandon(grant);
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

/* False: it has not gone. One without a socket has a text, or it would be an empty packet, which means the end. */
static bool answer(sockbroker_socket sock, sockbroker_status status, const char *cause, sockbroker_socket passenger)
{
    struct sb_welcome welcome = { .status = status };
    uint8_t buf[SB_PACKET_MAX];
    size_t len;
    int os_code;

    snprintf(welcome.text, sizeof(welcome.text), "%s", cause ? cause : status ? sockbroker_status_text(status) : "");
    return !sb_wire_pack_welcome(&welcome, buf, sizeof(buf), &len) && !sb_xfer_send_packet(sock, buf, len, passenger, &os_code);
}

/* Its end of the pair. */
static void connect_session(struct stranger *st, const struct sb_hello *hello, struct sb_peer *peer)
{
    struct sb_session *session = NULL;
    sockbroker_socket worker_end = SOCKBROKER_SOCKET_NONE;
    sockbroker_status status = sb_greeting_claim(st->greeter->broker, hello, peer, &session);

    if (!status)
        status = sb_session_connect(session, &peer->handle, hello->ring, &worker_end);
    answer(st->sock, status, NULL, worker_end); /* failing, the close says it, and its session times out */
    if (status && session)
        sb_session_end(session, "its pair could not be made");
}

static void hand_out(const struct stranger *st, struct sb_grant *grant)
{
    if (answer(st->sock, SOCKBROKER_OK, NULL, grant->sock)) {
        sb_grant_given(grant);
        return;
    }
    sb_grant_abandon(grant);
    answer(st->sock, SOCKBROKER_BUSY, "the system did not let the socket go; try again a little later", SOCKBROKER_SOCKET_NONE);
}

/* A socket that it asked for goes; for one that it leaves, the door opens. True while that is to come. */
static bool serve_grant(struct stranger *st, const struct sb_hello *hello, const struct sb_peer *peer)
{
    struct sb_grant *grant;
    const char *cause;
    sockbroker_status status = sb_grant_claim(st->greeter->broker, hello, peer, &grant, &cause);

    if (status) {
        answer(st->sock, sb_greeting_refuse(st->greeter->broker, status, peer, cause), cause, SOCKBROKER_SOCKET_NONE);
        return false;
    }
    if (!grant->kind->is_inward) {
        hand_out(st, grant);
        return false;
    }
    st->session_id = hello->session_id;
    st->grant_id = hello->grant_id;
    sb_xfer_accept_sockets(st->sock);
    return answer(st->sock, SOCKBROKER_OK, "leave it", SOCKBROKER_SOCKET_NONE);
}

/* True while more is to come. */
static bool greet(struct stranger *st, const struct sb_hello *hello)
{
    struct sb_peer peer = SB_PEER_NONE;
    sockbroker_status status = sb_peer_open(st->sock, &peer);
    bool goes_on = false;

    if (status)
        answer(st->sock, status, NULL, SOCKBROKER_SOCKET_NONE);
    else if (hello->grant_id)
        goes_on = serve_grant(st, hello, &peer);
    else
        connect_session(st, hello, &peer);
    sb_peer_close(&peer);
    return goes_on;
}

/* The session may have ended since. */
static sockbroker_status take_socket(const struct stranger *st, sockbroker_socket *sock, struct sockbroker_error *error)
{
    struct sb_grant *grant = awaited_grant(st);

    if (!grant)
        return sb_error_set(error, SOCKBROKER_NOT_FOUND, 0, "the session that left this socket has ended");
    if (*sock == SOCKBROKER_SOCKET_NONE)
        return sb_error_set(error, SOCKBROKER_BAD_MESSAGE, 0, "a packet came and no socket with it");
    return sb_grant_arrived(grant, sock, error);
}

static bool hear(struct stranger *st, const uint8_t *data, size_t len, sockbroker_socket *sock)
{
    struct sb_hello hello;
    struct sockbroker_error error;

    if (st->grant_id) {
        sockbroker_status status = take_socket(st, sock, &error);

        answer(st->sock, status, status ? error.text : "it is here", SOCKBROKER_SOCKET_NONE);
        return false;
    }
    if (*sock == SOCKBROKER_SOCKET_NONE && !sb_wire_unpack_hello(data, len, &hello, &error))
        return greet(st, &hello);
    st->greeter->broker->bad_messages++;
    return false;
}

static void on_hello(uv_poll_t *poll, int status, int events)
{
    struct stranger *st = poll->data;
    uint8_t buf[SB_PACKET_MAX];
    size_t len = 0;
    sockbroker_socket sock = SOCKBROKER_SOCKET_NONE;

    (void)status;
    (void)events;
    sockbroker_status result = sb_xfer_receive_packet(st->sock, buf, sizeof(buf), &len, &sock);
    if (result == SOCKBROKER_AGAIN)
        return;
    bool goes_on = !result && hear(st, buf, len, &sock);
    if (result == SOCKBROKER_NO_DESCRIPTORS && st->grant_id)
        answer(st->sock, result, "the broker is at its descriptor limit; raise it (ulimit -n)", SOCKBROKER_SOCKET_NONE);
    else if (result && result != SOCKBROKER_CLOSED)
        st->greeter->broker->bad_messages++;
    sb_closer_close(st->greeter->broker, &sock);
    if (!goes_on)
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

void sb_greeting_hand(struct sb_broker *b, const struct sb_hand *hand, struct sb_call *call)
{
    (void)b;
    (void)hand;
    sb_control_fail(call, SOCKBROKER_UNSUPPORTED,
                    "sockets travel by the handoff socket here, not by messages; show the Hello there");
}
