#include "http_answer.h"

#include <stdlib.h>
#include <string.h>

static bool begins_with(const char *line, const char *end, const char *what)
{
    size_t n = strlen(what);

    return (size_t)(end - line) >= n && strncasecmp(line, what, n) == 0;
}

static bool has_word(const char *line, const char *end, const char *word)
{
    for (; line < end; line++)
        if (begins_with(line, end, word))
            return true;
    return false;
}

enum http_answer http_answer_read(const char *bytes, size_t n, bool *closes_out)
{
    const char *head_end = memmem(bytes, n, "\r\n\r\n", 4);
    size_t body_len = 0;
    bool has_length = false;
    size_t whole;

    *closes_out = false;
    if (!head_end)
        return HTTP_PART;
    if (!begins_with(bytes, head_end, "HTTP/1.1 200 "))
        return HTTP_WRONG;
    for (const char *line = bytes, *end; line < head_end; line = end + 2) {
        end = memmem(line, (size_t)(head_end + 2 - line), "\r\n", 2);
        if (begins_with(line, end, "Content-Length:")) {
            body_len = strtoul(line + strlen("Content-Length:"), NULL, 10);
            has_length = true;
        }
        if (begins_with(line, end, "Connection:"))
            *closes_out |= has_word(line, end, "close");
    }
    whole = (size_t)(head_end + 4 - bytes) + body_len;
    if (!has_length || n > whole)
        return HTTP_WRONG;
    return n == whole ? HTTP_WHOLE : HTTP_PART;
}
