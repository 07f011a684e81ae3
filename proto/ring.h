/* ring.h: what a worker says of its connections, through a page of memory that the broker sees too. No system call is needed on
 * either side; it is a short cut beside the Reports of the pair, which say the same, and which a worker may use alone.
 *
 * The broker makes the page and trusts nothing in it: its own place in the ring stands elsewhere, and what it takes is copied
 * before it is checked. The page cannot be made smaller by the worker (a read beyond its end would kill the broker).
 * A broker that is about to sleep and wants to hear at once raises the bell; the worker then also sends a Report.
 */
#ifndef SB_PROTO_RING_H
#define SB_PROTO_RING_H

#include "proto/wire.h"

struct sb_ring_page; /* shared */

#define SB_RING_BYTES 4096u

/* One side's view. */
struct sb_ring {
    struct sb_ring_page *page; /* NULL: there is none */
    uint32_t n_taken;          /* the broker's side only */
};

#define SB_RING_NONE                                                                                                           \
    {                                                                                                                          \
        0                                                                                                                      \
    }

/* The broker's: makes the page; memory_out is what the worker needs to see it, yours to close.
 * OK, NO_DESCRIPTORS, NO_MEMORY, UNSUPPORTED, SYSTEM: do without. */
sockbroker_status sb_ring_create(struct sb_ring *ring_out, sockbroker_socket *memory_out);

/* The worker's: memory stays the caller's. OK, INVALID (not a page of this kind), NO_MEMORY, SYSTEM: do without. */
sockbroker_status sb_ring_open(sockbroker_socket memory, struct sb_ring *ring_out);

void sb_ring_close(struct sb_ring *ring);

/* The worker's. One caller at a time. All or nothing; false when there is no ring or no room: send a Report. */
bool sb_ring_put(struct sb_ring *ring, const struct sb_result *results, uint32_t n_results);

/* The worker's, after a put: has the broker asked to be woken? Says so once. */
bool sb_ring_bell_was_up(struct sb_ring *ring);

/* The broker's: takes what is there, at most SB_RESULTS_MAX; results beyond the limits of a Result end the session.
 * OK, AGAIN (nothing, or no ring), BAD_MESSAGE. */
sockbroker_status sb_ring_take(struct sb_ring *ring, struct sb_report *report_out);

/* The broker's, before a last look and sleep. */
void sb_ring_raise_bell(struct sb_ring *ring);

#endif
