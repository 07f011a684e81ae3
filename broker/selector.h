/* selector.h: which worker gets the next connection of an endpoint.
 *
 * round-robin, least-connections and least-pending are one heap with three keys: choosing costs O(log n) however many
 * workers there are. source-hash is a ring of points, in which a worker that comes or goes moves only its own clients.
 * Load is counted at dispatch, by the caller, who says sb_selector_update() after each change.
 */
#ifndef SB_BROKER_SELECTOR_H
#define SB_BROKER_SELECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/config.h"

struct sb_session;

/* One worker's place at one endpoint. Fill session, weight and name_hash; the rest is the selector's. */
struct sb_member {
    struct sb_session *session;
    uint32_t weight;    /* 1..1000 */
    uint64_t name_hash; /* of the worker's name: the same worker gets the same clients after a restart */
    uint64_t n_open;    /* connections of this endpoint, set by the caller */
    uint64_t n_pending; /* unacked leases of this endpoint, set by the caller */
    bool eligible;      /* may be chosen now */
    size_t heap_at;     /* index in the heap, NOT_IN_HEAP when not eligible */
    uint64_t key;
    uint64_t turn; /* when it was last chosen */
};

struct sb_ring_point {
    uint64_t at;
    struct sb_member *member;
};

struct sb_selector {
    enum sb_policy policy;
    struct sb_member **heap;
    size_t n_heap;
    size_t heap_room;
    struct sb_ring_point *ring; /* source-hash only */
    size_t n_ring;
    size_t ring_room;
    size_t n_members;
    uint64_t virtual_time; /* round-robin: key of the last one chosen */
    uint64_t n_turns;
};

void sb_selector_init(struct sb_selector *s, enum sb_policy policy);
void sb_selector_deinit(struct sb_selector *s);

/* The member's memory stays the caller's, at the same address until removed. It begins not eligible. OK, NO_MEMORY. */
sockbroker_status sb_selector_add(struct sb_selector *s, struct sb_member *m);
void sb_selector_remove(struct sb_selector *s, struct sb_member *m);

void sb_selector_set_eligible(struct sb_selector *s, struct sb_member *m, bool eligible);

/* After n_open or n_pending changed. */
void sb_selector_update(struct sb_selector *s, struct sb_member *m);

/* Does its policy look at n_open or n_pending? */
bool sb_selector_needs_counts(const struct sb_selector *s);

/* Is anybody eligible? */
bool sb_selector_has_any(const struct sb_selector *s);

/* The worker for a client; NULL when nobody is eligible. hash: of the client's address, see sb_selector_hash(). Counts as a
 * turn of the chosen one. */
struct sb_member *sb_selector_choose(struct sb_selector *s, uint64_t hash);

uint64_t sb_selector_hash(const void *bytes, size_t len);

#endif
