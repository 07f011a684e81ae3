/* pending.h: carrier = message brings a connection in two halves, its record by nng and its socket by the pair. This table
 * pairs them by lease id, whichever comes first.
 *
 * The caller locks. Sockets in the table belong to it.
 */
#ifndef SB_CLIENT_PENDING_H
#define SB_CLIENT_PENDING_H

#include <stddef.h>

#include "proto/wire.h"

struct sb_pending_entry {
    uint64_t lease_id; /* 0: free */
    bool has_record;
    sockbroker_socket sock;
    uint64_t since_ms; /* when its first half came */
    struct sockbroker_socket_info info;
};

struct sb_pending {
    struct sb_pending_entry *entries;
    size_t n_entries; /* room */
    size_t n_used;
    size_t n_complete;
};
#define SB_PENDING_NONE { NULL, 0, 0, 0 }

void sb_pending_deinit(struct sb_pending *p);

/* OK; BUSY when the table has SB_WINDOW_MAX entries; NO_MEMORY. On OK add_socket owns sock. A second half of the same kind for
 * the same id replaces the first. */
sockbroker_status sb_pending_add_record(struct sb_pending *p, const struct sockbroker_socket_info *info, uint64_t now_ms);
sockbroker_status sb_pending_add_socket(struct sb_pending *p, uint64_t lease_id, sockbroker_socket sock, uint64_t now_ms);

/* Moves out an entry with both halves. */
bool sb_pending_take_complete(struct sb_pending *p, struct sb_pending_entry *entry_out);

/* Moves out an entry whose other half has not come for limit_ms: its socket is missing (has_record), or its record. */
bool sb_pending_take_late(struct sb_pending *p, uint64_t now_ms, uint64_t limit_ms, struct sb_pending_entry *entry_out);

/* The broker is gone: moves out an entry that has its socket, with or without a record. */
bool sb_pending_take_orphan(struct sb_pending *p, struct sb_pending_entry *entry_out);

#endif
