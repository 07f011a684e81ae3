/* What listen.h promises on each system: the families that were asked for, whatever the system's defaults are. */
#include "tests/unit/listen_kit.h"

#include <string.h>

#include "proto/oserr.h"
#include "proto/socket.h"
#include "tests/support/format.h"

static void each_request_serves_the_families_it_names(void **state)
{
    (void)state;
    if (!unit_has_ipv6())
        skip();
    listen_serve_as_asked(NULL);
}

static void a_listening_socket_does_not_wait(void **state)
{
    struct listen_opened o;

    (void)state;
    assert_status(SOCKBROKER_OK, listen_open_at("127.0.0.1:0", false, &o));
    assert_true(unit_accept(o.sock) == SOCKBROKER_SOCKET_NONE);
    assert_status(SOCKBROKER_AGAIN, sb_oserr_status(sb_oserr_last()));
    assert_true(sb_listen_is_on(o.sock));
    assert_int_equal(sb_listen_queue(o.sock), 0);
    sockbroker_socket client = unit_tcp_connect("127.0.0.1", o.at.port);
    assert_true(unit_wait_readable(o.sock));
    assert_int_equal(sb_listen_queue(o.sock), 1);
    sb_socket_close(&client);
    sb_socket_close(&o.sock);
}

static void a_taken_port_is_named_with_its_family(void **state)
{
    static const struct {
        const char *holder;
        bool holder_dual;
        const char *asks; /* %u: the port */
        bool dual;
        const char *expected;
    } cases[] = {
        { "127.0.0.1:0", false, "127.0.0.1:%u", false, "127.0.0.1:%u (IPv4)" },
        { "0.0.0.0:0", false, "0.0.0.0:%u", false, "0.0.0.0:%u (IPv4)" },
        { "[::1]:0", false, "[::1]:%u", false, "[::1]:%u (IPv6)" },
        { "[::]:0", false, "[::]:%u", false, "[::]:%u (IPv6)" },
        { "127.0.0.1:0", false, "[::]:%u", true, "[::]:%u (IPv6 and IPv4)" },
        { "[::1]:0", false, "[::]:%u", true, "[::]:%u (IPv6 and IPv4)" },
        { "[::]:0", true, "127.0.0.1:%u", false, "127.0.0.1:%u (IPv4)" },
    };

    (void)state;
    if (!unit_has_ipv6())
        skip();
    for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
        struct listen_opened holder, o;
        char asks[64], expected[80];

        assert_status(SOCKBROKER_OK, listen_open_at(cases[i].holder, cases[i].holder_dual, &holder));
        format_text(asks, sizeof(asks), cases[i].asks, holder.at.port);
        format_text(expected, sizeof(expected), cases[i].expected, holder.at.port);
        assert_status(SOCKBROKER_ADDRESS_IN_USE, listen_open_at(asks, cases[i].dual, &o));
        assert_true(o.sock == SOCKBROKER_SOCKET_NONE);
        assert_int_not_equal(o.error.os_code, 0);
        assert_non_null(strstr(o.error.text, expected));
        assert_non_null(strstr(o.error.text, "choose another port"));
        sb_socket_close(&holder.sock);
    }
}

static void the_same_port_of_the_other_family_is_free(void **state)
{
    struct listen_opened v4, v6;
    char text[32];

    (void)state;
    if (!unit_has_ipv6())
        skip();
    assert_status(SOCKBROKER_OK, listen_open_at("0.0.0.0:0", false, &v4));
    format_text(text, sizeof(text), "[::]:%u", v4.at.port);
    assert_status(SOCKBROKER_OK, listen_open_at(text, false, &v6));
    sb_socket_close(&v4.sock);
    sb_socket_close(&v6.sock);
}

static void an_address_of_another_machine_is_named(void **state)
{
    struct listen_opened o;

    (void)state;
    assert_status(SOCKBROKER_ADDRESS_NOT_AVAILABLE, listen_open_at("192.0.2.1:0", false, &o));
    assert_non_null(strstr(o.error.text, "bind 192.0.2.1:0 (IPv4)"));
    assert_non_null(strstr(o.error.text, "ADDRNOTAVAIL"));
}

static void a_restart_binds_at_once(void **state)
{
    struct listen_opened o;
    char text[32];

    (void)state;
    assert_status(SOCKBROKER_OK, listen_open_at("127.0.0.1:0", false, &o));
    sockbroker_socket client = unit_tcp_connect("127.0.0.1", o.at.port);
    assert_true(unit_wait_readable(o.sock));
    sockbroker_socket server = unit_accept(o.sock);
    sb_socket_close(&server); /* first, so that the TIME_WAIT is on this side */
    assert_true(unit_wait_readable(client));
    sb_socket_close(&client);
    format_text(text, sizeof(text), "127.0.0.1:%u", o.at.port);
    sb_socket_close(&o.sock);
    assert_status(SOCKBROKER_OK, listen_open_at(text, false, &o));
    sb_socket_close(&o.sock);
}

static void ipv6_is_noticed(void **state)
{
    (void)state;
    if (!unit_has_ipv6())
        skip();
    assert_true(sb_listen_has_ipv6());
    assert_true(sb_listen_has_ipv6_address());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(each_request_serves_the_families_it_names),
        UNIT_TEST(a_listening_socket_does_not_wait),
        UNIT_TEST(a_taken_port_is_named_with_its_family),
        UNIT_TEST(the_same_port_of_the_other_family_is_free),
        UNIT_TEST(an_address_of_another_machine_is_named),
        UNIT_TEST(a_restart_binds_at_once),
        UNIT_TEST(ipv6_is_noticed),
    };

    return cmocka_run_group_tests_name("listen", tests, NULL, NULL);
}
