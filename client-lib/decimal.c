#include "client-lib/decimal.h"

#define DIGITS_MAX 10 /* of a uint32_t */

bool sb_decimal_is_digits(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] < '0' || text[i] > '9')
            return false;
    return len > 0;
}

bool sb_decimal_read(const char *text, size_t len, uint32_t max, uint32_t *value_out)
{
    uint64_t value = 0;

    if (len > DIGITS_MAX || !sb_decimal_is_digits(text, len) || (len > 1 && text[0] == '0'))
        return false;
    for (size_t i = 0; i < len; i++)
        value = value * 10 + (uint64_t)(text[i] - '0');
    if (value > max)
        return false;
    *value_out = (uint32_t)value;
    return true;
}
