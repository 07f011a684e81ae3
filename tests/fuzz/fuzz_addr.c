/* Any bytes as text: what is accepted must come back the same through its printed form, and must hold the promises of
 * addr.h and, for an entry of a policy table, of select.h. The same bytes as an address and a prefix: what is printed must be
 * read back. Seeds: tests/data/addr. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "sockbroker/addr.h"
#include "sockbroker/select.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds, const char *promise)
{
    if (holds)
        return;
    fprintf(stderr, "broken: %s\n", promise);
    abort();
}
#define REQUIRE(promise) require(promise, #promise)

static bool same(const struct sockbroker_addr *a, const struct sockbroker_addr *b)
{
    return sockbroker_addr_compare(a, b) == 0;
}

static void check_error(const struct sockbroker_error *error)
{
    size_t len = strnlen(error->text, sizeof(error->text));

    REQUIRE(error->status == SOCKBROKER_INVALID);
    REQUIRE(len > 0 && len < sizeof(error->text));
    for (size_t i = 0; i < len; i++)
        REQUIRE(error->text[i] >= 0x20 && error->text[i] <= 0x7e);
}

static void check_mapping(const struct sockbroker_addr *addr)
{
    struct sockbroker_addr once = *addr, twice;

    sockbroker_addr_normalise(&once);
    twice = once;
    sockbroker_addr_normalise(&twice);
    REQUIRE(same(&once, &twice));
    REQUIRE(!sockbroker_addr_is_mapped(&once));
    REQUIRE(sockbroker_addr_is_mapped(addr) == (sockbroker_addr_classify(addr) == SOCKBROKER_CLASS_MAPPED));
    REQUIRE(sockbroker_addr_is_mapped(addr) == !same(addr, &once));
    sockbroker_addr_map(&twice);
    REQUIRE(twice.family == SOCKBROKER_IPV6);
    REQUIRE(addr->family == SOCKBROKER_IPV4 || same(addr, &twice));
    sockbroker_addr_normalise(&twice);
    REQUIRE(same(&once, &twice));
}

static void check_sockaddr(const struct sockbroker_addr *addr)
{
    struct sockaddr_storage storage;
    struct sockbroker_addr again;
    size_t len = sockbroker_addr_to_sockaddr(addr, &storage);

    REQUIRE(sockbroker_addr_from_sockaddr((struct sockaddr *)&storage, len, &again) == SOCKBROKER_OK);
    REQUIRE(same(addr, &again));
    REQUIRE(sockbroker_addr_from_sockaddr((struct sockaddr *)&storage, len - 1, &again) == SOCKBROKER_INVALID);
}

static void check_addr(const struct sockbroker_addr *addr)
{
    char text[SOCKBROKER_ADDR_TEXT_MAX];
    struct sockbroker_addr again;

    REQUIRE(sockbroker_addr_parse(sockbroker_addr_format(addr, text), &again, NULL) == SOCKBROKER_OK);
    REQUIRE(same(addr, &again));
    REQUIRE(sockbroker_addr_parse_ip(sockbroker_addr_format_ip(addr, text), &again, NULL) == SOCKBROKER_OK);
    again.port = addr->port;
    REQUIRE(same(addr, &again));
    check_mapping(addr);
    check_sockaddr(addr);
}

static void check_prefix(const struct sockbroker_prefix *prefix)
{
    char text[SOCKBROKER_ADDR_TEXT_MAX];
    struct sockbroker_prefix again;
    struct sockbroker_addr mapped = prefix->addr;

    REQUIRE(sockbroker_prefix_parse(sockbroker_prefix_format(prefix, text), &again, NULL) == SOCKBROKER_OK);
    REQUIRE(same(&prefix->addr, &again.addr) && prefix->bits == again.bits);
    REQUIRE(!sockbroker_addr_is_mapped(&prefix->addr) || prefix->bits < 96);
    REQUIRE(prefix->addr.port == 0 && prefix->addr.scope_id == 0);
    REQUIRE(sockbroker_prefix_match(prefix, &prefix->addr));
    sockbroker_addr_map(&mapped);
    REQUIRE(sockbroker_prefix_match(prefix, &mapped));
}

static void check_policy(const struct sockbroker_policy *policy)
{
    char text[SOCKBROKER_POLICY_TEXT_MAX];
    struct sockbroker_policy again;

    check_prefix(&policy->prefix);
    REQUIRE(sockbroker_policy_check(policy, 1, NULL) == SOCKBROKER_OK);
    REQUIRE(sockbroker_policy_parse(sockbroker_policy_format(policy, text), &again, NULL) == SOCKBROKER_OK);
    REQUIRE(again.precedence == policy->precedence && again.label == policy->label);
    REQUIRE(again.prefix.bits == policy->prefix.bits && same(&again.prefix.addr, &policy->prefix.addr));
    REQUIRE(sockbroker_policy_find(policy, 1, &policy->prefix.addr) == policy);
}

static void check_text(const char *text)
{
    struct sockbroker_addr addr;
    struct sockbroker_prefix prefix;
    struct sockbroker_policy policy;
    struct sockbroker_error error;

    if (sockbroker_addr_parse(text, &addr, &error) == SOCKBROKER_OK)
        check_addr(&addr);
    else
        check_error(&error);
    if (sockbroker_addr_parse_ip(text, &addr, &error) == SOCKBROKER_OK)
        check_addr(&addr);
    else
        check_error(&error);
    if (sockbroker_prefix_parse(text, &prefix, &error) == SOCKBROKER_OK)
        check_prefix(&prefix);
    else
        check_error(&error);
    if (sockbroker_policy_parse(text, &policy, &error) == SOCKBROKER_OK)
        check_policy(&policy);
    else
        check_error(&error);
}

/* 1 byte family, 1 byte prefix length, 2 port, 4 scope, 16 address. */
static void check_bytes(const uint8_t data[24])
{
    struct sockbroker_addr addr = { .family = data[0] & 1 ? SOCKBROKER_IPV4 : SOCKBROKER_IPV6 };
    struct sockbroker_prefix prefix = { .bits = data[1] };
    struct sockbroker_addr masked;

    memcpy(&addr.port, data + 2, 2);
    memcpy(addr.ip, data + 8, addr.family == SOCKBROKER_IPV4 ? 4 : 16);
    if (sockbroker_addr_classify(&addr) == SOCKBROKER_CLASS_LINK_LOCAL && addr.family == SOCKBROKER_IPV6)
        memcpy(&addr.scope_id, data + 4, 4);
    check_addr(&addr);

    prefix.addr = addr;
    masked = addr;
    sockbroker_addr_normalise(&masked);
    if (!sockbroker_prefix_match(&prefix, &addr)) /* itself, unless the length is impossible or the family changes */
        REQUIRE(prefix.bits > (addr.family == SOCKBROKER_IPV4 ? 32u : 128u) || masked.family != addr.family);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1); /* of exactly this size, so that a read beyond is seen */

    if (!text)
        return 0;
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    check_text(text);
    if (size >= 24)
        check_bytes(data);
    free(text);
    return 0;
}
