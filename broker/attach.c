#include "broker/attach.h"

#include <stdio.h>
#include <string.h>
#include <utlist.h>

#include "broker/control.h"
#include "broker/endpoint.h"
#include "broker/log.h"
#include "broker/outbound.h"
#include "broker/process.h"
#include "broker/session.h"
#include "broker/supervise.h"
#include "proto/error.h"
#include "proto/secret.h"

#define ATTACHING_MAX 1024u /* between Attach and Hello lie milliseconds, unless very many come at once */
#define FINISH_WITHIN_MS 20 /* where open counts only inform people, the end of a connection need not wake anybody */

static sockbroker_status check_version(const struct sb_attach *a, struct sockbroker_error *error)
{
    if (a->version_min <= SB_PROTOCOL_VERSION && SB_PROTOCOL_VERSION <= a->version_max)
        return SOCKBROKER_OK;
    return sb_error_set(
        error, SOCKBROKER_VERSION, 0,
        "worker %s speaks protocol versions %u to %u, this broker %u; use a library and a broker of one release", a->name,
        a->version_min, a->version_max, SB_PROTOCOL_VERSION);
}

static sockbroker_status check_endpoint(struct sb_broker *b, const char *name, const struct sb_peer *ids,
                                        enum sb_carrier *carrier, struct sockbroker_error *error)
{
    const struct sb_endpoint *e = sb_endpoint_find(b, name);

    if (!e || e->state == SB_ENDPOINT_CLOSING)
        return sb_error_set(error, SOCKBROKER_NOT_FOUND, 0, "no endpoint \"%s\" here; `sockbroker status` lists them", name);
    if (!sb_endpoint_admits_worker(e, ids->uid, ids->gid))
        return sb_error_set(error, SOCKBROKER_REFUSED, 0,
                            "uid %u gid %u may not serve endpoint \"%s\"; allow it with allow_uid or allow_gid", ids->uid,
                            ids->gid, name);
    if (*carrier && *carrier != e->config.carrier)
        return sb_error_set(
            error, SOCKBROKER_INVALID, 0,
            "endpoint \"%s\" has another carrier than the ones before it; attach to it with a worker of its own", name);
    *carrier = e->config.carrier;
    return SOCKBROKER_OK;
}

static sockbroker_status check_endpoints(struct sb_broker *b, const struct sb_attach *a, const struct sb_peer *ids,
                                         struct sockbroker_error *error)
{
    enum sb_carrier carrier = 0;
    sockbroker_status st = SOCKBROKER_OK;

    for (uint32_t i = 0; i < a->n_endpoints && !st; i++)
        st = check_endpoint(b, a->endpoints[i], ids, &carrier, error);
    return st;
}

static uint32_t count_of_uid(const struct sb_broker *b, uint32_t uid)
{
    const struct sb_session *s;
    uint32_t n = 0;

    DL_FOREACH(b->sessions, s)
        n += s->peer.uid == uid;
    return n;
}

/* Who attached and never came for its pair holds a place that nobody uses: the one that has waited longest makes room. */
static void make_room(struct sb_broker *b)
{
    struct sb_session *s;

    if (b->n_attaching < ATTACHING_MAX && (b->n_sessions < b->max_sessions || !b->n_attaching))
        return;
    DL_FOREACH(b->sessions, s) {
        if (s->state == SB_SESSION_ATTACHING) {
            b->busy_refusals++;
            sb_session_end(s, "made room for others");
            return;
        }
    }
}

static sockbroker_status check_limits(struct sb_broker *b, const struct sb_peer *ids, struct sockbroker_error *error)
{
    if (b->state == SB_BROKER_STOPPING)
        return sb_error_set(error, SOCKBROKER_BUSY, 0, "the broker is stopping; attach to the next one");
    make_room(b);
    if (b->n_sessions >= b->max_sessions)
        return sb_error_set(error, SOCKBROKER_BUSY, 0, "%u workers are attached, which is the limit; raise max_sessions",
                            b->n_sessions);
    if (!sb_process_is_own_user(ids->uid) && count_of_uid(b, ids->uid) >= b->config.max_sessions_per_uid)
        return sb_error_set(error, SOCKBROKER_BUSY, 0, "uid %u has %u workers, which is the limit; raise max_sessions_per_uid",
                            ids->uid, b->config.max_sessions_per_uid);
    return SOCKBROKER_OK;
}

static bool may_resume(const struct sb_session *s, const struct sb_attach *a)
{
    return a->has_resume && a->resume.id == s->key.id && sb_secret_equal(a->resume.secret, s->key.secret, SB_SECRET_LEN);
}

/* A name belongs to one living worker. A dead one's is free at once, before its end was noticed. Between Attach and Hello there
 * is no handle yet, only a number: then it is free for the process that took it, and when no such process is left. */
static sockbroker_status claim_name(struct sb_broker *b, const struct sb_attach *a, const struct sb_peer *ids,
                                    struct sockbroker_error *error)
{
    struct sb_session *s = sb_session_find_name(b, a->name);

    if (!s)
        return SOCKBROKER_OK;
    if (may_resume(s, a))
        sb_session_end(s, "resumed");
    else if (s->peer.handle != SOCKBROKER_SOCKET_NONE && !sb_peer_is_alive(&s->peer))
        sb_session_end(s, "died");
    else if (s->peer.handle == SOCKBROKER_SOCKET_NONE && s->peer.uid == ids->uid &&
             (s->peer.pid == ids->pid || !sb_process_exists(s->peer.pid)))
        sb_session_end(s, "attached anew");
    else
        return sb_error_set(error, SOCKBROKER_NAME_TAKEN, 0,
                            "a living worker (pid %u) is called \"%s\"; choose another --name or stop that one", s->peer.pid,
                            a->name);
    return SOCKBROKER_OK;
}

static sockbroker_status decide(struct sb_broker *b, const struct sb_attach *a, const struct sb_peer *ids,
                                struct sockbroker_error *error)
{
    sockbroker_status st = check_version(a, error);

    if (!st && !a->n_endpoints && !sb_outbound_admits(b, ids->uid))
        st = sb_error_set(error, SOCKBROKER_REFUSED, 0,
                          "uid %u may not attach without an endpoint; name one, or allow it with connect_uid", ids->uid);
    if (!st)
        st = check_endpoints(b, a, ids, error);
    if (!st)
        st = claim_name(b, a, ids, error);
    if (!st)
        st = check_limits(b, ids, error);
    return st;
}

static void welcome(struct sb_broker *b, const struct sb_session *s, struct sb_call *call)
{
    struct sb_reply reply = { .kind = SB_REPLY_ATTACHED };
    struct sb_attached *r = &reply.as.attached;

    r->version = SB_PROTOCOL_VERSION;
    r->session = s->key;
    memcpy(r->token, s->token, sizeof(r->token));
    r->carrier = s->carrier;
    r->heartbeat_ms = b->config.heartbeat_ms;
    r->finish_within_ms = sb_session_needs_fresh_counts(s) ? 0 : FINISH_WITHIN_MS;
    sb_call_reply(call, &reply);
}

void sb_attach(struct sb_broker *b, const struct sb_attach *a, struct sb_call *call)
{
    struct sb_peer ids = { sb_call_pid(call), sb_call_uid(call), sb_call_gid(call), SOCKBROKER_SOCKET_NONE };
    struct sockbroker_error error;
    struct sb_session *s;
    sockbroker_status st = decide(b, a, &ids, &error);

    if (!st) {
        st = sb_session_create(b, a, &ids, &s);
        if (st)
            sb_error_set(&error, st, 0, "the broker could not make a session: %s", sockbroker_status_text(st));
    }
    if (!st) {
        sb_supervise_attached(s);
        welcome(b, s, call);
        return;
    }
    b->busy_refusals += st == SOCKBROKER_BUSY;
    sb_log(SB_LOG_NOTICE, "attach_refused", "worker=%s pid=%u uid=%u cause=\"%s\"", a->name, ids.pid, ids.uid, error.text);
    sb_control_fail(call, st, error.text);
}
