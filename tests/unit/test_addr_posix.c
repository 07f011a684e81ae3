/* Zones by the names of the interfaces that there are; text beside inet_ntop() and inet_pton(), which read and write as we do.
 */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <string.h>
#include <sys/resource.h>

#include "tests/support/format.h"
#include "tests/unit/addr_kit.h"

static void zone_name_becomes_the_index(void **state)
{
    struct if_nameindex *all = if_nameindex();
    char text[64];

    (void)state;
    assert_non_null(all);
    for (struct if_nameindex *one = all; one->if_index; one++) {
        struct sockbroker_addr addr;

        if (strspn(one->if_name, "0123456789") == strlen(one->if_name))
            continue;
        format_text(text, sizeof(text), "fe80::1%%%s", one->if_name);
        assert_status(SOCKBROKER_OK, sockbroker_addr_parse_ip(text, &addr, NULL));
        assert_int_equal(one->if_index, addr.scope_id);
    }
    if_freenameindex(all);
}

static void zone_lookup_without_descriptors_says_so(void **state)
{
    struct rlimit before, none;
    struct sockbroker_addr addr;
    struct sockbroker_error error;
    sockbroker_status by_name, by_number;

    (void)state;
    assert_int_equal(0, getrlimit(RLIMIT_NOFILE, &before));
    none = before;
    none.rlim_cur = 0;
    assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &none));
    by_name = sockbroker_addr_parse_ip("fe80::1%lo", &addr, &error);
    by_number = sockbroker_addr_parse_ip("fe80::1%1", &addr, NULL);
    assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &before));
    assert_int_equal(SOCKBROKER_INVALID, by_name);
    assert_int_not_equal(0, error.os_code); /* glibc: ENOENT instead of EMFILE */
    assert_non_null(strstr(error.text, "cannot look up the interface now"));
    assert_int_equal(SOCKBROKER_OK, by_number);
}

static void printing_agrees_with_inet_ntop(void **state)
{
    (void)state;
    for (int i = 0; i < 300000; i++) {
        struct sockbroker_addr addr = addr_random();
        int family = addr.family == SOCKBROKER_IPV4 ? AF_INET : AF_INET6;
        char ours[SOCKBROKER_ADDR_TEXT_MAX];
        char theirs[INET6_ADDRSTRLEN];

        addr.scope_id = 0;
        sockbroker_addr_format_ip(&addr, ours);
        assert_non_null(inet_ntop(family, addr.ip, theirs, sizeof(theirs)));
        if (strcmp(ours, theirs) != 0)
            fail_msg("%s, but the system prints %s", ours, theirs);
    }
}

/* Text that is often almost an address. */
static void random_text(char text[64])
{
    static const char *const pieces[] = { ":",  ":",     "::", ":0",      ":1",      ":ffff", ":abcd",   "0", "1",
                                          ".",  ".1",    ".0", ".25",     ".255",    ".256",  "1.2.3.4", "f", "00",
                                          "12", ":0001", ":1", "1:2:3:4", "::ffff:", "1.2",   "g" };
    unsigned n = 1 + addr_pick(12);

    text[0] = '\0';
    for (unsigned i = 0; i < n; i++)
        strncat(text, pieces[addr_pick(UNIT_COUNT(pieces))], 63 - strlen(text));
}

static void random_near_miss(char text[64])
{
    struct sockbroker_addr addr = addr_random();
    char printed[SOCKBROKER_ADDR_TEXT_MAX];
    size_t len;

    addr.scope_id = 0;
    sockbroker_addr_format_ip(&addr, printed);
    format_text(text, 64, "%.63s", printed);
    len = strlen(text);
    if (addr_pick(2))
        text[addr_pick(len)] = "0123456789abcdefABCDEF:."[addr_pick(24)];
    if (addr_pick(4) == 0)
        memmove(text + len / 2, text + len / 2 + 1, len - len / 2);
}

static void reading_agrees_with_inet_pton(void **state)
{
    int n_accepted = 0;

    (void)state;
    for (int i = 0; i < 600000; i++) {
        char text[64];
        unsigned char bytes[16] = { 0 };
        struct sockbroker_addr addr;
        bool theirs, ours;

        if (i % 2)
            random_text(text);
        else
            random_near_miss(text);
        theirs = inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
        ours = sockbroker_addr_parse_ip(text, &addr, NULL) == SOCKBROKER_OK;
        if (ours != theirs)
            fail_msg("\"%s\": the system %s it", text, theirs ? "accepts" : "refuses");
        if (ours)
            assert_memory_equal(bytes, addr.ip, addr.family == SOCKBROKER_IPV4 ? 4 : 16);
        n_accepted += ours;
    }
    assert_in_range(n_accepted, 100000, 500000); /* both answers are met often */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(zone_name_becomes_the_index),
        UNIT_TEST(zone_lookup_without_descriptors_says_so),
        UNIT_TEST(printing_agrees_with_inet_ntop),
        UNIT_TEST(reading_agrees_with_inet_pton),
    };

    return cmocka_run_group_tests_name("addr_posix", tests, NULL, NULL);
}
