#include "sockbroker/addr.h"

#include <stdio.h>
#include <string.h>

#include "client-lib/decimal.h"
#include "client-lib/ip_text.h"
#include "client-lib/zone.h"
#include "proto/error.h"

#define HINT_MAX (SOCKBROKER_ADDR_TEXT_MAX + 128)

/* One reading of one text; `hint` is room for a `why` that quotes what was understood. */
struct reading {
    struct sockbroker_addr addr;
    int os_code;
    char hint[HINT_MAX];
};

static const char *read_zone(const char *text, size_t len, struct reading *r)
{
    if (r->addr.family == SOCKBROKER_IPV4)
        return "an IPv4 address has no zone, remove \"%\" and what follows it";
    if (!sb_zone_applies(&r->addr))
        return "only a link-local address has a zone, remove \"%\" and what follows it";
    return sb_zone_read(text, len, &r->addr.scope_id, &r->os_code);
}

static const char *read_ip(const char *text, size_t len, struct reading *r)
{
    const char *percent = memchr(text, '%', len);
    const char *why = sb_ip_read(text, percent ? (size_t)(percent - text) : len, &r->addr);

    if (why || !percent)
        return why;
    return read_zone(percent + 1, len - (size_t)(percent + 1 - text), r);
}

static const char *read_port(const char *text, struct reading *r)
{
    uint32_t port;

    if (!sb_decimal_read(text, strlen(text), UINT16_MAX, &port))
        return "the port after the last colon must be a decimal number from 0 to 65535, without leading zeros, "
               "write it like 192.0.2.1:80 or [2001:db8::1]:80";
    r->addr.port = (uint16_t)port;
    return NULL;
}

static const char *read_bracketed(const char *text, struct reading *r)
{
    const char *close = strchr(text, ']');
    const char *why;

    if (!close)
        return "\"]\" is missing after the IPv6 address, write it like [2001:db8::1]:80";
    why = read_ip(text + 1, (size_t)(close - text - 1), r);
    if (why)
        return why;
    if (r->addr.family == SOCKBROKER_IPV4)
        return "brackets are for IPv6, write IPv4 without them, like 192.0.2.1:80";
    if (close[1] != ':')
        return "a colon and the port must follow \"]\", write it like [2001:db8::1]:80";
    return read_port(close + 2, r);
}

/* "::1:80" may be one address or an address and a port. We do not guess, but we tell how to write the likelier. */
static const char *ask_for_brackets(const char *text, const char *last_colon, struct reading *r)
{
    char likely[SOCKBROKER_ADDR_TEXT_MAX];

    if (read_ip(text, (size_t)(last_colon - text), r) || read_port(last_colon + 1, r))
        return "write an IPv6 address with brackets and a port, like [2001:db8::1]:80, or IPv4 like 192.0.2.1:80";
    snprintf(r->hint, sizeof(r->hint), "write IPv6 with brackets around the address, %s if the last number is the port",
             sockbroker_addr_format(&r->addr, likely));
    return r->hint;
}

static const char *ask_for_port(const char *text, struct reading *r)
{
    char likely[SOCKBROKER_ADDR_TEXT_MAX];

    if (read_ip(text, strlen(text), r))
        return "the port is missing, write address and port like 192.0.2.1:80 or [2001:db8::1]:80";
    snprintf(r->hint, sizeof(r->hint), "the port is missing, write it like %s:80", sockbroker_addr_format_ip(&r->addr, likely));
    return r->hint;
}

static bool means_every_address(const char *host, size_t len)
{
    return len == 0 || (len == 1 && host[0] == '*');
}

static const char *read_plain(const char *text, struct reading *r)
{
    const char *colon = strrchr(text, ':');
    const char *why;
    size_t host_len;

    if (!colon)
        return ask_for_port(text, r);
    host_len = (size_t)(colon - text);
    if (means_every_address(text, host_len))
        return "the address before the port is missing, for every address write [::]:80, or 0.0.0.0:80 for IPv4 only";
    if (sb_ip_looks_like_ipv6(text, host_len))
        return ask_for_brackets(text, colon, r);
    why = read_ip(text, host_len, r);
    return why ? why : read_port(colon + 1, r);
}

static sockbroker_status answer(const char *text, const char *why, const struct reading *r, struct sockbroker_addr *addr_out,
                                struct sockbroker_error *error_out)
{
    char quoted[SB_QUOTE_MAX];

    if (why)
        return sb_error_set(error_out, SOCKBROKER_INVALID, r->os_code, "address \"%s\": %s",
                            sb_quote(text, strlen(text), quoted, sizeof(quoted)), why);
    *addr_out = r->addr;
    return SOCKBROKER_OK;
}

sockbroker_status sockbroker_addr_parse(const char *text, struct sockbroker_addr *addr_out, struct sockbroker_error *error_out)
{
    struct reading r = { .os_code = 0 };
    const char *why;

    if (!text)
        return answer("", "no text was given, pass one like 192.0.2.1:80", &r, addr_out, error_out);
    why = text[0] == '[' ? read_bracketed(text, &r) : read_plain(text, &r);
    return answer(text, why, &r, addr_out, error_out);
}

sockbroker_status sockbroker_addr_parse_ip(const char *text, struct sockbroker_addr *addr_out,
                                           struct sockbroker_error *error_out)
{
    struct reading r = { .os_code = 0 };
    const char *why;

    if (!text)
        return answer("", "no text was given, pass one like 192.0.2.1", &r, addr_out, error_out);
    why = text[0] == '[' ? "no brackets and no port belong here, write it like 2001:db8::1" : read_ip(text, strlen(text), &r);
    return answer(text, why, &r, addr_out, error_out);
}
