#include "broker/listener.h"

#include <stdlib.h>
#include <string.h>

#include "broker/accept.h"
#include "broker/dispatch.h"
#include "broker/histogram.h"
#include "broker/log.h"
#include "broker/mailbox.h"
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

static void mend(struct sb_listener *l)
{
    if (sb_listen_is_on(l->sock))
        return;
    sockbroker_status st = sb_listen_again(l->sock, &l->addr, l->endpoint->config.backlog);
    l->endpoint->broker->listener_repairs++;
    sb_log(SB_LOG_WARNING, "listener_repaired", "endpoint=%s result=%s", l->endpoint->config.name, sockbroker_status_name(st));
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
        mend(l);
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
    bool wanted = !l->resume_at_ms && sb_endpoint_has_room(l->endpoint);

    if (wanted == l->reading)
        return;
    l->reading = wanted;
    if (wanted)
        uv_poll_start(&l->poll, UV_READABLE, on_readable);
    else
        uv_poll_stop(&l->poll);
}

void sb_listener_tick(struct sb_listener *l, uint64_t now_ms)
{
    mend(l);
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
    int code = uv_poll_init_socket(&e->broker->loop, &l->poll, *sock);
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
    *listener_out = l;
    return SOCKBROKER_OK;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void sb_listener_close(struct sb_listener *l, unsigned most)
{
    while (most-- && accept_one(l))
        continue;
    uv_close((uv_handle_t *)&l->poll, on_closed); /* leaves epoll before the descriptor closes */
    sb_socket_close(&l->sock);
}
