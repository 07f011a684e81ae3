/* Faults of access and of the broker's sockets where it is POSIX alone: users, the handoff socket, the pair, floods. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/socket.h"
#include "tests/integration/control_kit.h"
#include "tests/support/format.h"

#define STRANGER "65534" /* a uid and gid that is not ours */

/* ---- floods and slowness ---- */

/* F72: one caller asks as fast as it can and reads nothing. */
static void flood_of_one_caller_delays_nobody_else(void **state)
{
    struct kit_broker *b = control_start("web=[::]:0", "messages_per_second=100");
    struct kit_process *w = control_start_worker(b, "w1");
    struct kit_load_result r;
    uint8_t body[64];
    size_t len = control_pack_status(body, sizeof(body));
    int sock = fault_ipc_open(b);
    unsigned n_sent = 0;

    (void)state;
    fcntl(sock, F_SETFL, O_NONBLOCK);
    struct kit_load *load =
        kit_load_start(&(struct kit_load_options){ .port = kit_broker_port(b, "web"), .total = 2000, .per_second = 1000 });
    while (!kit_load_is_over(load)) {
        struct pollfd p = { sock, POLLOUT, 0 };

        for (unsigned i = 0; i < 200 && fault_ipc_send(sock, body, len); i++)
            n_sent++;
        poll(&p, 1, 10);
    }
    kit_load_finish(load, &r);
    kit_load_check_all_answered(&r, 2000);
    assert_true(n_sent > 100);
    assert_true(r.slowest_ms < 1000 * FAULT_SLOWNESS);
    uint64_t begin_ms = kit_now_ms();
    struct kit_process *w2 = control_start_worker(b, "w2");
    assert_true(kit_now_ms() - begin_ms < 5000);
    sb_socket_close(&sock);
    kit_worker_stop(w2);
    control_finish(b, w);
}

/* F73: the same at the handoff socket. */
static void silent_crowd_at_the_handoff_socket_keeps_nobody_out(void **state)
{
    struct kit_broker *b = control_start("web=[::]:0", "attach_ms=60000");
    struct kit_process *w = control_start_worker(b, "w1");
    int socks[500];
    unsigned n_open = 0;

    (void)state;
    for (unsigned i = 0; i < 500; i++)
        socks[i] = fault_knock(b, "handoff");
    assert_true(kit_count_fds(b->process->pid) < 200);
    struct kit_process *w2 = control_start_worker(b, "w2");
    fault_check_serves(b, 40);
    for (unsigned i = 0; i < 500; i++) {
        n_open += kit_is_silent(socks[i], 0);
        sb_socket_close(&socks[i]);
    }
    assert_true(n_open > 0 && n_open < 500);
    assert_true(fault_broker_status(b).busy_refusals > 0);
    kit_worker_stop(w2);
    control_finish(b, w);
}

/* F74: somebody who comes for a socket and says nothing. */
static void stranger_at_the_handoff_socket_is_sent_away(void **state)
{
    struct kit_broker *b = control_start("web=[::]:0", "attach_ms=300");
    int stranger = fault_knock(b, "handoff");

    (void)state;
    assert_true(fault_is_closed(&stranger, 8000));
    control_finish(b, NULL);
}

/* F75 */
static void knocking_and_leaving_does_nothing(void **state)
{
    struct kit_broker *b = control_start("web=[::]:0", NULL);
    struct kit_process *w = control_start_worker(b, "w1");

    (void)state;
    for (unsigned i = 0; i < fault_n_visits; i++) {
        int sock = fault_knock(b, "handoff");

        sb_socket_close(&sock);
    }
    fault_check_serves(b, 100);
    control_finish(b, w);
}

/* ---- users ---- */

/* A broker that others can reach, when we may become others. NULL: skip. */
static struct kit_broker *start_public(const char *endpoint, char dir[64])
{
    if (geteuid() != 0)
        skip();
    format_text(dir, 64, "/tmp/sbfault-XXXXXX");
    assert_non_null(mkdtemp(dir));
    assert_int_equal(chmod(dir, 0711), 0);
    return kit_broker_start(&(struct kit_start){
        .args = { "--endpoint", endpoint, "--set", "dir_mode=0711", "--set", "max_sessions_per_uid=2" }, .dir = dir });
}

static void finish_public(struct kit_broker *b, struct kit_process *w, const char *dir)
{
    char lock[96];

    control_finish(b, w);
    format_text(lock, sizeof(lock), "%s/lock", dir);
    unlink(lock);
    assert_int_equal(rmdir(dir), 0);
}

/* F77 */
static void right_token_from_another_user_is_refused(void **state)
{
    char dir[64];
    struct kit_broker *b = start_public("web=[::]:0", dir);
    struct fault_raw raw;
    struct sockbroker_error error;

    (void)state;
    control_attach_raw(&raw, b, "raw");
    fault_worker_said(control_show_token(b, &raw, STRANGER), "hello gave REFUSED");
    assert_int_equal(fault_raw_hello(&raw, b->dir, &error), SOCKBROKER_OK);
    fault_raw_close(&raw);
    finish_public(b, NULL, dir);
}

static struct kit_process *launch_as(struct kit_broker *b, const char *name, const char *uid, const char *gid)
{
    const char *const args[] = { name, "4", uid, gid, NULL };

    return fault_worker_launch(b, args);
}

static void check_admitted(struct kit_broker *b, const char *uid, const char *gid, bool admitted)
{
    struct kit_process *p = launch_as(b, "other", uid, gid);

    if (admitted) {
        kit_process_wait_log(p, "ready\n");
        kit_process_kill(p);
        kit_broker_wait_worker(b, "other", "gone");
    } else {
        fault_worker_said(p, "attach gave REFUSED: uid ");
    }
}

static void endpoint_rules_decide_which_users_may_serve(void **state)
{
    static const struct {
        const char *rule;
        bool ok_1000, ok_1001, ok_gid;
    } cases[] = {
        { "", false, false, false },
        { ",allow_uid=1000", true, false, false },
        { ",allow_gid=2000", false, false, true },
        { ",allow_uid=1000+1001,allow_gid=2000", true, true, true },
        { ",allow_uid=0", false, false, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char dir[64], endpoint[96];

        format_text(endpoint, sizeof(endpoint), "web=[::]:0%s", cases[i].rule);
        struct kit_broker *b = start_public(endpoint, dir);
        check_admitted(b, "1000", "3000", cases[i].ok_1000);
        check_admitted(b, "1001", "3000", cases[i].ok_1001);
        check_admitted(b, "1002", "2000", cases[i].ok_gid);
        if (!cases[i].rule[0] || strstr(cases[i].rule, "=0")) {
            finish_public(b, NULL, dir);
            continue;
        }
        kit_broker_stop(b); /* root is not on the list */
        char lock[96];
        format_text(lock, sizeof(lock), "%s/lock", dir);
        unlink(lock);
        assert_int_equal(rmdir(dir), 0);
    }
}

/* F81: the numbers are unsigned. */
static void uids_beyond_2_31_are_numbers_like_others(void **state)
{
    static const char *const bad[] = { "-1", "4294967296", "-2147483648", "+5", "0x10", "4294967295", "" };
    char dir[64], output[512];
    struct kit_broker *b = start_public("web=[::]:0,allow_uid=2147483648+4294967294+0", dir);

    (void)state;
    check_admitted(b, "2147483648", "2147483648", true);
    check_admitted(b, "4294967294", "4294967294", true);
    check_admitted(b, "2147483647", "2147483647", false);
    finish_public(b, NULL, dir);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char endpoint[64];
        const char *const args[] = { "check", "--endpoint", endpoint, NULL };

        format_text(endpoint, sizeof(endpoint), "web=[::]:0,allow_uid=%s", bad[i]);
        if (kit_run(args, output, sizeof(output)) != 2 || !strstr(output, "allow_uid"))
            kit_fail("allow_uid=%s: %s", bad[i], output);
    }
}

static void only_the_brokers_user_may_drain(void **state)
{
    char dir[64];
    struct kit_broker *b = start_public("web=[::]:0", dir);
    struct kit_process *w = control_start_worker(b, "w1");

    (void)state;
    fault_worker_said(fault_ask_drain(b, "w1", STRANGER), "drain gave REFUSED");
    assert_string_equal(kit_worker_status(b, "w1").state, "ready");
    fault_worker_said(fault_ask_drain(b, "w1", NULL), "drain gave OK");
    kit_process_wait_log(w, "draining\n");
    assert_int_equal(kit_process_wait(w), 0);
    kit_process_free(w);
    kit_broker_wait_worker(b, "w1", "gone");
    finish_public(b, NULL, dir);
}

/* One user's workers are counted; root and the broker's own user are not. */
static void workers_of_one_user_are_limited(void **state)
{
    char dir[64];
    struct kit_broker *b = start_public("web=[::]:0,allow_uid=1000+0", dir);
    struct kit_process *one = launch_as(b, "one", "1000", "1000");
    struct kit_process *two = launch_as(b, "two", "1000", "1000");

    (void)state;
    kit_process_wait_log(one, "ready\n");
    kit_process_wait_log(two, "ready\n");
    fault_worker_said(launch_as(b, "three", "1000", "1000"), "attach gave BUSY");
    kit_process_kill(one);
    kit_broker_wait_worker(b, "one", "gone");
    one = launch_as(b, "one", "1000", "1000");
    kit_process_wait_log(one, "ready\n");
    kit_process_kill(one);
    kit_process_kill(two);
    kit_broker_wait_ready(b, 0);
    finish_public(b, NULL, dir);
}

/* ---- the pair ---- */

/* F80 */
static void resume_secret_takes_the_name_over(void **state)
{
    struct kit_broker *b = control_start("web=[::]:0", NULL);
    struct fault_raw first, second = FAULT_RAW_NONE;
    struct sockbroker_error error;
    struct sb_attach attach;

    (void)state;
    fault_raw_start(&first, b, "raw", 4);
    sockbroker_socket sock = kit_connect(NULL, "::1", kit_broker_port(b, "web"));
    fault_wait_unacked(b, "raw", 1);
    fault_raw_fill(&attach, "raw", "web", 4);
    attach.has_resume = true;
    attach.resume = first.attached.session;
    attach.resume.secret[31] ^= 1;
    assert_int_equal(fault_raw_attach(&second, b->dir, &attach, &error), SOCKBROKER_NAME_TAKEN);
    attach.resume.secret[31] ^= 1;
    assert_int_equal(fault_raw_attach(&second, b->dir, &attach, &error), SOCKBROKER_OK);
    assert_true(fault_raw_is_dismissed(&first, KIT_WAIT_MS));
    assert_int_equal(fault_raw_hello(&second, b->dir, &error), SOCKBROKER_OK);
    assert_int_equal(fault_raw_park(&second), SOCKBROKER_OK);
    sockbroker_socket taken; /* what the first had not read */
    fault_raw_report(&second, fault_raw_must_take(&second, &taken), SB_VERDICT_ACK);
    sb_socket_close(&taken);
    assert_false(fault_ends_reset(&sock));
    fault_raw_close(&first);
    fault_raw_close(&second);
    control_finish(b, NULL);
}

static void send_bad_packet(void *arg, const uint8_t *data, size_t len, const char *name)
{
    struct kit_broker *b = arg;
    struct fault_raw raw;

    fault_raw_start(&raw, b, "raw", 4);
    if (send(raw.end, data, len, MSG_NOSIGNAL) != (ssize_t)len)
        kit_fail("%s: %s", name, strerror(errno));
    if (!fault_raw_is_dismissed(&raw, KIT_WAIT_MS))
        kit_fail("%s is accepted", name);
    kit_broker_wait_worker(b, "raw", "gone");
    fault_raw_close(&raw);
}

static void bad_packets_on_the_pair_end_the_session(void **state)
{
    static const uint8_t good[] = { 0x0a, 0x0b, 0x09, 1, 0, 0, 0, 0, 0, 0, 0, 0x10, 0x05 };
    static uint8_t big[60000];
    struct kit_broker *b = control_start("web=[::]:0", NULL);
    struct kit_process *w = control_start_worker(b, "w1");

    (void)state;
    assert_true(control_for_each_input("reject_report_", send_bad_packet, b) > 3);
    for (size_t cut = 1; cut < sizeof(good); cut++)
        send_bad_packet(b, good, cut, "a report cut short");
    send_bad_packet(b, big, SB_PACKET_MAX, "zeros");
    send_bad_packet(b, big, SB_PACKET_MAX + 1, "one byte too many");
    send_bad_packet(b, big, sizeof(big), "60,000 bytes");
    memset(big, 0x0a, sizeof(big));
    send_bad_packet(b, big, SB_PACKET_MAX, "sub-messages");
    send_bad_packet(b, (const uint8_t *)"", 0, "an empty packet");
    control_finish(b, w);
}

/* The worker shuts its end down instead. */
static void pair_that_is_shut_ends_the_session(void **state)
{
    static const int how[] = { SHUT_WR, SHUT_RD, SHUT_RDWR };
    struct kit_broker *b = control_start("web=[::]:0", NULL);

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct fault_raw raw;

        fault_raw_start(&raw, b, "raw", 4);
        shutdown(raw.end, how[i]);
        sockbroker_socket sock =
            kit_connect(NULL, "::1", kit_broker_port(b, "web")); /* at the latest when something is sent to it */
        kit_broker_wait_worker(b, "raw", "gone");
        struct kit_process *w = control_start_worker(b, "w1");
        assert_int_equal(fault_answers_by(&sock, 1, "w1"), 1);
        kit_worker_stop(w);
        fault_raw_close(&raw);
        kit_broker_wait_ready(b, 0);
    }
    control_finish(b, NULL);
}

/* Reports as fast as they go, all valid: others get their turn. */
static void flood_of_reports_delays_nobody_else(void **state)
{
    static const uint8_t finished[] = { 0x0a, 0x0b, 0x09, 1, 0, 0, 0, 0, 0, 0, 0, 0x10, 0x05 };
    struct kit_broker *b = control_start("web=[::]:0", NULL);
    struct kit_process *w = control_start_worker(b, "w1");
    struct fault_raw raw;
    struct kit_load_result r;

    (void)state;
    fault_raw_start(&raw, b, "raw", 1);
    sockbroker_socket sock =
        kit_connect(NULL, "::1", kit_broker_port(b, "web")); /* one of two goes to raw and fills its window */
    sockbroker_socket sock_2 = kit_connect(NULL, "::1", kit_broker_port(b, "web"));
    fault_wait_unacked(b, "raw", 1);
    struct kit_load *load =
        kit_load_start(&(struct kit_load_options){ .port = kit_broker_port(b, "web"), .total = 2000, .per_second = 1000 });
    while (!kit_load_is_over(load)) {
        struct pollfd p = { raw.end, POLLOUT, 0 };

        for (unsigned i = 0; i < 1000 && send(raw.end, finished, sizeof(finished), MSG_DONTWAIT | MSG_NOSIGNAL) > 0; i++)
            continue;
        poll(&p, 1, 10);
    }
    kit_load_finish(load, &r);
    kit_load_check_all_answered(&r, 2000);
    assert_true(r.slowest_ms < 1000 * FAULT_SLOWNESS);
    fault_raw_close(&raw);
    kit_broker_wait_worker(b, "raw", "gone");
    kit_broker_wait_settled(b);
    kit_close(&sock);
    kit_close(&sock_2);
    control_finish(b, w);
}

/* ---- the handoff socket ---- */

static void greet_badly(void *arg, const uint8_t *data, size_t len, const char *name)
{
    int sock = fault_knock(arg, "handoff");

    if (len && send(sock, data, len, MSG_NOSIGNAL) != (ssize_t)len)
        kit_fail("%s: %s", name, strerror(errno));
    if (!fault_is_closed(&sock, KIT_WAIT_MS))
        kit_fail("%s is accepted", name);
}

static void bad_packets_on_the_handoff_socket_are_hung_up_on(void **state)
{
    static uint8_t big[60000];
    struct kit_broker *b = control_start("web=[::]:0", NULL);
    struct kit_process *w = control_start_worker(b, "w1");

    (void)state;
    uint64_t bad = fault_broker_status(b).bad_messages;
    unsigned n = control_for_each_input("reject_hello_", greet_badly, b);
    assert_true(n > 2);
    greet_badly(b, big, SB_PACKET_MAX + 1, "one byte too many");
    greet_badly(b, big, sizeof(big), "60,000 bytes");
    kit_until(fault_broker_status(b).bad_messages == bad + n + 2);
    n = control_for_each_input("accept_hello_", greet_badly, b); /* of a session that nobody has */
    assert_true(n > 1);
    control_finish(b, w);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(flood_of_one_caller_delays_nobody_else),
        TEST(silent_crowd_at_the_handoff_socket_keeps_nobody_out),
        TEST(stranger_at_the_handoff_socket_is_sent_away),
        TEST(knocking_and_leaving_does_nothing),
        TEST(right_token_from_another_user_is_refused),
        TEST(endpoint_rules_decide_which_users_may_serve),
        TEST(uids_beyond_2_31_are_numbers_like_others),
        TEST(only_the_brokers_user_may_drain),
        TEST(workers_of_one_user_are_limited),
        TEST(resume_secret_takes_the_name_over),
        TEST(bad_packets_on_the_pair_end_the_session),
        TEST(pair_that_is_shut_ends_the_session),
        TEST(flood_of_reports_delays_nobody_else),
        TEST(bad_packets_on_the_handoff_socket_are_hung_up_on),
    };

    return kit_main(tests, argc, argv);
}
