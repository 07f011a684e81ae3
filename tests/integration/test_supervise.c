/* Workers that the broker starts itself: their life, their generations, their end; and pause. What is POSIX alone:
 * test_supervise_posix.c. */
#include <stdlib.h>
#include <string.h>

#include "tests/integration/supervise_kit.h"
#include "tests/support/format.h"
#include "tests/support/net.h"

/* The place of the text in the broker's log, which must have it. */
static size_t place(struct kit_broker *b, const char *text)
{
    const char *at = strstr(b->process->log, text);

    if (!at)
        kit_fail("the broker did not say \"%s\"", text);
    return (size_t)(at - b->process->log);
}

/* ---- start ---- */

static void start_gives_each_worker_a_name_a_generation_and_its_endpoints(void **state)
{
    struct kit_broker *b = start(&(struct kit_start){
        .args = { "--endpoint", "web=[::]:0", "--endpoint", "api=127.0.0.1:0", "--spawn", "3", "--", WORKER, "hello" } });
    struct kit_load_result r;
    struct sb_status_report status;

    (void)state;
    kit_broker_wait_ready(b, 3);
    kit_load_run(&(struct kit_load_options){ .port = kit_broker_port(b, "web"), .total = 300 }, &r);
    kit_load_check_all_answered(&r, 300);
    assert_int_equal(r.n_workers, 3);
    assert_true(kit_load_by_worker(&r, "workers-1-3") > 0);
    kit_status(b, &status);
    assert_int_equal(kit_session(&status, "workers-1-2")->generation, 1);
    assert_int_equal(kit_session(&status, "workers-1-2")->n_endpoints, 2);
    assert_int_equal(status.n_groups, 1);
    assert_int_equal(status.groups[0].wanted, 3);
    assert_int_equal(status.groups[0].generation, 1);
    assert_non_null(strstr(status.groups[0].command, "--mode hello"));
    assert_int_equal(status.n_slots, 3);
    assert_int_equal(find_slot(&status, "workers-1-1")->pid, kit_session(&status, "workers-1-1")->pid);
    sb_status_report_deinit(&status);
    kit_broker_stop(b);
}

static void start_takes_groups_from_the_configuration(void **state)
{
    struct kit_config conf;

    (void)state;
    kit_config_open(&conf, "endpoint web { address = \"[::]:0\"\n command = {" SB_WORKER_EXE ", --spawned, --mode, hello} }\n"
                           "endpoint api { address = \"[::]:0\" }\n"
                           "group both { command = {" SB_WORKER_EXE ", --spawned, --mode, hello}\n"
                           " spawn = 2\n endpoints = {web, api} }\n");
    struct kit_broker *b = start(&(struct kit_start){ .args = { "--config", conf.path } });
    kit_broker_wait_ready(b, 3);
    assert_int_equal(kit_worker_status(b, "web-1-1").n_endpoints, 1);
    assert_int_equal(kit_worker_status(b, "both-1-2").n_endpoints, 2);
    kit_broker_stop(b);
    kit_config_close(&conf);
}

/* ---- restart ---- */

static void restart_of_a_killed_worker_takes_the_same_place(void **state)
{
    struct kit_broker *b = start(&(struct kit_start){
        .args = { "--endpoint", "web=[::]:0", "--set", "restart_delay_ms=10", "--spawn", "2", "--", WORKER, "hello" } });
    struct kit_load_result r;

    (void)state;
    for (unsigned i = 1; i <= 3; i++) {
        kit_broker_wait_ready(b, 2);
        strike(slot_now(b, "workers-1-2").pid);
        kit_until(kit_process_count_log(b->process, how_struck) == i);
    }
    kit_broker_wait_ready(b, 2);
    assert_int_equal(slot_now(b, "workers-1-2").restarts, 3);
    assert_int_equal(slot_now(b, "workers-1-1").restarts, 0);
    kit_load_run(&(struct kit_load_options){ .port = kit_broker_port(b, "web"), .total = 100 }, &r);
    kit_load_check_all_answered(&r, 100);
    kit_broker_stop(b);
}

static void restart_ends_at_the_limit_and_says_so(void **state)
{
    static const char *const programs[][2] = { { ENDS_AT_ONCE }, { "/no/such/program" } };
    static const char *const hows[] = { "how=\"exited with 2\"", "could not be started: " };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct kit_broker *b =
            start(&(struct kit_start){ .args = { "--endpoint", "web=[::]:0", "--set", "restart_delay_ms=10", "--set",
                                                 "restart_max=3", "--", programs[i][0], programs[i][1] } });

        kit_broker_wait_log(b, "event=worker_given_up worker=workers-1-1 restarts=3");
        wait_slot(b, "workers-1-1", "given-up");
        assert_int_equal(kit_process_count_log(b->process, hows[i]), 4);
        assert_int_equal(slot_now(b, "workers-1-1").pid, 0);
        must_run(b, "scale", "workers", "1"); /* another chance, another three */
        kit_until(kit_process_count_log(b->process, "event=worker_given_up") == 2);
        kit_broker_stop(b);
    }
}

/* Out of descriptors or processes: like any other end. */
static void restart_of_a_worker_that_could_not_be_started(void **state)
{
    (void)state;
#ifdef SB_FAILPOINTS
    struct kit_broker *b = start(&(struct kit_start){
        .args = { "--endpoint", "web=[::]:0", "--set", "restart_delay_ms=10", "--spawn", "2", "--", WORKER, "hello" },
        .env = { "SOCKBROKER_FAILPOINTS=spawn=EMFILE*3,spawn=EAGAIN" } });

    kit_broker_wait_ready(b, 2);
    assert_int_equal(slot_now(b, "workers-1-1").restarts + slot_now(b, "workers-1-2").restarts, 4);
    kit_broker_stop(b);
#else
    skip();
#endif
}

static void restart_of_a_worker_that_is_not_ready_in_time(void **state)
{
    struct kit_broker *b = start(&(struct kit_start){
        .args = { "--endpoint", "web=[::]:0", "--set", "ready_ms=100", "--set", can_ask ? "term_ms=60000" : "term_ms=200",
                  "--set", "restart_delay_ms=10", "--set", "restart_max=2", "--", IS_NEVER_READY } });

    (void)state;
    kit_broker_wait_log(b, "event=worker_given_up");
    assert_int_equal(kit_process_count_log(b->process, "event=worker_not_ready worker=workers-1-1 after_ms=100"), 3);
    assert_int_equal(kit_process_count_log(b->process, "event=worker_told_to_end worker=workers-1-1"), 3);
    assert_int_equal(kit_process_count_log(b->process, "event=worker_ended worker=workers-1-1"), 3);
    assert_int_equal(kit_process_count_log(b->process, "event=worker_killed worker=workers-1-1"), can_ask ? 0 : 3);
    kit_broker_stop(b);
}

/* The operator has drained it: it is not started again behind his back. */
static void restart_does_not_happen_after_a_drain_by_hand(void **state)
{
    struct kit_broker *b = start(&(struct kit_start){
        .args = { "--endpoint", "web=[::]:0", "--set", "restart_delay_ms=10", "--spawn", "2", "--", WORKER, "hello" } });

    (void)state;
    kit_broker_wait_ready(b, 2);
    must_run(b, "drain", "workers-1-1", NULL);
    wait_slot(b, "workers-1-1", "stopped");
    kit_broker_wait_log(b, "event=worker_ended worker=workers-1-1 state=draining how=\"exited with 0\"");
    assert_string_equal(ask(b).worker, "workers-1-2");
    assert_int_equal(kit_process_count_log(b->process, "event=worker_started"), 2);
    must_run(b, "reload", NULL, NULL);
    kit_broker_wait_ready(b, 2);
    wait_generations(b, 1);
    kit_broker_stop(b);
}

/* ---- from one generation to the next ---- */

/* 10 reloads, each in the middle of a load of its own, over both families. */
static void roll_under_load_loses_nothing(void **state)
{
    struct kit_broker *b =
        start(&(struct kit_start){ .args = { "--endpoint", "web=[::]:0", "--spawn", "2", "--", WORKER, "hello" } });
    unsigned n_reloads = 10 * kit_scale();
    struct kit_load_result r;
    unsigned slowest_ms = 0;

    (void)state;
    kit_broker_wait_ready(b, 2);
    for (unsigned i = 0; i < n_reloads; i++) {
        struct kit_load *load = kit_load_start(&(struct kit_load_options){
            .port = kit_broker_port(b, "web"), .total = 400, .concurrency = 16, .per_second = 4000 });

        kit_load_wait(load, 50);
        must_run(b, "reload", NULL, NULL);
        kit_load_finish(load, &r);
        kit_load_check_all_answered(&r, 400);
        assert_true(r.ipv4 > 100 && r.ipv6 > 100);
        slowest_ms = r.slowest_ms > slowest_ms ? r.slowest_ms : slowest_ms;
    }
    print_message("%u reloads, %u connections, 0 failed; the slowest took %u ms\n", n_reloads, 400 * n_reloads, slowest_ms);
    assert_int_equal(kit_counters(b, "web").acked, 400u * n_reloads);
    wait_generations(b, 1);
    assert_int_equal(kit_process_count_log(b->process, "how=\"exited with 0\""), kit_process_count_log(b->process, "how=\""));
    kit_broker_stop(b);
}

static const struct sb_generation_status *generation(const struct sb_status_report *r, uint64_t number)
{
    for (size_t i = 0; i < r->n_generations; i++) {
        if (r->generations[i].generation == number)
            return &r->generations[i];
    }
    kit_fail("no generation %llu", (unsigned long long)number);
}

static void roll_leaves_long_connections_alone_while_generations_overlap(void **state)
{
    struct kit_broker *b = start(&(struct kit_start){
        .args = { "--endpoint", "web=[::]:0", "--set", "drain_ms=600000", "--spawn", "2", "--", WORKER, "hold" } });
    struct sb_status_report r;
    struct kit_answer a;
    sockbroker_socket socks[4];

    (void)state;
    kit_broker_wait_ready(b, 2);
    for (unsigned i = 0; i < 4; i++) {
        char name[32];

        if (i)
            must_run(b, "reload", NULL, NULL);
        socks[i] = held_connection(b, &a);
        format_text(name, sizeof(name), "workers-%u-", i + 1);
        assert_memory_equal(a.worker, name, strlen(name));
    }
    wait_generations(b, 4);
    kit_status(b, &r);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(generation(&r, i + 1)->open, 1);
        assert_string_equal(generation(&r, i + 1)->state, i == 3 ? "serving" : "leaving");
        assert_true(kit_is_silent(socks[i], 0));
    }
    assert_true(generation(&r, 1)->since_ms >= generation(&r, 3)->since_ms);
    sb_status_report_deinit(&r);
    kit_close(&socks[1]); /* in any order */
    wait_generations(b, 3);
    kit_close(&socks[0]);
    kit_close(&socks[2]);
    wait_generations(b, 1);
    assert_true(kit_is_silent(socks[3], 0));
    kit_close(&socks[3]);
    kit_broker_stop(b);
}

static void roll_is_for_one_group_when_it_is_named(void **state)
{
    char output[OUTPUT];
    struct kit_config conf;

    (void)state;
    kit_config_open(&conf, "endpoint web { address = \"[::]:0\" }\ngroup a { command = {" SB_WORKER_EXE
                           ", --spawned, --mode, hello} }\n"
                           "group b { command = {" SB_WORKER_EXE ", --spawned, --mode, hello} }\n");
    struct kit_broker *b = start(&(struct kit_start){ .args = { "--config", conf.path } });
    kit_broker_wait_ready(b, 2);
    must_run(b, "reload", "b", NULL);
    kit_broker_wait_worker(b, "b-2-1", "ready");
    kit_broker_wait_worker(b, "a-1-1", "ready");
    assert_int_equal(run(b, output, "reload", NULL, NULL), 0);
    assert_non_null(strstr(output, "group a: generation 2 serves"));
    assert_non_null(strstr(output, "group b: generation 3 serves"));
    assert_int_equal(run(b, output, "reload", "c", NULL), 1);
    assert_non_null(strstr(output, "there is no group c"));
    assert_int_equal(run(b, output, "reload", "a", "b"), 2);
    kit_broker_stop(b);
    kit_config_close(&conf);
}

static void roll_without_a_group_says_that_there_is_none(void **state)
{
    char output[OUTPUT];
    struct kit_broker *b = kit_broker_start(&(struct kit_start){ .args = { "--endpoint", "web=[::]:0" } });

    (void)state;
    assert_int_equal(run(b, output, "reload", NULL, NULL), 1);
    assert_non_null(strstr(output, "started no workers"));
    kit_broker_stop(b);
    assert_int_equal(kit_run((const char *const[]){ "reload", "--dir", "/nonexistent/d", NULL }, output, OUTPUT), 3);
}

/* ---- leave ---- */

static void leave_after_the_deadline(void **state)
{
    struct kit_broker *b =
        start(&(struct kit_start){ .args = { "--endpoint", "web=[::]:0", "--set", "drain_ms=200", "--set",
                                             can_ask ? "term_ms=60000" : "term_ms=200", "--", WORKER, "hold" } });
    struct kit_answer a;
    char more;

    (void)state;
    kit_broker_wait_ready(b, 1);
    sockbroker_socket sock = held_connection(b, &a);
    must_run(b, "reload", NULL, NULL);
    kit_broker_wait_log(b, "event=drain_over worker=workers-1-1");
    kit_until(!kit_is_silent(sock, 0)); /* the end of the stream, or a reset */
    assert_true(net_receive(sock, &more, 1) <= 0);
    kit_broker_wait_log(b, can_ask ? "how=\"exited with 0\"" : how_struck);
    assert_int_equal(kit_process_has_log(b->process, "event=worker_does_not_end"), !can_ask);
    wait_generations(b, 1);
    kit_close(&sock);
    kit_broker_stop(b);
}

/* First what is on its way, then the idle ones, then at the deadline those that hold something; nobody is left. */
static void leave_in_order_when_the_broker_stops(void **state)
{
    struct kit_broker *b = start(&(struct kit_start){ .args = { "--endpoint", "web=[::]:0", "--set", "drain_ms=1500", "--set",
                                                                "term_ms=1000", "--spawn", "2", "--", WORKER, "hold" } });
    struct kit_answer a;
    char idle[64], busy[64];

    (void)state;
    kit_broker_wait_ready(b, 2);
    sockbroker_socket sock = held_connection(b, &a);
    kit_process_ask_end(b->process);
    assert_int_equal(kit_process_wait(b->process), 0);
    while (b->process->out >= 0) /* the workers had the same pipe: its end is theirs */
        kit_pause(100);
    bool first_is_busy = !strcmp(a.worker, "workers-1-1");
    format_text(idle, sizeof(idle), "event=worker_ended worker=workers-1-%d", first_is_busy ? 2 : 1);
    format_text(busy, sizeof(busy), "event=worker_told_to_end worker=workers-1-%d", first_is_busy ? 1 : 2);
    assert_true(place(b, "event=stopping") < place(b, "event=worker_drains"));
    assert_true(place(b, "event=worker_drains") < place(b, idle));
    assert_true(place(b, idle) < place(b, "event=drain_over"));
    assert_true(place(b, "event=drain_over") < place(b, busy));
    format_text(busy, sizeof(busy), "event=worker_ended worker=workers-1-%d", first_is_busy ? 1 : 2);
    assert_true(place(b, busy) < place(b, "event=stopped"));
    kit_close(&sock);
    kit_broker_free(b);
}

static void leave_at_once_at_the_second_signal(void **state)
{
    struct kit_broker *b = start(&(struct kit_start){
        .args = { "--endpoint", "web=[::]:0", "--set", "drain_ms=600000", "--spawn", "2", "--", WORKER, "hold" } });
    struct kit_answer a;

    (void)state;
    kit_broker_wait_ready(b, 2);
    sockbroker_socket sock = held_connection(b, &a);
    kit_process_ask_end(b->process);
    kit_broker_wait_log(b, "event=worker_drains");
    kit_process_ask_end(b->process);
    assert_int_equal(kit_process_wait(b->process), 0);
    kit_close(&sock);
    kit_broker_free(b);
}

/* Clients that wait are served before the workers are told to go. */
static void leave_after_serving_what_waits(void **state)
{
    struct kit_broker *b = start(
        &(struct kit_start){ .args = { "--endpoint", "web=[::]:0,window=1", "--", WORKER, "hello", "--pause-ms", "20" } });
    struct kit_answer a;
    sockbroker_socket socks[10];

    (void)state;
    kit_broker_wait_ready(b, 1);
    for (unsigned i = 0; i < 10; i++)
        socks[i] = kit_connect(NULL, i % 2 ? "::1" : "127.0.0.1", kit_broker_port(b, "web"));
    kit_process_ask_end(b->process);
    for (unsigned i = 0; i < 10; i++)
        kit_read_only_answer(socks[i], &a);
    assert_int_equal(kit_process_wait(b->process), 0);
    kit_broker_free(b);
}

/* ---- scale ---- */

static void scale_starts_more_and_lets_some_go(void **state)
{
    char output[OUTPUT];
    struct kit_broker *b =
        start(&(struct kit_start){ .args = { "--endpoint", "web=[::]:0", "--spawn", "2", "--", WORKER, "hello" } });
    struct kit_load_result r;

    (void)state;
    kit_broker_wait_ready(b, 2);
    must_run(b, "scale", "workers", "4");
    kit_broker_wait_ready(b, 4);
    struct kit_load *load = kit_load_start(
        &(struct kit_load_options){ .port = kit_broker_port(b, "web"), .total = 400, .concurrency = 16, .per_second = 4000 });
    kit_load_wait(load, 50);
    must_run(b, "scale", "workers", "1");
    kit_load_finish(load, &r);
    kit_load_check_all_answered(&r, 400);
    wait_slot(b, "workers-1-4", "gone");
    wait_slot(b, "workers-1-2", "gone");
    kit_broker_wait_ready(b, 1);
    assert_string_equal(ask(b).worker, "workers-1-1");
    must_run(b, "reload", NULL, NULL); /* the number stays */
    kit_broker_wait_ready(b, 1);
    must_run(b, "scale", "workers", "0");
    kit_broker_wait_ready(b, 0);
    must_run(b, "scale", "workers", "2");
    kit_broker_wait_ready(b, 2);
    assert_int_equal(run(b, output, "scale", "nobody", "2"), 1);
    assert_non_null(strstr(output, "no group nobody"));
    assert_int_equal(run(b, output, "scale", "workers", "1025"), 2);
    assert_int_equal(run(b, output, "scale", "workers", "-1"), 2);
    assert_int_equal(run(b, output, "scale", "workers", NULL), 2);
    kit_broker_stop(b);
}

/* ---- a new configuration ---- */

#define REFUSES "{" SB_WORKER_EXE ", --no-such-option}"
#define HELLO "{" SB_WORKER_EXE ", --spawned, --mode, hello}"

static void hup_starts_replaces_and_ends_groups(void **state)
{
    struct kit_config conf;

    (void)state;
    kit_config_open(&conf, "endpoint web { address = \"[::]:0\" }\ngroup stays { command = " HELLO
                           " }\ngroup goes { command = " HELLO " }\n");
    struct kit_broker *b = start(&(struct kit_start){ .args = { "--config", conf.path } });
    kit_broker_wait_ready(b, 2);
    kit_config_write(&conf, "endpoint web { address = \"[::]:0\" }\ngroup stays { command = " HELLO "\n spawn = 2 }\n"
                            "group comes { command = " HELLO " }\n");
    kit_process_ask_reload(b->process);
    kit_broker_wait_worker(b, "stays-2-2", "ready");
    kit_broker_wait_worker(b, "comes-1-1", "ready");
    kit_broker_wait_ready(b, 3);
    kit_broker_wait_worker(b, "goes-1-1", "gone");
    kit_config_write(&conf, "endpoint web { address = \"[::]:0\" }\ngroup stays { commando = x }\n"); /* bad: nothing happens */
    kit_process_ask_reload(b->process);
    kit_broker_wait_log(b, "event=reload_failed");
    kit_broker_wait_ready(b, 3);
    must_run(b, "scale", "stays", "1");
    kit_config_write(&conf, "endpoint web { address = \"[::]:0\" }\ngroup stays { command = " HELLO "\n spawn = 2 }\n");
    kit_process_ask_reload(b->process); /* what was scaled stays: the file says nothing new about it */
    kit_broker_wait_worker(b, "stays-3-1", "ready");
    kit_broker_wait_ready(b, 1);
    kit_broker_stop(b);
    kit_config_close(&conf);
}

static void hup_with_a_program_that_fails_keeps_the_old_workers_and_the_new_endpoints(void **state)
{
    struct kit_config conf;

    (void)state;
    kit_config_open(&conf, "endpoint web { address = \"[::]:0\" }\ngroup g { command = " HELLO "\n endpoints = web }\n");
    struct kit_broker *b = start(&(struct kit_start){ .args = { "--config", conf.path } });
    kit_broker_wait_ready(b, 1);
    kit_config_write(&conf, "endpoint web { address = \"[::]:0\" }\nendpoint api { address = \"[::]:0\" }\n"
                            "group g { command = " REFUSES "\n endpoints = web }\n");
    kit_process_ask_reload(b->process);
    kit_broker_wait_log(b, "event=generation_failed group=g generation=2");
    assert_string_equal(ask(b).worker, "g-1-1");
    strike(slot_now(b, "g-1-1").pid); /* the old generation goes on with its own command */
    kit_until(kit_process_count_log(b->process, "event=worker_ready worker=g-1-1") == 2);
    assert_int_not_equal(kit_broker_port(b, "api"), 0);
    kit_broker_stop(b);
    kit_config_close(&conf);
}

/* ---- pause ---- */

static bool is_up(const struct sb_status_report *r, void *arg)
{
    return r->broker.uptime_ms >= *(uint64_t *)arg;
}

static void pause_holds_all_and_refuses_none_whatever_overload_says(void **state)
{
    struct kit_broker *b = kit_broker_start(&(struct kit_start){
        .args = { "--endpoint", "web=[::]:0,overload=refuse,hold_ms=2000,hold_max=5", "--endpoint", "api=[::]:0" } });
    struct kit_process *w = kit_worker_start(b, "w1", "hello", &(struct kit_start){ .args = { "--endpoint", "web,api" } });
    struct kit_load_result r;
    struct sb_status_report status;

    (void)state;
    kit_broker_wait_ready(b, 1);
    must_run(b, "pause", "web", NULL);
    must_run(b, "pause", "web", NULL); /* is paused already */
    struct kit_load *load =
        kit_load_start(&(struct kit_load_options){ .port = kit_broker_port(b, "web"), .total = 60, .concurrency = 60 });
    kit_until(kit_load_connected(load) == 60);
    wait_held(b, 5);
    kit_status(b, &status);
    assert_string_equal(kit_endpoint(&status, "web")->state, "paused");
    assert_string_equal(kit_endpoint(&status, "api")->state, "listening");
    uint64_t later_ms = status.broker.uptime_ms + 2500; /* longer than hold_ms: the deadline of overload has passed */
    sb_status_report_deinit(&status);
    kit_broker_wait_status(b, is_up, &later_ms, "later than hold_ms");
    assert_int_equal(kit_load_done(load), 0);
    assert_int_equal(kit_counters(b, "web").refused, 0);
    assert_int_equal(kit_counters(b, "web").leased, 0);
    kit_read_only_answer(kit_connect(NULL, "::1", kit_broker_port(b, "api")), &(struct kit_answer){ .pid = 0 });
    must_run(b, "resume", "web", NULL);
    kit_load_finish(load, &r);
    kit_load_check_all_answered(&r, 60);
    assert_int_equal(kit_counters(b, "web").refused, 0);
    assert_int_equal(kit_counters(b, "web").held_max, 5);
    kit_worker_stop(w);
    kit_broker_wait_ready(b, 0);
    kit_broker_stop(b);
}

static void pause_under_load_fails_nobody(void **state)
{
    struct kit_broker *b =
        start(&(struct kit_start){ .args = { "--endpoint", "web=[::]:0", "--spawn", "2", "--", WORKER, "hello" } });
    struct kit_load_result r;

    (void)state;
    kit_broker_wait_ready(b, 2);
    struct kit_load *load = kit_load_start(
        &(struct kit_load_options){ .port = kit_broker_port(b, "web"), .total = 1000, .concurrency = 32, .per_second = 4000 });
    for (unsigned i = 1; i <= 5; i++) {
        kit_load_wait(load, 100 * i);
        must_run(b, "pause", "web", NULL);
        if (i == 3)
            must_run(b, "reload", NULL, NULL); /* that goes on meanwhile */
        must_run(b, "resume", "web", NULL);
    }
    kit_load_finish(load, &r);
    kit_load_check_all_answered(&r, 1000);
    kit_broker_stop(b);
}

static void pause_ends_when_the_broker_stops(void **state)
{
    struct kit_broker *b = start(&(struct kit_start){ .args = { "--endpoint", "web=[::]:0", "--", WORKER, "hello" } });
    struct kit_answer a;

    (void)state;
    kit_broker_wait_ready(b, 1);
    must_run(b, "pause", "web", NULL);
    sockbroker_socket sock = kit_connect(NULL, "::1", kit_broker_port(b, "web"));
    wait_held(b, 1);
    kit_process_ask_end(b->process);
    kit_read_only_answer(sock, &a);
    assert_int_equal(kit_process_wait(b->process), 0);
    kit_broker_free(b);
}

static void pause_of_an_unknown_endpoint_is_an_error(void **state)
{
    char output[OUTPUT];
    struct kit_broker *b = kit_broker_start(&(struct kit_start){ .args = { "--endpoint", "web=[::]:0" } });

    (void)state;
    assert_int_equal(run(b, output, "pause", "api", NULL), 1);
    assert_non_null(strstr(output, "no endpoint \"api\""));
    assert_int_equal(run(b, output, "resume", "web", NULL), 0);
    assert_non_null(strstr(output, "already serving"));
    assert_int_equal(run(b, output, "pause", NULL, NULL), 2);
    kit_broker_stop(b);
}

/* ---- workers of somebody else ---- */

static struct kit_process *start_older(struct kit_broker *b, const char *name, const char *generation_number,
                                       const char *endpoints)
{
    return kit_worker_start(b, name, "hello",
                            &(struct kit_start){ .args = { "--generation", generation_number, "--endpoint", endpoints } });
}

static void wait_end(struct kit_process *w)
{
    kit_process_wait_log(w, "draining");
    assert_int_equal(kit_process_wait(w), 0);
    kit_process_free(w);
}

static void older_workers_drain_where_the_endpoint_says_so(void **state)
{
    struct kit_broker *b = start(&(struct kit_start){
        .args = { "--endpoint", "web=[::]:0,drain_older=yes", "--endpoint", "api=[::]:0", "--", WORKER, "hello" } });

    (void)state;
    kit_broker_wait_ready(b, 1); /* workers-1-1, of generation 1: nobody else's */
    struct kit_process *old = start_older(b, "old", "1", "web"), *none = start_older(b, "none", "0", "web");
    struct kit_process *aside = start_older(b, "aside", "1", "api");
    kit_broker_wait_ready(b, 4);
    struct kit_process *fresh = start_older(b, "fresh", "7", "web,api");
    wait_end(old);
    wait_end(none);
    struct kit_process *twin = start_older(b, "twin", "7", "web");
    kit_broker_wait_ready(b, 4); /* aside, fresh, twin, and the broker's own */
    kit_broker_wait_worker(b, "aside", "ready");
    kit_broker_wait_worker(b, "workers-1-1", "ready");
    kit_worker_stop(aside);
    kit_worker_stop(fresh);
    kit_worker_stop(twin);
    kit_broker_stop(b);
}

static void older_workers_drain_one_after_the_other_under_load(void **state)
{
    struct kit_broker *b = kit_broker_start(&(struct kit_start){ .args = { "--endpoint", "web=[::]:0,drain_older=yes" } });
    struct kit_process *w = start_older(b, "w1", "1", "web");
    struct kit_load_result r;

    (void)state;
    kit_broker_wait_ready(b, 1);
    struct kit_load *load = kit_load_start(
        &(struct kit_load_options){ .port = kit_broker_port(b, "web"), .total = 2000, .concurrency = 16, .per_second = 4000 });
    for (unsigned i = 2; i <= 6; i++) {
        char name[16];

        kit_load_wait(load, 200 * i);
        format_text(name, sizeof(name), "w%u", i);
        struct kit_process *next = start_older(b, name, name + 1, "web");
        wait_end(w);
        w = next;
    }
    kit_load_finish(load, &r);
    kit_load_check_all_answered(&r, 2000);
    kit_worker_stop(w);
    kit_broker_wait_ready(b, 0);
    kit_broker_stop(b);
}

/* ---- the broker crashes ---- */

static void crash_of_the_broker_leaves_workers_that_the_next_one_adopts(void **state)
{
    static const struct kit_start how = { .args = { "--endpoint", "web=[::]:0", "--set", "restart_delay_ms=10", "--spawn", "2",
                                                    "--", WORKER, "hello" } };
    struct kit_broker *b = start(&how);

    (void)state;
    kit_broker_wait_ready(b, 2);
    must_run(b, "reload", NULL, NULL);
    wait_generations(b, 1);
    uint32_t first = slot_now(b, "workers-2-1").pid, second = slot_now(b, "workers-2-2").pid;
    kit_broker_kill(b);
    kit_broker_revive(b, &how);
    kit_broker_wait_log(b, "event=workers_waited_for");
    wait_slot(b, "workers-2-1", "ready");
    wait_slot(b, "workers-2-2", "ready");
    assert_int_equal(slot_now(b, "workers-2-1").pid, first);
    assert_int_equal(slot_now(b, "workers-2-2").pid, second);
    assert_int_equal(kit_process_count_log(b->process, "event=worker_started"), 0);
    strike(first); /* is watched, and replaced */
    kit_broker_wait_log(b, "event=worker_ended worker=workers-2-1");
    wait_slot(b, "workers-2-1", "ready");
    must_run(b, "reload", NULL, NULL);
    wait_generations(b, 1);
    kit_broker_wait_ready(b, 2);
    assert_memory_equal(ask(b).worker, "workers-3-", 10);
    supervise_wait_orphan(first);
    supervise_wait_orphan(second);
    kit_broker_stop(b);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(start_gives_each_worker_a_name_a_generation_and_its_endpoints),
        TEST(start_takes_groups_from_the_configuration),
        TEST(restart_of_a_killed_worker_takes_the_same_place),
        TEST(restart_ends_at_the_limit_and_says_so),
        TEST(restart_of_a_worker_that_could_not_be_started),
        TEST(restart_of_a_worker_that_is_not_ready_in_time),
        TEST(restart_does_not_happen_after_a_drain_by_hand),
        TEST(roll_under_load_loses_nothing),
        TEST(roll_leaves_long_connections_alone_while_generations_overlap),
        TEST(roll_is_for_one_group_when_it_is_named),
        TEST(roll_without_a_group_says_that_there_is_none),
        TEST(leave_after_the_deadline),
        TEST(leave_in_order_when_the_broker_stops),
        TEST(leave_at_once_at_the_second_signal),
        TEST(leave_after_serving_what_waits),
        TEST(scale_starts_more_and_lets_some_go),
        TEST(hup_starts_replaces_and_ends_groups),
        TEST(hup_with_a_program_that_fails_keeps_the_old_workers_and_the_new_endpoints),
        TEST(pause_holds_all_and_refuses_none_whatever_overload_says),
        TEST(pause_under_load_fails_nobody),
        TEST(pause_ends_when_the_broker_stops),
        TEST(pause_of_an_unknown_endpoint_is_an_error),
        TEST(older_workers_drain_where_the_endpoint_says_so),
        TEST(older_workers_drain_one_after_the_other_under_load),
        TEST(crash_of_the_broker_leaves_workers_that_the_next_one_adopts),
    };

    return kit_main(tests, argc, argv);
}
