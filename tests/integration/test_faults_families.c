/* Faults of the two address families: rows F90 to F97 of the list of faults. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/socket.h"
#include "tests/support/fault.h"

static struct kit_broker *start(const char *endpoint, const char *env)
{
    return kit_broker_start(&(struct kit_start){ .args = { "--endpoint", endpoint }, .env = { env } });
}

static struct kit_process *start_worker(struct kit_broker *b)
{
    struct kit_process *w = kit_worker_start(b, "w1", "hello", NULL);

    kit_broker_wait_ready(b, 1);
    return w;
}

static void finish(struct kit_broker *b, struct kit_process *w)
{
    kit_broker_wait_settled(b);
    kit_worker_stop(w);
    kit_broker_wait_ready(b, 0);
    kit_broker_wait_idle_fds(b);
    kit_broker_stop(b);
}

/* Does a client that comes from there get its answer? */
static bool is_served(struct kit_broker *b, const char *from, const char *to)
{
    sockbroker_socket sock = kit_connect(from, to, kit_broker_port(b, "web"));
    char line[160];

    if (kit_is_silent(sock, KIT_WAIT_MS))
        kit_fail("%s: neither an answer nor an end", to);
    bool served = recv(sock, line, sizeof(line), 0) > 0;
    kit_close(&sock);
    return served;
}

/* 0, or the error of binding there; reuse: with SO_REUSEPORT, as a thief of the same user would. Closes it. */
static int try_bind(const char *host, uint16_t port, bool reuse)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
    bool is_v4 = inet_pton(AF_INET, host, &v4.sin_addr) == 1;
    int on = 1;

    if (!is_v4)
        assert_int_equal(inet_pton(AF_INET6, host, &v6.sin6_addr), 1);
    sockbroker_socket sock = socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (reuse)
        setsockopt(sock, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    else
        setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (!is_v4)
        setsockopt(sock, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    int code = is_v4 ? bind(sock, (struct sockaddr *)&v4, sizeof(v4)) : bind(sock, (struct sockaddr *)&v6, sizeof(v6));
    if (!code)
        code = listen(sock, 1);
    code = code ? errno : 0;
    sb_socket_close(&sock);
    return code;
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

            snprintf(endpoint, sizeof(endpoint), "web=[::]:0,family=%s,%s", split ? "split" : "dual", cases[i].rule);
            struct kit_broker *b = start(endpoint, NULL);
            struct kit_process *w = start_worker(b);
            unsigned denied = 3u - cases[i].ipv4 - cases[i].ipv4_other - cases[i].ipv6;
            bool good = is_served(b, NULL, "127.0.0.1") == cases[i].ipv4 &&
                        is_served(b, "127.0.1.1", "127.0.0.1") == cases[i].ipv4_other &&
                        is_served(b, NULL, "::1") == cases[i].ipv6;
            if (!good)
                kit_fail("%s is judged wrong", endpoint);
            kit_broker_wait_settled(b);
            struct sb_endpoint_counters c = kit_counters(b, "web");
            assert_int_equal(c.accepted, 3);
            assert_int_equal(c.denied, denied);
            assert_int_equal(c.acked, 3 - denied);
            finish(b, w);
        }
    }
}

/* ---- binding ---- */

static int listen_on(const char *host, uint16_t *port_out)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
    bool is_v4 = inet_pton(AF_INET, host, &v4.sin_addr) == 1;
    int on = 1;
    socklen_t len = is_v4 ? (socklen_t)sizeof(v4) : (socklen_t)sizeof(v6);
    struct sockaddr *at = is_v4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;

    inet_pton(AF_INET6, host, &v6.sin6_addr);
    sockbroker_socket sock = socket(at->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (!is_v4)
        setsockopt(sock, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    if (bind(sock, at, len) || listen(sock, 1) || getsockname(sock, at, &len))
        kit_fail("listen on %s: %s", host, strerror(errno));
    *port_out = ntohs(is_v4 ? v4.sin_port : v6.sin6_port);
    return sock;
}

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
        sockbroker_socket sock = listen_on(cases[i].taken, &port);
        char endpoint[96], text[64];

        snprintf(endpoint, sizeof(endpoint), "web=[::]:%u,family=%s", port, cases[i].family);
        struct kit_broker *b =
            kit_broker_launch(&(struct kit_start){ .args = { "--endpoint", "first=[::]:0", "--endpoint", endpoint } });
        assert_int_equal(kit_process_wait(b->process), 1);
        snprintf(text, sizeof(text), "endpoint web: bind %s", cases[i].says[0] == '(' ? "[::]:" : cases[i].says);
        assert_true(kit_process_has_log(b->process, text));
        assert_true(kit_process_has_log(b->process, "EADDRINUSE"));
        if (cases[i].says[0] == '(')
            assert_true(kit_process_has_log(b->process, cases[i].says));
        else
            assert_true(kit_process_has_log(b->process, strchr(cases[i].says, '[') ? "(IPv6)" : "(IPv4)"));
        assert_false(kit_process_has_log(b->process, "event=ready"));
        assert_int_equal(try_bind(cases[i].other, port, false), 0);
        kit_broker_free(b);
        sb_socket_close(&sock);
    }
}

/* F94 */
static void nobody_else_can_join_the_port(void **state)
{
    static const char *const families[] = { "dual", "split", "ipv6", "ipv4" };

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        char endpoint[64];

        snprintf(endpoint, sizeof(endpoint), "web=%s:0,family=%s", i == 3 ? "0.0.0.0" : "[::]", families[i]);
        struct kit_broker *b = start(endpoint, NULL);
        uint16_t port = kit_broker_port(b, "web");
        if (i != 3) {
            assert_int_equal(try_bind("::", port, true), EADDRINUSE);
            assert_int_equal(try_bind("::1", port, true), EADDRINUSE);
        }
        if (i != 2) {
            assert_int_equal(try_bind("0.0.0.0", port, true), EADDRINUSE);
            assert_int_equal(try_bind("127.0.0.1", port, true), EADDRINUSE);
            assert_int_equal(try_bind("127.0.0.1", port, false), EADDRINUSE);
        }
        kit_broker_stop(b);
    }
}

/* Port 0: the same port for both, each family on its own socket, and the mapped form nowhere. */
static void split_has_two_sockets_on_one_port(void **state)
{
    struct kit_broker *b = start("web=[::]:0,family=split", NULL);
    struct kit_process *w = start_worker(b);
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
    assert_true(is_served(b, NULL, "127.0.0.1"));
    assert_true(is_served(b, NULL, "::1"));
    finish(b, w);
}

/* ---- without IPv6 ---- */

/* F95 */
static void ipv6_switched_off_leaves_ipv4_served(void **state)
{
    int net = fault_net_enter();

    (void)state;
    fault_sysctl("net/ipv6/conf/all/disable_ipv6", "1");
    fault_sysctl("net/ipv6/conf/default/disable_ipv6", "1");
    struct kit_broker *b = start("web=[::]:0", NULL);
    struct kit_process *w = start_worker(b);
    assert_true(is_served(b, NULL, "127.0.0.1"));
    finish(b, w);

    b = start("web=[::1]:0+127.0.0.1:0", NULL); /* the one that is not there is left out, with a warning */
    w = start_worker(b);
    kit_broker_wait_log(b, "level=warning event=address_left_out endpoint=web");
    assert_true(kit_process_has_log(b->process, "EADDRNOTAVAIL"));
    assert_true(is_served(b, NULL, "127.0.0.1"));
    finish(b, w);

    b = kit_broker_launch(&(struct kit_start){ .args = { "--endpoint", "web=[::1]:0" } });
    assert_int_equal(kit_process_wait(b->process), 1);
    assert_true(kit_process_has_log(b->process, "[::1]:0 (IPv6): EADDRNOTAVAIL"));
    kit_broker_free(b);
    fault_net_leave(&net);
}

/* F96 */
static void kernel_without_ipv6_falls_back_to_ipv4_and_says_so_once(void **state)
{
    fault_need_failpoints();
    (void)state;
    struct kit_broker *b = start("web=[::]:0", "SOCKBROKER_FAILPOINTS=socket6=EAFNOSUPPORT*1000");
    struct kit_process *w = start_worker(b);
    struct sb_status_report r;
    assert_int_equal(kit_process_count_log(b->process, "event=no_ipv6"), 1);
    kit_status(b, &r);
    assert_int_equal(kit_endpoint(&r, "web")->n_addresses, 1);
    assert_int_equal(kit_endpoint(&r, "web")->addresses[0].family, SOCKBROKER_IPV4);
    sb_status_report_deinit(&r);
    assert_true(is_served(b, NULL, "127.0.0.1"));
    finish(b, w);

    b = start("web=[::]:0,family=split", "SOCKBROKER_FAILPOINTS=socket6=EAFNOSUPPORT*1000");
    w = start_worker(b);
    assert_int_equal(kit_process_count_log(b->process, "level=warning"), 1);
    assert_true(is_served(b, NULL, "127.0.0.1"));
    finish(b, w);
}

/* F97: the system's default is of no concern. */
static void bindv6only_changes_nothing(void **state)
{
    int net = fault_net_enter();

    (void)state;
    for (unsigned only = 0; only < 2; only++) {
        fault_sysctl("net/ipv6/bindv6only", only ? "1" : "0");
        struct kit_broker *b = start("web=[::]:0,family=dual", NULL);
        struct kit_process *w = start_worker(b);
        assert_true(is_served(b, NULL, "127.0.0.1"));
        assert_true(is_served(b, NULL, "::1"));
        finish(b, w);

        b = start("web=[::]:0,family=ipv6", NULL);
        assert_int_equal(try_bind("0.0.0.0", kit_broker_port(b, "web"), false), 0); /* IPv4 is nobody's */
        kit_broker_stop(b);

        b = start("web=[::]:0,family=split", NULL);
        w = start_worker(b);
        assert_true(is_served(b, NULL, "127.0.0.1"));
        assert_true(is_served(b, NULL, "::1"));
        finish(b, w);
    }
    fault_net_leave(&net);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(ipv4_client_of_a_dual_socket_is_judged_as_ipv4),
        TEST(port_taken_on_one_family_names_it_and_binds_nothing),
        TEST(nobody_else_can_join_the_port),
        TEST(split_has_two_sockets_on_one_port),
        TEST(ipv6_switched_off_leaves_ipv4_served),
        TEST(kernel_without_ipv6_falls_back_to_ipv4_and_says_so_once),
        TEST(bindv6only_changes_nothing),
    };

    return kit_main(tests, argc, argv);
}
