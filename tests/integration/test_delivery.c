/* The promise: a connection that the broker accepted is served by exactly one worker, whatever happens to workers.
 * Each test runs with both carriers; the state is the carrier's name. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/format.h"
#include "tests/support/kit.h"
#include "tests/support/net.h"

#define N_WORKERS 4
#define STEP_MS 500 /* between two kills or stops, at full scale */

struct crew {
    struct kit_broker *broker;
    struct kit_process *workers[N_WORKERS];
    struct kit_journal journals[N_WORKERS];
    char names[N_WORKERS][8];
    const struct kit_start *with; /* what each worker gets besides */
};

static const struct kit_start nothing_more;

static struct kit_broker *start_broker(const char *carrier, const char *more)
{
    char endpoint[256];

    format_text(endpoint, sizeof(endpoint), "web=[::]:0,carrier=%s%s", carrier, more);
    return kit_broker_start(&(struct kit_start){ .args = { "--endpoint", endpoint } });
}

static void launch_member(struct crew *c, unsigned i)
{
    struct kit_start with = *c->with;
    size_t n = 0;

    while (with.args[n])
        n++;
    with.args[n++] = "--journal";
    with.args[n] = c->journals[i].path;
    c->workers[i] = kit_worker_launch(c->broker, c->names[i], "hello", &with);
}

static void start_crew(struct crew *c, struct kit_broker *b, const struct kit_start *with)
{
    c->broker = b;
    c->with = with;
    for (unsigned i = 0; i < N_WORKERS; i++) {
        format_text(c->names[i], sizeof(c->names[i]), "w%u", i + 1);
        kit_journal_open(&c->journals[i]);
        launch_member(c, i);
    }
    kit_broker_wait_ready(b, N_WORKERS);
}

static void replace_member(struct crew *c, unsigned i)
{
    kit_process_kill(c->workers[i]);
    launch_member(c, i);
    kit_process_wait_log(c->workers[i], "ready\n");
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

/* Everybody stops, and nothing is left behind in the broker. */
static void finish(struct crew *c)
{
    stop_crew(c);
    kit_broker_wait_ready(c->broker, 0);
    kit_broker_wait_idle_fds(c->broker);
    kit_broker_stop(c->broker);
}

static bool nothing_is_open(const struct sb_status_report *r, void *arg)
{
    uint64_t n = 0;

    (void)arg;
    for (size_t i = 0; i < r->n_sessions; i++)
        n += r->sessions[i].open;
    return !n;
}

/* The counters after `total` connections that all were delivered. */
static void check_counters(struct kit_broker *b, uint64_t total)
{
    kit_broker_wait_settled(b);
    struct sb_endpoint_counters c = kit_counters(b, "web");

    assert_int_equal(c.accepted, total);
    assert_int_equal(c.acked, total);
    assert_int_equal(c.leased, total + c.released);
    assert_int_equal(c.held, 0);
    assert_int_equal(c.refused, 0);
    assert_int_equal(c.denied, 0);
    assert_int_equal(c.in_doubt, 0);
}

/* ---- nothing happens ---- */

static uint64_t sum_served(struct kit_broker *b)
{
    struct sb_status_report r;
    uint64_t n = 0;

    kit_status(b, &r);
    for (size_t i = 0; i < r.n_sessions; i++)
        n += r.sessions[i].served;
    sb_status_report_deinit(&r);
    return n;
}

static void run_quietly(const char *carrier, bool echo)
{
    unsigned total = 4000 * kit_scale();
    struct kit_broker *b = start_broker(carrier, "");
    struct kit_process *w[N_WORKERS];
    struct kit_load_result r;

    for (unsigned i = 0; i < N_WORKERS; i++) {
        char name[8];

        format_text(name, sizeof(name), "w%u", i + 1);
        w[i] = kit_worker_start(b, name, echo ? "echo" : "hello", &(struct kit_start){ .args = { "--threads", "2" } });
    }
    kit_broker_wait_ready(b, N_WORKERS);
    kit_load_run(&(struct kit_load_options){ .port = kit_broker_port(b, "web"), .total = total, .echo = echo }, &r);
    kit_load_print(carrier, &r);
    kit_load_check_all_answered(&r, total);
    assert_int_equal(r.ipv4, total / 2);
    assert_int_equal(r.ipv6, total / 2);
    check_counters(b, total);
    struct sb_endpoint_counters c = kit_counters(b, "web");
    assert_int_equal(c.leased, total);
    assert_int_equal(c.withdrawn + c.released + c.nacked, 0);
    assert_int_equal(sum_served(b), total);
    kit_broker_wait_status(b, nothing_is_open, NULL, "no connection open");
    for (unsigned i = 0; i < N_WORKERS; i++)
        kit_worker_stop(w[i]);
    kit_broker_wait_ready(b, 0);
    kit_broker_wait_idle_fds(b);
    kit_broker_stop(b);
}

static void every_client_is_answered_once(void **state)
{
    run_quietly(*state, false);
}

static void every_request_gets_its_own_echo(void **state)
{
    run_quietly(*state, true);
}

/* ---- workers die ---- */

/* Killed between recvmsg and ack, with more unread behind it: all of that goes to others, and no client notices. */
static void workers_killed_before_the_ack_lose_nothing(void **state)
{
#ifdef SB_FAILPOINTS
    unsigned total = 20000 * kit_scale();
    struct kit_broker *b = start_broker(*state, "");
    struct crew c;
    struct kit_load_result r;
    unsigned kills = 0;

    start_crew(&c, b, &(struct kit_start){ .env = { "SOCKBROKER_FAILPOINTS=taken=kill@200" } });
    struct kit_load *load = kit_load_start(&(struct kit_load_options){ .port = kit_broker_port(b, "web"), .total = total });
    while (!kit_load_is_over(load)) {
        for (unsigned i = 0; i < N_WORKERS; i++) {
            if (!kit_process_is_over(c.workers[i]))
                continue;
            kit_process_free(c.workers[i]);
            launch_member(&c, i);
            kills++;
        }
        kit_pause(2);
    }
    kit_load_finish(load, &r);
    printf("%u workers killed between recvmsg and ack\n", kills);
    kit_load_print(*state, &r);
    kit_load_check_all_answered(&r, total);
    check_counters(b, total);
    assert_true(kills >= total / 200 - 4 * N_WORKERS);
    assert_true(kit_counters(b, "web").released >= kills);
    kit_until(answered(&c) == total);
    for (unsigned i = 0; i < N_WORKERS; i++) {
        kit_process_kill(c.workers[i]); /* whether it is just being killed by itself, who knows */
        kit_journal_close(&c.journals[i]);
    }
    kit_broker_wait_ready(b, 0);
    kit_broker_wait_idle_fds(b);
    kit_broker_stop(b);
#else
    (void)state;
    skip();
#endif
}

/* The promise ends at the ack: a worker with nothing acked in its hands is one whose answers are as many as the broker
 * counts as served. Asked twice, for the broker may not have read its last ack the first time. */
static bool has_empty_hands(struct crew *c, unsigned i, uint64_t answered_before)
{
    for (unsigned look = 0; look < 2; look++) {
        struct sb_session_status s = kit_worker_status(c->broker, c->names[i]);

        if (s.served != kit_journal_answered(&c->journals[i]) - answered_before)
            return false;
    }
    return true;
}

/* kill -9 from outside, half a second apart, at any moment in which the worker has acked nothing unanswered: idle, with unread
 * connections waiting for it, or between recvmsg and ack. */
static void workers_killed_with_connections_waiting_lose_nothing(void **state)
{
    unsigned total = 20000 * kit_scale();
    struct kit_broker *b = start_broker(*state, "");
    struct crew c;
    uint64_t before[N_WORKERS] = { 0 };
    struct kit_load_result r;
    unsigned kills = 0, tries = 0;

    start_crew(&c, b, &nothing_more);
    struct kit_load *load =
        kit_load_start(&(struct kit_load_options){ .port = kit_broker_port(b, "web"), .total = total, .per_second = 4000 });
    while (!kit_load_is_over(load)) {
        unsigned i = kills % N_WORKERS;
        uint64_t next_ms = kit_now_ms() + STEP_MS;

        for (bool killed = false; !killed && !kit_load_is_over(load); tries++) {
            kit_process_stop(c.workers[i]);
            killed = has_empty_hands(&c, i, before[i]);
            if (!killed)
                kit_process_go_on(c.workers[i]);
            else
                before[i] = kit_journal_answered(&c.journals[i]);
            if (killed)
                replace_member(&c, i);
            kills += killed;
        }
        while (kit_now_ms() < next_ms && !kit_load_is_over(load))
            kit_pause(10);
    }
    kit_load_finish(load, &r);
    printf("%u workers killed with empty hands, %u tries\n", kills, tries);
    kit_load_print(*state, &r);
    kit_load_check_all_answered(&r, total);
    check_counters(b, total);
    assert_true(kills > 2);
    assert_true(kit_counters(b, "web").released > 0);
    for (unsigned i = 0; i < N_WORKERS; i++) /* the last one may still be stopped */
        kit_process_go_on(c.workers[i]);
    finish(&c);
}

/* kill -9 at any moment whatever. What a worker has acked and not answered dies with it, at most one for each of its threads;
 * nothing else is lost, and the counters say so. */
static void workers_killed_at_random_lose_only_what_they_had_acked(void **state)
{
    unsigned total = 20000 * kit_scale();
    struct kit_broker *b = start_broker(*state, "");
    struct crew c;
    struct kit_load_result r;
    unsigned kills = 0;

    start_crew(&c, b, &nothing_more);
    struct kit_load *load =
        kit_load_start(&(struct kit_load_options){ .port = kit_broker_port(b, "web"), .total = total, .per_second = 4000 });
    while (!kit_load_is_over(load)) {
        uint64_t next_ms = kit_now_ms() + STEP_MS;

        replace_member(&c, kills++ % N_WORKERS);
        while (kit_now_ms() < next_ms && !kit_load_is_over(load))
            kit_pause(10);
    }
    kit_load_finish(load, &r);
    kit_load_print(*state, &r);
    unsigned lost = total - r.answered;
    printf("%u kills, %u of %u connections lost between ack and answer\n", kills, lost, total);
    check_counters(b, total);
    assert_int_equal(r.refused + r.wrong + r.timeout, 0);
    assert_int_equal(r.empty + r.reset, lost);
    assert_true(lost <= kills);
    assert_true(lost <= total - answered(&c));
    assert_true(total - answered(&c) <= kills);
    assert_true(kills > 2);
    finish(&c);
}

/* ---- workers stop ---- */

static void connections_of_stopped_workers_go_to_others(void **state)
{
    unsigned total = 20000 * kit_scale();
    struct kit_broker *b = start_broker(*state, ",withdraw_after_ms=100,ack_timeout_ms=600000");
    struct crew c;
    struct kit_load_result r;
    unsigned stops = 0;

    start_crew(&c, b, &nothing_more);
    struct kit_load *load =
        kit_load_start(&(struct kit_load_options){ .port = kit_broker_port(b, "web"), .total = total, .per_second = 4000 });
    while (!kit_load_is_over(load)) {
        struct kit_process *w = c.workers[stops++ % N_WORKERS];
        uint64_t next_ms = kit_now_ms() + STEP_MS;

        kit_process_halt(w);
        while (kit_now_ms() < next_ms && !kit_load_is_over(load))
            kit_pause(10);
        kit_process_go_on(w);
        kit_broker_wait_worker(b, w->title, "ready");
    }
    kit_load_finish(load, &r);
    kit_load_print(*state, &r);
    kit_load_check_all_answered(&r, total);
    check_counters(b, total);
    struct sb_endpoint_counters n = kit_counters(b, "web");
    printf("%u stops, %llu connections withdrawn\n", stops, (unsigned long long)n.withdrawn);
    assert_true(n.withdrawn > 0);
    assert_true(stops > 2);
    assert_int_equal(answered(&c), total);
    finish(&c);
}

static bool has_unacked(const struct sb_status_report *r, void *arg)
{
    return r->n_sessions && r->sessions[0].unacked == *(uint64_t *)arg;
}

static void wait_unacked(struct kit_broker *b, uint64_t n)
{
    kit_broker_wait_status(b, has_unacked, &n, "that many connections on their way to the first worker");
}

/* One stopped worker gets five, another comes and gets them all; the first goes on, finds nothing, and serves what comes after.
 */
static void stopped_worker_comes_back_and_serves(void **state)
{
    struct kit_broker *b = start_broker(*state, ",withdraw_after_ms=50,ack_timeout_ms=600000");
    struct kit_process *slow = kit_worker_start(b, "slow", "hello", NULL);
    uint16_t port = kit_broker_port(b, "web");
    struct kit_answer a;
    sockbroker_socket socks[5];

    kit_broker_wait_worker(b, "slow", "ready");
    kit_process_stop(slow);
    for (unsigned i = 0; i < 5; i++)
        socks[i] = kit_connect(NULL, i % 2 ? "::1" : "127.0.0.1", port);
    kit_broker_wait_worker(b, "slow", "stuck");
    struct sb_endpoint_counters c = kit_counters(b, "web");
    assert_true(c.withdrawn > 0);
    assert_int_equal(c.withdrawn, c.leased); /* one that came after that was not leased to it at all */
    struct kit_process *quick = kit_worker_start(b, "quick", "hello", NULL);
    for (unsigned i = 0; i < 5; i++) {
        kit_read_only_answer(socks[i], &a);
        assert_string_equal(a.worker, "quick");
    }
    kit_worker_stop(quick);
    kit_broker_wait_worker(b, "quick", "gone");
    kit_process_go_on(slow);
    kit_broker_wait_worker(b, "slow", "ready");
    kit_read_only_answer(kit_connect(NULL, "::1", port), &a);
    assert_string_equal(a.worker, "slow");
    check_counters(b, 6);
    assert_int_equal(kit_worker_status(b, "slow").served, 1);
    kit_worker_stop(slow);
    kit_broker_wait_ready(b, 0);
    kit_broker_wait_idle_fds(b);
    kit_broker_stop(b);
}

/* Stopped between recvmsg and ack: nobody else may have that one. Its ack, when it comes at last, counts; the unread ones
 * are with others by then. */
static void taken_connection_waits_for_its_stopped_worker(void **state)
{
#ifdef SB_FAILPOINTS
    struct kit_broker *b = start_broker(*state, ",withdraw_after_ms=50,ack_timeout_ms=600000");
    uint16_t port = kit_broker_port(b, "web");
    struct kit_process *slow =
        kit_worker_start(b, "slow", "hello", &(struct kit_start){ .env = { "SOCKBROKER_FAILPOINTS=taken=stop" } });
    struct kit_answer a;
    sockbroker_socket socks[3];

    kit_broker_wait_worker(b, "slow", "ready");
    socks[0] = kit_connect(NULL, "127.0.0.1", port);
    kit_process_wait_stopped(slow);
    struct kit_process *quick = kit_worker_start(b, "quick", "hello", NULL);
    for (unsigned i = 1; i < 3; i++)
        socks[i] = kit_connect(NULL, "::1", port);
    for (unsigned i = 1; i < 3; i++) {
        kit_read_only_answer(socks[i], &a);
        assert_string_equal(a.worker, "quick");
    }
    assert_true(kit_is_silent(socks[0], 200));
    kit_process_go_on(slow);
    kit_read_only_answer(socks[0], &a);
    assert_string_equal(a.worker, "slow");
    check_counters(b, 3);
    kit_broker_wait_ready(b, 2);
    kit_worker_stop(slow);
    kit_worker_stop(quick);
    kit_broker_stop(b);
#else
    (void)state;
    skip();
#endif
}

/* ---- the broker stops ---- */

/* Two slow workers have their windows full, the rest waits in the kernel's queue: all of them were promised. */
static void connections_on_their_way_are_served_before_the_broker_ends(void **state)
{
    enum { TOTAL = 200 };
    struct kit_broker *b = start_broker(*state, ",window=4");
    struct kit_process *w[2];
    struct kit_load_result r;

    w[0] = kit_worker_start(b, "w1", "hello", &(struct kit_start){ .args = { "--pause-ms", "5" } });
    w[1] = kit_worker_start(b, "w2", "hello", &(struct kit_start){ .args = { "--pause-ms", "5" } });
    kit_broker_wait_ready(b, 2);
    struct kit_load *load =
        kit_load_start(&(struct kit_load_options){ .port = kit_broker_port(b, "web"), .total = TOTAL, .concurrency = TOTAL });
    kit_until(kit_load_connected(load) == TOTAL);
    kit_process_ask_end(b->process);
    kit_load_finish(load, &r);
    kit_load_print(*state, &r);
    kit_load_check_all_answered(&r, TOTAL);
    assert_int_equal(kit_process_wait(b->process), 0);
    assert_true(kit_process_has_log(b->process, "event=stopped connections_left=0"));
    kit_worker_stop(w[0]);
    kit_worker_stop(w[1]);
    kit_broker_free(b);
}

/* Clients that come too late are refused by the kernel; nobody who was let in leaves without an answer. */
static void stopping_under_load_leaves_nobody_without_answer(void **state)
{
    enum { TOTAL = 6000 };
    struct kit_broker *b = start_broker(*state, "");
    struct crew c;
    struct kit_load_result r;

    start_crew(&c, b, &nothing_more);
    struct kit_load *load = kit_load_start(&(struct kit_load_options){ .port = kit_broker_port(b, "web"), .total = TOTAL });
    kit_load_wait(load, TOTAL / 3);
    kit_process_ask_end(b->process);
    kit_load_finish(load, &r);
    kit_load_print(*state, &r);
    unsigned n_reset = r.reset + (net_tells_resets() ? 0 : r.empty);
    assert_int_equal(r.wrong + r.timeout, 0);
    assert_int_equal(r.answered + r.refused + n_reset, TOTAL);
    assert_true(n_reset <= 64); /* arrived between the last accept() and close(): the kernel's, never the broker's */
    assert_int_equal(kit_process_wait(b->process), 0);
    assert_true(kit_process_has_log(b->process, "event=stopped connections_left=0"));
    kit_until(answered(&c) == r.answered);
    stop_crew(&c);
    kit_broker_free(b);
}

/* ---- the broker dies ---- */

static void unread_connections_survive_the_broker(void **state)
{
    struct kit_broker *b = start_broker(*state, ",withdraw_after_ms=600000,ack_timeout_ms=600000");
    struct kit_process *w = kit_worker_start(b, "w1", "hello", NULL);
    uint16_t port = kit_broker_port(b, "web");
    char endpoint[96];
    struct kit_answer a;
    sockbroker_socket socks[5];

    kit_broker_wait_worker(b, "w1", "ready");
    kit_process_stop(w);
    for (unsigned i = 0; i < 5; i++)
        socks[i] = kit_connect(NULL, i % 2 ? "::1" : "127.0.0.1", port);
    wait_unacked(b, 5);
    kit_broker_kill(b);
    kit_process_go_on(w);
    for (unsigned i = 0; i < 5; i++) {
        kit_read_only_answer(socks[i], &a);
        assert_string_equal(a.worker, "w1");
    }
    format_text(endpoint, sizeof(endpoint), "web=[::]:0,carrier=%s", (const char *)*state);
    kit_broker_revive(b, &(struct kit_start){ .args = { "--endpoint", endpoint } });
    kit_broker_wait_worker(b, "w1", "ready");
    for (unsigned i = 0; i < 10; i++)
        kit_read_only_answer(kit_connect(NULL, i % 2 ? "::1" : "127.0.0.1", kit_broker_port(b, "web")), &a);
    check_counters(b, 10);
    kit_worker_stop(w);
    kit_broker_stop(b);
}

static void workers_find_a_new_broker_by_themselves(void **state)
{
    struct kit_broker *b = start_broker(*state, "");
    unsigned total = 1000;
    char endpoint[96];
    struct crew c;
    struct kit_load_result r;

    format_text(endpoint, sizeof(endpoint), "web=[::]:0,carrier=%s", (const char *)*state);
    start_crew(&c, b, &nothing_more);
    for (unsigned round = 0; round < 3; round++) {
        kit_broker_kill(b);
        kit_broker_revive(b, &(struct kit_start){ .args = { "--endpoint", endpoint } });
        kit_broker_wait_ready(b, N_WORKERS);
        kit_load_run(&(struct kit_load_options){ .port = kit_broker_port(b, "web"), .total = total }, &r);
        kit_load_check_all_answered(&r, total);
        check_counters(b, total);
    }
    assert_int_equal(answered(&c), 3 * total);
    stop_crew(&c);
    kit_broker_stop(b);
}

#define WITH(carrier, test)                                                                                                    \
    {                                                                                                                          \
        carrier "_" #test, test, kit_setup, kit_teardown, (void *)carrier                                                      \
    }
#define BOTH(test) WITH("direct", test), WITH("message", test)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        BOTH(every_client_is_answered_once),
        BOTH(every_request_gets_its_own_echo),
        BOTH(workers_killed_before_the_ack_lose_nothing),
        WITH("direct", workers_killed_with_connections_waiting_lose_nothing),
        BOTH(workers_killed_at_random_lose_only_what_they_had_acked),
        BOTH(connections_of_stopped_workers_go_to_others),
        BOTH(stopped_worker_comes_back_and_serves),
        BOTH(taken_connection_waits_for_its_stopped_worker),
        BOTH(connections_on_their_way_are_served_before_the_broker_ends),
        BOTH(stopping_under_load_leaves_nobody_without_answer),
        BOTH(unread_connections_survive_the_broker),
        BOTH(workers_find_a_new_broker_by_themselves),
    };

    return kit_main(tests, argc, argv);
}
