#include "broker/control.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/attach.h"
#include "broker/deposit.h"
#include "broker/dispatch.h"
#include "broker/greeting.h"
#include "broker/mailbox.h"
#include "broker/operator.h"
#include "broker/outbound.h"
#include "broker/process.h"
#include "broker/session.h"
#include "broker/share.h"
#include "broker/status.h"
#include "broker/supervise.h"
#include "broker/takeover.h"
#include "broker/waiter.h"
#include "proto/secret.h"

#define REQUESTS_MAX 64 /* before connections get their turn */

void sb_control_fail(struct sb_call *call, sockbroker_status status, const char *text)
{
    struct sb_reply reply = { .kind = SB_REPLY_FAILURE };

    reply.as.failure.status = status;
    snprintf(reply.as.failure.text, sizeof(reply.as.failure.text), "%s", text);
    sb_call_reply(call, &reply);
}

/* The session that the key opens, or NULL and the call is answered. */
static struct sb_session *unlock(struct sb_broker *b, const struct sb_session_key *key, struct sb_call *call)
{
    struct sb_session *s = sb_session_find(b, key->id);

    if (!s) {
        sb_control_fail(call, SOCKBROKER_NOT_FOUND, "no such session here; attach again");
        return NULL;
    }
    if (!sb_secret_equal(key->secret, s->key.secret, SB_SECRET_LEN) || sb_call_uid(call) != s->peer.uid) {
        b->bad_messages++;
        sb_control_fail(call, SOCKBROKER_REFUSED, "the session belongs to another worker");
        return NULL;
    }
    return s;
}

static void settle(struct sb_session *s, const struct sb_settle *settle, struct sb_call *call)
{
    struct sb_broker *b = s->broker;
    struct sb_reply reply = { .kind = SB_REPLY_SETTLED };

    reply.as.settled.n_kept = settle->n_results;
    for (uint32_t i = 0; i < settle->n_results; i++)
        reply.as.settled.kept[i] = sb_session_settle(s, &settle->results[i]);
    sb_session_refresh(s);
    sb_call_reply(call, &reply);
    sb_waiters_check(b);
}

static void detach(struct sb_session *s, struct sb_call *call)
{
    struct sb_reply reply = { .kind = SB_REPLY_DONE };

    s->has_left = true;
    sb_session_end(s, "detached");
    reply.as.done_count = 1;
    sb_call_reply(call, &reply);
}

static void status(struct sb_broker *b, const struct sb_status_request *request, struct sb_call *call)
{
    struct sb_reply reply = { .kind = SB_REPLY_STATUS };

    sb_mailbox_collect(b->mailbox); /* what workers have said by now counts */
    sb_status_fill(b, request, &reply.as.status);
    sb_call_reply(call, &reply);
}

static void groups(struct sb_broker *b, const struct sb_groups_request *request, struct sb_call *call)
{
    struct sb_reply reply = { .kind = SB_REPLY_GROUPS };

    sb_supervise_fill(b, request, &reply.as.groups);
    sb_call_reply(call, &reply);
}

static void drain(struct sb_broker *b, const struct sb_drain *drain, struct sb_call *call)
{
    sb_mailbox_collect(b->mailbox);
    if (sb_process_is_own_user(sb_call_uid(call)))
        sb_waiter_drain(b, drain, call);
    else
        sb_control_fail(call, SOCKBROKER_REFUSED, "only the broker's own user and root may drain workers");
}

static void upgrade(struct sb_broker *b, const struct sb_upgrade *upgrade, struct sb_call *call)
{
    if (sb_process_is_own_user(sb_call_uid(call)))
        sb_giving_begin(b, upgrade, call);
    else
        sb_control_fail(call, SOCKBROKER_REFUSED, "only the broker's own user and root may replace it");
}

/* What only a session may ask: a socket, or to leave one. */
static void serve_session(struct sb_broker *b, const struct sb_request *request, const struct sb_session_key *key,
                          struct sb_call *call)
{
    struct sb_session *s = unlock(b, key, call);

    if (!s)
        return;
    switch (request->kind) {
    case SB_REQUEST_SHARE:
        sb_share(s, &request->as.share, call);
        break;
    case SB_REQUEST_CONNECT:
        sb_outbound_begin(s, &request->as.connect, call);
        break;
    case SB_REQUEST_DEPOSIT:
        sb_deposit_begin(s, &request->as.deposit, call);
        break;
    case SB_REQUEST_DEPOSIT_STATE:
        sb_deposit_append(s, &request->as.deposit_state, call);
        break;
    case SB_REQUEST_WITHDRAW:
        sb_deposit_withdraw(s, &request->as.withdraw, call);
        break;
    case SB_REQUEST_READ_STATE:
        sb_deposit_read(s, &request->as.read_state, call);
        break;
    case SB_REQUEST_NEXT:
        sb_session_park(s, request->as.next.n_told, call);
        break;
    case SB_REQUEST_SETTLE:
        settle(s, &request->as.settle, call);
        break;
    case SB_REQUEST_DETACH:
        detach(s, call);
        break;
    case SB_REQUEST_HAND:
    case SB_REQUEST_ATTACH:
    case SB_REQUEST_STATUS:
    case SB_REQUEST_DRAIN:
    case SB_REQUEST_RELOAD:
    case SB_REQUEST_SCALE:
    case SB_REQUEST_PAUSE:
    case SB_REQUEST_GROUPS:
    case SB_REQUEST_UPGRADE:
        break;
    }
}

/* The key of a request that speaks for a session; NULL for the others. */
static const struct sb_session_key *key_of(const struct sb_request *request)
{
    switch (request->kind) {
    case SB_REQUEST_NEXT:
        return &request->as.next.session;
    case SB_REQUEST_SETTLE:
        return &request->as.settle.session;
    case SB_REQUEST_DETACH:
        return &request->as.detach;
    case SB_REQUEST_SHARE:
        return &request->as.share.session;
    case SB_REQUEST_CONNECT:
        return &request->as.connect.session;
    case SB_REQUEST_DEPOSIT:
        return &request->as.deposit.session;
    case SB_REQUEST_DEPOSIT_STATE:
        return &request->as.deposit_state.session;
    case SB_REQUEST_WITHDRAW:
        return &request->as.withdraw.session;
    case SB_REQUEST_READ_STATE:
        return &request->as.read_state.session;
    case SB_REQUEST_HAND:
    case SB_REQUEST_ATTACH:
    case SB_REQUEST_STATUS:
    case SB_REQUEST_DRAIN:
    case SB_REQUEST_RELOAD:
    case SB_REQUEST_SCALE:
    case SB_REQUEST_PAUSE:
    case SB_REQUEST_GROUPS:
    case SB_REQUEST_UPGRADE:
        break;
    }
    return NULL;
}

static void serve(struct sb_broker *b, const struct sb_request *request, struct sb_call *call)
{
    const struct sb_session_key *key = key_of(request);

    if (key)
        serve_session(b, request, key, call);
    else if (request->kind == SB_REQUEST_ATTACH)
        sb_attach(b, &request->as.attach, call);
    else if (request->kind == SB_REQUEST_HAND)
        sb_greeting_hand(b, &request->as.hand, call);
    else if (request->kind == SB_REQUEST_STATUS)
        status(b, &request->as.status, call);
    else if (request->kind == SB_REQUEST_GROUPS)
        groups(b, &request->as.groups, call);
    else if (request->kind == SB_REQUEST_UPGRADE)
        upgrade(b, &request->as.upgrade, call);
    else if (request->kind == SB_REQUEST_DRAIN)
        drain(b, &request->as.drain, call);
    else
        sb_operator_serve(b, request, call);
}

void sb_control_serve(struct sb_broker *b)
{
    struct sb_request *request = malloc(sizeof(*request));
    struct sb_call *call;
    unsigned n = 0;

    if (!request)
        return; /* the tick tries again */
    while (n < REQUESTS_MAX && sb_server_take(b->server, &call, request)) {
        serve(b, request, call);
        n++;
    }
    free(request);
    if (n == REQUESTS_MAX)
        uv_async_send(&b->control_wake);
    sb_dispatch_pump(b);
}
