/* What accept.h promises: every error of accept(2) has its class, and a connection comes with the address it came from. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/accept.h"
#include "sockbroker/addr.h"

static const struct {
    int code;
    const char *name;
    enum sb_accept_result expected;
} judgements[] = {
#define ROW(code, result)                                                                                                      \
    {                                                                                                                          \
        code, #code, SB_ACCEPT_##result                                                                                        \
    }
    ROW(EAGAIN, EMPTY),     ROW(EWOULDBLOCK, EMPTY), ROW(EINTR, RETRY),     ROW(ECONNABORTED, RETRY), ROW(EPROTO, RETRY),
    ROW(ENETDOWN, RETRY),   ROW(ENOPROTOOPT, RETRY), ROW(EHOSTDOWN, RETRY), ROW(ENONET, RETRY),       ROW(EHOSTUNREACH, RETRY),
    ROW(EOPNOTSUPP, RETRY), ROW(ENETUNREACH, RETRY), ROW(ETIMEDOUT, RETRY), ROW(EPERM, RETRY),        ROW(EMFILE, PAUSE),
    ROW(ENFILE, PAUSE),     ROW(ENOBUFS, PAUSE),     ROW(ENOMEM, PAUSE),    ROW(EBADF, BROKEN),       ROW(EINVAL, BROKEN),
    ROW(ENOTSOCK, BROKEN),  ROW(EFAULT, BROKEN),
#undef ROW
};

static enum sb_accept_result expected_of(int code)
{
    for (size_t i = 0; i < UNIT_COUNT(judgements); i++) {
        if (judgements[i].code == code)
            return judgements[i].expected;
    }
    return SB_ACCEPT_UNKNOWN;
}

static void every_error_has_its_class_and_all_others_are_unknown(void **state)
{
    (void)state;
    for (int code = -1; code < 4096; code++) /* MAX_ERRNO of Linux */
        assert_int_equal(sb_accept_judge(code), expected_of(code));
}

static void a_connection_comes_with_both_addresses(void **state)
{
    static const struct {
        const char *listener, *client, *ip;
        enum sockbroker_family family;
    } rows[] = {
        { "127.0.0.1", "127.0.0.1", "127.0.0.1", SOCKBROKER_IPV4 },
        { "::1", "::1", "::1", SOCKBROKER_IPV6 },
        { "::", "::1", "::1", SOCKBROKER_IPV6 },
        { "::", "127.0.0.1", "127.0.0.1", SOCKBROKER_IPV4 }, /* not ::ffff:127.0.0.1 */
    };

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct sockbroker_addr peer, local, own;
        struct sockaddr_storage sa;
        socklen_t len = sizeof(sa);
        char text[SOCKBROKER_ADDR_TEXT_MAX];
        int sock = -1, code = 0;
        uint16_t port;

        if (strchr(rows[i].listener, ':') && !unit_has_ipv6())
            continue;
        int listener = unit_tcp_listen(rows[i].listener, &port);
        int client = unit_tcp_connect(rows[i].client, port);
        assert_int_equal(sb_accept(listener, true, &sock, &peer, &code), SB_ACCEPT_OK);
        assert_int_equal(getsockname(client, (struct sockaddr *)&sa, &len), 0);
        assert_status(SOCKBROKER_OK, sockbroker_addr_from_sockaddr((struct sockaddr *)&sa, len, &own));
        assert_int_equal(sockbroker_addr_compare(&peer, &own), 0);
        sb_accept_local(sock, &local);
        assert_int_equal(local.family, rows[i].family);
        assert_int_equal(local.port, port);
        assert_string_equal(sockbroker_addr_format_ip(&local, text), rows[i].ip);
        close(sock);
        close(client);
        close(listener);
    }
}

static void connections_are_close_on_exec_and_block_as_asked(void **state)
{
    uint16_t port;
    int listener = unit_tcp_listen("127.0.0.1", &port);

    (void)state;
    for (int blocking = 0; blocking <= 1; blocking++) {
        struct sockbroker_addr peer;
        int sock = -1, code = 0;
        int client = unit_tcp_connect("127.0.0.1", port);

        assert_int_equal(sb_accept(listener, blocking, &sock, &peer, &code), SB_ACCEPT_OK);
        assert_int_equal((fcntl(sock, F_GETFL) & O_NONBLOCK) == 0, blocking);
        assert_true(fcntl(sock, F_GETFD) & FD_CLOEXEC);
        close(client);
        close(sock);
    }
    close(listener);
}

static void assert_fails(int listener, enum sb_accept_result expected, int expected_code)
{
    struct sockbroker_addr peer;
    int sock = -1, code = 0;

    assert_int_equal(sb_accept(listener, false, &sock, &peer, &code), expected);
    assert_int_equal(code, expected_code);
    assert_int_equal(sock, -1);
}

static void failures_tell_what_to_do(void **state)
{
    uint16_t port;
    struct rlimit limit, low;
    int listener = unit_tcp_listen("127.0.0.1", &port);

    (void)state;
    fcntl(listener, F_SETFL, O_NONBLOCK);
    assert_fails(listener, SB_ACCEPT_EMPTY, EAGAIN);
    int client = unit_tcp_connect("127.0.0.1", port);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    low = limit;
    low.rlim_cur = 3;
    setrlimit(RLIMIT_NOFILE, &low);
    struct sockbroker_addr peer;
    int sock = -1, code = 0;
    enum sb_accept_result result = sb_accept(listener, false, &sock, &peer, &code);
    setrlimit(RLIMIT_NOFILE, &limit);
    assert_int_equal(result, SB_ACCEPT_PAUSE);
    assert_int_equal(code, EMFILE);
    assert_int_equal(sb_accept(listener, false, &sock, &peer, &code), SB_ACCEPT_OK); /* it has waited */
    close(sock);
    close(client);
    shutdown(listener, SHUT_RDWR);
    assert_fails(listener, SB_ACCEPT_BROKEN, EINVAL);
    close(listener);
    assert_fails(listener, SB_ACCEPT_BROKEN, EBADF);
    int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_fails(file, SB_ACCEPT_BROKEN, ENOTSOCK);
    close(file);
}

static void a_client_that_reset_at_once_has_its_address_all_the_same(void **state)
{
    struct linger now = { 1, 0 };
    struct sockbroker_addr peer;
    uint16_t port;
    int sock = -1, code = 0;
    int listener = unit_tcp_listen("127.0.0.1", &port);
    int client = unit_tcp_connect("127.0.0.1", port);

    (void)state;
    setsockopt(client, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(client);
    assert_int_equal(sb_accept(listener, false, &sock, &peer, &code), SB_ACCEPT_OK);
    assert_int_equal(peer.family, SOCKBROKER_IPV4);
    assert_true(peer.port != 0);
    close(sock);
    close(listener);
}

static void what_has_no_address_has_family_none(void **state)
{
    struct sockbroker_addr local;
    int pair[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    memset(&local, 0xff, sizeof(local));
    sb_accept_local(pair[0], &local);
    assert_int_equal(local.family, SOCKBROKER_FAMILY_NONE);
    memset(&local, 0xff, sizeof(local));
    sb_accept_local(-1, &local);
    assert_int_equal(local.family, SOCKBROKER_FAMILY_NONE);
    assert_int_equal(local.port, 0);
    close(pair[0]);
    close(pair[1]);
}

/* ---- each error at the call itself: fail-point accept ---- */

#ifdef SB_FAILPOINTS
struct injection {
    const char *rule;
    int code;
};

static void accept_injected(void *arg)
{
    const struct injection *row = arg;
    struct sockbroker_addr peer;
    int sock = -1, code = 0;
    uint16_t port;

    setenv("SOCKBROKER_FAILPOINTS", row->rule, 1);
    int listener = unit_tcp_listen("127.0.0.1", &port);
    int client = unit_tcp_connect("127.0.0.1", port);
    UNIT_REQUIRE(sb_accept(listener, false, &sock, &peer, &code) == expected_of(row->code));
    UNIT_REQUIRE(code == row->code && sock == -1);
    UNIT_REQUIRE(sb_accept(listener, false, &sock, &peer, &code) == SB_ACCEPT_OK); /* nothing was taken before */
    close(sock);
    close(client);
    close(listener);
}

static void an_error_takes_no_connection(void **state)
{
    static const struct injection injections[] = {
        { "accept=EMFILE", EMFILE },     { "accept=ENFILE", ENFILE },     { "accept=ENOBUFS", ENOBUFS },
        { "accept=ENOMEM", ENOMEM },     { "accept=EINTR", EINTR },       { "accept=ECONNABORTED", ECONNABORTED },
        { "accept=EPROTO", EPROTO },     { "accept=ENETDOWN", ENETDOWN }, { "accept=ENOPROTOOPT", ENOPROTOOPT },
        { "accept=EPERM", EPERM },       { "accept=EBADF", EBADF },       { "accept=EINVAL", EINVAL },
        { "accept=ENOTSOCK", ENOTSOCK }, { "accept=EFAULT", EFAULT },     { "accept=EOPNOTSUPP", EOPNOTSUPP },
        { "accept=EIO", EIO },           { "accept=EAGAIN", EAGAIN },
    };

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(injections); i++)
        assert_child_succeeds(accept_injected, (void *)(uintptr_t)&injections[i]);
}
#else
static void an_error_takes_no_connection(void **state)
{
    (void)state;
    skip();
}
#endif

/* The rules of SOCKBROKER_FAILPOINTS are read at the first pass, so its children come before any pass of the parent. */
int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(an_error_takes_no_connection),
        UNIT_TEST(every_error_has_its_class_and_all_others_are_unknown),
        UNIT_TEST(a_connection_comes_with_both_addresses),
        UNIT_TEST(connections_are_close_on_exec_and_block_as_asked),
        UNIT_TEST(failures_tell_what_to_do),
        UNIT_TEST(a_client_that_reset_at_once_has_its_address_all_the_same),
        UNIT_TEST(what_has_no_address_has_family_none),
    };

    return cmocka_run_group_tests_name("accept", tests, NULL, NULL);
}
