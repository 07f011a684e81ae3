/* steer.h: which slot of a shard group gets which client, as a plan that a program for the kernel is made from.
 *
 * A plan divides the numbers 0 .. total-1 into shares. Each new client draws one number: at random (even, weighted), or from
 * its address (source-hash), and goes to the slot whose share the number is in.
 */
#ifndef SB_BROKER_STEER_H
#define SB_BROKER_STEER_H

#include <stddef.h>
#include <stdint.h>

#include "sockbroker/socket.h"

#define SB_STEER_SLOTS_MAX 256u
#define SB_STEER_WEIGHT_MAX 1000u /* as in a worker's attach */

/* Draws of source-hash. More would even out the load further, but the program must stay below net.core.optmem_max, which is
 * 20480 bytes before Linux 6.9, and a bucket takes up to 24 of them. */
#define SB_STEER_BUCKET_BITS 9u
#define SB_STEER_BUCKETS (1u << SB_STEER_BUCKET_BITS)

enum sb_steer_policy {
    SB_STEER_EVEN = 1,    /* every slot with a weight as much as the next */
    SB_STEER_WEIGHTED,    /* in proportion to the weights */
    SB_STEER_SOURCE_HASH, /* one client address, one slot; weights above 16 are cut there, as in selector.h */
};

struct sb_steering {
    enum sb_steer_policy policy;
    const uint32_t *weights; /* of each slot, 0..SB_STEER_WEIGHT_MAX; 0 gets nothing */
    size_t n_slots;          /* 1..SB_STEER_SLOTS_MAX */
    size_t fallback;         /* the slot that gets everything when all weights are 0 */
};

struct sb_steer_share {
    uint32_t end; /* its numbers are below this and not below the end of the share before */
    uint16_t slot;
};

struct sb_steer_plan {
    enum sb_steer_policy policy;
    uint32_t total;
    size_t n_shares; /* at least 1 */
    struct sb_steer_share shares[SB_STEER_BUCKETS];
};

/* source-hash: rendezvous hashing of the buckets (D. Thaler, C. Ravishankar, 1998): it has no history, so the same slots give
 * the same plan, and a slot that comes or goes moves only its own clients. Costs buckets * slots * weight hashes: 0.1 ms for 8
 * slots of weight 1. */
void sb_steer_plan_make(const struct sb_steering *how, struct sb_steer_plan *plan_out);

/* The slot of a number 0 .. total-1. */
size_t sb_steer_slot_at(const struct sb_steer_plan *plan, uint32_t number);

/* The slot of a client under source-hash, as the program in the kernel finds it; a mapped address counts as IPv4. The port
 * has no part in it. */
size_t sb_steer_slot_of(const struct sb_steer_plan *plan, const struct sockbroker_addr *client);

/* The hash is made of these steps, here and in the program: h is 0 at first, then for each word w of the address (in host
 * byte order: one for IPv4, four for IPv6) h = (h ^ w) * SB_STEER_STEP; h ^= h >> SB_STEER_SHIFT, and at the end
 * h *= SB_STEER_LAST. Its highest bits are the bucket. Both factors are odd, so that no step loses anything; STEP is
 * 2^32 divided by the golden ratio (Knuth, volume 3, 6.4). */
#define SB_STEER_STEP 0x9e3779b1u
#define SB_STEER_LAST 0x85ebca77u
#define SB_STEER_SHIFT 15u

#endif
