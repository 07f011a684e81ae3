/* What the library and the broker promise beyond delivery: threads, waiting, overload. */
#include <string.h>

#include "proto/thread.h"
#include "sockbroker/sockbroker.h"
#include "tests/support/kit.h"
#include "tests/support/net.h"

static struct kit_broker *start(const char *endpoint)
{
    return kit_broker_start(&(struct kit_start){ .args = { "--endpoint", endpoint } });
}

struct waiting {
    struct sb_thread *thread;
    struct sockbroker_worker *worker;
    sockbroker_status answer;
};

static void wait_for_ever(void *arg)
{
    struct waiting *w = arg;
    struct sockbroker_conn conn;

    w->answer = sockbroker_worker_next(w->worker, SOCKBROKER_FOREVER, &conn);
}

static void stop_wakes_every_waiting_thread(void **state)
{
    struct kit_broker *b = start("web=[::]:0");
    struct sockbroker_worker *w = kit_worker_open(b, "threads", "web");
    struct sockbroker_conn conn;
    struct waiting waiting[4];

    (void)state;
    for (int i = 0; i < 4; i++) {
        waiting[i].worker = w;
        assert_int_equal(sb_thread_create(wait_for_ever, &waiting[i], &waiting[i].thread), SOCKBROKER_OK);
    }
    sockbroker_worker_stop(w);
    for (int i = 0; i < 4; i++) {
        sb_thread_join(waiting[i].thread);
        assert_int_equal(waiting[i].answer, SOCKBROKER_CLOSED);
    }
    assert_int_equal(sockbroker_worker_next(w, SOCKBROKER_FOREVER, &conn), SOCKBROKER_CLOSED);
    assert_int_equal(sockbroker_worker_state(w), SOCKBROKER_WORKER_CLOSED);
    sockbroker_worker_close(w);
    kit_broker_stop(b);
}

static void next_polls_waits_and_shows_by_its_descriptor(void **state)
{
    struct kit_broker *b = start("web=[::]:0");
    struct sockbroker_worker *w = kit_worker_open(b, "poll", "web");
    sockbroker_socket fd = sockbroker_worker_fd(w);
    struct sockbroker_conn conn;

    (void)state;
    kit_broker_wait_ready(b, 1);
    assert_int_equal(sockbroker_worker_next(w, 0, &conn), SOCKBROKER_AGAIN);
    assert_int_equal(sockbroker_worker_next(w, 5, &conn), SOCKBROKER_TIMEOUT);
    assert_false(net_wait_readable(fd, 0));
    sockbroker_socket client = kit_connect(NULL, "127.0.0.1", kit_broker_port(b, "web"));
    assert_true(net_wait_readable(fd, 30000));
    assert_int_equal(sockbroker_worker_next(w, 0, &conn), SOCKBROKER_OK);
    assert_int_equal(conn.info.peer.family, SOCKBROKER_IPV4);   /* plain, though */
    assert_int_equal(conn.info.socket_family, SOCKBROKER_IPV6); /* its socket is dual-stack */
    assert_int_equal(conn.info.local.port, kit_broker_port(b, "web"));
    assert_int_equal(sockbroker_worker_open_count(w), 1);
    net_close(&conn.sock);
    sockbroker_worker_finished(w, conn.info.lease_id);
    assert_int_equal(sockbroker_worker_open_count(w), 0);
    assert_false(net_wait_readable(fd, 0));
    kit_close(&client);
    sockbroker_worker_close(w);
    kit_broker_stop(b);
}

/* overload = refuse: hold_max wait for hold_ms, the others are told at once; all are counted. */
static void refusing_endpoint_resets_what_nobody_takes(void **state)
{
    struct kit_broker *b = start("web=[::]:0,overload=refuse,hold_max=2,hold_ms=200");
    sockbroker_socket socks[5];

    (void)state;
    for (int i = 0; i < 5; i++)
        socks[i] = kit_connect(NULL, i % 2 ? "::1" : "127.0.0.1", kit_broker_port(b, "web"));
    for (int i = 0; i < 5; i++)
        assert_true(net_ends_reset(socks[i]));
    struct sb_endpoint_counters c = kit_counters(b, "web");
    assert_int_equal(c.accepted, 5);
    assert_int_equal(c.refused, 5);
    assert_int_equal(c.held, 0);
    assert_int_equal(c.held_max, 2);
    for (int i = 0; i < 5; i++)
        kit_close(&socks[i]);
    kit_broker_stop(b);
}

static bool holds_two(const struct sb_status_report *r, void *arg)
{
    (void)arg;
    return r->endpoints[0].counters.held == 2;
}

/* overload = hold: hold_max wait in the broker, the rest in the kernel's queue; whoever comes serves them all. */
static void holding_endpoint_keeps_them_for_the_first_worker(void **state)
{
    struct kit_broker *b = start("web=[::]:0,hold_max=2,hold_ms=1");
    struct kit_answer a;
    sockbroker_socket socks[6];

    (void)state;
    for (int i = 0; i < 6; i++)
        socks[i] = kit_connect(NULL, i % 2 ? "::1" : "127.0.0.1", kit_broker_port(b, "web"));
    kit_broker_wait_status(b, holds_two, NULL, "two connections held");
    struct kit_process *w = kit_worker_start(b, "late", "hello", NULL);
    for (int i = 0; i < 6; i++) {
        kit_read_answer(socks[i], &a);
        kit_close(&socks[i]);
    }
    struct sb_endpoint_counters c = kit_counters(b, "web");
    assert_int_equal(c.acked, 6);
    assert_int_equal(c.refused, 0);
    assert_int_equal(c.held_max, 2);
    kit_worker_stop(w);
    kit_broker_stop(b);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(stop_wakes_every_waiting_thread, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(next_polls_waits_and_shows_by_its_descriptor, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(refusing_endpoint_resets_what_nobody_takes, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(holding_endpoint_keeps_them_for_the_first_worker, kit_setup, kit_teardown),
    };

    return kit_main(tests, argc, argv);
}
