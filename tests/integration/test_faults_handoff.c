/* Faults of the hand-off and of workers: rows F1 to F22 of the list of faults. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/rundir.h"
#include "proto/socket.h"
#include "tests/support/fault.h"
#include "tests/support/format.h"

#define NEVER ",withdraw_after_ms=600000,ack_timeout_ms=600000" /* no deadline shall do what the event has to do */

static struct kit_broker *start(const char *more, const char *env, const char *setting)
{
    char endpoint[256];

    format_text(endpoint, sizeof(endpoint), "web=[::]:0%s", more);
    return kit_broker_start(&(struct kit_start){
        .args = { "--endpoint", endpoint, "--set", "attach_ms=60000", "--set", setting ? setting : "heartbeat_ms=600000" },
        .env = { env },
    });
}

#define UNHURRIED "withdraw_after_ms = 600000\n ack_timeout_ms = 600000"

static void write_deadlines(struct kit_config *f, const char *deadlines)
{
    char text[256];

    format_text(text, sizeof(text), "endpoint web { address = \"[::]:0\"\n %s }\n", deadlines);
    kit_config_write(f, text);
}

/* For deadlines that shall count only once the scene is set, or no more from then on: change_deadlines(). */
static struct kit_broker *start_with_deadlines(struct kit_config *f, const char *deadlines)
{
    kit_config_open(f, "");
    write_deadlines(f, deadlines);
    return kit_broker_start(
        &(struct kit_start){ .args = { "--config", f->path, "--set", "attach_ms=60000", "--set", "heartbeat_ms=600000" } });
}

static void change_deadlines(struct kit_broker *b, struct kit_config *f, const char *deadlines)
{
    write_deadlines(f, deadlines);
    kit_broker_reload(b, "event=reloaded");
    kit_config_close(f);
}

static struct kit_process *start_worker(struct kit_broker *b, const char *name, const char *mode, const char *env)
{
    struct kit_process *w = kit_worker_start(b, name, mode, &(struct kit_start){ .env = { env } });

    kit_broker_wait_worker(b, name, "ready");
    return w;
}

/* What every one of these ends with. */
static void finish(struct kit_broker *b, struct kit_process *w)
{
    fault_check_serves(b, 20);
    kit_broker_wait_settled(b);
    if (w)
        kit_worker_stop(w);
    kit_broker_wait_ready(b, 0);
    kit_broker_wait_idle_fds(b);
    kit_broker_stop(b);
}

/* ---- death ---- */

/* F1 */
static void unread_connections_of_a_killed_worker_are_served_by_another(void **state)
{
    struct kit_broker *b = start(NEVER, NULL, NULL);
    struct kit_process *w1 = start_worker(b, "w1", "none", NULL);
    int socks[10];

    (void)state;
    fault_connect_many(kit_broker_port(b, "web"), socks, 10);
    fault_wait_unacked(b, "w1", 10);
    kit_process_kill(w1);
    kit_broker_wait_worker(b, "w1", "gone");
    struct kit_process *w2 = start_worker(b, "w2", "hello", NULL);
    assert_int_equal(fault_answers_by(socks, 10, "w2"), 10);
    struct sb_endpoint_counters c = kit_counters(b, "web");
    assert_int_equal(c.withdrawn, 10);
    assert_int_equal(c.released, 10);
    assert_int_equal(c.in_doubt + c.refused, 0);
    finish(b, w2);
}

/* F2: the client has not sent anything, and has. Neither was read. */
static void taken_and_untouched_connection_of_a_killed_worker_is_served_by_another(void **state)
{
    fault_need_failpoints();
    (void)state;
    for (unsigned speaks = 0; speaks < 2; speaks++) {
        struct kit_broker *b = start(NEVER, NULL, NULL);
        struct kit_process *w1 = start_worker(b, "w1", "hello", "SOCKBROKER_FAILPOINTS=taken=kill");
        sockbroker_socket sock = kit_connect(NULL, "127.0.0.1", kit_broker_port(b, "web"));
        struct kit_answer a;

        if (speaks)
            assert_int_equal(send(sock, "hello", 5, 0), 5);
        assert_int_equal(kit_process_wait(w1), 128 + SIGKILL);
        kit_process_free(w1);
        struct kit_process *w2 = start_worker(b, "w2", "hello", NULL);
        kit_read_answer(sock, &a);
        assert_string_equal(a.worker, "w2");
        kit_close(&sock);
        struct sb_endpoint_counters c = kit_counters(b, "web");
        assert_int_equal(c.withdrawn, 0);
        assert_int_equal(c.released, 1);
        assert_int_equal(c.in_doubt, 0);
        finish(b, w2);
    }
}

/* F3: what order says is what the worker does to the connection before it dies. */
static void touched_connection_is_never_given_to_a_second_worker(void **state)
{
    static const char *const orders[] = { "read 3", "read 5", "write 4" };

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct kit_broker *b = start(NEVER, NULL, NULL);
        struct kit_process *raw = fault_worker_start(b, "raw", 4);
        sockbroker_socket sock = kit_connect(NULL, "::1", kit_broker_port(b, "web"));
        char bytes[8];

        assert_int_equal(send(sock, "hello", 5, 0), 5);
        kit_process_tell(raw, "take");
        kit_process_wait_log(raw, "took ");
        kit_process_tell(raw, orders[i]);
        kit_process_wait_log(raw, i < 2 ? "\nread\n" : "\nwrote\n");
        struct kit_process *w2 = start_worker(b, "w2", "hello", NULL);
        kit_process_kill(raw);
        kit_broker_wait_log(b, "event=connection_in_doubt");
        if (i == 2)
            assert_int_equal(recv(sock, bytes, 4, MSG_WAITALL), 4);
        assert_true(fault_ends_reset(&sock));
        struct sb_endpoint_counters c = kit_counters(b, "web");
        assert_int_equal(c.in_doubt, 1);
        assert_int_equal(c.released, 0);
        assert_int_equal(kit_worker_status(b, "w2").served, 0);
        finish(b, w2);
    }
}

/* F4 */
static void broker_has_let_go_of_acked_connections_when_their_worker_dies(void **state)
{
    struct kit_broker *b = start(NEVER, NULL, NULL);
    struct kit_process *w1 = start_worker(b, "w1", "hold", NULL);
    int socks[5];
    struct kit_answer a;

    (void)state;
    fault_connect_many(kit_broker_port(b, "web"), socks, 5);
    for (unsigned i = 0; i < 5; i++)
        kit_read_answer(socks[i], &a);
    fault_wait_connections(b, 0);
    kit_process_kill(w1);
    for (unsigned i = 0; i < 5; i++)
        fault_ends_reset(&socks[i]); /* one way or the other */
    kit_broker_wait_worker(b, "w1", "gone");
    struct sb_endpoint_counters c = kit_counters(b, "web");
    assert_int_equal(c.acked, 5);
    assert_int_equal(c.in_doubt + c.released, 0);
    finish(b, start_worker(b, "w2", "hello", NULL));
}

/* ---- carrier = message ---- */

/* F5 */
static void worker_serves_a_socket_whose_record_died_with_the_broker(void **state)
{
    struct kit_answer a;

    fault_need_failpoints();
    (void)state;
    struct kit_broker *b = start(",carrier=message" NEVER, "SOCKBROKER_FAILPOINTS=lose_handoff=kill", NULL);
    struct kit_process *w1 = start_worker(b, "w1", "hello", NULL);
    sockbroker_socket sock = kit_connect(NULL, "127.0.0.1", kit_broker_port(b, "web"));
    assert_int_equal(kit_process_wait(b->process), 128 + SIGKILL);
    kit_read_only_answer(sock, &a);
    assert_string_equal(a.worker, "w1");
    assert_string_equal(a.family, "ipv4");
    kit_broker_revive(b, &(struct kit_start){ .args = { "--endpoint", "web=[::]:0,carrier=message" } });
    kit_broker_wait_worker(b, "w1", "ready");
    fault_check_serves(b, 20);
    kit_worker_stop(w1);
    kit_broker_stop(b);
}

/* F6, F7 (@1: the first descriptor comes with the Welcome): of 30 connections some come in one half, or one half comes twice;
 * all are served once. */
static void message_halves_that_are_lost(const char *failpoint, unsigned n_nacked)
{
    char env[80];
    struct kit_load_result r;

    format_text(env, sizeof(env), "SOCKBROKER_FAILPOINTS=%s", failpoint);
    struct kit_broker *b = start(",carrier=message" NEVER, env, NULL);
    struct kit_process *w1 = start_worker(b, "w1", "hello", NULL);
    kit_load_run(&(struct kit_load_options){ .port = kit_broker_port(b, "web"), .total = 30, .concurrency = 10 }, &r);
    kit_load_check_all_answered(&r, 30);
    struct sb_endpoint_counters c = kit_counters(b, "web");
    assert_int_equal(c.nacked, n_nacked);
    assert_int_equal(c.released, n_nacked);
    assert_int_equal(c.acked, 30);
    assert_int_equal(c.in_doubt, 0);
    finish(b, w1);
}

static void message_whose_record_never_comes_is_given_back(void **state)
{
    fault_need_failpoints();
    (void)state;
    message_halves_that_are_lost("lose_handoff=EIO*3", 3);
}

/* F6: the socket cannot be put into its record; the worker stays and gets others. */
static void message_whose_record_cannot_be_made_goes_to_others(void **state)
{
    struct kit_load_result r;

    fault_need_failpoints();
    (void)state;
    struct kit_broker *b = start(",carrier=message" NEVER, "SOCKBROKER_FAILPOINTS=fill_record=EIO*3", NULL);
    struct kit_process *w1 = start_worker(b, "w1", "hello", NULL);
    kit_load_run(&(struct kit_load_options){ .port = kit_broker_port(b, "web"), .total = 30, .concurrency = 10 }, &r);
    kit_load_check_all_answered(&r, 30);
    struct sb_endpoint_counters c = kit_counters(b, "web");
    assert_int_equal(c.released, 3);
    assert_int_equal(c.nacked, 0);
    assert_int_equal(c.acked, 30);
    assert_int_equal(c.in_doubt, 0);
    finish(b, w1);
}

/* Comes by a new connection, says that so many Tolds have come, and takes the next. */
static const struct sb_told *told_after(struct fault_raw *r, const char *dir, uint64_t n_told)
{
    struct sb_request request = { .kind = SB_REQUEST_NEXT };
    struct sockbroker_error error;
    char path[SB_PATH_MAX];

    request.as.next.session = r->attached.session;
    request.as.next.n_told = n_told;
    sb_client_close(r->client);
    assert_int_equal(sb_client_open(sb_rundir_path(dir, SB_RUNDIR_CONTROL, path), NULL, NULL, &r->client, &error), 0);
    assert_int_equal(sb_client_call(r->client, &request, SB_REPLY_TOLD, KIT_WAIT_MS, &r->reply, &error), 0);
    return &r->reply.as.told;
}

/* F6: what the worker has not counted is told again, with the same lease; what it has counted is not. */
static void told_that_was_lost_is_told_again_and_no_other(void **state)
{
    struct kit_broker *b = start(",carrier=message" NEVER, NULL, NULL);
    struct fault_raw raw = FAULT_RAW_NONE;
    struct sockbroker_error error;
    struct sb_attach attach;
    const struct sb_told *told;

    (void)state;
    fault_raw_fill(&attach, "raw", "web", 4);
    assert_int_equal(fault_raw_attach(&raw, b->dir, &attach, &error), SOCKBROKER_OK);
    assert_int_equal(fault_raw_hello(&raw, b->dir, &error), SOCKBROKER_OK);
    int first = kit_connect(NULL, "::1", kit_broker_port(b, "web"));
    uint64_t lease = told_after(&raw, b->dir, 0)->handoffs[0].info.lease_id;
    for (int i = 0; i < 3; i++) {
        told = told_after(&raw, b->dir, 0);
        assert_int_equal(told->n_handoffs, 1);
        assert_int_equal(told->handoffs[0].info.lease_id, lease);
    }
    int second = kit_connect(NULL, "127.0.0.1", kit_broker_port(b, "web"));
    told = told_after(&raw, b->dir, 1);
    assert_int_equal(told->n_handoffs, 1);
    uint64_t other = told->handoffs[0].info.lease_id;
    assert_int_not_equal(other, lease);
    told = told_after(&raw, b->dir, 0); /* neither came */
    assert_int_equal(told->n_handoffs, 2);
    assert_int_equal(told->handoffs[0].info.lease_id, lease);
    assert_int_equal(told->handoffs[1].info.lease_id, other);
    fault_raw_close(&raw);
    close(first);
    close(second);
    finish(b, start_worker(b, "w2", "hello", NULL));
}

static void message_whose_record_comes_twice_is_served_once(void **state)
{
    fault_need_failpoints();
    (void)state;
    message_halves_that_are_lost("repeat_handoff=EIO*5", 0);
}

static void message_whose_descriptor_never_comes_is_given_back_as_missing(void **state)
{
    fault_need_failpoints();
    (void)state;
    message_halves_that_are_lost("lose_packet=EIO*3@1", 3);
}

/* F7: answers of the broker that come all the time leave room for the deadline. */
static void message_whose_descriptor_never_comes_is_given_back_under_load(void **state)
{
    struct kit_load_result r;

    fault_need_failpoints();
    (void)state;
    struct kit_broker *b = start(",carrier=message" NEVER, "SOCKBROKER_FAILPOINTS=lose_packet=EIO@21", NULL);
    struct kit_process *w1 = start_worker(b, "w1", "hello", NULL);
    kit_load_run(&(struct kit_load_options){ .port = kit_broker_port(b, "web"), .total = 1600, .per_second = 200 }, &r);
    kit_load_check_all_answered(&r, 1600);
    assert_true(kit_counters(b, "web").nacked >= 1); /* a busy machine may be late with others too */
    assert_true(r.slowest_ms < 5000);                /* the load lasts 8 s */
    finish(b, w1);
}

static void message_whose_packet_has_no_descriptor_is_refused_by_id(void **state)
{
    fault_need_failpoints();
    (void)state;
    message_halves_that_are_lost("lose_socket=EIO*3@1", 3);
}

/* F6, F10 */
static void message_settling_unknown_or_repeated_ids_changes_nothing(void **state)
{
    struct kit_broker *b = start(",carrier=message" NEVER, NULL, NULL);
    struct fault_raw raw;
    sockbroker_socket taken;
    bool kept = true;

    (void)state;
    fault_raw_start(&raw, b, "raw", 4);
    sockbroker_socket sock = kit_connect(NULL, "::1", kit_broker_port(b, "web"));
    uint64_t id = fault_raw_must_take(&raw, &taken);
    uint64_t bad = fault_broker_status(b).bad_messages;
    assert_int_equal(fault_raw_settle(&raw, UINT64_MAX, SB_VERDICT_ACK, &kept), SOCKBROKER_OK);
    assert_false(kept);
    assert_int_equal(fault_broker_status(b).bad_messages, bad + 1); /* never given to anybody */
    assert_int_equal(fault_raw_settle(&raw, id ^ 1u << 20, SB_VERDICT_ACK, &kept), SOCKBROKER_OK);
    assert_false(kept);
    assert_int_equal(kit_worker_status(b, "raw").unacked, 1);
    assert_int_equal(fault_raw_settle(&raw, id, SB_VERDICT_ACK, &kept), SOCKBROKER_OK);
    assert_true(kept);
    assert_int_equal(fault_raw_settle(&raw, id, SB_VERDICT_ACK, &kept), SOCKBROKER_OK);
    assert_true(kept); /* the answer before may have been lost on its way */
    assert_int_equal(fault_raw_settle(&raw, id, SB_VERDICT_NACK_UNUSABLE, &kept), SOCKBROKER_OK);
    assert_false(kept);
    struct sb_endpoint_counters c = kit_counters(b, "web");
    assert_int_equal(c.acked, 1);
    sb_socket_close(&taken);
    assert_false(fault_ends_reset(&sock));
    fault_raw_close(&raw);
    finish(b, start_worker(b, "w2", "hello", NULL));
}

/* ---- workers that stop or never ack ---- */

/* F8 */
static void stopped_worker_loses_what_it_has_not_read_and_comes_back(void **state)
{
    struct kit_broker *b = start(",withdraw_after_ms=100", NULL, NULL);
    struct kit_process *w1 = start_worker(b, "w1", "hello", NULL);
    int socks[6];

    (void)state;
    kit_process_stop(w1);
    fault_connect_many(kit_broker_port(b, "web"), socks, 6);
    kit_broker_wait_worker(b, "w1", "stuck");
    struct kit_process *w2 = start_worker(b, "w2", "hello", NULL);
    assert_int_equal(fault_answers_by(socks, 6, "w2"), 6);
    fault_check_serves(b, 20); /* new ones go elsewhere: nobody waits */
    assert_int_equal(kit_worker_status(b, "w1").served, 0);
    assert_int_equal(kit_counters(b, "web").in_doubt, 0);
    kit_process_go_on(w1);
    kit_broker_wait_worker(b, "w1", "ready");
    kit_worker_stop(w1);
    kit_broker_wait_worker(b, "w1", "gone");
    finish(b, w2);
}

/* F8 */
static void late_acks_of_withdrawn_leases_are_fenced(void **state)
{
    struct kit_config f;
    struct kit_broker *b = start_with_deadlines(&f, "withdraw_after_ms = 100");
    struct fault_raw raw;
    struct sb_delivery d;
    struct kit_answer a;
    sockbroker_socket none;

    (void)state;
    fault_raw_start(&raw, b, "raw", 4);
    sockbroker_socket sock = kit_connect(NULL, "::1", kit_broker_port(b, "web"));
    fault_wait_unacked(b, "raw", 1);
    uint64_t old = fault_raw_peek(&raw);
    kit_broker_wait_worker(b, "raw", "stuck");
    change_deadlines(b, &f, UNHURRIED); /* the next one keeps it */
    struct kit_process *w2 = start_worker(b, "w2", "none", NULL);
    fault_wait_unacked(b, "w2", 1);
    fault_raw_report(&raw, old, SB_VERDICT_ACK);
    fault_raw_report(&raw, old, SB_VERDICT_NACK_UNUSABLE);
    assert_int_equal(fault_raw_take(&raw, KIT_WAIT_MS, &d, &none), SOCKBROKER_OK); /* the probe */
    assert_int_equal(d.kind, SB_DELIVERY_PROBE);
    struct sb_report answer = { .probe = d.number };
    sb_xfer_send_report(raw.end, &answer);
    kit_broker_wait_worker(b, "raw", "ready");
    assert_int_equal(kit_worker_status(b, "w2").unacked, 1);
    kit_process_tell(w2, "take 1");
    kit_read_only_answer(sock, &a);
    assert_string_equal(a.worker, "w2");
    struct sb_endpoint_counters c = kit_counters(b, "web");
    assert_int_equal(c.acked, 1);
    assert_int_equal(c.nacked, 0);
    fault_raw_close(&raw);
    kit_worker_stop(w2);
    kit_broker_wait_ready(b, 0);
    finish(b, start_worker(b, "w3", "hello", NULL));
}

/* F9, with F2's end */
static void worker_that_never_acks_is_drained_and_killed(void **state)
{
    struct kit_config f;
    struct kit_broker *b = start_with_deadlines(&f, UNHURRIED);
    struct kit_process *raw = fault_worker_start(b, "raw", 2);
    int socks[2];

    (void)state;
    fault_connect_many(kit_broker_port(b, "web"), socks, 2);
    kit_process_tell(raw, "take");
    kit_process_tell(raw, "take");
    kit_until(kit_process_count_log(raw, "took ") == 2);
    change_deadlines(b, &f, "withdraw_after_ms = 100\n ack_timeout_ms = 300");
    kit_broker_wait_log(b, "event=worker_never_acks");
    kit_broker_wait_log(b, "event=worker_drains");
    kit_broker_wait_log(b, "event=worker_killed");
    assert_int_equal(kit_process_wait(raw), 128 + SIGKILL);
    kit_process_free(raw);
    struct kit_process *w2 = start_worker(b, "w2", "hello", NULL);
    assert_int_equal(fault_answers_by(socks, 2, "w2"), 2);
    assert_int_equal(kit_counters(b, "web").in_doubt, 0);
    finish(b, w2);
}

/* F9 */
static void window_that_is_full_gets_no_more(void **state)
{
    struct kit_broker *b = start(NEVER, NULL, NULL);
    struct kit_process *raw = fault_worker_start(b, "raw", 3);
    int socks[5];

    (void)state;
    fault_connect_many(kit_broker_port(b, "web"), socks, 5);
    fault_wait_unacked(b, "raw", 3);
    for (unsigned i = 0; i < 3; i++)
        kit_process_tell(raw, "take");
    kit_until(kit_process_count_log(raw, "took ") == 3);
    assert_int_equal(kit_worker_status(b, "raw").unacked, 3);
    assert_int_equal(kit_counters(b, "web").leased, 3);
    kit_process_tell(raw, "ack"); /* the last one */
    kit_process_tell(raw, "take");
    kit_until(kit_process_count_log(raw, "took ") == 4);
    assert_int_equal(kit_worker_status(b, "raw").unacked, 3);
    kit_process_kill(raw);
    struct kit_process *w2 = start_worker(b, "w2", "hello", NULL);
    fault_ends_reset(&socks[2]); /* acked: its worker is dead */
    assert_int_equal(fault_answers_by(socks, 2, "w2"), 2);
    assert_int_equal(fault_answers_by(socks + 3, 2, "w2"), 2);
    finish(b, w2);
}

/* F9 */
static void worker_that_never_acks_lives_on_without_kill_stuck(void **state)
{
    struct kit_config f;
    struct kit_broker *b = start_with_deadlines(&f, UNHURRIED "\n kill_stuck = no");
    struct kit_process *raw = fault_worker_start(b, "raw", 2);
    sockbroker_socket sock = kit_connect(NULL, "::1", kit_broker_port(b, "web"));

    (void)state;
    kit_process_tell(raw, "take");
    kit_process_wait_log(raw, "took ");
    change_deadlines(b, &f, "withdraw_after_ms = 100\n ack_timeout_ms = 100\n kill_stuck = no");
    kit_broker_wait_worker(b, "raw", "draining");
    uint64_t begin_ms = kit_now_ms(); /* the other deadline passes */
    kit_until(kit_now_ms() > begin_ms + 400);
    assert_false(kit_process_is_over(raw));
    kit_process_tell(raw, "ack");
    fault_wait_unacked(b, "raw", 0);
    kit_process_kill(raw);
    fault_ends_reset(&sock);
    finish(b, start_worker(b, "w2", "hello", NULL));
}

/* F10 */
static void acks_for_foreign_future_and_repeated_ids_release_nothing(void **state)
{
    struct kit_broker *b = start(NEVER, NULL, NULL);
    struct fault_raw one, two;
    sockbroker_socket taken_one, taken_two;
    int socks[2];

    (void)state;
    fault_raw_start(&one, b, "one", 1);
    fault_raw_start(&two, b, "two", 1);
    fault_connect_many(kit_broker_port(b, "web"), socks, 2);
    uint64_t id_one = fault_raw_must_take(&one, &taken_one);
    uint64_t id_two = fault_raw_must_take(&two, &taken_two);
    uint64_t bad = fault_broker_status(b).bad_messages;
    fault_raw_report(&one, id_two, SB_VERDICT_ACK);
    fault_raw_report(&one, id_two, SB_VERDICT_NACK_UNUSABLE);
    fault_raw_report(&one, UINT64_MAX, SB_VERDICT_ACK);
    fault_raw_report(&one, (id_one > id_two ? id_one : id_two) + (1u << 20), SB_VERDICT_ACK);
    fault_raw_report(&one, id_one, SB_VERDICT_ACK);
    fault_raw_report(&one, id_one, SB_VERDICT_ACK);
    fault_wait_unacked(b, "one", 0);
    assert_int_equal(kit_worker_status(b, "two").unacked, 1);
    kit_until(kit_counters(b, "web").acked == 1);
    assert_int_equal(fault_broker_status(b).bad_messages, bad + 4);
    fault_raw_report(&two, id_two, SB_VERDICT_ACK);
    fault_wait_unacked(b, "two", 0);
    assert_int_equal(kit_counters(b, "web").acked, 2);
    sb_socket_close(&taken_one);
    sb_socket_close(&taken_two);
    fault_ends_reset(&socks[0]);
    fault_ends_reset(&socks[1]);
    fault_raw_close(&one);
    fault_raw_close(&two);
    kit_broker_wait_ready(b, 0);
    finish(b, start_worker(b, "w2", "hello", NULL));
}

/* F10: 0 is no id, so the packet is no report. What the worker has taken it keeps: nobody else gets it while it lives. */
static void ack_for_id_0_ends_the_session(void **state)
{
    static const uint8_t zero[] = { 0x0a, 0x0b, 0x09, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0x01 };
    struct kit_broker *b = start(NEVER, NULL, NULL);
    struct fault_raw raw;
    sockbroker_socket taken;

    (void)state;
    fault_raw_start(&raw, b, "raw", 1);
    sockbroker_socket sock = kit_connect(NULL, "::1", kit_broker_port(b, "web"));
    fault_raw_must_take(&raw, &taken);
    assert_int_equal(send(raw.end, zero, sizeof(zero), 0), (int)sizeof(zero));
    assert_true(fault_raw_is_dismissed(&raw, KIT_WAIT_MS));
    kit_broker_wait_log(b, "event=bad_report");
    kit_until(kit_counters(b, "web").in_doubt == 1);
    assert_int_equal(send(taken, "mine", 4, 0), 4);
    assert_false(kit_is_silent(sock, KIT_WAIT_MS));
    sb_socket_close(&taken);
    kit_close(&sock);
    fault_raw_close(&raw);
    finish(b, start_worker(b, "w2", "hello", NULL));
}

/* ---- shortage ---- */

/* F12 */
static void pair_that_is_full_is_back_pressure(void **state)
{
    struct kit_broker *b = start(",window=1024" NEVER, NULL, NULL);
    struct kit_process *w1 = start_worker(b, "w1", "hello", NULL);
    struct kit_process *w2 = start_worker(b, "w2", "hello", NULL);
    struct kit_load_result r;

    (void)state;
    kit_process_stop(w1);
    struct kit_load *load =
        kit_load_start(&(struct kit_load_options){ .port = kit_broker_port(b, "web"), .total = 1500, .concurrency = 1200 });
    kit_broker_wait_log(b, "event=worker_blocked worker=w1");
    kit_process_halt(w2); /* now nobody can take anything */
    kit_process_wait_stopped(w2);
    kit_process_go_on(w2);
    kit_until(kit_load_done(load) > 0);
    kit_until(kit_load_done(load) + kit_worker_status(b, "w1").unacked >= 1500);
    fault_check_idle(b->process->pid, 500, 0.25); /* w1 is full and stays so */
    kit_process_go_on(w1);
    kit_load_finish(load, &r);
    kit_load_check_all_answered(&r, 1500);
    struct sb_endpoint_counters c = kit_counters(b, "web");
    assert_int_equal(c.in_doubt + c.refused, 0);
    kit_worker_stop(w1);
    finish(b, w2);
}

/* F13 */
static void worker_at_its_descriptor_limit_passes_connections_on(void **state)
{
    struct kit_broker *b = start(NEVER, NULL, NULL);
    struct kit_process *w1 = kit_worker_start(b, "w1", "hold", &(struct kit_start){ .nofile = 40 });
    struct kit_process *w2 = start_worker(b, "w2", "hold", NULL);
    struct kit_answer a;
    int socks[120];

    (void)state;
    kit_broker_wait_ready(b, 2);
    for (unsigned i = 0; i < 120; i++) { /* one by one, so that each worker has its turn */
        fault_connect_many(kit_broker_port(b, "web"), &socks[i], 1);
        kit_read_answer(socks[i], &a);
    }
    struct sb_endpoint_counters c = kit_counters(b, "web");
    assert_true(c.nacked > 0);
    assert_int_equal(c.acked, 120);
    assert_int_equal(c.in_doubt + c.refused, 0);
    for (unsigned i = 0; i < 120; i++)
        kit_close(&socks[i]);
    kit_worker_stop(w1);
    kit_worker_stop(w2);
    kit_broker_wait_ready(b, 0);
    finish(b, start_worker(b, "w3", "hello", NULL));
}

/* F14 */
static void too_many_descriptors_in_flight_only_delay(void **state)
{
    fault_need_failpoints();
    (void)state;
    struct kit_broker *b = start(NEVER, "SOCKBROKER_FAILPOINTS=send_socket=ETOOMANYREFS*40@1", NULL); /* the 1st is a Welcome */
    struct kit_process *w1 = start_worker(b, "w1", "hello", NULL);
    fault_check_serves(b, 50);
    unsigned n = kit_process_count_log(b->process, "event=worker_rests");
    assert_int_equal(n, 1); /* once a minute */
    struct sb_endpoint_counters c = kit_counters(b, "web");
    assert_int_equal(c.in_doubt + c.refused + c.released, 0);
    finish(b, w1);
}

/* F16 */
static void worker_that_may_not_get_descriptors_is_sent_away(void **state)
{
    fault_need_failpoints();
    (void)state;
    struct kit_broker *b = start(NEVER, "SOCKBROKER_FAILPOINTS=send_socket=EPERM@2", NULL); /* after two Welcomes */
    struct kit_process *w1 = start_worker(b, "w1", "hello", NULL);
    struct kit_process *w2 = start_worker(b, "w2", "hello", NULL);
    fault_check_serves(b, 50);
    kit_broker_wait_log(b, "cause=\"the system refuses to pass descriptors to it\"");
    struct sb_endpoint_counters c = kit_counters(b, "web");
    assert_int_equal(c.in_doubt + c.refused, 0);
    kit_broker_wait_ready(b, 2); /* it has attached anew */
    kit_worker_stop(w1);
    finish(b, w2);
}

/* ---- workers that misbehave ---- */

/* The result of sending n descriptors of the kind with the report. */
static int send_descriptors(int sock, int fd, unsigned n, const void *data, size_t len)
{
    static union {
        struct cmsghdr align;
        char room[CMSG_SPACE(253 * sizeof(int))];
    } control;
    struct iovec part = { (void *)(uintptr_t)data, len };
    struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.room };
    int fds[253];

    for (unsigned i = 0; i < n; i++)
        fds[i] = fd;
    m.msg_controllen = CMSG_SPACE(n * sizeof(int));
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(n * sizeof(int));
    memcpy(CMSG_DATA(c), fds, n * sizeof(int));
    return sendmsg(sock, &m, MSG_NOSIGNAL) < 0 ? errno : 0;
}

/* F17: EPERM since Linux 6.16, else the session ends; nothing stays open in the broker either way. */
static void worker_that_sends_descriptors_is_stopped(void **state)
{
    static const uint8_t finished[] = { 0x0a, 0x0b, 0x09, 1, 0, 0, 0, 0, 0, 0, 0, 0x10, 0x05 };
    static const unsigned counts[] = { 1, 2, 16, 253 };
    struct kit_broker *b = start(NEVER, NULL, NULL);
    int pipes[2];

    (void)state;
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    int fds[] = { open("/dev/null", O_RDONLY | O_CLOEXEC), pipes[0], epoll_create1(EPOLL_CLOEXEC), -1,
                  socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0) };
    for (unsigned i = 0; i < 20; i++) {
        struct fault_raw raw;
        char name[16];

        format_text(name, sizeof(name), "raw%u", i);
        fault_raw_start(&raw, b, name, 1);
        fds[3] = raw.end;
        int code = send_descriptors(raw.end, fds[i % 5], counts[i / 5], finished, i % 2 ? sizeof(finished) : 0);
        if (code)
            assert_int_equal(code, EPERM);
        else
            assert_true(fault_raw_is_dismissed(&raw, KIT_WAIT_MS));
        fault_raw_close(&raw);
        kit_broker_wait_worker(b, name, "gone");
    }
    for (unsigned i = 0; i < 5; i++) {
        if (i != 3)
            sb_socket_close(&fds[i]);
    }
    close(pipes[1]);
    finish(b, start_worker(b, "w2", "hello", NULL));
}

/* F18 */
static void without_workers_connections_wait_in_the_kernels_queue(void **state)
{
    struct kit_broker *b = start(",hold_max=4", NULL, NULL);
    struct sb_status_report r;
    int socks[30];

    (void)state;
    fault_connect_many(kit_broker_port(b, "web"), socks, 30);
    fault_wait_held(b, 4);
    fault_check_idle(b->process->pid, 300, 0.05); /* 26 wait, and the listener is not looked at */
    assert_int_equal(kit_counters(b, "web").held, 4);
    assert_int_equal(kit_counters(b, "web").accepted, 4);
    kit_status(b, &r);
    assert_string_equal(kit_endpoint(&r, "web")->state, "no-worker");
    sb_status_report_deinit(&r);
    struct kit_process *w1 = start_worker(b, "w1", "hello", NULL);
    assert_int_equal(fault_answers_by(socks, 30, "w1"), 30);
    assert_int_equal(kit_counters(b, "web").refused, 0);
    finish(b, w1);
}

/* F19 */
static void worker_that_stops_while_idle_goes_silent_and_comes_back(void **state)
{
    struct kit_broker *b = start(NEVER, NULL, "heartbeat_ms=100");
    struct kit_process *w1 = start_worker(b, "w1", "hello", NULL);

    (void)state;
    kit_process_stop(w1);
    kit_broker_wait_worker(b, "w1", "silent");
    sockbroker_socket sock = kit_connect(NULL, "::1", kit_broker_port(b, "web"));
    fault_wait_held(b, 1); /* it gets nothing */
    kit_process_go_on(w1);
    assert_int_equal(fault_answers_by(&sock, 1, "w1"), 1);
    kit_broker_wait_worker(b, "w1", "ready");
    finish(b, w1);
}

/* ---- clients ---- */

static unsigned count_lines(struct kit_broker *b)
{
    return kit_process_count_log(b->process, "level=warning") + kit_process_count_log(b->process, "level=error");
}

/* F20: before any worker has them; the kernel or the broker holds them meanwhile. */
static void clients_that_reset_before_the_hand_off_are_dropped_quietly(void **state)
{
    struct kit_broker *b = start(NEVER, NULL, NULL);
    uint16_t port = kit_broker_port(b, "web");

    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        sockbroker_socket sock = kit_connect(NULL, i % 2 ? "127.0.0.1" : "::1", port);

        kit_close(&sock);
    }
    fault_wait_held(b, 200);
    struct kit_process *w1 = start_worker(b, "w1", "hello", NULL);
    fault_check_serves(b, 100);
    kit_broker_wait_settled(b);
    struct sb_endpoint_counters c = kit_counters(b, "web");
    assert_int_equal(c.acked, 300);
    assert_int_equal(c.in_doubt + c.refused, 0);
    assert_int_equal(count_lines(b), 0);
    finish(b, w1);
}

/* F20 */
static void clients_that_reset_during_the_hand_off_are_dropped_quietly(void **state)
{
    unsigned total = 3000 * kit_scale();
    struct kit_broker *b = start(NEVER, NULL, NULL);
    struct kit_process *w1 = start_worker(b, "w1", "hello", NULL);
    uint16_t port = kit_broker_port(b, "web");
    struct kit_load_result r;

    (void)state;
    struct kit_load *load = kit_load_start(&(struct kit_load_options){ .port = port, .total = total / 2 });
    for (unsigned i = 0; i < total; i++) {
        sockbroker_socket sock = kit_connect(NULL, i % 2 ? "127.0.0.1" : "::1", port);

        if (i % 3 == 0)
            (void)!send(sock, "x", 1, MSG_NOSIGNAL);
        kit_close(&sock);
    }
    kit_load_finish(load, &r);
    kit_load_check_all_answered(&r, total / 2);
    kit_broker_wait_settled(b);
    struct sb_endpoint_counters c = kit_counters(b, "web");
    assert_int_equal(c.acked, c.accepted - c.denied);
    assert_int_equal(c.in_doubt + c.refused, 0);
    assert_int_equal(count_lines(b), 0);
    finish(b, w1);
}

/* F21: the socket is shared, so the broker's copy is blocking and shut down too. */
static void broker_never_blocks_on_a_copy_that_a_worker_spoils(void **state)
{
    struct kit_broker *b = start(",blocking=no" NEVER, NULL, NULL);
    struct fault_raw raw;
    sockbroker_socket taken[4];
    uint64_t ids[4];
    int socks[4];

    (void)state;
    fault_raw_start(&raw, b, "raw", 4);
    fault_connect_many(kit_broker_port(b, "web"), socks, 4);
    for (unsigned i = 0; i < 4; i++) {
        ids[i] = fault_raw_must_take(&raw, &taken[i]);
        assert_true(fcntl(taken[i], F_GETFL) & O_NONBLOCK);
        fcntl(taken[i], F_SETFL, 0);
    }
    shutdown(taken[0], SHUT_RDWR);
    shutdown(taken[1], SHUT_WR);
    struct kit_process *w2 = start_worker(b, "w2", "hello", NULL);
    fault_check_serves(b, 100);
    for (unsigned i = 0; i < 3; i++)
        fault_raw_report(&raw, ids[i], SB_VERDICT_NACK_UNUSABLE); /* only the last of them is still good for w2 */
    fault_raw_report(&raw, ids[3], SB_VERDICT_ACK);
    for (unsigned i = 0; i < 4; i++)
        sb_socket_close(&taken[i]);
    assert_int_equal(fault_answers_by(&socks[2], 1, "w2"), 1);
    fault_ends_reset(&socks[0]);
    fault_ends_reset(&socks[1]);
    assert_false(fault_ends_reset(&socks[3]));
    struct sb_endpoint_counters c = kit_counters(b, "web");
    assert_int_equal(c.acked, 102);
    assert_int_equal(c.nacked, 3);
    assert_int_equal(c.in_doubt, 2);
    fault_raw_close(&raw);
    kit_broker_wait_worker(b, "raw", "gone");
    finish(b, w2);
}

/* F21: a connection that was handed off and acked lives on when the broker ends: it is closed there, never shut down. */
static void end_of_the_broker_leaves_handed_off_connections_alone(void **state)
{
    struct kit_broker *b = start(NEVER, NULL, NULL);
    struct kit_process *w1 = start_worker(b, "w1", "hold", NULL);
    struct kit_answer a;
    sockbroker_socket sock = kit_connect(NULL, "::1", kit_broker_port(b, "web"));

    (void)state;
    kit_read_answer(sock, &a);
    kit_broker_stop(b);
    assert_true(kit_is_silent(sock, 100));
    kit_close(&sock);
    kit_process_tell(w1, "stop");
    kit_process_wait(w1);
    kit_process_free(w1);
}

/* F22 */
static void sessions_that_end_leave_no_ghost_events(void **state)
{
    struct kit_broker *b = start(NEVER, NULL, NULL);
    int socks[40];

    (void)state;
    for (unsigned i = 0; i < 10; i++) {
        struct kit_process *w = start_worker(b, "w", i % 2 ? "hold" : "none", NULL);

        fault_connect_many(kit_broker_port(b, "web"), socks + 4 * i, 4);
        kit_until(kit_counters(b, "web").leased >= 4u * (i + 1));
        kit_process_kill(w); /* what it has not read stays held and goes to the next */
        kit_broker_wait_worker(b, "w", "gone");
    }
    for (unsigned i = 0; i < 40; i++)
        kit_close(&socks[i]);
    fault_check_idle(b->process->pid, 500, 0.05);
    struct kit_process *w = start_worker(b, "w", "hello", NULL);
    kit_broker_wait_settled(b);
    fault_check_idle(b->process->pid, 300, 0.05);
    finish(b, w);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(unread_connections_of_a_killed_worker_are_served_by_another),
        TEST(taken_and_untouched_connection_of_a_killed_worker_is_served_by_another),
        TEST(touched_connection_is_never_given_to_a_second_worker),
        TEST(broker_has_let_go_of_acked_connections_when_their_worker_dies),
        TEST(worker_serves_a_socket_whose_record_died_with_the_broker),
        TEST(message_whose_record_never_comes_is_given_back),
        TEST(message_whose_record_cannot_be_made_goes_to_others),
        TEST(told_that_was_lost_is_told_again_and_no_other),
        TEST(message_whose_record_comes_twice_is_served_once),
        TEST(message_whose_descriptor_never_comes_is_given_back_as_missing),
        TEST(message_whose_descriptor_never_comes_is_given_back_under_load),
        TEST(message_whose_packet_has_no_descriptor_is_refused_by_id),
        TEST(message_settling_unknown_or_repeated_ids_changes_nothing),
        TEST(stopped_worker_loses_what_it_has_not_read_and_comes_back),
        TEST(late_acks_of_withdrawn_leases_are_fenced),
        TEST(worker_that_never_acks_is_drained_and_killed),
        TEST(window_that_is_full_gets_no_more),
        TEST(worker_that_never_acks_lives_on_without_kill_stuck),
        TEST(acks_for_foreign_future_and_repeated_ids_release_nothing),
        TEST(ack_for_id_0_ends_the_session),
        TEST(pair_that_is_full_is_back_pressure),
        TEST(worker_at_its_descriptor_limit_passes_connections_on),
        TEST(too_many_descriptors_in_flight_only_delay),
        TEST(worker_that_may_not_get_descriptors_is_sent_away),
        TEST(worker_that_sends_descriptors_is_stopped),
        TEST(without_workers_connections_wait_in_the_kernels_queue),
        TEST(worker_that_stops_while_idle_goes_silent_and_comes_back),
        TEST(clients_that_reset_before_the_hand_off_are_dropped_quietly),
        TEST(clients_that_reset_during_the_hand_off_are_dropped_quietly),
        TEST(broker_never_blocks_on_a_copy_that_a_worker_spoils),
        TEST(end_of_the_broker_leaves_handed_off_connections_alone),
        TEST(sessions_that_end_leave_no_ghost_events),
    };

    return kit_main(tests, argc, argv);
}
