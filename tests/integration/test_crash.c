/* The broker dies, and its keeper starts another one: what holds on every system. test_keeper.c has the rest. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/fault.h"
#include "tests/support/format.h"
#include "tests/support/kit_deposit.h"
#include "tests/support/kit_keeper.h"
#include "tests/support/net.h"

#define N_WORKERS 4
#define LOST_MOST 64 /* at one crash: what one look at the kernel's queue may take */

static void connect_many(uint16_t port, sockbroker_socket *socks, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        socks[i] = kit_connect(NULL, i % 2 ? "127.0.0.1" : "::1", port);
}

/* ---- under load ---- */

struct crew {
    struct kit_process *workers[N_WORKERS];
    struct kit_journal journals[N_WORKERS];
};

static void start_crew(struct crew *c, struct kit_broker *b)
{
    for (unsigned i = 0; i < N_WORKERS; i++) {
        char name[8];

        format_text(name, sizeof(name), "w%u", i + 1);
        kit_journal_open(&c->journals[i]);
        c->workers[i] = kit_worker_start(b, name, "hello", &(struct kit_start){ .args = { "--journal", c->journals[i].path } });
    }
    kit_broker_wait_ready(b, N_WORKERS);
}

static uint64_t answered(const struct crew *c)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < N_WORKERS; i++)
        n += kit_journal_answered(&c->journals[i]);
    return n;
}

static void stop_crew(struct crew *c)
{
    for (unsigned i = 0; i < N_WORKERS; i++) {
        kit_worker_stop(c->workers[i]);
        kit_journal_close(&c->journals[i]);
    }
}

/* What the dead broker alone had in its hands is lost, and nothing else; nobody is refused. */
static void crashes_under_load_refuse_nobody(void **state)
{
    unsigned n_crashes = 2 * kit_scale();
    unsigned per_second = PER_SECOND / FAULT_SLOWNESS;
    unsigned total = per_second * 3 / 2 * (n_crashes + 1);
    uint64_t slowest_broker_ms = 0, slowest_workers_ms = 0;
    struct kit_broker *b = kit_keeper_start("web=[::]:0", NULL);
    struct kit_load_result r;
    struct crew c;

    (void)state;
    start_crew(&c, b);
    struct kit_load *load = kit_load_start(
        &(struct kit_load_options){ .port = kit_broker_port(b, "web"), .total = total, .per_second = per_second });
    for (unsigned i = 0; i < n_crashes; i++) {
        kit_load_wait(load, total / (n_crashes + 1) * (i + 1));
        uint64_t began_ms = kit_now_ms();
        kit_keeper_crash(b);
        uint64_t broker_ms = kit_now_ms() - began_ms;
        kit_broker_wait_ready(b, N_WORKERS);
        uint64_t workers_ms = kit_now_ms() - began_ms;
        slowest_broker_ms = broker_ms > slowest_broker_ms ? broker_ms : slowest_broker_ms;
        slowest_workers_ms = workers_ms > slowest_workers_ms ? workers_ms : slowest_workers_ms;
    }
    kit_load_finish(load, &r);
    kit_load_print("crashes", &r);
    unsigned lost = r.reset + r.empty + r.timeout;
    printf("%u crashes: %u of %u connections lost; the broker was back within %llu ms, its workers within %llu ms; "
           "slowest answer %u ms\n",
           n_crashes, lost, total, (unsigned long long)slowest_broker_ms, (unsigned long long)slowest_workers_ms, r.slowest_ms);
    assert_int_equal(r.refused + r.wrong, 0);
    assert_true(r.timeout <= n_crashes * HANGING_MOST);
    assert_int_equal(r.answered + lost, total);
    assert_int_equal(answered(&c), r.answered);
    assert_true(lost <= n_crashes * LOST_MOST);
    assert_true(slowest_workers_ms <= BACK_MS * FAULT_SLOWNESS);
    stop_crew(&c);
    kit_broker_stop(b);
}

/* ---- what waits in the kernel ---- */

/* hold_max = 0: without a worker nothing leaves the kernel's queue. */
static void kernel_queue_outlives_the_broker(void **state)
{
    struct kit_broker *b = kit_keeper_start("web=[::]:0,hold_max=0", NULL);
    uint16_t port = kit_broker_port(b, "web");
    sockbroker_socket socks[10];

    (void)state;
    connect_many(port, socks, 6);
    kit_keeper_crash(b);
    connect_many(port, socks + 6, 4);
    assert_int_equal(kit_broker_port(b, "web"), port);
    struct kit_process *w = kit_worker_start(b, "w", "hello", NULL);
    assert_int_equal(fault_answers_by(socks, 10, "w"), 10);
    kit_worker_stop(w);
    kit_broker_stop(b);
}

/* They are the broker's own, so they end with it: this is the loss that the README states. */
static void held_connections_are_lost(void **state)
{
    struct kit_broker *b = kit_keeper_start("web=[::]:0", NULL);
    sockbroker_socket sock;

    (void)state;
    sock = kit_connect(NULL, "::1", kit_broker_port(b, "web"));
    fault_wait_held(b, 1);
    kit_keeper_crash(b);
    fault_ends_reset(&sock);
    kit_broker_stop(b);
}

/* The worker has the socket too, so nobody waits for the next broker; and that gives the same socket again. */
static void shared_listener_outlives_the_broker(void **state)
{
    struct kit_broker *b = kit_keeper_start("web=[::]:0,mode=share", NULL);
    uint16_t port = kit_broker_port(b, "web");
    struct kit_process *one = kit_worker_start(b, "one", "accept", NULL);
    sockbroker_socket socks[4];

    (void)state;
    kit_process_tell(one, "fetch web 0");
    kit_process_wait_log(one, "got web 0");
    unsigned before = kit_keeper_count_ready(b);
    kit_keeper_kill_broker(b);
    connect_many(port, socks, 4);
    assert_int_equal(fault_answers_by(socks, 4, "one"), 4);
    kit_until(kit_keeper_count_ready(b) > before);
    kit_broker_wait_ready(b, 1);
    struct kit_process *two = kit_worker_start(b, "two", "accept", NULL);
    kit_process_tell(two, "fetch web 0");
    kit_process_wait_log(two, "got web 0");
    kit_worker_stop(one);
    connect_many(port, socks, 4);
    assert_int_equal(fault_answers_by(socks, 4, "two"), 4);
    kit_worker_stop(two);
    kit_broker_stop(b);
}

static void send_datagram(const char *to, uint16_t port)
{
    struct sockaddr_storage there;
    socklen_t len = net_address(to, port, &there);
    sockbroker_socket sock = net_open(there.ss_family, SOCK_DGRAM);

    assert_true(net_send_to(sock, "x", 1, &there, len));
    net_close(&sock);
}

static void datagrams_outlive_the_broker(void **state)
{
    struct kit_broker *b = kit_keeper_start("echo=[::]:0,protocol=udp,mode=share", NULL);
    uint16_t port = kit_broker_port(b, "echo");
    struct sockbroker_worker_options options = SOCKBROKER_WORKER_OPTIONS_INIT;
    struct sockbroker_worker *w = NULL;
    struct sockbroker_error error = { .text = "" };
    struct sockbroker_conn conn;
    char byte;

    (void)state;
    send_datagram("127.0.0.1", port);
    send_datagram("::1", port);
    kit_keeper_crash(b);
    send_datagram("127.0.0.1", port);
    options.dir = b->dir;
    options.endpoints = "echo";
    options.name = "w";
    if (sockbroker_worker_open(&options, &w, &error) || sockbroker_worker_socket(w, "echo", 0, &conn, NULL, &error))
        kit_fail("%s", error.text);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(net_wait_readable(conn.sock, KIT_WAIT_MS));
        assert_int_equal(net_receive(conn.sock, &byte, 1), 1);
    }
    net_close(&conn.sock);
    sockbroker_worker_close(w);
    kit_broker_stop(b);
}

/* ---- deposits ---- */

/* Of both kinds, with much state and with none; the second crash is of a broker that has inherited them itself. */
static void deposits_stay(void **state)
{
    struct kit_broker *b = kit_keeper_start("web=[::]:0", NULL);
    struct sockbroker_worker *w = kit_asker_open(b, "giver");
    struct sb_deposit_status deposit;
    struct sockbroker_error error = { .text = "" };
    struct sockbroker_conn conn;
    sockbroker_socket ends[2][2];

    (void)state;
    kit_open_stream("127.0.0.1", ends[0]);
    kit_open_stream("::1", ends[1]);
    for (unsigned i = 0; i < 2; i++) {
        if (kit_deposit(w, i ? "plain" : "full", ends[i][1], i ? 0 : SOCKBROKER_STATE_MAX, &error))
            kit_fail("%s", error.text);
        net_close(&ends[i][1]);
    }
    sockbroker_worker_close(w);
    kit_keeper_crash(b);
    kit_keeper_crash(b);
    assert_true(kit_find_deposit(b, "full", &deposit));
    assert_string_equal(deposit.owner, "giver");
    assert_int_equal(deposit.state_len, SOCKBROKER_STATE_MAX);
    w = kit_asker_open(b, "taker");
    for (unsigned i = 0; i < 2; i++) {
        kit_withdraw(w, i ? "plain" : "full", i ? 0 : SOCKBROKER_STATE_MAX, &conn);
        kit_send(conn.sock, "still there");
        kit_expect(ends[i][0], "still there");
        net_close(&conn.sock);
        kit_expect_end(&ends[i][0]);
    }
    kit_wait_deposits(b, 0);
    kit_keeper_crash(b); /* the keeper has let go of what was taken */
    kit_wait_deposits(b, 0);
    sockbroker_worker_close(w);
    kit_broker_stop(b);
}

/* ---- another configuration ---- */

/* The one that stays keeps its queue; the one that goes is closed everywhere, also where it was kept. */
static void next_broker_has_what_it_is_asked_for(void **state)
{
    char after[160];
    struct kit_config config;
    sockbroker_socket socks[2];

    (void)state;
    kit_config_open(&config, "endpoint stays { address = [::]:0 \n hold_max = 0 }\nendpoint goes { address = [::]:0 }\n");
    struct kit_broker *b =
        kit_broker_start(&(struct kit_start){ .keeper = true, .args = { KIT_KEEPER_AT_ONCE, "--config", config.path } });
    uint16_t stays = kit_broker_port(b, "stays"), goes = kit_broker_port(b, "goes");

    connect_many(stays, socks, 2);
    format_text(after, sizeof(after),
                "endpoint stays { address = [::]:%u \n hold_max = 0 }\nendpoint comes { address = 127.0.0.1:%u }\n", stays,
                goes);
    kit_config_write(&config, after);
    kit_keeper_crash(b);
    assert_int_equal(kit_broker_port(b, "comes"), goes); /* it could be bound there */
    struct kit_process *w = kit_worker_start(b, "w", "hello", &(struct kit_start){ .args = { "--endpoint", "stays,comes" } });
    assert_int_equal(fault_answers_by(socks, 2, "w"), 2);
    socks[0] = kit_connect(NULL, "127.0.0.1", goes);
    assert_int_equal(fault_answers_by(socks, 1, "w"), 1);
    kit_worker_stop(w);
    kit_broker_stop(b);
    kit_config_close(&config);
}

/* ---- workers of the broker's own ---- */

static void own_workers_go_on(void **state)
{
    struct kit_broker *b =
        kit_broker_start(&(struct kit_start){ .keeper = true,
                                              .args = { KIT_KEEPER_AT_ONCE, "--endpoint", "web=[::]:0", "--spawn", "2", "--",
                                                        SB_WORKER_EXE, "--spawned", "--mode", "hello" } });

    (void)state;
    kit_broker_wait_ready(b, 2);
    unsigned started = kit_process_count_log(b->process, "event=worker_started");
    kit_keeper_crash(b);
    kit_until(kit_process_count_log(b->process, "event=worker_adopted") == 2);
    fault_check_serves(b, 20);
    assert_int_equal(kit_process_count_log(b->process, "event=worker_started"), started);
    kit_broker_stop(b);
}

/* ---- again and again ---- */

static void crash_loop_has_an_end(void **state)
{
    struct kit_broker *b = kit_broker_start(
        &(struct kit_start){ .keeper = true, .args = { "--set", "keeper_restarts=3", "--endpoint", "web=[::]:0" } });

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        kit_keeper_crash(b);
    kit_keeper_kill_broker(b);
    assert_int_equal(kit_process_wait(b->process), 128 + 9);
    assert_true(kit_process_has_log(b->process, "event=keeper_gives_up"));
    assert_int_equal(kit_process_count_log(b->process, "event=broker_died"), 3);
    kit_broker_free(b);
}

/* Killed as soon as it is there: sometimes before it has asked for the sockets, sometimes in the midst of it. */
static void crash_while_starting_loses_nothing(void **state)
{
    struct kit_broker *b = kit_keeper_start("web=[::]:0,hold_max=0", "more=127.0.0.1:0+[::1]:0");
    uint16_t port = kit_broker_port(b, "web");
    sockbroker_socket socks[4];

    (void)state;
    connect_many(port, socks, 4);
    for (unsigned i = 0; i < 5; i++) {
        unsigned before = kit_process_count_log(b->process, "event=broker_started");

        kit_keeper_kill_broker(b);
        kit_until(kit_process_count_log(b->process, "event=broker_started") > before);
    }
    kit_keeper_crash(b);
    assert_int_equal(kit_broker_port(b, "web"), port);
    struct kit_process *w = kit_worker_start(b, "w", "hello", NULL);
    assert_int_equal(fault_answers_by(socks, 4, "w"), 4);
    kit_worker_stop(w);
    kit_broker_stop(b);
}

/* ---- ends ---- */

/* As killing `serve` always did. */
static void end_of_the_keeper_ends_all(void **state)
{
    struct kit_broker *b = kit_keeper_start("web=[::]:0", NULL);
    int broker = kit_keeper_broker_pid(b);

    (void)state;
    kit_broker_kill(b);
    kit_until(kit_is_gone(broker));
    kit_broker_revive(b, &(struct kit_start){ .keeper = true, .args = { "--endpoint", "web=[::]:0" } });
    kit_broker_stop(b);
}

/* It never was ready, so there is no point in trying again. */
static void keeper_ends_with_a_broker_that_cannot_start(void **state)
{
    struct kit_broker *b =
        kit_broker_launch(&(struct kit_start){ .keeper = true, .args = { "--endpoint", "web=192.0.2.1:80" } });

    (void)state;
    assert_int_equal(kit_process_wait(b->process), 1);
    assert_int_equal(kit_process_count_log(b->process, "event=broker_started"), 1);
    kit_broker_free(b);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        TEST(crashes_under_load_refuse_nobody),
        TEST(kernel_queue_outlives_the_broker),
        TEST(held_connections_are_lost),
        TEST(shared_listener_outlives_the_broker),
        TEST(datagrams_outlive_the_broker),
        TEST(deposits_stay),
        TEST(next_broker_has_what_it_is_asked_for),
        TEST(own_workers_go_on),
        TEST(crash_loop_has_an_end),
        TEST(crash_while_starting_loses_nothing),
        TEST(end_of_the_keeper_ends_all),
        TEST(keeper_ends_with_a_broker_that_cannot_start),
    };

    return kit_main(tests, argc, argv);
}
