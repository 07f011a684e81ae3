/* What failpoint.h promises: a place fails when it is told to, as often as it is told to, and never else; and what the
 * places in xfer do then. Each set of rules is read once in a process, so each runs in a child. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/failpoint.h"
#include "proto/socket.h"
#include "proto/xfer.h"

#ifdef SB_FAILPOINTS

struct row {
    const char *rules;
    const char *place;
    int expected[6]; /* of the passes in turn */
};

static const struct row rows[] = {
    { NULL, "a", { 0 } },
    { "", "a", { 0 } },
    { "a=EMFILE", "a", { EMFILE, 0, 0 } },
    { "a=EMFILE", "b", { 0 } },
    { "a=EMFILE*3", "a", { EMFILE, EMFILE, EMFILE, 0 } },
    { "a=EMFILE@2", "a", { 0, 0, EMFILE, 0 } },
    { "a=EMFILE*2@1", "a", { 0, EMFILE, EMFILE, 0 } },
    { "a=EMFILE@1*2", "a", { 0, EMFILE, EMFILE, 0 } },
    { "a=EMFILE*0", "a", { 0 } },
    { "a=EMFILE,a=EPERM", "a", { EMFILE, EPERM, 0 } },
    { "b=EPERM,a=EIO@1,c=ENOMEM", "a", { 0, EIO, 0 } },
    { "ab=EPERM", "a", { 0 } },
    { "send_packet=ETOOMANYREFS@2", "send_packet", { 0, 0, ETOOMANYREFS, 0 } },
};

static void set_rules(const char *rules)
{
    if (rules)
        setenv("SOCKBROKER_FAILPOINTS", rules, 1);
    else
        unsetenv("SOCKBROKER_FAILPOINTS");
}

static void pass_all(void *arg)
{
    const struct row *row = arg;

    set_rules(row->rules);
    for (size_t i = 0; i < UNIT_COUNT(row->expected); i++)
        UNIT_REQUIRE(sb_failpoint(row->place) == row->expected[i]);
}

static void rules_say_where_how_often_and_after_how_many(void **state)
{
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++)
        assert_child_succeeds(pass_all, (void *)(uintptr_t)&rows[i]);
}

static void pass_with(void *arg)
{
    set_rules(arg);
    if (!freopen("/dev/null", "w", stderr))
        _exit(98);
    sb_failpoint("a");
    sb_failpoint("a");
}

static void a_rule_that_nobody_understands_aborts(void **state)
{
    static const char *const rules[] = { "a", "=EMFILE", "a=", "a=ENOSUCHTHING", "a=!", "b=EIO,a" };

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rules); i++) {
        int status = unit_in_child(pass_with, (void *)(uintptr_t)rules[i]);

        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    }
}

static void kill_is_the_kernels_kill(void **state)
{
    int status = unit_in_child(pass_with, (void *)(uintptr_t) "a=kill");

    (void)state;
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    status = unit_in_child(pass_with, (void *)(uintptr_t) "a=kill@1");
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    status = unit_in_child(pass_with, (void *)(uintptr_t) "a=kill@2");
    assert_int_equal(status, 0);
}

static void stop_waits_to_be_continued(void **state)
{
    int status;
    pid_t pid = fork();

    (void)state;
    if (pid == 0) {
        set_rules("a=stop");
        _exit(sb_failpoint("a"));
    }
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    assert_true(WIFSTOPPED(status));
    kill(pid, SIGCONT);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* ---- the places in xfer ---- */

static sockbroker_status send_lease(int broker_end, uint64_t lease_id, int *os_code_out)
{
    static struct sb_stamp stamp;
    struct sb_record r;

    memset(&r, 0, sizeof(r));
    r.info.lease_id = lease_id;
    return sb_xfer_send(broker_end, SB_CARRIER_MESSAGE, &r, STDERR_FILENO, &stamp, os_code_out);
}

struct send_row {
    const char *rules;
    int os_code;
    sockbroker_status expected;
};

static void send_injected(void *arg)
{
    const struct send_row *row = arg;
    sockbroker_socket broker, worker, sock = SOCKBROKER_SOCKET_NONE;
    struct sb_delivery d;
    int os_code = 0;

    set_rules(row->rules);
    UNIT_REQUIRE(sb_xfer_open_pair(&broker, &worker) == SOCKBROKER_OK);
    UNIT_REQUIRE(send_lease(broker, 1, &os_code) == row->expected);
    UNIT_REQUIRE(os_code == row->os_code);
    UNIT_REQUIRE(sb_xfer_receive(worker, &d, &sock) == SOCKBROKER_AGAIN); /* nothing has moved */
    UNIT_REQUIRE(send_lease(broker, 2, &os_code) == SOCKBROKER_OK);
    UNIT_REQUIRE(sb_xfer_receive(worker, &d, &sock) == SOCKBROKER_OK);
    UNIT_REQUIRE(d.number == 2);
    sb_socket_close(&sock);
}

static void a_socket_that_cannot_be_sent_now_is_told_from_one_that_never_can(void **state)
{
    static const struct send_row sends[] = {
        { "send_socket=ETOOMANYREFS", ETOOMANYREFS, SOCKBROKER_BUSY },
        { "send_socket=EAGAIN", EAGAIN, SOCKBROKER_AGAIN },
        { "send_socket=ENOBUFS", ENOBUFS, SOCKBROKER_BUSY },
        { "send_socket=EINTR", EINTR, SOCKBROKER_AGAIN },
        { "send_socket=ENOMEM", ENOMEM, SOCKBROKER_BUSY },
        { "send_socket=EPIPE", EPIPE, SOCKBROKER_CLOSED },
        { "send_socket=EPERM", EPERM, SOCKBROKER_PERMISSION },
        { "send_socket=EACCES", EACCES, SOCKBROKER_PERMISSION },
        { "send_socket=EBADF", EBADF, SOCKBROKER_SYSTEM },
    };

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(sends); i++)
        assert_child_succeeds(send_injected, (void *)(uintptr_t)&sends[i]);
}

static void report_injected(void *arg)
{
    sockbroker_socket broker, worker;
    struct sb_report report = { .probe = 1 };

    (void)arg;
    set_rules("send_packet=EAGAIN,send_packet=EPIPE");
    UNIT_REQUIRE(sb_xfer_open_pair(&broker, &worker) == SOCKBROKER_OK);
    UNIT_REQUIRE(sb_xfer_send_report(worker, &report) == SOCKBROKER_AGAIN);
    UNIT_REQUIRE(sb_xfer_send_probe(broker, 1) == SOCKBROKER_CLOSED);
    UNIT_REQUIRE(sb_xfer_send_report(worker, &report) == SOCKBROKER_OK);
}

static void packets_without_a_socket_have_a_place_of_their_own(void **state)
{
    (void)state;
    assert_child_succeeds(report_injected, NULL);
}

static void receive_injected(void *arg)
{
    sockbroker_socket broker, worker, sock = SOCKBROKER_SOCKET_NONE;
    struct sb_delivery d;
    int os_code;

    (void)arg;
    set_rules("receive_socket=EMFILE");
    UNIT_REQUIRE(sb_xfer_open_pair(&broker, &worker) == SOCKBROKER_OK);
    UNIT_REQUIRE(send_lease(broker, 5, &os_code) == SOCKBROKER_OK);
    UNIT_REQUIRE(send_lease(broker, 6, &os_code) == SOCKBROKER_OK);
    int n_before = unit_count_descriptors();
    UNIT_REQUIRE(sb_xfer_receive(worker, &d, &sock) == SOCKBROKER_NO_DESCRIPTORS);
    UNIT_REQUIRE(d.number == 5 && sock == SOCKBROKER_SOCKET_NONE);
    UNIT_REQUIRE(unit_count_descriptors() == n_before);
    UNIT_REQUIRE(sb_xfer_receive(worker, &d, &sock) == SOCKBROKER_OK);
    UNIT_REQUIRE(d.number == 6);
}

static void a_socket_that_does_not_arrive_is_named_by_its_lease(void **state)
{
    (void)state;
    assert_child_succeeds(receive_injected, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(rules_say_where_how_often_and_after_how_many),
        UNIT_TEST(a_rule_that_nobody_understands_aborts),
        UNIT_TEST(kill_is_the_kernels_kill),
        UNIT_TEST(stop_waits_to_be_continued),
        UNIT_TEST(a_socket_that_cannot_be_sent_now_is_told_from_one_that_never_can),
        UNIT_TEST(packets_without_a_socket_have_a_place_of_their_own),
        UNIT_TEST(a_socket_that_does_not_arrive_is_named_by_its_lease),
    };

    return cmocka_run_group_tests_name("failpoint", tests, NULL, NULL);
}

#else

static void nothing_fails_in_a_build_without_failpoints(void **state)
{
    (void)state;
    setenv("SOCKBROKER_FAILPOINTS", "a=EMFILE", 1);
    assert_int_equal(sb_failpoint("a"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { UNIT_TEST(nothing_fails_in_a_build_without_failpoints) };

    return cmocka_run_group_tests_name("failpoint", tests, NULL, NULL);
}

#endif
