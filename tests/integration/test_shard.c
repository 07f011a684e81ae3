/* mode = shard: each worker has a listening socket of its own, the broker steers clients to it, and takes its queue over when
 * the worker does not accept any more. */
#include <errno.h>
#include <linux/filter.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/steer.h"
#include "client-lib/link.h"
#include "proto/socket.h"
#include "sockbroker/addr.h"
#include "tests/support/fault.h"
#include "tests/support/format.h"

#define QUEUE 20
#define N_WORKERS 4
#define NEVER_MS "3600000"

static const char *const names[] = { "w1", "w2", "w3", "w4", "w5", "w6", "w7", "w8" };

static struct kit_broker *start_broker(const char *more)
{
    char endpoint[128];

    format_text(endpoint, sizeof(endpoint), "web=[::]:0,mode=shard%s", more);
    return kit_broker_start(&(struct kit_start){ .args = { "--endpoint", endpoint } });
}

/* Ready, with its socket, and new clients are steered to it: the broker counts what it has given before it steers. */
static struct kit_process *start_weighted(struct kit_broker *b, const char *name, const char *weight)
{
    uint64_t granted = kit_counters(b, "web").granted;
    struct kit_process *w = kit_worker_start(b, name, "accept", &(struct kit_start){ .args = { "--weight", weight } });

    kit_broker_wait_worker(b, name, "ready");
    kit_until(kit_counters(b, "web").granted > granted);
    return w;
}

static struct kit_process *start_worker(struct kit_broker *b, const char *name)
{
    return start_weighted(b, name, "1");
}

static void stop_process(struct kit_process *w)
{
    kit_process_stop(w);
}

static void finish(struct kit_broker *b)
{
    kit_broker_wait_ready(b, 0);
    kit_broker_wait_idle_fds(b);
    kit_broker_stop(b);
}

static void load(struct kit_broker *b, unsigned total, struct kit_load_result *r)
{
    kit_load_run(&(struct kit_load_options){ .port = kit_broker_port(b, "web"), .total = total }, r);
    kit_load_check_all_answered(r, total);
}

/* ---- who gets what ---- */

/* Each client draws on its own: within six standard deviations, one failure in 500 million runs. */
static void check_shares(const struct kit_load_result *r, const unsigned *weights, unsigned n_workers, unsigned total)
{
    unsigned sum = 0;

    for (unsigned i = 0; i < n_workers; i++)
        sum += weights[i];
    for (unsigned i = 0; i < n_workers; i++) {
        double p = (double)weights[i] / sum, expected = total * p, spread = 6 * sqrt(total * p * (1 - p));
        unsigned n = kit_load_by_worker(r, names[i]);

        if (n < expected - spread || n > expected + spread)
            kit_fail("%s got %u of %u; %.0f +- %.0f expected", names[i], n, total, expected, spread);
    }
}

static void run_shares(const char *more, const unsigned *weights, unsigned n_workers)
{
    struct kit_broker *b = start_broker(more);
    struct kit_process *w[8];
    struct kit_load_result r;
    char weight[8];

    for (unsigned i = 0; i < n_workers; i++) {
        format_text(weight, sizeof(weight), "%u", weights[i]);
        w[i] = start_weighted(b, names[i], weight);
    }
    load(b, 4000, &r);
    assert_int_equal(r.ipv4, 2000);
    check_shares(&r, weights, n_workers, 4000);
    assert_int_equal(kit_counters(b, "web").accepted, 0);
    assert_int_equal(kit_counters(b, "web").granted, n_workers);
    for (unsigned i = 0; i < n_workers; i++)
        kit_worker_stop(w[i]);
    finish(b);
}

static void clients_are_divided_evenly(void **state)
{
    (void)state;
    run_shares("", (const unsigned[]){ 1, 1, 1, 1, 1, 1, 1, 1 }, 8);
}

static void clients_are_divided_by_weight(void **state)
{
    (void)state;
    run_shares("", (const unsigned[]){ 1, 2, 5 }, 3);
}

static void split_has_a_group_for_each_family(void **state)
{
    struct kit_broker *b = start_broker(",family=split");
    struct kit_process *w1 = start_worker(b, "w1"), *w2 = start_worker(b, "w2");
    struct kit_load_result r;

    (void)state;
    kit_process_wait_log(w1, "got web 1 of 2 as ");
    kit_process_wait_log(w2, "got web 1 of 2 as ");
    load(b, 1000, &r);
    assert_int_equal(r.ipv4, 500);
    check_shares(&r, (const unsigned[]){ 1, 1 }, 2, 1000);
    assert_int_equal(kit_counters(b, "web").granted, 4);
    kit_worker_stop(w1);
    kit_worker_stop(w2);
    finish(b);
}

/* Slots are given in order, so each client's worker can be told beforehand. */
static void check_plan(uint16_t port, unsigned n_workers)
{
    const uint32_t weights[16] = { n_workers > 0, n_workers > 1, n_workers > 2, n_workers > 3 };
    struct sb_steering how = { SB_STEER_SOURCE_HASH, weights, 16, 0 };
    struct sb_steer_plan plan;
    struct sockbroker_addr client;
    struct kit_answer a;
    char from[32];

    sb_steer_plan_make(&how, &plan);
    for (unsigned i = 0; i < 64; i++) {
        format_text(from, sizeof(from), "127.0.1.%u", i + 1);
        assert_int_equal(sockbroker_addr_parse_ip(from, &client, NULL), SOCKBROKER_OK);
        kit_read_only_answer(kit_connect(from, "127.0.0.1", port), &a);
        assert_string_equal(a.worker, names[sb_steer_slot_of(&plan, &client)]);
    }
}

static void source_hash_sends_each_client_where_the_plan_says(void **state)
{
    struct kit_broker *b = start_broker(",policy=source-hash");
    struct kit_process *w[N_WORKERS];
    uint16_t port = kit_broker_port(b, "web");

    (void)state;
    for (unsigned i = 0; i < N_WORKERS; i++) {
        w[i] = start_worker(b, names[i]);
        check_plan(port, i + 1);
    }
    kit_worker_stop(w[3]);
    kit_broker_wait_ready(b, 3);
    check_plan(port, 3);
    for (unsigned i = 0; i < 3; i++)
        kit_worker_stop(w[i]);
    finish(b);
}

static void a_change_of_policy_steers_anew(void **state)
{
    struct kit_config c;
    struct kit_load_result r;

    (void)state;
    kit_config_open(&c, "endpoint web { address = \"[::]:0\"\n mode = shard }\n");
    struct kit_broker *b = kit_broker_start(&(struct kit_start){ .args = { "--config", c.path } });
    struct kit_process *w1 = start_worker(b, "w1"), *w2 = start_worker(b, "w2");
    uint16_t port = kit_broker_port(b, "web");

    kit_config_write(&c, "endpoint web { address = \"[::]:0\"\n mode = shard\n policy = source-hash }\n");
    kit_broker_reload(b, "event=reloaded");
    check_plan(port, 2);
    kit_config_write(&c, "endpoint web { address = \"[::]:0\"\n mode = shard\n policy = round-robin\n backlog = 77 }\n");
    kit_broker_reload(b, "event=reloaded");
    load(b, 1000, &r);
    check_shares(&r, (const unsigned[]){ 1, 1 }, 2, 1000);
    int sock = kit_worker_borrow(w1, "web", 0);
    struct tcp_info info;
    getsockopt(sock, IPPROTO_TCP, TCP_INFO, &info, &(socklen_t){ sizeof(info) });
    assert_int_equal(info.tcpi_sacked, 77); /* of a listening socket: its backlog */
    close(sock);
    assert_int_equal(kit_counters(b, "web").repaired, 0);
    kit_worker_stop(w1);
    kit_worker_stop(w2);
    finish(b);
    kit_config_close(&c);
}

static void a_change_that_a_group_cannot_make_is_refused(void **state)
{
    static const char *const changes[] = {
        "endpoint web { address = \"[::]:0\"\n mode = share }\n",
        "endpoint web { address = \"[::]:0\" }\n",
        "endpoint web { address = \"[::]:0\"\n mode = shard\n slots = 17 }\n",
        "endpoint web { address = \"127.0.0.1:0\"\n mode = shard }\n",
        "endpoint web { address = \"[::]:0\"\n mode = shard\n family = split }\n",
    };
    struct kit_config c;

    (void)state;
    kit_config_open(&c, "endpoint web { address = \"[::]:0\"\n mode = shard }\n");
    struct kit_broker *b = kit_broker_start(&(struct kit_start){ .args = { "--config", c.path } });
    struct kit_process *w1 = start_worker(b, "w1");

    for (unsigned i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        kit_config_write(&c, changes[i]);
        kit_broker_reload(b, "event=reload_failed");
        fault_check_serves(b, 10);
    }
    kit_broker_wait_log(b, "cause=\"endpoint web: the addresses, slots and mode of a shard cannot change while it runs; give");
    assert_int_equal(kit_counters(b, "web").accepted, 0);
    kit_worker_stop(w1);
    finish(b);
    kit_config_close(&c);
}

static void status_shows_the_group_as_one_endpoint(void **state)
{
    struct kit_broker *b = start_broker(",slots=5");
    struct sb_status_report r;

    (void)state;
    kit_status(b, &r);
    assert_int_equal(r.n_endpoints, 1);
    assert_string_equal(r.endpoints[0].mode, "shard");
    assert_string_equal(r.endpoints[0].protocol, "tcp");
    assert_int_equal(r.endpoints[0].slots, 5);
    assert_int_equal(r.endpoints[0].n_addresses, 1);
    sb_status_report_deinit(&r);
    assert_int_equal(kit_process_count_log(b->process, "event=listening"), 1);
    finish(b);
}

/* ---- queues of workers that do not accept any more ---- */

/* All of them in the queue of this one, which is the only one. */
static void queue_at(struct kit_broker *b, struct kit_process *w, int socks[QUEUE])
{
    stop_process(w);
    fault_connect_many(kit_broker_port(b, "web"), socks, QUEUE);
    assert_int_equal(kit_counters(b, "web").accepted, 0);
}

static void the_queue_of_a_killed_worker_goes_to_others(void **state)
{
    struct kit_broker *b = start_broker(",withdraw_after_ms=" NEVER_MS);
    struct kit_process *w1 = start_worker(b, "w1");
    int socks[QUEUE];

    (void)state;
    queue_at(b, w1, socks);
    struct kit_process *w2 = start_worker(b, "w2");
    kit_process_kill(w1);
    assert_int_equal(fault_answers_by(socks, QUEUE, "w2"), QUEUE);
    kit_broker_wait_settled(b);
    assert_int_equal(kit_counters(b, "web").accepted, QUEUE);
    assert_int_equal(kit_counters(b, "web").acked, QUEUE);
    kit_worker_stop(w2);
    finish(b);
}

/* The contrast: the same without a broker. The kernel can be told to move such queues (tcp_migrate_req); it is not, by default.
 */
static void plain_reuseport_loses_the_queue_of_a_killed_worker(void **state)
{
    struct kit_process *w1 = kit_process_start("naive1", SB_NAIVE_EXE, &(struct kit_start){ .args = { "0" } });
    unsigned port;
    char text[16];
    int socks[QUEUE];

    (void)state;
    assert_int_equal(sscanf(kit_process_wait_log(w1, "ready "), "ready %u", &port), 1);
    kit_process_wait_log(w1, "\n");
    stop_process(w1);
    fault_connect_many((uint16_t)port, socks, QUEUE);
    format_text(text, sizeof(text), "%u", port);
    struct kit_process *w2 = kit_process_start("naive2", SB_NAIVE_EXE, &(struct kit_start){ .args = { text } });
    kit_process_wait_log(w2, "ready ");
    kit_process_kill(w1);
    for (unsigned i = 0; i < QUEUE; i++)
        assert_true(fault_ends_reset(&socks[i]));
    kit_process_kill(w2);
}

static void the_queue_of_a_drained_worker_goes_to_others(void **state)
{
    struct kit_broker *b = start_broker(",withdraw_after_ms=" NEVER_MS);
    struct kit_process *w1 = start_worker(b, "w1");
    int socks[QUEUE];

    (void)state;
    queue_at(b, w1, socks);
    struct kit_process *w2 = start_worker(b, "w2");
    assert_int_equal(kit_run((const char *[]){ "drain", "w1", "--dir", b->dir, NULL }, NULL, 0), 0);
    assert_int_equal(fault_answers_by(socks, QUEUE, "w2"), QUEUE);
    fault_connect_many(kit_broker_port(b, "web"), socks, QUEUE);
    assert_int_equal(fault_answers_by(socks, QUEUE, "w2"), QUEUE); /* nothing new for it */
    kit_process_go_on(w1);
    kit_process_wait_log(w1, "draining");
    assert_int_equal(kit_process_wait(w1), 0);
    kit_process_free(w1);
    kit_worker_stop(w2);
    finish(b);
}

static void the_queue_of_a_stuck_worker_goes_to_others_until_it_is_back(void **state)
{
    struct kit_broker *b = start_broker(",withdraw_after_ms=500");
    struct kit_process *w1 = start_worker(b, "w1");
    int socks[QUEUE];

    (void)state;
    queue_at(b, w1, socks);
    struct kit_process *w2 = start_worker(b, "w2");
    assert_int_equal(fault_answers_by(socks, QUEUE, "w2"), QUEUE);
    kit_broker_wait_log(b, "event=worker_stuck worker=w1");
    kit_broker_wait_worker(b, "w1", "stuck");
    fault_connect_many(kit_broker_port(b, "web"), socks, QUEUE);
    assert_int_equal(fault_answers_by(socks, QUEUE, "w2"), QUEUE);
    kit_process_go_on(w1);
    kit_broker_wait_worker(b, "w1", "ready");
    kit_worker_stop(w2);
    kit_broker_wait_worker(b, "w2", "gone");
    uint64_t accepted = kit_counters(b, "web").accepted;
    fault_connect_many(kit_broker_port(b, "web"), socks, QUEUE);
    assert_int_equal(fault_answers_by(socks, QUEUE, "w1"), QUEUE);
    assert_int_equal(kit_counters(b, "web").accepted, accepted); /* from its own socket */
    kit_worker_stop(w1);
    finish(b);
}

/* A worker that answers the broker's question is only busy: its queue stays its own. */
static void a_busy_worker_keeps_its_queue(void **state)
{
    struct kit_broker *b = start_broker(",withdraw_after_ms=500");
    struct kit_process *w1 = kit_worker_start(b, "w1", "none", NULL);
    int socks[QUEUE];

    (void)state;
    kit_broker_wait_ready(b, 1);
    kit_process_tell(w1, "fetch web 0"); /* and never accepts; but it takes what the broker sends */
    kit_process_tell(w1, "take 1");
    kit_process_wait_log(w1, "got web 0 of 1 as ");
    kit_until(kit_counters(b, "web").granted == 1);
    fault_connect_many(kit_broker_port(b, "web"), socks, QUEUE);
    uint64_t end_ms = kit_now_ms() + 2000; /* asked after 500 ms, it would be taken for stuck after 1000 */
    while (kit_now_ms() < end_ms)
        assert_string_equal(kit_worker_status(b, "w1").state, "ready");
    assert_int_equal(kit_counters(b, "web").accepted, 0);
    kit_process_kill(w1);
    struct kit_process *w2 = start_worker(b, "w2");
    assert_int_equal(fault_answers_by(socks, QUEUE, "w2"), QUEUE);
    kit_worker_stop(w2);
    finish(b);
}

static void without_a_worker_clients_are_held_and_then_served(void **state)
{
    struct kit_broker *b = start_broker("");
    int socks[QUEUE];

    (void)state;
    fault_connect_many(kit_broker_port(b, "web"), socks, QUEUE);
    fault_wait_held(b, QUEUE);
    struct kit_process *w1 = start_worker(b, "w1");
    assert_int_equal(fault_answers_by(socks, QUEUE, "w1"), QUEUE);
    kit_broker_wait_settled(b);
    assert_int_equal(kit_counters(b, "web").acked, QUEUE);
    fault_check_serves(b, 50);
    assert_int_equal(kit_counters(b, "web").accepted, QUEUE);
    kit_worker_stop(w1);
    finish(b);
}

/* It serves by next() alone. */
static void a_worker_that_never_asks_for_a_socket_is_handed_everything(void **state)
{
    struct kit_broker *b = start_broker("");
    struct kit_process *w = kit_worker_start(b, "w1", "hello", NULL);
    struct kit_load_result r;

    (void)state;
    kit_broker_wait_ready(b, 1);
    load(b, 500, &r);
    assert_int_equal(kit_counters(b, "web").acked, 500);
    kit_worker_stop(w);
    finish(b);
}

/* ---- slots ---- */

static void more_workers_than_slots_are_told_so_and_get_freed_ones(void **state)
{
    struct kit_broker *b = start_broker(",slots=2");
    struct kit_process *w1 = start_worker(b, "w1"), *w2 = start_worker(b, "w2");
    struct kit_process *w3 = kit_worker_start(b, "w3", "accept", NULL);
    struct kit_load_result r;

    (void)state;
    kit_process_wait_log(w3, "not got web 0: BUSY: all 2 slots of endpoint \"web\" are taken; raise slots");
    load(b, 200, &r);
    assert_int_equal(kit_load_by_worker(&r, "w3"), 0);
    kit_process_kill(w1);
    kit_broker_wait_worker(b, "w1", "gone");
    kit_process_tell(w3, "fetch web 0");
    kit_process_wait_log(w3, "\ngot web 0 of 1 as ");
    kit_until(kit_counters(b, "web").granted == 3);
    load(b, 1000, &r);
    assert_in_range(kit_load_by_worker(&r, "w3"), 405, 595); /* six standard deviations */
    assert_int_equal(kit_counters(b, "web").accepted, 0);
    kit_worker_stop(w2);
    kit_worker_stop(w3);
    finish(b);
}

/* Asked for and never fetched: it keeps the slot for attach_ms. */
static void a_slot_that_is_never_fetched_is_free_again(void **state)
{
    struct kit_config c;
    struct fault_raw r = FAULT_RAW_NONE;
    struct sb_request request = { .kind = SB_REQUEST_SHARE };

    (void)state;
    kit_config_open(&c, "attach_ms = 300\nendpoint web { address = \"[::]:0\"\n mode = shard\n slots = 1 }\n");
    struct kit_broker *b = kit_broker_start(&(struct kit_start){ .args = { "--config", c.path } });
    fault_raw_start(&r, b, "raw", 4);
    request.as.share.session = r.attached.session;
    format_text(request.as.share.endpoint, sizeof(request.as.share.endpoint), "web");
    assert_int_equal(sb_client_call(r.client, &request, SB_REPLY_GRANTED, KIT_WAIT_MS, &r.reply, NULL), SOCKBROKER_OK);
    struct kit_process *w1 = kit_worker_start(b, "w1", "none", NULL);
    kit_process_tell(w1, "fetch web 0");
    kit_process_wait_log(w1, "got web 0: BUSY");
    for (unsigned tries = 1; !kit_process_has_log(w1, "got web 0 of 1 as "); tries++) {
        kit_process_tell(w1, "fetch web 0");
        kit_until(kit_process_count_log(w1, "got web 0") > tries);
    }
    assert_int_equal(kit_counters(b, "web").granted, 1);
    fault_raw_close(&r);
    kit_worker_stop(w1);
    finish(b);
    kit_config_close(&c);
}

/* ---- a worker does something to its socket ---- */

/* It loses what was in its own queue, for the kernel resets that; another's queue stays, and both serve on. */
static void a_worker_that_shuts_its_socket_down_hurts_nobody_else(void **state)
{
    struct kit_broker *b = start_broker(",withdraw_after_ms=" NEVER_MS);
    struct kit_process *w2 = start_worker(b, "w2"); /* slot 0 */
    struct kit_load_result r;
    int socks[QUEUE];

    (void)state;
    queue_at(b, w2, socks);
    struct kit_process *w1 = start_worker(b, "w1");
    int sock = kit_worker_borrow(w1, "web", 0);
    for (uint64_t i = 1; i <= 3; i++) {
        assert_int_equal(shutdown(sock, SHUT_RDWR), 0);
        kit_until(kit_counters(b, "web").repaired == i);
    }
    kit_broker_wait_log(
        b, "event=listener_repaired endpoint=web slot=1 cause=\"shut down or connected\" by=\"w1\" result=listens");
    kit_process_go_on(w2);
    assert_int_equal(fault_answers_by(socks, QUEUE, "w2"), QUEUE);
    load(b, 1000, &r);
    assert_in_range(kit_load_by_worker(&r, "w1"), 405, 595);
    assert_int_equal(kit_counters(b, "web").accepted, 0);
    close(sock);
    kit_worker_stop(w1);
    kit_worker_stop(w2);
    finish(b);
}

static void what_a_worker_changes_is_put_back_and_told(void **state)
{
    struct kit_broker *b = start_broker("");
    struct kit_process *w1 = start_worker(b, "w1"), *w2 = start_worker(b, "w2");
    int sock = kit_worker_borrow(w1, "web", 0);
    struct linger reset = { 1, 0 };
    socklen_t len = sizeof(reset);

    (void)state;
    assert_int_equal(setsockopt(sock, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
    kit_until(kit_counters(b, "web").repaired == 1);
    kit_broker_wait_log(b, "event=listener_repaired endpoint=web cause=\"SO_LINGER\" by=\"w1\"");
    assert_int_equal(getsockopt(sock, SOL_SOCKET, SO_LINGER, &reset, &len), 0);
    assert_int_equal(reset.l_onoff, 0);
    assert_int_equal(listen(sock, 1), 0);
    kit_until(kit_counters(b, "web").repaired == 2);
    kit_broker_wait_log(b, "event=listener_repaired endpoint=web cause=\"backlog\" by=\"w1\"");
    fault_check_serves(b, 100);
    close(sock);
    kit_worker_stop(w1);
    kit_worker_stop(w2);
    finish(b);
}

/* The broker accepts from it now, and must not wait there. */
static void a_dead_worker_that_made_its_socket_blocking_does_not_block_the_broker(void **state)
{
    struct kit_broker *b = start_broker(",withdraw_after_ms=" NEVER_MS);
    struct kit_process *w1 = start_worker(b, "w1");
    int socks[QUEUE];

    (void)state;
    queue_at(b, w1, socks);
    struct kit_process *w2 = kit_worker_start(b, "w2", "hello", NULL); /* has no socket: all comes by the broker */
    kit_broker_wait_ready(b, 2);
    int sock = kit_worker_borrow(w1, "web", 0);
    assert_int_equal(sb_socket_set_nonblocking(sock, false), SOCKBROKER_OK);
    kit_process_kill(w1);
    assert_int_equal(fault_answers_by(socks, QUEUE, "w2"), QUEUE);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(sb_socket_set_nonblocking(sock, false), SOCKBROKER_OK); /* somebody has it still */
        fault_check_serves(b, 10);
    }
    close(sock);
    kit_worker_stop(w2);
    finish(b);
}

/* Shut down, with a program of the worker's own attached, it listens never again (shard_group.h). Its worker is stopped, so the
 * broker was accepting from it: that one must leave epoll whole. */
static void a_socket_that_cannot_listen_again_is_replaced(void **state)
{
    struct kit_broker *b = start_broker(",withdraw_after_ms=500");
    struct kit_process *w1 = start_worker(b, "w1"), *w2 = start_worker(b, "w2");
    struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog program = { 1, &nothing };
    struct kit_load_result r;
    int socks[QUEUE];

    (void)state;
    stop_process(w1);
    fault_connect_many(kit_broker_port(b, "web"), socks, QUEUE);
    assert_int_equal(fault_answers_by(socks, QUEUE, "w2"), QUEUE);
    kit_broker_wait_worker(b, "w1", "stuck"); /* the odds that nothing of it was in its queue are one in a million */
    int sock = kit_worker_borrow(w1, "web", 0);
    kit_process_stop(b->process);
    assert_int_equal(shutdown(sock, SHUT_RDWR), 0);
    assert_int_equal(setsockopt(sock, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program)), 0);
    kit_process_go_on(b->process);
    kit_broker_wait_log(b, "slot=0 cause=\"shut down or connected\" by=\"w1\" result=replaced");
    fault_check_idle(b->process->pid, 300, 0.3);
    load(b, 200, &r);
    kit_process_go_on(w1);
    kit_process_wait_log(w1, "draining");
    assert_int_equal(kit_process_wait(w1), 0);
    kit_process_free(w1);
    w1 = start_worker(b, "w1");
    load(b, 1000, &r);
    assert_in_range(kit_load_by_worker(&r, "w1"), 405, 595);
    close(sock);
    kit_worker_stop(w1);
    kit_worker_stop(w2);
    finish(b);
}

/* ---- under load ---- */

static bool has_empty_hands(struct kit_process *w, unsigned idle_fds)
{
    return kit_count_fds(w->pid) == idle_fds;
}

/* Killed at any moment in which it has no connection in its hands: whatever waits in its queue, nobody notices. */
static void workers_killed_under_load_lose_nothing(void **state)
{
    unsigned total = 10000 * kit_scale(), kills = 0;
    struct kit_broker *b = start_broker(",withdraw_after_ms=200");
    struct kit_process *w[N_WORKERS];
    struct kit_load_result r;

    (void)state;
    for (unsigned i = 0; i < N_WORKERS; i++)
        w[i] = start_worker(b, names[i]);
    unsigned idle_fds = kit_count_fds(w[0]->pid);
    struct kit_load *l =
        kit_load_start(&(struct kit_load_options){ .port = kit_broker_port(b, "web"), .total = total, .per_second = 4000 });
    while (!kit_load_is_over(l)) {
        struct kit_process **victim = &w[kills % N_WORKERS];

        stop_process(*victim);
        if (!has_empty_hands(*victim, idle_fds)) {
            kit_process_go_on(*victim);
            continue;
        }
        unsigned done = kit_load_done(l) + 100;
        while (kit_load_done(l) < done && !kit_load_is_over(l)) /* some more come to its queue */
            kit_pause(1);
        kit_process_kill(*victim);
        *victim = kit_worker_start(b, names[kills % N_WORKERS], "accept", NULL);
        kills++;
    }
    kit_load_finish(l, &r);
    struct sb_endpoint_counters c = kit_counters(b, "web");
    printf("%u workers killed, %llu connections taken over\n", kills, (unsigned long long)c.accepted);
    kit_load_print("shard", &r);
    kit_load_check_all_answered(&r, total);
    assert_true(kills > 2);
    assert_true(c.accepted > 0);
    assert_int_equal(c.in_doubt + c.refused, 0);
    for (unsigned i = 0; i < N_WORKERS; i++)
        kit_worker_stop(w[i]);
    finish(b);
}

/* Anybody's queue may be reset by the kernel when its own worker shuts it down; whose was not, is served. */
static void shutting_sockets_down_under_load_resets_no_others(void **state)
{
    enum { TOTAL = 4000 };
    struct kit_broker *b = start_broker("");
    struct kit_process *w[N_WORKERS];
    struct kit_load_result r;
    unsigned n = 0;

    (void)state;
    for (unsigned i = 0; i < N_WORKERS; i++)
        w[i] = start_worker(b, names[i]);
    int sock = kit_worker_borrow(w[0], "web", 0);
    struct kit_load *l = kit_load_start(
        &(struct kit_load_options){ .port = kit_broker_port(b, "web"), .total = TOTAL, .concurrency = 8, .per_second = 4000 });
    while (!kit_load_is_over(l)) {
        uint64_t before = kit_counters(b, "web").repaired;

        assert_int_equal(shutdown(sock, SHUT_RDWR), 0);
        kit_until(kit_counters(b, "web").repaired > before);
        n++;
    }
    kit_load_finish(l, &r);
    printf("%u times shut down\n", n);
    kit_load_print("shard", &r);
    assert_int_equal(r.refused + r.empty + r.wrong + r.timeout, 0);
    assert_true(r.reset <= 8 * n);
    assert_true(n > 2);
    fault_check_serves(b, 100);
    close(sock);
    for (unsigned i = 0; i < N_WORKERS; i++)
        kit_worker_stop(w[i]);
    finish(b);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(clients_are_divided_evenly),
        TEST(clients_are_divided_by_weight),
        TEST(split_has_a_group_for_each_family),
        TEST(source_hash_sends_each_client_where_the_plan_says),
        TEST(a_change_of_policy_steers_anew),
        TEST(a_change_that_a_group_cannot_make_is_refused),
        TEST(status_shows_the_group_as_one_endpoint),
        TEST(the_queue_of_a_killed_worker_goes_to_others),
        TEST(plain_reuseport_loses_the_queue_of_a_killed_worker),
        TEST(the_queue_of_a_drained_worker_goes_to_others),
        TEST(the_queue_of_a_stuck_worker_goes_to_others_until_it_is_back),
        TEST(a_busy_worker_keeps_its_queue),
        TEST(without_a_worker_clients_are_held_and_then_served),
        TEST(a_worker_that_never_asks_for_a_socket_is_handed_everything),
        TEST(more_workers_than_slots_are_told_so_and_get_freed_ones),
        TEST(a_slot_that_is_never_fetched_is_free_again),
        TEST(a_worker_that_shuts_its_socket_down_hurts_nobody_else),
        TEST(what_a_worker_changes_is_put_back_and_told),
        TEST(a_dead_worker_that_made_its_socket_blocking_does_not_block_the_broker),
        TEST(a_socket_that_cannot_listen_again_is_replaced),
        TEST(workers_killed_under_load_lose_nothing),
        TEST(shutting_sockets_down_under_load_resets_no_others),
    };

    return kit_main(tests, argc, argv);
}
