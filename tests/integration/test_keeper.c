/* The broker dies; the keeper, or the service manager, starts another one, and nothing that listens was lost meanwhile. */
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "sockbroker/request.h"
#include "tests/support/fault.h"
#include "tests/support/format.h"
#include "tests/support/kit_keeper.h"
#include "tests/support/kit_upgrade.h"
#include "tests/support/net.h"

#define STORM_MS 10000 /* several hundred, F62 */

/* ---- support ---- */

#define KEEPERS_OWN 6 /* standard streams, signals, the pair, the broker's handle */

/* Until the keeper holds that many things. */
static void wait_kept(struct kit_broker *b, unsigned n)
{
    kit_until(kit_count_fds(b->process->pid) == KEEPERS_OWN + n);
}

static ino_t number_of(int sock)
{
    struct stat st;

    assert_int_equal(fstat(sock, &st), 0);
    return st.st_ino;
}

static int fetch(struct sockbroker_worker *w, const char *endpoint)
{
    struct sockbroker_conn conn;
    struct sockbroker_error error = { .text = "" };

    if (sockbroker_worker_socket(w, endpoint, 0, &conn, NULL, &error))
        kit_fail("%s", error.text);
    return conn.sock;
}

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

static void connect_many(uint16_t port, int *socks, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        socks[i] = kit_connect(NULL, i % 2 ? "127.0.0.1" : "::1", port);
}

static void close_many(int *socks, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        kit_close(&socks[i]);
}

static void send_datagram(const char *to, uint16_t port)
{
    struct sockaddr_storage there;
    socklen_t len = net_address(to, port, &there);
    int sock = socket(there.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert_int_equal(sendto(sock, "x", 1, 0, (struct sockaddr *)&there, len), 1);
    close(sock);
}

static unsigned receive_all(int sock)
{
    unsigned n = 0;
    char byte;

    while (recv(sock, &byte, 1, MSG_DONTWAIT) == 1)
        n++;
    return n;
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
    int listener = fetch(w, "web");
    int socks[6];

    (void)state;
    connect_many(port, socks, 4);
    kit_keeper_crash(b);
    connect_many(port, socks + 4, 2);
    assert_int_equal(accept_all(listener), 6);
    kit_broker_wait_ready(b, 1);
    int again = fetch(w, "web");
    assert_int_equal(number_of(again), number_of(listener));
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
    send_datagram("127.0.0.1", port);
    send_datagram("::1", port);
    kit_keeper_crash(b);
    send_datagram("127.0.0.1", port);
    struct sockbroker_worker *w = kit_worker_open(b, "w", "echo");
    int sock = fetch(w, "echo");
    assert_int_equal(receive_all(sock), 3);
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
    int listeners[2] = { fetch(w[0], "web"), fetch(w[1], "web") };
    int socks[N_CLIENTS];

    (void)state;
    kit_until(kit_counters(b, "web").granted == 2);
    connect_many(port, socks, N_CLIENTS);
    kit_keeper_crash(b);
    unsigned n = accept_all(listeners[0]) + accept_all(listeners[1]);
    assert_int_equal(n + kit_counters(b, "web").accepted, N_CLIENTS);
    close_many(socks, N_CLIENTS);
    kit_broker_wait_ready(b, 2);
    uint64_t before = kit_counters(b, "web").accepted;
    connect_many(port, socks, N_CLIENTS);
    unsigned first = accept_all(listeners[0]), second = accept_all(listeners[1]);
    assert_int_equal(first + second, N_CLIENTS);
    assert_true(first > 0 && second > 0);
    assert_int_equal(kit_counters(b, "web").accepted, before);
    for (unsigned i = 0; i < 2; i++) {
        int again = fetch(w[i], "web");

        assert_int_equal(number_of(again), number_of(listeners[i]));
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
    int socks[2] = { fetch(w[0], "echo"), fetch(w[1], "echo") };

    (void)state;
    kit_until(kit_counters(b, "echo").granted == 2);
    for (unsigned i = 0; i < 20; i++)
        send_datagram(i % 2 ? "127.0.0.1" : "::1", port);
    kit_keeper_crash(b);
    for (unsigned i = 0; i < 20; i++)
        send_datagram(i % 2 ? "127.0.0.1" : "::1", port);
    kit_broker_wait_ready(b, 2);
    for (unsigned i = 0; i < 20; i++)
        send_datagram(i % 2 ? "127.0.0.1" : "::1", port);
    unsigned first = receive_all(socks[0]), second = receive_all(socks[1]);
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
    connect_many(port, socks, 4);
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
    assert_int_equal(number_of(sock), number_of(large));
    close(sock);
    sock = take(w, "small", NULL, 0, NULL);
    assert_int_equal(number_of(sock), number_of(small));
    close(sock);
    wait_kept(b, 1); /* the keeper lets go of what was taken */
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
    connect_many(port, socks, 4);
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

#define KINDS_MAX 64

struct kinds {
    char names[KINDS_MAX][32];
    unsigned n;
};

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* "socket", "pipe", "anon_inode:[eventpoll]", ...: what they are, sorted. */
static void look_at_descriptors(pid_t pid, struct kinds *k)
{
    char path[64];

    format_text(path, sizeof(path), "/proc/%d/fd", (int)pid);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    k->n = 0;
    for (struct dirent *e = readdir(dir); e && k->n < KINDS_MAX; e = readdir(dir)) {
        char *name = k->names[k->n];
        ssize_t len = readlinkat(dirfd(dir), e->d_name, name, sizeof(k->names[0]) - 1);

        if (len < 0)
            continue;
        name[len] = '\0';
        if (strncmp(name, "anon_inode", 10))
            name[strcspn(name, ":")] = '\0';
        k->n++;
    }
    closedir(dir);
    qsort(k->names, k->n, sizeof(k->names[0]), compare);
}

static unsigned count_kind(const struct kinds *k, const char *name)
{
    unsigned n = 0;

    for (unsigned i = 0; i < k->n; i++)
        n += !strcmp(k->names[i], name);
    return n;
}

/* After a question, for which nng opens what it keeps, and when that caller is gone: the pair to the keeper, two listeners,
 * control and handoff remain. */
static void look_at_idle(struct kit_broker *b, struct kinds *k)
{
    fault_broker_status(b);
    kit_until((look_at_descriptors(kit_keeper_broker_pid(b), k), count_kind(k, "socket")) == 1 + 2 + 2);
}

/* It starts with descriptors that are not its own, too. */
static void both_have_exactly_their_descriptors(void **state)
{
    struct kinds fresh, restarted, keeper;
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
    assert_int_equal(restarted.n, fresh.n);
    for (unsigned i = 0; i < fresh.n; i++)
        assert_string_equal(restarted.names[i], fresh.names[i]);
    wait_kept(b, 2);
    look_at_descriptors(b->process->pid, &keeper);
    assert_int_equal(count_kind(&keeper, "pipe"), 3);
    assert_int_equal(count_kind(&keeper, "anon_inode:[signalfd]"), 1);
    assert_int_equal(count_kind(&keeper, "anon_inode:[pidfd]"), 1);
    assert_int_equal(count_kind(&keeper, "socket"), 1 + 2); /* the pair, and the two listeners */
    kit_broker_stop(b);
}

/* ---- another configuration (F58) ---- */

struct file {
    char path[40];
};

static void write_file(const struct file *f, const char *text)
{
    FILE *out = fopen(f->path, "we");

    if (!out || fputs(text, out) < 0 || fclose(out))
        kit_fail("%s cannot be written", f->path);
}

static struct kit_broker *start_with(struct file *f, const char *text)
{
    format_text(f->path, sizeof(f->path), "/tmp/sbkit-conf-XXXXXX");
    int fd = mkstemp(f->path);

    assert_true(fd >= 0);
    close(fd);
    write_file(f, text);
    return kit_broker_start(&(struct kit_start){ .keeper = true, .args = { KIT_KEEPER_AT_ONCE, "--config", f->path } });
}

static void stop_with(struct kit_broker *b, struct file *f)
{
    kit_broker_stop(b);
    unlink(f->path);
}

static bool is_refused(const char *to, uint16_t port)
{
    struct sockaddr_storage there;
    socklen_t len = net_address(to, port, &there);
    int sock = socket(there.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool refused = connect(sock, (struct sockaddr *)&there, len) && errno == ECONNREFUSED;

    kit_close(&sock);
    return refused;
}

/* stays: with its queue. goes: nobody listens any more. moves: at the same port, where another address of it was taken. TCP and
 * UDP at one port are two endpoints. */
static void changed_configuration_gets_just_what_it_asks_for(void **state)
{
    static const char before[] = "endpoint stays { address = [::]:0 \n hold_max = 0 }\n"
                                 "endpoint goes { address = [::]:0 }\n"
                                 "endpoint moves { address = 127.0.0.1:0 }\n";
    char after[512];
    struct file f;
    struct kit_broker *b = start_with(&f, before);
    uint16_t stays = kit_broker_port(b, "stays"), goes = kit_broker_port(b, "goes"), moves = kit_broker_port(b, "moves");
    int socks[2];

    (void)state;
    connect_many(stays, socks, 2);
    format_text(after, sizeof(after),
                "endpoint stays { address = [::]:%u \n hold_max = 0 }\n"
                "endpoint same { address = [::]:%u \n protocol = udp \n mode = share }\n"
                "endpoint moves { address = [::]:%u }\n"
                "endpoint comes { address = 127.0.0.1:0 }\n",
                stays, stays, moves);
    write_file(&f, after);
    kit_keeper_crash(b);
    assert_true(is_refused("::1", goes));
    struct kit_process *w =
        kit_worker_start(b, "w", "hello", &(struct kit_start){ .args = { "--endpoint", "stays,moves,comes" } });
    assert_int_equal(fault_answers_by(socks, 2, "w"), 2);
    socks[0] = kit_connect(NULL, "::1", moves);
    socks[1] = kit_connect(NULL, "127.0.0.1", kit_broker_port(b, "comes"));
    assert_int_equal(fault_answers_by(socks, 2, "w"), 2);
    kit_worker_stop(w);
    send_datagram("127.0.0.1", stays);
    kit_keeper_crash(b);
    struct sockbroker_worker *u = kit_worker_open(b, "u", "same");
    int sock = fetch(u, "same");
    assert_int_equal(receive_all(sock), 1);
    close(sock);
    sockbroker_worker_close(u);
    stop_with(b, &f);
}

/* Fewer slots: the first ones go on, and so do those that a reload has opened. */
static void removed_and_added_endpoints_are_kept_as_they_are(void **state)
{
    char text[256];
    struct file f;
    struct kit_broker *b = start_with(&f, "endpoint one { address = [::]:0 }\n");
    uint16_t one = kit_broker_port(b, "one");

    (void)state;
    format_text(text, sizeof(text), "endpoint two { address = [::]:0 \n mode = shard \n slots = 4 }\n");
    write_file(&f, text);
    kit_process_signal(b->process, SIGHUP);
    kit_process_wait_log(b->process, "event=reloaded");
    wait_kept(b, 4);
    assert_true(is_refused("127.0.0.1", one));
    uint16_t two = kit_broker_port(b, "two");
    format_text(text, sizeof(text), "endpoint two { address = [::]:%u \n mode = shard \n slots = 2 }\n", two);
    write_file(&f, text);
    kit_keeper_crash(b);
    wait_kept(b, 2);
    struct kit_process *w = kit_worker_start(b, "w", "hello", &(struct kit_start){ .args = { "--endpoint", "two" } });
    struct kit_load_result r;
    kit_load_run(&(struct kit_load_options){ .port = two, .total = 50 }, &r);
    kit_load_check_all_answered(&r, 50);
    kit_worker_stop(w);
    stop_with(b, &f);
}

/* A file that is broken just then is no reason to let the sockets go. */
static void broken_configuration_is_tried_again(void **state)
{
    static const char good[] = "endpoint web { address = [::]:0 \n hold_max = 0 }\n";
    struct file f;
    struct kit_broker *b = start_with(&f, good);
    uint16_t port = kit_broker_port(b, "web");
    sockbroker_socket sock = kit_connect(NULL, "::1", port);

    (void)state;
    write_file(&f, "endpoint web {");
    unsigned before = kit_keeper_count_ready(b);
    kit_keeper_kill_broker(b);
    kit_process_wait_log(b->process, "cause=\"it ended with code 2\"");
    write_file(&f, good);
    kit_until(kit_keeper_count_ready(b) > before);
    struct kit_process *w = kit_worker_start(b, "w", "hello", NULL);
    assert_int_equal(fault_answers_by(&sock, 1, "w"), 1);
    kit_worker_stop(w);
    stop_with(b, &f);
}

/* ---- systemd ---- */

struct manager {
    char dir[32];
    char path[64];
    char variable[96];
    int sock;
};

static void open_manager(struct manager *m)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };

    strcpy(m->dir, "/tmp/sbkit-notify-XXXXXX");
    assert_non_null(mkdtemp(m->dir));
    format_text(m->path, sizeof(m->path), "%s/notify", m->dir);
    format_text(m->variable, sizeof(m->variable), "NOTIFY_SOCKET=%s", m->path);
    format_text(at.sun_path, sizeof(at.sun_path), "%s", m->path);
    m->sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(m->sock, (struct sockaddr *)&at, sizeof(at)), 0);
}

static void close_manager(struct manager *m)
{
    close(m->sock);
    unlink(m->path);
    rmdir(m->dir);
}

struct stored {
    char name[300];
    int fd;
};

/* One message; descriptor_out is -1 when none came. False: nothing is there. */
static bool hear(struct manager *m, char *text, size_t room, int *descriptor_out)
{
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = { text, room - 1 };
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof(control.room)
    };
    ssize_t n = recvmsg(m->sock, &message, MSG_CMSG_CLOEXEC);

    if (n < 0)
        return false;
    text[n] = '\0';
    *descriptor_out = -1;
    if (CMSG_FIRSTHDR(&message))
        memcpy(descriptor_out, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(*descriptor_out));
    return true;
}

static void remove_stored(struct stored *s, unsigned *n, const char *name)
{
    for (unsigned i = 0; i < *n; i++) {
        if (strcmp(s[i].name, name))
            continue;
        close(s[i].fd);
        s[i] = s[--*n];
        return;
    }
}

/* Does what the manager does until it hears READY=1; how many it has in its store then. */
static void serve_as_manager(struct manager *m, struct stored *s, unsigned *n, const char *until)
{
    char text[512];
    bool is_over = false;
    int fd;

    while (!is_over) {
        kit_until(hear(m, text, sizeof(text), &fd));
        const char *name = strstr(text, "FDNAME=");

        is_over = strstr(text, until) != NULL;
        if (strstr(text, "FDSTORE=1") && name && fd >= 0) {
            format_text(s[*n].name, sizeof(s[*n].name), "%.*s", (int)strcspn(name + 7, "\n"), name + 7);
            s[(*n)++].fd = fd;
        } else {
            if (strstr(text, "FDSTOREREMOVE=1") && name)
                remove_stored(s, n, name + 7);
            if (fd >= 0)
                close(fd);
        }
    }
}

/* `exec` keeps the pid that the shell put into LISTEN_PID. */
static struct kit_process *start_by_manager(struct manager *m, const char *dir, const int *given, unsigned n, const char *names,
                                            const char *endpoint)
{
    char order[1024];

    format_text(order, sizeof(order),
                "LISTEN_PID=$$ LISTEN_FDS=%u LISTEN_FDNAMES='%s' exec " SB_BROKER_EXE
                " serve --set keeper=systemd --dir %s --endpoint '%s'",
                n, names, dir, endpoint);
    return kit_process_start(
        "broker", "/bin/sh",
        &(struct kit_start){ .args = { "-c", order }, .env = { m->variable }, .give = given, .n_give = n });
}

static int listen_at(const char *host, uint16_t *port_out)
{
    struct sockaddr_storage at;
    socklen_t len = net_address(host, 0, &at);
    int sock = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(sock, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(sock, 16), 0);
    *port_out = net_port(sock);
    return sock;
}

/* From a socket unit at first, then from the store: the queue outlives the broker without any keeper. */
static void descriptor_store_does_the_keepers_job(void **state)
{
    struct manager m;
    struct stored s[16];
    unsigned n = 0;
    uint16_t port;
    char dir[] = "/tmp/sbkit-XXXXXX", endpoint[64], names[1024] = "web.socket";
    int given[8] = { listen_at("127.0.0.1", &port) };
    ino_t number = number_of(given[0]);

    (void)state;
    assert_non_null(mkdtemp(dir));
    open_manager(&m);
    format_text(endpoint, sizeof(endpoint), "web=127.0.0.1:%u,hold_max=0", port);
    struct kit_process *p = start_by_manager(&m, dir, given, 1, names, endpoint);
    serve_as_manager(&m, s, &n, "READY=1");
    close(given[0]);
    assert_int_equal(n, 1);
    assert_int_equal(strncmp(s[0].name, "listener/web/", 13), 0);
    assert_int_equal(number_of(s[0].fd), number);
    sockbroker_socket sock = kit_connect(NULL, "127.0.0.1", port);
    kit_process_kill(p);
    p = start_by_manager(&m, dir, &s[0].fd, 1, s[0].name, endpoint);
    serve_as_manager(&m, s, &n, "READY=1");
    assert_int_equal(n, 1); /* it knows that this one is there */
    struct kit_broker b = { .process = p };
    format_text(b.dir, sizeof(b.dir), "%s", dir);
    struct kit_process *w = kit_worker_start(&b, "w", "hello", NULL);
    assert_int_equal(fault_answers_by(&sock, 1, "w"), 1);
    kit_worker_stop(w);
    assert_int_equal(kit_run((const char *const[]){ "pause", "web", "--dir", dir, NULL }, NULL, 0), 0);
    serve_as_manager(&m, s, &n, "FDNAME=paused/web");
    assert_int_equal(n, 2);
    kit_process_ask_end(p);
    serve_as_manager(&m, s, &n, "STOPPING=1"); /* a pause does not outlive an ordered stop */
    assert_int_equal(kit_process_wait(p), 0);
    assert_int_equal(n, 1); /* a restart of the service finds it there */
    kit_process_free(p);
    close(s[0].fd);
    close_manager(&m);
    format_text(names, sizeof(names), "%s/lock", dir);
    unlink(names);
    rmdir(dir);
}

/* The store does not forget by itself what the new broker does not have any more, nor does it want a thing twice. */
static void upgrade_goes_on_with_the_descriptor_store(void **state)
{
    static const char both[] = "endpoint stays { address = \"[::]:0\" }\nendpoint goes { address = \"[::]:0\" }\n";
    static const char one[] = "endpoint stays { address = \"[::]:0\" }\n";
    struct manager m;
    struct stored s[16];
    unsigned n = 0;
    struct file f = { "/tmp/sbkit-conf-XXXXXX" };

    (void)state;
    close(mkstemp(f.path));
    write_file(&f, both);
    open_manager(&m);
    struct kit_broker *b = kit_broker_launch(
        &(struct kit_start){ .args = { "--config", f.path, "--set", "keeper=systemd" }, .env = { m.variable } });
    serve_as_manager(&m, s, &n, "READY=1");
    assert_int_equal(n, 2);
    uint16_t stays = kit_broker_port(b, "stays"), goes = kit_broker_port(b, "goes");
    write_file(&f, one);
    struct kit_process *command = kit_upgrade_start(b, NULL);
    serve_as_manager(&m, s, &n, "MAINPID=");
    assert_int_equal(kit_process_wait(command), 0);
    kit_process_free(command);
    kit_upgrade_follow(b, 0);
    assert_int_equal(n, 1);
    assert_int_equal(strncmp(s[0].name, "listener/stays/", 15), 0);
    assert_int_equal(net_port(s[0].fd), stays);
    kit_until(is_refused("127.0.0.1", goes));
    command = kit_upgrade_start(b, NULL); /* as it is */
    serve_as_manager(&m, s, &n, "MAINPID=");
    assert_int_equal(kit_process_wait(command), 0);
    kit_process_free(command);
    kit_upgrade_follow(b, 0);
    assert_int_equal(n, 1);
    assert_int_equal(kit_broker_port(b, "stays"), stays);
    kit_broker_stop(b);
    serve_as_manager(&m, s, &n, "STOPPING=1");
    assert_int_equal(n, 1);
    close(s[0].fd);
    close_manager(&m);
    unlink(f.path);
}

/* The keeper takes them too: by the endpoint's name, and by any other for who asks for just that address. What nobody asks for
 * is closed. */
static void activated_sockets_are_adopted(void **state)
{
    uint16_t ports[3];
    int given[3] = { listen_at("127.0.0.1", &ports[0]), listen_at("::1", &ports[1]), listen_at("127.0.0.1", &ports[2]) };
    ino_t numbers[2] = { number_of(given[0]), number_of(given[1]) };
    struct kinds kinds;
    char dir[] = "/tmp/sbkit-XXXXXX", order[1024], path[64];

    (void)state;
    assert_non_null(mkdtemp(dir));
    format_text(order, sizeof(order),
                "LISTEN_PID=$$ LISTEN_FDS=3 LISTEN_FDNAMES=web:unknown:unknown exec " SB_BROKER_EXE
                " serve --dir %s --endpoint web=127.0.0.1:0 --endpoint other=[::1]:%u",
                dir, ports[1]);
    struct kit_process *p =
        kit_process_start("broker", "/bin/sh", &(struct kit_start){ .args = { "-c", order }, .give = given, .n_give = 3 });
    struct kit_broker b = { .process = p };
    format_text(b.dir, sizeof(b.dir), "%s", dir);
    kit_process_wait_log(p, "event=ready");
    for (unsigned i = 0; i < 3; i++)
        close(given[i]);
    assert_int_equal(kit_broker_port(&b, "web"), ports[0]);
    assert_int_equal(kit_broker_port(&b, "other"), ports[1]);
    kit_until(is_refused("127.0.0.1", ports[2]));
    kit_keeper_crash(&b);
    assert_int_equal(kit_broker_port(&b, "web"), ports[0]);
    look_at_descriptors(p->pid, &kinds);
    assert_int_equal(count_kind(&kinds, "socket"), 1 + 2);
    (void)numbers;
    kit_process_ask_end(p);
    assert_int_equal(kit_process_wait(p), 0);
    kit_process_free(p);
    format_text(path, sizeof(path), "%s/lock", dir);
    unlink(path);
    rmdir(dir);
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
        TEST(changed_configuration_gets_just_what_it_asks_for),
        TEST(removed_and_added_endpoints_are_kept_as_they_are),
        TEST(broken_configuration_is_tried_again),
        TEST(descriptor_store_does_the_keepers_job),
        cmocka_unit_test_setup_teardown(upgrade_goes_on_with_the_descriptor_store, kit_upgrade_setup, kit_upgrade_teardown),
        TEST(activated_sockets_are_adopted),
    };

    return kit_main(tests, argc, argv);
}
