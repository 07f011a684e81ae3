/* Faults of the two address families: rows F90 to F94 and F96 of the list of faults. */
#include <string.h>

#include "tests/support/fault.h"
#include "tests/support/format.h"
#include "tests/support/net.h"

static struct kit_broker *start(const char *endpoint, const char *env)
{
    return kit_broker_start(&(struct kit_start){ .args = { "--endpoint", endpoint }, .env = { env } });
}

/* Can somebody else bind there? thief: with what the system has to share a port. Closes it. */
static bool can_bind(const char *host, uint16_t port, bool thief)
{
    struct sockaddr_storage at;
    socklen_t len = net_address(host, port, &at);
    sockbroker_socket sock = net_open(at.ss_family, SOCK_STREAM);

    if (thief)
        net_share_port(sock);
    if (at.ss_family == AF_INET6)
        net_set_option(sock, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    bool can = bind(sock, (struct sockaddr *)&at, len) == 0 && listen(sock, 1) == 0;
    net_close(&sock);
    return can;
}

/* ---- rules ---- */

/* F90: rules in both spellings; "other" is a loopback address outside them. */
static void ipv4_client_of_a_dual_socket_is_judged_as_ipv4(void **state)
{
    static const struct {
        const char *rule;
        bool ipv4, ipv4_other, ipv6;
    } cases[] = {
        { "allow=127.0.0.0/24", true, false, false },
        { "allow=::ffff:127.0.0.0/120", true, false, false },
        { "deny=127.0.0.0/24", false, true, true },
        { "deny=::ffff:127.0.0.0/120", false, true, true },
        { "allow=::1/128", false, false, true },
        { "deny=::1/128", true, true, false },
        { "allow=::/0", false, false, true },
        { "deny=::/0", true, true, false },
        { "allow=0.0.0.0/0", true, true, false },
        { "allow=::ffff:0:0/96", true, true, false },
        { "deny=::ffff:0:0/96", false, false, true },
        { "allow=127.0.0.0/8,deny=127.0.0.0/24", false, true, false }, /* deny comes first */
        { "deny=64:ff9b::/96+::/97", true, true, false },              /* ::1 is in the second; no IPv4 client is in either */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (unsigned split = 0; split < 2; split++) {
            char endpoint[160];

            format_text(endpoint, sizeof(endpoint), "web=[::]:0,family=%s,%s", split ? "split" : "dual", cases[i].rule);
            struct kit_broker *b = start(endpoint, NULL);
            struct kit_process *w = fault_start_worker(b);
            unsigned denied = 3u - cases[i].ipv4 - cases[i].ipv4_other - cases[i].ipv6;
            bool good = fault_is_served(b, NULL, "127.0.0.1") == cases[i].ipv4 &&
                        fault_is_served(b, "127.0.1.1", "127.0.0.1") == cases[i].ipv4_other &&
                        fault_is_served(b, NULL, "::1") == cases[i].ipv6;
            if (!good)
                kit_fail("%s is judged wrong", endpoint);
            kit_broker_wait_settled(b);
            struct sb_endpoint_counters c = kit_counters(b, "web");
            assert_int_equal(c.accepted, 3);
            assert_int_equal(c.denied, denied);
            assert_int_equal(c.acked, 3 - denied);
            fault_finish(b, w);
        }
    }
}

/* ---- binding ---- */

/* F93 */
static void port_taken_on_one_family_names_it_and_binds_nothing(void **state)
{
    static const struct {
        const char *taken, *family, *says, *other;
    } cases[] = {
        { "0.0.0.0", "split", "0.0.0.0:", "::" },       { "127.0.0.1", "split", "0.0.0.0:", "::" },
        { "::", "split", "[::]:", "0.0.0.0" },          { "::1", "split", "[::]:", "0.0.0.0" },
        { "0.0.0.0", "dual", "(IPv6 and IPv4)", "::" }, { "::", "dual", "(IPv6 and IPv4)", "0.0.0.0" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint16_t port;
        sockbroker_socket sock = kit_listen_apart(cases[i].taken, &port);
        char endpoint[96], text[64];

        format_text(endpoint, sizeof(endpoint), "web=[::]:%u,family=%s", port, cases[i].family);
        struct kit_broker *b =
            kit_broker_launch(&(struct kit_start){ .args = { "--endpoint", "first=[::]:0", "--endpoint", endpoint } });
        assert_int_equal(kit_process_wait(b->process), 1);
        format_text(text, sizeof(text), "endpoint web: bind %s", cases[i].says[0] == '(' ? "[::]:" : cases[i].says);
        assert_true(kit_process_has_log(b->process, text));
        assert_true(kit_process_has_log(b->process, "EADDRINUSE") || kit_process_has_log(b->process, "WSAEACCES"));
        if (cases[i].says[0] == '(')
            assert_true(kit_process_has_log(b->process, cases[i].says));
        else
            assert_true(kit_process_has_log(b->process, strchr(cases[i].says, '[') ? "(IPv6)" : "(IPv4)"));
        assert_false(kit_process_has_log(b->process, "event=ready"));
        assert_true(can_bind(cases[i].other, port, false));
        kit_broker_free(b);
        net_close(&sock);
    }
}

/* F94 */
static void nobody_else_can_join_the_port(void **state)
{
    static const char *const families[] = { "dual", "split", "ipv6", "ipv4" };

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        char endpoint[64];

        format_text(endpoint, sizeof(endpoint), "web=%s:0,family=%s", i == 3 ? "0.0.0.0" : "[::]", families[i]);
        struct kit_broker *b = start(endpoint, NULL);
        uint16_t port = kit_broker_port(b, "web");
        if (i != 3) {
            assert_false(can_bind("::", port, true));
            assert_false(can_bind("::1", port, true));
        }
        if (i != 2) {
            assert_false(can_bind("0.0.0.0", port, true));
            assert_false(can_bind("127.0.0.1", port, true));
            assert_false(can_bind("127.0.0.1", port, false));
        }
        kit_broker_stop(b);
    }
}

/* Port 0: the same port for both, each family on its own socket, and the mapped form nowhere. */
static void split_has_two_sockets_on_one_port(void **state)
{
    struct kit_broker *b = start("web=[::]:0,family=split", NULL);
    struct kit_process *w = fault_start_worker(b);
    struct sb_status_report r;

    (void)state;
    kit_status(b, &r);
    const struct sb_endpoint_status *e = kit_endpoint(&r, "web");
    assert_int_equal(e->n_addresses, 2);
    assert_int_equal(e->addresses[0].family, SOCKBROKER_IPV6);
    assert_int_equal(e->addresses[1].family, SOCKBROKER_IPV4);
    assert_true(e->addresses[0].port > 0);
    assert_int_equal(e->addresses[0].port, e->addresses[1].port);
    sb_status_report_deinit(&r);
    assert_true(fault_is_served(b, NULL, "127.0.0.1"));
    assert_true(fault_is_served(b, NULL, "::1"));
    fault_finish(b, w);
}

/* ---- without IPv6 ---- */

/* F96 */
static void kernel_without_ipv6_falls_back_to_ipv4_and_says_so_once(void **state)
{
    fault_need_failpoints();
    (void)state;
    struct kit_broker *b = start("web=[::]:0", "SOCKBROKER_FAILPOINTS=socket6=EAFNOSUPPORT*1000");
    struct kit_process *w = fault_start_worker(b);
    struct sb_status_report r;
    assert_int_equal(kit_process_count_log(b->process, "event=no_ipv6"), 1);
    kit_status(b, &r);
    assert_int_equal(kit_endpoint(&r, "web")->n_addresses, 1);
    assert_int_equal(kit_endpoint(&r, "web")->addresses[0].family, SOCKBROKER_IPV4);
    sb_status_report_deinit(&r);
    assert_true(fault_is_served(b, NULL, "127.0.0.1"));
    fault_finish(b, w);

    b = start("web=[::]:0,family=split", "SOCKBROKER_FAILPOINTS=socket6=EAFNOSUPPORT*1000");
    w = fault_start_worker(b);
    assert_int_equal(kit_process_count_log(b->process, "level=warning"), 1);
    assert_true(fault_is_served(b, NULL, "127.0.0.1"));
    fault_finish(b, w);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(ipv4_client_of_a_dual_socket_is_judged_as_ipv4),
        TEST(port_taken_on_one_family_names_it_and_binds_nothing),
        TEST(nobody_else_can_join_the_port),
        TEST(split_has_two_sockets_on_one_port),
        TEST(kernel_without_ipv6_falls_back_to_ipv4_and_says_so_once),
    };

    return kit_main(tests, argc, argv);
}
