#include "broker/listener.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "broker/accept.h"
#include "broker/custody.h"
#include "broker/dispatch.h"
#include "broker/histogram.h"
#include "broker/holder.h"
#include "broker/log.h"
#include "broker/mailbox.h"
#include "broker/shard.h"
#include "broker/share.h"
#include "client-lib/datagram.h"
#include "client-lib/listen.h"
#include "proto/clock.h"
#include "proto/oserr.h"
#include "proto/socket.h"

#define BATCH_MAX 64      /* then acks get their turn */
#define PAUSE_FIRST_MS 10 /* doubled up to PAUSE_MOST_MS while the shortage lasts */
#define PAUSE_MOST_MS 1000
#define PAUSE_LOG_MS 60000

static void rest(struct sb_listener *l, int os_code)
{
    char text[96];

    l->pause_ms = l->pause_ms ? 2 * l->pause_ms : PAUSE_FIRST_MS;
    if (l->pause_ms > PAUSE_MOST_MS)
        l->pause_ms = PAUSE_MOST_MS;
    uint64_t now_ms = sb_clock_ms();
    l->resume_at_ms = now_ms + l->pause_ms;
    if (now_ms >= l->quiet_until_ms) { /* near the limit shortages come and go all the time */
        l->quiet_until_ms = now_ms + PAUSE_LOG_MS;
        sb_log(SB_LOG_WARNING, "accept_paused", "endpoint=%s cause=\"%s\" cure=\"raise the limit (ulimit -n, LimitNOFILE)\"",
               l->endpoint->config.name, sb_oserr_text(os_code, text, sizeof(text)));
    }
    sb_listener_refresh(l);
}

static void stop_reading(struct sb_listener *l)
{
    if (l->reading)
        uv_poll_stop(&l->poll);
    l->reading = false;
}

static void note_repair(struct sb_listener *l, const char *cause, sockbroker_status st)
{
    char names[200];

    l->endpoint->counters.repaired++;
    l->endpoint->broker->listener_repairs++;
    sb_log(SB_LOG_WARNING, "listener_repaired", "endpoint=%s cause=\"%s\" by=\"%s\" result=%s", l->endpoint->config.name, cause,
           sb_holders_name(l, names, sizeof(names)), sockbroker_status_name(st));
}

/* A shard repairs its own. */
static bool is_down(const struct sb_listener *l)
{
    return !l->is_datagram && !l->shard && !sb_listen_is_on(l->sock);
}

/* Bound first: an unbound socket is bound anywhere by whoever sends. */
static void keep_datagram(struct sb_listener *l)
{
    const char *cause = NULL;

    if (l->sock != SOCKBROKER_SOCKET_NONE && sb_datagram_mend(l->sock, &l->addr, &cause))
        sb_share_lose(l, cause);
    else if (cause)
        note_repair(l, cause, SOCKBROKER_OK);
    sb_share_keep_datagram(l);
}

static sockbroker_status listen_again(struct sb_listener *l)
{
    sockbroker_status st = sb_listen_again(l->sock, &l->addr, l->endpoint->config.backlog);

    if (!st)
        note_repair(l, "shut down", st);
    return st;
}

/* True when another one has taken its place. Linux lets it bind beside the old one, which does not listen. */
static bool replace(struct sb_listener *l)
{
    struct sb_endpoint *e = l->endpoint;
    struct sb_listen_request request = { .addr = l->addr, .dual = l->dual, .backlog = e->config.backlog };
    sockbroker_socket sock = SOCKBROKER_SOCKET_NONE;
    struct sb_listener *fresh;
    struct sockbroker_addr at;
    enum sb_listen_note note;
    sockbroker_status st = sb_listen_open(&request, &sock, &at, &note, NULL);

    if (!st)
        st = sb_listener_create(e, &sock, &l->addr, l->dual, &fresh);
    sb_socket_close(&sock);
    if (st)
        return false;
    DL_REPLACE_ELEM(e->listeners, l, fresh);
    sb_listener_close(l, 0);
    sb_listener_refresh(fresh);
    sb_log(SB_LOG_NOTICE, "socket_back", "endpoint=%s", e->config.name);
    return true;
}

/* Shut down and then used for a connection it listens never again. True when it is not the endpoint's any more. */
static bool mend(struct sb_listener *l)
{
    if (!is_down(l))
        return false;
    if (l->sock != SOCKBROKER_SOCKET_NONE) {
        if (listen_again(l) == SOCKBROKER_OK)
            return false;
        stop_reading(l); /* leaves epoll before the descriptor closes */
        sb_share_lose(l, "shut down");
    }
    return replace(l);
}

void sb_listener_restore(struct sb_listener *l)
{
    if (l->sock == SOCKBROKER_SOCKET_NONE || (!l->is_datagram && !sb_listen_is_on(l->sock)))
        return;
    const char *changed = sb_guard_check(&l->guard, l->sock, l->is_datagram ? 0 : l->endpoint->config.backlog);
    if (changed)
        note_repair(l, changed, SOCKBROKER_OK);
}

/* Some worker has it, or had it: what holds of the socket can change at any time. */
static bool was_given(const struct sb_listener *l)
{
    return l->holders || l->last_holder[0];
}

/* Does the broker accept here? */
static bool accepts(const struct sb_listener *l)
{
    switch (l->endpoint->config.mode) {
    case SB_MODE_HANDOFF:
        return !l->is_datagram;
    case SB_MODE_SHARE:
        return false;
    case SB_MODE_SHARD:
        return !l->is_datagram && !sb_shard_is_live(l);
    }
    return false;
}

static void describe(const struct sb_listener *l, sockbroker_socket sock, const struct sockbroker_addr *peer,
                     struct sockbroker_socket_info *info)
{
    const struct sb_endpoint_config *config = &l->endpoint->config;

    info->lease_id = 0;
    info->accept_time_ns = sb_clock_ns();
    info->socket_family = l->addr.family;
    info->type = SOCKBROKER_STREAM;
    info->protocol = 6;
    info->nonblocking = !config->blocking;
    info->listening = false;
    info->peer = *peer;
    info->local = l->addr;
    if (l->wildcard)
        sb_accept_local(sock, &info->local);
    memcpy(info->endpoint, config->name, sizeof(info->endpoint));
}

static void admit(struct sb_listener *l, sockbroker_socket *sock, const struct sockbroker_addr *peer)
{
    struct sb_endpoint *e = l->endpoint;
    struct sockbroker_socket_info info;

    e->counters.accepted++;
    if (!sb_endpoint_admits_client(e, peer)) {
        e->counters.denied++;
        sb_socket_reset(sock);
        return;
    }
    describe(l, *sock, peer, &info);
    if (info.local.family == SOCKBROKER_FAMILY_NONE) /* the client is gone; nobody can be told less */
        info.local = l->addr;
    sb_dispatch_new(e, sock, &info);
}

/* False when there is nothing more to do now. */
static bool accept_one(struct sb_listener *l)
{
    sockbroker_socket sock = SOCKBROKER_SOCKET_NONE;
    struct sockbroker_addr peer;
    int os_code = 0;

    if (was_given(l)) /* accept() must not wait here because somebody wants it to */
        sb_socket_set_nonblocking(l->sock, true);
    switch (sb_accept(l->sock, l->endpoint->config.blocking, &sock, &peer, &os_code)) {
    case SB_ACCEPT_OK:
        l->pause_ms = 0;
        admit(l, &sock, &peer);
        return true;
    case SB_ACCEPT_EMPTY:
        return false;
    case SB_ACCEPT_RETRY:
        l->endpoint->counters.accept_errors++;
        return true;
    case SB_ACCEPT_BROKEN:
        if (is_down(l))
            (void)listen_again(l); /* if not, the clock finds it */
        break;
    case SB_ACCEPT_PAUSE:
    case SB_ACCEPT_UNKNOWN:
        break;
    }
    l->endpoint->counters.accept_errors++;
    rest(l, os_code);
    return false;
}

/* The batch grows while there is always one more, so that a lone connection costs one accept() and a flood few wake-ups. */
static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct sb_listener *l = poll->data;
    unsigned n = 0;

    (void)status; /* accept() will say it better */
    (void)events;
    if (sb_selector_needs_counts(&l->endpoint->selector) || !sb_endpoint_has_room(l->endpoint))
        sb_mailbox_collect(l->endpoint->broker->mailbox); /* what workers have said counts for who comes next */
    while (n < l->batch && sb_endpoint_has_room(l->endpoint) && accept_one(l))
        n++;
    if (n == l->batch)
        l->batch = 2 * l->batch > BATCH_MAX ? BATCH_MAX : 2 * l->batch;
    else
        l->batch = n ? n : 1;
    sb_dispatch_pump(l->endpoint->broker);
    sb_listener_refresh(l);
}

void sb_listener_refresh(struct sb_listener *l)
{
    bool wanted = accepts(l) && l->sock != SOCKBROKER_SOCKET_NONE && !l->resume_at_ms && sb_endpoint_has_room(l->endpoint);

    if (wanted == l->reading)
        return;
    if (!wanted) {
        stop_reading(l);
        return;
    }
    if (was_given(l))
        sb_listener_restore(l);
    l->reading = true;
    uv_poll_start(&l->poll, UV_READABLE, on_readable);
}

void sb_listener_pause(struct sb_listener *l)
{
    stop_reading(l);
}

void sb_listener_tick(struct sb_listener *l, uint64_t now_ms)
{
    bool is_shared = l->endpoint->config.mode == SB_MODE_SHARE;

    if (is_shared && l->is_datagram)
        keep_datagram(l);
    else if (mend(l))
        return;
    if (is_shared)
        sb_listener_restore(l);
    if (l->resume_at_ms && now_ms >= l->resume_at_ms) {
        l->resume_at_ms = 0;
        sb_listener_refresh(l);
    }
}

static bool is_wildcard(const struct sockbroker_addr *addr)
{
    static const uint8_t zero[16];

    return !memcmp(addr->ip, zero, sizeof(zero));
}

sockbroker_status sb_listener_create(struct sb_endpoint *e, sockbroker_socket *sock, const struct sockbroker_addr *addr,
                                     bool dual, struct sb_listener **listener_out)
{
    struct sb_listener *l = calloc(1, sizeof(*l));

    if (!l)
        return SOCKBROKER_NO_MEMORY;
    l->is_datagram = sb_socket_is_datagram(*sock);
    int code = l->is_datagram ? 0 : uv_poll_init_socket(&e->broker->loop, &l->poll, *sock);
    if (code) {
        free(l);
        return code == UV_ENOMEM ? SOCKBROKER_NO_MEMORY : SOCKBROKER_SYSTEM;
    }
    l->poll.data = l;
    l->endpoint = e;
    l->sock = sb_socket_take(sock);
    l->addr = *addr;
    l->dual = dual;
    l->wildcard = is_wildcard(addr);
    l->batch = 1;
    sb_guard_init(&l->guard, l->sock);
    sb_custody_note(e->broker);
    *listener_out = l;
    return SOCKBROKER_OK;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void sb_listener_close(struct sb_listener *l, unsigned most)
{
    bool has_queue = !l->is_datagram && l->sock != SOCKBROKER_SOCKET_NONE;

    while (has_queue && most-- && accept_one(l))
        continue;
    sb_share_forget(l);
    sb_custody_note(l->endpoint->broker);
    sockbroker_socket sock = l->shard ? SOCKBROKER_SOCKET_NONE : l->sock;
    if (l->is_datagram)
        free(l);
    else
        uv_close((uv_handle_t *)&l->poll, on_closed); /* leaves epoll before the descriptor closes */
    sb_socket_close(&sock);
}
