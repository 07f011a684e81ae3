/* What the machine itself answers, as it is: host_*.c, route.c, and, above it, select.h. */
#include "tests/unit/host_kit.h"

#include <string.h>

static void loopback_has_itself_as_source(void **state)
{
    struct sockbroker_pair pair;

    (void)state;
    pair = host_pair_for("127.0.0.1");
    host_require_text(&pair.source, "127.0.0.1");
    assert_int_equal(pair.source.port, 0);
    assert_int_equal(pair.scope, SOCKBROKER_SCOPE_LINK_LOCAL);
    assert_int_equal(pair.common_bits, 8);
    assert_false(pair.encapsulated);
    pair = host_pair_for("::ffff:127.0.0.1");
    host_require_text(&pair.destination, "127.0.0.1");
    if (!unit_has_ipv6())
        return;
    pair = host_pair_for("::1");
    host_require_text(&pair.source, "::1");
    assert_int_equal(pair.precedence, 50);
    assert_int_equal(pair.source_label, 0);
    assert_int_equal(pair.common_bits, 128);
}

static void lists_are_sorted_in_place_and_may_shrink(void **state)
{
    static const char *const given[] = { "127.0.0.1", "::1", "::ffff:127.0.0.1", NULL };
    struct sockbroker_select_options options = SOCKBROKER_SELECT_OPTIONS_INIT;
    struct sockbroker_addr list[HOST_LIST_MAX], source = host_read_addr("127.0.0.2"); /* ours, and in no list */
    size_t n = host_read_addrs(given, list);

    (void)state;
    if (!unit_has_ipv6())
        skip();
    list[0].port = 80;
    assert_status(SOCKBROKER_OK, sockbroker_select_sort(list, &n, NULL, NULL));
    assert_int_equal(n, 3);
    host_require_text(&list[0], "::1");
    host_require_text(&list[1], "127.0.0.1");
    assert_int_equal(list[1].port, 80);
    host_require_text(&list[2], "127.0.0.1");

    options.sources = &source;
    options.n_sources = 1;
    assert_status(SOCKBROKER_OK, sockbroker_select_sort(list, &n, &options, NULL));
    assert_int_equal(n, 2);
    host_require_text(&list[0], "127.0.0.1");
    list[0] = host_read_addr("::1");
    n = 1;
    assert_status(SOCKBROKER_OK, sockbroker_select_sort(list, &n, &options, NULL));
    assert_int_equal(n, 0);
}

static void a_source_that_is_not_ours_is_of_no_use(void **state)
{
    (void)state;
    if (!unit_has_ipv6())
        skip();
    host_assert_no_source("::1", "2001:db8:7777::1"); /* of IPv4 Wine lets a UDP socket have any */
}

static bool has(const struct sb_host *host, const char *ip)
{
    struct sockbroker_addr addr = host_read_addr(ip);

    for (size_t i = 0; i < host->n_addresses; i++) {
        if (host->addresses[i].addr.family == addr.family && !memcmp(host->addresses[i].addr.ip, addr.ip, sizeof(addr.ip)))
            return true;
    }
    return false;
}

static void the_loopback_addresses_are_listed(void **state)
{
    struct sb_host host;

    (void)state;
    assert_status(SOCKBROKER_OK, sb_host_open(&host, NULL));
    assert_true(has(&host, "127.0.0.1"));
    assert_int_equal(has(&host, "::1"), unit_has_ipv6());
    sb_host_close(&host);
    assert_null(host.addresses);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(loopback_has_itself_as_source),
        UNIT_TEST(lists_are_sorted_in_place_and_may_shrink),
        UNIT_TEST(a_source_that_is_not_ours_is_of_no_use),
        UNIT_TEST(the_loopback_addresses_are_listed),
    };

    return cmocka_run_group_tests_name("host", tests, NULL, NULL);
}
