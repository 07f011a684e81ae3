/* bits.h: the first n bits of an address, counted from the top of byte 0. */
#ifndef SB_CLIENT_LIB_BITS_H
#define SB_CLIENT_LIB_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads only the bytes that the first `bits` bits touch. */
bool sb_bits_equal(const uint8_t *a, const uint8_t *b, unsigned bits);

/* How many bits they begin with alike, at most `max`. Reads only the bytes that the first `max` bits touch. */
unsigned sb_bits_common(const uint8_t *a, const uint8_t *b, unsigned max);

/* Sets everything after the first `bits` bits to 0. */
void sb_bits_clear_after(uint8_t *bytes, size_t n_bytes, unsigned bits);

#endif
