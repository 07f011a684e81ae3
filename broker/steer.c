#include "broker/steer.h"

#include <stdbool.h>

#include "broker/selector.h"
#include "sockbroker/addr.h"

#define COPIES_MAX 16u

static void add(struct sb_steer_plan *plan, uint32_t numbers, size_t slot)
{
    struct sb_steer_share *last = plan->n_shares ? &plan->shares[plan->n_shares - 1] : NULL;

    plan->total += numbers;
    if (!last || last->slot != slot)
        last = &plan->shares[plan->n_shares++];
    last->end = plan->total;
    last->slot = (uint16_t)slot;
}

static bool has_any(const struct sb_steering *how)
{
    for (size_t i = 0; i < how->n_slots; i++) {
        if (how->weights[i])
            return true;
    }
    return false;
}

static void share_out(const struct sb_steering *how, struct sb_steer_plan *plan)
{
    for (size_t i = 0; i < how->n_slots; i++) {
        if (how->weights[i])
            add(plan, how->policy == SB_STEER_EVEN ? 1 : how->weights[i], i);
    }
}

/* A slot bids for a bucket once for each unit of its weight; its best bid counts. */
static uint64_t best_bid(uint32_t bucket, size_t slot, uint32_t weight)
{
    uint64_t best = 0;

    for (uint32_t copy = 0; copy < weight && copy < COPIES_MAX; copy++) {
        uint32_t key[] = { bucket, (uint32_t)slot, copy };
        uint64_t bid = sb_selector_hash(key, sizeof(key));

        if (bid > best)
            best = bid;
    }
    return best;
}

static size_t winner(const struct sb_steering *how, uint32_t bucket)
{
    uint64_t best = 0;
    size_t slot = how->fallback;

    for (size_t i = 0; i < how->n_slots; i++) {
        uint64_t bid = best_bid(bucket, i, how->weights[i]);

        if (bid > best) {
            best = bid;
            slot = i;
        }
    }
    return slot;
}

void sb_steer_plan_make(const struct sb_steering *how, struct sb_steer_plan *plan_out)
{
    plan_out->policy = how->policy;
    plan_out->total = 0;
    plan_out->n_shares = 0;
    if (!has_any(how)) {
        add(plan_out, 1, how->fallback);
    } else if (how->policy != SB_STEER_SOURCE_HASH) {
        share_out(how, plan_out);
    } else {
        for (uint32_t bucket = 0; bucket < SB_STEER_BUCKETS; bucket++)
            add(plan_out, 1, winner(how, bucket));
    }
}

size_t sb_steer_slot_at(const struct sb_steer_plan *plan, uint32_t number)
{
    size_t low = 0;
    size_t high = plan->n_shares - 1;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (number < plan->shares[middle].end)
            high = middle;
        else
            low = middle + 1;
    }
    return plan->shares[low].slot;
}

static uint32_t word_at(const uint8_t *b)
{
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static uint32_t hash(const struct sockbroker_addr *client)
{
    struct sockbroker_addr plain = *client;
    uint32_t h = 0;

    sockbroker_addr_normalise(&plain);
    for (size_t i = 0; i < (plain.family == SOCKBROKER_IPV6 ? 4u : 1u); i++) {
        h = (h ^ word_at(&plain.ip[4 * i])) * SB_STEER_STEP;
        h ^= h >> SB_STEER_SHIFT;
    }
    return h * SB_STEER_LAST;
}

size_t sb_steer_slot_of(const struct sb_steer_plan *plan, const struct sockbroker_addr *client)
{
    return sb_steer_slot_at(plan, hash(client) >> (32 - SB_STEER_BUCKET_BITS));
}
