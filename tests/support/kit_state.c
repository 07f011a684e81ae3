#include "tests/support/kit_state.h"

/* FNV-1a to begin with, xorshift to go on. */
static uint32_t seed(const char *name, unsigned number)
{
    uint32_t hash = 2166136261u;

    for (; *name; name++)
        hash = (hash ^ (uint8_t)*name) * 16777619u;
    hash = (hash ^ number) * 16777619u;
    return hash ? hash : 1;
}

static uint32_t step(uint32_t x)
{
    x ^= x << 13;
    x ^= x >> 17;
    return x ^ x << 5;
}

void kit_state_fill(const char *name, unsigned number, uint8_t *out, size_t len)
{
    uint32_t x = seed(name, number);

    for (size_t i = 0; i < len; i++) {
        x = step(x);
        out[i] = (uint8_t)x;
    }
}

bool kit_state_is_whole(const char *name, unsigned number, const uint8_t *state, size_t len)
{
    uint32_t x = seed(name, number);

    for (size_t i = 0; i < len; i++) {
        x = step(x);
        if (state[i] != (uint8_t)x)
            return false;
    }
    return true;
}
