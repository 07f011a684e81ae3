#include "client-lib/pending.h"

#include <stdlib.h>

#include "proto/socket.h"

#define FIRST_ROOM 16

void sb_pending_deinit(struct sb_pending *p)
{
    static const struct sb_pending none = SB_PENDING_NONE;

    for (size_t i = 0; i < p->n_entries; i++) {
        if (p->entries[i].lease_id)
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
        entries[i].lease_id = 0;
    p->entries = entries;
    p->n_entries = room;
    return SOCKBROKER_OK;
}

static struct sb_pending_entry *find(struct sb_pending *p, uint64_t lease_id)
{
    for (size_t i = 0; i < p->n_entries; i++) {
        if (p->entries[i].lease_id == lease_id)
            return &p->entries[i];
    }
    return NULL;
}

static bool is_complete(const struct sb_pending_entry *e)
{
    return e->has_record && e->sock != SOCKBROKER_SOCKET_NONE;
}

/* The entry of that id, or a new one. */
static sockbroker_status enter(struct sb_pending *p, uint64_t lease_id, uint64_t now_ms, struct sb_pending_entry **entry_out)
{
    struct sb_pending_entry *e = find(p, lease_id);

    if (!e && p->n_used == p->n_entries) {
        sockbroker_status st = grow(p);
        if (st)
            return st;
    }
    if (!e) {
        e = find(p, 0);
        e->lease_id = lease_id;
        e->has_record = false;
        e->sock = SOCKBROKER_SOCKET_NONE;
        e->since_ms = now_ms;
        p->n_used++;
    }
    *entry_out = e;
    return SOCKBROKER_OK;
}

sockbroker_status sb_pending_add_record(struct sb_pending *p, const struct sockbroker_socket_info *info, uint64_t now_ms)
{
    struct sb_pending_entry *e;
    sockbroker_status st = enter(p, info->lease_id, now_ms, &e);

    if (st)
        return st;
    bool was = is_complete(e);
    e->info = *info;
    e->has_record = true;
    p->n_complete += is_complete(e) && !was;
    return SOCKBROKER_OK;
}

sockbroker_status sb_pending_add_socket(struct sb_pending *p, uint64_t lease_id, sockbroker_socket sock, uint64_t now_ms)
{
    struct sb_pending_entry *e;
    sockbroker_status st = enter(p, lease_id, now_ms, &e);

    if (st)
        return st;
    bool was = is_complete(e);
    sb_socket_close(&e->sock);
    e->sock = sock;
    p->n_complete += is_complete(e) && !was;
    return SOCKBROKER_OK;
}

static void move_out(struct sb_pending *p, struct sb_pending_entry *e, struct sb_pending_entry *entry_out)
{
    p->n_complete -= is_complete(e);
    p->n_used--;
    *entry_out = *e;
    e->lease_id = 0;
}

static bool is_orphan(const struct sb_pending_entry *e)
{
    return e->sock != SOCKBROKER_SOCKET_NONE;
}

static bool take_first(struct sb_pending *p, bool (*fits)(const struct sb_pending_entry *), struct sb_pending_entry *entry_out)
{
    for (size_t i = 0; i < p->n_entries; i++) {
        if (p->entries[i].lease_id && fits(&p->entries[i])) {
            move_out(p, &p->entries[i], entry_out);
            return true;
        }
    }
    return false;
}

bool sb_pending_take_complete(struct sb_pending *p, struct sb_pending_entry *entry_out)
{
    return p->n_complete && take_first(p, is_complete, entry_out);
}

bool sb_pending_take_orphan(struct sb_pending *p, struct sb_pending_entry *entry_out)
{
    return p->n_used && take_first(p, is_orphan, entry_out);
}

bool sb_pending_take_late(struct sb_pending *p, uint64_t now_ms, uint64_t limit_ms, struct sb_pending_entry *entry_out)
{
    for (size_t i = 0; p->n_used && i < p->n_entries; i++) {
        struct sb_pending_entry *e = &p->entries[i];

        if (e->lease_id && !is_complete(e) && now_ms - e->since_ms >= limit_ms) {
            move_out(p, e, entry_out);
            return true;
        }
    }
    return false;
}
