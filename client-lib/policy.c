#include "sockbroker/select.h"

#include "client-lib/bits.h"
#include "proto/error.h"

#define IPV6_BITS 128
#define MAPPED_BITS 96

#define ENTRY6(bits, precedence, label, ...)                                                                                   \
    {                                                                                                                          \
        { { SOCKBROKER_IPV6, 0, 0, { __VA_ARGS__ } }, bits }, precedence, label                                                \
    }

static const struct sockbroker_policy default_table[] = {
    ENTRY6(128, 50, 0, [15] = 1),
    ENTRY6(0, 40, 1, 0),
    { { { SOCKBROKER_IPV4, 0, 0, { 0 } }, 0 }, 35, 4 }, /* ::ffff:0:0/96 */
    ENTRY6(16, 30, 2, 0x20, 0x02),
    ENTRY6(32, 5, 5, 0x20, 0x01),
    ENTRY6(7, 3, 13, 0xfc),
    ENTRY6(96, 1, 3, 0),
    ENTRY6(10, 1, 11, 0xfe, 0xc0),
    ENTRY6(16, 1, 12, 0x3f, 0xfe),
};

static const struct sockbroker_policy *const catch_all = &default_table[1];

const struct sockbroker_policy *sockbroker_policy_default(size_t *n_out)
{
    *n_out = sizeof(default_table) / sizeof(default_table[0]);
    return default_table;
}

/* ---- looking up ---- */

static unsigned bits_in_ipv6(const struct sockbroker_prefix *prefix)
{
    return prefix->addr.family == SOCKBROKER_IPV4 ? MAPPED_BITS + prefix->bits : prefix->bits;
}

static bool holds(const struct sockbroker_prefix *prefix, const struct sockbroker_addr *mapped)
{
    struct sockbroker_addr network = prefix->addr;

    sockbroker_addr_map(&network);
    return bits_in_ipv6(prefix) <= IPV6_BITS && sb_bits_equal(network.ip, mapped->ip, bits_in_ipv6(prefix));
}

const struct sockbroker_policy *sockbroker_policy_find(const struct sockbroker_policy *policies, size_t n_policies,
                                                       const struct sockbroker_addr *addr)
{
    const struct sockbroker_policy *best = NULL;
    struct sockbroker_addr mapped = *addr;

    if (!policies)
        policies = sockbroker_policy_default(&n_policies);
    sockbroker_addr_map(&mapped);
    for (size_t i = 0; i < n_policies; i++) {
        if (holds(&policies[i].prefix, &mapped) && (!best || bits_in_ipv6(&policies[i].prefix) > bits_in_ipv6(&best->prefix)))
            best = &policies[i];
    }
    return best ? best : catch_all;
}

/* ---- checking ---- */

static bool is_prefix(const struct sockbroker_prefix *prefix)
{
    struct sockbroker_prefix again;
    char text[SOCKBROKER_ADDR_TEXT_MAX];

    return sockbroker_prefix_parse(sockbroker_prefix_format(prefix, text), &again, NULL) == SOCKBROKER_OK &&
           sockbroker_addr_compare(&again.addr, &prefix->addr) == 0 && again.bits == prefix->bits;
}

static bool same_prefix(const struct sockbroker_prefix *a, const struct sockbroker_prefix *b)
{
    return a->bits == b->bits && sockbroker_addr_compare(&a->addr, &b->addr) == 0;
}

static sockbroker_status check_entry(const struct sockbroker_policy *policies, size_t i, struct sockbroker_error *error)
{
    const struct sockbroker_prefix *prefix = &policies[i].prefix;
    char text[SOCKBROKER_ADDR_TEXT_MAX];

    if (!is_prefix(prefix))
        return sb_error_set(error, SOCKBROKER_INVALID, 0,
                            "policy table, entry %zu: the prefix %s is not one; fill it in with sockbroker_prefix_parse()",
                            i + 1, sockbroker_prefix_format(prefix, text));
    for (size_t k = 0; k < i; k++) {
        if (same_prefix(&policies[k].prefix, prefix))
            return sb_error_set(error, SOCKBROKER_INVALID, 0,
                                "policy table, entry %zu: %s is there already as entry %zu; keep one of them", i + 1,
                                sockbroker_prefix_format(prefix, text), k + 1);
    }
    return SOCKBROKER_OK;
}

sockbroker_status sockbroker_policy_check(const struct sockbroker_policy *policies, size_t n_policies,
                                          struct sockbroker_error *error_out)
{
    sockbroker_status st = SOCKBROKER_OK;

    if (!policies || n_policies < 1 || n_policies > SOCKBROKER_POLICIES_MAX)
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0, "policy table: it has %zu entries; give 1 to %d",
                            policies ? n_policies : 0, SOCKBROKER_POLICIES_MAX);
    for (size_t i = 0; i < n_policies && !st; i++)
        st = check_entry(policies, i, error_out);
    return st;
}
