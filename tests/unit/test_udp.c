/* What udp.h promises on each system: many datagrams with one call, and each tells where it was sent. The clients are plain
 * sockets that know nothing of the library. */
#include "tests/unit/udp_kit.h"

#include <string.h>

#include "client-lib/udp_route.h"
#include "proto/socket.h"
#include "tests/support/format.h"

static void each_datagram_tells_where_it_was_sent(void **state)
{
    static const struct {
        const char *at;
        bool dual;
        const char *to;
    } rows[] = { { "[::]:0", true, "127.0.0.1" },      { "[::]:0", true, "127.0.0.2" },     { "[::]:0", true, "::1" },
                 { "[::]:0", false, "::1" },           { "0.0.0.0:0", false, "127.0.0.1" }, { "0.0.0.0:0", false, "127.0.0.2" },
                 { "127.0.0.1:0", false, "127.0.0.1" } };

    (void)state;
    if (!unit_has_ipv6())
        skip();
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        sockbroker_socket client = udp_client(rows[i].to);
        struct udp_server s;
        const struct sockbroker_datagram *d = &s.batch[0];

        udp_start(&s, rows[i].at, rows[i].dual);
        udp_client_send(client, rows[i].to, s.udp.port, "question");
        assert_int_equal(udp_take(&s, UDP_BATCH), 1);
        assert_true(d->len == 8 && !d->truncated && !memcmp(d->data, "question", 8));
        assert_true(udp_is_ip(&d->local, rows[i].to));
        assert_int_equal(d->local.port, s.udp.port);
        assert_false(d->to_group);
        assert_int_not_equal(d->interface_index, 0);
        assert_int_equal(d->peer.family, d->local.family);
        assert_int_equal(d->peer.port, udp_port(client));
        sb_socket_close(&client);
        udp_stop(&s);
    }
}

static void an_answer_reaches_who_asked(void **state)
{
    static const char *const places[] = { "127.0.0.1", "::1" };
    struct udp_server s;

    (void)state;
    if (!unit_has_ipv6())
        skip();
    udp_start(&s, "[::]:0", true);
    for (size_t i = 0; i < UNIT_COUNT(places); i++) {
        sockbroker_socket client = udp_client(places[i]);

        udp_client_send(client, places[i], s.udp.port, "question");
        assert_int_equal(udp_take(&s, UDP_BATCH), 1);
        udp_answer(&s, 1);
        struct sockbroker_addr from = udp_client_hear(client, "question");
        assert_true(udp_is_ip(&from, places[i]));
        assert_int_equal(from.port, s.udp.port);
        sb_socket_close(&client);
    }
    udp_stop(&s);
}

#define MANY 100

static void a_full_queue_comes_in_order(void **state)
{
    sockbroker_socket client = udp_client("127.0.0.1");
    struct udp_server s;
    char text[UDP_ROOM];

    (void)state;
    udp_start(&s, "127.0.0.1:0", false);
    for (unsigned i = 0; i < MANY; i++) {
        format_text(text, sizeof(text), "datagram %u", i);
        udp_client_send(client, "127.0.0.1", s.udp.port, text);
    }
    for (unsigned heard = 0; heard < MANY;) {
        size_t n = udp_take(&s, UDP_BATCH);

        udp_answer(&s, n);
        for (size_t i = 0; i < n; i++, heard++) {
            format_text(text, sizeof(text), "datagram %u", heard);
            udp_client_hear(client, text);
        }
    }
    sb_socket_close(&client);
    udp_stop(&s);
}

/* Whatever the socket was before: where a call has no flag for it, init makes it so. */
static void an_empty_queue_is_no_reason_to_wait(void **state)
{
    struct sockbroker_datagram d = { .data = NULL };
    struct sockbroker_udp udp;
    size_t n = 77;

    (void)state;
    sockbroker_socket sock = udp_client("127.0.0.1"); /* it blocks */
    struct sockaddr_storage sa;
    socklen_t len = (socklen_t)unit_address("127.0.0.1", 0, &sa);
    assert_int_equal(bind(sock, (struct sockaddr *)&sa, len), 0);
    assert_status(SOCKBROKER_OK, sockbroker_udp_init(&udp, sock, NULL));
    assert_status(SOCKBROKER_AGAIN, sockbroker_udp_receive(&udp, &d, 1, &n));
    assert_int_equal(n, 77);
    sb_socket_close(&sock);
}

static void a_bad_datagram_stops_no_other(void **state)
{
    static char too_long[65536];
    sockbroker_socket client = udp_client("127.0.0.1");
    struct sockbroker_error error;
    struct udp_server s;
    size_t n_done = 0;

    (void)state;
    udp_start(&s, "127.0.0.1:0", false);
    for (unsigned i = 0; i < 5; i++)
        udp_client_send(client, "127.0.0.1", s.udp.port, "good");
    assert_int_equal(udp_take(&s, 5), 5);
    s.batch[1].data = too_long;
    s.batch[1].len = sizeof(too_long);
    s.batch[3].peer.port = 0;
    assert_status(SOCKBROKER_OK, sockbroker_udp_send(&s.udp, s.batch, 5, &n_done, &error));
    assert_int_equal(n_done, 5);
    for (size_t i = 0; i < 5; i++)
        assert_status(i % 2 ? SOCKBROKER_INVALID : SOCKBROKER_OK, s.batch[i].status);
    assert_non_null(strstr(error.text, "datagram 1 of the batch, to "));
    assert_non_null(strstr(error.text, "send less"));
    for (unsigned i = 0; i < 3; i++)
        udp_client_hear(client, "good");
    assert_true(udp_client_is_left_alone(client));
    sb_socket_close(&client);
    udp_stop(&s);
}

/* The broker opens; a worker that knows only the socket has the same. */
static void the_handle_knows_its_socket(void **state)
{
    static const struct {
        const char *at;
        bool dual;
        enum sockbroker_family family;
    } rows[] = { { "[::]:0", true, SOCKBROKER_IPV6 },
                 { "[::1]:0", false, SOCKBROKER_IPV6 },
                 { "127.0.0.1:0", false, SOCKBROKER_IPV4 } };

    (void)state;
    if (!unit_has_ipv6())
        skip();
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct udp_server s;

        udp_start(&s, rows[i].at, rows[i].dual);
        assert_int_equal(s.udp.socket_family, rows[i].family);
        assert_int_equal(s.udp.port, udp_port(s.sock));
        assert_true(s.udp.sock == s.sock);
        udp_stop(&s);
    }
}

static void what_does_not_fit_is_said_to_be_truncated(void **state)
{
    static const size_t rooms[] = { UDP_ROOM, 10, 9, 1, 0 };
    struct udp_server s;
    sockbroker_socket client = udp_client("127.0.0.1");
    size_t n;

    (void)state;
    udp_start(&s, "127.0.0.1:0", false);
    for (size_t i = 0; i < UNIT_COUNT(rooms); i++) {
        udp_client_send(client, "127.0.0.1", s.udp.port, "0123456789");
        s.batch[i].room = rooms[i];
    }
    s.batch[4].data = NULL; /* with no room, that is fine */
    udp_client_send(client, "127.0.0.1", s.udp.port, "");
    assert_status(SOCKBROKER_OK, sockbroker_udp_receive(&s.udp, s.batch, UDP_BATCH, &n));
    assert_int_equal(n, UNIT_COUNT(rooms) + 1);
    for (size_t i = 0; i < UNIT_COUNT(rooms); i++) {
        assert_int_equal(s.batch[i].len, rooms[i] < 10 ? rooms[i] : 10);
        assert_int_equal(s.batch[i].truncated, rooms[i] < 10);
        assert_memory_equal(s.bytes[i], "0123456789", s.batch[i].len);
    }
    assert_int_equal(s.batch[n - 1].len, 0);
    assert_false(s.batch[n - 1].truncated);
    sb_socket_close(&client);
    udp_stop(&s);
}

static void datagrams_of_no_bytes_come_and_go(void **state)
{
    struct udp_server s;
    sockbroker_socket client = udp_client("127.0.0.1");

    (void)state;
    udp_start(&s, "127.0.0.1:0", false);
    udp_client_send(client, "127.0.0.1", s.udp.port, "");
    assert_int_equal(udp_take(&s, UDP_BATCH), 1);
    assert_int_equal(s.batch[0].len, 0);
    s.batch[0].data = NULL;
    udp_answer(&s, 1);
    udp_client_hear(client, "");
    sb_socket_close(&client);
    udp_stop(&s);
}

static void a_family_the_socket_does_not_have_is_refused_with_a_cure(void **state)
{
    static const struct {
        const char *at, *peer, *says;
    } cases[] = {
        { "[::1]:0", "127.0.0.1", "IPv6 only (IPV6_V6ONLY is on); use a dual-stack one" },
        { "[::1]:0", "::ffff:127.0.0.1", "IPv6 only (IPV6_V6ONLY is on); use a dual-stack one" },
        { "127.0.0.1:0", "::1", "IPv4 one; use one on [::]" },
    };

    (void)state;
    if (!unit_has_ipv6())
        skip();
    for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
        struct sockbroker_datagram d = { .data = "x", .len = 1, .peer = udp_address(cases[i].peer, 9) };
        struct sockbroker_error error;
        struct udp_server s;
        size_t n_done = 0;

        udp_start(&s, cases[i].at, false);
        assert_status(SOCKBROKER_OK, sockbroker_udp_send(&s.udp, &d, 1, &n_done, &error));
        assert_int_equal(n_done, 1);
        assert_status(SOCKBROKER_INVALID, d.status);
        assert_non_null(strstr(error.text, cases[i].says));
        udp_stop(&s);
    }
}

static void wrong_batches_are_refused(void **state)
{
    static const size_t wrong[] = { 0, UDP_BATCH + 1, SIZE_MAX };
    struct udp_server s;
    struct sockbroker_error error;
    size_t n = 77;

    (void)state;
    udp_start(&s, "127.0.0.1:0", false);
    for (size_t i = 0; i < UNIT_COUNT(wrong); i++) {
        assert_status(SOCKBROKER_INVALID, sockbroker_udp_receive(&s.udp, s.batch, wrong[i], &n));
        assert_status(SOCKBROKER_INVALID, sockbroker_udp_send(&s.udp, s.batch, wrong[i], &n, &error));
        assert_non_null(strstr(error.text, "give 1 to 64"));
    }
    s.batch[3].data = NULL;
    assert_status(SOCKBROKER_INVALID, sockbroker_udp_receive(&s.udp, s.batch, 4, &n));
    assert_int_equal(n, 77);
    udp_stop(&s);
}

static void the_interface_is_kept_only_where_the_address_does_not_tell_it(void **state)
{
    static const struct {
        const char *peer, *local;
        bool to_group;
        const char *from; /* NULL: the system chooses */
        uint32_t interface_index;
    } rows[] = {
        { "192.0.2.1", "192.0.2.2", false, "192.0.2.2", 0 },
        { "192.0.2.1", "169.254.0.2", false, "169.254.0.2", 5 },
        { "169.254.0.1", "192.0.2.2", false, "192.0.2.2", 5 },
        { "192.0.2.1", "224.0.0.251", true, NULL, 5 },
        { "192.0.2.1", "224.0.0.251", false, NULL, 5 },
        { "192.0.2.1", "255.255.255.255", false, NULL, 5 },
        { "192.0.2.1", "192.0.2.255", true, NULL, 5 },
        { "192.0.2.1", "223.255.255.255", false, "223.255.255.255", 0 },
        { "192.0.2.1", "169.253.255.255", false, "169.253.255.255", 0 },
        { "192.0.2.1", NULL, false, NULL, 5 },
        { "239.1.2.3", "192.0.2.2", false, "192.0.2.2", 5 },
        { "2001:db8::1", "2001:db8::2", false, "2001:db8::2", 0 },
        { "2001:db8::1", "fe80::2%5", false, "fe80::2%5", 5 },
        { "fe80::1%5", "2001:db8::2", false, "2001:db8::2", 5 },
        { "fe80::1%5", "fe80::2%5", false, "fe80::2%5", 5 },
        { "2001:db8::1", "ff02::fb%5", true, NULL, 5 },
        { "2001:db8::1", "ff0e::fb", false, NULL, 5 },
        { "2001:db8::1", NULL, false, NULL, 5 },
        { "fec0::1", "fec0::2", false, "fec0::2", 0 },
        { "::ffff:192.0.2.1", "::ffff:192.0.2.2", false, "192.0.2.2", 0 },
    };
    struct sockbroker_udp dual = { SOCKBROKER_SOCKET_NONE, SOCKBROKER_IPV6, true, 53 };

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct sockbroker_datagram d = { .interface_index = 5, .to_group = rows[i].to_group };
        struct sb_udp_route r;

        d.peer = udp_address(rows[i].peer, 9);
        if (rows[i].local)
            d.local = udp_address(rows[i].local, 53);
        assert_null(sb_udp_route_find(&dual, &d, &r));
        assert_int_equal(r.from.family != SOCKBROKER_FAMILY_NONE, rows[i].from != NULL);
        if (rows[i].from)
            assert_true(udp_is_ip(&r.from, rows[i].from));
        assert_int_equal(r.interface_index, rows[i].interface_index);
        assert_int_equal(r.to.family, SOCKBROKER_IPV6);
        assert_int_equal(r.ipv4, sockbroker_addr_is_mapped(&r.to));
    }
}

static void a_zone_tells_the_interface_too(void **state)
{
    struct sockbroker_udp dual = { SOCKBROKER_SOCKET_NONE, SOCKBROKER_IPV6, true, 53 };
    struct sockbroker_datagram d = { .peer = udp_address("fe80::1", 9), .local = udp_address("fe80::2%7", 53) };
    struct sb_udp_route r;

    (void)state;
    assert_null(sb_udp_route_find(&dual, &d, &r));
    assert_int_equal(r.interface_index, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(each_datagram_tells_where_it_was_sent),
        UNIT_TEST(an_answer_reaches_who_asked),
        UNIT_TEST(a_full_queue_comes_in_order),
        UNIT_TEST(an_empty_queue_is_no_reason_to_wait),
        UNIT_TEST(a_bad_datagram_stops_no_other),
        UNIT_TEST(the_handle_knows_its_socket),
        UNIT_TEST(what_does_not_fit_is_said_to_be_truncated),
        UNIT_TEST(datagrams_of_no_bytes_come_and_go),
        UNIT_TEST(a_family_the_socket_does_not_have_is_refused_with_a_cure),
        UNIT_TEST(wrong_batches_are_refused),
        UNIT_TEST(the_interface_is_kept_only_where_the_address_does_not_tell_it),
        UNIT_TEST(a_zone_tells_the_interface_too),
    };

    return cmocka_run_group_tests_name("udp", tests, NULL, NULL);
}
