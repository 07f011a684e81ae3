/* `sockbroker connect`: a brokered connection with standard input and output at its end. */
#include <string.h>

#include "tests/integration/connect_kit.h"
#include "tests/support/format.h"
#include "tests/support/kit_deposit.h"
#include "tests/support/kit_state.h"
#include "tests/support/net.h"

#define LARGE (8u << 20)

static const char *const hosts[] = { "127.0.0.1", "::1" };

static void expect_end_of_input(sockbroker_socket sock)
{
    char byte;

    assert_false(kit_is_silent(sock, KIT_WAIT_MS));
    assert_int_equal(net_receive(sock, &byte, 1), 0);
}

/* ---- what it does ---- */

static void half_close_tells_the_end_of_the_input(void **state)
{
    struct kit_broker *b = connect_kit_start();

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        uint16_t port;
        sockbroker_socket listener = kit_listen(hosts[i], &port);
        struct kit_process *p = connect_kit_run(b, hosts[i], port, NULL, NULL);
        sockbroker_socket peer = kit_accept(listener);

        kit_process_tell(p, "question");
        kit_expect(peer, "question\n");
        kit_send(peer, "first ");
        kit_process_wait_log(p, "first ");
        kit_process_end_input(p);
        expect_end_of_input(peer);
        kit_send(peer, "and last\n"); /* the other way is open still */
        net_close(&peer);
        kit_process_wait_log(p, "first and last\n");
        connect_kit_check_exit(p, 0);
        net_close(&listener);
    }
    connect_kit_finish(b);
}

static void end_of_the_peer_ends_it_whatever_the_input_does(void **state)
{
    struct kit_broker *b = connect_kit_start();
    uint16_t port;
    sockbroker_socket listener = kit_listen("::1", &port);
    struct kit_process *p = connect_kit_run(b, "::1", port, NULL, NULL);
    sockbroker_socket peer = kit_accept(listener);

    (void)state;
    kit_send(peer, "bye");
    net_close(&peer);
    assert_int_equal(kit_process_wait(p), 0);
    kit_process_wait_log(p, "bye");
    kit_process_free(p);
    net_close(&listener);
    connect_kit_finish(b);
}

static void connection_goes_on_without_the_broker(void **state)
{
    struct kit_broker *b = connect_kit_start();
    uint16_t port;
    sockbroker_socket listener = kit_listen("::1", &port);
    struct kit_process *p = connect_kit_run(b, "::1", port, NULL, NULL);
    sockbroker_socket peer = kit_accept(listener);

    (void)state;
    kit_send(peer, "made");
    kit_process_wait_log(p, "made"); /* so it is ours by now */
    kit_broker_wait_ready(b, 0);
    kit_broker_stop(b);
    kit_process_tell(p, "alive");
    kit_expect(peer, "alive\n");
    net_close(&peer);
    connect_kit_check_exit(p, 0);
    net_close(&listener);
}

/* ---- much ---- */

/* What the socket takes now. True when all is sent. */
static bool send_more(sockbroker_socket sock, const uint8_t *bytes, size_t *at)
{
    long n = net_send(sock, bytes + *at, LARGE - *at);

    if (n < 0 && !net_is_pending())
        kit_fail("the command does not take what the peer sends: %s", net_error_text());
    *at += n > 0 ? (size_t)n : 0;
    return *at == LARGE;
}

/* What has come. True when it is all. */
static bool receive_more(sockbroker_socket sock, uint8_t *bytes, size_t *at)
{
    long n = net_receive(sock, bytes + *at, LARGE - *at);

    if (!n || (n < 0 && !net_is_pending()))
        kit_fail("the peer gets %zu bytes, then %s", *at, n ? net_error_text() : "the end");
    *at += n > 0 ? (size_t)n : 0;
    return *at == LARGE;
}

static struct kit_process *run_in_pipes(const struct kit_broker *b, const char *host, uint16_t port)
{
    char number[8];
    struct kit_start how = { .args = { "connect", host, number, "--dir", b->dir }, .no_text = true };

    format_text(number, sizeof(number), "%u", port);
    return kit_process_start("connect", SB_BROKER_EXE, &how);
}

/* Through pipes at both ends, which hold little. The peer reads nothing before all that it sends has arrived, so each way must
 * do without the other. */
static void much_goes_both_ways_whole(void **state)
{
    static uint8_t up[LARGE], down[LARGE], got[LARGE];
    struct kit_broker *b = connect_kit_start();

    (void)state;
    kit_state_fill("up", 1, up, LARGE);
    kit_state_fill("down", 1, down, LARGE);
    for (size_t i = 0; i < 2; i++) {
        size_t sent = 0, received = 0;
        uint16_t port;
        sockbroker_socket listener = kit_listen(hosts[i], &port);
        struct kit_process *p = run_in_pipes(b, hosts[i], port);
        sockbroker_socket peer = kit_accept(listener);

        assert_true(net_set_nonblocking(peer));
        kit_process_feed(p, up, LARGE);
        kit_until(send_more(peer, down, &sent));
        kit_until(p->log_len == LARGE);
        kit_until(receive_more(peer, got, &received));
        expect_end_of_input(peer);
        net_close(&peer);
        assert_int_equal(kit_process_wait(p), 0);
        assert_int_equal(p->log_len, LARGE); /* and no message either */
        assert_true(!memcmp(p->log, down, LARGE));
        assert_true(!memcmp(got, up, LARGE));
        kit_process_free(p);
        net_close(&listener);
    }
    connect_kit_finish(b);
}

/* Its reader has gone, which the next write shows. */
static void output_that_nobody_reads_ends_it(void **state)
{
    struct kit_broker *b = connect_kit_start();
    uint16_t port;
    sockbroker_socket listener = kit_listen("::1", &port);
    struct kit_process *p = connect_kit_run(b, "::1", port, NULL, NULL);
    sockbroker_socket peer = kit_accept(listener);

    (void)state;
    kit_send(peer, "12345");
    kit_process_wait_log(p, "12345");
    kit_process_end_output(p);
    kit_send(peer, "67890");
    connect_kit_check_exit(p, 1); /* neither peer nor input has ended */
    net_close(&peer);
    net_close(&listener);
    connect_kit_finish(b);
}

/* ---- explanations ---- */

static void explain_shows_the_race(void **state)
{
    struct kit_broker *b = connect_kit_start();

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char text[64];
        uint16_t port;
        sockbroker_socket listener = kit_listen(hosts[i], &port);
        struct kit_process *p = connect_kit_run(b, hosts[i], port, "--explain", NULL);
        sockbroker_socket peer = kit_accept(listener);

        kit_process_wait_log(p, "order  destination");
        format_text(text, sizeof(text), i ? "    1  [::1]:%u " : "    1  127.0.0.1:%u ", port);
        kit_process_wait_log(p, text);
        kit_process_wait_log(p, " ms  connected\n");
        net_close(&peer);
        connect_kit_check_exit(p, 0);
        net_close(&listener);
    }
    connect_kit_finish(b);
}

static bool localhost_is(const char *host)
{
    const char *const args[] = { "addresses", "localhost", NULL };
    char output[4096];

    return kit_run(args, output, sizeof(output)) == 0 && strstr(output, host);
}

/* One of its addresses has a listener; the other, if it has one, is shown with its failure, or as not needed. */
static void name_leads_to_the_address_that_listens(void **state)
{
    struct kit_broker *b = connect_kit_start();

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        uint16_t port;

        if (!localhost_is(hosts[i]))
            continue;
        sockbroker_socket listener = kit_listen(hosts[i], &port);
        struct kit_process *p = connect_kit_run(b, "localhost", port, "--explain", NULL);
        sockbroker_socket peer = kit_accept(listener);

        kit_process_wait_log(p, "connected\n");
        kit_process_tell(p, "hello");
        kit_expect(peer, "hello\n");
        net_close(&peer);
        connect_kit_check_exit(p, 0);
        net_close(&listener);
    }
    connect_kit_finish(b);
}

static void source_is_where_it_comes_from(void **state)
{
    struct kit_broker *b = connect_kit_start();
    struct sockaddr_in from;
    socklen_t len = sizeof(from);
    uint16_t port;
    sockbroker_socket listener = kit_listen("127.0.0.1", &port);
    struct kit_process *p = connect_kit_run(b, "127.0.0.1", port, "--source", "127.0.0.9");
    sockbroker_socket peer = kit_accept(listener);

    (void)state;
    assert_int_equal(getpeername(peer, (struct sockaddr *)&from, &len), 0);
    assert_memory_equal(&from.sin_addr, "\x7f\0\0\x09", 4);
    net_close(&peer);
    connect_kit_check_exit(p, 0);
    net_close(&listener);
    connect_kit_finish(b);
}

/* ---- failures ---- */

/* A port at which nobody listens: bound, so that nobody else takes it meanwhile. */
static void refused_connection_names_address_and_cause(void **state)
{
    struct kit_broker *b = connect_kit_start();

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char text[64];
        uint16_t port;
        sockbroker_socket listener = kit_listen(hosts[i], &port);
        sockbroker_socket client = kit_connect(NULL, hosts[i], port); /* its own port takes no connection */

        port = net_port(client);
        struct kit_process *p = connect_kit_run(b, hosts[i], port, "--explain", NULL);
        format_text(text, sizeof(text), "%u", port);
        kit_process_wait_log(p, "sockbroker connect: ");
        kit_process_wait_log(p, text);
        kit_process_wait_log(p, "ECONNREFUSED");
        connect_kit_check_exit(p, 1);
        net_close(&client);
        net_close(&listener);
    }
    connect_kit_finish(b);
}

/* RFC 6761, 6.4: names below "invalid." do not exist. */
static void unknown_host_is_named(void **state)
{
    struct kit_broker *b = connect_kit_start();
    struct kit_process *p = connect_kit_run(b, "no-such-host.invalid", 80, NULL, NULL);

    (void)state;
    kit_process_wait_log(p, "sockbroker connect: ");
    kit_process_wait_log(p, "no-such-host.invalid");
    connect_kit_check_exit(p, 1);
    connect_kit_finish(b);
}

static void deadline_passes_for_who_does_not_answer(void **state)
{
    struct kit_broker *b = connect_kit_start();
    sockbroker_socket listener = net_open_bound("127.0.0.1", 0, SOCK_STREAM);
    const uint16_t port = net_port(listener);
    sockbroker_socket fillers[2];

    (void)state;
    assert_int_equal(listen(listener, 0), 0); /* a queue of one: what comes after the second gets no answer */
    for (unsigned i = 0; i < 2; i++) {
        fillers[i] = net_open(AF_INET, SOCK_STREAM);
        assert_true(net_set_nonblocking(fillers[i]));
        assert_true(net_connect(fillers[i], "127.0.0.1", port) || net_is_pending());
    }
    struct kit_process *p = connect_kit_run(b, "127.0.0.1", port, "--timeout", "300");
    kit_process_wait_log(p, "sockbroker connect: ");
    connect_kit_check_exit(p, 1);
    for (unsigned i = 0; i < 2; i++)
        net_close(&fillers[i]);
    net_close(&listener);
    connect_kit_finish(b);
}

static void must_find_no_broker(const char *dir, const char *place)
{
    const char *const args[] = { "connect", "::1", "80", "--dir", dir, NULL };
    char output[512];
    int code = kit_run(args, output, sizeof(output));

    if (code != 3 || !strstr(output, place))
        kit_fail("exit code %d: %s", code, output);
}

/* One that was killed leaves more behind than one that has ended. */
static void without_a_broker_the_exit_code_is_3(void **state)
{
    const struct kit_start how = { .args = { "--endpoint", "web=[::]:0" } };
    struct kit_broker *b = kit_broker_start(&how);
    char dir[160], place[160];

    (void)state;
    format_text(dir, sizeof(dir), "%s", b->dir);
    kit_broker_place(b, place);
    kit_broker_kill(b);
    must_find_no_broker(dir, place);
    kit_broker_revive(b, &how);
    kit_broker_stop(b);
    must_find_no_broker(dir, place);
}

static void wrong_usage_is_explained(void **state)
{
    static const struct {
        const char *args[5];
        const char *cause;
    } cases[] = {
        { { "::1" }, "name a host and a port" },
        { { "::1", "80", "81" }, "name a host and a port" },
        { { "", "80" }, "use 1 to 255 bytes" },
        { { "::1", "0" }, "port \"0\": use 1 to 65535" },
        { { "::1", "65536" }, "port \"65536\"" },
        { { "::1", "-1x" }, "" },
        { { "::1", "http" }, "port \"http\"" },
        { { "::1", "80", "--timeout", "0" }, "--timeout \"0\": use 1 to 600000 milliseconds" },
        { { "::1", "80", "--timeout", "600001" }, "--timeout" },
        { { "::1", "80", "--source", "here" }, "--source: " },
        { { "::1", "80", "--nonsense" }, "" },
    };
    char output[2048];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *args[8] = { "connect" };

        memcpy(args + 1, cases[i].args, sizeof(cases[i].args));
        int code = kit_run(args, output, sizeof(output));
        if (code != 2 || !strstr(output, cases[i].cause) || !strstr(output, "sockbroker connect --help"))
            kit_fail("case %zu: %d, %s", i, code, output);
    }
    const char *const help[] = { "connect", "--help", NULL };
    assert_int_equal(kit_run(help, output, sizeof(output)), 0);
    assert_non_null(strstr(output, "--explain"));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(half_close_tells_the_end_of_the_input, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(end_of_the_peer_ends_it_whatever_the_input_does, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(connection_goes_on_without_the_broker, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(much_goes_both_ways_whole, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(output_that_nobody_reads_ends_it, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(explain_shows_the_race, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(name_leads_to_the_address_that_listens, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(source_is_where_it_comes_from, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(refused_connection_names_address_and_cause, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(unknown_host_is_named, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(deadline_passes_for_who_does_not_answer, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(without_a_broker_the_exit_code_is_3, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(wrong_usage_is_explained, kit_setup, kit_teardown),
    };

    return kit_main(tests, argc, argv);
}
