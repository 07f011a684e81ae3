#include "sockbroker/request.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client-lib/link.h"
#include "client-lib/report.h"
#include "client-lib/worker_state.h"
#include "proto/error.h"
#include "proto/failpoint.h"
#include "proto/socket.h"
#include "proto/thread.h"
#include "sockbroker/addr.h"

#define ANSWER_MS 5000 /* of a broker that has nothing to wait for */
#define CONNECT_MS 30000
#define LIFETIME_MS 60000

static_assert(SOCKBROKER_ATTEMPTS_MAX == SB_DESTINATIONS_MAX && SOCKBROKER_STATE_MAX == SB_STATE_MAX &&
                  SOCKBROKER_ATTEMPT_TEXT_MAX == SB_ATTEMPT_TEXT_MAX + 1,
              "the public limits are those of the messages");

/* One request under way: what is asked, and as whom. */
struct ask {
    struct sockbroker_worker *worker;
    struct sb_request request;
    struct sb_reply reply;
    struct sb_link *link; /* kept until finish() */
    struct sb_session_key session;
    struct sockbroker_error *error;
};

/* ---- the conversation ---- */

static sockbroker_status begin(struct sockbroker_worker *w, struct sockbroker_error *error, struct ask **ask_out)
{
    sb_error_set(error, SOCKBROKER_OK, 0, "%s", "");
    if (w->owner != sb_process_epoch())
        return sb_error_set(error, SOCKBROKER_FORKED, 0, "worker %s was opened before a fork; open a new one in the child",
                            w->attach.name);
    struct ask *a = calloc(1, sizeof(*a));
    if (!a)
        return sb_error_set(error, SOCKBROKER_NO_MEMORY, 0, "out of memory for a request");
    a->worker = w;
    a->error = error;
    sb_lock_take(w->lock);
    bool attached = w->link && !w->link->empty;
    bool stopped = w->state == SOCKBROKER_WORKER_CLOSED;
    if (attached && !stopped) {
        a->link = sb_link_use(w->link);
        a->session = a->link->session;
        *ask_out = a;
    }
    sb_lock_drop(w->lock);
    if (attached && !stopped)
        return SOCKBROKER_OK;
    free(a);
    if (stopped)
        return sb_error_set(error, SOCKBROKER_CLOSED, 0, "worker %s was stopped", w->attach.name);
    return sb_error_set(error, SOCKBROKER_NO_BROKER, 0, "no broker answers in %s now", w->dir);
}

static sockbroker_status call(struct ask *a, enum sb_reply_kind expect, int timeout_ms)
{
    return sb_control_call(a->worker, &a->request, expect, timeout_ms, &a->reply, a->error);
}

/* The reply that grants, or says why not. */
static sockbroker_status ask_for_grant(struct ask *a, int timeout_ms)
{
    sockbroker_status st = call(a, SB_REPLY_GRANTED, timeout_ms);
    const struct sb_granted *g = &a->reply.as.granted;

    return st || !g->status ? st : sb_error_set(a->error, g->status, 0, "%s", g->text);
}

static struct sb_hello hello_of(const struct ask *a, const struct sb_granted *g)
{
    struct sb_hello hello = { .session_id = a->session.id, .grant_id = g->grant_id };

    memcpy(hello.token, g->token, sizeof(hello.token));
    return hello;
}

static sockbroker_status fetch(struct ask *a, const struct sb_granted *g, sockbroker_socket *sock_out)
{
    struct sb_hello hello = hello_of(a, g);

    if (!g->has_record)
        return sb_error_set(a->error, SOCKBROKER_BAD_MESSAGE, 0, "the broker granted a socket and did not say which");
    struct sb_client *client = sb_control_use_client(a->worker);
    sockbroker_status st = sb_link_fetch(a->worker->dir, client, &hello, ANSWER_MS, sock_out, a->error);
    if (client)
        sb_control_release_client(a->worker);
    return st;
}

static sockbroker_status settle(struct ask *a, uint64_t grant_id, enum sb_verdict verdict, bool *kept_out)
{
    struct sb_report r = { .n_results = 1 };

    r.results[0].lease_id = grant_id;
    r.results[0].verdict = verdict;
    return sb_report_insist(a->worker, a->link, &r, kept_out);
}

static sockbroker_status leave(struct ask *a, const struct sb_hello *hello, sockbroker_socket sock)
{
    struct sb_client *client = sb_control_use_client(a->worker);
    sockbroker_status st = sb_link_leave(a->worker->dir, client, hello, ANSWER_MS, sock, a->error);

    if (client)
        sb_control_release_client(a->worker);
    return st;
}

/* Nobody else can take it out before the broker has heard this. */
static void give_back(struct ask *a, uint64_t grant_id)
{
    (void)settle(a, grant_id, SB_VERDICT_NACK_UNUSABLE, NULL);
}

/* From here on it is ours, or not: as the broker says. */
static sockbroker_status keep(struct ask *a, uint64_t grant_id)
{
    bool kept = false;

    (void)sb_failpoint("settle_grant");
    sockbroker_status st = settle(a, grant_id, SB_VERDICT_ACK, &kept);
    (void)sb_failpoint("grant_settled");
    if (st)
        return sb_error_set(a->error, st, 0, "the broker went away before it said whose the socket is; ask again");
    return kept ? SOCKBROKER_OK
                : sb_error_set(a->error, SOCKBROKER_NOT_FOUND, 0, "the broker has taken the socket back; ask again");
}

static sockbroker_status finish(struct ask *a, sockbroker_status st)
{
    if (st && a->error && !a->error->text[0])
        sb_error_set(a->error, st, 0, "%s", sockbroker_status_text(st));
    sb_link_release(a->worker, a->link);
    free(a);
    return st;
}

static sockbroker_status take_name(const char *what, const char *name, char out[SOCKBROKER_NAME_MAX + 1],
                                   struct sockbroker_error *error)
{
    size_t len = name ? strnlen(name, SOCKBROKER_NAME_MAX + 1) : 0;
    char quoted[SB_QUOTE_MAX];

    if (!name || !sb_name_is_valid(name, len))
        return sb_error_set(error, SOCKBROKER_INVALID, 0, "%s \"%s\": use 1 to %d of A-Z a-z 0-9 . _ -", what,
                            name ? sb_quote(name, len, quoted, sizeof(quoted)) : "", SOCKBROKER_NAME_MAX);
    memcpy(out, name, len + 1);
    return SOCKBROKER_OK;
}

/* ---- a socket of an endpoint ---- */

static sockbroker_status ask_socket(struct ask *a, const char *endpoint, unsigned index)
{
    struct sb_share *s = &a->request.as.share;

    a->request.kind = SB_REQUEST_SHARE;
    s->session = a->session;
    s->index = index;
    if (index >= SB_ADDRESSES_PER_ENDPOINT_MAX)
        return sb_error_set(a->error, SOCKBROKER_INVALID, 0, "index %u: an endpoint has at most %u sockets", index,
                            SB_ADDRESSES_PER_ENDPOINT_MAX);
    sockbroker_status st = take_name("endpoint", endpoint, s->endpoint, a->error);
    return st ? st : ask_for_grant(a, ANSWER_MS);
}

sockbroker_status sockbroker_worker_socket(struct sockbroker_worker *worker, const char *endpoint, unsigned index,
                                           struct sockbroker_conn *conn_out, unsigned *n_sockets_out,
                                           struct sockbroker_error *error_out)
{
    struct ask *a;
    sockbroker_status st = begin(worker, error_out, &a);

    if (st)
        return st;
    const struct sb_granted *g = &a->reply.as.granted;
    st = ask_socket(a, endpoint, index);
    if (!st)
        st = fetch(a, g, &conn_out->sock);
    if (!st)
        conn_out->info = g->record.info;
    if (!st && n_sockets_out)
        *n_sockets_out = g->n_sockets;
    return finish(a, st);
}

/* ---- a connection to somewhere ---- */

static sockbroker_status fill_connect(struct ask *a, const struct sockbroker_connect_options *o)
{
    struct sb_connect_message *c = &a->request.as.connect;
    const char *cause = NULL;

    a->request.kind = SB_REQUEST_CONNECT;
    if (o->size != sizeof(*o))
        cause = "options.size: begin with SOCKBROKER_CONNECT_OPTIONS_INIT";
    else if (!o->host == !o->n_addresses)
        cause = "give either host or addresses";
    else if (o->n_addresses && !o->addresses)
        cause = "addresses: n_addresses says that there are some, and there are none";
    else if (o->host && (!o->host[0] || strlen(o->host) > SB_HOST_MAX))
        cause = "host: use 1 to 255 bytes";
    else if (!o->port || o->port > UINT16_MAX)
        cause = "port: use 1 to 65535";
    else if (o->n_addresses > SB_DESTINATIONS_MAX)
        cause = "addresses: use at most 16";
    else if (o->deadline_ms > SB_CONNECT_MS_MAX)
        cause = "deadline_ms: use 1 to 600000";
    if (cause)
        return sb_error_set(a->error, SOCKBROKER_INVALID, 0, "%s", cause);
    c->session = a->session;
    snprintf(c->host, sizeof(c->host), "%s", o->host ? o->host : "");
    c->n_addresses = (uint32_t)o->n_addresses;
    for (size_t i = 0; i < o->n_addresses; i++) {
        c->addresses[i] = o->addresses[i];
        sockbroker_addr_normalise(&c->addresses[i]);
    }
    c->port = o->port;
    c->deadline_ms = o->deadline_ms ? o->deadline_ms : CONNECT_MS;
    c->source = o->source;
    sockbroker_addr_normalise(&c->source);
    return SOCKBROKER_OK;
}

static void copy_attempts(const struct sb_granted *g, struct sockbroker_attempt *attempts_out, size_t *n_attempts_out)
{
    for (uint32_t i = 0; i < g->n_attempts; i++) {
        const struct sb_attempt_message *from = &g->attempts[i];
        struct sockbroker_attempt *to = &attempts_out[i];

        to->destination = from->destination;
        to->source = from->source;
        to->started = from->started;
        to->started_ms = from->started_ms;
        to->ended_ms = from->ended_ms;
        to->status = from->status;
        memcpy(to->text, from->text, sizeof(to->text));
    }
    *n_attempts_out = g->n_attempts;
}

static sockbroker_status take_granted(struct ask *a, struct sockbroker_conn *conn_out)
{
    const struct sb_granted *g = &a->reply.as.granted;
    struct sockbroker_conn conn = { .sock = SOCKBROKER_SOCKET_NONE, .info = g->record.info };
    sockbroker_status st = fetch(a, g, &conn.sock);

    if (st)
        give_back(a, g->grant_id);
    else
        st = keep(a, g->grant_id);
    if (st)
        sb_socket_close(&conn.sock);
    else
        *conn_out = conn;
    return st;
}

sockbroker_status sockbroker_worker_connect(struct sockbroker_worker *worker, const struct sockbroker_connect_options *options,
                                            struct sockbroker_conn *conn_out, struct sockbroker_attempt *attempts_out,
                                            size_t *n_attempts_out, struct sockbroker_error *error_out)
{
    struct ask *a;
    sockbroker_status st = begin(worker, error_out, &a);

    if (st)
        return st;
    if (attempts_out)
        *n_attempts_out = 0;
    st = fill_connect(a, options);
    if (!st)
        st = ask_for_grant(a, (int)a->request.as.connect.deadline_ms + ANSWER_MS);
    if (attempts_out && a->reply.kind == SB_REPLY_GRANTED)
        copy_attempts(&a->reply.as.granted, attempts_out, n_attempts_out);
    if (!st)
        st = take_granted(a, conn_out);
    return finish(a, st);
}

/* ---- deposits ---- */

static sockbroker_status ask_deposit(struct ask *a, const struct sockbroker_deposit *d)
{
    struct sb_deposit *r = &a->request.as.deposit;
    const char *cause = NULL;

    a->request.kind = SB_REQUEST_DEPOSIT;
    if (d->size != sizeof(*d))
        cause = "deposit.size: begin with SOCKBROKER_DEPOSIT_INIT";
    else if (d->sock == SOCKBROKER_SOCKET_NONE)
        cause = "sock: give an open socket";
    else if (d->state_len > SB_STATE_MAX)
        cause = "state_len: use at most 65536";
    else if (d->state_len && !d->state)
        cause = "state: give state_len bytes";
    else if (d->lifetime_ms > SB_LIFETIME_MS_MAX)
        cause = "lifetime_ms: use 1 to 86400000";
    else if (d->n_allow_uids > SB_ALLOW_UIDS_MAX || (d->n_allow_uids && !d->allow_uids))
        cause = "allow_uids: use at most 8, and say how many";
    if (cause)
        return sb_error_set(a->error, SOCKBROKER_INVALID, 0, "%s", cause);
    r->session = a->session;
    r->lifetime_ms = d->lifetime_ms ? d->lifetime_ms : LIFETIME_MS;
    r->state_len = (uint32_t)d->state_len;
    r->n_allow_uids = (uint32_t)d->n_allow_uids;
    for (size_t i = 0; i < d->n_allow_uids; i++)
        r->allow_uids[i] = d->allow_uids[i];
    sockbroker_status st = take_name("deposit", d->name, r->name, a->error);
    return st ? st : ask_for_grant(a, ANSWER_MS);
}

static sockbroker_status send_state(struct ask *a, uint64_t grant_id, const struct sockbroker_deposit *d)
{
    struct sb_deposit_state *r = &a->request.as.deposit_state;
    sockbroker_status st = SOCKBROKER_OK;

    a->request.kind = SB_REQUEST_DEPOSIT_STATE;
    r->session = a->session;
    r->grant_id = grant_id;
    for (size_t at = 0; at < d->state_len && !st; at += r->chunk_len) {
        size_t left = d->state_len - at;

        r->offset = (uint32_t)at;
        r->chunk_len = (uint32_t)(left < SB_CHUNK_MAX ? left : SB_CHUNK_MAX);
        memcpy(r->chunk, (const uint8_t *)d->state + at, r->chunk_len);
        st = call(a, SB_REPLY_DONE, ANSWER_MS);
    }
    return st;
}

sockbroker_status sockbroker_worker_deposit(struct sockbroker_worker *worker, const struct sockbroker_deposit *deposit,
                                            struct sockbroker_error *error_out)
{
    struct ask *a;
    sockbroker_status st = begin(worker, error_out, &a);

    if (st)
        return st;
    st = ask_deposit(a, deposit);
    struct sb_hello hello = hello_of(a, &a->reply.as.granted);
    (void)sb_failpoint("deposit_announced");
    if (!st)
        st = send_state(a, hello.grant_id, deposit);
    (void)sb_failpoint("deposit_state_sent");
    if (!st)
        st = leave(a, &hello, deposit->sock);
    return finish(a, st);
}

static sockbroker_status read_state(struct ask *a, uint64_t grant_id, uint8_t *state_out, size_t state_len)
{
    struct sb_read_state *r = &a->request.as.read_state;
    const struct sb_state *got = &a->reply.as.state;
    sockbroker_status st = SOCKBROKER_OK;

    a->request.kind = SB_REQUEST_READ_STATE;
    r->session = a->session;
    r->grant_id = grant_id;
    for (size_t at = 0; at < state_len && !st; at += got->chunk_len) {
        r->offset = (uint32_t)at;
        st = call(a, SB_REPLY_STATE, ANSWER_MS);
        if (!st && (!got->chunk_len || got->chunk_len > state_len - at))
            st = sb_error_set(a->error, SOCKBROKER_BAD_MESSAGE, 0, "the broker sends another state than it announced");
        if (!st)
            memcpy(state_out + at, got->chunk, got->chunk_len);
    }
    return st;
}

/* The socket first, then the state, for the reply has room for one of them; nothing is ours before the settlement. */
static sockbroker_status take_deposit(struct ask *a, struct sockbroker_conn *conn_out, void *state_out, size_t state_room,
                                      size_t *state_len_out)
{
    const struct sb_granted *g = &a->reply.as.granted;
    struct sockbroker_conn conn = { .sock = SOCKBROKER_SOCKET_NONE, .info = g->record.info };
    uint64_t grant_id = g->grant_id;
    size_t state_len = g->state_len;
    sockbroker_status st = fetch(a, g, &conn.sock);

    (void)sb_failpoint("deposit_fetched");
    if (!st && state_len > state_room)
        st = sb_error_set(a->error, SOCKBROKER_INVALID, 0, "the state has %zu bytes, there is room for %zu", state_len,
                          state_room);
    if (!st)
        st = read_state(a, grant_id, state_out, state_len);
    if (st)
        give_back(a, grant_id);
    else
        st = keep(a, grant_id);
    if (st) {
        sb_socket_close(&conn.sock);
        return st;
    }
    *conn_out = conn;
    if (state_len_out)
        *state_len_out = state_len;
    return SOCKBROKER_OK;
}

sockbroker_status sockbroker_worker_withdraw(struct sockbroker_worker *worker, const char *name,
                                             struct sockbroker_conn *conn_out, void *state_out, size_t state_room,
                                             size_t *state_len_out, struct sockbroker_error *error_out)
{
    struct ask *a;
    sockbroker_status st = begin(worker, error_out, &a);

    if (st)
        return st;
    a->request.kind = SB_REQUEST_WITHDRAW;
    a->request.as.withdraw.session = a->session;
    st = take_name("deposit", name, a->request.as.withdraw.name, error_out);
    if (!st)
        st = ask_for_grant(a, ANSWER_MS);
    if (!st)
        st = take_deposit(a, conn_out, state_out, state_room, state_len_out);
    return finish(a, st);
}
