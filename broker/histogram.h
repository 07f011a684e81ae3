/* histogram.h: durations in buckets of ten times the one before, from 10 us on (see Histogram in sockbroker.proto). */
#ifndef SB_BROKER_HISTOGRAM_H
#define SB_BROKER_HISTOGRAM_H

#include "proto/wire.h"

static inline void sb_histogram_add(struct sb_histogram *h, uint64_t ns)
{
    uint64_t us = ns / 1000u;
    uint64_t limit = 10;
    unsigned bucket = 0;

    while (bucket < SB_HISTOGRAM_BUCKETS - 1 && us >= limit) {
        limit *= 10;
        bucket++;
    }
    h->buckets[bucket]++;
    h->sum_us += us;
}

#endif
