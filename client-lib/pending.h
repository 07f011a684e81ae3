/* pending.h: carrier = message brings a connection in two halves, its record by nng and its socket by the pair. This table
 * pairs them by session and lease id, whichever comes first.
 *
 * The caller locks. Sockets in the table belong to it.
 */
#ifndef SB_CLIENT_PENDING_H
#define SB_CLIENT_PENDING_H

#include <stddef.h>

#include "proto/wire.h"

struct sb_pending_entry {
    uint64_t session_id; /* 0: free */
    uint64_t lease_id;
    bool has_record;
    sockbroker_socket sock;
    uint64_t since_ms; /* when its first half came */
    uint64_t turn;     /* who came first is served first */
    struct sockbroker_socket_info info;
};

struct sb_pending {
    struct sb_pending_entry *entries;
    size_t n_entries; /* room */
    size_t n_used;
    uint64_t n_entered;
};
#define SB_PENDING_NONE                                                                                                        \
    {                                                                                                                          \
        NULL, 0, 0, 0                                                                                                          \
    }

void sb_pending_deinit(struct sb_pending *p);

/* OK; BUSY when the table has SB_WINDOW_MAX entries; NO_MEMORY. On OK add_socket owns sock. A second half of the same kind for
 * the same lease replaces the first. */
sockbroker_status sb_pending_add_record(struct sb_pending *p, uint64_t session_id, const struct sockbroker_socket_info *info,
                                        uint64_t now_ms);
sockbroker_status sb_pending_add_socket(struct sb_pending *p, uint64_t session_id, uint64_t lease_id, sockbroker_socket sock,
                                        uint64_t now_ms);

/* What the table may hold for a session, and what can be done with it. */
enum sb_pending_kind {
    SB_PENDING_COMPLETE,    /* both halves */
    SB_PENDING_WITH_SOCKET, /* complete or not */
    SB_PENDING_HALF,        /* one half only */
    SB_PENDING_RECORD,      /* a record without its socket */
    SB_PENDING_ANY,
};

/* Which entries are meant. */
struct sb_pending_query {
    enum sb_pending_kind kind;
    uint64_t session_id;   /* of this session; 0: of any */
    uint64_t except_id;    /* of any but this session; 0: no exception */
    uint64_t not_after_ms; /* with a first half that came then or before; UINT64_MAX: whenever */
};

/* Is there one? take moves out the one that came first. */
bool sb_pending_has(const struct sb_pending *p, const struct sb_pending_query *q);
bool sb_pending_take(struct sb_pending *p, const struct sb_pending_query *q, struct sb_pending_entry *entry_out);

#endif
