/* RFC 5952: lower case, no leading zeros, "::" for the longest run of zero groups if it has at least two, the first
 * of equals; dotted IPv4 at the end of mapped and compatible addresses (section 5). */
#include "sockbroker/addr.h"

#include <stdarg.h>
#include <stdio.h>

#include "client-lib/zone.h"

struct writer {
    char *out;
    size_t len;
};

struct run {
    unsigned start;
    unsigned len;
};

/* The longest text there can be fits, see SOCKBROKER_ADDR_TEXT_MAX. */
static void put(struct writer *w, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(w->out + w->len, SOCKBROKER_ADDR_TEXT_MAX - w->len, format, args);
    va_end(args);
    if (n > 0)
        w->len += (size_t)n;
}

static unsigned group_at(const uint8_t *ip, unsigned i)
{
    return (unsigned)ip[2 * i] << 8 | ip[2 * i + 1];
}

static struct run longest_zero_run(const uint8_t *ip, unsigned n_groups)
{
    struct run best = { n_groups, 0 };
    unsigned len = 0;

    for (unsigned i = 0; i < n_groups; i++) {
        len = group_at(ip, i) == 0 ? len + 1 : 0;
        if (len >= 2 && len > best.len)
            best = (struct run){ i + 1 - len, len };
    }
    return best;
}

static void put_ipv4(struct writer *w, const uint8_t *ip)
{
    put(w, "%u.%u.%u.%u", ip[0], ip[1], ip[2], ip[3]);
}

static void put_groups(struct writer *w, const uint8_t *ip, unsigned n_groups)
{
    struct run zeros = longest_zero_run(ip, n_groups);

    for (unsigned i = 0; i < n_groups; i++) {
        if (i == zeros.start) {
            put(w, "::");
            i += zeros.len - 1;
        } else {
            put(w, "%s%x", i == 0 || i == zeros.start + zeros.len ? "" : ":", group_at(ip, i));
        }
    }
}

/* ::2 is printed so, not as ::0.0.0.2; inet_ntop() has the same rule. */
static bool has_dotted_tail(const struct sockbroker_addr *addr)
{
    enum sockbroker_addr_class class_ = sockbroker_addr_classify(addr);

    return class_ == SOCKBROKER_CLASS_MAPPED || (class_ == SOCKBROKER_CLASS_COMPATIBLE && group_at(addr->ip, 6) != 0);
}

static void put_ipv6(struct writer *w, const struct sockbroker_addr *addr)
{
    if (has_dotted_tail(addr)) {
        put_groups(w, addr->ip, 6);
        put(w, group_at(addr->ip, 5) ? ":" : "");
        put_ipv4(w, addr->ip + 12);
    } else {
        put_groups(w, addr->ip, 8);
    }
    if (addr->scope_id && sb_zone_applies(addr))
        put(w, "%%%lu", (unsigned long)addr->scope_id);
}

const char *sockbroker_addr_format_ip(const struct sockbroker_addr *addr, char text_out[SOCKBROKER_ADDR_TEXT_MAX])
{
    struct writer w = { text_out, 0 };

    if (addr->family == SOCKBROKER_IPV4)
        put_ipv4(&w, addr->ip);
    else if (addr->family == SOCKBROKER_IPV6)
        put_ipv6(&w, addr);
    else
        put(&w, "-");
    return text_out;
}

const char *sockbroker_addr_format(const struct sockbroker_addr *addr, char text_out[SOCKBROKER_ADDR_TEXT_MAX])
{
    char ip[SOCKBROKER_ADDR_TEXT_MAX];
    struct writer w = { text_out, 0 };

    sockbroker_addr_format_ip(addr, ip);
    if (addr->family == SOCKBROKER_IPV4)
        put(&w, "%s:%u", ip, (unsigned)addr->port);
    else if (addr->family == SOCKBROKER_IPV6)
        put(&w, "[%s]:%u", ip, (unsigned)addr->port);
    else
        put(&w, "-");
    return text_out;
}
