/* UDP endpoints: each datagram is answered from the address it was sent to, by one worker or several, over both families, and
 * what waits in a socket outlives the workers. Shards, kills and addresses of a network of its own: test_udp_endpoints_posix.c.
 */
#include <stdio.h>
#include <string.h>

#include "tests/integration/udp_endpoints_kit.h"

/* ---- everybody is answered ---- */

static void every_datagram_is_answered_from_where_it_was_sent_by_one_worker(void **state)
{
    (void)state;
    udp_answer_all("echo=[::]:0,protocol=udp,mode=share", 1);
}

static void every_datagram_is_answered_by_two_on_a_shared_socket(void **state)
{
    (void)state;
    udp_answer_all("echo=[::]:0,protocol=udp,mode=share", 2);
}

static void every_datagram_is_answered_on_two_sockets_of_one_port(void **state)
{
    (void)state;
    udp_answer_on_many("echo=[::]:0,protocol=udp,mode=share,family=split", 2, 0);
}

/* ---- one worker after the other ---- */

static void datagrams_wait_for_the_next_worker(void **state)
{
    (void)state;
    udp_replace_workers("echo=[::]:0,protocol=udp,mode=share");
}

static void a_drain_under_load_loses_nothing(void **state)
{
    (void)state;
    udp_drain_under_load("echo=[::]:0,protocol=udp,mode=share");
}

/* ---- the sample ---- */

static void the_sample_answers_and_ends_politely(void **state)
{
    struct kit_broker *b = udp_start("echo=[::]:0,protocol=udp,mode=share");
    struct kit_process *w = udp_start_echo(b, "u1", 1);
    struct sb_session_status s = kit_worker_status(b, "u1");
    struct kit_udp u;

    (void)state;
    kit_process_wait_log(w, "ready\n");
    assert_int_equal(s.generation, 7);
    udp_open_clients(&u, b, 15);
    kit_udp_run(&u, 15);
    kit_udp_close(&u);
    udp_stop_echo(w);

    w = udp_start_echo(b, "u2", 1);
    udp_drain(b, "u2");
    assert_int_equal(kit_process_wait(w), 0);
    kit_process_free(w);
    udp_finish(b);
}

static void the_sample_says_what_is_wrong(void **state)
{
    static const struct {
        const char *args[6];
        int code;
        const char *says;
    } cases[] = {
        { { "--help" }, 0, "usage: udp_echo_worker" },
        { { "--endpoint", "echo", "--dir", "/nonexistent" }, 3, "udp_echo_worker" },
        { { "--nonsense" }, 2, "see udp_echo_worker" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct kit_start how = { .args = { NULL } };

        memcpy(how.args, cases[i].args, sizeof(cases[i].args));
        struct kit_process *w = kit_process_start("sample", SB_UDP_ECHO_EXE, &how);
        kit_process_wait_log(w, cases[i].says);
        assert_int_equal(kit_process_wait(w), cases[i].code);
        kit_process_free(w);
    }
    struct kit_broker *b = udp_start("echo=[::]:0");
    struct kit_process *w = udp_launch_echo(b, "u1");
    kit_process_wait_log(w, "endpoint \"echo\" has mode = handoff");
    assert_int_equal(kit_process_wait(w), 1);
    kit_process_free(w);
    udp_finish(b);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(every_datagram_is_answered_from_where_it_was_sent_by_one_worker),
        TEST(every_datagram_is_answered_by_two_on_a_shared_socket),
        TEST(every_datagram_is_answered_on_two_sockets_of_one_port),
        TEST(datagrams_wait_for_the_next_worker),
        TEST(a_drain_under_load_loses_nothing),
        TEST(the_sample_answers_and_ends_politely),
        TEST(the_sample_says_what_is_wrong),
    };

    return kit_main(tests, argc, argv);
}
