/* A worker that hangs with connections which the system cannot take back: it is ended, and they go to others (F110, F111). */
#include <stdio.h>
#include <string.h>

#include "tests/support/kit.h"

#define N 4

/* Not one step more: what it was told it never says anything about. */
static void hung_worker_is_ended_and_its_connections_go_to_others(void **state)
{
    static const char endpoint[] = "web=[::]:0,carrier=message,withdraw_after_ms=100,ack_timeout_ms=300,kill_stuck=yes";
    struct kit_broker *b = kit_broker_start(&(struct kit_start){ .args = { "--endpoint", endpoint } });
    struct kit_process *hung = kit_worker_start(b, "hung", "hello", NULL);
    sockbroker_socket socks[N];
    struct kit_answer a;

    (void)state;
    kit_broker_wait_worker(b, "hung", "ready");
    kit_process_stop(hung);
    for (unsigned i = 0; i < N; i++)
        socks[i] = kit_connect(NULL, i % 2 ? "127.0.0.1" : "::1", kit_broker_port(b, "web"));
    kit_process_wait(hung);
    kit_process_free(hung);
    struct kit_process *other = kit_worker_start(b, "other", "hello", NULL);
    for (unsigned i = 0; i < N; i++) {
        kit_read_only_answer(socks[i], &a);
        assert_string_equal(a.worker, "other");
    }
    kit_broker_wait_settled(b);
    struct sb_endpoint_counters c = kit_counters(b, "web");
    assert_int_equal(c.accepted, N);
    assert_int_equal(c.acked, N);
    assert_int_equal(c.in_doubt, 0);
    assert_true(c.released > 0);
    kit_worker_stop(other);
    kit_broker_wait_ready(b, 0);
    kit_broker_stop(b);
}

/* F110: it ends with what it was told, before it has opened any of it. */
static void connections_of_a_worker_killed_while_it_hangs_go_to_others(void **state)
{
    static const char endpoint[] = "web=[::]:0,carrier=message,withdraw_after_ms=600000,ack_timeout_ms=600000";
    struct kit_broker *b = kit_broker_start(&(struct kit_start){ .args = { "--endpoint", endpoint } });
    struct kit_process *doomed = kit_worker_start(b, "doomed", "hello", NULL);
    sockbroker_socket socks[N];
    struct kit_answer a;

    (void)state;
    kit_broker_wait_worker(b, "doomed", "ready");
    kit_process_stop(doomed);
    for (unsigned i = 0; i < N; i++)
        socks[i] = kit_connect(NULL, i % 2 ? "127.0.0.1" : "::1", kit_broker_port(b, "web"));
    kit_until(kit_worker_status(b, "doomed").unacked == N);
    kit_process_kill(doomed);
    struct kit_process *other = kit_worker_start(b, "other", "hello", NULL);
    for (unsigned i = 0; i < N; i++) {
        kit_read_only_answer(socks[i], &a);
        assert_string_equal(a.worker, "other");
    }
    kit_broker_wait_settled(b);
    assert_int_equal(kit_counters(b, "web").in_doubt, 0);
    assert_int_equal(kit_counters(b, "web").released, N);
    kit_worker_stop(other);
    kit_broker_wait_ready(b, 0);
    kit_broker_wait_idle_fds(b);
    kit_broker_stop(b);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(hung_worker_is_ended_and_its_connections_go_to_others, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(connections_of_a_worker_killed_while_it_hangs_go_to_others, kit_setup, kit_teardown),
    };

    return kit_main(tests, argc, argv);
}
