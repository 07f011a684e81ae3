#include "client-lib/pending.h"

#include <stdlib.h>

#include "proto/socket.h"

#define FIRST_ROOM 16

void sb_pending_deinit(struct sb_pending *p)
{
    static const struct sb_pending none = SB_PENDING_NONE;

    for (size_t i = 0; i < p->n_entries; i++) {
        if (p->entries[i].session_id)
            sb_socket_close(&p->entries[i].sock);
    }
    free(p->entries);
    *p = none;
}

static sockbroker_status grow(struct sb_pending *p)
{
    size_t room = p->n_entries ? 2 * p->n_entries : FIRST_ROOM;

    if (p->n_entries >= SB_WINDOW_MAX)
        return SOCKBROKER_BUSY;
    struct sb_pending_entry *entries = realloc(p->entries, room * sizeof(*entries));
    if (!entries)
        return SOCKBROKER_NO_MEMORY;
    for (size_t i = p->n_entries; i < room; i++)
        entries[i].session_id = 0;
    p->entries = entries;
    p->n_entries = room;
    return SOCKBROKER_OK;
}

static struct sb_pending_entry *find(struct sb_pending *p, uint64_t session_id, uint64_t lease_id)
{
    for (size_t i = 0; i < p->n_entries; i++) {
        if (p->entries[i].session_id == session_id && (!session_id || p->entries[i].lease_id == lease_id))
            return &p->entries[i];
    }
    return NULL;
}

/* The entry of that lease, or a new one. */
static sockbroker_status enter(struct sb_pending *p, uint64_t session_id, uint64_t lease_id, uint64_t now_ms,
                               struct sb_pending_entry **entry_out)
{
    struct sb_pending_entry *e = find(p, session_id, lease_id);

    if (!e && p->n_used == p->n_entries) {
        sockbroker_status st = grow(p);
        if (st)
            return st;
    }
    if (!e) {
        e = find(p, 0, 0);
        e->session_id = session_id;
        e->lease_id = lease_id;
        e->has_record = false;
        e->sock = SOCKBROKER_SOCKET_NONE;
        e->since_ms = now_ms;
        e->turn = p->n_entered++;
        p->n_used++;
    }
    *entry_out = e;
    return SOCKBROKER_OK;
}

sockbroker_status sb_pending_add_record(struct sb_pending *p, uint64_t session_id, const struct sockbroker_socket_info *info,
                                        uint64_t now_ms)
{
    struct sb_pending_entry *e;
    sockbroker_status st = enter(p, session_id, info->lease_id, now_ms, &e);

    if (st)
        return st;
    e->info = *info;
    e->has_record = true;
    return SOCKBROKER_OK;
}

sockbroker_status sb_pending_add_socket(struct sb_pending *p, uint64_t session_id, uint64_t lease_id, sockbroker_socket sock,
                                        uint64_t now_ms)
{
    struct sb_pending_entry *e;
    sockbroker_status st = enter(p, session_id, lease_id, now_ms, &e);

    if (st)
        return st;
    sb_socket_close(&e->sock);
    e->sock = sock;
    return SOCKBROKER_OK;
}

static bool is_of_kind(const struct sb_pending_entry *e, enum sb_pending_kind kind)
{
    bool has_socket = e->sock != SOCKBROKER_SOCKET_NONE;

    switch (kind) {
    case SB_PENDING_COMPLETE:
        return has_socket && e->has_record;
    case SB_PENDING_WITH_SOCKET:
        return has_socket;
    case SB_PENDING_HALF:
        return has_socket != e->has_record;
    case SB_PENDING_RECORD:
        return !has_socket;
    case SB_PENDING_ANY:
        return true;
    }
    return false;
}

static bool answers(const struct sb_pending_entry *e, const struct sb_pending_query *q)
{
    return e->session_id && (!q->session_id || e->session_id == q->session_id) && e->session_id != q->except_id &&
           e->since_ms <= q->not_after_ms && is_of_kind(e, q->kind);
}

/* The index of the one that came first, or n_entries. */
static size_t search(const struct sb_pending *p, const struct sb_pending_query *q)
{
    size_t first = p->n_entries;

    for (size_t i = 0; p->n_used && i < p->n_entries; i++) {
        if (answers(&p->entries[i], q) && (first == p->n_entries || p->entries[i].turn < p->entries[first].turn))
            first = i;
    }
    return first;
}

bool sb_pending_has(const struct sb_pending *p, const struct sb_pending_query *q)
{
    return search(p, q) < p->n_entries;
}

bool sb_pending_take(struct sb_pending *p, const struct sb_pending_query *q, struct sb_pending_entry *entry_out)
{
    size_t i = search(p, q);

    if (i == p->n_entries)
        return false;
    *entry_out = p->entries[i];
    p->entries[i].session_id = 0;
    p->n_used--;
    return true;
}
