#include "broker/command_line_win32.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "broker/text_win32.h"

#define LINE_MAX_LEN 32767u /* CreateProcessW(), with the NUL */

/* In the first pass only counts. */
struct line {
    char *text;
    size_t len;
};

static void put(struct line *l, char c, size_t n)
{
    while (n--) {
        if (l->text)
            l->text[l->len] = c;
        l->len++;
    }
}

static bool needs_quotes(const char *word)
{
    return !word[0] || strpbrk(word, " \t\n\v\"");
}

/* Backslashes count double where a quote follows (CommandLineToArgvW()). */
static void put_word(struct line *l, const char *word)
{
    bool quoted = needs_quotes(word);
    size_t slashes = 0;

    put(l, '"', quoted);
    for (; *word; word++) {
        slashes = *word == '\\' ? slashes + 1 : 0;
        put(l, *word == '"' ? '\\' : *word, 1);
        if (*word == '"')
            put(l, '"', 1);
        if (slashes && (word[1] == '"' || (quoted && !word[1])))
            put(l, '\\', slashes);
    }
    put(l, '"', quoted);
}

static void put_all(struct line *l, const char *const *words, size_t n_words)
{
    l->len = 0;
    for (size_t i = 0; i < n_words; i++) {
        put(l, ' ', i > 0);
        put_word(l, words[i]);
    }
    put(l, '\0', 1);
}

sockbroker_status sb_command_line_make(const char *const *words, size_t n_words, wchar_t **line_out)
{
    struct line l = { NULL, 0 };

    put_all(&l, words, n_words);
    if (l.len > 4 * LINE_MAX_LEN)
        return SOCKBROKER_INVALID;
    l.text = malloc(l.len);
    if (!l.text)
        return SOCKBROKER_NO_MEMORY;
    put_all(&l, words, n_words);
    sockbroker_status st = sb_text_widen(l.text, line_out);
    free(l.text);
    if (!st && wcslen(*line_out) >= LINE_MAX_LEN) {
        free(*line_out);
        return SOCKBROKER_INVALID;
    }
    return st;
}
