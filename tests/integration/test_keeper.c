/* The broker dies; the keeper, or the service manager, starts another one, and nothing that listens was lost meanwhile. */
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/socket.h"
#include "sockbroker/request.h"
#include "tests/integration/keeper_kit.h"
#include "tests/support/fault.h"
#include "tests/support/format.h"
#include "tests/support/kit_kinds.h"
#include "tests/support/kit_upgrade.h"
#include "tests/support/net.h"

#define STORM_MS 10000 /* several hundred, F62 */

/* ---- support ---- */

/* What waits in a listening socket's queue is taken and closed. */
static unsigned accept_all(int listener)
{
    unsigned n = 0;
    int sock;

    while ((sock = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        close(sock);
        n++;
    }
    return n;
}

static void close_many(int *socks, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        kit_close(&socks[i]);
}

/* ---- under load ---- */

/* While all of them attach, a question may find no room at the door. */
static bool are_ready(struct kit_broker *b, unsigned n)
{
    struct sb_status_report r;
    struct sb_client *client;
    unsigned n_ready_now = 0;

    if (sb_ask_open(b->dir, &client, NULL))
        return false;
    sockbroker_status st = sb_ask_status(client, &r, NULL);
    sb_client_close(client);
    if (st)
        return false;
    for (size_t i = 0; i < r.n_sessions; i++)
        n_ready_now += !strcmp(r.sessions[i].state, "ready");
    sb_status_report_deinit(&r);
    return n_ready_now == n;
}

static void hundreds_of_workers_come_back(void **state)
{
    unsigned n = 300 / FAULT_SLOWNESS;
    struct kit_broker *b = kit_keeper_start("web=[::]:0", NULL);
    struct kit_process **workers = calloc(n, sizeof(*workers));

    (void)state;
    assert_non_null(workers);
    uint64_t launched_ms = kit_now_ms();
    for (unsigned i = 0; i < n; i++) {
        char name[16];

        format_text(name, sizeof(name), "w%u", i);
        workers[i] = kit_worker_launch(b, name, "hello", NULL);
    }
    for (unsigned i = 0; i < n; i++)
        kit_process_wait_log(workers[i], "ready\n");
    kit_until(are_ready(b, n));
    uint64_t began_ms = kit_now_ms();
    uint64_t pace_ms = began_ms - launched_ms; /* of a machine that has other things to do */
    kit_keeper_crash(b);
    kit_until(are_ready(b, n));
    uint64_t took_ms = kit_now_ms() - began_ms;
    printf("%u workers were back within %llu ms\n", n, (unsigned long long)took_ms);
    assert_true(took_ms <= STORM_MS || took_ms <= 3 * pace_ms);
    fault_check_serves(b, 100);
    for (unsigned i = 0; i < n; i++)
        kit_process_kill(workers[i]);
    free(workers);
    kit_broker_stop(b);
}

/* ---- what waits in the kernel ---- */

static void shared_listener_outlives_the_broker(void **state)
{
    struct kit_broker *b = kit_keeper_start("web=[::]:0,mode=share", NULL);
    uint16_t port = kit_broker_port(b, "web");
    struct sockbroker_worker *w = kit_worker_open(b, "w", "web");
    int listener = keeper_fetch(w, "web");
    int socks[6];

    (void)state;
    keeper_connect_many(port, socks, 4);
    kit_keeper_crash(b);
    keeper_connect_many(port, socks + 4, 2);
    assert_int_equal(accept_all(listener), 6);
    kit_broker_wait_ready(b, 1);
    int again = keeper_fetch(w, "web");
    assert_int_equal(sb_socket_identity(again), sb_socket_identity(listener));
    close(again);
    close(listener);
    close_many(socks, 6);
    sockbroker_worker_close(w);
    kit_broker_stop(b);
}

static void datagrams_outlive_the_broker(void **state)
{
    struct kit_broker *b = kit_keeper_start("echo=[::]:0,protocol=udp,mode=share", NULL);
    uint16_t port = kit_broker_port(b, "echo");

    (void)state;
    keeper_send_datagram("127.0.0.1", port);
    keeper_send_datagram("::1", port);
    kit_keeper_crash(b);
    keeper_send_datagram("127.0.0.1", port);
    struct sockbroker_worker *w = kit_worker_open(b, "w", "echo");
    int sock = keeper_fetch(w, "echo");
    assert_int_equal(keeper_receive_all(sock), 3);
    close(sock);
    sockbroker_worker_close(w);
    kit_broker_stop(b);
}

/* ---- shards ---- */

#define N_CLIENTS 40

/* Two workers have slots of four, and clients wait in them. After the crash both are known again: new clients go to them
 * alone, and never by way of the broker. */
static void shard_outlives_the_broker(void **state)
{
    struct kit_broker *b = kit_keeper_start("web=[::]:0,mode=shard,slots=4", NULL);
    uint16_t port = kit_broker_port(b, "web");
    struct sockbroker_worker *w[2] = { kit_worker_open(b, "a", "web"), kit_worker_open(b, "b", "web") };
    int listeners[2] = { keeper_fetch(w[0], "web"), keeper_fetch(w[1], "web") };
    int socks[N_CLIENTS];

    (void)state;
    kit_until(kit_counters(b, "web").granted == 2);
    keeper_connect_many(port, socks, N_CLIENTS);
    kit_keeper_crash(b);
    unsigned n = accept_all(listeners[0]) + accept_all(listeners[1]);
    assert_int_equal(n + kit_counters(b, "web").accepted, N_CLIENTS);
    close_many(socks, N_CLIENTS);
    kit_broker_wait_ready(b, 2);
    uint64_t before = kit_counters(b, "web").accepted;
    keeper_connect_many(port, socks, N_CLIENTS);
    unsigned first = accept_all(listeners[0]), second = accept_all(listeners[1]);
    assert_int_equal(first + second, N_CLIENTS);
    assert_true(first > 0 && second > 0);
    assert_int_equal(kit_counters(b, "web").accepted, before);
    for (unsigned i = 0; i < 2; i++) {
        int again = keeper_fetch(w[i], "web");

        assert_int_equal(sb_socket_identity(again), sb_socket_identity(listeners[i]));
        close(again);
        close(listeners[i]);
        sockbroker_worker_close(w[i]);
    }
    close_many(socks, N_CLIENTS);
    kit_broker_stop(b);
}

/* Nobody reads the other slots: a datagram that went there would be lost. */
static void datagrams_go_to_the_same_workers(void **state)
{
    struct kit_broker *b = kit_keeper_start("echo=[::]:0,protocol=udp,mode=shard,slots=4", NULL);
    uint16_t port = kit_broker_port(b, "echo");
    struct sockbroker_worker *w[2] = { kit_worker_open(b, "a", "echo"), kit_worker_open(b, "b", "echo") };
    int socks[2] = { keeper_fetch(w[0], "echo"), keeper_fetch(w[1], "echo") };

    (void)state;
    kit_until(kit_counters(b, "echo").granted == 2);
    for (unsigned i = 0; i < 20; i++)
        keeper_send_datagram(i % 2 ? "127.0.0.1" : "::1", port);
    kit_keeper_crash(b);
    for (unsigned i = 0; i < 20; i++)
        keeper_send_datagram(i % 2 ? "127.0.0.1" : "::1", port);
    kit_broker_wait_ready(b, 2);
    for (unsigned i = 0; i < 20; i++)
        keeper_send_datagram(i % 2 ? "127.0.0.1" : "::1", port);
    unsigned first = keeper_receive_all(socks[0]), second = keeper_receive_all(socks[1]);
    assert_int_equal(first + second, 60);
    assert_true(first > 0 && second > 0);
    for (unsigned i = 0; i < 2; i++) {
        close(socks[i]);
        sockbroker_worker_close(w[i]);
    }
    kit_broker_stop(b);
}

/* The slot of a worker that died together with the broker is free, and what waited there is served. */
static void slot_of_a_dead_worker_is_free(void **state)
{
    struct kit_broker *b = kit_keeper_start("web=[::]:0,mode=shard,slots=2", NULL);
    uint16_t port = kit_broker_port(b, "web");
    char path[sizeof(SB_SHARE_WORKER_EXE)] = SB_SHARE_WORKER_EXE;
    struct kit_process *dead = kit_process_start(
        "dead", path, &(struct kit_start){ .args = { "--dir", b->dir, "--name", "dead", "--endpoint", "web" } });
    struct kit_answer a;
    int socks[4];

    (void)state;
    kit_process_wait_log(dead, "ready\n");
    kit_until(kit_counters(b, "web").granted == 1);
    kit_process_stop(dead);
    keeper_connect_many(port, socks, 4);
    unsigned before = kit_keeper_count_ready(b);
    kit_keeper_kill_broker(b);
    kit_process_kill(dead);
    kit_until(kit_keeper_count_ready(b) > before);
    struct kit_process *w = kit_worker_start(b, "w", "hello", NULL);
    for (unsigned i = 0; i < 4; i++) {
        kit_read_only_answer(socks[i], &a);
        assert_string_equal(a.worker, "w");
    }
    kit_worker_stop(w);
    kit_broker_stop(b);
}

/* ---- deposits ---- */

static void leave(struct sockbroker_worker *w, const char *name, int sock, const void *state, size_t len, unsigned lifetime_ms)
{
    struct sockbroker_deposit d = SOCKBROKER_DEPOSIT_INIT;
    struct sockbroker_error error = { .text = "" };

    d.name = name;
    d.sock = sock;
    d.state = state;
    d.state_len = len;
    d.lifetime_ms = lifetime_ms;
    if (sockbroker_worker_deposit(w, &d, &error))
        kit_fail("%s", error.text);
}

static int take(struct sockbroker_worker *w, const char *name, void *state, size_t room, size_t *len_out)
{
    struct sockbroker_conn conn;
    struct sockbroker_error error = { .text = "" };

    if (sockbroker_worker_withdraw(w, name, &conn, state, room, len_out, &error))
        kit_fail("%s", error.text);
    return conn.sock;
}

static int bind_datagram(void)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(sock, (struct sockaddr *)&at, sizeof(at)), 0);
    return sock;
}

static void deposits_outlive_the_broker(void **state)
{
    static unsigned char blob[SOCKBROKER_STATE_MAX], back[SOCKBROKER_STATE_MAX];
    struct kit_broker *b = kit_keeper_start("web=[::]:0", NULL);
    struct sockbroker_worker *w = kit_worker_open(b, "giver", "");
    struct sb_status_report r;
    size_t len = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(blob); i++)
        blob[i] = (unsigned char)(i * 7 + i / 251);
    int small = bind_datagram(), large = bind_datagram();
    leave(w, "small", small, NULL, 0, 600000);
    leave(w, "large", large, blob, sizeof(blob), 500000);
    sockbroker_worker_close(w);
    kit_keeper_crash(b);
    kit_keeper_crash(b); /* also those that were inherited themselves */
    kit_status(b, &r);
    assert_int_equal(r.n_deposits, 2);
    assert_string_equal(r.deposits[0].owner, "giver");
    assert_true(r.deposits[0].expires_ms <= 600000 && r.deposits[0].expires_ms > 500000);
    sb_status_report_deinit(&r);
    w = kit_worker_open(b, "taker", "");
    int sock = take(w, "large", back, sizeof(back), &len);
    assert_int_equal(len, sizeof(blob));
    assert_memory_equal(back, blob, sizeof(blob));
    assert_int_equal(sb_socket_identity(sock), sb_socket_identity(large));
    close(sock);
    sock = take(w, "small", NULL, 0, NULL);
    assert_int_equal(sb_socket_identity(sock), sb_socket_identity(small));
    close(sock);
    keeper_wait_kept(b, 1); /* the keeper lets go of what was taken */
    kit_keeper_crash(b);
    kit_status(b, &r);
    assert_int_equal(r.n_deposits, 0);
    sb_status_report_deinit(&r);
    close(small);
    close(large);
    sockbroker_worker_close(w);
    kit_broker_stop(b);
}

/* ---- again and again ---- */

/* Killed as soon as it is there, ten times: sometimes before it has asked for the sockets, sometimes in the midst of it. */
static void crash_while_starting_loses_nothing(void **state)
{
    struct kit_broker *b = kit_keeper_start("web=[::]:0,hold_max=0", "more=127.0.0.1:0,mode=shard,slots=8");
    uint16_t port = kit_broker_port(b, "web");
    int socks[4];

    (void)state;
    keeper_connect_many(port, socks, 4);
    for (unsigned i = 0; i < 10; i++) {
        unsigned before = kit_process_count_log(b->process, "event=broker_started");

        kit_keeper_kill_broker(b);
        kit_until(kit_process_count_log(b->process, "event=broker_started") > before);
    }
    unsigned before = kit_keeper_count_ready(b);
    kit_keeper_kill_broker(b);
    kit_until(kit_keeper_count_ready(b) > before);
    assert_int_equal(kit_broker_port(b, "web"), port);
    struct kit_process *w = kit_worker_start(b, "w", "hello", NULL);
    assert_int_equal(fault_answers_by(socks, 4, "w"), 4);
    kit_worker_stop(w);
    kit_broker_stop(b);
}

/* ---- ends ---- */

static void keeper_ends_as_the_broker_ends(void **state)
{
    struct kit_broker *b = kit_keeper_start("web=[::]:0", NULL);
    pid_t broker = kit_keeper_broker_pid(b);

    (void)state;
    assert_int_equal(kill(broker, SIGTERM), 0);
    assert_int_equal(kit_process_wait(b->process), 0);
    assert_true(kit_is_gone(broker));
    kit_broker_free(b);
    b = kit_broker_launch(&(struct kit_start){ .keeper = true, .args = { "--endpoint", "web=192.0.2.1:80" } });
    assert_int_equal(kit_process_wait(b->process), 1);
    assert_int_equal(kit_process_count_log(b->process, "event=broker_started"), 1);
    kit_broker_free(b);
}

static void signals_reach_the_broker(void **state)
{
    struct kit_broker *b = kit_keeper_start("web=[::]:0", NULL);
    struct kit_process *w = kit_worker_start(b, "w", "hold", NULL);
    pid_t broker = kit_keeper_broker_pid(b);

    (void)state;
    kit_process_signal(b->process, SIGHUP);
    kit_process_wait_log(b->process, "event=reloaded");
    kit_process_signal(b->process, SIGUSR2);
    kit_until(kit_is_gone(broker));
    pid_t next = kit_keeper_last_pid(b, "broker_followed");
    kit_process_ask_end(b->process);
    kit_process_wait_log(b->process, "event=stopping");
    assert_int_equal(kit_process_wait(b->process), 0);
    assert_true(kit_is_gone(next));
    kit_process_kill(w);
    kit_broker_free(b);
}

/* ---- another process takes the broker's place ---- */

static int upgrade(struct kit_broker *b)
{
    return kit_run((const char *const[]){ "upgrade", "--dir", b->dir, NULL }, NULL, 0);
}

static unsigned n_started(struct kit_broker *b)
{
    return kit_process_count_log(b->process, "event=broker_started");
}

static struct kit_broker *start_failing(const char *rule)
{
    char text[96];

    format_text(text, sizeof(text), "SOCKBROKER_FAILPOINTS=%s", rule);
    return kit_broker_start(
        &(struct kit_start){ .keeper = true, .args = { KIT_KEEPER_AT_ONCE, "--endpoint", "web=[::]:0" }, .env = { text } });
}

static void upgrade_is_followed_by_the_keeper(void **state)
{
    struct kit_broker *b = kit_keeper_start("web=[::]:0", NULL);
    struct kit_process *w = kit_worker_start(b, "w", "hello", NULL);
    uint16_t port = kit_broker_port(b, "web");
    pid_t first = kit_keeper_broker_pid(b);

    (void)state;
    kit_broker_wait_ready(b, 1);
    for (unsigned i = 0; i < 2; i++) {
        pid_t old = i ? kit_keeper_last_pid(b, "broker_followed") : first;

        assert_int_equal(upgrade(b), 0);
        assert_int_not_equal(kit_keeper_last_pid(b, "broker_followed"), old);
        kit_until(kit_is_gone(old));
    }
    assert_int_equal(n_started(b), 1);
    kit_process_signal(b->process, SIGHUP);
    kit_process_wait_log(b->process, "event=reloaded");
    unsigned before = kit_keeper_count_ready(b);
    kill(kit_keeper_last_pid(b, "broker_followed"), SIGKILL);
    kit_until(kit_keeper_count_ready(b) > before);
    assert_int_equal(n_started(b), 2);
    assert_int_equal(kit_broker_port(b, "web"), port);
    kit_broker_wait_ready(b, 1);
    fault_check_serves(b, 20);
    kit_worker_stop(w);
    kit_broker_stop(b);
}

static void upgrade_that_fails_leaves_the_keeper_with_the_old(void **state)
{
    (void)state;
    fault_need_failpoints();
    struct kit_broker *b = start_failing("takeover_new_7=kill");
    struct kit_process *w = kit_worker_start(b, "w", "hello", NULL);

    kit_broker_wait_ready(b, 1);
    assert_int_equal(upgrade(b), 1);
    kit_process_wait_log(b->process, "event=follower_died");
    fault_check_serves(b, 20);
    assert_int_equal(n_started(b), 1);
    kit_keeper_crash(b);
    kit_broker_wait_ready(b, 1);
    fault_check_serves(b, 20);
    kit_worker_stop(w);
    kit_broker_stop(b);
}

/* Before it is followed the keeper starts another one, which has the sockets too; after that it starts none. */
static void upgrade_whose_old_one_dies_leaves_one_broker(void **state)
{
    (void)state;
    fault_need_failpoints();
    for (unsigned step = 1; step <= 9; step++) {
        char rule[64];

        format_text(rule, sizeof(rule), "takeover_old_%u=kill", step);
        struct kit_broker *b = start_failing(rule);
        struct kit_process *w = kit_worker_start(b, "w", "hello", NULL);
        uint16_t port = kit_broker_port(b, "web");

        kit_broker_wait_ready(b, 1);
        unsigned before = kit_keeper_count_ready(b);
        assert_int_equal(upgrade(b), 1);
        kit_until(kit_keeper_count_ready(b) > before);
        kit_broker_wait_ready(b, 1);
        assert_int_equal(kit_broker_port(b, "web"), port);
        fault_check_serves(b, 20);
        kit_worker_stop(w);
        kit_broker_stop(b);
    }
}

/* A program that is no broker has the lock of the directory too, and must not keep the next broker from it. */
static void upgrade_to_no_broker_ends_with_the_old_one(void **state)
{
    struct kit_broker *b = kit_broker_start(&(struct kit_start){ .keeper = true, .args = { "--endpoint", "web=[::]:0" } });
    struct kit_process *w = kit_worker_start(b, "w", "hello", NULL);
    unsigned before = kit_keeper_count_ready(b);
    char sleeper[192];

    (void)state;
    format_text(sleeper, sizeof(sleeper), "%s/sleeper", b->dir);
    FILE *out = fopen(sleeper, "we");
    assert_non_null(out);
    fputs("#!/bin/sh\nexec sleep 1000\n", out);
    fclose(out);
    assert_int_equal(chmod(sleeper, 0700), 0);
    kit_broker_wait_ready(b, 1);
    struct kit_process *command =
        kit_run_start((const char *const[]){ "upgrade", "--binary", sleeper, "--timeout", "600000", "--dir", b->dir, NULL });
    kit_process_wait_log(b->process, "event=upgrade pid=");
    kit_keeper_kill_broker(b);
    kit_until(kit_keeper_count_ready(b) > before);
    assert_int_equal(kit_process_wait(command), 1);
    kit_process_free(command);
    kit_broker_wait_ready(b, 1);
    fault_check_serves(b, 20);
    assert_int_equal(kit_process_count_log(b->process, "already running"), 0);
    unlink(sleeper);
    kit_worker_stop(w);
    kit_broker_stop(b);
}

static void upgrade_meanwhile_a_stop_reaches_the_new_one(void **state)
{
    (void)state;
    fault_need_failpoints();
    struct kit_broker *b = start_failing("takeover_new_3=stop");
    struct kit_process *command = kit_run_start((const char *const[]){ "upgrade", "--dir", b->dir, NULL });

    kit_process_wait_log(b->process, "event=broker_followed");
    struct kit_process heir = { .pid = kit_keeper_last_pid(b, "broker_followed"), .title = "heir" };
    kit_process_wait_stopped(&heir);
    kit_process_ask_end(b->process);
    kit_process_go_on(&heir);
    assert_int_equal(kit_process_wait(command), 0);
    kit_process_free(command);
    assert_int_equal(kit_process_wait(b->process), 0);
    assert_true(kit_is_gone(heir.pid));
    kit_broker_free(b);
}

/* ---- descriptors ---- */

/* After a question, for which nng opens what it keeps, and when that caller is gone: the pair to the keeper, two listeners,
 * control and handoff remain. */
static void look_at_idle(struct kit_broker *b, struct kit_kinds *k)
{
    fault_broker_status(b);
    kit_until((kit_kinds_of(kit_keeper_broker_pid(b), k), kit_kinds_count(k, "socket")) == 1 + 2 + 2);
}

/* It starts with descriptors that are not its own, too. */
static void both_have_exactly_their_descriptors(void **state)
{
    struct kit_kinds fresh, restarted, keeper;
    int others[3] = { dup(2), dup(2), dup(2) };
    struct kit_broker *b = kit_broker_start(
        &(struct kit_start){ .keeper = true,
                             .give = others,
                             .n_give = 3,
                             .args = { KIT_KEEPER_AT_ONCE, "--endpoint", "web=[::]:0", "--endpoint", "web2=127.0.0.1:0" } });

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        close(others[i]);
    look_at_idle(b, &fresh);
    kit_keeper_crash(b);
    look_at_idle(b, &restarted);
    kit_kinds_check_same(&fresh, &restarted);
    keeper_wait_kept(b, 2);
    kit_kinds_of(b->process->pid, &keeper);
    assert_int_equal(kit_kinds_count(&keeper, "pipe"), 3);
    assert_int_equal(kit_kinds_count(&keeper, "anon_inode:[signalfd]"), 1);
    assert_int_equal(kit_kinds_count(&keeper, "anon_inode:[pidfd]"), 1);
    assert_int_equal(kit_kinds_count(&keeper, "socket"), 1 + 2); /* the pair, and the two listeners */
    kit_broker_stop(b);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(hundreds_of_workers_come_back),
        TEST(shared_listener_outlives_the_broker),
        TEST(datagrams_outlive_the_broker),
        TEST(shard_outlives_the_broker),
        TEST(datagrams_go_to_the_same_workers),
        TEST(slot_of_a_dead_worker_is_free),
        TEST(deposits_outlive_the_broker),
        TEST(crash_while_starting_loses_nothing),
        TEST(keeper_ends_as_the_broker_ends),
        TEST(signals_reach_the_broker),
        TEST(upgrade_is_followed_by_the_keeper),
        TEST(upgrade_that_fails_leaves_the_keeper_with_the_old),
        TEST(upgrade_whose_old_one_dies_leaves_one_broker),
        TEST(upgrade_to_no_broker_ends_with_the_old_one),
        TEST(upgrade_meanwhile_a_stop_reaches_the_new_one),
        TEST(both_have_exactly_their_descriptors),
    };

    return kit_main(tests, argc, argv);
}
