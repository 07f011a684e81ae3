/* `sockbroker connect`: a brokered connection with standard input and output at its end. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/format.h"
#include "tests/support/kit_deposit.h"
#include "tests/support/kit_state.h"

#define LARGE (8u << 20)

static const char *const hosts[] = { "127.0.0.1", "::1" };

static struct kit_broker *start(void)
{
    return kit_broker_start(&(struct kit_start){ .args = { "--endpoint", "web=[::]:0" } });
}

static void finish(struct kit_broker *b)
{
    kit_broker_wait_ready(b, 0);
    kit_broker_wait_idle_fds(b);
    kit_broker_stop(b);
}

/* more: one or two further arguments, or NULL. */
static struct kit_process *run(const struct kit_broker *b, const char *host, uint16_t port, const char *more, const char *value)
{
    char number[8];
    const char *const args[] = { "connect", host, number, "--dir", b->dir, more, value, NULL };

    format_text(number, sizeof(number), "%u", port);
    return kit_run_start(args);
}

static void end_input(struct kit_process *p)
{
    close(p->in);
    p->in = open("/dev/null", O_WRONLY | O_CLOEXEC); /* the kit closes it */
}

static void check_exit(struct kit_process *p, int code)
{
    int got = kit_process_wait(p);

    if (got != code)
        kit_fail("exit code %d instead of %d", got, code);
    kit_process_free(p);
}

static void expect_end_of_input(sockbroker_socket sock)
{
    char byte;

    assert_false(kit_is_silent(sock, KIT_WAIT_MS));
    assert_int_equal(recv(sock, &byte, 1, 0), 0);
}

/* ---- what it does ---- */

static void half_close_tells_the_end_of_the_input(void **state)
{
    struct kit_broker *b = start();

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        uint16_t port;
        sockbroker_socket listener = kit_listen(hosts[i], &port);
        struct kit_process *p = run(b, hosts[i], port, NULL, NULL);
        sockbroker_socket peer = kit_accept(listener);

        kit_process_tell(p, "question");
        kit_expect(peer, "question\n");
        kit_send(peer, "first ");
        kit_process_wait_log(p, "first ");
        end_input(p);
        expect_end_of_input(peer);
        kit_send(peer, "and last\n"); /* the other way is open still */
        close(peer);
        kit_process_wait_log(p, "first and last\n");
        check_exit(p, 0);
        close(listener);
    }
    finish(b);
}

static void end_of_the_peer_ends_it_whatever_the_input_does(void **state)
{
    struct kit_broker *b = start();
    uint16_t port;
    sockbroker_socket listener = kit_listen("::1", &port);
    struct kit_process *p = run(b, "::1", port, NULL, NULL);
    sockbroker_socket peer = kit_accept(listener);

    (void)state;
    kit_send(peer, "bye");
    close(peer);
    assert_int_equal(kit_process_wait(p), 0);
    kit_process_wait_log(p, "bye");
    kit_process_free(p);
    close(listener);
    finish(b);
}

static void reset_of_the_peer_is_a_failure(void **state)
{
    struct kit_broker *b = start();
    uint16_t port;
    sockbroker_socket listener = kit_listen("::1", &port);
    struct kit_process *p = run(b, "::1", port, NULL, NULL);
    sockbroker_socket peer = kit_accept(listener);

    (void)state;
    kit_send(peer, "made");
    kit_process_wait_log(p, "made"); /* so it is not the broker that is told */
    kit_close(&peer);
    kit_process_wait_log(p, "sockbroker connect: the connection: ECONNRESET");
    check_exit(p, 1);
    close(listener);
    finish(b);
}

static void connection_goes_on_without_the_broker(void **state)
{
    struct kit_broker *b = start();
    uint16_t port;
    sockbroker_socket listener = kit_listen("::1", &port);
    struct kit_process *p = run(b, "::1", port, NULL, NULL);
    sockbroker_socket peer = kit_accept(listener);

    (void)state;
    kit_send(peer, "made");
    kit_process_wait_log(p, "made"); /* so it is ours by now */
    kit_broker_wait_ready(b, 0);
    kit_broker_stop(b);
    kit_process_tell(p, "alive");
    kit_expect(peer, "alive\n");
    close(peer);
    check_exit(p, 0);
    close(listener);
}

/* ---- much ---- */

static void write_file(const char *path, const uint8_t *bytes, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd < 0 || write(fd, bytes, len) != (ssize_t)len)
        kit_fail("%s could not be written", path);
    close(fd);
}

static void check_file(const char *path, const uint8_t *bytes, size_t len)
{
    uint8_t *got = malloc(len + 1);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t n = 0;
    ssize_t more = 1;

    while (got && fd >= 0 && more > 0 && n <= len) {
        more = read(fd, got + n, len + 1 - n);
        n += more > 0 ? (size_t)more : 0;
    }
    if (n != len || memcmp(got, bytes, len))
        kit_fail("%s: %zu bytes that are not the %zu that were sent", path, n, len);
    close(fd);
    free(got);
}

static void send_all(sockbroker_socket sock, const uint8_t *bytes, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = send(sock, bytes + at, len - at, MSG_NOSIGNAL);

        if (n <= 0)
            kit_fail("the command does not take what the peer sends");
        at += (size_t)n;
    }
}

static void receive_all(sockbroker_socket sock, const uint8_t *bytes, size_t len)
{
    uint8_t *got = malloc(len);

    if (!got || recv(sock, got, len, MSG_WAITALL) != (ssize_t)len || memcmp(got, bytes, len))
        kit_fail("the peer does not get what was sent");
    free(got);
    expect_end_of_input(sock);
}

/* Through pipes at both ends, which hold little. The peer reads nothing before it has sent all, so each way must do without the
 * other. */
static void much_goes_both_ways_whole(void **state)
{
    static uint8_t up[LARGE], down[LARGE];
    struct kit_broker *b = start();
    char script[768];

    (void)state;
    kit_state_fill("up", 1, up, LARGE);
    kit_state_fill("down", 1, down, LARGE);
    for (size_t i = 0; i < 2; i++) {
        char in[176], out[176];
        uint16_t port;
        sockbroker_socket listener = kit_listen(hosts[i], &port);

        format_text(in, sizeof(in), "%s/in", b->dir);
        format_text(out, sizeof(out), "%s/out", b->dir);
        write_file(in, up, LARGE);
        format_text(script, sizeof(script), "cat %s | (%s connect %s %u --dir %s; echo exit $? >&2) | cat >%s", in,
                    SB_BROKER_EXE, hosts[i], port, b->dir, out);
        struct kit_process *p = kit_process_start(
            "pipeline", "/bin/sh", &(struct kit_start){ .args = { "-c", script }, .env = { "PATH=/usr/bin:/bin" } });
        sockbroker_socket peer = kit_accept(listener);
        send_all(peer, down, LARGE);
        receive_all(peer, up, LARGE);
        close(peer);
        kit_process_wait_log(p, "exit 0\n");
        check_exit(p, 0);
        check_file(out, down, LARGE);
        unlink(in);
        unlink(out);
        close(listener);
    }
    finish(b);
}

/* Its reader has gone: seen before anything is written, too. */
static void output_that_nobody_reads_ends_it(void **state)
{
    struct kit_broker *b = start();
    uint16_t port;
    sockbroker_socket listener = kit_listen("::1", &port);
    char script[768];

    (void)state;
    format_text(script, sizeof(script), "(%s connect ::1 %u --dir %s </dev/zero; echo exit $? >&2) | head -c 5 >&2",
                SB_BROKER_EXE, port, b->dir);
    struct kit_process *p = kit_process_start("pipeline", "/bin/sh",
                                              &(struct kit_start){ .args = { "-c", script }, .env = { "PATH=/usr/bin:/bin" } });
    sockbroker_socket peer = kit_accept(listener);
    kit_send(peer, "12345");
    kit_process_wait_log(p, "12345");
    kit_process_wait_log(p, "sockbroker connect: standard output: its reader has closed it\n");
    kit_process_wait_log(p, "exit 1\n");
    check_exit(p, 0);
    kit_close(&peer);
    close(listener);
    finish(b);
}

/* ---- explanations ---- */

static void explain_shows_the_race(void **state)
{
    struct kit_broker *b = start();

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char text[64];
        uint16_t port;
        sockbroker_socket listener = kit_listen(hosts[i], &port);
        struct kit_process *p = run(b, hosts[i], port, "--explain", NULL);
        sockbroker_socket peer = kit_accept(listener);

        kit_process_wait_log(p, "order  destination");
        format_text(text, sizeof(text), i ? "    1  [::1]:%u " : "    1  127.0.0.1:%u ", port);
        kit_process_wait_log(p, text);
        kit_process_wait_log(p, " ms  connected\n");
        close(peer);
        check_exit(p, 0);
        close(listener);
    }
    finish(b);
}

static bool localhost_is(const char *host)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
    struct addrinfo *list = NULL;
    bool found = false;

    if (getaddrinfo("localhost", NULL, &hints, &list))
        return false;
    for (const struct addrinfo *a = list; a && !found; a = a->ai_next)
        found = a->ai_family == (strchr(host, ':') ? AF_INET6 : AF_INET);
    freeaddrinfo(list);
    return found;
}

/* One of its addresses has a listener; the other, if it has one, is shown with its failure, or as not needed. */
static void name_leads_to_the_address_that_listens(void **state)
{
    struct kit_broker *b = start();

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        uint16_t port;

        if (!localhost_is(hosts[i]))
            continue;
        sockbroker_socket listener = kit_listen(hosts[i], &port);
        struct kit_process *p = run(b, "localhost", port, "--explain", NULL);
        sockbroker_socket peer = kit_accept(listener);

        kit_process_wait_log(p, "connected\n");
        kit_process_tell(p, "hello");
        kit_expect(peer, "hello\n");
        close(peer);
        check_exit(p, 0);
        close(listener);
    }
    finish(b);
}

static void source_is_where_it_comes_from(void **state)
{
    struct kit_broker *b = start();
    struct sockaddr_in from;
    socklen_t len = sizeof(from);
    uint16_t port;
    sockbroker_socket listener = kit_listen("127.0.0.1", &port);
    struct kit_process *p = run(b, "127.0.0.1", port, "--source", "127.0.0.9");
    sockbroker_socket peer = kit_accept(listener);

    (void)state;
    assert_int_equal(getpeername(peer, (struct sockaddr *)&from, &len), 0);
    assert_memory_equal(&from.sin_addr, "\x7f\0\0\x09", 4);
    close(peer);
    check_exit(p, 0);
    close(listener);
    finish(b);
}

/* ---- failures ---- */

/* A port at which nobody listens: bound, so that nobody else takes it meanwhile. */
static void refused_connection_names_address_and_cause(void **state)
{
    struct kit_broker *b = start();

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char text[64];
        uint16_t port;
        sockbroker_socket listener = kit_listen(hosts[i], &port);
        sockbroker_socket client = kit_connect(NULL, hosts[i], port); /* its own port takes no connection */
        struct sockaddr_storage own;
        socklen_t len = sizeof(own);

        assert_int_equal(getsockname(client, (struct sockaddr *)&own, &len), 0);
        port = ntohs(i ? ((struct sockaddr_in6 *)&own)->sin6_port : ((struct sockaddr_in *)&own)->sin_port);
        struct kit_process *p = run(b, hosts[i], port, "--explain", NULL);
        format_text(text, sizeof(text), "%u", port);
        kit_process_wait_log(p, "sockbroker connect: ");
        kit_process_wait_log(p, text);
        kit_process_wait_log(p, "ECONNREFUSED");
        check_exit(p, 1);
        close(client);
        close(listener);
    }
    finish(b);
}

/* RFC 6761, 6.4: names below "invalid." do not exist. */
static void unknown_host_is_named(void **state)
{
    struct kit_broker *b = start();
    struct kit_process *p = run(b, "no-such-host.invalid", 80, NULL, NULL);

    (void)state;
    kit_process_wait_log(p, "sockbroker connect: ");
    kit_process_wait_log(p, "no-such-host.invalid");
    check_exit(p, 1);
    finish(b);
}

static void deadline_passes_for_who_does_not_answer(void **state)
{
    struct kit_broker *b = start();
    uint16_t port;
    sockbroker_socket listener = kit_listen("127.0.0.1", &port);
    int fillers[2];

    (void)state;
    assert_int_equal(listen(listener, 0), 0); /* a queue of one: what comes after the second gets no answer */
    for (unsigned i = 0; i < 2; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        (void)!connect(fillers[i], (struct sockaddr *)&at, sizeof(at));
    }
    struct kit_process *p = run(b, "127.0.0.1", port, "--timeout", "300");
    kit_process_wait_log(p, "sockbroker connect: ");
    check_exit(p, 1);
    for (unsigned i = 0; i < 2; i++)
        close(fillers[i]);
    close(listener);
    finish(b);
}

static void without_a_broker_the_exit_code_is_3(void **state)
{
    char dir[] = "/tmp/sbconnect-XXXXXX", output[512];
    const char *const args[] = { "connect", "::1", "80", "--dir", dir, NULL };

    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(kit_run(args, output, sizeof(output)), 3);
    assert_non_null(strstr(output, dir));
    assert_int_equal(rmdir(dir), 0);
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
        cmocka_unit_test_setup_teardown(reset_of_the_peer_is_a_failure, kit_setup, kit_teardown),
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
