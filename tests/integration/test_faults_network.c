/* Faults of the two address families that need a network of the test's own: rows F95 and F97 of the list of faults. */
#include <stdio.h>
#include <string.h>

#include "tests/support/fault.h"
#include "tests/support/net.h"

static struct kit_broker *start(const char *endpoint)
{
    return kit_broker_start(&(struct kit_start){ .args = { "--endpoint", endpoint } });
}

/* F95 */
static void ipv6_switched_off_leaves_ipv4_served(void **state)
{
    int net = fault_net_enter();

    (void)state;
    fault_sysctl("net/ipv6/conf/all/disable_ipv6", "1");
    fault_sysctl("net/ipv6/conf/default/disable_ipv6", "1");
    struct kit_broker *b = start("web=[::]:0");
    struct kit_process *w = fault_start_worker(b);
    assert_true(fault_is_served(b, NULL, "127.0.0.1"));
    fault_finish(b, w);

    b = start("web=[::1]:0+127.0.0.1:0"); /* the one that is not there is left out, with a warning */
    w = fault_start_worker(b);
    kit_broker_wait_log(b, "level=warning event=address_left_out endpoint=web");
    assert_true(kit_process_has_log(b->process, "EADDRNOTAVAIL"));
    assert_true(fault_is_served(b, NULL, "127.0.0.1"));
    fault_finish(b, w);

    b = kit_broker_launch(&(struct kit_start){ .args = { "--endpoint", "web=[::1]:0" } });
    assert_int_equal(kit_process_wait(b->process), 1);
    assert_true(kit_process_has_log(b->process, "[::1]:0 (IPv6): EADDRNOTAVAIL"));
    kit_broker_free(b);
    fault_net_leave(&net);
}

/* F97: the system's default is of no concern. */
static void bindv6only_changes_nothing(void **state)
{
    int net = fault_net_enter();

    (void)state;
    for (unsigned only = 0; only < 2; only++) {
        fault_sysctl("net/ipv6/bindv6only", only ? "1" : "0");
        struct kit_broker *b = start("web=[::]:0,family=dual");
        struct kit_process *w = fault_start_worker(b);
        assert_true(fault_is_served(b, NULL, "127.0.0.1"));
        assert_true(fault_is_served(b, NULL, "::1"));
        fault_finish(b, w);

        b = start("web=[::]:0,family=ipv6");
        sockbroker_socket sock = net_open_bound("0.0.0.0", kit_broker_port(b, "web"), SOCK_STREAM);
        assert_true(sock != SOCKBROKER_SOCKET_NONE); /* IPv4 is nobody's */
        net_close(&sock);
        kit_broker_stop(b);

        b = start("web=[::]:0,family=split");
        w = fault_start_worker(b);
        assert_true(fault_is_served(b, NULL, "127.0.0.1"));
        assert_true(fault_is_served(b, NULL, "::1"));
        fault_finish(b, w);
    }
    fault_net_leave(&net);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(ipv6_switched_off_leaves_ipv4_served),
        TEST(bindv6only_changes_nothing),
    };

    return kit_main(tests, argc, argv);
}
