/* Dotted decimal, strictly: what inet_aton() also takes ("127.1", "0x7f.1", "017.0.0.1") names different hosts to
 * different programs (RFC 6943, 3.1.1), and an access rule must not. */
#include "client-lib/decimal.h"
#include "client-lib/ip_text.h"

#include <string.h>

static const char four_numbers[] = "an IPv4 address has four numbers, write it like 192.0.2.1";

static const char *read_number(const char *text, size_t len, uint8_t *byte_out)
{
    uint32_t value;

    if (sb_decimal_read(text, len, 255, &value)) {
        *byte_out = (uint8_t)value;
        return NULL;
    }
    if (len == 0)
        return four_numbers;
    if (!sb_decimal_is_digits(text, len))
        return "an IPv4 address has only decimal digits and dots (names are not looked up), write it like 192.0.2.1";
    if (text[0] == '0')
        return "a number starts with 0, which some programs read as octal; write it without, like 192.0.2.1";
    return "each number of an IPv4 address is at most 255, write it like 192.0.2.1";
}

const char *sb_ipv4_read(const char *text, size_t len, uint8_t ip_out[4])
{
    const char *end = text + len;
    uint8_t ip[4];

    for (size_t i = 0; i < sizeof(ip); i++) {
        const char *dot = memchr(text, '.', (size_t)(end - text));
        const char *why = read_number(text, (size_t)((dot ? dot : end) - text), &ip[i]);

        if (why)
            return why;
        if (!dot != (i == sizeof(ip) - 1))
            return four_numbers;
        text = dot ? dot + 1 : end;
    }
    memcpy(ip_out, ip, sizeof(ip));
    return NULL;
}
