#include "request.h"

#include <string.h>

#define BODY_MAX ((uint64_t)1 << 40)

/* A piece of the head; not terminated. */
struct text {
    const char *at;
    size_t n;
};

struct fields {
    unsigned n_hosts, n_lengths;
    bool close, keep_alive;
};

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is(struct text t, const char *word)
{
    if (t.n != strlen(word))
        return false;
    for (size_t i = 0; i < t.n; i++) {
        if (lower(t.at[i]) != lower(word[i]))
            return false;
    }
    return true;
}

static bool is_exactly(struct text t, const char *word)
{
    return t.n == strlen(word) && memcmp(t.at, word, t.n) == 0;
}

/* RFC 9110, 5.6.2 */
static bool is_token(struct text t)
{
    for (size_t i = 0; i < t.n; i++)
        if (t.at[i] <= ' ' || t.at[i] >= 127 || strchr("\"(),/:;<=>?@[\\]{}", t.at[i]))
            return false;
    return t.n > 0;
}

static bool has_control(struct text t)
{
    for (size_t i = 0; i < t.n; i++)
        if (((unsigned char)t.at[i] < ' ' && t.at[i] != '\t') || t.at[i] == 127)
            return true;
    return false;
}

/* Takes what stands before `end` out of *rest, or all of it. */
static struct text take(struct text *rest, char end)
{
    const char *found = memchr(rest->at, end, rest->n);
    struct text taken = { rest->at, found ? (size_t)(found - rest->at) : rest->n };
    size_t used = taken.n + (found != NULL);

    rest->at += used;
    rest->n -= used;
    return taken;
}

static struct text trim(struct text t)
{
    while (t.n > 0 && (t.at[0] == ' ' || t.at[0] == '\t')) {
        t.at++;
        t.n--;
    }
    while (t.n > 0 && (t.at[t.n - 1] == ' ' || t.at[t.n - 1] == '\t'))
        t.n--;
    return t;
}

static int read_request_line(struct text line, struct request *r)
{
    struct text method = take(&line, ' ');
    struct text target = take(&line, ' ');

    if (!is_token(method) || target.n == 0 || memchr(target.at, '\t', target.n) || line.n != 8 ||
        memcmp(line.at, "HTTP/", 5) != 0 || line.at[6] != '.')
        return 400;
    if (line.at[5] != '1' || line.at[7] < '0' || line.at[7] > '9')
        return 505;
    r->is_http_1_0 = line.at[7] == '0';
    r->is_head = is_exactly(method, "HEAD");
    return r->is_head || is_exactly(method, "GET") || is_exactly(method, "POST") ? 200 : 501;
}

/* Digits alone: no sign, no list. */
static int read_length(struct text value, uint64_t *length_out)
{
    uint64_t length = 0;

    if (value.n == 0)
        return 400;
    for (size_t i = 0; i < value.n; i++) {
        if (value.at[i] < '0' || value.at[i] > '9')
            return 400;
        if (length <= BODY_MAX)
            length = length * 10 + (uint64_t)(value.at[i] - '0');
    }
    *length_out = length;
    return length > BODY_MAX ? 413 : 200;
}

static void read_connection(struct text list, struct fields *f)
{
    while (list.n > 0) {
        struct text option = trim(take(&list, ','));
        f->close |= is(option, "close");
        f->keep_alive |= is(option, "keep-alive");
    }
}

static int read_field(struct text line, struct request *r, struct fields *f)
{
    bool has_colon = memchr(line.at, ':', line.n) != NULL;
    struct text name = take(&line, ':');
    struct text value = trim(line);

    if (!has_colon || !is_token(name))
        return 400; /* also a blank before the colon, and a line that continues the one before */
    if (is(name, "Transfer-Encoding"))
        return 501;
    if (is(name, "Content-Length"))
        return ++f->n_lengths > 1 ? 400 : read_length(value, &r->body_len);
    if (is(name, "Host"))
        f->n_hosts++;
    if (is(name, "Connection"))
        read_connection(value, f);
    if (is(name, "Expect"))
        r->expects_continue = is(value, "100-continue");
    return 200;
}

/* True when `head` ends with the empty line. A line that ends with LF alone is an error: others may see its end elsewhere. */
static int find_head(const char *bytes, size_t n, struct text *head_out)
{
    for (size_t i = 0; i < n && i < REQUEST_HEAD_MAX; i++) {
        if (bytes[i] != '\n')
            continue;
        if (i == 0 || bytes[i - 1] != '\r')
            return 400;
        if (i >= 3 && bytes[i - 2] == '\n') {
            *head_out = (struct text){ bytes, i + 1 };
            return 200;
        }
    }
    return n >= REQUEST_HEAD_MAX ? 431 : 0;
}

static int read_lines(struct text rest, struct request *r, struct fields *f)
{
    bool first = true;

    for (;;) {
        struct text line = take(&rest, '\n');
        int status;

        line.n--; /* the CR */
        if (has_control(line))
            return 400;
        if (line.n == 0 && !first)
            return 200;
        status = first ? read_request_line(line, r) : read_field(line, r, f);
        if (status != 200)
            return status;
        first = false;
    }
}

int request_parse(const char *bytes, size_t n, struct request *request_out)
{
    struct request r = { 0 };
    struct fields f = { 0 };
    struct text head;
    size_t blank = 0;

    while (n - blank >= 2 && memcmp(bytes + blank, "\r\n", 2) == 0) /* RFC 9112, 2.2 */
        blank += 2;
    int status = find_head(bytes + blank, n - blank, &head);
    if (status != 200)
        return status == 0 && n >= REQUEST_HEAD_MAX ? 431 : status;
    status = read_lines(head, &r, &f);
    if (status != 200)
        return status;
    if (f.n_hosts > 1 || (f.n_hosts == 0 && !r.is_http_1_0))
        return 400;
    r.head_len = blank + head.n;
    r.keep_alive = !f.close && (!r.is_http_1_0 || f.keep_alive);
    r.expects_continue = r.expects_continue && !r.is_http_1_0 && r.body_len > 0;
    *request_out = r;
    return 200;
}
