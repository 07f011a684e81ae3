/* clock.h: monotonic time. Wall-clock jumps do not touch it; it does not run while the machine is suspended. */
#ifndef SB_PROTO_CLOCK_H
#define SB_PROTO_CLOCK_H

#include <stdint.h>

uint64_t sb_clock_ns(void);

static inline uint64_t sb_clock_ms(void)
{
    return sb_clock_ns() / 1000000u;
}

#endif
