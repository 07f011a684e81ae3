#include "broker/text_win32.h"

#include <stdlib.h>
#include <string.h>

#include "proto/utf_win32.h"

#define BYTES_MOST 3 /* of UTF-8 for one unit of UTF-16 */

sockbroker_status sb_text_widen(const char *text, wchar_t **wide_out)
{
    size_t room = strlen(text) + 1;
    wchar_t *wide = calloc(room, sizeof(*wide));

    if (!wide)
        return SOCKBROKER_NO_MEMORY;
    if (!sb_utf_widen(text, wide, room)) {
        free(wide);
        return SOCKBROKER_INVALID;
    }
    *wide_out = wide;
    return SOCKBROKER_OK;
}

sockbroker_status sb_text_narrow(const wchar_t *wide, char **text_out)
{
    size_t size = wcslen(wide) * BYTES_MOST + 1;
    char *text = malloc(size);

    if (!text)
        return SOCKBROKER_NO_MEMORY;
    if (!sb_utf_narrow(wide, text, size)) {
        free(text);
        return SOCKBROKER_INVALID;
    }
    *text_out = text;
    return SOCKBROKER_OK;
}
