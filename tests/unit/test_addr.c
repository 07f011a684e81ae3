/* What addr.h promises: text, IPv4 in IPv6, classes, order, prefixes, sockaddr.
 * Inputs as files: tests/data/addr; $SB_TEST_DATA may name another tests/data. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client-lib/sysnet.h"
#include "tests/support/format.h"
#include "tests/unit/addr_kit.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define IPV4 SOCKBROKER_IPV4
#define IPV6 SOCKBROKER_IPV6

/* ---- support ---- */

static struct sockbroker_addr must_parse_ip(const char *text)
{
    struct sockbroker_addr addr;
    struct sockbroker_error error = { .status = SOCKBROKER_OK };

    if (sockbroker_addr_parse_ip(text, &addr, &error))
        fail_msg("not accepted: %s", error.text);
    return addr;
}

static struct sockbroker_prefix must_parse_prefix(const char *text)
{
    struct sockbroker_prefix prefix;
    struct sockbroker_error error = { .status = SOCKBROKER_OK };

    if (sockbroker_prefix_parse(text, &prefix, &error))
        fail_msg("not accepted: %s", error.text);
    return prefix;
}

static bool same(const struct sockbroker_addr *a, const struct sockbroker_addr *b)
{
    return a->family == b->family && a->port == b->port && a->scope_id == b->scope_id &&
           memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

static void assert_same(const struct sockbroker_addr *a, const struct sockbroker_addr *b)
{
    char ta[SOCKBROKER_ADDR_TEXT_MAX];
    char tb[SOCKBROKER_ADDR_TEXT_MAX];

    if (!same(a, b))
        fail_msg("%s is not %s", sockbroker_addr_format(a, ta), sockbroker_addr_format(b, tb));
    assert_int_equal(0, sockbroker_addr_compare(a, b));
}

typedef sockbroker_status parse_fn(const char *, struct sockbroker_addr *, struct sockbroker_error *);

/* INVALID, a text that names the input and is fit to print, outputs as they were, and no error wanted is fine. */
static void assert_refused(parse_fn *parse, const char *text, const char *part)
{
    struct sockbroker_addr addr, before;
    struct sockbroker_error error;

    memset(&addr, 0xa5, sizeof(addr));
    before = addr;
    memset(&error, 0, sizeof(error));
    if (parse(text, &addr, &error) != SOCKBROKER_INVALID)
        fail_msg("accepted: \"%s\"", text);
    assert_memory_equal(&addr, &before, sizeof(addr));
    assert_int_equal(SOCKBROKER_INVALID, error.status);
    assert_int_equal(0, error.os_code);
    if (!strstr(error.text, part) || strncmp(error.text, "address \"", 9) != 0)
        fail_msg("\"%s\" gave the wrong reason: %s", text, error.text);
    for (const char *c = error.text; *c; c++)
        assert_in_range(*c, 0x20, 0x7e);
    assert_int_equal(SOCKBROKER_INVALID, parse(text, &addr, NULL));
}

/* ---- text: accepted ---- */

static const struct {
    const char *text;
    enum sockbroker_family family;
    uint16_t port;
    uint32_t scope_id;
    const char *printed;
} accepted[] = {
    { "192.0.2.1:80", IPV4, 80, 0, "192.0.2.1:80" },
    { "0.0.0.0:0", IPV4, 0, 0, "0.0.0.0:0" },
    { "255.255.255.255:65535", IPV4, 65535, 0, "255.255.255.255:65535" },
    { "[::]:80", IPV6, 80, 0, "[::]:80" },
    { "[::1]:1", IPV6, 1, 0, "[::1]:1" },
    { "[2001:db8::1]:80", IPV6, 80, 0, "[2001:db8::1]:80" },
    { "[2001:DB8:0:0:0:0:0:1]:80", IPV6, 80, 0, "[2001:db8::1]:80" },
    { "[::ffff:192.0.2.1]:80", IPV6, 80, 0, "[::ffff:192.0.2.1]:80" },
    { "[::FFFF:c000:201]:80", IPV6, 80, 0, "[::ffff:192.0.2.1]:80" },
    { "[fe80::1%2]:80", IPV6, 80, 2, "[fe80::1%2]:80" },
    { "[fe80::1%4294967295]:80", IPV6, 80, 4294967295, "[fe80::1%4294967295]:80" },
    { "[febf::1%2]:80", IPV6, 80, 2, "[febf::1%2]:80" },
    { "[ff02::1%2]:80", IPV6, 80, 2, "[ff02::1%2]:80" },
    { "[ff31::1%2]:80", IPV6, 80, 2, "[ff31::1%2]:80" },
    { "[fe80:1111:2222:3333:4444:5555:6666:7777%4294967295]:65535", IPV6, 65535, 4294967295,
      "[fe80:1111:2222:3333:4444:5555:6666:7777%4294967295]:65535" },
};

static void address_and_port_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(accepted); i++) {
        struct sockbroker_addr addr;
        struct sockbroker_error error = { .status = SOCKBROKER_OK };
        char printed[SOCKBROKER_ADDR_TEXT_MAX];

        if (sockbroker_addr_parse(accepted[i].text, &addr, &error))
            fail_msg("%s", error.text);
        assert_int_equal(accepted[i].family, addr.family);
        assert_int_equal(accepted[i].port, addr.port);
        assert_int_equal(accepted[i].scope_id, addr.scope_id);
        assert_ptr_equal(printed, sockbroker_addr_format(&addr, printed));
        assert_string_equal(accepted[i].printed, printed);
        assert_int_equal(SOCKBROKER_OK, error.status);
        assert_int_equal(0, error.text[0]);
        assert_int_equal(SOCKBROKER_OK, sockbroker_addr_parse(accepted[i].text, &addr, NULL));
    }
}

static void bytes_are_in_network_order_and_the_rest_is_zero(void **state)
{
    static const uint8_t v4[16] = { 192, 0, 2, 1 };
    static const uint8_t v6[16] = { 0x20, 0x01, 0x0d, 0xb8, [14] = 0x12, [15] = 0x34 };
    struct sockbroker_addr a = must_parse_ip("192.0.2.1");
    struct sockbroker_addr b = must_parse_ip("2001:db8::1234");

    (void)state;
    assert_memory_equal(v4, a.ip, 16);
    assert_memory_equal(v6, b.ip, 16);
    assert_int_equal(0, a.port);
    assert_int_equal(0, b.port);
}

/* Left: what is read. Right: what is printed. */
static const char *const bare[][2] = {
    /* the list in the fault catalogue */
    { "0.0.0.0", "0.0.0.0" },
    { "::", "::" },
    { "::ffff:0.0.0.0", "::ffff:0.0.0.0" },
    { "::ffff:127.0.0.1", "::ffff:127.0.0.1" },
    { "::FFFF:7f00:1", "::ffff:127.0.0.1" },
    { "::127.0.0.1", "::127.0.0.1" },
    { "64:ff9b::7f00:1", "64:ff9b::7f00:1" },
    { "2001:db8::ffff:7f00:1", "2001:db8::ffff:7f00:1" },
    { "fe80::1", "fe80::1" },
    /* RFC 5952, sections 1, 2.1: all are one address */
    { "2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1" },
    { "2001:0db8:0:0:1:0:0:1", "2001:db8::1:0:0:1" },
    { "2001:db8::1:0:0:1", "2001:db8::1:0:0:1" },
    { "2001:db8::0:1:0:0:1", "2001:db8::1:0:0:1" },
    { "2001:0db8::1:0:0:1", "2001:db8::1:0:0:1" },
    { "2001:db8:0:0:1::1", "2001:db8::1:0:0:1" },
    { "2001:db8:0000:0:1::1", "2001:db8::1:0:0:1" },
    { "2001:DB8:0:0:1::1", "2001:db8::1:0:0:1" },
    { "2001:db8:aaaa:bbbb:cccc:dddd:eeee:001", "2001:db8:aaaa:bbbb:cccc:dddd:eeee:1" },
    { "2001:db8:aaaa:bbbb:cccc:dddd:eeee:0001", "2001:db8:aaaa:bbbb:cccc:dddd:eeee:1" },
    /* 2.2 */
    { "2001:db8:aaaa:bbbb:cccc:dddd::1", "2001:db8:aaaa:bbbb:cccc:dddd:0:1" },
    { "2001:db8:aaaa:bbbb:cccc:dddd:0:1", "2001:db8:aaaa:bbbb:cccc:dddd:0:1" },
    { "2001:db8:0:0:0::1", "2001:db8::1" },
    { "2001:db8:0:0::1", "2001:db8::1" },
    { "2001:db8:0::1", "2001:db8::1" },
    { "2001:db8::aaaa:0:0:1", "2001:db8::aaaa:0:0:1" },
    { "2001:db8:0:0:aaaa::1", "2001:db8::aaaa:0:0:1" },
    /* 2.3 */
    { "2001:db8:aaaa:bbbb:cccc:dddd:eeee:aaaa", "2001:db8:aaaa:bbbb:cccc:dddd:eeee:aaaa" },
    { "2001:db8:aaaa:bbbb:cccc:dddd:eeee:AAAA", "2001:db8:aaaa:bbbb:cccc:dddd:eeee:aaaa" },
    { "2001:db8:aaaa:bbbb:cccc:dddd:eeee:AaAa", "2001:db8:aaaa:bbbb:cccc:dddd:eeee:aaaa" },
    /* 4.1 to 4.3, 5 */
    { "2001:0db8::0001", "2001:db8::1" },
    { "2001:db8:0:0:0:0:2:1", "2001:db8::2:1" },
    { "2001:db8::0:1", "2001:db8::1" },
    { "2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1" },
    { "2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1" },
    { "2001:0:0:1:0:0:0:1", "2001:0:0:1::1" },
    { "0:0:0:0:0:ffff:192.0.2.1", "::ffff:192.0.2.1" },
    { "0:0:0:0:0:FFFF:C000:0201", "::ffff:192.0.2.1" },
    /* ends, ties, single zeros */
    { "::1", "::1" },
    { "::2", "::2" },
    { "::ffff", "::ffff" },
    { "::1:0", "::0.1.0.0" },
    { "::0.0.0.1", "::1" },
    { "::0.0.255.255", "::ffff" },
    { "0:0:0:0:0:0:13.1.68.3", "::13.1.68.3" },
    { "::ffff:0:0", "::ffff:0.0.0.0" },
    { "::ffff:0:c000:201", "::ffff:0:c000:201" },
    { "::fffe:c000:201", "::fffe:c000:201" },
    { "::1:ffff:192.0.2.1", "::1:ffff:c000:201" },
    { "1::", "1::" },
    { "1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0" },
    { "::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8" },
    { "1:0:3:0:5:0:7:0", "1:0:3:0:5:0:7:0" },
    { "1:0:0:4:5:0:0:8", "1::4:5:0:0:8" },
    { "0:0:3:4:5:6:0:0", "::3:4:5:6:0:0" },
    { "1:2:3:4:5:6:0:0", "1:2:3:4:5:6::" },
    { "1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304" },
    { "::1:2:3:4:5:1.2.3.4", "0:1:2:3:4:5:102:304" },
    { "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
    { "0000:0000:0000:0000:0000:ffff:255.255.255.255", "::ffff:255.255.255.255" },
    { "2001:10::1", "2001:10::1" },
    { "1000:200:30:4::", "1000:200:30:4::" },
    { "fe80::1%7", "fe80::1%7" },
    { "10.20.30.40", "10.20.30.40" },
    { "100.1.10.0", "100.1.10.0" },
};

static void bare_addresses_are_read_and_printed_by_rfc_5952(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bare); i++) {
        struct sockbroker_addr addr = must_parse_ip(bare[i][0]);
        struct sockbroker_addr again;
        char printed[SOCKBROKER_ADDR_TEXT_MAX];

        assert_ptr_equal(printed, sockbroker_addr_format_ip(&addr, printed));
        assert_string_equal(bare[i][1], printed);
        again = must_parse_ip(printed);
        assert_same(&addr, &again);
    }
}

static void no_address_is_printed_as_a_dash(void **state)
{
    struct sockbroker_addr none = { .family = SOCKBROKER_FAMILY_NONE, .port = 80 };
    struct sockbroker_addr foreign = { .family = (enum sockbroker_family)5 };
    struct sockbroker_prefix prefix = { .bits = 8 };
    char text[SOCKBROKER_ADDR_TEXT_MAX];

    (void)state;
    assert_string_equal("-", sockbroker_addr_format(&none, text));
    assert_string_equal("-", sockbroker_addr_format_ip(&none, text));
    assert_string_equal("-", sockbroker_addr_format(&foreign, text));
    assert_string_equal("-", sockbroker_prefix_format(&prefix, text));
}

/* ---- text: refused ---- */

static const char *const refused[][2] = {
    /* input, part of the reason */
    { "", "the port is missing" },
    { ":", "the address before the port is missing" },
    { ":80", "[::]:80" },
    { "*:80", "[::]:80" },
    { "80", "the port is missing" },
    { "192.0.2.1", "write it like 192.0.2.1:80" },
    { "192.0.2.1:", "from 0 to 65535" },
    { "192.0.2.1:65536", "from 0 to 65535" },
    { "192.0.2.1:4294967376", "from 0 to 65535" },
    { "192.0.2.1:18446744073709551696", "from 0 to 65535" },
    { "192.0.2.1:-1", "from 0 to 65535" },
    { "192.0.2.1:+80", "from 0 to 65535" },
    { "192.0.2.1: 80", "from 0 to 65535" },
    { "192.0.2.1:80 ", "from 0 to 65535" },
    { "192.0.2.1:80\n", "from 0 to 65535" },
    { "192.0.2.1:080", "leading zeros" },
    { "192.0.2.1:00", "leading zeros" },
    { "192.0.2.1:0x50", "decimal number" },
    { "192.0.2.1:http", "decimal number" },
    { "192.0.2.1:80:90", "decimal digits and dots" },
    { "1.2.3:80", "four numbers" },
    { "1.2.3.:80", "four numbers" },
    { ".1.2.3:80", "four numbers" },
    { "1..2.3:80", "four numbers" },
    { "1.2.3.4.5:80", "four numbers" },
    { "1.2.3.4.:80", "four numbers" },
    { "2130706433:80", "at most 255" },
    { "1.2.3.256:80", "at most 255" },
    { "1.2.3.1000:80", "at most 255" },
    { "01.02.03.04:80", "octal" },
    { "1.2.3.00:80", "octal" },
    { "1.2.3.0255:80", "octal" },
    { "0x7f.1:80", "decimal digits and dots" },
    { " 1.2.3.4:80", "decimal digits and dots" },
    { "1.2.3.4 :80", "decimal digits and dots" },
    { "localhost:80", "names are not looked up" },
    { "example.org:80", "names are not looked up" },
    { "http://192.0.2.1:80", "192.0.2.1:80" },
    { "1.2.3.4%lo:80", "no zone" },
    { "::1:80", "[::1]:80" },
    { "fe80::1%2:80", "[fe80::1%2]:80" },
    { "::1", "with brackets" },
    { "2001:db8::1", "with brackets" },
    { "[", "\"]\" is missing" },
    { "[::1", "\"]\" is missing" },
    { "[::1:80", "\"]\" is missing" },
    { "[]:80", "the address is missing" },
    { "[::1]", "must follow \"]\"" },
    { "[::1]80", "must follow \"]\"" },
    { "[::1]]:80", "must follow \"]\"" },
    { "[::1]:", "from 0 to 65535" },
    { "[::1]:65536", "from 0 to 65535" },
    { "[::1]:80:90", "from 0 to 65535" },
    { "[[::1]]:80", "hexadecimal digits and colons" },
    { "::1]:80", "with brackets" },
    { "[192.0.2.1]:80", "without them" },
    { "[ ::1]:80", "hexadecimal digits and colons" },
    { "[::1 ]:80", "hexadecimal digits and colons" },
    { "[:::]:80", "only once" },
    { "[1::2::3]:80", "only once" },
    { "[fe80::1%]:80", "not an interface name" },
    { "[fe80::1%0]:80", "1 to 4294967295" },
};

static const char *const refused_bare[][2] = {
    { "", "the address is missing" },
    { "1.2.3", "four numbers" },
    { "01.02.03.04", "octal" },
    { "0x7f.1", "decimal digits and dots" },
    { "127.1", "four numbers" },
    { "2130706433", "at most 255" },
    { "017700000001", "octal" },
    { "1", "four numbers" },
    { ".", "four numbers" },
    { "1.2.3.4\t", "decimal digits and dots" },
    { "1.2.3.-4", "decimal digits and dots" },
    { "192.0.2.1:80", "decimal digits and dots" },
    { "192.0.2.0/24", "decimal digits and dots" },
    { "1.2.3.\xd9\xa4", "decimal digits and dots" }, /* an Arabic-Indic four */
    { ":", "single colon" },
    { ":::", "only once" },
    { "::::", "only once" },
    { "1:::2", "only once" },
    { "1::2::3", "only once" },
    { "::1::", "only once" },
    { ":1::2", "single colon" },
    { "1::2:", "single colon" },
    { ":1:2:3:4:5:6:7", "single colon" },
    { "1:2:3:4:5:6:7:", "single colon" },
    { "1:2:3:4:5:6:7", "fewer than eight" },
    { "1:2", "fewer than eight" },
    { "1:2:3:4:5:1.2.3.4", "fewer than eight" },
    { "1:2:3:4:5:6:7:8:9", "more" },
    { "1:2:3:4:5:6:7:1.2.3.4", "more" },
    { "1:2:3:4:5:6:7:8:1.2.3.4", "more" },
    { "::1:2:3:4:5:6:7:8", "no zeros" },
    { "1:2:3:4:5:6:7:8::", "no zeros" },
    { "1:2:3:4::5:6:7:8", "no zeros" },
    { "::1:2:3:4:5:6:1.2.3.4", "no zeros" },
    { "::12345", "at most four hexadecimal" },
    { "::00001", "at most four hexadecimal" },
    { "0000:0000:0000:0000:0000:ffff:0255.255.255.255", "octal" },
    { "0000:0000:0000:0000:0000:0ffff:255.255.255.255", "at most four hexadecimal" },
    { "::g", "hexadecimal digits and colons" },
    { "::-1", "hexadecimal digits and colons" },
    { "::1.2.3", "four numbers" },
    { "::1.2.3.4.5", "four numbers" },
    { "::1.2.3.04", "octal" },
    { "::1.2.3.256", "at most 255" },
    { "::1.2.3.4:5", "decimal digits and dots" },
    { "::a.2.3.4", "decimal digits and dots" },
    { "::.1.2.3", "four numbers" },
    { "::1.2.3.4::", "decimal digits and dots" },
    { "[::1]", "no brackets" },
    { "[::1]:80", "no brackets" },
    { "[::1", "no brackets" },
    { "::1/128", "hexadecimal digits and colons" },
    { "%lo", "the address is missing" },
    { "fe80::1%", "not an interface name" },
    { "fe80::1%%lo", "not an interface name" },
    { "fe80::1% lo", "not an interface name" },
    { "fe80::1%lo:1", "not an interface name" }, /* Linux alone would take it for lo */
    { "fe80::1%lo/64", "not an interface name" },
    { "fe80::1%0123456789-0123456789-0123456789-0123456789-0123456789-012345678", "not an interface name" },
    { "fe80::1%no-such-if", "no interface of the name" },
    { "fe80::1%lo12345678901234", "no interface of the name" }, /* 16 bytes: too long for Linux */
    { "fe80::1%25lo", "no interface of the name" },
    { "fe80::1%-1", "no interface of the name" },
    { "fe80::1%0", "1 to 4294967295" },
    { "fe80::1%01", "1 to 4294967295" },
    { "fe80::1%4294967296", "1 to 4294967295" },
    { "fe80::1%18446744073709551617", "1 to 4294967295" },
    { "::1%1", "only a link-local" },
    { "2001:db8::1%1", "only a link-local" },
    { "fe7f::1%1", "only a link-local" },
    { "fec0::1%1", "only a link-local" },
    { "ff05::1%1", "only a link-local" },
    { "ff0e::1%1", "only a link-local" },
    { "::ffff:169.254.0.1%1", "only a link-local" },
    { "169.254.0.1%1", "no zone" },
};

static void bad_text_is_refused_with_reason_and_cure(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(refused); i++)
        assert_refused(sockbroker_addr_parse, refused[i][0], refused[i][1]);
    for (size_t i = 0; i < COUNT(refused_bare); i++)
        assert_refused(sockbroker_addr_parse_ip, refused_bare[i][0], refused_bare[i][1]);
}

static void error_quotes_the_input(void **state)
{
    struct sockbroker_addr addr;
    struct sockbroker_prefix prefix;
    struct sockbroker_error error;

    (void)state;
    sockbroker_addr_parse("1.2.3:80", &addr, &error);
    assert_non_null(strstr(error.text, "address \"1.2.3:80\": an IPv4 address has four numbers"));
    sockbroker_addr_parse("\x1b[2J\n:80", &addr, &error);
    assert_non_null(strstr(error.text, "\"\\x1b[2J\\x0a:80\""));
    sockbroker_addr_parse("[fe80::1%\"\x7f\xff]:80", &addr, &error);
    assert_non_null(strstr(error.text, "\\x22\\x7f\\xff"));
    sockbroker_prefix_parse("10.0.0.1/8", &prefix, &error);
    assert_string_equal("prefix \"10.0.0.1/8\": bits are set after the first 8, write 10.0.0.0/8 or 10.0.0.1/32", error.text);
}

static void no_text_at_all_is_refused(void **state)
{
    struct sockbroker_prefix prefix;
    struct sockbroker_error error = { .status = SOCKBROKER_OK };

    (void)state;
    assert_refused(sockbroker_addr_parse, NULL, "no text was given");
    assert_refused(sockbroker_addr_parse_ip, NULL, "no text was given");
    assert_int_equal(SOCKBROKER_INVALID, sockbroker_prefix_parse(NULL, &prefix, &error));
    assert_non_null(strstr(error.text, "no text was given"));
}

static void endless_text_is_refused_with_a_short_reason(void **state)
{
    static const char units[] = "1:f.%[]/0 \x01\xff";
    size_t len = 100000;
    char *text = malloc(len + 1);
    struct sockbroker_prefix prefix;
    struct sockbroker_error error;

    (void)state;
    assert_non_null(text);
    text[len] = '\0';
    for (size_t i = 0; units[i]; i++) {
        memset(text, units[i], len);
        assert_refused(sockbroker_addr_parse, text, "...\"");
        assert_refused(sockbroker_addr_parse_ip, text, "...\"");
        assert_int_equal(SOCKBROKER_INVALID, sockbroker_prefix_parse(text, &prefix, &error));
        assert_non_null(strstr(error.text, "...\""));
        memcpy(text, "fe80::1%", 8);
        assert_refused(sockbroker_addr_parse_ip, text, "...\"");
    }
    free(text);
}

/* ---- zones ---- */

static void zone_is_not_printed_where_it_means_nothing(void **state)
{
    struct sockbroker_addr addr = must_parse_ip("2001:db8::1");
    char text[SOCKBROKER_ADDR_TEXT_MAX];

    (void)state;
    addr.scope_id = 3;
    assert_string_equal("2001:db8::1", sockbroker_addr_format_ip(&addr, text));
}

/* ---- IPv4 in IPv6 ---- */

static const struct {
    const char *text;
    const char *normal; /* NULL: not mapped */
} maybe_mapped[] = {
    { "::ffff:0.0.0.0", "0.0.0.0" },
    { "::ffff:127.0.0.1", "127.0.0.1" },
    { "::FFFF:7f00:1", "127.0.0.1" },
    { "::ffff:255.255.255.255", "255.255.255.255" },
    { "::ffff:192.0.2.1", "192.0.2.1" },
    { "::", NULL },
    { "::1", NULL },
    { "::127.0.0.1", NULL },
    { "::fffe:127.0.0.1", NULL },
    { "::1:0:7f00:1", NULL },
    { "::1:ffff:7f00:1", NULL },
    { "::7fff:7f00:1", NULL },
    { "::ff7f:7f00:1", NULL },
    { "8000::ffff:7f00:1", NULL },
    { "::ffff:0:127.0.0.1", NULL },
    { "64:ff9b::7f00:1", NULL },
    { "2002:7f00:1::", NULL },
    { "2001:db8::ffff:7f00:1", NULL },
    { "127.0.0.1", NULL },
};

static void exactly_the_mapped_addresses_become_ipv4(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(maybe_mapped); i++) {
        struct sockbroker_addr addr = must_parse_ip(maybe_mapped[i].text);
        struct sockbroker_addr wanted = must_parse_ip(maybe_mapped[i].normal ? maybe_mapped[i].normal : maybe_mapped[i].text);
        struct sockbroker_addr original;

        addr.port = wanted.port = 4711;
        original = addr;
        assert_int_equal(maybe_mapped[i].normal != NULL, sockbroker_addr_is_mapped(&addr));
        sockbroker_addr_normalise(&addr);
        assert_same(&wanted, &addr);
        sockbroker_addr_normalise(&addr);
        assert_same(&wanted, &addr);
        sockbroker_addr_map(&addr);
        if (original.family == IPV6)
            assert_same(&original, &addr);
    }
}

static void every_single_bit_of_the_mapped_prefix_counts(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 128; bit++) {
        struct sockbroker_addr addr = must_parse_ip("::ffff:192.0.2.1");

        addr.ip[bit / 8] ^= (uint8_t)(0x80u >> bit % 8);
        assert_int_equal(bit >= 96, sockbroker_addr_is_mapped(&addr));
    }
}

static void mapping_back_and_forth_keeps_ipv4_and_leaves_others_alone(void **state)
{
    struct sockbroker_addr v4 = must_parse_ip("192.0.2.1");
    struct sockbroker_addr v6 = must_parse_ip("fe80::1%3");
    struct sockbroker_addr none = { .family = SOCKBROKER_FAMILY_NONE };
    struct sockbroker_addr addr = v4;
    char text[SOCKBROKER_ADDR_TEXT_MAX];

    (void)state;
    addr.port = v4.port = 80;
    sockbroker_addr_map(&addr);
    assert_string_equal("[::ffff:192.0.2.1]:80", sockbroker_addr_format(&addr, text));
    sockbroker_addr_map(&addr);
    assert_string_equal("[::ffff:192.0.2.1]:80", sockbroker_addr_format(&addr, text));
    sockbroker_addr_normalise(&addr);
    assert_same(&v4, &addr);
    addr = v6;
    sockbroker_addr_map(&addr);
    sockbroker_addr_normalise(&addr);
    assert_same(&v6, &addr);
    addr = none;
    sockbroker_addr_map(&addr);
    sockbroker_addr_normalise(&addr);
    assert_same(&none, &addr);
}

/* ---- classes: both tables cut the whole space into ranges without a hole, so both edges of each are met ---- */

struct range {
    const char *first;
    const char *last;
    enum sockbroker_addr_class class_;
};

static const struct range ipv4_ranges[] = {
    { "0.0.0.0", "0.0.0.0", SOCKBROKER_CLASS_UNSPECIFIED },
    { "0.0.0.1", "0.255.255.255", SOCKBROKER_CLASS_RESERVED },
    { "1.0.0.0", "9.255.255.255", SOCKBROKER_CLASS_GLOBAL },
    { "10.0.0.0", "10.255.255.255", SOCKBROKER_CLASS_PRIVATE },
    { "11.0.0.0", "100.63.255.255", SOCKBROKER_CLASS_GLOBAL },
    { "100.64.0.0", "100.127.255.255", SOCKBROKER_CLASS_SHARED },
    { "100.128.0.0", "126.255.255.255", SOCKBROKER_CLASS_GLOBAL },
    { "127.0.0.0", "127.255.255.255", SOCKBROKER_CLASS_LOOPBACK },
    { "128.0.0.0", "169.253.255.255", SOCKBROKER_CLASS_GLOBAL },
    { "169.254.0.0", "169.254.255.255", SOCKBROKER_CLASS_LINK_LOCAL },
    { "169.255.0.0", "172.15.255.255", SOCKBROKER_CLASS_GLOBAL },
    { "172.16.0.0", "172.31.255.255", SOCKBROKER_CLASS_PRIVATE },
    { "172.32.0.0", "192.0.1.255", SOCKBROKER_CLASS_GLOBAL },
    { "192.0.2.0", "192.0.2.255", SOCKBROKER_CLASS_DOCUMENTATION },
    { "192.0.3.0", "192.167.255.255", SOCKBROKER_CLASS_GLOBAL },
    { "192.168.0.0", "192.168.255.255", SOCKBROKER_CLASS_PRIVATE },
    { "192.169.0.0", "198.51.99.255", SOCKBROKER_CLASS_GLOBAL },
    { "198.51.100.0", "198.51.100.255", SOCKBROKER_CLASS_DOCUMENTATION },
    { "198.51.101.0", "203.0.112.255", SOCKBROKER_CLASS_GLOBAL },
    { "203.0.113.0", "203.0.113.255", SOCKBROKER_CLASS_DOCUMENTATION },
    { "203.0.114.0", "223.255.255.255", SOCKBROKER_CLASS_GLOBAL },
    { "224.0.0.0", "239.255.255.255", SOCKBROKER_CLASS_MULTICAST },
    { "240.0.0.0", "255.255.255.254", SOCKBROKER_CLASS_RESERVED },
    { "255.255.255.255", "255.255.255.255", SOCKBROKER_CLASS_BROADCAST },
};

#define ONES4 "ffff:ffff:ffff:ffff"
static const struct range ipv6_ranges[] = {
    { "::", "::", SOCKBROKER_CLASS_UNSPECIFIED },
    { "::1", "::1", SOCKBROKER_CLASS_LOOPBACK },
    { "::2", "::255.255.255.255", SOCKBROKER_CLASS_COMPATIBLE },
    { "::1:0:0", "::fffe:ffff:ffff", SOCKBROKER_CLASS_GLOBAL },
    { "::ffff:0:0", "::ffff:ffff:ffff", SOCKBROKER_CLASS_MAPPED },
    { "::1:0:0:0", "64:ff9a:ffff:ffff:" ONES4, SOCKBROKER_CLASS_GLOBAL },
    { "64:ff9b::", "64:ff9b::ffff:ffff", SOCKBROKER_CLASS_NAT64 },
    { "64:ff9b::1:0:0", "2000:ffff:ffff:ffff:" ONES4, SOCKBROKER_CLASS_GLOBAL },
    { "2001::", "2001:0:ffff:ffff:" ONES4, SOCKBROKER_CLASS_TEREDO },
    { "2001:1::", "2001:db7:ffff:ffff:" ONES4, SOCKBROKER_CLASS_GLOBAL },
    { "2001:db8::", "2001:db8:ffff:ffff:" ONES4, SOCKBROKER_CLASS_DOCUMENTATION },
    { "2001:db9::", "2001:ffff:ffff:ffff:" ONES4, SOCKBROKER_CLASS_GLOBAL },
    { "2002::", "2002:ffff:ffff:ffff:" ONES4, SOCKBROKER_CLASS_6TO4 },
    { "2003::", "3ffe:ffff:ffff:ffff:" ONES4, SOCKBROKER_CLASS_GLOBAL },
    { "3fff::", "3fff:fff:ffff:ffff:" ONES4, SOCKBROKER_CLASS_DOCUMENTATION },
    { "3fff:1000::", "fbff:ffff:ffff:ffff:" ONES4, SOCKBROKER_CLASS_GLOBAL },
    { "fc00::", "fdff:ffff:ffff:ffff:" ONES4, SOCKBROKER_CLASS_PRIVATE },
    { "fe00::", "fe7f:ffff:ffff:ffff:" ONES4, SOCKBROKER_CLASS_GLOBAL },
    { "fe80::", "febf:ffff:ffff:ffff:" ONES4, SOCKBROKER_CLASS_LINK_LOCAL },
    { "fec0::", "feff:ffff:ffff:ffff:" ONES4, SOCKBROKER_CLASS_PRIVATE },
    { "ff00::", "ffff:ffff:ffff:ffff:" ONES4, SOCKBROKER_CLASS_MULTICAST },
};

/* The next address, as a number; false after the last one. */
static bool step(struct sockbroker_addr *addr)
{
    for (size_t i = addr->family == IPV4 ? 4 : 16; i-- > 0;)
        if (++addr->ip[i])
            return true;
    return false;
}

static void assert_class(const struct sockbroker_addr *addr, enum sockbroker_addr_class class_)
{
    char text[SOCKBROKER_ADDR_TEXT_MAX];
    enum sockbroker_addr_class got = sockbroker_addr_classify(addr);

    if (got != class_)
        fail_msg("%s is %s, not %s", sockbroker_addr_format_ip(addr, text), sockbroker_addr_class_name(got),
                 sockbroker_addr_class_name(class_));
}

static void check_ranges(const struct range *ranges, size_t n, const char *lowest)
{
    struct sockbroker_addr next = must_parse_ip(lowest);
    bool more = true;

    for (size_t i = 0; i < n; i++) {
        struct sockbroker_addr first = must_parse_ip(ranges[i].first);
        struct sockbroker_addr last = must_parse_ip(ranges[i].last);

        assert_true(more);
        assert_same(&next, &first);
        assert_class(&first, ranges[i].class_);
        assert_class(&last, ranges[i].class_);
        next = last;
        more = step(&next);
    }
    assert_false(more);
}

static void every_class_holds_up_to_both_edges_of_its_ranges(void **state)
{
    (void)state;
    check_ranges(ipv4_ranges, COUNT(ipv4_ranges), "0.0.0.0");
    check_ranges(ipv6_ranges, COUNT(ipv6_ranges), "::");
}

static enum sockbroker_addr_class class_by_range(const struct sockbroker_addr *addr)
{
    const struct range *range = addr->family == IPV4 ? ipv4_ranges : ipv6_ranges;

    for (;; range++) {
        struct sockbroker_addr last = must_parse_ip(range->last);

        if (memcmp(addr->ip, last.ip, 16) <= 0)
            return range->class_;
    }
}

static void random_addresses_have_the_class_of_their_range(void **state)
{
    (void)state;
    for (int i = 0; i < 20000; i++) {
        struct sockbroker_addr addr = addr_random();

        assert_class(&addr, class_by_range(&addr));
    }
}

static void no_address_has_class_none_and_a_mapped_one_shows_after_normalising(void **state)
{
    struct sockbroker_addr none = { .family = SOCKBROKER_FAMILY_NONE };
    struct sockbroker_addr addr = must_parse_ip("::ffff:127.0.0.1");

    (void)state;
    assert_class(&none, SOCKBROKER_CLASS_NONE);
    assert_class(&addr, SOCKBROKER_CLASS_MAPPED);
    sockbroker_addr_normalise(&addr);
    assert_class(&addr, SOCKBROKER_CLASS_LOOPBACK);
}

static void class_names_differ_and_are_never_missing(void **state)
{
    const char *names[SOCKBROKER_CLASS_GLOBAL + 1];

    (void)state;
    for (int i = 0; i <= SOCKBROKER_CLASS_GLOBAL; i++) {
        names[i] = sockbroker_addr_class_name((enum sockbroker_addr_class)i);
        assert_string_not_equal("unknown", names[i]);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(names[j], names[i]);
    }
    assert_string_equal("unknown", sockbroker_addr_class_name((enum sockbroker_addr_class) - 1));
    assert_string_equal("unknown", sockbroker_addr_class_name((enum sockbroker_addr_class)(SOCKBROKER_CLASS_GLOBAL + 1)));
}

/* ---- order ---- */

static int sign(int value)
{
    return (value > 0) - (value < 0);
}

static void order_is_total(void **state)
{
    static const char *const texts[] = {
        /* in order, all different */
        "0.0.0.0:0",
        "0.0.0.0:1",
        "0.0.0.0:65535",
        "0.0.0.1:0",
        "9.255.255.255:80",
        "10.0.0.1:80",
        "127.0.0.1:80",
        "128.0.0.1:80",
        "255.255.255.255:9",
        "[::]:0",
        "[::]:256",
        "[::1]:1",
        "[::127.0.0.1]:80",
        "[::ffff:10.0.0.1]:80",
        "[::ffff:127.0.0.1]:80",
        "[7f::]:1",
        "[80::]:1",
        "[2001:db8::1]:443",
        "[fe80::1]:80",
        "[fe80::1]:81",
        "[fe80::1%1]:1",
        "[fe80::1%256]:1",
        "[fe80::1%4294967295]:0",
        "[fe80::2]:1",
        "[ff02::1%2]:5353",
    };
    struct sockbroker_addr addrs[COUNT(texts) + 1] = { { .family = SOCKBROKER_FAMILY_NONE } };

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++)
        assert_int_equal(SOCKBROKER_OK, sockbroker_addr_parse(texts[i], &addrs[i + 1], NULL));
    for (int i = 0; i < (int)COUNT(addrs); i++)
        for (int j = 0; j < (int)COUNT(addrs); j++)
            assert_int_equal(sign(i - j), sign(sockbroker_addr_compare(&addrs[i], &addrs[j])));
}

static void order_of_random_addresses_is_antisymmetric_and_transitive(void **state)
{
    (void)state;
    for (int i = 0; i < 100000; i++) {
        struct sockbroker_addr a = addr_random(), b = addr_random(), c = addr_random();
        int ab = sockbroker_addr_compare(&a, &b), bc = sockbroker_addr_compare(&b, &c);

        assert_int_equal(0, sockbroker_addr_compare(&a, &a));
        assert_int_equal(sign(ab), -sign(sockbroker_addr_compare(&b, &a)));
        assert_int_equal(ab == 0, same(&a, &b));
        if (ab <= 0 && bc <= 0)
            assert_true(sockbroker_addr_compare(&a, &c) <= 0);
    }
}

/* ---- prefixes ---- */

static const char *const prefixes[][2] = {
    /* read, printed */
    { "10.0.0.0/8", "10.0.0.0/8" },
    { "10.0.0.1", "10.0.0.1/32" },
    { "10.0.0.1/32", "10.0.0.1/32" },
    { "0.0.0.0/0", "0.0.0.0/0" },
    { "0.0.0.0", "0.0.0.0/32" },
    { "128.0.0.0/1", "128.0.0.0/1" },
    { "255.255.255.254/31", "255.255.255.254/31" },
    { "::/0", "::/0" },
    { "::", "::/128" },
    { "::1", "::1/128" },
    { "2001:DB8::/32", "2001:db8::/32" },
    { "2001:db8::1/128", "2001:db8::1/128" },
    { "fe80::/10", "fe80::/10" },
    { "64:ff9b::/96", "64:ff9b::/96" },
    { "64:ff9b::10.0.0.0/104", "64:ff9b::a00:0/104" },
    { "::10.0.0.0/104", "::10.0.0.0/104" },
    { "::/96", "::/96" },
    { "::/64", "::/64" },
    { "::fffe:0:0/95", "::fffe:0:0/95" },
    { "::ffff:10.0.0.0/104", "10.0.0.0/8" },
    { "::ffff:a00:0/104", "10.0.0.0/8" },
    { "::ffff:0:0/96", "0.0.0.0/0" },
    { "::ffff:0.0.0.0/96", "0.0.0.0/0" },
    { "::ffff:128.0.0.0/97", "128.0.0.0/1" },
    { "::ffff:10.0.0.1", "10.0.0.1/32" },
    { "::ffff:10.0.0.1/128", "10.0.0.1/32" },
    { "8000::/1", "8000::/1" },
};

static const char *const refused_prefixes[][2] = {
    { "", "the address is missing" },
    { "/", "the address is missing" },
    { "/8", "the address is missing" },
    { "10.0.0.0/", "0 to 32" },
    { "10.0.0.0/-1", "0 to 32" },
    { "10.0.0.0/+8", "0 to 32" },
    { "10.0.0.0/ 8", "0 to 32" },
    { "10.0.0.0/8 ", "0 to 32" },
    { "10.0.0.0/08", "0 to 32" },
    { "10.0.0.0/33", "0 to 32" },
    { "10.0.0.0/129", "0 to 32" },
    { "10.0.0.0/4294967304", "0 to 32" },
    { "10.0.0.0/8/8", "0 to 32" },
    { "10.0.0.0//8", "0 to 32" },
    { "10.0.0.0/255.0.0.0", "0 to 32" },
    { "2001:db8::/-1", "0 to 128" },
    { "2001:db8::/129", "0 to 128" },
    { "2001:db8::/", "0 to 128" },
    { "::ffff:10.0.0.0/136", "0 to 128" },
    { "10/8", "four numbers" },
    { "010.0.0.0/8", "octal" },
    { "10.0.0.0:80/8", "decimal digits and dots" },
    { "2001:db8/32", "fewer than eight" },
    { "[::1]/128", "no brackets" },
    { "fe80::%1/64", "no zone" },
    { "fe80::%lo", "no zone" },
    { "fe80::/64%1", "0 to 128" },
    { "10.0.0.1/8", "write 10.0.0.0/8 or 10.0.0.1/32" },
    { "10.0.0.1/31", "write 10.0.0.0/31 or 10.0.0.1/32" },
    { "0.0.0.1/0", "write 0.0.0.0/0 or 0.0.0.1/32" },
    { "128.0.0.0/0", "write 0.0.0.0/0 or 128.0.0.0/32" },
    { "172.16.0.0/11", "write 172.0.0.0/11 or 172.16.0.0/32" },
    { "2001:db8::1/32", "write 2001:db8::/32 or 2001:db8::1/128" },
    { "2001:db8::/28", "write 2001:db0::/28 or 2001:db8::/128" },
    { "::1/127", "write ::/127 or ::1/128" },
    { "::ffff:10.0.0.1/104", "write ::ffff:10.0.0.0/104 or ::ffff:10.0.0.1/128" },
    { "::ffff:10.0.0.0/8", "at least 96" },
    { "::ffff:10.0.0.0/0", "at least 96" },
    { "::ffff:0.0.0.0/95", "at least 96" },
    { "::ffff:0:0/95", "at least 96" },
};

static void prefixes_are_read_and_printed(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(prefixes); i++) {
        struct sockbroker_prefix prefix = must_parse_prefix(prefixes[i][0]);
        struct sockbroker_prefix again;
        char text[SOCKBROKER_ADDR_TEXT_MAX];

        assert_ptr_equal(text, sockbroker_prefix_format(&prefix, text));
        assert_string_equal(prefixes[i][1], text);
        assert_int_equal(0, prefix.addr.port);
        assert_int_equal(0, prefix.addr.scope_id);
        again = must_parse_prefix(text);
        assert_same(&prefix.addr, &again.addr);
        assert_int_equal(prefix.bits, again.bits);
    }
}

static void bad_prefixes_are_refused_with_reason_and_cure(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(refused_prefixes); i++) {
        const char *text = refused_prefixes[i][0];
        struct sockbroker_prefix prefix, before;
        struct sockbroker_error error;
        char quoted[128];

        memset(&prefix, 0xa5, sizeof(prefix));
        before = prefix;
        if (sockbroker_prefix_parse(text, &prefix, &error) != SOCKBROKER_INVALID)
            fail_msg("accepted: %s", text);
        assert_memory_equal(&prefix, &before, sizeof(prefix));
        format_text(quoted, sizeof(quoted), "prefix \"%s\": ", text);
        if (strncmp(error.text, quoted, strlen(quoted)) != 0 || !strstr(error.text, refused_prefixes[i][1]))
            fail_msg("wrong reason: %s", error.text);
        assert_int_equal(SOCKBROKER_INVALID, sockbroker_prefix_parse(text, &prefix, NULL));
    }
}

/* F90: every IPv4 line below is tried with the mapped form on either side, and on both. */
static const struct {
    const char *prefix;
    const char *addr;
    bool inside;
} matches[] = {
    { "10.0.0.0/8", "10.0.0.0", true },
    { "10.0.0.0/8", "10.255.255.255", true },
    { "10.0.0.0/8", "9.255.255.255", false },
    { "10.0.0.0/8", "11.0.0.0", false },
    { "0.0.0.0/0", "0.0.0.0", true },
    { "0.0.0.0/0", "255.255.255.255", true },
    { "127.0.0.1/32", "127.0.0.1", true },
    { "127.0.0.1/32", "127.0.0.2", false },
    { "172.16.0.0/12", "172.31.255.255", true },
    { "172.16.0.0/12", "172.32.0.0", false },
    { "192.0.2.0/31", "192.0.2.1", true },
    { "192.0.2.0/31", "192.0.2.2", false },
    { "128.0.0.0/1", "127.255.255.255", false },
    { "128.0.0.0/1", "128.0.0.0", true },
    { "::/0", "::", true },
    { "::/0", "2001:db8::1", true },
    { "::/0", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true },
    { "::/0", "64:ff9b::7f00:1", true },
    { "::/0", "::127.0.0.1", true },
    { "::/0", "127.0.0.1", false },
    { "::/0", "::ffff:127.0.0.1", false },
    { "::/64", "::ffff:127.0.0.1", false },
    { "::fffe:0:0/95", "::ffff:127.0.0.1", false },
    { "::fffe:0:0/95", "::fffe:127.0.0.1", true },
    { "0.0.0.0/0", "::", false },
    { "0.0.0.0/0", "::1", false },
    { "0.0.0.0/0", "64:ff9b::7f00:1", false },
    { "0.0.0.0/0", "::127.0.0.1", false },
    { "0.0.0.0/0", "::ffff:0:127.0.0.1", false },
    { "127.0.0.0/8", "64:ff9b::7f00:1", false },
    { "127.0.0.0/8", "::127.0.0.1", false },
    { "127.0.0.0/8", "2001:db8::ffff:7f00:1", false },
    { "127.0.0.0/8", "2002:7f00:1::", false },
    { "127.0.0.0/8", "7f00::", false },
    { "7f00::/8", "127.0.0.1", false },
    { "64:ff9b::/96", "64:ff9b::7f00:1", true },
    { "64:ff9b::/96", "127.0.0.1", false },
    { "::/96", "::127.0.0.1", true },
    { "::/96", "127.0.0.1", false },
    { "2001:db8::/32", "2001:db8:ffff::1", true },
    { "2001:db8::/32", "2001:db9::", false },
    { "::1/128", "::1", true },
    { "::1/128", "::", false },
    { "fe80::/10", "fe80::1%7", true },
    { "fe80::1", "fe80::1%7", true },
    { "fe80::/10", "fec0::1", false },
};

static void assert_match(const struct sockbroker_prefix *prefix, const struct sockbroker_addr *addr, bool inside)
{
    char p[SOCKBROKER_ADDR_TEXT_MAX];
    char a[SOCKBROKER_ADDR_TEXT_MAX];

    if (sockbroker_prefix_match(prefix, addr) != inside)
        fail_msg("%s is %sin %s", sockbroker_addr_format_ip(addr, a), inside ? "not " : "",
                 sockbroker_prefix_format(prefix, p));
}

static void acl_decides_for_a_mapped_address_as_for_plain_ipv4(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(matches); i++) {
        struct sockbroker_prefix prefix = must_parse_prefix(matches[i].prefix);
        struct sockbroker_prefix by_hand = prefix; /* never comes out of parse, but is a public struct */
        struct sockbroker_addr addr = must_parse_ip(matches[i].addr);
        struct sockbroker_addr mapped = addr;

        sockbroker_addr_map(&mapped);
        sockbroker_addr_map(&by_hand.addr);
        by_hand.bits += prefix.addr.family == IPV4 ? 96 : 0;
        mapped.port = 4711;
        assert_match(&prefix, &addr, matches[i].inside);
        assert_match(&prefix, &mapped, matches[i].inside);
        assert_match(&by_hand, &addr, matches[i].inside);
        assert_match(&by_hand, &mapped, matches[i].inside);
    }
}

static void nothing_matches_what_is_no_prefix_or_no_address(void **state)
{
    struct sockbroker_addr none = { .family = SOCKBROKER_FAMILY_NONE };
    struct sockbroker_addr zero4 = must_parse_ip("0.0.0.0"), zero6 = must_parse_ip("::");
    struct sockbroker_prefix no_prefix = { .bits = 0 };
    struct sockbroker_prefix all4 = must_parse_prefix("0.0.0.0/0"), all6 = must_parse_prefix("::/0");
    struct sockbroker_prefix long4 = { zero4, 33 }, long6 = { zero6, 129 }, huge6 = { zero6, ~0u };
    struct sockbroker_prefix long_mapped = { must_parse_ip("::ffff:0.0.0.0"), 129 };

    (void)state;
    assert_match(&all4, &none, false);
    assert_match(&all6, &none, false);
    assert_match(&no_prefix, &none, false);
    assert_match(&no_prefix, &zero4, false);
    assert_match(&long4, &zero4, false);
    assert_match(&long6, &zero6, false);
    assert_match(&huge6, &zero6, false);
    assert_match(&long_mapped, &zero4, false);
}

static void check_every_length(struct sockbroker_addr addr, unsigned bits_max)
{
    for (unsigned bits = 0; bits <= bits_max; bits++) {
        struct sockbroker_prefix prefix = { addr, bits };
        struct sockbroker_prefix again;
        char text[SOCKBROKER_ADDR_TEXT_MAX];

        for (unsigned bit = bits; bit < bits_max; bit++)
            prefix.addr.ip[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
        again = must_parse_prefix(sockbroker_prefix_format(&prefix, text));
        assert_same(&prefix.addr, &again.addr);
        assert_int_equal(bits, again.bits);
        assert_match(&prefix, &prefix.addr, true);
        for (unsigned bit = 0; bit < bits_max; bit++) {
            struct sockbroker_addr other = prefix.addr;

            other.ip[bit / 8] ^= (uint8_t)(0x80u >> bit % 8);
            assert_match(&prefix, &other, bit >= bits);
        }
    }
}

static void exactly_the_first_bits_count_at_every_length(void **state)
{
    (void)state;
    check_every_length(must_parse_ip("255.255.255.255"), 32);
    check_every_length(must_parse_ip("170.85.170.85"), 32);
    check_every_length(must_parse_ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), 128);
    check_every_length(must_parse_ip("aaaa:5555:aaaa:5555:aaaa:5555:aaaa:5555"), 128);
}

/* ---- sockaddr ---- */

static void ipv4_goes_through_sockaddr(void **state)
{
    struct sockbroker_addr addr, again;
    struct sockaddr_storage storage;
    struct sockaddr_in in;

    (void)state;
    assert_int_equal(SOCKBROKER_OK, sockbroker_addr_parse("192.0.2.1:258", &addr, NULL));
    memset(&storage, 0xa5, sizeof(storage));
    assert_int_equal(sizeof(in), sockbroker_addr_to_sockaddr(&addr, &storage));
    memcpy(&in, &storage, sizeof(in));
    assert_int_equal(AF_INET, in.sin_family);
    assert_memory_equal("\x01\x02", &in.sin_port, 2);
    assert_memory_equal("\xc0\x00\x02\x01", &in.sin_addr, 4);
    assert_memory_equal("\0\0\0\0\0\0\0\0", in.sin_zero, 8);
    assert_int_equal(SOCKBROKER_OK, sockbroker_addr_from_sockaddr((struct sockaddr *)&storage, sizeof(in), &again));
    assert_same(&addr, &again);
}

static void ipv6_goes_through_sockaddr_with_its_scope(void **state)
{
    struct sockbroker_addr addr, again;
    struct sockaddr_storage storage;
    struct sockaddr_in6 in6;

    (void)state;
    assert_int_equal(SOCKBROKER_OK, sockbroker_addr_parse("[fe80::102%16909060]:258", &addr, NULL));
    memset(&storage, 0xa5, sizeof(storage));
    assert_int_equal(sizeof(in6), sockbroker_addr_to_sockaddr(&addr, &storage));
    memcpy(&in6, &storage, sizeof(in6));
    assert_int_equal(AF_INET6, in6.sin6_family);
    assert_memory_equal("\x01\x02", &in6.sin6_port, 2);
    assert_int_equal(0, in6.sin6_flowinfo);
    assert_int_equal(16909060, in6.sin6_scope_id); /* host byte order */
    assert_memory_equal("\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\x01\x02", &in6.sin6_addr, 16);
    assert_int_equal(SOCKBROKER_OK, sockbroker_addr_from_sockaddr((struct sockaddr *)&storage, sizeof(in6), &again));
    assert_same(&addr, &again);
}

static void from_sockaddr_keeps_mapped_and_drops_what_means_nothing(void **state)
{
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_flowinfo = 7, .sin6_scope_id = 3 };
    struct sockbroker_addr addr, mapped = must_parse_ip("::ffff:192.0.2.1");

    (void)state;
    memcpy(&in6.sin6_addr, mapped.ip, 16);
    assert_int_equal(SOCKBROKER_OK, sockbroker_addr_from_sockaddr((struct sockaddr *)&in6, sizeof(in6), &addr));
    assert_same(&mapped, &addr);
}

static void random_addresses_survive_sockaddr_at_any_alignment(void **state)
{
    char room[sizeof(struct sockaddr_storage) + 1];

    (void)state;
    for (int i = 0; i < 20000; i++) {
        struct sockbroker_addr addr = addr_random(), again;
        struct sockaddr_storage storage;
        size_t len = sockbroker_addr_to_sockaddr(&addr, &storage);
        size_t shift = (size_t)i % 2;

        memcpy(room + shift, &storage, sizeof(storage));
        assert_int_equal(SOCKBROKER_OK,
                         sockbroker_addr_from_sockaddr((const void *)(room + shift), len + addr_pick(2), &again));
        assert_same(&addr, &again);
    }
}

static void short_or_foreign_sockaddr_is_refused(void **state)
{
    static const int families[] = { AF_INET, AF_INET6 };
    struct sockbroker_addr addr, before;
    struct sockaddr_storage storage;
    struct sockaddr *heap;

    (void)state;
    memset(&addr, 0xa5, sizeof(addr));
    before = addr;
    for (size_t i = 0; i < COUNT(families); i++) {
        size_t full = families[i] == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);

        for (size_t len = 0; len < full; len++) {
            memset(&storage, 0, sizeof(storage));
            ((struct sockaddr *)&storage)->sa_family = (unsigned short)families[i];
            heap = malloc(len ? len : 1); /* so that the sanitizer sees a read beyond */
            assert_non_null(heap);
            memcpy((void *)heap, &storage, len);
            assert_int_equal(SOCKBROKER_INVALID, sockbroker_addr_from_sockaddr(heap, len, &addr));
            free(heap);
        }
    }
    for (int family = 0; family < 256; family++) {
        ((struct sockaddr *)&storage)->sa_family = (unsigned short)family;
        if (family != AF_INET && family != AF_INET6)
            assert_int_equal(SOCKBROKER_INVALID,
                             sockbroker_addr_from_sockaddr((struct sockaddr *)&storage, sizeof(storage), &addr));
    }
    assert_int_equal(SOCKBROKER_INVALID, sockbroker_addr_from_sockaddr(NULL, 0, &addr));
    assert_int_equal(SOCKBROKER_INVALID, sockbroker_addr_from_sockaddr(NULL, 16, &addr));
    assert_memory_equal(&addr, &before, sizeof(addr));
}

static void no_address_has_no_sockaddr(void **state)
{
    struct sockbroker_addr none = { .family = SOCKBROKER_FAMILY_NONE };
    struct sockaddr_storage storage, before;

    (void)state;
    memset(&storage, 0xa5, sizeof(storage));
    before = storage;
    assert_int_equal(0, sockbroker_addr_to_sockaddr(&none, &storage));
    assert_memory_equal(&storage, &before, sizeof(storage));
}

/* ---- many texts ---- */

/* Whatever is accepted comes back the same through its printed form, and printing has one form only. */
static int check_round_trips(const char *text)
{
    struct sockbroker_addr addr, again;
    struct sockbroker_prefix prefix, prefix_again;
    char printed[SOCKBROKER_ADDR_TEXT_MAX];
    int n_accepted = 0;

    if (sockbroker_addr_parse(text, &addr, NULL) == SOCKBROKER_OK) {
        assert_int_equal(SOCKBROKER_OK, sockbroker_addr_parse(sockbroker_addr_format(&addr, printed), &again, NULL));
        assert_same(&addr, &again);
        n_accepted++;
    }
    if (sockbroker_addr_parse_ip(text, &addr, NULL) == SOCKBROKER_OK) {
        assert_int_equal(SOCKBROKER_OK, sockbroker_addr_parse_ip(sockbroker_addr_format_ip(&addr, printed), &again, NULL));
        assert_same(&addr, &again);
        n_accepted++;
    }
    if (sockbroker_prefix_parse(text, &prefix, NULL) == SOCKBROKER_OK) {
        prefix_again = must_parse_prefix(sockbroker_prefix_format(&prefix, printed));
        assert_same(&prefix.addr, &prefix_again.addr);
        assert_int_equal(prefix.bits, prefix_again.bits);
        assert_match(&prefix, &prefix.addr, true);
        n_accepted++;
    }
    return n_accepted;
}

static void every_mutation_of_one_byte_is_refused_or_comes_back_the_same(void **state)
{
    static const char *const texts[] = {
        "192.0.2.1:80",    "255.255.255.255:65535", "[2001:db8::1]:80",
        "[fe80::1%2]:443", "[::ffff:192.0.2.1]:80", "::",
        "1:2:3:4:5:6:7:8", "::127.0.0.1",           "10.0.0.0/8",
        "2001:db8::/32",   "::ffff:10.0.0.0/104",   "fe80::1%4294967295",
    };
    char text[80];
    int n_accepted = 0;

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        size_t len = strlen(texts[i]);

        assert_true(check_round_trips(texts[i]));
        for (size_t at = 0; at <= len; at++) {
            for (int c = 0; c < 256; c++) { /* replace; a NUL cuts */
                memcpy(text, texts[i], len + 1);
                if (at < len)
                    text[at] = (char)c;
                n_accepted += check_round_trips(text);
                format_text(text, sizeof(text), "%.*s%c%s", (int)at, texts[i], c, texts[i] + at); /* insert */
                n_accepted += check_round_trips(text);
            }
            format_text(text, sizeof(text), "%.*s%s", (int)at, texts[i], texts[i] + at + (at < len)); /* remove */
            n_accepted += check_round_trips(text);
        }
    }
    assert_true(n_accepted > 1000);
}

/* Windows prints some addresses in other forms, and reads more; but what we print it reads. */
static void the_system_reads_what_is_printed(void **state)
{
    (void)state;
    for (int i = 0; i < 100000; i++) {
        struct sockbroker_addr addr = addr_random();
        char text[SOCKBROKER_ADDR_TEXT_MAX];
        unsigned char bytes[16];

        addr.scope_id = 0;
        sockbroker_addr_format_ip(&addr, text);
        assert_int_equal(1, inet_pton(addr.family == IPV4 ? AF_INET : AF_INET6, text, bytes));
        assert_memory_equal(bytes, addr.ip, addr.family == IPV4 ? 4 : 16);
    }
}

static sockbroker_status parse_as(const char *kind, const char *text, struct sockbroker_error *error)
{
    struct sockbroker_addr addr;
    struct sockbroker_prefix prefix;

    if (strncmp(kind, "addr_", 5) == 0)
        return sockbroker_addr_parse(text, &addr, error);
    if (strncmp(kind, "ip_", 3) == 0)
        return sockbroker_addr_parse_ip(text, &addr, error);
    assert_int_equal(0, strncmp(kind, "prefix_", 7));
    return sockbroker_prefix_parse(text, &prefix, error);
}

static void check_input_file(const char *folder, const char *name)
{
    bool accept = strncmp(name, "accept_", 7) == 0;
    char path[1024];
    char text[1024];
    struct sockbroker_error error = { .status = SOCKBROKER_OK };
    FILE *file;

    format_text(path, sizeof(path), "%s/%s", folder, name);
    file = fopen(path, "rb");
    assert_non_null(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    assert_true(accept || strncmp(name, "reject_", 7) == 0);
    if (parse_as(name + 7, text, &error) != (accept ? SOCKBROKER_OK : SOCKBROKER_INVALID))
        fail_msg("%s: %s", name, accept ? error.text : "was accepted");
    assert_int_equal(accept, error.text[0] == '\0');
}

static void input_files_meet_the_fate_in_their_names(void **state)
{
    const char *data = getenv("SB_TEST_DATA") ? getenv("SB_TEST_DATA") : "tests/data";
    char folder[512];
    DIR *dir;
    int n_files = 0;

    (void)state;
    format_text(folder, sizeof(folder), "%s/addr", data);
    dir = opendir(folder);
    if (!dir)
        fail_msg("cannot open %s: run from the top of the project or set SB_TEST_DATA", folder);
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        if (entry->d_name[0] == '.')
            continue;
        check_input_file(folder, entry->d_name);
        n_files++;
    }
    closedir(dir);
    assert_true(n_files > 80);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(address_and_port_are_read),
        cmocka_unit_test(bytes_are_in_network_order_and_the_rest_is_zero),
        cmocka_unit_test(bare_addresses_are_read_and_printed_by_rfc_5952),
        cmocka_unit_test(no_address_is_printed_as_a_dash),
        cmocka_unit_test(bad_text_is_refused_with_reason_and_cure),
        cmocka_unit_test(error_quotes_the_input),
        cmocka_unit_test(no_text_at_all_is_refused),
        cmocka_unit_test(endless_text_is_refused_with_a_short_reason),
        cmocka_unit_test(zone_is_not_printed_where_it_means_nothing),
        cmocka_unit_test(exactly_the_mapped_addresses_become_ipv4),
        cmocka_unit_test(every_single_bit_of_the_mapped_prefix_counts),
        cmocka_unit_test(mapping_back_and_forth_keeps_ipv4_and_leaves_others_alone),
        cmocka_unit_test(every_class_holds_up_to_both_edges_of_its_ranges),
        cmocka_unit_test(random_addresses_have_the_class_of_their_range),
        cmocka_unit_test(no_address_has_class_none_and_a_mapped_one_shows_after_normalising),
        cmocka_unit_test(class_names_differ_and_are_never_missing),
        cmocka_unit_test(order_is_total),
        cmocka_unit_test(order_of_random_addresses_is_antisymmetric_and_transitive),
        cmocka_unit_test(prefixes_are_read_and_printed),
        cmocka_unit_test(bad_prefixes_are_refused_with_reason_and_cure),
        cmocka_unit_test(acl_decides_for_a_mapped_address_as_for_plain_ipv4),
        cmocka_unit_test(nothing_matches_what_is_no_prefix_or_no_address),
        cmocka_unit_test(exactly_the_first_bits_count_at_every_length),
        cmocka_unit_test(ipv4_goes_through_sockaddr),
        cmocka_unit_test(ipv6_goes_through_sockaddr_with_its_scope),
        cmocka_unit_test(from_sockaddr_keeps_mapped_and_drops_what_means_nothing),
        cmocka_unit_test(random_addresses_survive_sockaddr_at_any_alignment),
        cmocka_unit_test(short_or_foreign_sockaddr_is_refused),
        cmocka_unit_test(no_address_has_no_sockaddr),
        cmocka_unit_test(every_mutation_of_one_byte_is_refused_or_comes_back_the_same),
        cmocka_unit_test(the_system_reads_what_is_printed),
        cmocka_unit_test(input_files_meet_the_fate_in_their_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
