/* Which worker gets a connection: exact numbers, through the real broker. */
#include <stdlib.h>
#include <string.h>

#include "tests/support/format.h"
#include "tests/support/kit.h"

#define N_WORKERS 4

static const char *const names[N_WORKERS] = { "w1", "w2", "w3", "w4" };

static struct kit_broker *start_broker(const char *more)
{
    char endpoint[256];

    format_text(endpoint, sizeof(endpoint), "web=[::]:0,%s", more);
    return kit_broker_start(&(struct kit_start){ .args = { "--endpoint", endpoint } });
}

static struct kit_process *start_worker(struct kit_broker *b, const char *name, const char *mode, const char *weight)
{
    struct kit_process *w =
        kit_worker_start(b, name, mode, &(struct kit_start){ .args = { weight ? "--weight" : NULL, weight } });

    kit_broker_wait_worker(b, name, "ready");
    return w;
}

static void start_workers(struct kit_broker *b, struct kit_process *w[N_WORKERS], const char *mode)
{
    for (unsigned i = 0; i < N_WORKERS; i++)
        w[i] = start_worker(b, names[i], mode, NULL);
}

static void finish(struct kit_broker *b, struct kit_process **w, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        kit_worker_stop(w[i]);
    kit_broker_wait_ready(b, 0);
    kit_broker_wait_idle_fds(b);
    kit_broker_stop(b);
}

/* One connection from its beginning to its end. Returns who served it. */
static struct kit_answer ask_from(struct kit_broker *b, const char *from, const char *to)
{
    struct kit_answer a;

    kit_read_only_answer(kit_connect(from, to, kit_broker_port(b, "web")), &a);
    return a;
}

static struct kit_answer ask(struct kit_broker *b)
{
    return ask_from(b, NULL, "::1");
}

static void check_even(const struct kit_load_result *r, unsigned total)
{
    for (unsigned i = 0; i < N_WORKERS; i++) {
        unsigned n = kit_load_by_worker(r, names[i]);

        if (n < total / N_WORKERS || n > (total + N_WORKERS - 1) / N_WORKERS)
            kit_fail("round robin gave %s %u of %u", names[i], n, total);
    }
}

/* ---- round robin ---- */

static void round_robin_one_after_the_other_is_exact(void **state)
{
    struct kit_broker *b = start_broker("policy=round-robin");
    struct kit_process *w[N_WORKERS];
    char order[N_WORKERS][64];

    (void)state;
    start_workers(b, w, "hello");
    for (unsigned i = 0; i < 10 * N_WORKERS; i++) {
        struct kit_answer a = ask_from(b, NULL, i % 2 ? "127.0.0.1" : "::1");

        if (i < N_WORKERS)
            memcpy(order[i], a.worker, sizeof(order[i]));
        assert_string_equal(a.worker, order[i % N_WORKERS]);
    }
    finish(b, w, N_WORKERS);
}

/* One more than a multiple of four: three workers get the same, one gets one more. */
static void round_robin_under_load_is_within_one(void **state)
{
    unsigned total = 4001 * kit_scale();
    struct kit_broker *b = start_broker("policy=round-robin,window=1024");
    struct kit_process *w[N_WORKERS];
    struct kit_load_result r;

    (void)state;
    start_workers(b, w, "hello");
    kit_load_run(&(struct kit_load_options){ .port = kit_broker_port(b, "web"), .total = total }, &r);
    kit_load_check_all_answered(&r, total);
    check_even(&r, total);
    finish(b, w, N_WORKERS);
}

/* A worker that comes later gets its turns from now on, not those it missed. */
static void late_worker_gets_no_missed_turns(void **state)
{
    struct kit_broker *b = start_broker("policy=round-robin");
    struct kit_process *w[N_WORKERS];
    struct kit_load_result r;

    (void)state;
    w[0] = start_worker(b, names[0], "hello", NULL);
    w[1] = start_worker(b, names[1], "hello", NULL);
    for (unsigned i = 0; i < 20; i++)
        ask(b);
    w[2] = start_worker(b, names[2], "hello", NULL);
    w[3] = start_worker(b, names[3], "hello", NULL);
    kit_load_run(&(struct kit_load_options){ .port = kit_broker_port(b, "web"), .total = 40, .concurrency = 1 }, &r);
    kit_load_check_all_answered(&r, 40);
    check_even(&r, 40);
    finish(b, w, N_WORKERS);
}

/* ---- weights ---- */

static void weights_are_exact_over_full_cycles(void **state)
{
    static const char *const weights[] = { "1", "2", "4" };
    struct kit_broker *b = start_broker("policy=round-robin,window=1024");
    struct kit_process *w[3];
    struct kit_load_result r;
    unsigned cycles = 300 * kit_scale();

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        w[i] = start_worker(b, names[i], "hello", weights[i]);
    kit_load_run(&(struct kit_load_options){ .port = kit_broker_port(b, "web"), .total = 7 * cycles }, &r);
    kit_load_check_all_answered(&r, 7 * cycles);
    assert_int_equal(kit_load_by_worker(&r, "w1"), cycles);
    assert_int_equal(kit_load_by_worker(&r, "w2"), 2 * cycles);
    assert_int_equal(kit_load_by_worker(&r, "w3"), 4 * cycles);
    finish(b, w, 3);
}

/* Spread, not in blocks: in each cycle of seven, nobody has the place twice but the one with weight four. */
static void weights_are_spread_within_each_cycle(void **state)
{
    static const char *const weights[] = { "1", "2", "4" };
    struct kit_broker *b = start_broker("policy=round-robin");
    struct kit_process *w[3];

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        w[i] = start_worker(b, names[i], "hello", weights[i]);
    for (unsigned cycle = 0; cycle < 10; cycle++) {
        unsigned n[3] = { 0 };

        for (unsigned i = 0; i < 7; i++)
            n[ask(b).worker[1] - '1']++;
        assert_int_equal(n[0], 1);
        assert_int_equal(n[1], 2);
        assert_int_equal(n[2], 4);
    }
    finish(b, w, 3);
}

static void least_connections_honours_weights(void **state)
{
    struct kit_broker *b = start_broker("policy=least-connections");
    struct kit_process *w[2];
    struct kit_answer a;
    sockbroker_socket socks[12];
    unsigned n[2] = { 0 };

    (void)state;
    w[0] = start_worker(b, "w1", "hold", "1");
    w[1] = start_worker(b, "w2", "hold", "3");
    for (unsigned i = 0; i < 12; i++) {
        socks[i] = kit_connect(NULL, "::1", kit_broker_port(b, "web"));
        kit_read_answer(socks[i], &a);
        n[a.worker[1] - '1']++;
    }
    assert_int_equal(n[0], 3);
    assert_int_equal(n[1], 9);
    for (unsigned i = 0; i < 12; i++)
        kit_close(&socks[i]);
    finish(b, w, 2);
}

/* ---- least connections ---- */

struct held {
    sockbroker_socket sock;
    unsigned worker;
};

static struct held hold_one(struct kit_broker *b)
{
    struct held h = { kit_connect(NULL, "127.0.0.1", kit_broker_port(b, "web")), 0 };
    struct kit_answer a;

    kit_read_answer(h.sock, &a);
    h.worker = (unsigned)(a.worker[1] - '1');
    assert_true(h.worker < N_WORKERS);
    return h;
}

struct expected {
    uint64_t open[N_WORKERS];
};

static bool is_as_expected(const struct sb_status_report *r, void *arg)
{
    const struct expected *e = arg;

    for (unsigned i = 0; i < N_WORKERS; i++) {
        const struct sb_session_status *s = kit_find_session(r, names[i]);

        if (!s || s->open != e->open[i])
            return false;
    }
    return true;
}

static void wait_open(struct kit_broker *b, uint64_t w1, uint64_t w2, uint64_t w3, uint64_t w4)
{
    struct expected e = { { w1, w2, w3, w4 } };

    kit_broker_wait_status(b, is_as_expected, &e, "those open connections");
}

/* Each new one goes to a worker with the fewest open; when one worker's are over, the next ones are all its. */
static void least_connections_goes_to_the_least_loaded(void **state)
{
    struct kit_broker *b = start_broker("policy=least-connections");
    struct kit_process *w[N_WORKERS];
    struct held held[20];
    unsigned n[N_WORKERS] = { 0 };

    (void)state;
    start_workers(b, w, "hold");
    for (unsigned i = 0; i < 20; i++) {
        held[i] = hold_one(b);
        n[held[i].worker]++;
        assert_true(n[held[i].worker] <= i / N_WORKERS + 1); /* never two ahead */
    }
    wait_open(b, 5, 5, 5, 5);
    for (unsigned i = 0; i < 20; i++) {
        if (held[i].worker == 2)
            kit_close(&held[i].sock);
    }
    wait_open(b, 5, 5, 0, 5);
    for (unsigned i = 0; i < 20; i++) {
        if (held[i].worker != 2)
            continue;
        held[i] = hold_one(b);
        assert_int_equal(held[i].worker, 2);
    }
    wait_open(b, 5, 5, 5, 5);
    for (unsigned i = 0; i < 20; i++)
        kit_close(&held[i].sock);
    wait_open(b, 0, 0, 0, 0);
    finish(b, w, N_WORKERS);
}

/* A worker that never says what is over looks busy for ever, and the others get the work. */
static void least_connections_needs_the_reports(void **state)
{
    struct kit_broker *b = start_broker("policy=least-connections");
    struct kit_process *w[2];
    unsigned silent = 0;

    (void)state;
    w[0] = kit_worker_start(b, "w1", "hello", &(struct kit_start){ .args = { "--no-finish" } });
    w[1] = start_worker(b, "w2", "hello", NULL);
    kit_broker_wait_ready(b, 2);
    for (unsigned i = 0; i < 20; i++) {
        silent += ask(b).worker[1] == '1';
        kit_until(kit_worker_status(b, "w2").open == 0);
    }
    assert_int_equal(silent, 1);
    assert_int_equal(kit_worker_status(b, "w1").open, 1);
    finish(b, w, 2);
}

/* ---- least pending ---- */

/* Workers that take nothing: what is on its way to them stays there, and the next goes to where the fewest are. */
static void least_pending_goes_to_the_shortest_queue(void **state)
{
    struct kit_broker *b = start_broker("policy=least-pending,withdraw_after_ms=600000,ack_timeout_ms=600000");
    struct kit_process *w[N_WORKERS];
    struct kit_answer a;
    sockbroker_socket socks[12], more[2];

    (void)state;
    start_workers(b, w, "none");
    for (unsigned i = 0; i < 12; i++)
        socks[i] = kit_connect(NULL, "::1", kit_broker_port(b, "web"));
    wait_open(b, 3, 3, 3, 3);
    kit_process_tell(w[1], "take 2");
    wait_open(b, 3, 1, 3, 3); /* two are over */
    for (unsigned i = 0; i < 2; i++)
        more[i] = kit_connect(NULL, "127.0.0.1", kit_broker_port(b, "web"));
    wait_open(b, 3, 3, 3, 3); /* both went to w2 */
    for (unsigned i = 0; i < N_WORKERS; i++)
        kit_process_tell(w[i], "take 3");
    for (unsigned i = 0; i < 12; i++)
        kit_read_only_answer(socks[i], &a);
    for (unsigned i = 0; i < 2; i++) {
        kit_read_only_answer(more[i], &a);
        assert_string_equal(a.worker, "w2");
    }
    finish(b, w, N_WORKERS);
}

/* Open ones do not count, only unacked ones. */
static void least_pending_does_not_count_open_connections(void **state)
{
    struct kit_broker *b = start_broker("policy=least-pending");
    struct kit_process *w[2];
    struct held held[8];
    unsigned n[2] = { 0 };

    (void)state;
    w[0] = start_worker(b, "w1", "hold", NULL);
    w[1] = start_worker(b, "w2", "hello", NULL);
    for (unsigned i = 0; i < 8; i++) {
        held[i] = hold_one(b);
        n[held[i].worker]++;
        kit_broker_wait_settled(b);
    }
    assert_int_equal(n[0], 4); /* equal queues take turns */
    assert_int_equal(n[1], 4);
    for (unsigned i = 0; i < 8; i++)
        kit_close(&held[i].sock);
    finish(b, w, 2);
}

/* ---- source hash ---- */

#define N_CLIENTS 64

static const char *client_address(unsigned i, char text[32])
{
    format_text(text, 32, "127.0.1.%u", i + 1);
    return text;
}

static void ask_all(struct kit_broker *b, const char *to, char who[N_CLIENTS])
{
    char from[32];

    for (unsigned i = 0; i < N_CLIENTS; i++)
        who[i] = ask_from(b, client_address(i, from), to).worker[1];
}

static void source_hash_keeps_each_client_with_its_worker(void **state)
{
    struct kit_broker *b = start_broker("policy=source-hash");
    struct kit_process *w[N_WORKERS];
    char first[N_CLIENTS], again[N_CLIENTS];
    unsigned n[N_WORKERS] = { 0 };

    (void)state;
    start_workers(b, w, "hello");
    ask_all(b, "127.0.0.1", first);
    for (unsigned round = 0; round < 3; round++) {
        ask_all(b, "127.0.0.1", again);
        assert_memory_equal(first, again, N_CLIENTS);
    }
    for (unsigned i = 0; i < N_CLIENTS; i++)
        n[first[i] - '1']++;
    for (unsigned i = 0; i < N_WORKERS; i++)
        assert_true(n[i] > 0); /* 64 clients and nobody idle */
    finish(b, w, N_WORKERS);
}

/* The same client through a dual-stack socket (where the kernel says ::ffff:a.b.c.d) and through a plain IPv4 one. */
static void source_hash_takes_mapped_and_plain_addresses_for_the_same(void **state)
{
    struct kit_broker *b = kit_broker_start(&(struct kit_start){
        .args = { "--endpoint", "web=[::]:0,policy=source-hash", "--endpoint", "plain=127.0.0.1:0,policy=source-hash" } });
    struct kit_process *w[N_WORKERS];
    char from[32];

    (void)state;
    for (unsigned i = 0; i < N_WORKERS; i++)
        w[i] = kit_worker_start(b, names[i], "hello", &(struct kit_start){ .args = { "--endpoint", "web,plain" } });
    kit_broker_wait_ready(b, N_WORKERS);
    for (unsigned i = 0; i < N_CLIENTS; i++) {
        struct kit_answer mapped, plain;

        client_address(i, from);
        kit_read_only_answer(kit_connect(from, "127.0.0.1", kit_broker_port(b, "web")), &mapped);
        kit_read_only_answer(kit_connect(from, "127.0.0.1", kit_broker_port(b, "plain")), &plain);
        assert_string_equal(mapped.worker, plain.worker);
        assert_string_equal(mapped.family, "ipv4");
    }
    finish(b, w, N_WORKERS);
}

static void source_hash_moves_only_the_clients_of_the_worker_that_leaves(void **state)
{
    struct kit_broker *b = start_broker("policy=source-hash");
    struct kit_process *w[N_WORKERS];
    char before[N_CLIENTS], without[N_CLIENTS], after[N_CLIENTS];
    unsigned moved = 0;

    (void)state;
    start_workers(b, w, "hello");
    ask_all(b, "127.0.0.1", before);
    kit_worker_stop(w[1]);
    kit_broker_wait_worker(b, "w2", "gone");
    ask_all(b, "127.0.0.1", without);
    for (unsigned i = 0; i < N_CLIENTS; i++) {
        assert_int_not_equal(without[i], '2');
        if (before[i] == '2')
            moved++;
        else
            assert_int_equal(without[i], before[i]);
    }
    assert_true(moved > 0);
    w[1] = start_worker(b, "w2", "hello", NULL);
    ask_all(b, "127.0.0.1", after);
    assert_memory_equal(before, after, N_CLIENTS);
    kit_process_kill(w[1]); /* the same for one that dies */
    kit_broker_wait_worker(b, "w2", "gone");
    ask_all(b, "127.0.0.1", after);
    assert_memory_equal(without, after, N_CLIENTS);
    w[1] = start_worker(b, "w2", "hello", NULL);
    ask_all(b, "127.0.0.1", after);
    assert_memory_equal(before, after, N_CLIENTS);
    finish(b, w, N_WORKERS);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(round_robin_one_after_the_other_is_exact),
        TEST(round_robin_under_load_is_within_one),
        TEST(late_worker_gets_no_missed_turns),
        TEST(weights_are_exact_over_full_cycles),
        TEST(weights_are_spread_within_each_cycle),
        TEST(least_connections_honours_weights),
        TEST(least_connections_goes_to_the_least_loaded),
        TEST(least_connections_needs_the_reports),
        TEST(least_pending_goes_to_the_shortest_queue),
        TEST(least_pending_does_not_count_open_connections),
        TEST(source_hash_keeps_each_client_with_its_worker),
        TEST(source_hash_takes_mapped_and_plain_addresses_for_the_same),
        TEST(source_hash_moves_only_the_clients_of_the_worker_that_leaves),
    };

    return kit_main(tests, argc, argv);
}
