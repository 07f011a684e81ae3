#include "broker/config_scan.h"

#include <stdbool.h>
#include <string.h>

#include "proto/error.h"

#define DEPTH_MAX 8 /* a list in a block is 2 */

struct scan {
    char *at;
    char *begin;
    char *end; /* a NUL stands there */
    int line;
    int depth;
    int open_line[DEPTH_MAX]; /* of each brace that is open */
    char last[2];             /* the last two bytes that were not blank, the newest first */
    int error_line;
    struct sockbroker_error *error_out;
};

static sockbroker_status refuse(struct scan *s, int line, const char *text)
{
    s->error_line = line;
    return sb_error_set(s->error_out, SOCKBROKER_INVALID, 0, "%s", text);
}

static bool is_control(char c)
{
    return ((unsigned char)c < 0x20 && c != '\n' && c != '\t' && c != '\r') || c == 0x7f;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* ---- comments ---- */

static void blank_line_comment(struct scan *s)
{
    while (s->at < s->end && *s->at != '\n')
        *s->at++ = ' ';
}

static sockbroker_status blank_block_comment(struct scan *s)
{
    int begin_line = s->line;

    s->at[0] = s->at[1] = ' ';
    for (s->at += 2; s->at < s->end; s->at++) {
        if (s->at[0] == '*' && s->at[1] == '/') {
            s->at[0] = s->at[1] = ' ';
            s->at += 2;
            return SOCKBROKER_OK;
        }
        if (*s->at == '\n')
            s->line++;
        else
            *s->at = ' ';
    }
    return refuse(s, begin_line, "the comment that begins here has no end; add */");
}

/* ---- quotes ---- */

static sockbroker_status check_in_quotes(struct scan *s, char quote)
{
    if (*s->at == '\n' || s->at == s->end)
        return refuse(s, s->line, "a quote is not closed on its line; add the second one");
    if (is_control(*s->at) || *s->at == '\t' || *s->at == '\r')
        return refuse(s, s->line, "there is a control character between quotes; remove it");
    if (quote == '"' && s->at[0] == '$' && s->at[1] == '{')
        return refuse(s, s->line, "${...} is not replaced by anything here; write the value itself");
    if (quote == '"' && s->at[0] == '\\' && s->at[1] != '\\' && s->at[1] != '"')
        return refuse(s, s->line, "a backslash between \" may stand before \" and \\ only; double it, or use ' for quotes");
    return SOCKBROKER_OK;
}

static sockbroker_status skip_quoted(struct scan *s)
{
    char quote = *s->at++;
    sockbroker_status st = SOCKBROKER_OK;

    while (*s->at != quote && !st) {
        st = check_in_quotes(s, quote);
        if (!st)
            s->at += s->at[0] == '\\' && (s->at[1] == '\\' || s->at[1] == quote) ? 2 : 1;
    }
    if (!st)
        s->at++;
    return st;
}

/* ---- braces ---- */

static sockbroker_status open_brace(struct scan *s)
{
    if (s->depth == DEPTH_MAX)
        return refuse(s, s->line, "too many { inside each other; a list inside an endpoint is the deepest there is");
    s->open_line[s->depth++] = s->line;
    return SOCKBROKER_OK;
}

/* An empty list of rules looks like "nobody", but means "everybody". */
static sockbroker_status close_brace(struct scan *s)
{
    if (s->depth == 0)
        return refuse(s, s->line, "this } closes nothing; remove it, or add the { before");
    if (s->last[0] == '{' && s->last[1] == '=')
        return refuse(s, s->line, "a list is empty; give it an item, or leave the key out to get the default");
    s->depth--;
    return SOCKBROKER_OK;
}

/* ---- the rest ---- */

static const struct {
    char byte;
    const char *text;
} refused[] = {
    { ';', "; is not used here; end the line instead" },
    { '(', "( is not used here: there are no functions and no include; put text with it into quotes" },
    { ')', ") is not used here; put text with it into quotes" },
    { '+', "+ is not used here: lists are written { a, b }; put text with it into quotes" },
    { '*', "* is not used here; put text with it into quotes, and write [::] for all addresses" },
    { '$', "$ is not replaced by anything here; write the value itself, or put text with it into quotes" },
    { '\\', "\\ outside of quotes is not used here; put text with it into quotes" },
};

static sockbroker_status check_plain(struct scan *s)
{
    if (is_control(*s->at))
        return refuse(s, s->line, "there is a control character; remove it, and check that this is a text file");
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        if (*s->at == refused[i].byte)
            return refuse(s, s->line, refused[i].text);
    s->line += *s->at++ == '\n';
    return SOCKBROKER_OK;
}

static bool is_comment(const struct scan *s)
{
    return *s->at == '#' || (s->at[0] == '/' && (s->at[1] == '/' || s->at[1] == '*'));
}

/* "/run//x" would silently become "/run". */
static sockbroker_status skip_comment(struct scan *s)
{
    if (*s->at == '/' && s->at > s->begin && !is_blank(s->at[-1]) && !strchr("={},\"'", s->at[-1]))
        return refuse(s, s->line, "// and /* begin a comment; put text with it into quotes");
    if (s->at[0] == '/' && s->at[1] == '*')
        return blank_block_comment(s);
    blank_line_comment(s);
    return SOCKBROKER_OK;
}

static sockbroker_status scan_one(struct scan *s)
{
    switch (*s->at) {
    case '"':
    case '\'':
        return skip_quoted(s);
    case '{':
        s->at++;
        return open_brace(s);
    case '}':
        s->at++;
        return close_brace(s);
    default:
        return check_plain(s);
    }
}

static void remember(struct scan *s, char c)
{
    if (is_blank(c))
        return;
    s->last[1] = s->last[0];
    s->last[0] = c;
}

static sockbroker_status scan_all(struct scan *s)
{
    sockbroker_status st = SOCKBROKER_OK;

    while (!st && s->at < s->end) {
        char first = *s->at;

        if (is_comment(s)) {
            st = skip_comment(s);
            continue;
        }
        st = scan_one(s);
        remember(s, first);
    }
    if (!st && s->depth > 0)
        st = refuse(s, s->open_line[s->depth - 1], "the { on this line is not closed; add a }");
    return st;
}

/* Some editors begin a file with it. */
static void blank_byte_order_mark(char *text, size_t len)
{
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        memset(text, ' ', 3);
}

sockbroker_status sb_config_scan(char *text, size_t len, int *line_out, struct sockbroker_error *error_out)
{
    struct scan s = { .at = text, .begin = text, .end = text + len, .line = 1, .error_out = error_out };
    sockbroker_status st;

    blank_byte_order_mark(text, len);
    st = scan_all(&s);
    if (st)
        *line_out = s.error_line;
    return st;
}

/* After the scan a quote ends on its line and a { outside of quotes is a brace. */
int sb_config_scan_block_line(char *text, size_t n)
{
    struct sockbroker_error unused;
    struct scan s = { .line = 1, .error_out = &unused };
    size_t blocks = 0;

    s.at = s.begin = text;
    s.end = s.begin + strlen(text);
    while (s.at < s.end) {
        bool is_block = *s.at == '{' && s.depth == 0 && s.last[0] != '=';
        char first = *s.at;

        if (is_block && blocks++ == n)
            break;
        if (scan_one(&s))
            break;
        remember(&s, first);
    }
    return s.line;
}
