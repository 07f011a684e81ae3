/* What datagram.h promises on POSIX alone. The system's defaults are changed in network namespaces, by children of the test. */
#include "tests/unit/datagram_kit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/socket.h"

/* ---- as the machine is ---- */

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
            assert_int_equal(unit_option(o.sock, IPPROTO_IPV6, IPV6_RECVPKTINFO), 1);
        sb_socket_close(&o.sock);
    }
}

static const struct {
    const char *at;
    bool dual;
    const char *served;
} places[] = { { "127.0.0.1:0", false, "127.0.0.1" },
               { "0.0.0.0:0", false, "127.0.0.2" },
               { "[::1]:0", false, "::1" },
               { "[::]:0", false, "::1" },
               { "[::]:0", true, "127.0.0.1" } };

static void sockets_are_of_the_kind_that_is_promised(void **state)
{
    struct datagram_opened o;

    (void)state;
    assert_status(SOCKBROKER_OK, datagram_open_at("127.0.0.1:0", false, &o));
    assert_true(fcntl(o.sock, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(o.sock, F_GETFL) & O_NONBLOCK);
    assert_int_equal(unit_option(o.sock, SOL_SOCKET, SO_TYPE), SOCK_DGRAM);
    assert_int_equal(unit_option(o.sock, SOL_SOCKET, SO_PROTOCOL), IPPROTO_UDP);
    assert_int_equal(unit_option(o.sock, SOL_SOCKET, SO_REUSEADDR), 0);
    assert_int_equal(unit_option(o.sock, SOL_SOCKET, SO_REUSEPORT), 0);
    sb_socket_close(&o.sock);
}

/* Another process that sets the option itself does not get in: the holder has not set it. */
static void nobody_can_join_who_is_not_of_the_group(void **state)
{
    struct datagram_opened alone, first, second;
    struct sb_datagram_request r = datagram_request("127.0.0.1:0", false);

    (void)state;
    assert_status(SOCKBROKER_OK, datagram_open_at("127.0.0.1:0", false, &alone));
    r.reuseport = true;
    r.addr.port = alone.facts.addr.port;
    assert_status(SOCKBROKER_ADDRESS_IN_USE, sb_datagram_open(&r, &first.sock, &first.facts, NULL));

    r.addr.port = 0;
    assert_status(SOCKBROKER_OK, sb_datagram_open(&r, &first.sock, &first.facts, NULL));
    r.addr.port = first.facts.addr.port;
    assert_status(SOCKBROKER_OK, sb_datagram_open(&r, &second.sock, &second.facts, NULL));
    assert_int_equal(second.facts.addr.port, first.facts.addr.port);
    sb_socket_close(&alone.sock);
    sb_socket_close(&first.sock);
    sb_socket_close(&second.sock);
}

static void a_socket_that_was_shut_down_is_noticed(void **state)
{
    static const int ways[] = { SHUT_RD, SHUT_WR, SHUT_RDWR };

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(places) * UNIT_COUNT(ways); i++) {
        struct datagram_opened o;

        assert_status(SOCKBROKER_OK, datagram_open_at(places[i / 3].at, places[i / 3].dual, &o));
        assert_true(sb_datagram_is_on(o.sock));
        assert_true(datagram_serves(&o, places[i / 3].served));
        shutdown(o.sock, ways[i % 3]); /* as any holder of a copy can; it answers ENOTCONN and does it all the same */
        assert_false(sb_datagram_is_on(o.sock));
        sb_socket_close(&o.sock);
        assert_false(sb_datagram_is_on(o.sock));
    }
}

static void a_port_that_another_has_taken_meanwhile_is_told(void **state)
{
    struct sockaddr nobody = { .sa_family = AF_UNSPEC };
    struct sb_datagram_request r = datagram_request("127.0.0.1:0", false);
    const char *cause = NULL;
    struct datagram_opened o, other = { .sock = SOCKBROKER_SOCKET_NONE };

    (void)state;
    assert_status(SOCKBROKER_OK, datagram_open_at("127.0.0.1:0", false, &o));
    datagram_connect_to_discard(o.sock, "127.0.0.1", false);
    assert_int_equal(connect(o.sock, &nobody, sizeof(nobody)), 0);
    r.addr.port = o.facts.addr.port;
    assert_status(SOCKBROKER_OK, sb_datagram_open(&r, &other.sock, &other.facts, NULL));
    assert_status(SOCKBROKER_ADDRESS_IN_USE, sb_datagram_mend(o.sock, &o.facts.addr, &cause));
    assert_string_equal(cause, "unbound");
    sb_socket_close(&o.sock);
    sb_socket_close(&other.sock);
}

static void a_socket_that_was_disconnected_is_bound_again(void **state)
{
    struct sockaddr nobody = { .sa_family = AF_UNSPEC };

    (void)state;
    for (size_t i = 0; i < 2 * UNIT_COUNT(places); i++) {
        bool disconnects = i % 2;
        const char *cause = "";
        struct datagram_opened o;

        assert_status(SOCKBROKER_OK, datagram_open_at(places[i / 2].at, places[i / 2].dual, &o));
        assert_status(SOCKBROKER_OK, sb_datagram_mend(o.sock, &o.facts.addr, &cause));
        assert_null(cause);
        datagram_connect_to_discard(o.sock, places[i / 2].served, places[i / 2].dual);
        if (disconnects) /* the port goes: it was the system's choice */
            assert_int_equal(connect(o.sock, &nobody, sizeof(nobody)), 0);
        assert_false(datagram_serves(&o, places[i / 2].served));
        assert_status(SOCKBROKER_OK, sb_datagram_mend(o.sock, &o.facts.addr, &cause));
        assert_string_equal(cause, disconnects ? "unbound" : "connected");
        assert_true(datagram_serves(&o, places[i / 2].served));
        assert_status(SOCKBROKER_OK, sb_datagram_mend(o.sock, &o.facts.addr, &cause));
        assert_null(cause);
        sb_socket_close(&o.sock);
    }
}

/* ---- as other machines are ---- */

static void in_own_network(void (*run)(void *))
{
    if (geteuid() != 0)
        skip();
    assert_child_succeeds(run, NULL);
}

static void be_where_sockets_are_v6only_by_default(void *arg)
{
    UNIT_REQUIRE(unit_own_network());
    UNIT_REQUIRE(unit_write_file("/proc/sys/net/ipv6/bindv6only", "1"));
    int plain = socket(AF_INET6, SOCK_DGRAM, 0);
    UNIT_REQUIRE(unit_option(plain, IPPROTO_IPV6, IPV6_V6ONLY) == 1); /* else the test shows nothing */
    close(plain);
    datagram_serve_as_asked(arg);
}

static void dual_is_dual_where_the_default_is_v6only(void **state)
{
    (void)state;
    in_own_network(be_where_sockets_are_v6only_by_default);
}

static void be_where_ipv6_is_switched_off(void *arg)
{
    struct datagram_opened o;

    (void)arg;
    UNIT_REQUIRE(unit_own_network());
    UNIT_REQUIRE(unit_write_file("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1"));
    UNIT_REQUIRE(datagram_open_at("[::]:0", true, &o) == SOCKBROKER_OK);
    UNIT_REQUIRE(o.facts.note == SB_DATAGRAM_AS_ASKED);
    UNIT_REQUIRE(datagram_serves(&o, "127.0.0.1"));
    UNIT_REQUIRE(!datagram_serves(&o, "::1"));
    UNIT_REQUIRE(datagram_open_at("[::1]:0", false, &o) == SOCKBROKER_ADDRESS_NOT_AVAILABLE);
    UNIT_REQUIRE(o.error.os_code == EADDRNOTAVAIL && strstr(o.error.text, "[::1]:0 (UDP, IPv6)"));
}

static void dual_serves_ipv4_where_ipv6_is_switched_off(void **state)
{
    (void)state;
    in_own_network(be_where_ipv6_is_switched_off);
}

/* ---- a kernel without a family: fail-points socket6, socket4, pktinfo4 ---- */

static void with_failpoints(void (*run)(void *))
{
#ifndef SB_FAILPOINTS
    (void)run;
    skip();
#else
    assert_child_succeeds(run, NULL);
#endif
}

static void be_without_ipv6(void *arg)
{
    struct datagram_opened o;

    (void)arg;
    setenv("SOCKBROKER_FAILPOINTS", "socket6=EAFNOSUPPORT*100", 1);
    UNIT_REQUIRE(datagram_open_at("[::]:0", true, &o) == SOCKBROKER_OK);
    UNIT_REQUIRE(o.facts.note == SB_DATAGRAM_NO_IPV6);
    UNIT_REQUIRE(o.facts.addr.family == SOCKBROKER_IPV4 && o.facts.addr.port != 0);
    UNIT_REQUIRE(datagram_serves(&o, "127.0.0.1"));
    UNIT_REQUIRE(datagram_open_at("[::]:0", false, &o) == SOCKBROKER_UNSUPPORTED);
    UNIT_REQUIRE(o.sock == SOCKBROKER_SOCKET_NONE && strstr(o.error.text, "[::]:0 (UDP, IPv6)"));
}

static void dual_falls_back_to_ipv4_where_the_kernel_has_no_ipv6(void **state)
{
    (void)state;
    with_failpoints(be_without_ipv6);
}

static void be_without_ipv4(void *arg)
{
    struct datagram_opened o;

    (void)arg;
    setenv("SOCKBROKER_FAILPOINTS", "pktinfo4=ENOPROTOOPT*100,socket4=EAFNOSUPPORT*100", 1);
    UNIT_REQUIRE(datagram_open_at("[::]:0", true, &o) == SOCKBROKER_OK);
    UNIT_REQUIRE(o.facts.note == SB_DATAGRAM_NO_IPV4);
    UNIT_REQUIRE(unit_option(o.sock, IPPROTO_IPV6, IPV6_RECVPKTINFO) == 1);
    UNIT_REQUIRE(datagram_serves(&o, "::1"));
    UNIT_REQUIRE(datagram_open_at("[::]:0", false, &o) == SOCKBROKER_OK); /* never asks for the IPv4 option */
    UNIT_REQUIRE(o.facts.note == SB_DATAGRAM_AS_ASKED);
    UNIT_REQUIRE(datagram_open_at("127.0.0.1:0", false, &o) == SOCKBROKER_UNSUPPORTED);
    UNIT_REQUIRE(strstr(o.error.text, "socket for 127.0.0.1:0 (UDP, IPv4)") != NULL);
}

static void dual_serves_ipv6_where_the_system_has_no_ipv4(void **state)
{
    (void)state;
    if (!unit_has_ipv6())
        skip();
    with_failpoints(be_without_ipv4);
}

static void be_refused_the_ipv4_option(void *arg)
{
    struct datagram_opened o;
    int n = unit_count_descriptors();

    (void)arg;
    setenv("SOCKBROKER_FAILPOINTS", "pktinfo4=ENOPROTOOPT*100", 1);
    UNIT_REQUIRE(datagram_open_at("[::]:0", true, &o) == SOCKBROKER_SYSTEM);
    UNIT_REQUIRE(o.error.os_code == ENOPROTOOPT && strstr(o.error.text, "IP_PKTINFO on [::]:0 (UDP, IPv6 and IPv4)"));
    UNIT_REQUIRE(o.sock == SOCKBROKER_SOCKET_NONE && unit_count_descriptors() == n);
}

static void the_ipv4_option_is_missed_where_there_is_ipv4(void **state)
{
    (void)state;
    with_failpoints(be_refused_the_ipv4_option);
}

/* The rules of SOCKBROKER_FAILPOINTS are read at the first pass, so these children come before any pass of the parent. */
int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(dual_falls_back_to_ipv4_where_the_kernel_has_no_ipv6),
        UNIT_TEST(dual_serves_ipv6_where_the_system_has_no_ipv4),
        UNIT_TEST(the_ipv4_option_is_missed_where_there_is_ipv4),
        UNIT_TEST(dual_is_dual_where_the_default_is_v6only),
        UNIT_TEST(dual_serves_ipv4_where_ipv6_is_switched_off),
        UNIT_TEST(the_destination_is_told_for_the_families_that_are_served),
        UNIT_TEST(sockets_are_of_the_kind_that_is_promised),
        UNIT_TEST(nobody_can_join_who_is_not_of_the_group),
        UNIT_TEST(a_socket_that_was_shut_down_is_noticed),
        UNIT_TEST(a_port_that_another_has_taken_meanwhile_is_told),
        UNIT_TEST(a_socket_that_was_disconnected_is_bound_again),
    };

    return cmocka_run_group_tests_name("datagram_posix", tests, NULL, NULL);
}
