/* What datagram.h promises on Windows alone. */
#include "tests/unit/datagram_kit.h"

#include <string.h>

#include "proto/socket.h"
#include "sockbroker/addr.h"

static void the_destination_is_told_for_the_families_that_are_served(void **state)
{
    static const struct {
        const char *at;
        bool dual, ipv4, ipv6;
    } rows[] = { { "[::]:0", true, true, true }, { "[::]:0", false, false, true }, { "0.0.0.0:0", false, true, false } };

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct datagram_opened o;

        assert_status(SOCKBROKER_OK, datagram_open_at(rows[i].at, rows[i].dual, &o));
        assert_int_equal(unit_option(o.sock, IPPROTO_IP, IP_PKTINFO), rows[i].ipv4);
        if (rows[i].ipv6)
            assert_int_equal(unit_option(o.sock, IPPROTO_IPV6, IPV6_PKTINFO), 1);
        sb_socket_close(&o.sock);
    }
}

static void sockets_are_exclusive_and_not_inherited(void **state)
{
    struct datagram_opened o;
    DWORD flags = HANDLE_FLAG_INHERIT;

    (void)state;
    assert_status(SOCKBROKER_OK, datagram_open_at("127.0.0.1:0", false, &o));
    assert_int_equal(unit_option(o.sock, SOL_SOCKET, SO_EXCLUSIVEADDRUSE), 1);
    assert_true(GetHandleInformation((HANDLE)o.sock, &flags));
    assert_int_equal(flags & HANDLE_FLAG_INHERIT, 0);
    sb_socket_close(&o.sock);
}

static void a_group_on_one_address_is_refused(void **state)
{
    struct sb_datagram_request r = datagram_request("127.0.0.1:0", false);
    struct datagram_opened o = { .sock = SOCKBROKER_SOCKET_NONE };

    (void)state;
    r.reuseport = true;
    assert_status(SOCKBROKER_UNSUPPORTED, sb_datagram_open(&r, &o.sock, &o.facts, &o.error));
    assert_non_null(strstr(o.error.text, "mode=share"));
    assert_true(o.sock == SOCKBROKER_SOCKET_NONE);
}

/* Windows would report the refusal by one peer as the failure of the next call, whoever that is for (WSAECONNRESET). */
static void a_refusal_by_one_peer_does_not_stop_the_others(void **state)
{
    struct datagram_opened o, gone;
    struct sockaddr_storage sa;

    (void)state;
    assert_status(SOCKBROKER_OK, datagram_open_at("127.0.0.1:0", false, &gone));
    sb_socket_close(&gone.sock);
    assert_status(SOCKBROKER_OK, datagram_open_at("127.0.0.1:0", false, &o));
    int len = (int)sockbroker_addr_to_sockaddr(&gone.facts.addr, &sa);
    for (int i = 0; i < 4; i++)
        assert_int_equal(sendto(o.sock, "x", 1, 0, (struct sockaddr *)&sa, len), 1);
    assert_true(datagram_serves(&o, "127.0.0.1"));
    sb_socket_close(&o.sock);
}

static void a_socket_that_was_shut_for_receiving_is_noticed(void **state)
{
    static const int ways[] = { SD_RECEIVE, SD_BOTH };

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(ways); i++) {
        struct datagram_opened o;

        assert_status(SOCKBROKER_OK, datagram_open_at("127.0.0.1:0", false, &o));
        assert_true(sb_datagram_is_on(o.sock));
        assert_status(SOCKBROKER_OK, sb_socket_set_nonblocking(o.sock, false)); /* as any holder can */
        assert_true(sb_datagram_is_on(o.sock));
        shutdown(o.sock, ways[i]);
        assert_false(sb_datagram_is_on(o.sock));
        sb_socket_close(&o.sock);
        assert_false(sb_datagram_is_on(o.sock));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(the_destination_is_told_for_the_families_that_are_served),
        UNIT_TEST(sockets_are_exclusive_and_not_inherited),
        UNIT_TEST(a_group_on_one_address_is_refused),
        UNIT_TEST(a_refusal_by_one_peer_does_not_stop_the_others),
        UNIT_TEST(a_socket_that_was_shut_for_receiving_is_noticed),
    };

    return cmocka_run_group_tests_name("datagram_win32", tests, NULL, NULL);
}
