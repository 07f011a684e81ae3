/* Deposits change hands whole or not at all, wherever the worker stops or dies. The commit points: a deposit exists once the
 * broker has its socket, it is the taker's once the broker has settled it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/fault.h"
#include "tests/support/format.h"
#include "tests/support/kit_deposit.h"
#include "tests/support/kit_page.h"
#include "tests/support/kit_process.h"
#include "tests/support/kit_state.h"
#include "tests/support/net.h"

#define KILLED 137

/* Nothing ends by a deadline here but what says so. */
static struct kit_broker *start(const char *setting)
{
    return kit_broker_start(&(struct kit_start){ .args = { "--endpoint", "web=[::]:0", "--set", "attach_ms=60000", "--set",
                                                           setting ? setting : "heartbeat_ms=600000" } });
}

static void finish(struct kit_broker *b, struct sockbroker_worker *w)
{
    sockbroker_worker_close(w);
    kit_wait_deposits(b, 0);
    kit_broker_wait_ready(b, 0);
    kit_broker_wait_idle_fds(b);
    kit_broker_stop(b);
}

/* ---- at one place ---- */

/* A mover that does this ("kill", "stop") where the fail-point is. */
static struct kit_process *start_doomed(struct kit_broker *b, const char *place, const char *action)
{
    char env[80];

    format_text(env, sizeof(env), "SOCKBROKER_FAILPOINTS=%s=%s", place, action);
    return kit_mover_start(b, "doomed", &(struct kit_start){ .env = { env } });
}

/* A deposit "c" with 3000 bytes of state and one unread byte, left by w; returns the client's end. */
static sockbroker_socket leave_one(struct sockbroker_worker *w)
{
    struct sockbroker_error error;
    sockbroker_socket ends[2];

    kit_open_stream("::1", ends);
    kit_send(ends[0], "u");
    if (kit_deposit(w, "c", ends[1], 3000, &error))
        kit_fail("%s", error.text);
    net_close(&ends[1]);
    return ends[0];
}

/* It is here, whole, and once. */
static void check_is_here(struct sockbroker_worker *w, sockbroker_socket *client)
{
    struct sockbroker_conn conn;
    struct sockbroker_error error;

    kit_withdraw(w, "c", 3000, &conn);
    kit_expect(conn.sock, "u");
    kit_send(conn.sock, "alive");
    kit_expect(*client, "alive");
    assert_int_equal(kit_try_withdraw(w, "c", &error), SOCKBROKER_NOT_FOUND);
    net_close(&conn.sock);
    kit_expect_end(client);
}

static void wait_killed(struct kit_broker *b, struct kit_process *doomed)
{
    assert_int_equal(kit_process_wait(doomed), KILLED);
    kit_process_free(doomed);
    kit_broker_wait_worker(b, "doomed", "gone");
}

/* Until its last step nothing is there. */
static void worker_killed_before_the_socket_has_left_leaves_nothing(void **state)
{
    static const char *const places[] = { "deposit_announced", "deposit_state_sent" };

    fault_need_failpoints();
    (void)state;
    struct kit_broker *b = start(NULL);
    struct sb_deposit_status d;
    uint16_t port;
    sockbroker_socket listener = kit_listen("::1", &port);

    for (size_t i = 0; i < 2; i++) {
        struct kit_process *doomed = start_doomed(b, places[i], "kill");
        sockbroker_socket client = kit_mover_connect(doomed, "::1", listener, port);

        kit_process_tell(doomed, "deposit c 65536");
        wait_killed(b, doomed);
        kit_expect_end(&client);
        assert_false(kit_find_deposit(b, "c", &d));
    }
    net_close(&listener);
    finish(b, NULL);
}

/* The worker is dead before it can know: its deposit is there, or its client is told. */
static void worker_killed_while_the_socket_is_on_its_way_leaves_all_or_nothing(void **state)
{
    fault_need_failpoints();
    (void)state;
    struct kit_broker *b = start(NULL);
    struct sockbroker_worker *w = kit_asker_open(b, "w");
    struct sb_deposit_status d;
    uint16_t port;
    sockbroker_socket listener = kit_listen("127.0.0.1", &port);

    for (unsigned i = 0; i < 10; i++) {
        struct kit_process *doomed = start_doomed(b, "socket_left", "kill");
        sockbroker_socket client = kit_mover_connect(doomed, "127.0.0.1", listener, port);

        kit_send(client, "u");
        kit_process_tell(doomed, "deposit c 3000");
        wait_killed(b, doomed);
        if (kit_find_deposit(b, "c", &d))
            check_is_here(w, &client);
        else
            kit_expect_end(&client);
    }
    net_close(&listener);
    finish(b, w);
}

static void worker_killed_before_it_settles_leaves_the_deposit_there(void **state)
{
    static const char *const places[] = { "deposit_fetched", "settle_grant" };

    fault_need_failpoints();
    (void)state;
    struct kit_broker *b = start(NULL);
    struct sockbroker_worker *w = kit_asker_open(b, "w");

    for (size_t i = 0; i < 2; i++) {
        sockbroker_socket client = leave_one(w);
        struct kit_process *doomed = start_doomed(b, places[i], "kill");

        kit_process_tell(doomed, "withdraw c");
        wait_killed(b, doomed);
        check_is_here(w, &client);
    }
    finish(b, w);
}

static void worker_killed_after_it_settled_takes_the_deposit_along(void **state)
{
    fault_need_failpoints();
    (void)state;
    struct kit_broker *b = start(NULL);
    struct sockbroker_worker *w = kit_asker_open(b, "w");
    struct kit_process *doomed = start_doomed(b, "grant_settled", "kill");
    struct sockbroker_error error;
    sockbroker_socket client = leave_one(w);

    kit_process_tell(doomed, "withdraw c");
    wait_killed(b, doomed);
    kit_expect_end(&client);
    assert_int_equal(kit_try_withdraw(w, "c", &error), SOCKBROKER_NOT_FOUND);
    finish(b, w);
}

/* Others go on meanwhile, with the same name. */
static void worker_stopped_before_the_socket_has_left_loses_the_name_to_others(void **state)
{
    static const char *const places[] = { "deposit_announced", "deposit_state_sent" };

    fault_need_failpoints();
    (void)state;
    struct kit_broker *b = start(NULL);
    struct sockbroker_worker *w = kit_asker_open(b, "w");
    uint16_t port;
    sockbroker_socket listener = kit_listen("::1", &port);

    for (size_t i = 0; i < 2; i++) {
        struct kit_process *doomed = start_doomed(b, places[i], "stop");
        sockbroker_socket its_client = kit_mover_connect(doomed, "::1", listener, port);

        kit_process_tell(doomed, "deposit c 65536");
        kit_process_wait_stopped(doomed);
        sockbroker_socket client = leave_one(w);
        kit_process_go_on(doomed);
        kit_process_wait_log(doomed, "deposit c gave NAME_TAKEN");
        kit_mover_ask(doomed, "write mine", "wrote");
        kit_expect(its_client, "mine\n");
        check_is_here(w, &client);
        kit_mover_ask(doomed, "deposit c 3000", "deposit c gave OK");
        kit_mover_ask(doomed, "withdraw c", "withdraw c gave OK: 3000 bytes whole");
        kit_mover_stop(doomed);
        kit_expect_end(&its_client);
    }
    net_close(&listener);
    finish(b, w);
}

static void worker_stopped_after_the_socket_has_left_is_not_needed_any_more(void **state)
{
    fault_need_failpoints();
    (void)state;
    struct kit_broker *b = start(NULL);
    struct sockbroker_worker *w = kit_asker_open(b, "w");
    struct kit_process *doomed = start_doomed(b, "socket_left", "stop");
    uint16_t port;
    sockbroker_socket listener = kit_listen("::1", &port);
    sockbroker_socket client = kit_mover_connect(doomed, "::1", listener, port);
    struct sockbroker_conn conn;

    kit_process_tell(doomed, "deposit c 3000");
    kit_process_wait_stopped(doomed);
    kit_wait_deposits(b, 1);
    kit_withdraw(w, "c", 3000, &conn);
    kit_process_go_on(doomed);
    kit_process_wait_log(doomed, "deposit c gave OK");
    kit_send(conn.sock, "alive");
    kit_expect(client, "alive");
    net_close(&conn.sock);
    kit_expect_end(&client);
    kit_mover_stop(doomed);
    net_close(&listener);
    finish(b, w);
}

/* A stopped taker has it in its hands: nobody else gets it, until the taker goes on or dies. */
static void deposit_waits_for_a_stopped_taker(void **state)
{
    static const char *const places[] = { "deposit_fetched", "settle_grant" };

    fault_need_failpoints();
    (void)state;
    struct kit_broker *b = start(NULL);
    struct sockbroker_worker *w = kit_asker_open(b, "w");

    for (size_t i = 0; i < 4; i++) {
        sockbroker_socket client = leave_one(w);
        struct kit_process *doomed = start_doomed(b, places[i % 2], "stop");
        struct sockbroker_error error;
        struct sb_deposit_status d;

        kit_process_tell(doomed, "withdraw c");
        kit_process_wait_stopped(doomed);
        assert_int_equal(kit_try_withdraw(w, "c", &error), SOCKBROKER_BUSY);
        assert_string_equal(error.text, "worker doomed is taking deposit \"c\" just now");
        assert_true(kit_find_deposit(b, "c", &d));
        assert_string_equal(d.taken_by, "doomed");
        if (i < 2) {
            kit_process_go_on(doomed);
            kit_process_wait_log(doomed, "withdraw c gave OK: 3000 bytes whole");
            kit_mover_stop(doomed);
            kit_expect_end(&client);
        } else {
            kit_process_kill(doomed);
            kit_broker_wait_worker(b, "doomed", "gone");
            check_is_here(w, &client);
        }
    }
    finish(b, w);
}

/* The broker hangs up on a worker that is silent for long. Its session lives on, and so does what it was about. */
static void taker_that_lost_its_connection_meanwhile_settles_all_the_same(void **state)
{
    static const char *const places[] = { "settle_grant", "deposit_fetched" };

    fault_need_failpoints();
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct kit_broker *b = start("heartbeat_ms=100");
        struct sockbroker_worker *w = kit_asker_open(b, "w");
        sockbroker_socket client = leave_one(w);
        struct kit_process *doomed = start_doomed(b, places[i], "stop");

        uint64_t refused = fault_broker_status(b).busy_refusals;
        kit_process_tell(doomed, "withdraw c");
        kit_process_wait_stopped(doomed);
        kit_until(fault_broker_status(b).busy_refusals > refused);
        kit_process_go_on(doomed);
        kit_process_wait_log(doomed, "withdraw c gave ");
        kit_until(strchr(strstr(doomed->log, "withdraw c gave "), '\n'));
        bool has_it = strstr(doomed->log, "withdraw c gave OK: 3000 bytes whole");
        assert_true(has_it || i); /* the state it may ask for in vain; then it has given the deposit back */
        if (!has_it)
            check_is_here(w, &client);
        kit_mover_stop(doomed);
        if (has_it)
            kit_expect_end(&client);
        finish(b, w);
    }
}

/* ---- shortages in the broker ---- */

/* @2: two Hellos come before. */
static void broker_without_descriptors_says_so_and_takes_the_next(void **state)
{
    fault_need_failpoints();
    (void)state;
    struct kit_broker *b = kit_broker_start(&(struct kit_start){ .args = { "--endpoint", "web=[::]:0" },
                                                                 .env = { "SOCKBROKER_FAILPOINTS=receive_socket=EMFILE@2" } });
    struct sockbroker_worker *w = kit_asker_open(b, "w");
    struct sockbroker_error error;
    sockbroker_socket ends[2];

    kit_open_stream("::1", ends);
    assert_int_equal(kit_deposit(w, "c", ends[1], 3000, &error), SOCKBROKER_NO_DESCRIPTORS);
    assert_non_null(strstr(error.text, "ulimit"));
    kit_wait_deposits(b, 0);
    kit_send(ends[0], "u");
    assert_int_equal(kit_deposit(w, "c", ends[1], 3000, &error), SOCKBROKER_OK);
    net_close(&ends[1]);
    check_is_here(w, &ends[0]);
    finish(b, w);
}

/* @1: the pair goes before. */
static void socket_that_cannot_go_stays_here(void **state)
{
    fault_need_failpoints();
    (void)state;
    struct kit_broker *b = kit_broker_start(&(struct kit_start){
        .args = { "--endpoint", "web=[::]:0" }, .env = { "SOCKBROKER_FAILPOINTS=send_socket=ETOOMANYREFS*3@1" } });
    struct sockbroker_worker *w = kit_asker_open(b, "w");
    struct sockbroker_error error;
    sockbroker_socket client = leave_one(w);

    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(kit_try_withdraw(w, "c", &error), SOCKBROKER_BUSY);
    assert_non_null(strstr(error.text, "try again"));
    check_is_here(w, &client);
    finish(b, w);
}

static void broker_without_memory_refuses_and_goes_on(void **state)
{
    static const char *const envs[] = { "SOCKBROKER_FAILPOINTS=deposit_memory=ENOMEM",
                                        "SOCKBROKER_FAILPOINTS=grant_memory=ENOMEM" };

    fault_need_failpoints();
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct kit_broker *b =
            kit_broker_start(&(struct kit_start){ .args = { "--endpoint", "web=[::]:0" }, .env = { envs[i] } });
        struct sockbroker_worker *w = kit_asker_open(b, "w");
        struct sockbroker_error error;
        sockbroker_socket ends[2];

        kit_open_stream("::1", ends);
        assert_int_equal(kit_deposit(w, "c", ends[1], 3000, &error), SOCKBROKER_NO_MEMORY);
        kit_close(&ends[0]);
        net_close(&ends[1]);
        sockbroker_socket client = leave_one(w);
        check_is_here(w, &client);
        finish(b, w);
    }
}

/* ---- many, and the account of them ---- */

struct account {
    struct kit_broker *b;
    struct sockbroker_worker *w;
    struct kit_moves_page *page;
    char path[160];
    sockbroker_socket clients[KIT_MOVES_NAMES];
    struct kit_process *movers[KIT_MOVES_MOVERS];
    unsigned n_started; /* movers */
    unsigned n_lost;    /* in the hands of movers that were killed */
};

static void open_page(struct account *a)
{
    if (!kit_make_file("moves", a->path, sizeof(a->path)))
        kit_fail("no file for the account");
    a->page = kit_page_open(a->path, sizeof(*a->page), true);
    if (!a->page)
        kit_fail("no mapping of %s", a->path);
}

/* A new connection under that name, with the state that is due. */
static void put_in(struct account *a, unsigned i)
{
    static uint8_t blob[SOCKBROKER_STATE_MAX];
    struct sockbroker_deposit d = SOCKBROKER_DEPOSIT_INIT;
    struct sockbroker_error error;
    unsigned number = atomic_load(&a->page->taken[i]) + 1;
    char name[16];
    sockbroker_socket ends[2];

    format_text(name, sizeof(name), "m%u", i);
    kit_open_stream(i % 2 ? "127.0.0.1" : "::1", ends);
    kit_send(ends[0], "12345678");
    d.name = name;
    d.sock = ends[1];
    d.state = blob;
    d.state_len = kit_moves_state_len(number);
    d.lifetime_ms = 3600000;
    kit_state_fill(name, number, blob, d.state_len);
    if (sockbroker_worker_deposit(a->w, &d, &error))
        kit_fail("%s", error.text);
    net_close(&ends[1]);
    a->clients[i] = ends[0];
}

/* One that will be killed dies at one of these places, each in its turn, when they are compiled in. */
static const char *doom_of(unsigned round)
{
    static const char *const places[] = {
        "SOCKBROKER_FAILPOINTS=deposit_announced=kill@1", "SOCKBROKER_FAILPOINTS=deposit_fetched=kill@1",
        "SOCKBROKER_FAILPOINTS=socket_left=kill@1",       "SOCKBROKER_FAILPOINTS=settle_grant=kill@1",
        "SOCKBROKER_FAILPOINTS=deposit_state_sent=kill",  "SOCKBROKER_FAILPOINTS=grant_settled=kill@1",
    };

    return places[round % 6];
}

static void start_mover(struct account *a, unsigned slot, const char *env)
{
    char name[16], number[8];

    format_text(name, sizeof(name), "mover%u", a->n_started++);
    format_text(number, sizeof(number), "%u", slot);
    a->movers[slot] =
        kit_mover_start(a->b, name, &(struct kit_start){ .args = { "--moves", a->path, "--slot", number }, .env = { env } });
}

/* Waits until one has begun, and kills it wherever it is by then. */
static void kill_mover(struct account *a, unsigned slot, unsigned round)
{
    struct kit_process *m = a->movers[slot];
    char name[64];

    format_text(name, sizeof(name), "%s", m->title);
#ifdef SB_FAILPOINTS
    (void)round;
    assert_int_equal(kit_process_wait(m), KILLED);
    kit_process_free(m);
#else
    kit_until(atomic_load(&a->page->movers[slot].n_moves) >= 1 + round % 4);
    kit_process_kill(m);
#endif
    kit_broker_wait_worker(a->b, name, "gone");
}

/* Nobody moves now. Each deposit is here or its client was told; that may be so for one that the killed mover was about. */
static void check_account(struct account *a, unsigned killed)
{
    struct sb_status_report r;
    bool was_idle = atomic_load(&a->page->movers[killed].phase) == KIT_IDLE;
    unsigned its = atomic_load(&a->page->movers[killed].name);
    bool is_here[KIT_MOVES_NAMES] = { false };

    if (atomic_load(&a->page->n_wrong))
        kit_fail("%s", a->page->wrong);
    kit_status(a->b, &r);
    for (size_t i = 0; i < r.n_deposits; i++) {
        assert_string_equal(r.deposits[i].taken_by, "");
        is_here[strtoul(r.deposits[i].name + 1, NULL, 10)] = true;
    }
    sb_status_report_deinit(&r);
    for (unsigned i = 0; i < KIT_MOVES_NAMES; i++) {
        if (is_here[i] && kit_is_open(a->clients[i]))
            continue;
        if (is_here[i] || was_idle || i != its)
            kit_fail("m%u is lost: here %d, client open %d", i, is_here[i], kit_is_open(a->clients[i]));
        kit_expect_end(&a->clients[i]);
        put_in(a, i);
        a->n_lost++;
    }
}

static void play_round(struct account *a, unsigned round)
{
    unsigned killed = round % KIT_MOVES_MOVERS;
    char order[32], answer[32];

    format_text(order, sizeof(order), "move 3 %u", round);
    format_text(answer, sizeof(answer), "moved %u\n", round);
    start_mover(a, killed, doom_of(round));
    atomic_store(&a->page->movers[killed].n_moves, 0);
    atomic_store(&a->page->movers[killed].phase, KIT_IDLE);
    kit_process_tell(a->movers[killed], "move 1000000 0");
    for (unsigned i = 0; i < KIT_MOVES_MOVERS; i++) {
        if (i != killed)
            kit_process_tell(a->movers[i], order);
    }
    kill_mover(a, killed, round);
    for (unsigned i = 0; i < KIT_MOVES_MOVERS; i++) {
        if (i != killed)
            kit_process_wait_log(a->movers[i], answer);
    }
    check_account(a, killed);
    start_mover(a, killed, NULL);
}

static void end_account(struct account *a)
{
    for (unsigned i = 0; i < KIT_MOVES_MOVERS; i++)
        kit_mover_stop(a->movers[i]);
    for (unsigned i = 0; i < KIT_MOVES_NAMES; i++) {
        struct sockbroker_conn conn;
        struct sockbroker_error error;
        static uint8_t blob[SOCKBROKER_STATE_MAX];
        unsigned number = atomic_load(&a->page->taken[i]) + 1;
        char name[16];
        size_t len;

        format_text(name, sizeof(name), "m%u", i);
        assert_int_equal(sockbroker_worker_withdraw(a->w, name, &conn, blob, sizeof(blob), &len, &error), SOCKBROKER_OK);
        assert_int_equal(len, kit_moves_state_len(number));
        assert_true(kit_state_is_whole(name, number, blob, len));
        kit_expect(conn.sock, "12345678");
        net_close(&conn.sock);
        kit_expect_end(&a->clients[i]);
    }
    kit_page_close(a->page, sizeof(*a->page));
    remove(a->path);
}

static void moved_deposits_are_neither_lost_nor_doubled_by_killed_workers(void **state)
{
    static struct account a;
    static const struct account none;
    unsigned n_rounds = 12 * kit_scale();

    (void)state;
    a = none;
    a.b = start(NULL);
    a.w = kit_asker_open(a.b, "w");
    open_page(&a);
    for (unsigned i = 0; i < KIT_MOVES_NAMES; i++)
        put_in(&a, i);
    for (unsigned i = 1; i < KIT_MOVES_MOVERS; i++)
        start_mover(&a, i, NULL);
    for (unsigned round = 0; round < n_rounds; round++) {
        if (round)
            kit_mover_stop(a.movers[round % KIT_MOVES_MOVERS]);
        play_round(&a, round);
    }
    unsigned n_moves = atomic_load(&a.page->n_moves);
    printf("%u deposits and withdrawals, %u workers killed, which took %u with them\n", n_moves, n_rounds, a.n_lost);
    assert_true(n_moves >= 100 * kit_scale());
    end_account(&a);
    finish(a.b, a.w);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(worker_killed_before_the_socket_has_left_leaves_nothing, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(worker_killed_while_the_socket_is_on_its_way_leaves_all_or_nothing, kit_setup,
                                        kit_teardown),
        cmocka_unit_test_setup_teardown(worker_killed_before_it_settles_leaves_the_deposit_there, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(worker_killed_after_it_settled_takes_the_deposit_along, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(worker_stopped_before_the_socket_has_left_loses_the_name_to_others, kit_setup,
                                        kit_teardown),
        cmocka_unit_test_setup_teardown(worker_stopped_after_the_socket_has_left_is_not_needed_any_more, kit_setup,
                                        kit_teardown),
        cmocka_unit_test_setup_teardown(deposit_waits_for_a_stopped_taker, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(taker_that_lost_its_connection_meanwhile_settles_all_the_same, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(broker_without_descriptors_says_so_and_takes_the_next, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(socket_that_cannot_go_stays_here, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(broker_without_memory_refuses_and_goes_on, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(moved_deposits_are_neither_lost_nor_doubled_by_killed_workers, kit_setup, kit_teardown),
    };

    return kit_main(tests, argc, argv);
}
