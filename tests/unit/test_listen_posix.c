/* What listen.h promises on POSIX alone. The system's defaults are changed in network namespaces, by children of the test. */
#include "tests/unit/listen_kit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/socket.h"
#include "tests/support/format.h"

/* ---- as the machine is ---- */

/* Both ask for it, or the second one meets an address that is taken. */
static void members_of_a_group_share_an_address_and_others_do_not(void **state)
{
    struct sb_listen_request r = listen_request("127.0.0.1:0", false);
    struct listen_opened first, second;

    (void)state;
    second.sock = SOCKBROKER_SOCKET_NONE;
    r.reuseport = true;
    assert_status(SOCKBROKER_OK, sb_listen_open(&r, &first.sock, &r.addr, &first.note, NULL));
    assert_status(SOCKBROKER_OK, sb_listen_open(&r, &second.sock, &second.at, &second.note, NULL));
    assert_int_equal(unit_option(second.sock, SOL_SOCKET, SO_REUSEPORT), 1);
    assert_int_equal(second.at.port, r.addr.port);
    sb_socket_close(&second.sock);
    r.reuseport = false;
    assert_status(SOCKBROKER_ADDRESS_IN_USE, sb_listen_open(&r, &second.sock, &second.at, &second.note, NULL));
    sb_socket_close(&first.sock);
}

/* Also a port that the kernel chose (0 was asked), which it takes back at shutdown(): inet_put_port() in tcp_set_state(). */
static void a_listener_that_was_shut_down_listens_again_on_its_port(void **state)
{
    struct listen_opened o;

    (void)state;
    assert_status(SOCKBROKER_OK, listen_open_at("127.0.0.1:0", false, &o));
    assert_true(listen_serves(&o, "127.0.0.1"));
    shutdown(o.sock, SHUT_RDWR); /* as any holder of a copy can */
    assert_false(sb_listen_is_on(o.sock));
    assert_status(SOCKBROKER_OK, sb_listen_again(o.sock, &o.at, 16));
    assert_true(sb_listen_is_on(o.sock));
    assert_true(listen_serves(&o, "127.0.0.1")); /* at the same address */
    sb_socket_close(&o.sock);
    assert_false(sb_listen_is_on(o.sock));
    assert_status(SOCKBROKER_SYSTEM, sb_listen_again(o.sock, &o.at, 16)); /* EBADF */
}

static void listening_sockets_are_of_the_kind_that_is_promised(void **state)
{
    struct listen_opened o;

    (void)state;
    assert_status(SOCKBROKER_OK, listen_open_at("127.0.0.1:0", false, &o));
    assert_true(fcntl(o.sock, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(o.sock, F_GETFL) & O_NONBLOCK);
    assert_int_equal(unit_option(o.sock, SOL_SOCKET, SO_REUSEADDR), 1);
    assert_int_equal(unit_option(o.sock, SOL_SOCKET, SO_REUSEPORT), 0);
    assert_int_equal(unit_option(o.sock, SOL_SOCKET, SO_PROTOCOL), IPPROTO_TCP);
    assert_true(sb_listen_is_on(o.sock));
    sb_socket_close(&o.sock);
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
    int plain;

    UNIT_REQUIRE(unit_own_network());
    UNIT_REQUIRE(unit_write_file("/proc/sys/net/ipv6/bindv6only", "1"));
    plain = socket(AF_INET6, SOCK_STREAM, 0);
    UNIT_REQUIRE(unit_option(plain, IPPROTO_IPV6, IPV6_V6ONLY) == 1); /* else the test shows nothing */
    close(plain);
    listen_serve_as_asked(arg);
}

static void dual_is_dual_where_the_default_is_v6only(void **state)
{
    (void)state;
    in_own_network(be_where_sockets_are_v6only_by_default);
}

static void be_where_ipv6_is_switched_off(void *arg)
{
    struct listen_opened o;

    (void)arg;
    UNIT_REQUIRE(unit_own_network());
    UNIT_REQUIRE(unit_write_file("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1"));
    UNIT_REQUIRE(sb_listen_has_ipv6());
    UNIT_REQUIRE(!sb_listen_has_ipv6_address());
    UNIT_REQUIRE(listen_open_at("[::]:0", true, &o) == SOCKBROKER_OK);
    UNIT_REQUIRE(o.note == SB_LISTEN_AS_ASKED);
    UNIT_REQUIRE(listen_serves(&o, "127.0.0.1"));
    UNIT_REQUIRE(!listen_serves(&o, "::1"));
    sb_socket_close(&o.sock);
    UNIT_REQUIRE(listen_open_at("[::1]:0", false, &o) == SOCKBROKER_ADDRESS_NOT_AVAILABLE);
    UNIT_REQUIRE(o.error.os_code == EADDRNOTAVAIL && strstr(o.error.text, "[::1]:0 (IPv6)"));
}

static void dual_serves_ipv4_where_ipv6_is_switched_off(void **state)
{
    (void)state;
    in_own_network(be_where_ipv6_is_switched_off);
}

static void be_where_there_is_only_lo(void *arg)
{
    struct listen_opened o;

    (void)arg;
    UNIT_REQUIRE(unit_own_network());
    UNIT_REQUIRE(listen_open_at("0.0.0.0:0", false, &o) == SOCKBROKER_OK);
    UNIT_REQUIRE(listen_serves(&o, "127.0.0.1"));
    UNIT_REQUIRE(listen_open_at("192.0.2.1:80", false, &o) == SOCKBROKER_ADDRESS_NOT_AVAILABLE);
}

static void ipv4_works_in_a_network_of_its_own(void **state)
{
    (void)state;
    in_own_network(be_where_there_is_only_lo);
}

/* ---- a kernel without IPv6: fail-point socket6 ---- */

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
    struct listen_opened o;

    (void)arg;
    setenv("SOCKBROKER_FAILPOINTS", "socket6=EAFNOSUPPORT*100", 1);
    UNIT_REQUIRE(!sb_listen_has_ipv6());
    UNIT_REQUIRE(!sb_listen_has_ipv6_address());
    UNIT_REQUIRE(listen_open_at("[::]:0", true, &o) == SOCKBROKER_OK);
    UNIT_REQUIRE(o.note == SB_LISTEN_NO_IPV6);
    UNIT_REQUIRE(o.at.family == SOCKBROKER_IPV4 && o.at.port != 0);
    UNIT_REQUIRE(listen_serves(&o, "127.0.0.1"));
    sb_socket_close(&o.sock);
    UNIT_REQUIRE(listen_open_at("[::]:0", false, &o) == SOCKBROKER_UNSUPPORTED);
    UNIT_REQUIRE(o.error.os_code == EAFNOSUPPORT && strstr(o.error.text, "[::]:0 (IPv6)"));
    UNIT_REQUIRE(o.sock == SOCKBROKER_SOCKET_NONE);
    UNIT_REQUIRE(listen_open_at("127.0.0.1:0", false, &o) == SOCKBROKER_OK);
    UNIT_REQUIRE(o.note == SB_LISTEN_AS_ASKED);
}

static void keep_the_port(void *arg)
{
    struct listen_opened o;
    char text[32];

    (void)arg;
    setenv("SOCKBROKER_FAILPOINTS", "socket6=EAFNOSUPPORT*100", 1);
    UNIT_REQUIRE(listen_open_at("0.0.0.0:0", false, &o) == SOCKBROKER_OK);
    format_text(text, sizeof(text), "[::]:%u", o.at.port);
    sb_socket_close(&o.sock);
    UNIT_REQUIRE(listen_open_at(text, true, &o) == SOCKBROKER_OK);
    format_text(text, sizeof(text), "[::]:%u", o.at.port); /* taken now */
    struct listen_opened second;
    UNIT_REQUIRE(listen_open_at(text, true, &second) == SOCKBROKER_ADDRESS_IN_USE);
    format_text(text, sizeof(text), "0.0.0.0:%u (IPv4)", o.at.port); /* what was really tried is named */
    UNIT_REQUIRE(strstr(second.error.text, text) != NULL);
}

static void be_short_of_descriptors(void *arg)
{
    struct listen_opened o;

    (void)arg;
    setenv("SOCKBROKER_FAILPOINTS", "socket6=EMFILE*100", 1);
    UNIT_REQUIRE(sb_listen_has_ipv6()); /* that one cannot be opened now says nothing about the kernel */
    UNIT_REQUIRE(listen_open_at("[::]:0", true, &o) == SOCKBROKER_NO_DESCRIPTORS);
    UNIT_REQUIRE(o.note == SB_LISTEN_AS_ASKED);
}

static void dual_falls_back_to_ipv4_where_the_kernel_has_no_ipv6(void **state)
{
    (void)state;
    with_failpoints(be_without_ipv6);
}

static void the_fallback_keeps_the_port_and_names_it(void **state)
{
    (void)state;
    with_failpoints(keep_the_port);
}

static void another_error_is_not_taken_for_a_kernel_without_ipv6(void **state)
{
    (void)state;
    with_failpoints(be_short_of_descriptors);
}

/* The rules of SOCKBROKER_FAILPOINTS are read at the first pass, so these children come before any pass of the parent. */
int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(dual_falls_back_to_ipv4_where_the_kernel_has_no_ipv6),
        UNIT_TEST(the_fallback_keeps_the_port_and_names_it),
        UNIT_TEST(another_error_is_not_taken_for_a_kernel_without_ipv6),
        UNIT_TEST(dual_is_dual_where_the_default_is_v6only),
        UNIT_TEST(dual_serves_ipv4_where_ipv6_is_switched_off),
        UNIT_TEST(ipv4_works_in_a_network_of_its_own),
        UNIT_TEST(listening_sockets_are_of_the_kind_that_is_promised),
        UNIT_TEST(members_of_a_group_share_an_address_and_others_do_not),
        UNIT_TEST(a_listener_that_was_shut_down_listens_again_on_its_port),
    };

    return cmocka_run_group_tests_name("listen_posix", tests, NULL, NULL);
}
