/* pace.h: when a process that dies again and again is started again, and when no more. */
#ifndef SB_BROKER_PACE_H
#define SB_BROKER_PACE_H

#include <stdbool.h>
#include <stdint.h>

#define SB_PACE_MOST 100u /* restarts that can be remembered */
#define SB_PACE_FIRST_MS 100u
#define SB_PACE_LONGEST_MS 5000u

struct sb_pace {
    uint32_t restarts;  /* 0..SB_PACE_MOST: so many within window_ms */
    uint32_t window_ms; /* deaths longer ago are forgotten */
    uint32_t n;
    uint64_t at_ms[SB_PACE_MOST + 1]; /* the deaths remembered, the oldest first */
};

/* It has died. True: start it in so many ms: at once the first time, then SB_PACE_FIRST_MS doubled each time up to
 * SB_PACE_LONGEST_MS, each spread over half to one and a half of it. False: that was one too many.
 *   random  any number, for the spread */
bool sb_pace_died(struct sb_pace *p, uint64_t now_ms, uint32_t random, uint64_t *delay_ms_out);

#endif
