#include "broker/grant.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "broker/session.h"
#include "proto/clock.h"
#include "proto/failpoint.h"
#include "proto/secret.h"

#define GRANTS_PER_SESSION_MAX 64u
#define ID_MARK (1ull << 63)

bool sb_grant_is_id(uint64_t id)
{
    return id & ID_MARK;
}

static sockbroker_status make_id(struct sb_broker *b, struct sb_grant *g)
{
    g->id = ID_MARK | ++b->n_grants_made;
    return sb_secret_fill(g->token, sizeof(g->token)) ? SOCKBROKER_SYSTEM : SOCKBROKER_OK;
}

static sockbroker_status enter(struct sb_broker *b, struct sb_session *s, struct sb_grant *g)
{
    HASH_ADD(by_id, b->grants, id, sizeof(g->id), g);
    if (!g->by_id.tbl)
        return SOCKBROKER_NO_MEMORY;
    DL_APPEND(s->grants, g);
    s->n_grants++;
    return SOCKBROKER_OK;
}

sockbroker_status sb_grant_create(struct sb_session *s, const struct sb_grant_kind *kind, sockbroker_socket sock, void *subject,
                                  struct sb_grant **grant_out)
{
    if (s->n_grants >= GRANTS_PER_SESSION_MAX)
        return SOCKBROKER_BUSY;
    struct sb_grant *g = sb_failpoint("grant_memory") ? NULL : calloc(1, sizeof(*g));
    if (!g)
        return SOCKBROKER_NO_MEMORY;
    g->kind = kind;
    g->session = s;
    g->sock = sock;
    g->subject = subject;
    g->since_ms = sb_clock_ms();
    sockbroker_status st = make_id(s->broker, g);
    if (!st)
        st = enter(s->broker, s, g);
    if (st) {
        free(g);
        return st;
    }
    *grant_out = g;
    return SOCKBROKER_OK;
}

void sb_grant_destroy(struct sb_grant *g)
{
    HASH_DELETE(by_id, g->session->broker->grants, g);
    DL_DELETE(g->session->grants, g);
    g->session->n_grants--;
    free(g);
}

struct sb_grant *sb_grant_find(struct sb_session *s, uint64_t id)
{
    struct sb_grant *g;

    HASH_FIND(by_id, s->broker->grants, &id, sizeof(id), g);
    return g && g->session == s ? g : NULL;
}

void sb_grant_describe(const struct sb_grant *g, struct sb_granted *granted_out)
{
    granted_out->status = SOCKBROKER_OK;
    granted_out->text[0] = '\0';
    granted_out->grant_id = g->id;
    memcpy(granted_out->token, g->token, sizeof(granted_out->token));
}

void sb_grant_describe_socket(struct sb_grant *g, const struct sockbroker_socket_info *info, struct sb_granted *granted_out)
{
    sb_grant_describe(g, granted_out);
    g->info = *info;
    g->info.lease_id = g->id;
    granted_out->has_record = true;
    granted_out->record.info = g->info;
    granted_out->record.protocol_info_layout = 0;
    granted_out->record.protocol_info_len = 0;
}

sockbroker_status sb_grant_claim(struct sb_broker *b, const struct sb_hello *hello, const struct sb_peer *peer,
                                 struct sb_grant **grant_out, const char **cause_out)
{
    struct sb_session *s = sb_session_find(b, hello->session_id);
    struct sb_grant *g = s ? sb_grant_find(s, hello->grant_id) : NULL;

    *cause_out = NULL;
    if (!g || g->is_claimed)
        *cause_out = "nothing waits for this token";
    if (*cause_out)
        return SOCKBROKER_NOT_FOUND;
    if (!sb_secret_equal(hello->token, g->token, SB_SECRET_LEN))
        *cause_out = "wrong token";
    else if (peer->uid != s->peer.uid || peer->gid != s->peer.gid || peer->pid != s->peer.pid)
        *cause_out = "another process asked for this socket";
    if (*cause_out)
        return SOCKBROKER_REFUSED;
    g->is_claimed = true;
    *grant_out = g;
    return SOCKBROKER_OK;
}

void sb_grant_given(struct sb_grant *g)
{
    g->session->broker->n_grants_given++;
    if (g->kind->given(g))
        sb_grant_destroy(g);
}

sockbroker_status sb_grant_arrived(struct sb_grant *g, sockbroker_socket *sock, struct sockbroker_error *error_out)
{
    sockbroker_status st = g->kind->arrived(g, sock, error_out);

    sb_grant_destroy(g);
    return st;
}

void sb_grant_abandon(struct sb_grant *g)
{
    g->kind->ended(g);
    sb_grant_destroy(g);
}

/* To give back what is not there any more is no offence: its time may have passed meanwhile. */
bool sb_grant_settle(struct sb_session *s, const struct sb_result *result)
{
    struct sb_grant *g = sb_grant_find(s, result->lease_id);
    bool kept = result->verdict == SB_VERDICT_ACK;

    if (!g || g->kind->is_inward || (kept && !g->is_claimed)) {
        s->broker->bad_messages += kept;
        return false;
    }
    if (!g->is_claimed) {
        sb_grant_abandon(g);
        return false;
    }
    g->kind->settled(g, kept);
    sb_grant_destroy(g);
    return kept;
}

void sb_grants_end(struct sb_session *s)
{
    while (s->grants)
        sb_grant_abandon(s->grants);
}

/* One that was fetched and not settled stays for as long as its session: only its end proves that the worker has it not. */
void sb_grants_tick(struct sb_session *s, uint64_t now_ms)
{
    struct sb_grant *g, *tmp;

    DL_FOREACH_SAFE(s->grants, g, tmp) {
        if (!g->is_claimed && now_ms - g->since_ms > s->broker->config.attach_ms)
            sb_grant_abandon(g);
    }
}
