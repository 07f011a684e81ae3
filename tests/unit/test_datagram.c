/* What datagram.h promises on each system: the families that were asked for, whatever the system's defaults are. */
#include "tests/unit/datagram_kit.h"

#include <string.h>

#include "proto/socket.h"
#include "tests/support/format.h"

static void each_request_serves_the_families_it_names(void **state)
{
    (void)state;
    if (!unit_has_ipv6())
        skip();
    datagram_serve_as_asked(NULL);
}

static void a_taken_port_is_named_with_its_families(void **state)
{
    struct datagram_opened holder, o;
    char text[64];

    (void)state;
    if (!unit_has_ipv6())
        skip();
    assert_status(SOCKBROKER_OK, datagram_open_at("127.0.0.1:0", false, &holder));
    format_text(text, sizeof(text), "[::]:%u", holder.facts.addr.port);
    assert_status(SOCKBROKER_ADDRESS_IN_USE, datagram_open_at(text, true, &o));
    assert_true(o.sock == SOCKBROKER_SOCKET_NONE);
    assert_int_not_equal(o.error.os_code, 0);
    format_text(text, sizeof(text), "bind [::]:%u (UDP, IPv6 and IPv4)", holder.facts.addr.port);
    assert_non_null(strstr(o.error.text, text));
    assert_non_null(strstr(o.error.text, "choose another port"));
    sb_socket_close(&holder.sock);
}

static void the_receive_buffer_is_as_asked_or_said_to_be_less(void **state)
{
    struct datagram_opened o;
    struct sb_datagram_request r = datagram_request("127.0.0.1:0", false);

    (void)state;
    r.receive_buffer = 65536; /* below every default limit */
    assert_status(SOCKBROKER_OK, sb_datagram_open(&r, &o.sock, &o.facts, NULL));
    assert_int_equal(o.facts.receive_buffer, 65536);
    sb_socket_close(&o.sock);
    r.receive_buffer = UINT32_MAX;
    assert_status(SOCKBROKER_OK, sb_datagram_open(&r, &o.sock, &o.facts, NULL));
    assert_true(o.facts.receive_buffer >= 65536);
    assert_true(o.facts.receive_buffer < UINT32_MAX);
    sb_socket_close(&o.sock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(each_request_serves_the_families_it_names),
        UNIT_TEST(a_taken_port_is_named_with_its_families),
        UNIT_TEST(the_receive_buffer_is_as_asked_or_said_to_be_less),
    };

    return cmocka_run_group_tests_name("datagram", tests, NULL, NULL);
}
