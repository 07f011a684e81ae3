#include "tests/unit/host_kit.h"

#include <string.h>

#include "client-lib/route.h"

size_t host_read_addrs(const char *const *texts, struct sockbroker_addr *list)
{
    size_t n = 0;

    for (; texts[n]; n++) {
        UNIT_REQUIRE(n < HOST_LIST_MAX);
        UNIT_REQUIRE(sockbroker_addr_parse_ip(texts[n], &list[n], NULL) == SOCKBROKER_OK);
    }
    return n;
}

struct sockbroker_addr host_read_addr(const char *text)
{
    const char *const texts[] = { text, NULL };
    struct sockbroker_addr addr;

    host_read_addrs(texts, &addr);
    return addr;
}

void host_require_text(const struct sockbroker_addr *addr, const char *expected)
{
    char text[SOCKBROKER_ADDR_TEXT_MAX];

    bool is_expected = !strcmp(sockbroker_addr_format_ip(addr, text), expected);
    if (!is_expected)
        print_error("%s is not %s\n", text, expected);
    UNIT_REQUIRE(is_expected);
}

struct sockbroker_pair host_pair_for(const char *destination)
{
    struct sockbroker_select_options options = SOCKBROKER_SELECT_OPTIONS_INIT;
    struct sockbroker_addr addr = host_read_addr(destination);
    struct sockbroker_pair pair;
    struct sockbroker_error error = { .status = SOCKBROKER_OK };
    size_t n;

    options.keep_unusable = true;
    if (sockbroker_select_pairs(&addr, 1, &options, &pair, &n, &error))
        print_error("%s\n", error.text);
    UNIT_REQUIRE(error.status == SOCKBROKER_OK && n == 1);
    return pair;
}

void host_assert_no_source(const char *to, const char *from)
{
    struct sockbroker_select_options options = SOCKBROKER_SELECT_OPTIONS_INIT;
    struct sockbroker_addr destination = host_read_addr(to), source = host_read_addr(from);
    struct sb_host_wish wish = { .source = &source };
    enum sockbroker_unusable unusable = SOCKBROKER_USABLE;
    struct sockbroker_pair pair;
    struct sb_host host;
    int os_code;
    size_t n;

    assert_status(SOCKBROKER_OK, sb_host_open(&host, NULL));
    assert_status(SOCKBROKER_OK, host.find_source(&host, &destination, &wish, &pair.source, &unusable, &os_code));
    assert_int_equal(unusable, SOCKBROKER_UNUSABLE_NO_SOURCE);
    sb_host_close(&host);
    options.sources = &source;
    options.n_sources = 1;
    options.keep_unusable = true;
    assert_status(SOCKBROKER_OK, sockbroker_select_pairs(&destination, 1, &options, &pair, &n, NULL));
    assert_int_equal(pair.unusable, SOCKBROKER_UNUSABLE_NO_SOURCE);
    assert_int_equal(pair.os_code, sb_route_no_source_code());
}
