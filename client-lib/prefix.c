#include "sockbroker/addr.h"

#include <stdio.h>
#include <string.h>

#include "client-lib/bits.h"
#include "client-lib/decimal.h"
#include "client-lib/ip_text.h"
#include "proto/error.h"

#define MAPPED_BITS 96
#define HINT_MAX (2 * SOCKBROKER_ADDR_TEXT_MAX + 64)

static unsigned bits_max(const struct sockbroker_addr *addr)
{
    return addr->family == SOCKBROKER_IPV4 ? 32 : 128;
}

static const char *read_length(const char *text, struct sockbroker_prefix *prefix)
{
    uint32_t bits;

    if (sb_decimal_read(text, strlen(text), bits_max(&prefix->addr), &bits)) {
        prefix->bits = bits;
        return NULL;
    }
    return prefix->addr.family == SOCKBROKER_IPV4
               ? "the length after \"/\" must be a number from 0 to 32 for IPv4, write it like 10.0.0.0/8"
               : "the length after \"/\" must be a number from 0 to 128 for IPv6, write it like 2001:db8::/32";
}

static const char *read_parts(const char *text, struct sockbroker_prefix *prefix)
{
    size_t ip_len = strcspn(text, "/");
    const char *why;

    if (memchr(text, '%', ip_len))
        return "a prefix has no zone, remove \"%\" and what follows it";
    if (text[0] == '[')
        return "a prefix has no brackets, write it like 2001:db8::/32";
    why = sb_ip_read(text, ip_len, &prefix->addr);
    if (why)
        return why;
    prefix->bits = bits_max(&prefix->addr);
    return text[ip_len] == '/' ? read_length(text + ip_len + 1, prefix) : NULL;
}

static struct sockbroker_prefix without_surplus_bits(struct sockbroker_prefix prefix)
{
    sb_bits_clear_after(prefix.addr.ip, sizeof(prefix.addr.ip), prefix.bits);
    return prefix;
}

static const char *check_surplus_bits(const struct sockbroker_prefix *prefix, char hint[HINT_MAX])
{
    struct sockbroker_prefix network = without_surplus_bits(*prefix);
    struct sockbroker_prefix host = { prefix->addr, bits_max(&prefix->addr) };
    char network_text[SOCKBROKER_ADDR_TEXT_MAX];
    char host_text[SOCKBROKER_ADDR_TEXT_MAX];

    if (sockbroker_addr_compare(&network.addr, &prefix->addr) == 0)
        return NULL;
    /* Not the sum below: for "::ffff:10.0.0.0/8" it would be ::/8, far from what was meant. */
    if (prefix->bits < MAPPED_BITS && sockbroker_addr_is_mapped(&prefix->addr))
        return "below ::ffff:0:0 a length is at least 96, write the IPv4 prefix instead, like 10.0.0.0/8";
    snprintf(hint, HINT_MAX, "bits are set after the first %u, write %s or %s", prefix->bits,
             sockbroker_prefix_format(&network, network_text), sockbroker_prefix_format(&host, host_text));
    return hint;
}

static void normalise(struct sockbroker_prefix *prefix)
{
    if (prefix->bits < MAPPED_BITS || !sockbroker_addr_is_mapped(&prefix->addr))
        return;
    sockbroker_addr_normalise(&prefix->addr);
    prefix->bits -= MAPPED_BITS;
}

sockbroker_status sockbroker_prefix_parse(const char *text, struct sockbroker_prefix *prefix_out,
                                          struct sockbroker_error *error_out)
{
    struct sockbroker_prefix prefix = { .bits = 0 };
    char quoted[SB_QUOTE_MAX];
    char hint[HINT_MAX];
    const char *why = text ? read_parts(text, &prefix) : "no text was given, pass one like 10.0.0.0/8";

    if (!why)
        why = check_surplus_bits(&prefix, hint);
    if (why)
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0, "prefix \"%s\": %s",
                            sb_quote(text, text ? strlen(text) : 0, quoted, sizeof(quoted)), why);
    normalise(&prefix);
    *prefix_out = prefix;
    return SOCKBROKER_OK;
}

const char *sockbroker_prefix_format(const struct sockbroker_prefix *prefix, char text_out[SOCKBROKER_ADDR_TEXT_MAX])
{
    struct sockbroker_addr addr = prefix->addr;
    size_t len;

    addr.scope_id = 0;
    len = strlen(sockbroker_addr_format_ip(&addr, text_out));
    if (addr.family == SOCKBROKER_IPV4 || addr.family == SOCKBROKER_IPV6)
        snprintf(text_out + len, SOCKBROKER_ADDR_TEXT_MAX - len, "/%u", prefix->bits);
    return text_out;
}

bool sockbroker_prefix_match(const struct sockbroker_prefix *prefix, const struct sockbroker_addr *addr)
{
    struct sockbroker_prefix rule = *prefix; /* may be filled in by hand, so as mapped IPv6 */
    struct sockbroker_addr plain = *addr;

    normalise(&rule);
    sockbroker_addr_normalise(&plain);
    if (plain.family == SOCKBROKER_FAMILY_NONE || plain.family != rule.addr.family || rule.bits > bits_max(&rule.addr))
        return false;
    return sb_bits_equal(rule.addr.ip, plain.ip, rule.bits);
}
