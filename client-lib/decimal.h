/* decimal.h: strict decimal numbers inside a longer text. */
#ifndef SB_CLIENT_LIB_DECIMAL_H
#define SB_CLIENT_LIB_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads all len bytes as digits, 0..max. No sign, no blanks, no leading zeros ("0" itself is fine): "010" is 8 to
 * some readers and 10 to others. False, and value_out untouched, when the text is anything else. */
bool sb_decimal_read(const char *text, size_t len, uint32_t max, uint32_t *value_out);

/* True when there is at least one byte and all are 0-9, whatever the locale. */
bool sb_decimal_is_digits(const char *text, size_t len);

#endif
