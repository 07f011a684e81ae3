#include "broker/destination.h"

#include <stdio.h>
#include <string.h>

#include "client-lib/decimal.h"
#include "proto/error.h"

static sockbroker_status refuse(const char *text, const char *why, struct sockbroker_error *error)
{
    char quoted[SB_QUOTE_MAX];

    return sb_error_set(error, SOCKBROKER_INVALID, 0, "\"%s\" %s; write it like 10.0.0.0/8:443 or [2001:db8::/32]:8000-8099",
                        sb_quote(text, strlen(text), quoted, sizeof(quoted)), why);
}

/* "443" or "8000-8099". */
static bool parse_ports(const char *text, struct sb_destination_rule *rule)
{
    const char *dash = strchr(text, '-');
    size_t len = dash ? (size_t)(dash - text) : strlen(text);
    uint32_t first, last;

    if (!sb_decimal_read(text, len, UINT16_MAX, &first))
        return false;
    last = first;
    if (dash && !sb_decimal_read(dash + 1, strlen(dash + 1), UINT16_MAX, &last))
        return false;
    rule->first_port = (uint16_t)first;
    rule->last_port = (uint16_t)last;
    return first > 0 && first <= last;
}

/* Where the prefix ends, and the ports begin (NULL: none are given); NULL when brackets do not match. */
static const char *split(const char *text, const char **prefix_out, const char **ports_out)
{
    const char *end = text[0] == '[' ? strchr(text, ']') : strchr(text, ':');

    *prefix_out = text[0] == '[' ? text + 1 : text;
    *ports_out = NULL;
    if (text[0] == '[') {
        if (end && end[1] == ':')
            *ports_out = end + 2;
        return end && (end[1] == ':' || !end[1]) ? end : NULL;
    }
    if (!end || strchr(end + 1, ':')) /* IPv6 without brackets */
        return text + strlen(text);
    *ports_out = end + 1;
    return end;
}

sockbroker_status sb_destination_rule_parse(const char *text, struct sb_destination_rule *rule_out,
                                            struct sockbroker_error *error_out)
{
    struct sb_destination_rule rule = { .first_port = 1, .last_port = UINT16_MAX };
    char prefix[SOCKBROKER_ADDR_TEXT_MAX];
    const char *begin, *ports;
    const char *end = split(text, &begin, &ports);

    if (!end)
        return refuse(text, "has a bracket too many or too few", error_out);
    if (begin != text && !memchr(begin, ':', (size_t)(end - begin)))
        return refuse(text, "has brackets, which are for IPv6", error_out);
    if ((size_t)(end - begin) >= sizeof(prefix))
        return refuse(text, "is too long for a prefix", error_out);
    memcpy(prefix, begin, (size_t)(end - begin));
    prefix[end - begin] = '\0';
    sockbroker_status st = sockbroker_prefix_parse(prefix, &rule.prefix, error_out);
    if (st)
        return st;
    if (ports && !parse_ports(ports, &rule))
        return refuse(text, "has no port or range of ports, 1 to 65535", error_out);
    *rule_out = rule;
    return SOCKBROKER_OK;
}

const char *sb_destination_rule_format(const struct sb_destination_rule *rule, char text_out[SB_DESTINATION_TEXT_MAX])
{
    char prefix[SOCKBROKER_ADDR_TEXT_MAX];
    bool is_ipv6 = rule->prefix.addr.family == SOCKBROKER_IPV6;

    sockbroker_prefix_format(&rule->prefix, prefix);
    if (rule->first_port <= 1 && rule->last_port == UINT16_MAX)
        snprintf(text_out, SB_DESTINATION_TEXT_MAX, "%s", prefix);
    else if (rule->first_port == rule->last_port)
        snprintf(text_out, SB_DESTINATION_TEXT_MAX, is_ipv6 ? "[%s]:%u" : "%s:%u", prefix, rule->first_port);
    else
        snprintf(text_out, SB_DESTINATION_TEXT_MAX, is_ipv6 ? "[%s]:%u-%u" : "%s:%u-%u", prefix, rule->first_port,
                 rule->last_port);
    return text_out;
}

const struct sb_destination_rule *sb_destination_find(const struct sb_destination_list *list,
                                                      const struct sockbroker_addr *addr)
{
    for (size_t i = 0; i < list->n; i++) {
        const struct sb_destination_rule *r = &list->rules[i];

        if (sockbroker_prefix_match(&r->prefix, addr) && addr->port >= r->first_port && addr->port <= r->last_port)
            return r;
    }
    return NULL;
}
