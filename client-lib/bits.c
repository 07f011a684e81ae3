#include "client-lib/bits.h"

#include <string.h>

static uint8_t top_mask(unsigned bits) /* 0..7 */
{
    return (uint8_t)(0xff00u >> bits);
}

bool sb_bits_equal(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned whole = bits / 8;
    unsigned rest = bits % 8;

    if (memcmp(a, b, whole) != 0)
        return false;
    return rest == 0 || ((a[whole] ^ b[whole]) & top_mask(rest)) == 0;
}

unsigned sb_bits_common(const uint8_t *a, const uint8_t *b, unsigned max)
{
    unsigned n = 0;

    while (n < max && !((a[n / 8] ^ b[n / 8]) & 0x80u >> n % 8))
        n++;
    return n;
}

void sb_bits_clear_after(uint8_t *bytes, size_t n_bytes, unsigned bits)
{
    size_t whole = bits / 8;

    if (whole >= n_bytes)
        return;
    bytes[whole] &= top_mask(bits % 8);
    memset(bytes + whole + 1, 0, n_bytes - whole - 1);
}
