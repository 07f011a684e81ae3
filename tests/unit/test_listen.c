/* What listen.h promises: the families that were asked for, whatever the system's defaults are. The defaults are changed in
 * network namespaces, by children of the test. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client-lib/listen.h"
#include "proto/socket.h"
#include "sockbroker/addr.h"

/* ---- support ---- */

static struct sb_listen_request request_of(const char *text, bool dual)
{
    struct sb_listen_request r = { .dual = dual, .backlog = 16 };

    UNIT_REQUIRE(sockbroker_addr_parse(text, &r.addr, NULL) == SOCKBROKER_OK);
    return r;
}

struct opened {
    sockbroker_socket sock;
    struct sockbroker_addr at;
    enum sb_listen_note note;
    struct sockbroker_error error;
};

static sockbroker_status open_at(const char *text, bool dual, struct opened *o)
{
    struct sb_listen_request r = request_of(text, dual);

    o->sock = SOCKBROKER_SOCKET_NONE;
    return sb_listen_open(&r, &o->sock, &o->at, &o->note, &o->error);
}

static int option(int sock, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);

    UNIT_REQUIRE(getsockopt(sock, level, name, &value, &len) == 0);
    return value;
}

/* Does the listener take a client that connects to ip? */
static bool serves(const struct opened *o, const char *ip)
{
    struct sockaddr_storage sa;
    struct sockbroker_addr to;

    UNIT_REQUIRE(sockbroker_addr_parse_ip(ip, &to, NULL) == SOCKBROKER_OK);
    to.port = o->at.port;
    socklen_t len = (socklen_t)sockbroker_addr_to_sockaddr(&to, &sa);
    int client = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool served = client >= 0 && connect(client, (struct sockaddr *)&sa, len) == 0 && unit_wait_readable(o->sock);
    int came = served ? accept(o->sock, NULL, NULL) : -1;

    if (client >= 0)
        close(client);
    if (came >= 0)
        close(came);
    return came >= 0;
}

/* ---- as the machine is ---- */

struct row {
    const char *at;
    bool dual;
    int v6only; /* -1: IPv4 */
    bool ipv4, ipv6;
};

static const struct row rows[] = {
    { "[::]:0", true, 0, true, true },         { "[::]:0", false, 1, false, true },     { "[::1]:0", false, 1, false, true },
    { "127.0.0.1:0", false, -1, true, false }, { "0.0.0.0:0", false, -1, true, false },
};

static void serve_as_asked(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct opened o;

        UNIT_REQUIRE(open_at(rows[i].at, rows[i].dual, &o) == SOCKBROKER_OK);
        UNIT_REQUIRE(o.note == SB_LISTEN_AS_ASKED);
        UNIT_REQUIRE(o.at.port != 0);
        UNIT_REQUIRE(o.at.family == (rows[i].v6only < 0 ? SOCKBROKER_IPV4 : SOCKBROKER_IPV6));
        if (rows[i].v6only >= 0)
            UNIT_REQUIRE(option(o.sock, IPPROTO_IPV6, IPV6_V6ONLY) == rows[i].v6only);
        UNIT_REQUIRE(serves(&o, "127.0.0.1") == rows[i].ipv4);
        UNIT_REQUIRE(serves(&o, "::1") == rows[i].ipv6);
        sb_socket_close(&o.sock);
    }
}

static void each_request_serves_the_families_it_names(void **state)
{
    (void)state;
    if (!unit_has_ipv6())
        skip();
    serve_as_asked(NULL);
}

static void listening_sockets_are_of_the_kind_that_is_promised(void **state)
{
    struct opened o;

    (void)state;
    assert_status(SOCKBROKER_OK, open_at("127.0.0.1:0", false, &o));
    assert_true(fcntl(o.sock, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(o.sock, F_GETFL) & O_NONBLOCK);
    assert_int_equal(option(o.sock, SOL_SOCKET, SO_REUSEADDR), 1);
    assert_int_equal(option(o.sock, SOL_SOCKET, SO_REUSEPORT), 0);
    assert_int_equal(option(o.sock, SOL_SOCKET, SO_PROTOCOL), IPPROTO_TCP);
    assert_true(sb_listen_is_on(o.sock));
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
        struct opened holder, o;
        char asks[64], expected[80];

        assert_status(SOCKBROKER_OK, open_at(cases[i].holder, cases[i].holder_dual, &holder));
        snprintf(asks, sizeof(asks), cases[i].asks, holder.at.port);
        snprintf(expected, sizeof(expected), cases[i].expected, holder.at.port);
        assert_status(SOCKBROKER_ADDRESS_IN_USE, open_at(asks, cases[i].dual, &o));
        assert_int_equal(o.sock, SOCKBROKER_SOCKET_NONE);
        assert_int_equal(o.error.os_code, EADDRINUSE);
        assert_non_null(strstr(o.error.text, expected));
        assert_non_null(strstr(o.error.text, "ss -ltnp"));
        sb_socket_close(&holder.sock);
    }
}

static void the_same_port_of_the_other_family_is_free(void **state)
{
    struct opened v4, v6;
    char text[32];

    (void)state;
    if (!unit_has_ipv6())
        skip();
    assert_status(SOCKBROKER_OK, open_at("0.0.0.0:0", false, &v4));
    snprintf(text, sizeof(text), "[::]:%u", v4.at.port);
    assert_status(SOCKBROKER_OK, open_at(text, false, &v6));
    sb_socket_close(&v4.sock);
    sb_socket_close(&v6.sock);
}

/* Both ask for it, or the second one meets an address that is taken. */
static void members_of_a_group_share_an_address_and_others_do_not(void **state)
{
    struct sb_listen_request r = request_of("127.0.0.1:0", false);
    struct opened first, second;

    (void)state;
    second.sock = SOCKBROKER_SOCKET_NONE;
    r.reuseport = true;
    assert_status(SOCKBROKER_OK, sb_listen_open(&r, &first.sock, &r.addr, &first.note, NULL));
    assert_status(SOCKBROKER_OK, sb_listen_open(&r, &second.sock, &second.at, &second.note, NULL));
    assert_int_equal(option(second.sock, SOL_SOCKET, SO_REUSEPORT), 1);
    assert_int_equal(second.at.port, r.addr.port);
    sb_socket_close(&second.sock);
    r.reuseport = false;
    assert_status(SOCKBROKER_ADDRESS_IN_USE, sb_listen_open(&r, &second.sock, &second.at, &second.note, NULL));
    sb_socket_close(&first.sock);
}

static void an_address_of_another_machine_is_named(void **state)
{
    struct opened o;

    (void)state;
    assert_status(SOCKBROKER_ADDRESS_NOT_AVAILABLE, open_at("192.0.2.1:0", false, &o));
    assert_non_null(strstr(o.error.text, "bind 192.0.2.1:0 (IPv4)"));
    assert_non_null(strstr(o.error.text, "EADDRNOTAVAIL"));
}

static void a_restart_binds_at_once(void **state)
{
    struct opened o;
    char text[32];

    (void)state;
    assert_status(SOCKBROKER_OK, open_at("127.0.0.1:0", false, &o));
    int client = unit_tcp_connect("127.0.0.1", o.at.port);
    assert_true(unit_wait_readable(o.sock));
    int server = accept(o.sock, NULL, NULL);
    close(server); /* first, so that the TIME_WAIT is on this side */
    assert_true(unit_poll(client, POLLRDHUP, UNIT_PATIENCE_MS) & POLLRDHUP);
    close(client);
    snprintf(text, sizeof(text), "127.0.0.1:%u", o.at.port);
    sb_socket_close(&o.sock);
    assert_status(SOCKBROKER_OK, open_at(text, false, &o));
    sb_socket_close(&o.sock);
}

/* Also a port that the kernel chose (0 was asked), which it takes back at shutdown(): inet_put_port() in tcp_set_state(). */
static void a_listener_that_was_shut_down_listens_again_on_its_port(void **state)
{
    struct opened o;

    (void)state;
    assert_status(SOCKBROKER_OK, open_at("127.0.0.1:0", false, &o));
    assert_true(serves(&o, "127.0.0.1"));
    shutdown(o.sock, SHUT_RDWR); /* as any holder of a copy can */
    assert_false(sb_listen_is_on(o.sock));
    assert_status(SOCKBROKER_OK, sb_listen_again(o.sock, &o.at, 16));
    assert_true(sb_listen_is_on(o.sock));
    assert_true(serves(&o, "127.0.0.1")); /* at the same address */
    sb_socket_close(&o.sock);
    assert_false(sb_listen_is_on(o.sock));
    assert_status(SOCKBROKER_SYSTEM, sb_listen_again(o.sock, &o.at, 16)); /* EBADF */
}

static void ipv6_is_noticed(void **state)
{
    (void)state;
    if (!unit_has_ipv6())
        skip();
    assert_true(sb_listen_has_ipv6());
    assert_true(sb_listen_has_ipv6_address());
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
    UNIT_REQUIRE(option(plain, IPPROTO_IPV6, IPV6_V6ONLY) == 1); /* else the test shows nothing */
    close(plain);
    serve_as_asked(arg);
}

static void dual_is_dual_where_the_default_is_v6only(void **state)
{
    (void)state;
    in_own_network(be_where_sockets_are_v6only_by_default);
}

static void be_where_ipv6_is_switched_off(void *arg)
{
    struct opened o;

    (void)arg;
    UNIT_REQUIRE(unit_own_network());
    UNIT_REQUIRE(unit_write_file("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1"));
    UNIT_REQUIRE(sb_listen_has_ipv6());
    UNIT_REQUIRE(!sb_listen_has_ipv6_address());
    UNIT_REQUIRE(open_at("[::]:0", true, &o) == SOCKBROKER_OK);
    UNIT_REQUIRE(o.note == SB_LISTEN_AS_ASKED);
    UNIT_REQUIRE(serves(&o, "127.0.0.1"));
    UNIT_REQUIRE(!serves(&o, "::1"));
    sb_socket_close(&o.sock);
    UNIT_REQUIRE(open_at("[::1]:0", false, &o) == SOCKBROKER_ADDRESS_NOT_AVAILABLE);
    UNIT_REQUIRE(o.error.os_code == EADDRNOTAVAIL && strstr(o.error.text, "[::1]:0 (IPv6)"));
}

static void dual_serves_ipv4_where_ipv6_is_switched_off(void **state)
{
    (void)state;
    in_own_network(be_where_ipv6_is_switched_off);
}

static void be_where_there_is_only_lo(void *arg)
{
    struct opened o;

    (void)arg;
    UNIT_REQUIRE(unit_own_network());
    UNIT_REQUIRE(open_at("0.0.0.0:0", false, &o) == SOCKBROKER_OK);
    UNIT_REQUIRE(serves(&o, "127.0.0.1"));
    UNIT_REQUIRE(open_at("192.0.2.1:80", false, &o) == SOCKBROKER_ADDRESS_NOT_AVAILABLE);
}

static void ipv4_works_in_a_network_of_its_own(void **state)
{
    (void)state;
    in_own_network(be_where_there_is_only_lo);
}

/* ---- a kernel without IPv6: fail-point socket6 ---- */

static void be_without_ipv6(void *arg)
{
    struct opened o;

    (void)arg;
    setenv("SOCKBROKER_FAILPOINTS", "socket6=EAFNOSUPPORT*100", 1);
    UNIT_REQUIRE(!sb_listen_has_ipv6());
    UNIT_REQUIRE(!sb_listen_has_ipv6_address());
    UNIT_REQUIRE(open_at("[::]:0", true, &o) == SOCKBROKER_OK);
    UNIT_REQUIRE(o.note == SB_LISTEN_NO_IPV6);
    UNIT_REQUIRE(o.at.family == SOCKBROKER_IPV4 && o.at.port != 0);
    UNIT_REQUIRE(serves(&o, "127.0.0.1"));
    sb_socket_close(&o.sock);
    UNIT_REQUIRE(open_at("[::]:0", false, &o) == SOCKBROKER_UNSUPPORTED);
    UNIT_REQUIRE(o.error.os_code == EAFNOSUPPORT && strstr(o.error.text, "[::]:0 (IPv6)"));
    UNIT_REQUIRE(o.sock == SOCKBROKER_SOCKET_NONE);
    UNIT_REQUIRE(open_at("127.0.0.1:0", false, &o) == SOCKBROKER_OK);
    UNIT_REQUIRE(o.note == SB_LISTEN_AS_ASKED);
}

static void keep_the_port(void *arg)
{
    struct opened o;
    char text[32];

    (void)arg;
    setenv("SOCKBROKER_FAILPOINTS", "socket6=EAFNOSUPPORT*100", 1);
    UNIT_REQUIRE(open_at("0.0.0.0:0", false, &o) == SOCKBROKER_OK);
    snprintf(text, sizeof(text), "[::]:%u", o.at.port);
    sb_socket_close(&o.sock);
    UNIT_REQUIRE(open_at(text, true, &o) == SOCKBROKER_OK);
    snprintf(text, sizeof(text), "[::]:%u", o.at.port); /* taken now */
    struct opened second;
    UNIT_REQUIRE(open_at(text, true, &second) == SOCKBROKER_ADDRESS_IN_USE);
    snprintf(text, sizeof(text), "0.0.0.0:%u (IPv4)", o.at.port); /* what was really tried is named */
    UNIT_REQUIRE(strstr(second.error.text, text) != NULL);
}

static void be_short_of_descriptors(void *arg)
{
    struct opened o;

    (void)arg;
    setenv("SOCKBROKER_FAILPOINTS", "socket6=EMFILE*100", 1);
    UNIT_REQUIRE(sb_listen_has_ipv6()); /* that one cannot be opened now says nothing about the kernel */
    UNIT_REQUIRE(open_at("[::]:0", true, &o) == SOCKBROKER_NO_DESCRIPTORS);
    UNIT_REQUIRE(o.note == SB_LISTEN_AS_ASKED);
}

static void with_failpoints(void (*run)(void *))
{
#ifndef SB_FAILPOINTS
    (void)run;
    skip();
#else
    assert_child_succeeds(run, NULL);
#endif
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
        UNIT_TEST(each_request_serves_the_families_it_names),
        UNIT_TEST(listening_sockets_are_of_the_kind_that_is_promised),
        UNIT_TEST(a_taken_port_is_named_with_its_family),
        UNIT_TEST(the_same_port_of_the_other_family_is_free),
        UNIT_TEST(members_of_a_group_share_an_address_and_others_do_not),
        UNIT_TEST(an_address_of_another_machine_is_named),
        UNIT_TEST(a_restart_binds_at_once),
        UNIT_TEST(a_listener_that_was_shut_down_listens_again_on_its_port),
        UNIT_TEST(ipv6_is_noticed),
    };

    return cmocka_run_group_tests_name("listen", tests, NULL, NULL);
}
