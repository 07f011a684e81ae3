/* backoff.h: when a process that ended may start again, and when no more. No clock of its own. */
#ifndef SB_BROKER_BACKOFF_H
#define SB_BROKER_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

#define SB_BACKOFF_RESTARTS_MAX 100u /* greatest restart_max */
#define SB_BACKOFF_GROWTH 32u        /* the longest delay, in first ones */
#define SB_BACKOFF_STEADY_MS 10000u  /* who was ready that long begins with the first delay again */

struct sb_backoff_limits {
    uint32_t first_ms;  /* not 0 */
    uint32_t max;       /* so many restarts ... */
    uint32_t window_ms; /* ... within that time */
};

/* Zeroed at the beginning. */
struct sb_backoff {
    uint32_t delay_ms; /* the last one, before the jitter; 0: none yet */
    uint32_t n;        /* restarts that are remembered */
    uint32_t newest;   /* place of the newest of them */
    uint64_t at_ms[SB_BACKOFF_RESTARTS_MAX];
};

/* It has ended after being ready for up_ms. True: it may start again *delay_ms_out from now, half to the whole of the growing
 * delay as `random` will have it. False: that would be one restart too many. now_ms never goes back. */
bool sb_backoff_next(struct sb_backoff *b, const struct sb_backoff_limits *limits, uint64_t now_ms, uint64_t up_ms,
                     uint32_t random, uint32_t *delay_ms_out);

/* The restarts that are remembered, the oldest first. Returns how many. */
uint32_t sb_backoff_list(const struct sb_backoff *b, uint64_t at_ms_out[SB_BACKOFF_RESTARTS_MAX]);

#endif
