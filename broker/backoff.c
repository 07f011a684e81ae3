#include "broker/backoff.h"

/* The newest n lie before and at `newest`, in a circle. */
static uint64_t oldest_ms(const struct sb_backoff *b)
{
    return b->at_ms[(b->newest + SB_BACKOFF_RESTARTS_MAX + 1 - b->n) % SB_BACKOFF_RESTARTS_MAX];
}

static void forget_old(struct sb_backoff *b, uint64_t now_ms, uint32_t window_ms)
{
    while (b->n && now_ms - oldest_ms(b) >= window_ms)
        b->n--;
}

static void remember(struct sb_backoff *b, uint64_t now_ms)
{
    b->newest = (b->newest + 1) % SB_BACKOFF_RESTARTS_MAX;
    b->at_ms[b->newest] = now_ms;
    b->n++;
}

static void grow(struct sb_backoff *b, uint32_t first_ms, uint64_t up_ms)
{
    if (!b->delay_ms || up_ms >= SB_BACKOFF_STEADY_MS)
        b->delay_ms = first_ms;
    else if (b->delay_ms < SB_BACKOFF_GROWTH * first_ms)
        b->delay_ms *= 2;
}

bool sb_backoff_next(struct sb_backoff *b, const struct sb_backoff_limits *limits, uint64_t now_ms, uint64_t up_ms,
                     uint32_t random, uint32_t *delay_ms_out)
{
    forget_old(b, now_ms, limits->window_ms);
    if (b->n >= limits->max || b->n >= SB_BACKOFF_RESTARTS_MAX)
        return false;
    remember(b, now_ms);
    grow(b, limits->first_ms, up_ms);
    *delay_ms_out = b->delay_ms - random % (b->delay_ms / 2 + 1);
    return true;
}

uint32_t sb_backoff_list(const struct sb_backoff *b, uint64_t at_ms_out[SB_BACKOFF_RESTARTS_MAX])
{
    for (uint32_t i = 0; i < b->n; i++)
        at_ms_out[i] = b->at_ms[(b->newest + SB_BACKOFF_RESTARTS_MAX + 1 - b->n + i) % SB_BACKOFF_RESTARTS_MAX];
    return b->n;
}
