/* What select.h promises, on a machine that is made up: the examples of RFC 6724 section 10, each rule, refusals, policies. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client-lib/order.h"
#include "client-lib/pairs.h"
#include "client-lib/source.h"
#include "tests/support/format.h"

#define LIST_MAX 8
#define TEXT_MAX 512

/* ---- support: lists as text ---- */

/* Cuts the next item off, at commas; NULL after the last. */
static char *next_item(char **rest)
{
    char *item = *rest;

    if (!item)
        return NULL;
    *rest = strchr(item, ',');
    if (*rest)
        *(*rest)++ = '\0';
    return item + strspn(item, " ");
}

static struct sockbroker_addr read_addr(const char *text)
{
    struct sockbroker_addr addr;
    struct sockbroker_error error;

    if (sockbroker_addr_parse_ip(text, &addr, &error))
        fail_msg("%s", error.text);
    return addr;
}

static size_t read_addrs(const char *text, struct sockbroker_addr *list)
{
    char copy[TEXT_MAX];
    char *rest = copy;
    size_t n = 0;

    format_text(copy, sizeof(copy), "%s", text);
    for (char *item; (item = next_item(&rest)) != NULL; n++) {
        assert_true(n < LIST_MAX);
        list[n] = read_addr(item);
    }
    return n;
}

/* "/48": length of the prefix; "@2": interface. Without: /64 or /24, interface 1. */
static void read_word(const char *word, struct sb_host_address *a)
{
    if (word[0] == '/')
        a->prefix_bits = (unsigned)strtoul(word + 1, NULL, 10);
    else if (word[0] == '@')
        a->interface_index = (uint32_t)strtoul(word + 1, NULL, 10);
    else if (!strcmp(word, "deprecated"))
        a->deprecated = true;
    else if (!strcmp(word, "temporary"))
        a->temporary = true;
    else if (!strcmp(word, "home"))
        a->home = true;
    else if (!strcmp(word, "care-of"))
        a->care_of = true;
    else if (!strcmp(word, "tunnel"))
        a->encapsulated = true;
    else
        fail_msg("no such word: %s", word);
}

static struct sb_host_address read_address(char *item)
{
    struct sb_host_address a = { .interface_index = 1 };
    char *save = NULL;

    a.addr = read_addr(strtok_r(item, " ", &save));
    a.prefix_bits = a.addr.family == SOCKBROKER_IPV4 ? 24 : 64;
    for (char *word; (word = strtok_r(NULL, " ", &save)) != NULL;)
        read_word(word, &a);
    if (a.addr.family == SOCKBROKER_IPV6 && sockbroker_addr_classify(&a.addr) == SOCKBROKER_CLASS_LINK_LOCAL)
        a.addr.scope_id = a.interface_index;
    return a;
}

/* ---- support: the machine ---- */

struct machine {
    struct sb_host host; /* first: find_source() gets it */
    struct sb_host_address addresses[LIST_MAX];
    struct sockbroker_addr unreachable[LIST_MAX];
    size_t n_unreachable;
    struct sockbroker_addr mute[LIST_MAX]; /* nothing can be sent from these */
    size_t n_mute;
    sockbroker_status failure; /* of find_source() */
    unsigned n_asked;
    bool prefer_public, prefer_care_of; /* the wish of the last call without a source */
};

static bool is_in(const struct sockbroker_addr *list, size_t n, const struct sockbroker_addr *addr)
{
    for (size_t i = 0; i < n; i++) {
        if (list[i].family == addr->family && !memcmp(list[i].ip, addr->ip, sizeof(addr->ip)))
            return true;
    }
    return false;
}

static const struct sockbroker_addr *first_of(const struct machine *m, enum sockbroker_family family)
{
    for (size_t i = 0; i < m->host.n_addresses; i++) {
        if (m->addresses[i].addr.family == family)
            return &m->addresses[i].addr;
    }
    return NULL;
}

/* Left to itself, this system takes its first address of the family. */
static sockbroker_status find_source(const struct sb_host *host, const struct sockbroker_addr *destination,
                                     const struct sb_host_wish *wish, struct sockbroker_addr *source_out,
                                     enum sockbroker_unusable *unusable_out, int *os_code_out)
{
    struct machine *m = (struct machine *)(uintptr_t)host;
    const struct sockbroker_addr *source = wish->source ? wish->source : first_of(m, destination->family);

    m->n_asked++;
    if (!wish->source) {
        m->prefer_public = wish->prefer_public;
        m->prefer_care_of = wish->prefer_care_of;
    }
    assert_int_not_equal(destination->family, SOCKBROKER_FAMILY_NONE);
    assert_false(sockbroker_addr_is_mapped(destination));
    *os_code_out = 0;
    if (m->failure)
        return m->failure;
    *unusable_out = SOCKBROKER_USABLE;
    if (is_in(m->unreachable, m->n_unreachable, destination))
        *unusable_out = SOCKBROKER_UNUSABLE_NO_ROUTE;
    else if (!source || is_in(m->mute, m->n_mute, source))
        *unusable_out = SOCKBROKER_UNUSABLE_NO_SOURCE;
    *os_code_out = *unusable_out ? ENETUNREACH : 0;
    if (!*unusable_out)
        *source_out = *source;
    return SOCKBROKER_OK;
}

static void set_up(struct machine *m, const char *addresses)
{
    static const struct machine none;
    char copy[TEXT_MAX];
    char *rest = copy;

    *m = none;
    m->host.addresses = m->addresses;
    m->host.find_source = find_source;
    format_text(copy, sizeof(copy), "%s", addresses);
    for (char *item; addresses[0] && (item = next_item(&rest)) != NULL;) {
        assert_true(m->host.n_addresses < LIST_MAX);
        m->addresses[m->host.n_addresses++] = read_address(item);
    }
}

/* ---- support: what comes out ---- */

struct result {
    struct sockbroker_pair pairs[LIST_MAX];
    size_t n;
};

static void make(struct machine *m, const char *destinations, const struct sockbroker_select_options *options, struct result *r)
{
    static const struct sockbroker_select_options defaults = SOCKBROKER_SELECT_OPTIONS_INIT;
    struct sockbroker_addr list[LIST_MAX];
    size_t n = read_addrs(destinations, list);
    struct sockbroker_error error;

    options = options ? options : &defaults;
    if (sb_pairs_check(list, n, options, &error) || sb_pairs_make(&m->host, list, n, options, r->pairs, &r->n, &error))
        fail_msg("%s", error.text);
}

/* "2001:db8:1::1 from 2001:db8:1::2, 10.1.2.3 from 10.1.2.4"; zones are left out. */
static const char *print(const struct result *r)
{
    static char all[TEXT_MAX];
    size_t len = 0;

    all[0] = '\0';
    for (size_t i = 0; i < r->n; i++) {
        struct sockbroker_addr destination = r->pairs[i].destination, source = r->pairs[i].source;
        char a[SOCKBROKER_ADDR_TEXT_MAX], b[SOCKBROKER_ADDR_TEXT_MAX];

        destination.scope_id = source.scope_id = 0;
        len += format_text(all + len, sizeof(all) - len, "%s%s from %s", i ? ", " : "",
                           sockbroker_addr_format_ip(&destination, a), sockbroker_addr_format_ip(&source, b));
    }
    return all;
}

/* All the machine's addresses as sources to choose from. */
static void allow_all(const struct machine *m, struct sockbroker_addr *sources, struct sockbroker_select_options *options)
{
    for (size_t i = 0; i < m->host.n_addresses; i++)
        sources[i] = m->addresses[i].addr;
    options->sources = sources;
    options->n_sources = m->host.n_addresses;
}

/* Turns the order of a list around. */
static const char *reversed(const char *list)
{
    static char all[TEXT_MAX];
    char copy[TEXT_MAX], before[TEXT_MAX];
    char *rest = copy;

    format_text(copy, sizeof(copy), "%s", list);
    all[0] = '\0';
    for (char *item; (item = next_item(&rest)) != NULL;) {
        format_text(before, sizeof(before), "%s", all);
        format_text(all, sizeof(all), "%.200s%s%.200s", item, before[0] ? ", " : "", before);
    }
    return all;
}

/* ---- RFC 6724, section 10 ---- */

#define MULTI_HOMED "2001:db8:1aaa::/48 43 6", "2001:db8:1bbb::/48 43 6"

/* The default table of section 2.1 as text. */
static const char *const default_rows[] = { "::1/128 50 0",  "::/0 40 1", "0.0.0.0/0 35 4", "2002::/16 30 2", "2001::/32 5 5",
                                            "fc00::/7 3 13", "::/96 1 3", "fec0::/10 1 11", "3ffe::/16 1 12" };

static const struct {
    const char *section;
    const char *change[2]; /* rows that are added to the default table, or replace one of it */
    const char *sources;
    const char *destinations;
    const char *result;
    enum sockbroker_rule rule; /* between the first two */
} examples[] = {
    { "10.1", { NULL }, "2001:db8:3::1, fe80::1", "2001:db8:1::1", "2001:db8:1::1 from 2001:db8:3::1", 0 },
    { "10.1", { NULL }, "2001:db8:3::1, fe80::1", "ff05::1", "ff05::1 from 2001:db8:3::1", 0 },
    { "10.1", { NULL }, "2001:db8:1::1 deprecated, 2001:db8:2::1", "2001:db8:1::1", "2001:db8:1::1 from 2001:db8:1::1", 0 },
    { "10.1", { NULL }, "fe80::2 deprecated, 2001:db8:1::1", "fe80::1", "fe80::1 from fe80::2", 0 },
    { "10.1", { NULL }, "2001:db8:1::2, 2001:db8:3::2", "2001:db8:1::1", "2001:db8:1::1 from 2001:db8:1::2", 0 },
    { "10.1", { NULL }, "2001:db8:1::2 care-of, 2001:db8:3::2 home", "2001:db8:1::1", "2001:db8:1::1 from 2001:db8:3::2", 0 },
    { "10.1",
      { NULL },
      "2002:c633:6401::d5e3:7953:13eb:22e8 temporary, 2001:db8:1::2",
      "2002:c633:6401::1",
      "2002:c633:6401::1 from 2002:c633:6401:0:d5e3:7953:13eb:22e8",
      0 },
    { "10.1",
      { NULL },
      "2001:db8:1::2, 2001:db8:1::d5e3:7953:13eb:22e8 temporary",
      "2001:db8:1::d5e3:0:0:1",
      "2001:db8:1:0:d5e3::1 from 2001:db8:1:0:d5e3:7953:13eb:22e8",
      0 },

    { "10.2",
      { NULL },
      "2001:db8:1::2, fe80::1, 169.254.13.78",
      "2001:db8:1::1, 198.51.100.121",
      "2001:db8:1::1 from 2001:db8:1::2, 198.51.100.121 from 169.254.13.78",
      SOCKBROKER_RULE_MATCHING_SCOPE },
    { "10.2",
      { NULL },
      "fe80::1, 198.51.100.117",
      "2001:db8:1::1, 198.51.100.121",
      "198.51.100.121 from 198.51.100.117, 2001:db8:1::1 from fe80::1",
      SOCKBROKER_RULE_MATCHING_SCOPE },
    { "10.2",
      { NULL },
      "2001:db8:1::2, fe80::1, 10.1.2.4",
      "2001:db8:1::1, 10.1.2.3",
      "2001:db8:1::1 from 2001:db8:1::2, 10.1.2.3 from 10.1.2.4",
      SOCKBROKER_RULE_PRECEDENCE },
    { "10.2",
      { NULL },
      "2001:db8:1::2, fe80::2",
      "2001:db8:1::1, fe80::1",
      "fe80::1 from fe80::2, 2001:db8:1::1 from 2001:db8:1::2",
      SOCKBROKER_RULE_SMALLER_SCOPE },
    { "10.2",
      { NULL },
      "2001:db8:1::2 care-of, 2001:db8:3::1 home, fe80::2 care-of",
      "2001:db8:1::1, fe80::1",
      "2001:db8:1::1 from 2001:db8:3::1, fe80::1 from fe80::2",
      SOCKBROKER_RULE_HOME },
    { "10.2",
      { NULL },
      "2001:db8:1::2, fe80::2 deprecated",
      "2001:db8:1::1, fe80::1",
      "2001:db8:1::1 from 2001:db8:1::2, fe80::1 from fe80::2",
      SOCKBROKER_RULE_DEPRECATED },
    { "10.2",
      { NULL },
      "2001:db8:1::2, 2001:db8:3f44::2, fe80::2",
      "2001:db8:1::1, 2001:db8:3ffe::1",
      "2001:db8:1::1 from 2001:db8:1::2, 2001:db8:3ffe::1 from 2001:db8:3f44::2",
      SOCKBROKER_RULE_LONGEST_PREFIX },
    { "10.2",
      { NULL },
      "2002:c633:6401::2, fe80::2",
      "2002:c633:6401::1, 2001:db8:1::1",
      "2002:c633:6401::1 from 2002:c633:6401::2, 2001:db8:1::1 from 2002:c633:6401::2",
      SOCKBROKER_RULE_MATCHING_LABEL },
    { "10.2",
      { NULL },
      "2002:c633:6401::2, 2001:db8:1::2, fe80::2",
      "2002:c633:6401::1, 2001:db8:1::1",
      "2001:db8:1::1 from 2001:db8:1::2, 2002:c633:6401::1 from 2002:c633:6401::2",
      SOCKBROKER_RULE_PRECEDENCE },

    { "10.3",
      { "0.0.0.0/0 100 4" },
      "2001:db8::2, fe80::1, 169.254.13.78",
      "2001:db8::1, 198.51.100.121",
      "2001:db8::1 from 2001:db8::2, 198.51.100.121 from 169.254.13.78",
      SOCKBROKER_RULE_MATCHING_SCOPE },
    { "10.3",
      { "0.0.0.0/0 100 4" },
      "fe80::1, 198.51.100.117",
      "2001:db8::1, 198.51.100.121",
      "198.51.100.121 from 198.51.100.117, 2001:db8::1 from fe80::1",
      SOCKBROKER_RULE_MATCHING_SCOPE },
    { "10.3",
      { "::ffff:0:0/96 100 4" },
      "2001:db8::2, fe80::1, 10.1.2.4",
      "2001:db8::1, 10.1.2.3",
      "10.1.2.3 from 10.1.2.4, 2001:db8::1 from 2001:db8::2",
      SOCKBROKER_RULE_PRECEDENCE },

    { "10.4",
      { "fe80::/10 33 1" },
      "2001:db8::2, fe80::2",
      "2001:db8::1, fe80::1",
      "2001:db8::1 from 2001:db8::2, fe80::1 from fe80::2",
      SOCKBROKER_RULE_PRECEDENCE },
    { "10.4",
      { "fe80::/10 33 1" },
      "2001:db8::2 deprecated, fe80::2",
      "2001:db8::1, fe80::1",
      "fe80::1 from fe80::2, 2001:db8::1 from 2001:db8::2",
      SOCKBROKER_RULE_DEPRECATED },

    { "10.5",
      { NULL },
      "2001:db8:1aaa::a, 2001:db8:70aa::a, fe80::a",
      "2001:db8:1bbb::b, 2001:db8:70bb::b",
      "2001:db8:70bb::b from 2001:db8:70aa::a, 2001:db8:1bbb::b from 2001:db8:1aaa::a",
      SOCKBROKER_RULE_LONGEST_PREFIX },
    { "10.5",
      { NULL },
      "2001:db8:1aaa::a, 2001:db8:70aa::a, fe80::a",
      "2001:db8:1ccc::c, 2001:db8:6ccc::c",
      "2001:db8:1ccc::c from 2001:db8:1aaa::a, 2001:db8:6ccc::c from 2001:db8:70aa::a",
      SOCKBROKER_RULE_LONGEST_PREFIX },
    { "10.5",
      { MULTI_HOMED },
      "2001:db8:1aaa::a, 2001:db8:70aa::a, fe80::a",
      "2001:db8:1bbb::b, 2001:db8:70bb::b",
      "2001:db8:1bbb::b from 2001:db8:1aaa::a, 2001:db8:70bb::b from 2001:db8:70aa::a",
      SOCKBROKER_RULE_PRECEDENCE },
    { "10.5",
      { MULTI_HOMED },
      "2001:db8:1aaa::a, 2001:db8:70aa::a, fe80::a",
      "2001:db8:1ccc::c, 2001:db8:6ccc::c",
      "2001:db8:6ccc::c from 2001:db8:70aa::a, 2001:db8:1ccc::c from 2001:db8:70aa::a",
      SOCKBROKER_RULE_LONGEST_PREFIX },

    { "10.6",
      { NULL },
      "2001:db8:1::1, fd11:1111:1111:1::1",
      "2001:db8:2::2, fd22:2222:2222:2::2",
      "2001:db8:2::2 from 2001:db8:1::1, fd22:2222:2222:2::2 from fd11:1111:1111:1::1",
      SOCKBROKER_RULE_PRECEDENCE },
    /* Here the RFC is at odds with itself: with label 14 for the source and 13 for the destination, it is rule 5 that decides,
     * before the rule 6 that it names. The order is the one it gives. */
    { "10.6",
      { "fd11:1111:1111::/48 45 14" },
      "2001:db8:1::1, fd11:1111:1111:1::1",
      "2001:db8:2::2, fd22:2222:2222:2::2",
      "2001:db8:2::2 from 2001:db8:1::1, fd22:2222:2222:2::2 from fd11:1111:1111:1::1",
      SOCKBROKER_RULE_MATCHING_LABEL },
    { "10.6",
      { "fd11:1111:1111::/48 45 14" },
      "2001:db8:1::1, fd11:1111:1111:1::1",
      "2001:db8:2::2, fd11:1111:1111:2::2",
      "fd11:1111:1111:2::2 from fd11:1111:1111:1::1, 2001:db8:2::2 from 2001:db8:1::1",
      SOCKBROKER_RULE_PRECEDENCE },
    { "10.6",
      { "fd11:1111:1111::/48 45 14" },
      "2001:db8:1::1, fd11:1111:1111:1::1",
      "ff00::1",
      "ff00::1 from 2001:db8:1::1",
      0 },

    { "10.7",
      { NULL },
      "2002:c633:6401::2, 10.1.2.3",
      "2001:db8:1::1, 203.0.113.1",
      "203.0.113.1 from 10.1.2.3, 2001:db8:1::1 from 2002:c633:6401::2",
      SOCKBROKER_RULE_MATCHING_LABEL },
    { "10.7",
      { "2002:c633:6401::/48 45 14" },
      "2002:c633:6401:1::1, 10.1.2.3",
      "2002:c633:6401:2::2, 203.0.113.1",
      "2002:c633:6401:2::2 from 2002:c633:6401:1::1, 203.0.113.1 from 10.1.2.3",
      SOCKBROKER_RULE_PRECEDENCE },
};

static void put_row(struct sockbroker_policy *table, size_t *n, const char *row)
{
    struct sockbroker_policy policy;
    struct sockbroker_error error;

    if (sockbroker_policy_parse(row, &policy, &error))
        fail_msg("%s", error.text);
    for (size_t i = 0; i < *n; i++) {
        if (table[i].prefix.bits == policy.prefix.bits &&
            sockbroker_addr_compare(&table[i].prefix.addr, &policy.prefix.addr) == 0) {
            table[i] = policy;
            return;
        }
    }
    table[(*n)++] = policy;
}

static size_t changed_table(const char *const *change, size_t n_change, struct sockbroker_policy *table)
{
    size_t n = 0;

    for (size_t i = 0; i < UNIT_COUNT(default_rows); i++)
        put_row(table, &n, default_rows[i]);
    for (size_t i = 0; i < n_change && change[i]; i++)
        put_row(table, &n, change[i]);
    return n;
}

static void check_example(size_t i, const char *addresses, const char *destinations)
{
    struct sockbroker_select_options options = SOCKBROKER_SELECT_OPTIONS_INIT;
    struct sockbroker_policy table[16];
    struct sockbroker_addr sources[LIST_MAX];
    struct machine m;
    struct result r;

    set_up(&m, addresses);
    allow_all(&m, sources, &options);
    if (examples[i].change[0]) {
        options.policies = table;
        options.n_policies = changed_table(examples[i].change, 2, table);
    }
    make(&m, destinations, &options, &r);
    if (strcmp(print(&r), examples[i].result) || r.pairs[0].rule != examples[i].rule)
        fail_msg("%s, %s to %s: %s; %s", examples[i].section, addresses, destinations, print(&r),
                 sockbroker_rule_text(r.pairs[0].rule));
    assert_int_equal(r.pairs[r.n - 1].rule, SOCKBROKER_RULE_NONE);
}

/* Either order of what is given, so that nothing is right by chance. */
static void examples_of_rfc_6724_come_out_as_printed(void **state)
{
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(examples); i++) {
        char backwards[TEXT_MAX];

        check_example(i, examples[i].sources, examples[i].destinations);
        check_example(i, examples[i].sources, reversed(examples[i].destinations));
        format_text(backwards, sizeof(backwards), "%s", reversed(examples[i].sources));
        check_example(i, backwards, examples[i].destinations);
        check_example(i, backwards, reversed(examples[i].destinations));
    }
}

/* ---- section 6, rule by rule ---- */

/* The machine chooses sources itself: its first address of the family. Both orders give `result`, but for rule 10. */
static const struct {
    enum sockbroker_rule rule;
    const char *addresses;
    const char *destinations;
    const char *result;
} destination_rules[] = {
    { SOCKBROKER_RULE_MATCHING_SCOPE, "fe80::2, 10.0.0.2", "2001:db8::1, 10.0.0.1",
      "10.0.0.1 from 10.0.0.2, 2001:db8::1 from fe80::2" },
    { SOCKBROKER_RULE_MATCHING_SCOPE, "2001:db8::2, 10.0.0.2", "ff05::1, 10.0.0.1",
      "10.0.0.1 from 10.0.0.2, ff05::1 from 2001:db8::2" },
    { SOCKBROKER_RULE_DEPRECATED, "2001:db8::2 deprecated, 10.0.0.2", "2001:db8::1, 10.0.0.1",
      "10.0.0.1 from 10.0.0.2, 2001:db8::1 from 2001:db8::2" },
    { SOCKBROKER_RULE_HOME, "2001:db8::2 care-of, 10.0.0.2 home", "2001:db8::1, 10.0.0.1",
      "10.0.0.1 from 10.0.0.2, 2001:db8::1 from 2001:db8::2" },
    { SOCKBROKER_RULE_HOME, "2001:db8::2 home, 10.0.0.2 home care-of", "2001:db8::1, 10.0.0.1",
      "10.0.0.1 from 10.0.0.2, 2001:db8::1 from 2001:db8::2" },
    { SOCKBROKER_RULE_PRECEDENCE, "2001:db8::2 home, 10.0.0.2", "2001:db8::1, 10.0.0.1",
      "2001:db8::1 from 2001:db8::2, 10.0.0.1 from 10.0.0.2" }, /* neither nor: rule 4 is silent */
    { SOCKBROKER_RULE_MATCHING_LABEL, "2002::2, 10.0.0.2", "2001:db8::1, 10.0.0.1",
      "10.0.0.1 from 10.0.0.2, 2001:db8::1 from 2002::2" },
    { SOCKBROKER_RULE_MATCHING_LABEL, "fd00::2, 10.0.0.2", "2001:db8::1, 10.0.0.1",
      "10.0.0.1 from 10.0.0.2, 2001:db8::1 from fd00::2" },
    { SOCKBROKER_RULE_PRECEDENCE, "2001:db8::2, 10.0.0.2", "10.0.0.1, 2001:db8::1",
      "2001:db8::1 from 2001:db8::2, 10.0.0.1 from 10.0.0.2" },
    { SOCKBROKER_RULE_PRECEDENCE, "fd00::2, 10.0.0.2", "fd00::1, 10.0.0.1", "10.0.0.1 from 10.0.0.2, fd00::1 from fd00::2" },
    { SOCKBROKER_RULE_PRECEDENCE, "::1 /128, 127.0.0.1 /8", "127.0.0.1, ::1", "::1 from ::1, 127.0.0.1 from 127.0.0.1" },
    { SOCKBROKER_RULE_SMALLER_SCOPE, "2001:db8::2", "ff08::1, ff05::1", "ff05::1 from 2001:db8::2, ff08::1 from 2001:db8::2" },
    { SOCKBROKER_RULE_LONGEST_PREFIX, "2001:db8:1::2", "2001:db9::1, 2001:db8:1::1",
      "2001:db8:1::1 from 2001:db8:1::2, 2001:db9::1 from 2001:db8:1::2" },
    { SOCKBROKER_RULE_LONGEST_PREFIX, "192.0.2.1", "198.51.100.1, 192.0.2.2",
      "192.0.2.2 from 192.0.2.1, 198.51.100.1 from 192.0.2.1" },
};

static void each_rule_for_destinations_decides(void **state)
{
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(destination_rules); i++) {
        for (unsigned turn = 0; turn < 2; turn++) {
            const char *given = destination_rules[i].destinations;
            struct machine m;
            struct result r;

            set_up(&m, destination_rules[i].addresses);
            make(&m, turn ? reversed(given) : given, NULL, &r);
            if (strcmp(print(&r), destination_rules[i].result) || r.pairs[0].rule != destination_rules[i].rule)
                fail_msg("%zu, turn %u: %s; %s", i, turn, print(&r), sockbroker_rule_text(r.pairs[0].rule));
        }
    }
}

static void rule_1_leaves_unusable_destinations_out_or_at_the_end(void **state)
{
    struct sockbroker_select_options options = SOCKBROKER_SELECT_OPTIONS_INIT;
    struct machine m;
    struct result r;

    (void)state;
    set_up(&m, "2001:db8::2");
    m.unreachable[m.n_unreachable++] = read_addr("2001:db8::f");
    make(&m, "2001:db8::f, 10.0.0.1, 2001:db8::1", NULL, &r);
    assert_string_equal(print(&r), "2001:db8::1 from 2001:db8::2");
    assert_int_equal(r.pairs[0].given, 2);
    assert_int_equal(r.pairs[0].rule, SOCKBROKER_RULE_NONE);

    options.keep_unusable = true;
    make(&m, "10.0.0.1, 2001:db8::f, 2001:db8::1", &options, &r);
    assert_string_equal(print(&r), "2001:db8::1 from 2001:db8::2, 10.0.0.1 from -, 2001:db8::f from -");
    assert_int_equal(r.pairs[0].rule, SOCKBROKER_RULE_USABLE);
    assert_int_equal(r.pairs[1].rule, SOCKBROKER_RULE_ORDER);
    assert_int_equal(r.pairs[1].unusable, SOCKBROKER_UNUSABLE_NO_SOURCE);
    assert_int_equal(r.pairs[2].unusable, SOCKBROKER_UNUSABLE_NO_ROUTE);
    assert_int_equal(r.pairs[2].os_code, ENETUNREACH);
    assert_int_equal(r.pairs[2].precedence, 40);
    make(&m, "2001:db8::f", NULL, &r);
    assert_int_equal(r.n, 0);
}

/* Two tunnels and none: the same family, label and precedence on both sides. */
static void rule_7_prefers_native_transport(void **state)
{
    struct sockbroker_select_options options = SOCKBROKER_SELECT_OPTIONS_INIT;
    struct sockbroker_addr sources[LIST_MAX];
    struct machine m;
    struct result r;

    (void)state;
    set_up(&m, "2001:db8:1::2 tunnel, 2001:db9::2");
    allow_all(&m, sources, &options);
    make(&m, "2001:db8:1::1, 2001:db9:8000::1", &options, &r);
    assert_string_equal(print(&r), "2001:db9:8000::1 from 2001:db9::2, 2001:db8:1::1 from 2001:db8:1::2");
    assert_int_equal(r.pairs[0].rule, SOCKBROKER_RULE_NATIVE); /* against rule 9 and the order given */
    assert_true(r.pairs[1].encapsulated);
}

static void rule_9_counts_no_more_bits_than_the_source_prefix_has(void **state)
{
    struct machine m;
    struct result r;

    (void)state;
    set_up(&m, "2001:db8::1:0:0:2 /64");
    make(&m, "2001:db8::8000:0:0:1, 2001:db8::1:0:0:1", NULL, &r);
    assert_int_equal(r.pairs[0].given, 0); /* 64 and 64 */
    assert_int_equal(r.pairs[0].rule, SOCKBROKER_RULE_ORDER);
    assert_int_equal(r.pairs[0].common_bits, 64);
    set_up(&m, "2001:db8::1:0:0:2 /128");
    make(&m, "2001:db8::8000:0:0:1, 2001:db8::1:0:0:1", NULL, &r);
    assert_int_equal(r.pairs[0].given, 1);
    assert_int_equal(r.pairs[0].common_bits, 126);
    assert_int_equal(r.pairs[0].rule, SOCKBROKER_RULE_LONGEST_PREFIX);
}

/* With one precedence for both families; the IPv4 one has more bits in common, counted in IPv6. */
static void rule_9_is_for_one_family(void **state)
{
    struct sockbroker_select_options options = SOCKBROKER_SELECT_OPTIONS_INIT;
    struct sockbroker_policy table[16];
    struct machine m;
    struct result r;

    (void)state;
    options.policies = table;
    options.n_policies = changed_table((const char *const[]){ "0.0.0.0/0 40 4" }, 1, table);
    set_up(&m, "2001:db8::2, 10.0.0.2");
    make(&m, "2001:db9::1, 10.0.0.1", &options, &r);
    assert_int_equal(r.pairs[0].given, 0);
    assert_int_equal(r.pairs[0].rule, SOCKBROKER_RULE_ORDER);
    make(&m, "10.0.0.1, 2001:db9::1", &options, &r);
    assert_int_equal(r.pairs[0].given, 0);

    /* Then three contradict each other. The result is defined, and neighbours are in order. */
    make(&m, "2001:db9::1, 10.0.0.1, 2001:db8::1", &options, &r);
    for (size_t i = 0; i + 1 < r.n; i++)
        assert_true(sb_order_compare(&r.pairs[i], &r.pairs[i + 1]) >= 0);
}

static void rule_10_keeps_the_order_of_equals(void **state)
{
    struct machine m;
    struct result r;

    (void)state;
    set_up(&m, "2001:db8::2, 10.0.0.2");
    make(&m, "10.9.0.5, 2001:db8::5, 10.9.0.3, 2001:db8::3, 10.9.0.4, 2001:db8::4, 2001:db8::5", NULL, &r);
    static const size_t given[] = { 1, 3, 5, 6, 0, 2, 4 };
    assert_int_equal(r.n, UNIT_COUNT(given));
    for (size_t i = 0; i < r.n; i++)
        assert_int_equal(r.pairs[i].given, given[i]);
    assert_int_equal(r.pairs[0].rule, SOCKBROKER_RULE_ORDER);
}

/* ---- section 5, rule by rule ---- */

static struct sb_source read_source(const char *text)
{
    char copy[TEXT_MAX];
    struct sb_source s;

    format_text(copy, sizeof(copy), "%s", text);
    s.facts = read_address(copy);
    s.scope = sockbroker_scope_of(&s.facts.addr);
    s.label = sockbroker_policy_find(NULL, 0, &s.facts.addr)->label;
    return s;
}

static struct sb_source_goal read_goal(const char *text, uint32_t interface_index)
{
    struct sb_source_goal goal = { .destination = read_addr(text), .interface_index = interface_index };

    goal.scope = sockbroker_scope_of(&goal.destination);
    goal.label = sockbroker_policy_find(NULL, 0, &goal.destination)->label;
    return goal;
}

/* The first source is preferred, by that rule; 0: neither. */
static const struct {
    int rule;
    const char *destination, *better, *worse;
} source_rules[] = {
    { 1, "2001:db8::1", "2001:db8::1 deprecated @2", "2001:db8::2 home care-of temporary" },
    { 1, "fe80::1%1", "fe80::1", "fe80::1 @2" },
    { 2, "2001:db8::1", "2001:db8:9::1 deprecated", "fe80::1" },
    { 2, "fe80::1", "fe80::2 deprecated", "2001:db8::1" },
    { 2, "ff05::1", "fec0::1", "2001:db8::1" },
    { 2, "ff05::1", "2001:db8::1", "fe80::1" },
    { 2, "ff08::1", "2001:db8::1", "fec0::1" },
    { 2, "10.0.0.1", "192.0.2.1", "169.254.0.1" },
    { 3, "2001:db8::1", "2001:db9::1", "2001:db8::2 deprecated home care-of" },
    { 4, "2001:db8::1", "2001:db9::1 home @2", "2001:db8::2 care-of" },
    { 4, "2001:db8::1", "2001:db9::1 home care-of @2", "2001:db8::2 home" },
    { 4, "2001:db8::1", "2001:db9::1 home care-of @2", "2001:db8::2" },
    { 5, "2001:db8::1", "2002::1", "2001:db8::2 @2 temporary" },
    { 6, "2001:db8::1", "2001:db9::1", "2002::1 temporary" },
    { 6, "fd00::1", "fd99::1", "2001:db8::1 temporary" },
    { 7, "2001:db8::1", "2001:db9::1 temporary", "2001:db8::2" },
    { 8, "2001:db8::1", "2001:db8::2", "2001:db9::1" },
    { 8, "2001:db8::1", "2001:db8::2 /65", "2001:db8::3 /64" },
    { 8, "192.0.2.1", "192.0.2.2", "198.51.100.1" },
    { 0, "2001:db8::1", "2001:db8::2", "2001:db8::3" },
    { 0, "2001:db8::1", "2001:db8::2 home", "2001:db8::3" },
};

static void each_rule_for_sources_decides(void **state)
{
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(source_rules); i++) {
        struct sb_source better = read_source(source_rules[i].better), worse = read_source(source_rules[i].worse);
        struct sb_source_goal goal = read_goal(source_rules[i].destination, 1);
        int rule = sb_source_compare(&goal, &better, &worse);

        if (rule != source_rules[i].rule || sb_source_compare(&goal, &worse, &better) != -rule)
            fail_msg("to %s: %s or %s: rule %d", source_rules[i].destination, source_rules[i].better, source_rules[i].worse,
                     rule);
    }
}

static void rule_5_needs_a_known_interface(void **state)
{
    struct sb_source a = read_source("2001:db8::2 @2"), b = read_source("2001:db8::3");
    struct sb_source_goal goal = read_goal("2001:db8::1", 0);

    (void)state;
    assert_int_equal(sb_source_compare(&goal, &a, &b), 0);
    b.facts.interface_index = 0; /* of neither it is known, which does not make them alike */
    assert_int_equal(sb_source_compare(&goal, &a, &b), 0);
    goal.interface_index = 2;
    assert_int_equal(sb_source_compare(&goal, &a, &b), 5);
}

static void rules_4_and_7_can_be_reversed(void **state)
{
    struct sockbroker_select_options options = SOCKBROKER_SELECT_OPTIONS_INIT;
    struct sockbroker_addr sources[LIST_MAX];
    struct machine m;
    struct result r;

    (void)state;
    set_up(&m, "2001:db8::2, 2001:db8::3 temporary");
    allow_all(&m, sources, &options);
    make(&m, "2001:db8::1", &options, &r);
    assert_string_equal(print(&r), "2001:db8::1 from 2001:db8::3");
    options.prefer_public = true;
    make(&m, "2001:db8::1", &options, &r);
    assert_string_equal(print(&r), "2001:db8::1 from 2001:db8::2");

    set_up(&m, "2001:db8::2 care-of, 2001:db8::3 home");
    make(&m, "2001:db8::1", &options, &r);
    assert_string_equal(print(&r), "2001:db8::1 from 2001:db8::3");
    options.prefer_care_of = true;
    make(&m, "2001:db8::1", &options, &r);
    assert_string_equal(print(&r), "2001:db8::1 from 2001:db8::2");
}

static void a_preference_is_passed_on_to_the_system(void **state)
{
    struct sockbroker_select_options options = SOCKBROKER_SELECT_OPTIONS_INIT;
    struct machine m;
    struct result r;

    (void)state;
    set_up(&m, "2001:db8::2");
    make(&m, "2001:db8::1", &options, &r);
    assert_false(m.prefer_public || m.prefer_care_of);
    options.prefer_public = true;
    make(&m, "2001:db8::1", &options, &r);
    assert_true(m.prefer_public && !m.prefer_care_of);
    options.prefer_public = false;
    options.prefer_care_of = true;
    make(&m, "2001:db8::1", &options, &r);
    assert_true(!m.prefer_public && m.prefer_care_of);
}

/* ---- candidates ---- */

static void a_source_that_cannot_send_there_is_passed_over(void **state)
{
    struct sockbroker_select_options options = SOCKBROKER_SELECT_OPTIONS_INIT;
    struct sockbroker_addr sources[LIST_MAX];
    struct machine m;
    struct result r;

    (void)state;
    options.keep_unusable = true;
    set_up(&m, "2001:db9::9, 2001:db8::2, 2001:db9::2");
    options.sources = sources;
    options.n_sources = read_addrs("2001:db8::2, 2001:db9::2", sources);
    m.mute[m.n_mute++] = sources[0];
    make(&m, "2001:db8::1", &options, &r);
    assert_string_equal(print(&r), "2001:db8::1 from 2001:db9::2");
    assert_int_equal(r.pairs[0].os_code, 0);
    m.mute[m.n_mute++] = sources[1];
    make(&m, "2001:db8::1", &options, &r);
    assert_int_equal(r.pairs[0].unusable, SOCKBROKER_UNUSABLE_NO_SOURCE);
    make(&m, "10.0.0.1", &options, &r); /* none of its family */
    assert_int_equal(r.pairs[0].unusable, SOCKBROKER_UNUSABLE_NO_SOURCE);
    m.unreachable[m.n_unreachable++] = read_addr("2001:db8::1");
    make(&m, "2001:db8::1", &options, &r);
    assert_int_equal(r.pairs[0].unusable, SOCKBROKER_UNUSABLE_NO_ROUTE);
}

static void only_the_given_sources_are_used(void **state)
{
    struct sockbroker_select_options options = SOCKBROKER_SELECT_OPTIONS_INIT;
    struct sockbroker_addr sources[LIST_MAX];
    struct machine m;
    struct result r;

    (void)state;
    set_up(&m, "2001:db8::2, 2001:db9::2 deprecated, 10.0.0.2");
    options.sources = sources;
    options.n_sources = read_addrs("2001:db9::2, ::ffff:10.0.0.2", sources);
    sources[0].port = 99;
    sources[0].scope_id = 9; /* which means nothing there */
    make(&m, "2001:db8::1, 10.0.0.1", &options, &r);
    assert_string_equal(print(&r), "10.0.0.1 from 10.0.0.2, 2001:db8::1 from 2001:db9::2");
    assert_int_equal(r.pairs[1].source.port, 0);
    assert_true(r.pairs[1].deprecated);
    assert_int_equal(r.pairs[0].rule, SOCKBROKER_RULE_DEPRECATED);
}

/* RFC 6724, section 4. */
static void link_local_and_multicast_go_out_from_their_own_link(void **state)
{
    struct sockbroker_select_options options = SOCKBROKER_SELECT_OPTIONS_INIT;
    struct sockbroker_addr sources[LIST_MAX];
    struct machine m;
    struct result r;

    (void)state;
    options.keep_unusable = true;
    set_up(&m, "2001:db8:1::1, fe80::1, 2001:db8:2::1 @2, fe80::2 @2");
    allow_all(&m, sources, &options);
    make(&m, "fe80::9%2, ff02::1%1", &options, &r);
    assert_string_equal(print(&r), "fe80::9 from fe80::2, ff02::1 from fe80::1");
    options.n_sources = 2; /* both on interface 1 */
    make(&m, "fe80::9%2, ff02::1%2", &options, &r);
    assert_int_equal(r.pairs[0].unusable, SOCKBROKER_UNUSABLE_NO_SOURCE);
    assert_int_equal(r.pairs[1].unusable, SOCKBROKER_UNUSABLE_NO_SOURCE);
    make(&m, "2001:db8:2::9", &options, &r); /* anything else may */
    assert_string_equal(print(&r), "2001:db8:2::9 from 2001:db8:1::1");
}

/* ---- zones ---- */

static void a_zone_is_filled_in_when_there_is_one_it_can_be(void **state)
{
    struct sockbroker_select_options options = SOCKBROKER_SELECT_OPTIONS_INIT;
    struct sockbroker_addr sources[LIST_MAX];
    struct machine m;
    struct result r;

    (void)state;
    options.keep_unusable = true;
    set_up(&m, "fe80::1 @7, 2001:db8::1, ::1 /128 @1");
    make(&m, "fe80::9, ff02::1, 2001:db8::9", NULL, &r);
    assert_int_equal(r.n, 3);
    assert_int_equal(r.pairs[0].destination.scope_id, 7);
    assert_int_equal(r.pairs[1].destination.scope_id, 7);
    assert_int_equal(r.pairs[2].destination.scope_id, 0);

    set_up(&m, "fe80::1 @7, fe80::2 @8, fe80::3 @8");
    make(&m, "fe80::9, fe80::9%7", &options, &r);
    assert_int_equal(r.pairs[0].given, 1);
    assert_int_equal(r.pairs[0].destination.scope_id, 7);
    assert_int_equal(r.pairs[1].unusable, SOCKBROKER_UNUSABLE_NO_ZONE);

    options.sources = sources; /* these say which; the source itself needs none if it is unmistakable */
    options.n_sources = read_addrs("fe80::2, fe80::3%8", sources);
    make(&m, "fe80::9", &options, &r);
    assert_int_equal(r.pairs[0].destination.scope_id, 8);
    assert_int_equal(r.pairs[0].source.scope_id, 8);
    options.n_sources = read_addrs("fe80::1, fe80::2", sources);
    make(&m, "fe80::9", &options, &r);
    assert_int_equal(r.pairs[0].unusable, SOCKBROKER_UNUSABLE_NO_ZONE);

    set_up(&m, "2001:db8::1");
    make(&m, "fe80::9", NULL, &r);
    assert_int_equal(r.n, 0);
    assert_int_equal(m.n_asked, 0);
}

static void a_source_on_several_links_needs_its_zone(void **state)
{
    struct sockbroker_select_options options = SOCKBROKER_SELECT_OPTIONS_INIT;
    struct sockbroker_addr source = read_addr("fe80::1"), destination = read_addr("2001:db8::1");
    struct sockbroker_pair pair;
    struct sockbroker_error error;
    struct machine m;
    size_t n = 77;

    (void)state;
    set_up(&m, "fe80::1 @1, fe80::1 @2");
    options.sources = &source;
    options.n_sources = 1;
    assert_status(SOCKBROKER_INVALID, sb_pairs_make(&m.host, &destination, 1, &options, &pair, &n, &error));
    assert_non_null(strstr(error.text, "source 1 (fe80::1): several interfaces have it; add the zone"));
    assert_int_equal(n, 77);
    source.scope_id = 2;
    assert_status(SOCKBROKER_OK, sb_pairs_make(&m.host, &destination, 1, &options, &pair, &n, &error));
    assert_int_equal(pair.source.scope_id, 2);
}

/* ---- properties ---- */

/* Section 3. */
static void scopes_are_those_of_the_rfc(void **state)
{
    static const struct {
        const char *addr;
        unsigned scope;
    } cases[] = {
        { "::1", 2 },          { "fe80::1", 2 },     { "febf::1", 2 },    { "fec0::1", 5 },          { "feff::1", 5 },
        { "2001:db8::1", 14 }, { "fd00::1", 14 },    { "2002::1", 14 },   { "::192.0.2.1", 14 },     { "64:ff9b::1", 14 },
        { "ff01::1", 1 },      { "ff02::1", 2 },     { "ff04::1", 4 },    { "ff15::1", 5 },          { "ff08::1", 8 },
        { "ff0e::1", 14 },     { "ff00::1", 0 },     { "127.0.0.1", 2 },  { "127.9.9.9", 2 },        { "169.254.1.1", 2 },
        { "10.0.0.1", 14 },    { "100.64.0.1", 14 }, { "192.0.2.1", 14 }, { "::ffff:127.0.0.1", 2 }, { "::ffff:192.0.2.1", 14 },
    };

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
        struct sockbroker_addr addr = read_addr(cases[i].addr);

        if (sockbroker_scope_of(&addr) != cases[i].scope)
            fail_msg("%s: %u", cases[i].addr, sockbroker_scope_of(&addr));
    }
}

/* Sections 3.2 to 3.4. */
static void some_addresses_are_never_deprecated(void **state)
{
    static const struct {
        const char *addr;
        bool deprecated;
    } cases[] = {
        { "2001:db8::1", true }, { "fe80::1", true },      { "2002::1", true },     { "10.0.0.1", false },
        { "::1", false },        { "::192.0.2.1", false }, { "64:ff9b::1", false },
    };

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
        struct machine m;
        struct sb_host_address found;

        set_up(&m, cases[i].addr);
        m.addresses[0].deprecated = true;
        found = sb_host_describe(&m.host, &m.addresses[0].addr);
        if (found.deprecated != cases[i].deprecated)
            fail_msg("%s", cases[i].addr);
    }
}

static void mapped_addresses_are_ipv4(void **state)
{
    struct sockbroker_select_options options = SOCKBROKER_SELECT_OPTIONS_INIT;
    struct machine m;
    struct result r;

    (void)state;
    set_up(&m, "2001:db8::2, 10.0.0.2 /8");
    make(&m, "::ffff:10.0.0.1, 2001:db8::1", &options, &r);
    assert_string_equal(print(&r), "2001:db8::1 from 2001:db8::2, 10.0.0.1 from 10.0.0.2");
    assert_int_equal(r.pairs[1].precedence, 35);
    assert_int_equal(r.pairs[1].label, 4);
    assert_int_equal(r.pairs[1].source_label, 4);
    assert_int_equal(r.pairs[1].common_bits, 8);
}

static void a_port_stays_with_its_destination(void **state)
{
    static const struct sockbroker_select_options options = SOCKBROKER_SELECT_OPTIONS_INIT;
    struct sockbroker_addr list[2] = { read_addr("::ffff:10.0.0.1"), read_addr("2001:db8::1") };
    struct sockbroker_pair pairs[2];
    struct machine m;
    size_t n;

    (void)state;
    list[0].port = 80;
    list[1].port = 443;
    list[1].scope_id = 9; /* which means nothing there */
    set_up(&m, "2001:db8::2, 10.0.0.2");
    assert_status(SOCKBROKER_OK, sb_pairs_make(&m.host, list, 2, &options, pairs, &n, NULL));
    assert_int_equal(pairs[0].destination.port, 443);
    assert_int_equal(pairs[1].destination.port, 80);
    assert_int_equal(pairs[0].destination.scope_id, 0);
}

/* Any lists at all: nothing is lost, neighbours are in order by the rule that is told, and sorting again changes nothing. */
static void any_result_is_in_order(void **state)
{
    static const char *const pool[] = { "2001:db8::1", "2001:db8:8000::1", "2001:db9::1",    "fd00::1",
                                        "fd00:1::1",   "2002::1",          "2001::1",        "10.0.0.1",
                                        "10.200.0.1",  "192.0.2.1",        "127.0.0.1",      "::1",
                                        "ff05::1",     "fec0::1",          "::ffff:10.0.0.9" };
    static const struct sockbroker_select_options options = SOCKBROKER_SELECT_OPTIONS_INIT;
    uint64_t random = 20240607;
    struct machine m;

    (void)state;
    set_up(&m, "2001:db8::2, fd00::2, 10.0.0.2 /8, ::1 /128");
    for (unsigned round = 0; round < 2000; round++) {
        struct sockbroker_addr list[LIST_MAX];
        struct sockbroker_pair pairs[LIST_MAX], again[LIST_MAX];
        size_t n, seen = 0;

        for (size_t i = 0; i < LIST_MAX; i++) {
            random = random * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX: the same everywhere */
            list[i] = read_addr(pool[(random >> 33) % UNIT_COUNT(pool)]);
        }
        m.addresses[0].deprecated = random >> 40 & 1;
        m.addresses[0].encapsulated = random >> 41 & 1;
        assert_status(SOCKBROKER_OK, sb_pairs_make(&m.host, list, LIST_MAX, &options, pairs, &n, NULL));
        assert_int_equal(n, LIST_MAX);
        for (size_t i = 0; i < n; i++) {
            seen |= (size_t)1 << pairs[i].given;
            list[i] = pairs[i].destination;
            int rule = i + 1 < n ? sb_order_compare(&pairs[i], &pairs[i + 1]) : 0;
            assert_true(rule >= 0);
            assert_int_equal(pairs[i].rule, i + 1 == n ? SOCKBROKER_RULE_NONE : rule ? rule : SOCKBROKER_RULE_ORDER);
        }
        assert_int_equal(seen, ((size_t)1 << LIST_MAX) - 1);
        assert_status(SOCKBROKER_OK, sb_pairs_make(&m.host, list, LIST_MAX, &options, again, &n, NULL));
        for (size_t i = 0; i < n; i++)
            assert_int_equal(again[i].given, i);
    }
}

/* ---- refusals ---- */

struct arguments {
    struct sockbroker_addr *destinations;
    size_t n;
    struct sockbroker_select_options options;
};

/* By the public functions; outputs stay as they were. */
static void assert_refused(const struct arguments *a, const char *part)
{
    static struct sockbroker_pair pairs[SOCKBROKER_PAIRS_MAX + 1];
    struct sockbroker_error error = { .status = SOCKBROKER_OK };
    size_t n_pairs = 77, n = a->n;

    pairs[0].given = 4711;
    assert_status(SOCKBROKER_INVALID, sockbroker_select_pairs(a->destinations, a->n, &a->options, pairs, &n_pairs, &error));
    if (!strstr(error.text, part))
        fail_msg("\"%s\" is not in: %s", part, error.text);
    assert_int_equal(error.status, SOCKBROKER_INVALID);
    assert_int_equal(n_pairs, 77);
    assert_int_equal(pairs[0].given, 4711);
    assert_status(SOCKBROKER_INVALID, sockbroker_select_pairs(a->destinations, a->n, &a->options, pairs, &n_pairs, NULL));
    assert_status(SOCKBROKER_INVALID, sockbroker_select_sort(a->destinations, &n, &a->options, NULL));
    assert_int_equal(n, a->n);
}

static void wrong_destinations_are_refused(void **state)
{
    static struct sockbroker_addr many[SOCKBROKER_PAIRS_MAX + 1];
    struct arguments a = { many, 1, SOCKBROKER_SELECT_OPTIONS_INIT };

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(many); i++)
        many[i] = read_addr("127.0.0.1");
    a.n = 0;
    assert_refused(&a, "destinations: there are 0; give 1 to 500");
    a.n = SOCKBROKER_PAIRS_MAX + 1;
    assert_refused(&a, "destinations: there are 501; give 1 to 500");
    a.destinations = NULL;
    a.n = 3;
    assert_refused(&a, "destinations: there are 0");
    a.destinations = many;
    many[2].family = SOCKBROKER_FAMILY_NONE;
    assert_refused(&a, "destination 3 (-): its family is neither IPv4 nor IPv6");
    many[2].family = (enum sockbroker_family)10;
    assert_refused(&a, "destination 3 (-): its family is neither IPv4 nor IPv6");
    many[2] = read_addr("0.0.0.0");
    assert_refused(&a, "destination 3 (0.0.0.0): it names no machine; for this one write 127.0.0.1 or ::1");
    many[2] = read_addr("::");
    assert_refused(&a, "destination 3 (::): it names no machine");
    many[2] = read_addr("::ffff:0.0.0.0");
    assert_refused(&a, "destination 3 (::ffff:0.0.0.0): it names no machine");
}

static void wrong_options_are_refused(void **state)
{
    struct sockbroker_addr destination = read_addr("127.0.0.1"), source = read_addr("127.0.0.1");
    struct sockbroker_policy rows[2] = { { { source, 32 }, 1, 1 }, { { source, 32 }, 2, 2 } };
    static struct sockbroker_policy many[SOCKBROKER_POLICIES_MAX + 1];
    struct arguments a = { &destination, 1, SOCKBROKER_SELECT_OPTIONS_INIT };

    (void)state;
    a.options.size--;
    assert_refused(&a, "begin with SOCKBROKER_SELECT_OPTIONS_INIT");
    a.options.size++;
    a.options.n_sources = 1;
    assert_refused(&a, "sources: there are 0; give 1 to 500");
    a.options.sources = &source;
    a.options.n_sources = 0;
    assert_refused(&a, "sources: there are 0; give 1 to 500");
    a.options.n_sources = 1;
    source = read_addr("::");
    assert_refused(&a, "source 1 (::): it is no address of a machine");
    source = read_addr("ff02::1");
    assert_refused(&a, "source 1 (ff02::1): nothing can be sent from a multicast");
    source = read_addr("::ffff:255.255.255.255");
    assert_refused(&a, "source 1 (::ffff:255.255.255.255): nothing can be sent from a multicast or broadcast address");
    source.family = SOCKBROKER_FAMILY_NONE;
    assert_refused(&a, "source 1 (-): its family is neither");
    a.options.sources = NULL;
    a.options.n_sources = 0;
    a.options.policies = rows;
    assert_refused(&a, "policy table: it has 0 entries; give 1 to 128");
    a.options.n_policies = 2;
    assert_refused(&a, "policy table, entry 2: 127.0.0.1/32 is there already as entry 1; keep one of them");
    rows[1].prefix.bits = 33;
    assert_refused(&a, "policy table, entry 2: the prefix 127.0.0.1/33 is not one");
    rows[1].prefix.bits = 31;
    assert_refused(&a, "policy table, entry 2: the prefix 127.0.0.1/31 is not one");
    rows[1].prefix.addr.family = SOCKBROKER_FAMILY_NONE;
    assert_refused(&a, "policy table, entry 2: the prefix - is not one");
    rows[1].prefix = (struct sockbroker_prefix){ read_addr("::ffff:127.0.0.1"), 128 };
    assert_refused(&a, "policy table, entry 2: the prefix ::ffff:127.0.0.1/128 is not one");
    a.options.policies = many;
    a.options.n_policies = SOCKBROKER_POLICIES_MAX + 1;
    assert_refused(&a, "policy table: it has 129 entries; give 1 to 128");
}

static void a_system_that_cannot_be_asked_is_a_failure(void **state)
{
    static const sockbroker_status failures[] = { SOCKBROKER_NO_DESCRIPTORS, SOCKBROKER_NO_MEMORY, SOCKBROKER_SYSTEM };
    struct sockbroker_select_options options = SOCKBROKER_SELECT_OPTIONS_INIT;
    struct sockbroker_addr list[2] = { read_addr("10.0.0.1"), read_addr("2001:db8::1") };
    struct sockbroker_pair pairs[2] = { { .given = 4711 } };
    struct sockbroker_error error;
    struct machine m;
    size_t n = 77;

    (void)state;
    set_up(&m, "10.0.0.2, 2001:db8::2");
    for (size_t i = 0; i < UNIT_COUNT(failures); i++) {
        m.failure = failures[i];
        assert_status(failures[i], sb_pairs_make(&m.host, list, 2, &options, pairs, &n, &error));
        assert_non_null(strstr(error.text, "source for destination 1 (10.0.0.1): the system cannot be asked"));
        assert_int_equal(error.status, failures[i]);
    }
    assert_int_equal(n, 77);
    assert_int_equal(pairs[0].given, 4711);
}

/* ---- policies ---- */

static void the_default_table_is_that_of_the_rfc(void **state)
{
    size_t n;
    const struct sockbroker_policy *table = sockbroker_policy_default(&n);
    char text[SOCKBROKER_POLICY_TEXT_MAX];

    (void)state;
    assert_int_equal(n, UNIT_COUNT(default_rows));
    for (size_t i = 0; i < n; i++)
        assert_string_equal(sockbroker_policy_format(&table[i], text), default_rows[i]);
    assert_status(SOCKBROKER_OK, sockbroker_policy_check(table, n, NULL));
}

static void the_longest_prefix_is_found(void **state)
{
    static const struct {
        const char *addr, *row;
    } cases[] = {
        { "::1", "::1/128 50 0" },
        { "::2", "::/96 1 3" },
        { "::1.2.3.4", "::/96 1 3" },
        { "2001:db8::1", "::/0 40 1" },
        { "2001::1", "2001::/32 5 5" },
        { "2001:1::1", "::/0 40 1" },
        { "2002:1::1", "2002::/16 30 2" },
        { "fd00::1", "fc00::/7 3 13" },
        { "fe80::1", "::/0 40 1" },
        { "fec0::1", "fec0::/10 1 11" },
        { "3ffe::1", "3ffe::/16 1 12" },
        { "10.0.0.1", "0.0.0.0/0 35 4" },
        { "::ffff:10.0.0.1", "0.0.0.0/0 35 4" },
    };
    char text[SOCKBROKER_POLICY_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
        struct sockbroker_addr addr = read_addr(cases[i].addr);

        assert_string_equal(sockbroker_policy_format(sockbroker_policy_find(NULL, 0, &addr), text), cases[i].row);
    }
}

static void a_short_ipv6_prefix_holds_ipv4_too(void **state)
{
    struct sockbroker_policy table[4];
    struct sockbroker_addr v4 = read_addr("10.1.2.3"), v6 = read_addr("2001:db8::1"), other = read_addr("11.0.0.1");
    size_t n = 0;

    (void)state;
    put_row(table, &n, "10.0.0.0/8 7 7");
    assert_int_equal(sockbroker_policy_find(table, n, &v4)->label, 7);
    assert_int_equal(sockbroker_policy_find(table, n, &other)->label, 1); /* as ::/0 of the default table */
    assert_int_equal(sockbroker_policy_find(table, n, &other)->precedence, 40);
    put_row(table, &n, "::/0 8 8");
    assert_int_equal(sockbroker_policy_find(table, n, &v4)->label, 7);
    assert_int_equal(sockbroker_policy_find(table, n, &other)->label, 8);
    assert_int_equal(sockbroker_policy_find(table, n, &v6)->label, 8);
    put_row(table, &n, "::/80 9 9");
    assert_int_equal(sockbroker_policy_find(table, n, &other)->label, 9);
    assert_int_equal(sockbroker_policy_find(table, n, &v6)->label, 8);
    table[0].prefix.bits = 200; /* not checked, and so in nobody's way */
    assert_int_equal(sockbroker_policy_find(table, n, &v4)->label, 9);
}

static void policies_are_read_and_printed(void **state)
{
    static const char *const cases[][2] = {
        { "2001:db8::/32 40 1", "2001:db8::/32 40 1" },
        { "  ::1\t50   0 ", "::1/128 50 0" },
        { "::ffff:0:0/96 35 4", "0.0.0.0/0 35 4" },
        { "::ffff:10.0.0.0/104 35 4", "10.0.0.0/8 35 4" },
        { "10.0.0.0/8 4294967295 4294967295", "10.0.0.0/8 4294967295 4294967295" },
        { "::/0 0 0", "::/0 0 0" },
    };
    struct sockbroker_policy policy, again;
    struct sockbroker_error error;
    char text[SOCKBROKER_POLICY_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
        if (sockbroker_policy_parse(cases[i][0], &policy, &error))
            fail_msg("%s", error.text);
        assert_ptr_equal(sockbroker_policy_format(&policy, text), text);
        assert_string_equal(text, cases[i][1]);
        assert_status(SOCKBROKER_OK, sockbroker_policy_parse(text, &again, NULL));
        assert_int_equal(sockbroker_addr_compare(&again.prefix.addr, &policy.prefix.addr), 0);
    }
}

static void wrong_policies_are_refused(void **state)
{
    static const char *const cases[][2] = {
        { "", "it does not have three words; write prefix, precedence and label, like 2001:db8::/32 40 1" },
        { "::/0", "three words" },
        { "::/0 40", "three words" },
        { "::/0 40 1 2", "three words" },
        { "::/0 40 1\n", "the label must be a number from 0 to 4294967295" },
        { "::/0 -1 1", "the precedence must be a number from 0 to 4294967295" },
        { "::/0 040 1", "without leading zeros" },
        { "::/0 4294967296 1", "the precedence must" },
        { "::/0 40 4294967296", "the label must" },
        { "::/0 40 one", "the label must" },
        { "::/129 40 1", "from 0 to 128" },
        { "10.0.0.0/33 40 1", "from 0 to 32" },
        { "2001:db8::1/32 40 1", "write 2001:db8::/32 or 2001:db8::1/128" },
        { "fe80::%1/10 40 1", "no zone" },
        { "[::]/0 40 1", "no brackets" },
        { "everything 40 1", "prefix \"everything\"" },
        { "1111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111"
          "1111111111111111111111111111111111111111111111111111111111111111111 1 1",
          "its first word is too long for a prefix" },
    };
    struct sockbroker_policy policy = { .label = 77 };
    struct sockbroker_error error;

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
        assert_status(SOCKBROKER_INVALID, sockbroker_policy_parse(cases[i][0], &policy, &error));
        if (!strstr(error.text, cases[i][1]) || strncmp(error.text, "policy \"", 8) != 0)
            fail_msg("\"%s\" gave the wrong reason: %s", cases[i][0], error.text);
        assert_status(SOCKBROKER_INVALID, sockbroker_policy_parse(cases[i][0], &policy, NULL));
        assert_int_equal(policy.label, 77);
    }
    assert_status(SOCKBROKER_INVALID, sockbroker_policy_parse(NULL, &policy, &error));
    assert_non_null(strstr(error.text, "no text was given"));
}

/* ---- names ---- */

static void everything_has_a_name(void **state)
{
    (void)state;
    for (unsigned rule = SOCKBROKER_RULE_USABLE; rule <= SOCKBROKER_RULE_ORDER; rule++) {
        assert_true(strlen(sockbroker_rule_text((enum sockbroker_rule)rule)) > 8);
        assert_string_not_equal(sockbroker_rule_text((enum sockbroker_rule)rule), "unknown rule");
    }
    assert_string_equal(sockbroker_rule_text(SOCKBROKER_RULE_NONE), "");
    assert_string_equal(sockbroker_rule_text((enum sockbroker_rule)99), "unknown rule");
    for (unsigned u = SOCKBROKER_USABLE; u <= SOCKBROKER_UNUSABLE_NO_ZONE; u++)
        assert_string_not_equal(sockbroker_unusable_text((enum sockbroker_unusable)u), "unknown reason");
    assert_string_equal(sockbroker_unusable_text((enum sockbroker_unusable)99), "unknown reason");
    assert_string_equal(sockbroker_scope_name(SOCKBROKER_SCOPE_LINK_LOCAL), "link-local");
    assert_string_equal(sockbroker_scope_name(3), "unassigned");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(examples_of_rfc_6724_come_out_as_printed),
        UNIT_TEST(each_rule_for_destinations_decides),
        UNIT_TEST(rule_1_leaves_unusable_destinations_out_or_at_the_end),
        UNIT_TEST(rule_7_prefers_native_transport),
        UNIT_TEST(rule_9_counts_no_more_bits_than_the_source_prefix_has),
        UNIT_TEST(rule_9_is_for_one_family),
        UNIT_TEST(rule_10_keeps_the_order_of_equals),
        UNIT_TEST(each_rule_for_sources_decides),
        UNIT_TEST(rule_5_needs_a_known_interface),
        UNIT_TEST(rules_4_and_7_can_be_reversed),
        UNIT_TEST(a_preference_is_passed_on_to_the_system),
        UNIT_TEST(a_source_that_cannot_send_there_is_passed_over),
        UNIT_TEST(only_the_given_sources_are_used),
        UNIT_TEST(link_local_and_multicast_go_out_from_their_own_link),
        UNIT_TEST(a_zone_is_filled_in_when_there_is_one_it_can_be),
        UNIT_TEST(a_source_on_several_links_needs_its_zone),
        UNIT_TEST(scopes_are_those_of_the_rfc),
        UNIT_TEST(some_addresses_are_never_deprecated),
        UNIT_TEST(mapped_addresses_are_ipv4),
        UNIT_TEST(a_port_stays_with_its_destination),
        UNIT_TEST(any_result_is_in_order),
        UNIT_TEST(wrong_destinations_are_refused),
        UNIT_TEST(wrong_options_are_refused),
        UNIT_TEST(a_system_that_cannot_be_asked_is_a_failure),
        UNIT_TEST(the_default_table_is_that_of_the_rfc),
        UNIT_TEST(the_longest_prefix_is_found),
        UNIT_TEST(a_short_ipv6_prefix_holds_ipv4_too),
        UNIT_TEST(policies_are_read_and_printed),
        UNIT_TEST(wrong_policies_are_refused),
        UNIT_TEST(everything_has_a_name),
    };

    return cmocka_run_group_tests_name("select", tests, NULL, NULL);
}
