#include "proto/wire_text.h"

#include <stdint.h>
#include <string.h>

#include "proto/wire.h"

/* Rows of table 3-7 that begin with more than one byte: which first bytes, how long, what the second byte may be. */
struct sequence {
    uint8_t first_min;
    uint8_t first_max;
    uint8_t len;
    uint8_t second_min;
    uint8_t second_max;
};

static const struct sequence sequences[] = {
    { 0xc2, 0xdf, 2, 0x80, 0xbf }, { 0xe0, 0xe0, 3, 0xa0, 0xbf }, { 0xe1, 0xec, 3, 0x80, 0xbf }, { 0xed, 0xed, 3, 0x80, 0x9f },
    { 0xee, 0xef, 3, 0x80, 0xbf }, { 0xf0, 0xf0, 4, 0x90, 0xbf }, { 0xf1, 0xf3, 4, 0x80, 0xbf }, { 0xf4, 0xf4, 4, 0x80, 0x8f },
};

static bool matches(const struct sequence *s, const uint8_t *at, size_t left)
{
    if (at[0] < s->first_min || at[0] > s->first_max || left < s->len)
        return false;
    if (at[1] < s->second_min || at[1] > s->second_max)
        return false;
    for (size_t i = 2; i < s->len; i++) {
        if (at[i] < 0x80 || at[i] > 0xbf)
            return false;
    }
    return true;
}

/* Length of the character at `at`, 0 when it is none. */
static size_t character_len(const uint8_t *at, size_t left)
{
    if (at[0] < 0x80)
        return 1;
    for (size_t i = 0; i < sizeof(sequences) / sizeof(sequences[0]); i++) {
        if (matches(&sequences[i], at, left))
            return sequences[i].len;
    }
    return 0;
}

bool sb_text_is_utf8(const char *text, size_t len)
{
    const uint8_t *at = (const uint8_t *)text;

    while (len > 0) {
        size_t step = character_len(at, len);

        if (step == 0)
            return false;
        at += step;
        len -= step;
    }
    return true;
}

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

bool sb_name_is_valid(const char *name, size_t len)
{
    if (len < 1 || len > SOCKBROKER_NAME_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!is_name_byte(name[i]))
            return false;
    }
    return !(name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')));
}
