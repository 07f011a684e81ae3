/* Our order of destinations beside that of CreateSortedAddressPairs(), by the same table: Windows has that of RFC 6724 unless
 * somebody has changed it (netsh interface ipv6 show prefixpolicies).
 *
 * Wine has the call for mapped addresses alone: it answers ERROR_NOT_SUPPORTED to others, and ERROR_INVALID_PARAMETER to a list
 * of sources. That, and only there, leaves a comparison out. */
#include "tests/unit/host_kit.h"

#include <stdio.h>

#include "client-lib/sysnet.h"
#include "proto/socket.h"
#include "sockbroker/addr.h"

#include <iphlpapi.h>

#define PAIRS_MAX 8

struct order {
    struct sockbroker_addr destinations[PAIRS_MAX];
    size_t n;
};

static bool is_wine(void)
{
    return GetProcAddress(GetModuleHandleW(L"ntdll.dll"), "wine_get_version") != NULL;
}

/* As the system has it: IPv4 in its mapped form. */
static void put_all(const char *const *texts, SOCKADDR_IN6 *list, size_t *n_out)
{
    struct sockbroker_addr addrs[HOST_LIST_MAX];
    struct sockaddr_storage sa;

    *n_out = host_read_addrs(texts, addrs);
    assert_true(*n_out <= PAIRS_MAX);
    for (size_t i = 0; i < *n_out; i++) {
        sockbroker_addr_map(&addrs[i]);
        sockbroker_addr_to_sockaddr(&addrs[i], &sa);
        list[i] = *(const SOCKADDR_IN6 *)&sa;
    }
}

static DWORD ask_system(const char *const *destinations, const char *const *sources, struct order *order_out)
{
    SOCKADDR_IN6 to[PAIRS_MAX], from[PAIRS_MAX];
    SOCKADDR_IN6_PAIR *pairs = NULL;
    size_t n_to, n_from = 0;
    ULONG n = 0;

    put_all(destinations, to, &n_to);
    if (sources)
        put_all(sources, from, &n_from);
    DWORD code = CreateSortedAddressPairs(sources ? from : NULL, (ULONG)n_from, to, (ULONG)n_to, 0, &pairs, &n);
    if (code)
        return code;
    assert_true(n <= PAIRS_MAX);
    order_out->n = n;
    for (ULONG i = 0; i < n; i++) {
        sockbroker_addr_from_sockaddr((struct sockaddr *)pairs[i].DestinationAddress, sizeof(SOCKADDR_IN6),
                                      &order_out->destinations[i]);
        sockbroker_addr_normalise(&order_out->destinations[i]);
    }
    FreeMibTable(pairs);
    return 0;
}

static void ask_us(const char *const *destinations, const char *const *sources, struct order *order_out)
{
    struct sockbroker_select_options options = SOCKBROKER_SELECT_OPTIONS_INIT;
    struct sockbroker_addr to[HOST_LIST_MAX], from[HOST_LIST_MAX];
    struct sockbroker_pair pairs[HOST_LIST_MAX];

    if (sources) {
        options.n_sources = host_read_addrs(sources, from);
        options.sources = from;
    }
    assert_status(SOCKBROKER_OK,
                  sockbroker_select_pairs(to, host_read_addrs(destinations, to), &options, pairs, &order_out->n, NULL));
    for (size_t i = 0; i < order_out->n; i++)
        order_out->destinations[i] = pairs[i].destination;
}

static void print_order(const char *whose, const struct order *order)
{
    char text[SOCKBROKER_ADDR_TEXT_MAX];

    print_message("%s:", whose);
    for (size_t i = 0; i < order->n; i++)
        print_message(" %s", sockbroker_addr_format_ip(&order->destinations[i], text));
    print_message("\n");
}

static void assert_same_order(const struct order *system, const struct order *ours)
{
    bool same = system->n == ours->n;

    for (size_t i = 0; same && i < ours->n; i++)
        same = sockbroker_addr_compare(&system->destinations[i], &ours->destinations[i]) == 0;
    if (same)
        return;
    print_order("system", system);
    print_order("ours", ours);
    fail();
}

/* wine: what Wine answers instead of an order; 0 when it has one. */
static void compare(const char *const *destinations, const char *const *sources, DWORD wine)
{
    struct order system, ours;
    DWORD code = ask_system(destinations, sources, &system);

    ask_us(destinations, sources, &ours);
    assert_int_equal(code, is_wine() ? wine : 0);
    if (code) {
        print_message("not compared: CreateSortedAddressPairs() of Wine answers %lu\n", code);
        skip();
    }
    assert_same_order(&system, &ours);
}

static void ipv4_destinations_keep_the_order_in_which_nothing_differs(void **state)
{
    static const char *const one[] = { "127.0.0.1", NULL };
    static const char *const many[] = { "127.0.0.3", "127.0.0.1", "127.0.0.2", NULL };

    (void)state;
    compare(one, NULL, 0);
    compare(many, NULL, 0);
}

static void ipv6_comes_before_ipv4(void **state)
{
    static const char *const both[] = { "127.0.0.1", "::1", NULL };

    (void)state;
    compare(both, NULL, ERROR_NOT_SUPPORTED);
}

static void a_list_of_sources_decides_who_is_usable(void **state)
{
    static const char *const both[] = { "127.0.0.1", "::1", NULL };
    static const char *const ipv4[] = { "127.0.0.1", NULL };

    (void)state;
    compare(both, ipv4, ERROR_INVALID_PARAMETER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(ipv4_destinations_keep_the_order_in_which_nothing_differs),
        UNIT_TEST(ipv6_comes_before_ipv4),
        UNIT_TEST(a_list_of_sources_decides_who_is_usable),
    };

    return sb_socket_prepare() ? 1 : cmocka_run_group_tests_name("select_win32", tests, NULL, NULL);
}
