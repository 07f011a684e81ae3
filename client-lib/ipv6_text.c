/* RFC 4291, 2.2: eight groups; "::" once, for one or more groups of zeros; the last two groups may be dotted IPv4. */
#include "client-lib/ip_text.h"

#include <string.h>

#define IP_LEN 16
#define NO_GAP (IP_LEN + 1) /* IP_LEN is a place too: "::" after eight groups */

struct reader {
    const char *at;
    const char *end;
    size_t n;   /* bytes of ip that are filled */
    size_t gap; /* where among them the zeros of "::" go */
    uint8_t ip[IP_LEN];
};

static const char lone_colon[] = "there is a single colon at one end, write :: there or remove it";
static const char bad_character[] = "an IPv6 address has only hexadecimal digits and colons, write it like 2001:db8::1";
static const char gap_twice[] = "\"::\" may be there only once, write the other zeros out, like 1::2:0:0:3";
static const char too_long[] = "an IPv6 address has eight groups and this has more, write it like 2001:db8::1";

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static const char *read_start(struct reader *r)
{
    if (r->at == r->end || *r->at != ':')
        return NULL;
    if (r->end - r->at == 1 || r->at[1] != ':')
        return lone_colon;
    r->gap = 0;
    r->at += 2;
    return NULL;
}

static const char *read_ipv4_tail(struct reader *r)
{
    const char *why;

    if (r->n > IP_LEN - 4)
        return too_long;
    why = sb_ipv4_read(r->at, (size_t)(r->end - r->at), r->ip + r->n);
    r->n += 4;
    r->at = r->end;
    return why;
}

static const char *read_separator(struct reader *r)
{
    if (r->at == r->end)
        return NULL;
    if (*r->at++ != ':')
        return bad_character;
    if (r->at == r->end)
        return lone_colon;
    if (*r->at != ':')
        return NULL;
    if (r->gap != NO_GAP)
        return gap_twice;
    r->gap = r->n;
    r->at++;
    return NULL;
}

static const char *read_group(struct reader *r)
{
    const char *start = r->at;
    unsigned value = 0;

    for (; r->at < r->end && hex_value(*r->at) >= 0; r->at++) {
        if (r->at - start == 4)
            return "a group has at most four hexadecimal digits, write it like 2001:db8::1";
        value = value << 4 | (unsigned)hex_value(*r->at);
    }
    if (r->at < r->end && *r->at == '.') {
        r->at = start;
        return read_ipv4_tail(r);
    }
    if (r->at == start)
        return *start == ':' ? gap_twice : bad_character;
    if (r->n == IP_LEN)
        return too_long;
    r->ip[r->n++] = (uint8_t)(value >> 8);
    r->ip[r->n++] = (uint8_t)(value & 0xff);
    return read_separator(r);
}

static const char *open_gap(struct reader *r)
{
    size_t n_after;

    if (r->gap == NO_GAP)
        return r->n == IP_LEN ? NULL : "it has fewer than eight groups and no \"::\", write it like 2001:db8::1";
    if (r->n == IP_LEN)
        return "\"::\" stands for no zeros, as there are eight groups without it; remove one colon";
    n_after = r->n - r->gap;
    memmove(r->ip + IP_LEN - n_after, r->ip + r->gap, n_after);
    memset(r->ip + r->gap, 0, IP_LEN - r->n);
    return NULL;
}

const char *sb_ipv6_read(const char *text, size_t len, uint8_t ip_out[16])
{
    struct reader r = { .at = text, .end = text + len, .gap = NO_GAP };
    const char *why = read_start(&r);

    while (!why && r.at < r.end)
        why = read_group(&r);
    if (!why)
        why = open_gap(&r);
    if (!why)
        memcpy(ip_out, r.ip, sizeof(r.ip));
    return why;
}
