/* ring_page.h: the page that ring.c reads and writes and ring_posix.c makes. What each side writes stands on lines of its own.
 */
#ifndef SB_PROTO_RING_PAGE_H
#define SB_PROTO_RING_PAGE_H

#include <assert.h>
#include <stdatomic.h>
#include <stdint.h>

#include "proto/ring.h"

#define SB_RING_ENTRIES 128u /* a power of two: the counts wrap */

struct sb_ring_entry {
    _Atomic uint64_t lease_id;
    _Atomic uint32_t verdict; /* enum sb_verdict */
};

struct sb_ring_page {
    _Atomic uint32_t n_put; /* by the worker */
    char line_of_worker[60];
    _Atomic uint32_t n_taken; /* by the broker */
    _Atomic uint32_t bell;    /* raised by the broker, taken down by the worker */
    char line_of_broker[56];
    struct sb_ring_entry entries[SB_RING_ENTRIES];
};

static_assert(sizeof(struct sb_ring_page) <= SB_RING_BYTES, "the ring fits its page");

#endif
