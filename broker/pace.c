#include "broker/pace.h"

#include <string.h>

static void forget_old(struct sb_pace *p, uint64_t now_ms)
{
    uint32_t n_old = 0;

    while (n_old < p->n && now_ms - p->at_ms[n_old] >= p->window_ms)
        n_old++;
    p->n -= n_old;
    memmove(p->at_ms, p->at_ms + n_old, p->n * sizeof(p->at_ms[0]));
}

static uint64_t delay_ms(uint32_t n_deaths, uint32_t random)
{
    uint64_t ms = SB_PACE_FIRST_MS;

    if (n_deaths < 2)
        return 0;
    while (n_deaths-- > 2 && ms < SB_PACE_LONGEST_MS)
        ms *= 2;
    if (ms > SB_PACE_LONGEST_MS)
        ms = SB_PACE_LONGEST_MS;
    return ms / 2 + ms * (random % 1024u) / 1024u;
}

bool sb_pace_died(struct sb_pace *p, uint64_t now_ms, uint32_t random, uint64_t *delay_ms_out)
{
    forget_old(p, now_ms);
    if (p->n >= p->restarts || p->n >= SB_PACE_MOST)
        return false;
    p->at_ms[p->n++] = now_ms;
    *delay_ms_out = delay_ms(p->n, random);
    return true;
}
