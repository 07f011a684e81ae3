/* grant.h: a socket on its way to a worker that asked for it, or from a worker that leaves it here.
 *
 * The reply to the request (nng) names the grant and has a token; the socket itself goes through the handoff socket, where the
 * worker shows the token. What the grant is for says its kind: these functions are told what became of it, once each.
 */
#ifndef SB_BROKER_GRANT_H
#define SB_BROKER_GRANT_H

#include <uthash.h>

#include "broker/broker.h"
#include "proto/peer.h"

struct sb_grant;
struct sb_session;

struct sb_grant_kind {
    bool is_inward; /* the worker leaves a socket */
    /* Outward: the worker has got its copy. True: that was all, the grant ends here. */
    bool (*given)(struct sb_grant *g);
    /* Inward: the socket moves in on OK. The grant ends. */
    sockbroker_status (*arrived)(struct sb_grant *g, sockbroker_socket *sock, struct sockbroker_error *error_out);
    /* Outward: the worker says whether it keeps it. The grant ends. */
    void (*settled)(struct sb_grant *g, bool kept);
    /* It ends otherwise: nobody came for it in time, or its session has ended. */
    void (*ended)(struct sb_grant *g);
};

struct sb_grant {
    uint64_t id; /* its highest bit is set: never the id of a lease */
    uint8_t token[SB_SECRET_LEN];
    const struct sb_grant_kind *kind;
    struct sb_session *session;
    sockbroker_socket sock;             /* outward: lent by its kind */
    struct sockbroker_socket_info info; /* outward: what the worker was told of it */
    void *subject;                      /* its kind's */
    uint64_t since_ms;
    bool is_claimed;              /* the token was shown */
    struct sb_grant *prev, *next; /* of its session */
    UT_hash_handle by_id;
};

/* sock (outward) and subject stay the caller's. OK, BUSY (too many of this session are under way), NO_MEMORY, SYSTEM. */
sockbroker_status sb_grant_create(struct sb_session *s, const struct sb_grant_kind *kind, sockbroker_socket sock, void *subject,
                                  struct sb_grant **grant_out);

/* Forgets it; its kind is not told. */
void sb_grant_destroy(struct sb_grant *g);

/* One of this session's; NULL when it is not. */
struct sb_grant *sb_grant_find(struct sb_session *s, uint64_t id);

/* The answer to the request that made it: its id and token; the rest is the caller's to fill. */
void sb_grant_describe(const struct sb_grant *g, struct sb_granted *granted_out);

/* The same with what its socket is, which is noted; its lease id becomes that of the grant. */
void sb_grant_describe_socket(struct sb_grant *g, const struct sockbroker_socket_info *info, struct sb_granted *granted_out);

/* Somebody shows a token. OK: it is the process it was made for, and the first time. NOT_FOUND, REFUSED (cause_out says why).
 */
sockbroker_status sb_grant_claim(struct sb_broker *b, const struct sb_hello *hello, const struct sb_peer *peer,
                                 struct sb_grant **grant_out, const char **cause_out);

/* After the socket has gone, or come. */
void sb_grant_given(struct sb_grant *g);
sockbroker_status sb_grant_arrived(struct sb_grant *g, sockbroker_socket *sock, struct sockbroker_error *error_out);

/* It could not go, or will not come. */
void sb_grant_abandon(struct sb_grant *g);

bool sb_grant_is_id(uint64_t id);

/* What the worker says of one that it fetched, or could not fetch. True: it keeps it. */
bool sb_grant_settle(struct sb_session *s, const struct sb_result *result);

void sb_grants_end(struct sb_session *s);
void sb_grants_tick(struct sb_session *s, uint64_t now_ms);

#endif
