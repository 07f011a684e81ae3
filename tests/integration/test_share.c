/* mode = share: workers accept on one listening socket, and others go on when one of them dies. What one of them can do to the
 * socket, shards, and what is looked at from inside: test_share_posix.c. */
#include <stdio.h>
#include <string.h>

#include "tests/integration/share_kit.h"
#include "tests/support/net.h"

/* ---- what workers get ---- */

static void workers_serve_both_families(void **state)
{
    struct kit_broker *b = share_start("web=[::]:0,mode=share");
    struct kit_process *w[3];
    struct kit_load_result r;

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        w[i] = share_start_worker(b, (const char *[]){ "w1", "w2", "w3" }[i]);
    kit_load_run(&(struct kit_load_options){ .port = kit_broker_port(b, "web"), .total = 1000 }, &r);
    kit_load_check_all_answered(&r, 1000);
    assert_int_equal(r.ipv4, 500);
    assert_int_equal(r.ipv6, 500);
    assert_int_equal(kit_counters(b, "web").accepted, 0);
    assert_int_equal(kit_counters(b, "web").granted, 3);
    assert_int_equal(kit_counters(b, "web").repaired, 0);
    for (unsigned i = 0; i < 3; i++)
        kit_worker_stop(w[i]);
    share_finish(b);
}

static void info_says_what_the_socket_is(void **state)
{
    struct kit_broker *b = share_start("web=127.0.0.1:0,mode=share");
    struct sockbroker_worker *w = kit_worker_open(b, "inside", "web");
    struct sockbroker_error error;
    struct sockbroker_conn conn;
    unsigned n;

    (void)state;
    assert_int_equal(sockbroker_worker_socket(w, "web", 0, &conn, &n, &error), SOCKBROKER_OK);
    assert_int_equal(n, 1);
    assert_true(conn.info.listening);
    assert_true(conn.info.nonblocking);
    assert_true(net_accept(conn.sock) == SOCKBROKER_SOCKET_NONE && net_is_pending());
    assert_false(net_is_inherited(conn.sock));
    assert_int_equal(conn.info.type, SOCKBROKER_STREAM);
    assert_int_equal(conn.info.socket_family, SOCKBROKER_IPV4);
    assert_int_equal(conn.info.local.port, kit_broker_port(b, "web"));
    assert_string_equal(conn.info.endpoint, "web");
    net_close(&conn.sock);
    sockbroker_worker_close(w);
    share_finish(b);
}

/* ---- refusals ---- */

static void check_refusal(struct sockbroker_worker *w, const char *endpoint, unsigned index, sockbroker_status expected,
                          const char *text)
{
    struct sockbroker_conn conn = { .sock = SOCKBROKER_SOCKET_NONE };
    struct sockbroker_error error = { .text = "" };
    unsigned n;

    assert_int_equal(sockbroker_worker_socket(w, endpoint, index, &conn, &n, &error), expected);
    if (!strstr(error.text, text))
        kit_fail("\"%s\" does not say \"%s\"", error.text, text);
    assert_int_equal(conn.sock, SOCKBROKER_SOCKET_NONE);
}

static bool is_draining(const struct sb_status_report *r, void *arg)
{
    (void)arg;
    return !strcmp(kit_session(r, "inside")->state, "draining");
}

static void each_refusal_says_which_fact_it_was(void **state)
{
    struct kit_broker *b =
        kit_broker_start(&(struct kit_start){ .args = { "--endpoint", "plain=[::]:0", "--endpoint", "web=[::]:0,mode=share",
                                                        "--endpoint", "other=[::]:0,mode=share" } });
    struct sockbroker_worker *w = kit_worker_open(b, "inside", "plain,web");

    (void)state;
    kit_broker_wait_ready(b, 1);
    check_refusal(w, "plain", 0, SOCKBROKER_REFUSED, "endpoint \"plain\" has mode = handoff");
    check_refusal(w, "other", 0, SOCKBROKER_NOT_FOUND, "does not serve an endpoint \"other\"; attach to it first");
    check_refusal(w, "nowhere", 0, SOCKBROKER_NOT_FOUND, "does not serve an endpoint \"nowhere\"");
    check_refusal(w, "web", 1, SOCKBROKER_NOT_FOUND, "has 1 sockets, counted from 0; there is no 1");
    check_refusal(w, "web", 16, SOCKBROKER_INVALID, "index 16");
    check_refusal(w, "a b", 0, SOCKBROKER_INVALID, "endpoint \"a b\"");
    assert_int_equal(kit_counters(b, "web").granted, 0);
    assert_int_equal(kit_run((const char *[]){ "drain", "inside", "--dir", b->dir, NULL }, NULL, 0), 0);
    kit_broker_wait_status(b, is_draining, NULL, "the worker draining");
    check_refusal(w, "web", 0, SOCKBROKER_DRAINING, "was told to finish");
    sockbroker_worker_stop(w);
    check_refusal(w, "web", 0, SOCKBROKER_CLOSED, "was stopped");
    sockbroker_worker_close(w);
    share_finish(b);
}

static void configurations_that_cannot_be_are_refused(void **state)
{
    static const struct {
        const char *endpoint;
        const char *text;
    } refused[] = {
        { "web=[::]:80,protocol=udp", "no connections to hand over; write mode = share or mode = shard" },
        { "web=[::]:80,mode=share,policy=source-hash", "mode = share leaves the choice of the worker to the system" },
        { "web=[::]:80,mode=share,policy=least-connections", "mode = share leaves the choice of the worker to the system" },
        { "web=[::]:80,mode=share,allow=10.0.0.0/8", "with mode = share workers do" },
        { "web=[::]:80,mode=share,deny=10.0.0.0/8", "with mode = share workers do" },
    };
    char output[1024];

    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        const char *args[] = { "check", "--endpoint", refused[i].endpoint, NULL };

        assert_int_equal(kit_run(args, output, sizeof(output)), 2);
        if (!strstr(output, refused[i].text))
            kit_fail("%s: \"%s\" does not say \"%s\"", refused[i].endpoint, output, refused[i].text);
    }
}

/* ---- queues ---- */

static void a_killed_worker_takes_no_queue_with_it(void **state)
{
    struct kit_broker *b = share_start("web=[::]:0,mode=share");
    struct kit_process *w1 = share_start_worker(b, "w1"), *w2 = share_start_worker(b, "w2");
    uint16_t port = kit_broker_port(b, "web");
    sockbroker_socket socks[QUEUE];

    (void)state;
    kit_process_stop(w1);
    kit_process_stop(w2);
    fault_connect_many(port, socks, QUEUE);
    kit_process_kill(w1);
    kit_broker_wait_worker(b, "w1", "gone");
    kit_process_go_on(w2);
    assert_int_equal(fault_answers_by(socks, QUEUE, "w2"), QUEUE);
    kit_process_stop(w2);
    fault_connect_many(port, socks, QUEUE);
    kit_process_kill(w2); /* now nobody is left */
    kit_broker_wait_ready(b, 0);
    struct kit_process *w3 = share_start_worker(b, "w3");
    assert_int_equal(fault_answers_by(socks, QUEUE, "w3"), QUEUE);
    assert_int_equal(kit_counters(b, "web").accepted, 0);
    kit_worker_stop(w3);
    share_finish(b);
}

/* A stopped process does not swallow the wake-ups of others. */
static void a_stopped_worker_keeps_nobody_waiting(void **state)
{
    struct kit_broker *b = share_start("web=[::]:0,mode=share");
    struct kit_process *w1 = share_start_worker(b, "w1"), *w2 = share_start_worker(b, "w2");
    struct kit_load_result r;

    (void)state;
    kit_process_stop(w1);
    kit_load_run(&(struct kit_load_options){ .port = kit_broker_port(b, "web"), .total = 200, .concurrency = 1 }, &r);
    kit_load_check_all_answered(&r, 200);
    assert_int_equal(kit_load_by_worker(&r, "w2"), 200);
    kit_process_go_on(w1);
    kit_worker_stop(w1);
    kit_worker_stop(w2);
    share_finish(b);
}

/* What is stopped with no connection in its hands can be killed, and nobody notices. */
static bool has_empty_hands(struct kit_process *w, unsigned idle_fds)
{
    return kit_count_fds(w->pid) == idle_fds;
}

static void workers_killed_under_load_lose_nothing(void **state)
{
    unsigned total = 6000 * kit_scale();
    struct kit_broker *b = share_start("web=[::]:0,mode=share");
    struct kit_process *w[3];
    static const char *const names[] = { "w1", "w2", "w3" };
    struct kit_load_result r;
    unsigned kills = 0, done = 0;

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        w[i] = share_start_worker(b, names[i]);
    unsigned idle_fds = kit_count_fds(w[0]->pid);
    struct kit_load *load =
        kit_load_start(&(struct kit_load_options){ .port = kit_broker_port(b, "web"), .total = total, .per_second = 4000 });
    while (!kit_load_is_over(load)) {
        unsigned i = kills % 3;

        kit_process_stop(w[i]);
        if (!has_empty_hands(w[i], idle_fds)) {
            kit_process_go_on(w[i]);
            continue;
        }
        kit_process_kill(w[i]);
        w[i] = kit_worker_start(b, names[i], "accept", NULL);
        kills++;
        done = kit_load_done(load) + 200;
        while (kit_load_done(load) < done && !kit_load_is_over(load))
            kit_pause(2);
    }
    kit_load_finish(load, &r);
    printf("%u workers killed\n", kills);
    kit_load_print("share", &r);
    kit_load_check_all_answered(&r, total);
    assert_true(kills > 2);
    for (unsigned i = 0; i < 3; i++)
        kit_worker_stop(w[i]);
    share_finish(b);
}

/* ---- several sockets ---- */

/* One socket for each family, on one port; everything works as with one. */
static void check_pair(const char *endpoint)
{
    struct kit_broker *b = share_start(endpoint);
    struct kit_process *w1 = share_start_worker(b, "w1"), *w2 = share_start_worker(b, "w2");
    uint16_t port = kit_broker_port(b, "web");
    struct kit_load_result r;

    kit_process_wait_log(w1, "got web 1 of 2 as ");
    kit_load_run(&(struct kit_load_options){ .port = port, .total = 200 }, &r);
    kit_load_check_all_answered(&r, 200);
    assert_int_equal(r.ipv4, 100);
    assert_int_equal(kit_counters(b, "web").accepted, 0);
    kit_worker_stop(w1);
    kit_worker_stop(w2);
    share_finish(b);
}

static void two_addresses_are_two_sockets(void **state)
{
    (void)state;
    check_pair("web=127.0.0.1:0+[::1]:0,mode=share");
}

static void split_is_a_socket_for_each_family_on_one_port(void **state)
{
    (void)state;
    check_pair("web=[::]:0,mode=share,family=split");
}

static void a_split_endpoint_opens_both_sockets_or_none(void **state)
{
    (void)state;
    share_check_all_or_nothing("share", AF_INET);
    share_check_all_or_nothing("share", AF_INET6);
}

/* ---- changes while it runs ---- */

static void a_change_of_mode_keeps_socket_and_queue(void **state)
{
    struct kit_config c;
    sockbroker_socket socks[QUEUE];

    (void)state;
    kit_config_open(&c, "endpoint web { address = \"[::]:0\"\n mode = share }\n");
    struct kit_broker *b = kit_broker_start(&(struct kit_start){ .args = { "--config", c.path } });
    uint16_t port = kit_broker_port(b, "web");

    fault_connect_many(port, socks, QUEUE); /* with nobody there they wait in the kernel */
    assert_int_equal(kit_counters(b, "web").accepted, 0);
    kit_config_write(&c, "endpoint web { address = \"[::]:0\"\n hold_max = 5 }\n");
    kit_broker_reload(b, "event=reloaded");
    fault_wait_held(b, 5);
    assert_int_equal(kit_counters(b, "web").accepted, 5);
    kit_config_write(&c, "endpoint web { address = \"[::]:0\"\n mode = share }\n");
    kit_broker_reload(b, "event=reloaded"); /* 5 in the broker's hands, 15 in the kernel's */
    struct kit_process *w1 = share_start_worker(b, "w1");
    assert_int_equal(fault_answers_by(socks, QUEUE, "w1"), QUEUE);
    kit_broker_wait_settled(b);
    assert_int_equal(kit_counters(b, "web").acked, 5);
    kit_config_write(&c, "endpoint web { address = \"[::]:0\" }\n");
    kit_broker_reload(b, "event=reloaded"); /* w1 still has the socket, and accepts as well */
    fault_check_serves(b, 100);
    assert_int_equal(kit_broker_port(b, "web"), port);
    kit_worker_stop(w1);
    struct kit_process *w2 = kit_worker_start(b, "w2", "hello", NULL);
    fault_check_serves(b, 20);
    kit_worker_stop(w2);
    kit_broker_wait_ready(b, 0);
    kit_broker_stop(b);
    kit_config_close(&c);
}

static void an_endpoint_removed_under_load_leaves_nobody_without_answer(void **state)
{
    (void)state;
    share_check_removal("share");
}

/* They have the socket: what they accept from it needs no broker. */
static void workers_go_on_when_the_broker_has_ended(void **state)
{
    struct kit_broker *b = share_start("web=[::]:0,mode=share");
    struct kit_process *w1 = share_start_worker(b, "w1");
    uint16_t port = kit_broker_port(b, "web");
    struct kit_load_result r;

    (void)state;
    struct kit_load *load = kit_load_start(&(struct kit_load_options){ .port = port, .total = 2000, .per_second = 4000 });
    kit_load_wait(load, 200);
    kit_process_ask_end(b->process);
    assert_int_equal(kit_process_wait(b->process), 0);
    kit_load_finish(load, &r);
    kit_load_check_all_answered(&r, 2000);
    kit_worker_stop(w1);
    kit_broker_free(b);
}

/* ---- the sample ---- */

static void the_sample_greets(void **state)
{
    (void)state;
    share_check_sample("web=[::]:0,mode=share");
    share_check_sample("web=[::]:0,mode=share,family=split");
}

static void the_sample_needs_an_endpoint_with_sockets(void **state)
{
    struct kit_broker *b = share_start("web=[::]:0");
    struct kit_process *w =
        kit_process_start("w1", SB_SHARE_WORKER_EXE, &(struct kit_start){ .args = { "--dir", b->dir, "--endpoint", "web" } });

    (void)state;
    assert_int_equal(kit_process_wait(w), 1);
    kit_process_wait_log(w, "share_worker: endpoint \"web\" has mode = handoff: its connections come by next();");
    kit_process_free(w);
    share_finish(b);
}

/* ---- nothing is left behind ---- */

static void dead_workers_leave_no_descriptor_behind(void **state)
{
    (void)state;
    share_check_no_leak("web=[::]:0,mode=share");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(workers_serve_both_families),
        TEST(info_says_what_the_socket_is),
        TEST(each_refusal_says_which_fact_it_was),
        TEST(configurations_that_cannot_be_are_refused),
        TEST(a_killed_worker_takes_no_queue_with_it),
        TEST(a_stopped_worker_keeps_nobody_waiting),
        TEST(workers_killed_under_load_lose_nothing),
        TEST(two_addresses_are_two_sockets),
        TEST(split_is_a_socket_for_each_family_on_one_port),
        TEST(a_split_endpoint_opens_both_sockets_or_none),
        TEST(a_change_of_mode_keeps_socket_and_queue),
        TEST(an_endpoint_removed_under_load_leaves_nobody_without_answer),
        TEST(workers_go_on_when_the_broker_has_ended),
        TEST(the_sample_greets),
        TEST(the_sample_needs_an_endpoint_with_sockets),
        TEST(dead_workers_leave_no_descriptor_behind),
    };

    return kit_main(tests, argc, argv);
}
