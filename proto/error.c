#include "proto/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

sockbroker_status sb_error_set(struct sockbroker_error *error, sockbroker_status status, int os_code,
                               const char *format, ...)
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

const char *sb_quote(const char *text, size_t len, char *out, size_t out_size)
{
    size_t at = 0;

    if (out_size == 0)
        return out;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        size_t need = is_plain(c) ? 1 : 4;

        if (at + need + (i + 1 < len ? 4 : 1) > out_size) { /* room for "..." while more follows */
            snprintf(out + at, out_size - at, "...");
            return out;
        }
        if (need == 1)
            out[at] = (char)c;
        else
            snprintf(out + at, out_size - at, "\\x%02x", c);
        at += need;
    }
    out[at] = '\0';
    return out;
}
