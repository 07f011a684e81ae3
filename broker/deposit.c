#include "broker/deposit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "broker/closer.h"
#include "broker/control.h"
#include "broker/custody.h"
#include "broker/custody_link.h"
#include "broker/deposit_inside.h"
#include "broker/deposit_memory.h"
#include "broker/grant.h"
#include "broker/ids.h"
#include "broker/log.h"
#include "broker/process.h"
#include "broker/session.h"
#include "client-lib/ends.h"
#include "proto/clock.h"
#include "proto/error.h"
#include "proto/failpoint.h"
#include "proto/socket.h"

/* ---- for the next broker ---- */

#define LABEL_MAX 48

static void make_label(const struct sb_kept *k, const char *half, char label_out[LABEL_MAX])
{
    snprintf(label_out, LABEL_MAX, "deposit/%" PRIu64 "/%s", k->number, half);
}

static void keep_state(struct sb_kept *k)
{
    struct sb_deposit_record record = { .asked = k->asked, .uid = k->uid, .since_ms = k->since_ms };
    sockbroker_socket memory = SOCKBROKER_SOCKET_NONE;
    char label[LABEL_MAX];

    make_label(k, "state", label);
    memcpy(record.owner, k->owner, sizeof(record.owner));
    if (!sb_custody_has(k->broker->custody, label) && sb_deposit_memory_write(&record, k->state, &memory))
        return; /* short of memory: the next time */
    sb_custody_keep(k->broker->custody, label, memory);
    sb_socket_close(&memory);
}

/* The socket comes last: without its state it is none. */
static void keep(struct sb_kept *k)
{
    char label[LABEL_MAX];

    if (!sb_custody_is_kept(k->broker))
        return;
    if (!k->number) /* once: where it is made of the addresses, it would not outlive the connection's end */
        k->number = sb_custody_number(k->sock);
    keep_state(k);
    make_label(k, "socket", label);
    sb_custody_keep(k->broker->custody, label, k->sock);
}

static void keep_no_more(struct sb_kept *k)
{
    char label[LABEL_MAX];

    make_label(k, "socket", label);
    sb_custody_drop(k->broker->custody, label);
    make_label(k, "state", label);
    sb_custody_drop(k->broker->custody, label);
}

void sb_deposits_keep(struct sb_broker *b)
{
    struct sb_kept *k;

    DL_FOREACH(b->deposits, k)
        keep(k);
}

/* ---- life ---- */

static void free_kept(struct sb_kept *k)
{
    sb_closer_close(k->broker, &k->sock);
    free(k->state);
    free(k);
}

static void forget(struct sb_kept *k)
{
    keep_no_more(k);
    DL_DELETE(k->broker->deposits, k);
    k->broker->n_deposits--;
    free_kept(k);
}

static struct sb_kept *find(const struct sb_broker *b, const char *name)
{
    struct sb_kept *k;

    DL_FOREACH(b->deposits, k) {
        if (!strcmp(k->asked.name, name))
            return k;
    }
    return NULL;
}

static const char *kind_of(const struct sockbroker_socket_info *info)
{
    return info->type == SOCKBROKER_DATAGRAM ? "udp" : info->listening ? "listening" : "connection";
}

static void grant_or_refuse(struct sb_call *call, sockbroker_status st, const struct sockbroker_error *error,
                            struct sb_reply *reply)
{
    reply->kind = SB_REPLY_GRANTED;
    if (st) {
        memset(&reply->as.granted, 0, sizeof(reply->as.granted));
        reply->as.granted.status = st;
        memcpy(reply->as.granted.text, error->text, sizeof(reply->as.granted.text));
    }
    sb_call_reply(call, reply);
}

/* ---- in ---- */

static sockbroker_status refuse_taken_name(const struct sb_kept *k, struct sockbroker_error *error)
{
    return sb_error_set(error, SOCKBROKER_NAME_TAKEN, 0, "a deposit \"%s\" is here already, left by %s; choose another name",
                        k->asked.name, k->owner);
}

static sockbroker_status check_socket(const struct sockbroker_socket_info *info, struct sockbroker_error *error)
{
    if (info->socket_family == SOCKBROKER_FAMILY_NONE || (info->protocol != 6 && info->protocol != 17))
        return sb_error_set(error, SOCKBROKER_INVALID, 0,
                            "the descriptor is no TCP or UDP socket; only these can be left here");
    if (info->type == SOCKBROKER_DATAGRAM && !info->local.port)
        return sb_error_set(error, SOCKBROKER_INVALID, 0, "the socket is not bound to an address; bind or connect it first");
    if (info->type == SOCKBROKER_STREAM && !info->listening && info->peer.family == SOCKBROKER_FAMILY_NONE)
        return sb_error_set(error, SOCKBROKER_INVALID, 0,
                            "the connection is over, or was never made; there is nothing to keep");
    return SOCKBROKER_OK;
}

static sockbroker_status check_room(const struct sb_broker *b, struct sockbroker_error *error)
{
    if (b->state == SB_BROKER_STOPPING)
        return sb_error_set(error, SOCKBROKER_BUSY, 0, "the broker is stopping; leave it with the next one");
    if (b->n_deposits >= b->config.max_deposits)
        return sb_error_set(error, SOCKBROKER_BUSY, 0, "%u deposits are here, which is the limit; raise max_deposits",
                            b->n_deposits);
    if (b->n_deposits >= b->max_connections / 2 || b->leases.n_conns + b->n_deposits >= b->max_connections)
        return sb_error_set(error, SOCKBROKER_BUSY, 0,
                            "%u deposits and %u connections are here, which is all that the descriptor limit allows; raise it "
                            "(ulimit -n) or max_connections",
                            b->n_deposits, b->leases.n_conns);
    return SOCKBROKER_OK;
}

/* Asked before and after: others came meanwhile. */
static sockbroker_status check_place(const struct sb_broker *b, const char *name, struct sockbroker_error *error)
{
    const struct sb_kept *other = find(b, name);

    return other ? refuse_taken_name(other, error) : check_room(b, error);
}

static sockbroker_status check_whole(const struct sb_kept *k, struct sockbroker_error *error)
{
    if (k->n_received != k->asked.state_len)
        return sb_error_set(error, SOCKBROKER_BAD_MESSAGE, 0, "%u of %u bytes of state have come", k->n_received,
                            k->asked.state_len);
    sockbroker_status st = check_socket(&k->info, error);
    return st ? st : check_place(k->broker, k->asked.name, error);
}

static sockbroker_status on_arrived(struct sb_grant *g, sockbroker_socket *sock, struct sockbroker_error *error)
{
    struct sb_kept *k = g->subject;
    struct sb_broker *b = k->broker;

    sb_ends_describe(*sock, &k->info);
    sockbroker_status st = check_whole(k, error);
    if (st) {
        free_kept(k);
        return st;
    }
    memcpy(k->info.endpoint, k->asked.name, sizeof(k->info.endpoint));
    k->sock = sb_socket_take(sock);
    k->since_ms = sb_clock_ms();
    DL_APPEND(b->deposits, k);
    b->n_deposits++;
    keep(k);
    sb_log(SB_LOG_INFO, "deposited", "deposit=%s worker=%s kind=%s state_bytes=%u lifetime_ms=%u", k->asked.name, k->owner,
           kind_of(&k->info), k->asked.state_len, k->asked.lifetime_ms);
    return SOCKBROKER_OK;
}

static void on_deposit_ended(struct sb_grant *g)
{
    free_kept(g->subject);
}

static const struct sb_grant_kind deposit_kind = { .is_inward = true, .arrived = on_arrived, .ended = on_deposit_ended };

static struct sb_kept *make_kept(struct sb_broker *b, const struct sb_deposit *request, const char *owner, uint32_t uid)
{
    struct sb_kept *k = sb_failpoint("deposit_memory") ? NULL : calloc(1, sizeof(*k));

    if (!k)
        return NULL;
    k->state = request->state_len ? malloc(request->state_len) : NULL;
    if (request->state_len && !k->state) {
        free(k);
        return NULL;
    }
    k->broker = b;
    k->asked = *request;
    k->uid = uid;
    k->sock = SOCKBROKER_SOCKET_NONE;
    memcpy(k->owner, owner, sizeof(k->owner));
    return k;
}

struct sb_kept *sb_deposit_restore(struct sb_broker *b, const struct sb_takeover_deposit *record, sockbroker_socket *sock)
{
    struct sb_deposit asked = { .lifetime_ms = record->lifetime_ms, .state_len = record->state_len };

    memcpy(asked.name, record->name, sizeof(asked.name));
    asked.n_allow_uids = record->n_allow_uids;
    memcpy(asked.allow_uids, record->allow_uids, sizeof(asked.allow_uids));
    struct sb_kept *k = find(b, record->name) ? NULL : make_kept(b, &asked, record->owner, record->uid);
    if (!k)
        return NULL;
    k->info = record->record.info;
    k->info.lease_id = 0;
    k->since_ms = record->since_ms;
    k->sock = sb_socket_take(sock);
    DL_APPEND(b->deposits, k);
    b->n_deposits++;
    return k;
}

/* A number that is good in another process may be anybody's here. */
static sockbroker_status check_allowed(const struct sb_deposit *request, struct sockbroker_error *error)
{
    if (!request->n_allow_uids || sb_ids_has_numbers())
        return SOCKBROKER_OK;
    return sb_error_set(
        error, SOCKBROKER_UNSUPPORTED, 0,
        "allow_uids: accounts have no numbers on this system; leave it empty, and take deposit \"%s\" out under the "
        "account that left it",
        request->name);
}

static sockbroker_status begin(struct sb_session *s, const struct sb_deposit *request, struct sb_granted *granted,
                               struct sockbroker_error *error)
{
    sockbroker_status st = check_allowed(request, error);

    if (!st)
        st = check_place(s->broker, request->name, error);
    if (st)
        return st;
    struct sb_grant *g;
    struct sb_kept *k = make_kept(s->broker, request, s->name, s->peer.uid);
    st = k ? sb_grant_create(s, &deposit_kind, SOCKBROKER_SOCKET_NONE, k, &g) : SOCKBROKER_NO_MEMORY;
    if (st) {
        if (k)
            free_kept(k);
        return sb_error_set(error, st, 0, "deposit \"%s\": %s", request->name, sockbroker_status_text(st));
    }
    memset(granted, 0, sizeof(*granted));
    sb_grant_describe(g, granted);
    return SOCKBROKER_OK;
}

void sb_deposit_begin(struct sb_session *s, const struct sb_deposit *request, struct sb_call *call)
{
    struct sb_reply reply = { .kind = SB_REPLY_GRANTED };
    struct sockbroker_error error;

    grant_or_refuse(call, begin(s, request, &reply.as.granted, &error), &error, &reply);
}

void sb_deposit_append(struct sb_session *s, const struct sb_deposit_state *request, struct sb_call *call)
{
    struct sb_grant *g = sb_grant_find(s, request->grant_id);
    struct sb_kept *k = g && g->kind == &deposit_kind ? g->subject : NULL;
    struct sb_reply reply = { .kind = SB_REPLY_DONE };

    if (!k) {
        sb_control_fail(call, SOCKBROKER_NOT_FOUND, "no deposit of this worker is under way with that id");
        return;
    }
    if (request->offset != k->n_received || request->chunk_len > k->asked.state_len - k->n_received) {
        sb_control_fail(call, SOCKBROKER_BAD_MESSAGE, "the state comes in order and has as many bytes as were announced");
        return;
    }
    memcpy(k->state + k->n_received, request->chunk, request->chunk_len);
    k->n_received += request->chunk_len;
    reply.as.done_count = k->n_received;
    sb_call_reply(call, &reply);
}

/* ---- from the broker before ---- */

static sockbroker_status check_adopted(struct sb_kept *k, sockbroker_socket sock, struct sockbroker_error *error)
{
    sb_ends_describe(sock, &k->info);
    memcpy(k->info.endpoint, k->asked.name, sizeof(k->info.endpoint));
    if (find(k->broker, k->asked.name))
        return sb_error_set(error, SOCKBROKER_NAME_TAKEN, 0, "another one has the name");
    return check_socket(&k->info, error);
}

static struct sb_kept *read_kept(struct sb_broker *b, sockbroker_socket memory, struct sockbroker_error *error)
{
    struct sb_deposit_record record;
    uint8_t *state = NULL;
    sockbroker_status st = sb_deposit_memory_read(memory, &record, &state);
    struct sb_kept *k = st ? NULL : calloc(1, sizeof(*k));

    if (!k) {
        free(state);
        sb_error_set(error, st ? st : SOCKBROKER_NO_MEMORY, 0, "its state: %s",
                     sockbroker_status_text(st ? st : SOCKBROKER_NO_MEMORY));
        return NULL;
    }
    k->broker = b;
    k->asked = record.asked;
    k->uid = record.uid;
    k->state = state;
    k->n_received = record.asked.state_len;
    k->since_ms = record.since_ms;
    k->sock = SOCKBROKER_SOCKET_NONE;
    memcpy(k->owner, record.owner, sizeof(k->owner));
    return k;
}

void sb_deposit_adopt(struct sb_broker *b, sockbroker_socket *sock, sockbroker_socket memory)
{
    struct sockbroker_error error;
    struct sb_kept *k = read_kept(b, memory, &error);
    const char *name = k ? k->asked.name : "?";

    if (!k || check_adopted(k, *sock, &error)) {
        sb_log(SB_LOG_WARNING, "deposit_lost", "deposit=%s cause=\"%s\"", name, error.text);
        if (k)
            free_kept(k);
        return;
    }
    k->sock = sb_socket_take(sock);
    DL_APPEND(b->deposits, k);
    b->n_deposits++;
}

/* ---- out ---- */

static bool on_given(struct sb_grant *g)
{
    (void)g;
    return false; /* until it is settled */
}

static void on_settled(struct sb_grant *g, bool kept)
{
    struct sb_kept *k = g->subject;

    k->taker = NULL;
    if (!kept)
        return;
    sb_log(SB_LOG_INFO, "withdrawn_deposit", "deposit=%s worker=%s left_by=%s", k->asked.name, g->session->name, k->owner);
    forget(k);
}

static void on_withdraw_ended(struct sb_grant *g)
{
    struct sb_kept *k = g->subject;

    k->taker = NULL;
}

static const struct sb_grant_kind withdraw_kind = { .given = on_given, .settled = on_settled, .ended = on_withdraw_ended };

static bool may_take(const struct sb_kept *k, uint32_t uid)
{
    for (uint32_t i = 0; i < k->asked.n_allow_uids; i++) {
        if (k->asked.allow_uids[i] == uid)
            return true;
    }
    return uid == k->uid || sb_process_is_own_user(uid);
}

static sockbroker_status withdraw(struct sb_session *s, const char *name, struct sb_granted *granted,
                                  struct sockbroker_error *error)
{
    struct sb_kept *k = find(s->broker, name);

    if (!k)
        return sb_error_set(error, SOCKBROKER_NOT_FOUND, 0, "no deposit \"%s\" here; `sockbroker status` lists them", name);
    if (!may_take(k, s->peer.uid))
        return sb_error_set(error, SOCKBROKER_REFUSED, 0,
                            "uid %u may not take deposit \"%s\" of uid %u; its worker can allow it when it leaves it",
                            s->peer.uid, name, k->uid);
    if (k->taker)
        return sb_error_set(error, SOCKBROKER_BUSY, 0, "worker %s is taking deposit \"%s\" just now", k->taker->session->name,
                            name);
    sockbroker_status st = sb_grant_create(s, &withdraw_kind, k->sock, k, &k->taker);
    if (st)
        return sb_error_set(error, st, 0, "deposit \"%s\": %s", name, sockbroker_status_text(st));
    struct sockbroker_socket_info info = k->info;
    info.accept_time_ns = k->since_ms * 1000000u;
    memset(granted, 0, sizeof(*granted));
    sb_grant_describe_socket(k->taker, &info, granted);
    granted->state_len = k->asked.state_len;
    return SOCKBROKER_OK;
}

void sb_deposit_withdraw(struct sb_session *s, const struct sb_withdraw *request, struct sb_call *call)
{
    struct sb_reply reply = { .kind = SB_REPLY_GRANTED };
    struct sockbroker_error error;

    grant_or_refuse(call, withdraw(s, request->name, &reply.as.granted, &error), &error, &reply);
}

void sb_deposit_read(struct sb_session *s, const struct sb_read_state *request, struct sb_call *call)
{
    struct sb_grant *g = sb_grant_find(s, request->grant_id);
    const struct sb_kept *k = g && g->kind == &withdraw_kind ? g->subject : NULL;
    struct sb_reply reply = { .kind = SB_REPLY_STATE };

    if (!k || request->offset > k->asked.state_len) {
        sb_control_fail(call, SOCKBROKER_NOT_FOUND, "this worker is not taking a deposit with that id, or it has less state");
        return;
    }
    uint32_t left = k->asked.state_len - request->offset;
    reply.as.state.chunk_len = left < SB_CHUNK_MAX ? left : SB_CHUNK_MAX;
    if (left)
        memcpy(reply.as.state.chunk, k->state + request->offset, reply.as.state.chunk_len);
    sb_call_reply(call, &reply);
}

/* ---- time and the end ---- */

void sb_deposits_tick(struct sb_broker *b, uint64_t now_ms)
{
    struct sb_kept *k, *tmp;

    DL_FOREACH_SAFE(b->deposits, k, tmp) {
        if (k->taker || now_ms - k->since_ms < k->asked.lifetime_ms)
            continue;
        b->deposits_expired++;
        sb_log(SB_LOG_WARNING, "deposit_expired", "deposit=%s worker=%s kind=%s lifetime_ms=%u", k->asked.name, k->owner,
               kind_of(&k->info), k->asked.lifetime_ms);
        forget(k);
    }
}

void sb_deposits_close(struct sb_broker *b)
{
    while (b->deposits) {
        sb_log(SB_LOG_WARNING, "deposit_closed", "deposit=%s worker=%s cause=\"the broker stops\"", b->deposits->asked.name,
               b->deposits->owner);
        forget(b->deposits);
    }
}

/* ---- status ---- */

static void fill(const struct sb_kept *k, uint64_t now_ms, struct sb_deposit_status *out)
{
    uint64_t ends_ms = k->since_ms + k->asked.lifetime_ms;

    memcpy(out->name, k->asked.name, sizeof(out->name));
    memcpy(out->owner, k->owner, sizeof(out->owner));
    out->uid = k->uid;
    snprintf(out->kind, sizeof(out->kind), "%s", kind_of(&k->info));
    out->local = k->info.local;
    out->peer = k->info.peer;
    out->state_len = k->asked.state_len;
    out->age_ms = now_ms - k->since_ms;
    out->expires_ms = ends_ms > now_ms ? ends_ms - now_ms : 0;
    snprintf(out->taken_by, sizeof(out->taken_by), "%s", k->taker ? k->taker->session->name : "");
}

void sb_deposits_fill(const struct sb_broker *b, const struct sb_status_request *request, struct sb_status_page *page)
{
    const struct sb_kept *k;
    uint32_t at = 0;

    page->n_deposits = 0;
    DL_FOREACH(b->deposits, k) {
        if (at++ >= request->first_deposit && page->n_deposits < SB_PAGE_DEPOSITS)
            fill(k, sb_clock_ms(), &page->deposits[page->n_deposits++]);
    }
    page->next_deposit = request->first_deposit + page->n_deposits;
}
