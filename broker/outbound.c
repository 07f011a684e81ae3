#include "broker/outbound.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "broker/closer.h"
#include "broker/control.h"
#include "broker/destination.h"
#include "broker/grant.h"
#include "broker/log.h"
#include "broker/process.h"
#include "broker/session.h"
#include "proto/clock.h"
#include "proto/error.h"
#include "proto/failpoint.h"
#include "proto/socket.h"

#define OUTBOUNDS_MAX 256u /* under way at once; each has up to 16 descriptors for a short time */
#define OUTBOUNDS_PER_SESSION_MAX 16u

/* One request under way. */
struct sb_outbound {
    struct sb_broker *broker;
    struct sb_session *session;
    struct sb_call *call;
    struct sb_connect *connect;
    struct sb_outbound *prev, *next;
};

/* A connection that its worker has not settled yet. */
struct made {
    struct sb_broker *broker;
    sockbroker_socket sock;
};

/* ---- rules ---- */

bool sb_outbound_admits(const struct sb_broker *b, uint32_t uid)
{
    return sb_process_is_own_user(uid) || sb_id_list_has(&b->config.connect_uid, uid);
}

static sockbroker_status permit(void *arg, const struct sockbroker_addr *destination, struct sockbroker_error *error_out)
{
    const struct sb_outbound *o = arg;
    const struct sb_config *config = &o->broker->config;
    const struct sb_destination_rule *denied = sb_destination_find(&config->connect_deny, destination);
    bool is_own = sb_process_is_own_user(o->session->peer.uid);
    char text[SOCKBROKER_ADDR_TEXT_MAX], rule[SB_DESTINATION_TEXT_MAX];

    sockbroker_addr_format(destination, text);
    if (denied)
        return sb_error_set(error_out, SOCKBROKER_REFUSED, 0, "%s: denied by connect_deny %s", text,
                            sb_destination_rule_format(denied, rule));
    if ((is_own && !config->connect_allow.n) || sb_destination_find(&config->connect_allow, destination))
        return SOCKBROKER_OK;
    return sb_error_set(error_out, SOCKBROKER_REFUSED, 0, "%s: no connect_allow rule holds it", text);
}

static sockbroker_status check(const struct sb_session *s, const struct sb_connect_message *m, struct sockbroker_error *error)
{
    const struct sb_broker *b = s->broker;
    const struct sb_outbound *o;
    uint32_t n_all = 0, n_own = 0;

    if (!sb_outbound_admits(b, s->peer.uid))
        return sb_error_set(error, SOCKBROKER_REFUSED, 0, "uid %u may not have connections made; allow it with connect_uid",
                            s->peer.uid);
    if (m->source.family && m->source.port && m->source.port < 1024 && s->peer.uid)
        return sb_error_set(error, SOCKBROKER_REFUSED, 0, "source port %u is for root; use 0 or 1024 to 65535", m->source.port);
    if (b->state == SB_BROKER_STOPPING)
        return sb_error_set(error, SOCKBROKER_BUSY, 0, "the broker is stopping; ask the next one");
    DL_FOREACH(b->outbounds, o) {
        n_all++;
        n_own += o->session == s;
    }
    if (n_all >= OUTBOUNDS_MAX || n_own >= OUTBOUNDS_PER_SESSION_MAX)
        return sb_error_set(error, SOCKBROKER_BUSY, 0, "%u connections are being made%s; ask again later",
                            n_own >= OUTBOUNDS_PER_SESSION_MAX ? n_own : n_all,
                            n_own >= OUTBOUNDS_PER_SESSION_MAX ? " for this worker" : "");
    return SOCKBROKER_OK;
}

/* ---- addresses ---- */

static sockbroker_status sort(void *arg, const struct sockbroker_addr *destinations, size_t n_destinations,
                              struct sb_race_pair *pairs_out, size_t *n_pairs_out, struct sockbroker_error *error_out)
{
    const struct sb_broker *b = arg;
    struct sockbroker_select_options options = SOCKBROKER_SELECT_OPTIONS_INIT;
    struct sockbroker_pair sorted[SB_RACE_MAX];
    size_t n = 0;

    if (n_destinations > SB_RACE_MAX)
        n_destinations = SB_RACE_MAX;
    options.policies = b->config.address_policy.n ? b->config.address_policy.policies : NULL;
    options.n_policies = b->config.address_policy.n;
    sockbroker_status st = sockbroker_select_pairs(destinations, n_destinations, &options, sorted, &n, error_out);
    for (size_t i = 0; !st && i < n; i++) {
        pairs_out[i].source = sorted[i].source;
        pairs_out[i].destination = sorted[i].destination;
    }
    if (!st)
        *n_pairs_out = n;
    return st;
}

/* ---- the socket ---- */

static void drop_made(struct made *m)
{
    sb_closer_close(m->broker, &m->sock);
    free(m);
}

static bool on_given(struct sb_grant *g)
{
    (void)g;
    return false; /* until it is settled */
}

static void on_settled(struct sb_grant *g, bool kept)
{
    (void)kept; /* if not: nobody else wants it */
    drop_made(g->subject);
}

static void on_ended(struct sb_grant *g)
{
    drop_made(g->subject);
}

static const struct sb_grant_kind connect_kind = { .given = on_given, .settled = on_settled, .ended = on_ended };

static void describe(const struct sb_connect_result *r, struct sb_grant *g, struct sb_granted *granted)
{
    const struct sockbroker_socket_info info = { .accept_time_ns = sb_clock_ns(),
                                                 .socket_family = r->peer.family,
                                                 .type = SOCKBROKER_STREAM,
                                                 .protocol = 6,
                                                 .peer = r->peer,
                                                 .local = r->local };

    sb_grant_describe_socket(g, &info, granted);
}

static sockbroker_status grant(struct sb_session *s, const struct sb_connect_result *r, struct sb_granted *granted)
{
    struct made *m = sb_failpoint("outbound_memory") ? NULL : malloc(sizeof(*m));
    struct sb_grant *g;

    if (!m)
        return SOCKBROKER_NO_MEMORY;
    m->broker = s->broker;
    m->sock = *r->sock;
    sockbroker_status st = sb_socket_set_nonblocking(m->sock, false);
    if (!st)
        st = sb_grant_create(s, &connect_kind, m->sock, m, &g);
    if (st) {
        free(m);
        return st;
    }
    *r->sock = SOCKBROKER_SOCKET_NONE;
    describe(r, g, granted);
    return SOCKBROKER_OK;
}

/* ---- the answer ---- */

static void refuse(struct sb_granted *granted, sockbroker_status st, const char *text)
{
    granted->status = st;
    granted->grant_id = 0;
    granted->has_record = false;
    memset(granted->token, 0, sizeof(granted->token));
    snprintf(granted->text, sizeof(granted->text), "%s", text);
}

static sockbroker_status status_of(const struct sb_attempt *a)
{
    switch (a->state) {
    case SB_ATTEMPT_WON:
        return SOCKBROKER_OK;
    case SB_ATTEMPT_WAITING:
    case SB_ATTEMPT_RUNNING:
        return SOCKBROKER_AGAIN;
    case SB_ATTEMPT_LOST:
    case SB_ATTEMPT_FAILED:
    case SB_ATTEMPT_TURNED_AWAY:
        break;
    }
    return a->error.status ? a->error.status : SOCKBROKER_SYSTEM;
}

static void tell_attempt(const struct sb_attempt *a, uint64_t began_ms, struct sb_attempt_message *out)
{
    const char *text = a->error.text[0] ? a->error.text : sb_attempt_state_name(a->state);

    out->destination = a->pair.destination;
    out->source = a->pair.source;
    out->started = a->started_ms && a->state != SB_ATTEMPT_TURNED_AWAY;
    out->started_ms = out->started ? (uint32_t)(a->started_ms - began_ms) : 0;
    out->ended_ms = a->ended_ms ? (uint32_t)(a->ended_ms - began_ms) : 0;
    out->status = status_of(a);
    snprintf(out->text, sizeof(out->text), "%.*s", (int)SB_ATTEMPT_TEXT_MAX, text);
}

static void tell_race(const struct sb_connect_result *r, struct sb_granted *granted)
{
    granted->n_sockets = granted->state_len = 0;
    granted->n_attempts = 0;
    for (size_t i = 0; i < r->race->n_attempts; i++)
        tell_attempt(&r->race->attempts[i], r->started_ms, &granted->attempts[granted->n_attempts++]);
}

static void on_done(void *arg, const struct sb_connect_result *result)
{
    struct sb_outbound *o = arg;
    struct sb_broker *b = o->broker;
    struct sb_reply reply = { .kind = SB_REPLY_GRANTED };
    struct sb_granted *granted = &reply.as.granted;

    tell_race(result, granted);
    if (result->error.status)
        refuse(granted, result->error.status, result->error.text);
    else {
        sockbroker_status st = grant(o->session, result, granted);

        if (st)
            refuse(granted, st, sockbroker_status_text(st));
    }
    if (granted->status) {
        b->connects_failed++;
        sb_log(SB_LOG_INFO, "connect_failed", "worker=%s cause=\"%s\"", o->session->name, granted->text);
    }
    sb_call_reply(o->call, &reply);
    DL_DELETE(b->outbounds, o);
    free(o);
}

/* ---- requests ---- */

/* Of addresses that have no entry of their own. */
static bool prefers_ipv4(const struct sb_policy_list *table)
{
    static const struct sockbroker_addr ipv4 = { .family = SOCKBROKER_IPV4 };
    static const struct sockbroker_addr ipv6 = { .family = SOCKBROKER_IPV6, .ip = { 0x20 } };
    const struct sockbroker_policy *policies = table->n ? table->policies : NULL;

    return sockbroker_policy_find(policies, table->n, &ipv4)->precedence >
           sockbroker_policy_find(policies, table->n, &ipv6)->precedence;
}

static void fill(const struct sb_broker *b, const struct sb_connect_message *m, struct sb_connect_request *r)
{
    static const struct sb_connect_request none = SB_CONNECT_REQUEST_INIT;

    *r = none;
    snprintf(r->host, sizeof(r->host), "%s", m->host);
    r->n_addresses = m->n_addresses;
    memcpy(r->addresses, m->addresses, m->n_addresses * sizeof(m->addresses[0]));
    r->port = (uint16_t)m->port;
    r->source = m->source;
    r->race.deadline_ms = m->deadline_ms;
    r->race.prefers_ipv4 = prefers_ipv4(&b->config.address_policy);
}

static sockbroker_status start(struct sb_session *s, const struct sb_connect_message *m, struct sb_call *call,
                               struct sockbroker_error *error)
{
    struct sb_connect_request *request = malloc(sizeof(*request));
    struct sb_outbound *o = sb_failpoint("outbound_memory") ? NULL : calloc(1, sizeof(*o));
    sockbroker_status st = SOCKBROKER_NO_MEMORY;

    if (request && o) {
        struct sb_connect_calls calls = { permit, on_done, o };

        o->broker = s->broker;
        o->session = s;
        o->call = call;
        fill(s->broker, m, request);
        st = sb_connect_start(s->broker->connector, request, &calls, &o->connect, error);
    } else
        sb_error_set(error, st, 0, "out of memory for a connection");
    free(request);
    if (st)
        free(o);
    else
        DL_APPEND(s->broker->outbounds, o);
    return st;
}

void sb_outbound_begin(struct sb_session *s, const struct sb_connect_message *request, struct sb_call *call)
{
    struct sockbroker_error error;
    sockbroker_status st = check(s, request, &error);

    if (!st)
        st = start(s, request, call, &error);
    if (!st)
        return;
    s->broker->connects_failed++;
    sb_log(SB_LOG_NOTICE, "connect_refused", "worker=%s uid=%u cause=\"%s\"", s->name, s->peer.uid, error.text);
    sb_control_fail(call, st, error.text);
}

/* ---- ends ---- */

static void abandon(struct sb_outbound *o)
{
    sb_connect_cancel(o->connect);
    sb_call_drop(o->call);
    DL_DELETE(o->broker->outbounds, o);
    free(o);
}

void sb_outbounds_end(struct sb_session *s)
{
    struct sb_outbound *o, *tmp;

    DL_FOREACH_SAFE(s->broker->outbounds, o, tmp) {
        if (o->session == s)
            abandon(o);
    }
}

void sb_outbounds_tick(struct sb_broker *b)
{
    struct sb_outbound *o, *tmp;

    DL_FOREACH_SAFE(b->outbounds, o, tmp) {
        if (sb_call_is_lost(o->call))
            abandon(o);
    }
}

sockbroker_status sb_outbounds_open(struct sb_broker *b)
{
    b->connector = malloc(sizeof(*b->connector));
    if (!b->connector)
        return SOCKBROKER_NO_MEMORY;
    sb_connector_init(b->connector, &b->loop, sort, b);
    return SOCKBROKER_OK;
}

void sb_outbounds_close(struct sb_broker *b)
{
    while (b->outbounds)
        abandon(b->outbounds);
    if (b->connector)
        sb_connector_deinit(b->connector);
    free(b->connector);
    b->connector = NULL;
}
