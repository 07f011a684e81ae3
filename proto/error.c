#include "proto/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

sockbroker_status sb_error_set(struct sockbroker_error *error, sockbroker_status status, int os_code, const char *format, ...)
{
    va_list args;

    if (!error)
        return status;
    error->status = status;
    error->os_code = os_code;
    va_start(args, format);
    vsnprintf(error->text, sizeof(error->text), format, args);
    va_end(args);
    return status;
}

static int is_plain(unsigned char c)
{
    return c >= 0x20 && c <= 0x7e && c != '"' && c != '\\';
}

static size_t width_of(char c)
{
    return is_plain((unsigned char)c) ? 1 : 4;
}

const char *sb_quote(const char *text, size_t len, char *out, size_t out_size)
{
    size_t total = 0;
    size_t at = 0;

    if (out_size == 0)
        return out;
    for (size_t i = 0; i < len && total < out_size; i++)
        total += width_of(text[i]);
    size_t rest = total < out_size ? 1 : 4; /* the NUL, or "..." with it */
    for (size_t i = 0; i < len; i++) {
        size_t need = width_of(text[i]);

        if (at + need + rest > out_size) {
            snprintf(out + at, out_size - at, "...");
            return out;
        }
        if (need == 1)
            out[at] = text[i];
        else
            snprintf(out + at, out_size - at, "\\x%02x", (unsigned char)text[i]);
        at += need;
    }
    out[at] = '\0';
    return out;
}
