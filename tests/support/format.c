#include "tests/support/format.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

size_t format_text(char *out, size_t room, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int len = vsnprintf(out, room, format, args);
    va_end(args);
    if (len >= 0 && (size_t)len < room)
        return (size_t)len;
    fprintf(stderr, "no room for a text of %d bytes in %zu: %s\n", len, room, room ? out : "");
    abort();
}
