#include "broker/connector.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "broker/connector_inside.h"
#include "broker/dial.h"
#include "proto/clock.h"
#include "proto/error.h"
#include "proto/failpoint.h"
#include "proto/socket.h"
#include "sockbroker/addr.h"

/* ---- the end ---- */

static void on_closed(uv_handle_t *handle)
{
    struct sb_connect *c = handle->data;

    if (--c->n_handles == 0)
        free(c);
}

static void close_handle(struct sb_connect *c, uv_handle_t *handle)
{
    handle->data = c;
    uv_close(handle, on_closed); /* leaves epoll before the descriptor closes */
}

/* Its socket is the caller's from here on. */
static sockbroker_socket dismiss(struct sb_runner *r)
{
    if (r->sock != SOCKBROKER_SOCKET_NONE)
        close_handle(r->connect, (uv_handle_t *)&r->poll);
    return sb_socket_take(&r->sock);
}

/* A server that was quick sees a reset: nobody will speak to it. */
static void drop(struct sb_runner *r)
{
    sockbroker_socket sock = dismiss(r);

    sb_socket_reset(&sock);
}

/* No event comes any more, but the memory stays until the loop is run again. */
static void stop(struct sb_connect *c)
{
    for (size_t i = 0; i < SB_FAMILIES; i++) {
        sb_lookup_cancel(c->lookups[i]);
        c->lookups[i] = NULL;
    }
    for (size_t i = 0; i < SB_RACE_MAX; i++)
        drop(&c->runners[i]);
    close_handle(c, (uv_handle_t *)&c->timer);
    DL_DELETE(c->connector->connects, c);
}

/* What the resolver has to say when there was no address at all; NULL when there is nothing wrong but the name. */
static const struct sockbroker_error *resolver_trouble(const struct sb_connect *c)
{
    for (size_t i = 0; i < SB_FAMILIES; i++) {
        sockbroker_status st = c->answers[i].error.status;

        if (c->has_answer[i] && st && st != SOCKBROKER_NOT_FOUND)
            return &c->answers[i].error;
    }
    return NULL;
}

static void explain(const struct sb_connect *c, struct sockbroker_error *error_out)
{
    const struct sockbroker_error *trouble = c->race.n_attempts ? NULL : resolver_trouble(c);
    struct sockbroker_error cause;

    sb_race_failure(&c->race, &cause);
    if (trouble)
        *error_out = *trouble;
    else
        sb_error_set(error_out, cause.status, cause.os_code, "%s, port %u: %s",
                     c->request.host[0] ? c->request.host : "the addresses given", c->request.port, cause.text);
}

static void finish(struct sb_connect *c, sockbroker_socket sock)
{
    struct sb_connect_result result;

    memset(&result, 0, sizeof(result));
    if (sock == SOCKBROKER_SOCKET_NONE)
        explain(c, &result.error);
    result.sock = &sock;
    result.local = c->local;
    result.peer = c->peer;
    result.race = &c->race;
    for (size_t i = 0; i < SB_FAMILIES; i++)
        result.answers[i] = c->has_answer[i] ? &c->answers[i] : NULL;
    result.started_ms = c->started_ms;
    result.ended_ms = sb_connect_now_ms(c);
    stop(c);
    c->calls.done(c->calls.arg, &result);
    sb_socket_reset(&sock);
}

void sb_connect_cancel(struct sb_connect *c)
{
    stop(c);
}

/* ---- attempts ---- */

static void on_writable(uv_poll_t *poll, int status, int events);

static sockbroker_status watch(struct sb_connect *c, struct sb_runner *r, sockbroker_socket *sock,
                               struct sockbroker_error *error_out)
{
    int code = uv_poll_init_socket(c->connector->loop, &r->poll, *sock);

    if (code)
        return sb_error_set(error_out, code == UV_ENOMEM ? SOCKBROKER_NO_MEMORY : SOCKBROKER_SYSTEM, -code,
                            "watching a new socket: %s. Try again later", uv_strerror(code));
    r->sock = sb_socket_take(sock);
    r->poll.data = r;
    c->n_handles++;
    uv_poll_start(&r->poll, UV_WRITABLE, on_writable);
    return SOCKBROKER_OK;
}

static void begin(struct sb_connect *c, size_t attempt)
{
    static const struct sockbroker_addr any;
    const struct sb_race_pair *pair = &c->race.attempts[attempt].pair;
    struct sockbroker_addr source = c->request.source;
    sockbroker_socket sock = SOCKBROKER_SOCKET_NONE;
    struct sockbroker_error error = { SOCKBROKER_OK, 0, "" };

    if (source.family == SOCKBROKER_FAMILY_NONE)
        source = c->request.bind_source ? pair->source : any;
    sockbroker_status st = sb_dial_start(&source, &pair->destination, &sock, &error);
    if (!st)
        st = watch(c, &c->runners[attempt], &sock, &error);
    if (st)
        sb_race_failed(&c->race, attempt, sb_connect_now_ms(c), &error);
    sb_socket_close(&sock);
}

static void on_timer(uv_timer_t *timer);

static void go_on(struct sb_connect *c)
{
    for (;;) {
        uint64_t now_ms = sb_connect_now_ms(c);
        struct sb_race_step step = sb_race_next(&c->race, now_ms);

        switch (step.action) {
        case SB_RACE_START:
            begin(c, step.attempt);
            break;
        case SB_RACE_WAIT:
            uv_timer_start(&c->timer, on_timer, step.until_ms - now_ms, 0);
            return;
        case SB_RACE_WON:
            finish(c, dismiss(&c->runners[step.attempt]));
            return;
        case SB_RACE_FAILED:
            finish(c, SOCKBROKER_SOCKET_NONE);
            return;
        }
    }
}

static void on_timer(uv_timer_t *timer)
{
    go_on(timer->data);
}

static void on_writable(uv_poll_t *poll, int status, int events)
{
    struct sb_runner *r = poll->data;
    struct sb_connect *c = r->connect;
    size_t attempt = (size_t)(r - c->runners);
    struct sockbroker_error error;

    (void)status; /* the socket will say it better */
    (void)events;
    if (sb_dial_outcome(r->sock, &c->race.attempts[attempt].pair.destination, &c->local, &c->peer, &error)) {
        drop(r);
        sb_race_failed(&c->race, attempt, sb_connect_now_ms(c), &error);
    } else {
        sb_race_won(&c->race, attempt, sb_connect_now_ms(c));
    }
    go_on(c);
}

void sb_connect_tick(struct sb_connect *c)
{
    go_on(c);
}

const struct sb_race *sb_connect_race(const struct sb_connect *c)
{
    return &c->race;
}

/* ---- names ---- */

static const enum sockbroker_family families[SB_FAMILIES] = {
    [SB_FOR_IPV6] = SOCKBROKER_IPV6, [SB_FOR_IPV4] = SOCKBROKER_IPV4
};

static void on_answer(void *arg, const struct sb_lookup_answer *answer)
{
    struct sb_connect *c = arg;
    size_t i = answer->family == SOCKBROKER_IPV6 ? SB_FOR_IPV6 : SB_FOR_IPV4;

    c->lookups[i] = NULL;
    c->answers[i] = *answer;
    c->has_answer[i] = true;
    sb_connect_take_in(c, answer->addresses, answer->n_addresses);
    sb_race_answered(&c->race, answer->family, sb_connect_now_ms(c));
    go_on(c);
}

static sockbroker_status look_up(struct sb_connect *c)
{
    sockbroker_status st = SOCKBROKER_OK;

    for (size_t i = 0; i < SB_FAMILIES && !st; i++) {
        sb_race_await(&c->race, families[i]);
        st = sb_lookup_start(c->connector->loop, c->request.host, families[i], on_answer, c, &c->lookups[i]);
    }
    return st;
}

/* ---- the beginning ---- */

static bool is_literal(const struct sb_connect_request *r, struct sockbroker_addr *addr_out)
{
    return r->host[0] && !sockbroker_addr_parse_ip(r->host, addr_out, NULL);
}

static sockbroker_status check(const struct sb_connect_request *r, struct sockbroker_error *error_out)
{
    struct sockbroker_addr literal;

    if (!memchr(r->host, '\0', sizeof(r->host)))
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0, "host: it is too long. A name has at most %d bytes",
                            SB_LOOKUP_HOST_MAX);
    if (r->port == 0)
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0, "port: it is 0. Give 1 to 65535");
    if (r->n_addresses > SB_RACE_MAX || (r->n_addresses && r->host[0]))
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0, "%zu addresses%s: give a host, or at most %d addresses",
                            r->n_addresses, r->host[0] ? " and a host" : "", SB_RACE_MAX);
    if (r->n_addresses || is_literal(r, &literal))
        return SOCKBROKER_OK;
    return strchr(r->host, ':') ? sockbroker_addr_parse_ip(r->host, &literal, error_out)
                                : sb_lookup_check_host(r->host, error_out);
}

static sockbroker_status create(struct sb_connector *connector, const struct sb_connect_request *request,
                                const struct sb_connect_calls *calls, struct sb_connect **connect_out,
                                struct sockbroker_error *error_out)
{
    struct sb_connect *c = sb_failpoint("connect_memory") ? NULL : calloc(1, sizeof(*c));

    if (!c)
        return sb_error_set(error_out, SOCKBROKER_NO_MEMORY, 0, "a new connection: no memory. Try again later");
    c->connector = connector;
    c->request = *request;
    c->calls = *calls;
    sockbroker_addr_normalise(&c->request.source);
    for (size_t i = 0; i < SB_RACE_MAX; i++)
        c->runners[i] = (struct sb_runner){ .sock = SOCKBROKER_SOCKET_NONE, .connect = c };
    c->started_ms = sb_connect_now_ms(c);
    sockbroker_status st = sb_race_init(&c->race, &request->race, c->started_ms, error_out);
    if (st) {
        free(c);
        return st;
    }
    uv_timer_init(connector->loop, &c->timer);
    c->timer.data = c;
    c->n_handles = 1;
    DL_APPEND(connector->connects, c);
    *connect_out = c;
    return SOCKBROKER_OK;
}

sockbroker_status sb_connect_start(struct sb_connector *connector, const struct sb_connect_request *request,
                                   const struct sb_connect_calls *calls, struct sb_connect **connect_out,
                                   struct sockbroker_error *error_out)
{
    struct sb_connect *c = NULL;
    struct sockbroker_addr literal;
    sockbroker_status st = check(request, error_out);

    if (!st)
        st = create(connector, request, calls, &c, error_out);
    if (st)
        return st;
    if (request->n_addresses)
        sb_connect_take_in(c, request->addresses, request->n_addresses);
    else if (is_literal(request, &literal))
        sb_connect_take_in(c, &literal, 1);
    else
        st = look_up(c);
    if (st) {
        stop(c);
        return sb_error_set(error_out, st, 0, "%s: it cannot be looked up now: %s. Try again later", request->host,
                            sockbroker_status_text(st));
    }
    uv_timer_start(&c->timer, on_timer, 0, 0); /* so that done is never called from here */
    *connect_out = c;
    return SOCKBROKER_OK;
}

void sb_connector_init(struct sb_connector *connector, uv_loop_t *loop, sb_connect_sort sort, void *sort_arg)
{
    *connector = (struct sb_connector){ .loop = loop, .sort = sort, .sort_arg = sort_arg, .now_ms = sb_clock_ms };
}

void sb_connector_deinit(struct sb_connector *connector)
{
    struct sb_connect *c, *next;

    DL_FOREACH_SAFE(connector->connects, c, next)
        stop(c);
}
