/* What destination.h promises: each form of a rule, what is none, and which destinations a rule holds. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "broker/destination.h"
#include "sockbroker/addr.h"

static struct sb_destination_rule rule_of(const char *text)
{
    struct sb_destination_rule rule = { .first_port = 0 };
    struct sockbroker_error error = { .text = "" };

    if (sb_destination_rule_parse(text, &rule, &error))
        fail_msg("%s", error.text);
    return rule;
}

static struct sockbroker_addr address_of(const char *text)
{
    struct sockbroker_addr addr;
    struct sockbroker_error error = { .text = "" };

    if (sockbroker_addr_parse(text, &addr, &error))
        fail_msg("%s", error.text);
    return addr;
}

/* ---- text ---- */

static void each_form_is_read_and_written(void **state)
{
    static const struct {
        const char *text, *written;
        enum sockbroker_family family;
        unsigned bits, first_port, last_port;
    } rows[] = {
        { "10.0.0.0/8", "10.0.0.0/8", SOCKBROKER_IPV4, 8, 1, 65535 },
        { "192.0.2.1", "192.0.2.1/32", SOCKBROKER_IPV4, 32, 1, 65535 },
        { "10.0.0.0/8:443", "10.0.0.0/8:443", SOCKBROKER_IPV4, 8, 443, 443 },
        { "192.0.2.1:8000-8099", "192.0.2.1/32:8000-8099", SOCKBROKER_IPV4, 32, 8000, 8099 },
        { "0.0.0.0/0:1-65535", "0.0.0.0/0", SOCKBROKER_IPV4, 0, 1, 65535 },
        { "0.0.0.0/0:65535", "0.0.0.0/0:65535", SOCKBROKER_IPV4, 0, 65535, 65535 },
        { "0.0.0.0/0:2-65535", "0.0.0.0/0:2-65535", SOCKBROKER_IPV4, 0, 2, 65535 },
        { "10.0.0.0/8:80-80", "10.0.0.0/8:80", SOCKBROKER_IPV4, 8, 80, 80 },
        { "2001:db8::/32", "2001:db8::/32", SOCKBROKER_IPV6, 32, 1, 65535 },
        { "::1", "::1/128", SOCKBROKER_IPV6, 128, 1, 65535 },
        { "::1:443", "::0.1.4.67/128", SOCKBROKER_IPV6, 128, 1, 65535 }, /* an address: a port needs brackets */
        { "[::1]", "::1/128", SOCKBROKER_IPV6, 128, 1, 65535 },
        { "[2001:db8::/32]", "2001:db8::/32", SOCKBROKER_IPV6, 32, 1, 65535 },
        { "[2001:db8::/32]:443", "[2001:db8::/32]:443", SOCKBROKER_IPV6, 32, 443, 443 },
        { "[2001:db8::/32]:8000-8099", "[2001:db8::/32]:8000-8099", SOCKBROKER_IPV6, 32, 8000, 8099 },
        { "[::]:22", "[::/128]:22", SOCKBROKER_IPV6, 128, 22, 22 },
        { "::/0", "::/0", SOCKBROKER_IPV6, 0, 1, 65535 },
        { "::ffff:10.0.0.0/104", "10.0.0.0/8", SOCKBROKER_IPV4, 8, 1, 65535 },
        { "[::ffff:192.0.2.1]:25", "192.0.2.1/32:25", SOCKBROKER_IPV4, 32, 25, 25 },
        { "[64:ff9b::/96]:443", "[64:ff9b::/96]:443", SOCKBROKER_IPV6, 96, 443, 443 },
    };

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct sb_destination_rule rule = rule_of(rows[i].text);
        char text[SB_DESTINATION_TEXT_MAX];

        assert_int_equal(rule.prefix.addr.family, rows[i].family);
        assert_int_equal(rule.prefix.bits, rows[i].bits);
        assert_int_equal(rule.first_port, rows[i].first_port);
        assert_int_equal(rule.last_port, rows[i].last_port);
        assert_ptr_equal(sb_destination_rule_format(&rule, text), text);
        assert_string_equal(text, rows[i].written);
        struct sb_destination_rule again = rule_of(text); /* what is written is read again */
        assert_memory_equal(&again.prefix, &rule.prefix, sizeof(rule.prefix));
        assert_int_equal(again.first_port, rule.first_port);
        assert_int_equal(again.last_port, rule.last_port);
    }
}

static void the_longest_text_has_room(void **state)
{
    struct sb_destination_rule rule = rule_of("[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.254/127]:10000-65535");
    char text[SB_DESTINATION_TEXT_MAX];

    (void)state;
    assert_string_equal(sb_destination_rule_format(&rule, text), "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127]:10000-65535");
}

static void what_is_no_rule_is_refused_with_the_cure(void **state)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        { "", "prefix \"\"" },
        { ":", "prefix \"\"" },
        { ":443", "prefix \"\"" },
        { "10.0.0.0/8:", "has no port or range of ports, 1 to 65535; write it like 10.0.0.0/8:443" },
        { "10.0.0.0/8:0", "has no port" },
        { "10.0.0.0/8:0-5", "has no port" },
        { "10.0.0.0/8:5-4", "has no port" },
        { "10.0.0.0/8:65536", "has no port" },
        { "10.0.0.0/8:1-65536", "has no port" },
        { "10.0.0.0/8:-5", "has no port" },
        { "10.0.0.0/8:5-", "has no port" },
        { "10.0.0.0/8:1-2-3", "has no port" },
        { "10.0.0.0/8:+443", "has no port" },
        { "10.0.0.0/8: 443", "has no port" },
        { "10.0.0.0/8:443 ", "has no port" },
        { "10.0.0.0/8:0443", "has no port" },
        { "10.0.0.0/8:https", "has no port" },
        { "10.0.0.0/8:443:444", "prefix \"10.0.0.0/8:443:444\"" },
        { "10.0.0.0/33", "prefix \"10.0.0.0/33\"" },
        { "10.0.0.1/8:443", "bits are set after the first 8, write 10.0.0.0/8" },
        { "010.0.0.0/8", "prefix" },
        { "example.org:443", "prefix \"example.org\"" },
        { "[2001:db8::/32", "has a bracket too many or too few" },
        { "[2001:db8::/32]443", "has a bracket too many or too few" },
        { "[2001:db8::/32]]:443", "has a bracket too many or too few" },
        { "[[2001:db8::/32]:443", "prefix" },
        { "2001:db8::/32]:443", "prefix" },
        { "[2001:db8::]/32:443", "has a bracket too many or too few" },
        { "[2001:db8::/32]:", "has no port" },
        { "[]:443", "has brackets, which are for IPv6" },
        { "[10.0.0.0/8]:443", "has brackets, which are for IPv6" },
        { "[10.0.0.0/8]", "has brackets, which are for IPv6" },
        { "[fe80::1%eth0]:443", "a prefix has no zone" },
        { "[2001:db8::/129]:443", "prefix" },
        { "0000000000000000000000000000000000000000000000000000000000000000000000000000000000:443",
          "is too long for a prefix" },
    };

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct sb_destination_rule rule, before;
        struct sockbroker_error error = { .text = "" };

        memset(&rule, 0x5a, sizeof(rule));
        before = rule;
        assert_status(SOCKBROKER_INVALID, sb_destination_rule_parse(rows[i].text, &rule, &error));
        if (!strstr(error.text, rows[i].says))
            fail_msg("\"%s\": %s", rows[i].text, error.text);
        assert_memory_equal(&rule, &before, sizeof(rule)); /* written on OK only */
        assert_status(SOCKBROKER_INVALID, sb_destination_rule_parse(rows[i].text, &rule, NULL));
    }
}

/* ---- what a rule holds ---- */

static void a_rule_holds_its_prefix_and_ports_alone(void **state)
{
    static const struct {
        const char *rule, *addr;
        bool holds;
    } rows[] = {
        { "10.0.0.0/8", "10.255.255.255:1", true },
        { "10.0.0.0/8", "10.0.0.0:65535", true },
        { "10.0.0.0/8", "11.0.0.0:1", false },
        { "10.0.0.0/8:443", "10.1.2.3:443", true },
        { "10.0.0.0/8:443", "10.1.2.3:442", false },
        { "10.0.0.0/8:443", "10.1.2.3:444", false },
        { "10.0.0.0/8:80-90", "10.1.2.3:79", false },
        { "10.0.0.0/8:80-90", "10.1.2.3:80", true },
        { "10.0.0.0/8:80-90", "10.1.2.3:90", true },
        { "10.0.0.0/8:80-90", "10.1.2.3:91", false },
        { "0.0.0.0/0", "[::1]:1", false }, /* each family has rules of its own */
        { "::/0", "127.0.0.1:1", false },
        { "::/0", "[2001:db8::1]:1", true },
        { "[2001:db8::/32]:22", "[2001:db8:ffff::1]:22", true },
        { "[2001:db8::/32]:22", "[2001:db9::1]:22", false },
        { "10.0.0.0/8", "[::ffff:10.1.2.3]:1", true }, /* the IPv4 address it is */
        { "::ffff:10.0.0.0/104", "10.1.2.3:1", true },
        { "10.0.0.0/8", "[64:ff9b::10.1.2.3]:1", false }, /* F92: NAT64 and compatible ones want rules of their own */
        { "10.0.0.0/8", "[::10.1.2.3]:1", false },
        { "64:ff9b::/96", "[64:ff9b::10.1.2.3]:1", true },
        { "64:ff9b::/96", "10.1.2.3:1", false },
        { "fe80::/10", "[fe80::1%lo]:1", true }, /* in every zone */
    };

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct sb_destination_rule rule = rule_of(rows[i].rule);
        struct sb_destination_list list = { &rule, 1 };
        struct sockbroker_addr addr = address_of(rows[i].addr);

        if ((sb_destination_find(&list, &addr) == &rule) != rows[i].holds)
            fail_msg("%s, %s", rows[i].rule, rows[i].addr);
    }
}

static void the_first_rule_that_holds_is_told(void **state)
{
    struct sb_destination_rule rules[] = { rule_of("10.0.0.0/8:80"), rule_of("10.1.0.0/16"), rule_of("10.0.0.0/8") };
    struct sb_destination_list list = { rules, UNIT_COUNT(rules) };
    struct sb_destination_list none = { NULL, 0 };
    struct sockbroker_addr web = address_of("10.1.2.3:80"), mail = address_of("10.1.2.3:25"), other = address_of("10.2.2.3:25"),
                           elsewhere = address_of("192.0.2.1:80");

    (void)state;
    assert_ptr_equal(sb_destination_find(&list, &web), &rules[0]);
    assert_ptr_equal(sb_destination_find(&list, &mail), &rules[1]);
    assert_ptr_equal(sb_destination_find(&list, &other), &rules[2]);
    assert_null(sb_destination_find(&list, &elsewhere));
    assert_null(sb_destination_find(&none, &web));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(each_form_is_read_and_written),
        UNIT_TEST(the_longest_text_has_room),
        UNIT_TEST(what_is_no_rule_is_refused_with_the_cure),
        UNIT_TEST(a_rule_holds_its_prefix_and_ports_alone),
        UNIT_TEST(the_first_rule_that_holds_is_told),
    };

    return cmocka_run_group_tests_name("destination", tests, NULL, NULL);
}
