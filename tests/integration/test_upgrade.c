/* Another process takes the broker's place (rows F51 to F61 of the list of faults): no client and no worker notices, whatever
 * happens to either process on the way. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "sockbroker/request.h"
#include "tests/support/fault.h"
#include "tests/support/format.h"
#include "tests/support/net.h"
#include "tests/support/kit_kinds.h"
#include "tests/support/kit_upgrade.h"

#define OUTPUT 2048

static struct kit_broker *start(const char *endpoint)
{
    return kit_broker_start(&(struct kit_start){ .args = { "--endpoint", endpoint } });
}

static struct kit_process *start_worker(struct kit_broker *b, const char *name)
{
    struct kit_process *w = kit_worker_start(b, name, "hello", NULL);

    kit_broker_wait_worker(b, name, "ready");
    return w;
}

static void finish(struct kit_broker *b)
{
    kit_broker_wait_ready(b, 0);
    kit_broker_stop(b);
}

static void stop_all(struct kit_broker *b, struct kit_process **workers, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        kit_worker_stop(workers[i]);
    finish(b);
}

/* ---- a file of ours ---- */

static void write_file(const char *path, const char *text, mode_t mode)
{
    FILE *out = fopen(path, "we");

    if (!out || fputs(text, out) < 0 || fclose(out) || chmod(path, mode))
        kit_fail("%s cannot be written", path);
}

static void name_file(char path[64], const char *what)
{
    format_text(path, 64, "/tmp/sbkit-%s-XXXXXX", what);
    int fd = mkstemp(path);

    if (fd < 0)
        kit_fail("no file like %s", path);
    close(fd);
}

/* A program that never becomes a broker, and does not end by itself. */
static void make_sleeper(char path[64])
{
    name_file(path, "sleeper");
    write_file(path, "#!/bin/sh\nexec sleep 1000\n", 0700);
}

/* ---- clients ---- */

/* What comes until the end of the stream. Ends the test unless it begins so. */
static void check_greeting(int sock, const char *begin)
{
    char text[256];
    size_t n = 0;
    ssize_t got;

    while (n < sizeof(text) - 1 && (got = recv(sock, text + n, sizeof(text) - 1 - n, 0)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            kit_fail("a client got %s after %zu bytes", strerror(errno), n);
        n += (size_t)got;
    }
    text[n] = '\0';
    if (strncmp(text, begin, strlen(begin)))
        kit_fail("a client got \"%s\"", text);
    kit_close(&sock);
}

static void greet(uint16_t port, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        check_greeting(kit_connect(NULL, i % 2 ? "127.0.0.1" : "::1", port), "hello from");
}

/* One request on a connection that stays. */
static void ask_http(int sock)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    char text[4096];
    size_t n = 0;
    const char *body;

    if (send(sock, request, sizeof(request) - 1, MSG_NOSIGNAL) != sizeof(request) - 1)
        kit_fail("a keep-alive connection is over");
    for (;;) {
        ssize_t got = recv(sock, text + n, sizeof(text) - 1 - n, 0);

        if (got <= 0)
            kit_fail("a keep-alive connection ended after %zu bytes of an answer", n);
        n += (size_t)got;
        text[n] = '\0';
        body = strstr(text, "\r\n\r\n");
        const char *len = strstr(text, "Content-Length: ");
        if (body && len && n >= (size_t)(body + 4 - text) + strtoul(len + 16, NULL, 10))
            break;
    }
    if (strncmp(text, "HTTP/1.1 200", 12))
        kit_fail("a keep-alive client got \"%.60s\"", text);
}

/* ---- under load ---- */

static struct kit_process *start_sample(struct kit_broker *b, const char *program, const char *name, const char *endpoint)
{
    struct kit_process *p = kit_process_start(
        name, program, &(struct kit_start){ .args = { "--dir", b->dir, "--endpoint", endpoint, "--name", name } });

    kit_process_wait_log(p, "ready");
    kit_broker_wait_worker(b, name, "ready");
    return p;
}

static void stop_sample(struct kit_process *p)
{
    kit_process_ask_end(p);
    assert_int_equal(kit_process_wait(p), 0);
    kit_process_free(p);
}

static struct kit_process *start_generation(struct kit_broker *b, unsigned number)
{
    char name[16], generation[16];

    format_text(name, sizeof(name), "g%u", number);
    format_text(generation, sizeof(generation), "%u", number);
    struct kit_process *w = kit_worker_start(b, name, "hello", &(struct kit_start){ .args = { "--generation", generation } });
    kit_broker_wait_worker(b, name, "ready");
    return w;
}

static void print_frozen(const struct kit_broker *b)
{
    unsigned long worst_us = 0, sum_us = 0;
    unsigned n = 0;

    for (const char *at = b->process->log; at && (at = strstr(at, "frozen_us=")); n++) {
        unsigned long us = strtoul(at += 10, NULL, 10);

        worst_us = us > worst_us ? us : worst_us;
        sum_us += us;
    }
    print_message("%u upgrades: nothing was served for %.2f ms at the worst, %.2f on average\n", n, (double)worst_us / 1000,
                  n ? (double)sum_us / 1000 / n : 0.0);
}

/* F51: short connections over both families, and long ones, while the broker is replaced again and again. */
static void no_client_notices_upgrades_under_load(void **state)
{
    enum { LONG = 10, GENERATIONS = 3 };
    unsigned n_upgrades = 2 * kit_scale();
    unsigned total = kit_scale() > 1 ? 50000 * kit_scale() : 8000;
    struct kit_broker *b =
        kit_broker_start(&(struct kit_start){ .args = { "--endpoint", "web=[::]:0", "--endpoint", "http=[::]:0" } });
    struct kit_process *workers[GENERATIONS];
    struct kit_load_result r;
    int longs[LONG];

    (void)state;
    for (unsigned i = 0; i < GENERATIONS; i++)
        workers[i] = start_generation(b, i + 1);
    struct kit_process *http = start_sample(b, SB_HTTP_WORKER, "h1", "http");
    uint16_t http_port = kit_broker_port(b, "http");
    for (unsigned i = 0; i < LONG; i++) {
        longs[i] = kit_connect(NULL, i % 2 ? "127.0.0.1" : "::1", http_port);
        ask_http(longs[i]);
    }
    kit_load_run(&(struct kit_load_options){ .port = kit_broker_port(b, "web"), .total = total / 4 }, &r);
    kit_load_print("without upgrades", &r);
    struct kit_load *load = kit_load_start(&(struct kit_load_options){ .port = kit_broker_port(b, "web"), .total = total });
    for (unsigned i = 0; i < n_upgrades; i++) {
        kit_load_wait(load, total / (n_upgrades + 1) * (i + 1));
        kit_upgrade(b);
        for (unsigned k = 0; k < LONG; k++)
            ask_http(longs[k]);
    }
    kit_load_finish(load, &r);
    kit_load_print("with upgrades", &r);
    print_frozen(b);
    kit_load_check_all_answered(&r, total);
    assert_int_equal(r.n_workers, GENERATIONS);
    kit_broker_wait_settled(b);
    assert_int_equal(kit_counters(b, "web").accepted, total + total / 4);
    assert_int_equal(kit_counters(b, "web").acked, total + total / 4);
    for (unsigned i = 0; i < LONG; i++)
        kit_close(&longs[i]);
    stop_sample(http);
    stop_all(b, workers, GENERATIONS);
}

static void many_workers_take_no_time(void **state)
{
    enum { WORKERS = 100 / FAULT_SLOWNESS };
    struct kit_broker *b = start("web=[::]:0");
    struct kit_process *workers[WORKERS];

    (void)state;
    for (unsigned i = 0; i < WORKERS; i++) {
        char name[16];

        format_text(name, sizeof(name), "w%u", i);
        workers[i] = kit_worker_launch(b, name, "hello", NULL);
    }
    kit_broker_wait_ready(b, WORKERS);
    kit_upgrade(b);
    kit_upgrade(b);
    kit_broker_wait_ready(b, WORKERS);
    fault_check_serves(b, 200);
    print_frozen(b);
    for (unsigned i = 0; i < WORKERS; i++)
        assert_false(kit_process_has_log(workers[i], "state attaching\nready"));
    stop_all(b, workers, WORKERS);
}

/* ---- what an upgrade must refuse ---- */

static void check_refused(struct kit_broker *b, const char *const *args, const char *why)
{
    char output[OUTPUT];
    pid_t pid = kit_upgrade_pid(b);

    assert_int_equal(kit_upgrade_run(b, args, output, sizeof(output)), 1);
    if (!strstr(output, why))
        kit_fail("the upgrade says \"%s\" and not \"%s\"", output, why);
    assert_int_equal(kit_upgrade_pid(b), pid);
    fault_check_serves(b, 20);
}

/* F52 */
static void a_wrong_program_changes_nothing(void **state)
{
    struct kit_broker *b = start("web=[::]:0");
    struct kit_process *w = start_worker(b, "w1");
    char sleeper[64];

    (void)state;
    make_sleeper(sleeper);
    check_refused(b, (const char *const[]){ "--binary", "/bin/false", NULL }, "ended with exit code 1");
    check_refused(b, (const char *const[]){ "--binary", "/etc/passwd", NULL }, "EACCES");
    check_refused(b, (const char *const[]){ "--binary", "/bin", NULL }, "EACCES");
    check_refused(b, (const char *const[]){ "--binary", sleeper, "--timeout", "300", NULL }, "was not ready within 300 ms");
    unlink(sleeper);
    kit_upgrade(b);
    fault_check_serves(b, 20);
    kit_worker_stop(w);
    kit_broker_wait_ready(b, 0);
    kit_broker_wait_idle_fds(b);
    finish(b);
}

/* Who asks at that moment is answered by the next broker. */
static void status_is_answered_all_the_while(void **state)
{
    struct kit_broker *b = start("web=[::]:0");
    char output[OUTPUT];

    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        struct kit_process *command = kit_upgrade_start(b, NULL);

        for (unsigned j = 0; j < 4; j++) {
            if (kit_run((const char *const[]){ "status", "--dir", b->dir, NULL }, output, OUTPUT))
                kit_fail("%s", output);
        }
        assert_int_equal(kit_process_wait(command), 0);
        kit_process_free(command);
        kit_upgrade_follow(b, 0);
    }
    finish(b);
}

static void wrong_usage_is_said(void **state)
{
    struct kit_broker *b = start("web=[::]:0");
    char output[OUTPUT];

    (void)state;
    assert_int_equal(kit_upgrade_run(b, (const char *const[]){ "--binary", "/nonexistent", NULL }, output, OUTPUT), 2);
    assert_int_equal(kit_upgrade_run(b, (const char *const[]){ "--timeout", "99", NULL }, output, OUTPUT), 2);
    assert_int_equal(kit_upgrade_run(b, (const char *const[]){ "--timeout", "x", NULL }, output, OUTPUT), 2);
    assert_int_equal(kit_upgrade_run(b, (const char *const[]){ "now", NULL }, output, OUTPUT), 2);
    assert_int_equal(kit_run((const char *const[]){ "upgrade", "--dir", "/tmp/sbkit-nobody", NULL }, output, OUTPUT), 3);
    kit_broker_stop(b);
}

/* F57 */
static void another_version_takes_nothing(void **state)
{
    static const char *const sides[] = { "SOCKBROKER_FAILPOINTS=takeover_new_version=EPROTO",
                                         "SOCKBROKER_FAILPOINTS=takeover_old_version=EPROTO" };

    (void)state;
    fault_need_failpoints();
    for (size_t i = 0; i < 2; i++) {
        struct kit_broker *b =
            kit_broker_start(&(struct kit_start){ .args = { "--endpoint", "web=[::]:0" }, .env = { sides[i] } });
        struct kit_process *w = start_worker(b, "w1");

        check_refused(b, NULL, "of the takeover");
        kit_worker_stop(w);
        finish(b);
    }
}

/* F56 */
static void of_many_upgrades_one_runs_and_the_others_are_busy(void **state)
{
    enum { OTHERS = 10 };
    struct kit_broker *b = start("web=[::]:0");
    char sleeper[64], output[OUTPUT];

    (void)state;
    make_sleeper(sleeper);
    struct kit_process *one = kit_upgrade_start(b, (const char *const[]){ "--binary", sleeper, "--timeout", "20000", NULL });
    pid_t heir = kit_upgrade_heir(b, 1);
    for (unsigned i = 0; i < OTHERS; i++) {
        assert_int_equal(kit_upgrade_run(b, NULL, output, sizeof(output)), 1);
        assert_non_null(strstr(output, "under way already"));
    }
    kit_process_signal(b->process, SIGUSR2);
    kit_broker_wait_log(b, "event=signal name=\"SIGUSR2\"");
    assert_int_equal(kill(heir, SIGKILL), 0);
    assert_int_equal(kit_process_wait(one), 1);
    kit_process_wait_log(one, "was ended by signal 9");
    kit_process_free(one);
    unlink(sleeper);
    kit_upgrade(b);
    kit_broker_stop(b);
}

static void a_signal_does_it_too(void **state)
{
    struct kit_broker *b = start("web=[::]:0");
    struct kit_process *w = start_worker(b, "w1");

    (void)state;
    kit_process_signal(b->process, SIGUSR2);
    kit_upgrade_follow(b, 0);
    fault_check_serves(b, 20);
    stop_all(b, &w, 1);
}

static void copy_broker(const char *to)
{
    struct kit_process *cp =
        kit_process_start("cp", "/bin/cp", &(struct kit_start){ .args = { "--remove-destination", SB_BROKER_EXE, to } });

    assert_int_equal(kit_process_wait(cp), 0);
    kit_process_free(cp);
}

static bool runs_from(pid_t pid, const char *path)
{
    char link[64], found[256];

    format_text(link, sizeof(link), "/proc/%d/exe", (int)pid);
    ssize_t n = readlink(link, found, sizeof(found) - 1);
    found[n < 0 ? 0 : n] = '\0';
    return !strcmp(found, path);
}

/* As a package manager does it: the running program's file is another one now. */
static void a_replaced_file_is_the_new_program(void **state)
{
    struct kit_broker *b = start("web=[::]:0");
    struct kit_process *w = start_worker(b, "w1");
    char path[64];

    (void)state;
    name_file(path, "binary");
    copy_broker(path);
    assert_int_equal(kit_upgrade_run(b, (const char *const[]){ "--binary", path, NULL }, NULL, 0), 0);
    kit_upgrade_follow(b, 0);
    assert_true(runs_from(b->process->pid, path));
    copy_broker(path);
    assert_false(runs_from(b->process->pid, path)); /* "(deleted)" */
    kit_upgrade(b);
    assert_true(runs_from(b->process->pid, path));
    fault_check_serves(b, 20);
    stop_all(b, &w, 1);
    unlink(path);
}

/* ---- interrupted ---- */

#define STEPS 9
#define HALF 4

static void await_outcome(struct kit_broker *b, bool new_one_fails)
{
    if (new_one_fails)
        kit_broker_wait_log(b, "event=upgrade_failed");
    else
        kit_broker_wait_log(b, "event=taken_over");
}

/* Who was stopped or killed is dead at the end; exactly one broker is there, and no client has noticed. */
static void interrupt(const char *side, unsigned step, const char *action)
{
    char rule[96];
    bool is_new = !strcmp(side, "new");
    struct kit_load_result r;

    format_text(rule, sizeof(rule), "SOCKBROKER_FAILPOINTS=takeover_%s_%u=%s", side, step, action);
    struct kit_broker *b = kit_broker_start(&(struct kit_start){ .args = { "--endpoint", "web=[::]:0" }, .env = { rule } });
    struct kit_process *workers[2] = { start_worker(b, "w1"), start_worker(b, "w2") };
    struct kit_load *load =
        kit_load_start(&(struct kit_load_options){ .port = kit_broker_port(b, "web"), .total = 600, .per_second = 600 });
    kit_load_wait(load, 100);
    struct kit_process *command = kit_upgrade_start(b, (const char *const[]){ "--timeout", is_new ? "1500" : "30000", NULL });
    await_outcome(b, is_new);
    assert_int_equal(kit_process_wait(command), 1);
    kit_process_free(command);
    if (!is_new)
        kit_upgrade_follow(b, 128 + SIGKILL);
    kit_load_finish(load, &r);
    print_message("%s: slowest %u ms\n", rule, r.slowest_ms);
    kit_load_check_all_answered(&r, 600);
    assert_int_equal(kit_upgrade_pid(b), b->process->pid);
    kit_broker_wait_ready(b, 2);
    fault_check_serves(b, 20);
    stop_all(b, workers, 2);
}

static void interrupt_steps(const char *side, const char *action, unsigned first, unsigned last)
{
    fault_need_failpoints();
    for (unsigned step = first; step <= last; step++)
        interrupt(side, step, action);
}

static void old_killed_at_any_step_is_followed_by_the_new(void **state)
{
    (void)state;
    interrupt_steps("old", "kill", 1, STEPS);
}

/* Each of these waits for somebody's patience to end: in two parts, which run side by side. */
static void old_stopped_at_an_early_step_is_followed_by_the_new(void **state)
{
    (void)state;
    interrupt_steps("old", "stop", 1, HALF);
}

static void old_stopped_at_a_late_step_is_followed_by_the_new(void **state)
{
    (void)state;
    interrupt_steps("old", "stop", HALF + 1, STEPS);
}

static void new_killed_at_any_step_leaves_the_old(void **state)
{
    (void)state;
    interrupt_steps("new", "kill", 1, STEPS);
}

static void new_stopped_at_an_early_step_leaves_the_old(void **state)
{
    (void)state;
    interrupt_steps("new", "stop", 1, HALF);
}

static void new_stopped_at_a_late_step_leaves_the_old(void **state)
{
    (void)state;
    interrupt_steps("new", "stop", HALF + 1, STEPS);
}

/* ---- told to stop meanwhile (F55) ---- */

static void a_stop_waits_for_the_end_of_a_failing_upgrade(void **state)
{
    struct kit_broker *b = start("web=[::]:0");
    char sleeper[64];

    (void)state;
    make_sleeper(sleeper);
    struct kit_process *command =
        kit_upgrade_start(b, (const char *const[]){ "--binary", sleeper, "--timeout", "20000", NULL });
    pid_t heir = kit_upgrade_heir(b, 1);
    kit_process_ask_end(b->process);
    kit_broker_wait_log(b, "event=stop_waits");
    assert_int_equal(kit_upgrade_pid(b), b->process->pid); /* it serves */
    kill(heir, SIGKILL);
    assert_int_equal(kit_process_wait(command), 1);
    kit_process_free(command);
    assert_int_equal(kit_process_wait(b->process), 0);
    kit_broker_free(b);
    unlink(sleeper);
}

static void a_second_stop_does_not_wait(void **state)
{
    struct kit_broker *b = start("web=[::]:0");
    char sleeper[64];

    (void)state;
    make_sleeper(sleeper);
    struct kit_process *command =
        kit_upgrade_start(b, (const char *const[]){ "--binary", sleeper, "--timeout", "20000", NULL });
    pid_t heir = kit_upgrade_heir(b, 1);
    kit_process_ask_end(b->process);
    kit_broker_wait_log(b, "event=stop_waits");
    kit_process_ask_end(b->process);
    assert_int_equal(kit_process_wait(b->process), 0);
    assert_int_equal(kit_process_wait(command), 1);
    kit_process_free(command);
    kit_until(kill(heir, 0) && errno == ESRCH);
    kit_broker_free(b);
    unlink(sleeper);
}

static void a_stop_of_the_old_leaves_the_new(void **state)
{
    (void)state;
    fault_need_failpoints();
    struct kit_broker *b = kit_broker_start(
        &(struct kit_start){ .args = { "--endpoint", "web=[::]:0" }, .env = { "SOCKBROKER_FAILPOINTS=takeover_new_3=stop" } });
    struct kit_process *w = start_worker(b, "w1");
    struct kit_process *command = kit_upgrade_start(b, NULL);
    struct kit_process heir = { .pid = kit_upgrade_heir(b, 1), .title = "heir" };

    kit_process_ask_end(b->process);
    kit_broker_wait_log(b, "event=stop_waits");
    kit_process_wait_stopped(&heir);
    kit_process_go_on(&heir);
    assert_int_equal(kit_process_wait(command), 0);
    kit_process_free(command);
    kit_upgrade_follow(b, 0);
    fault_check_serves(b, 20);
    stop_all(b, &w, 1);
}

/* ---- another configuration (F58) ---- */

static void sockets_follow_the_configuration(void **state)
{
    char path[64], text[512];
    struct kit_answer a;

    (void)state;
    name_file(path, "conf");
    write_file(path, "endpoint stays { address = \"[::]:0\" }\nendpoint goes { address = \"[::]:0\" }\n", 0600);
    struct kit_broker *b = kit_broker_start(&(struct kit_start){ .args = { "--config", path } });
    struct kit_process *w = kit_worker_start(b, "w1", "hello", &(struct kit_start){ .args = { "--endpoint", "stays,goes" } });
    uint16_t stays = kit_broker_port(b, "stays"), goes = kit_broker_port(b, "goes");
    unsigned long inode = kit_listener_number(AF_INET6, stays);
    kit_broker_wait_worker(b, "w1", "ready");
    format_text(text, sizeof(text),
                "endpoint stays { address = \"[::]:%u\" }\nendpoint comes { address = \"[::]:0\" }\n"
                "endpoint datagrams { address = \"[::]:%u\"\n protocol = udp\n mode = share }\n",
                stays, stays);
    write_file(path, text, 0600);
    kit_upgrade(b);
    assert_true(inode && kit_listener_number(AF_INET6, stays) == inode);
    kit_until(kit_is_refused("127.0.0.1", goes));
    struct kit_process *late = kit_worker_start(b, "w2", "hello", &(struct kit_start){ .args = { "--endpoint", "comes" } });
    kit_broker_wait_worker(b, "w2", "ready");
    kit_read_only_answer(kit_connect(NULL, "127.0.0.1", stays), &a);
    assert_string_equal(a.worker, "w1");
    kit_read_only_answer(kit_connect(NULL, "::1", kit_broker_port(b, "comes")), &a);
    assert_string_equal(a.worker, "w2");
    kit_worker_stop(late);
    stop_all(b, &w, 1);
    unlink(path);
}

static void a_wrong_configuration_leaves_the_old_broker(void **state)
{
    char path[64], output[OUTPUT];

    (void)state;
    name_file(path, "conf");
    write_file(path, "endpoint web { address = \"[::]:0\" }\n", 0600);
    struct kit_broker *b = kit_broker_start(&(struct kit_start){ .args = { "--config", path } });
    struct kit_process *w = start_worker(b, "w1");

    write_file(path, "endpoint web { address = \"nowhere\" }\n", 0600);
    check_refused(b, NULL, "nowhere");
    write_file(path, "endpoint web { address = \"[::]:0\" }\nendpoint more { address = \"192.0.2.1:9\" }\n", 0600);
    check_refused(b, NULL, "192.0.2.1");
    write_file(path, "endpoint web { address = \"[::]:0\" }\n", 0600);
    assert_int_equal(kit_upgrade_run(b, NULL, output, sizeof(output)), 0);
    kit_upgrade_follow(b, 0);
    fault_check_serves(b, 20);
    stop_all(b, &w, 1);
    unlink(path);
}

/* ---- what is on its way ---- */

static void held_connections_find_their_worker_at_the_new_broker(void **state)
{
    enum { CLIENTS = 30 };
    struct kit_broker *b = start("web=[::]:0");
    int socks[CLIENTS];

    (void)state;
    fault_connect_many(kit_broker_port(b, "web"), socks, CLIENTS);
    fault_wait_held(b, CLIENTS);
    kit_upgrade(b);
    fault_wait_held(b, CLIENTS);
    struct kit_process *w = start_worker(b, "w1");
    assert_int_equal(fault_answers_by(socks, CLIENTS, "w1"), CLIENTS);
    assert_int_equal(kit_counters(b, "web").accepted, CLIENTS);
    stop_all(b, &w, 1);
}

/* The worker reads some of what the old broker sent; the rest is taken back by the new one. */
static void leases_go_on_and_can_be_withdrawn(void **state)
{
    enum { CLIENTS = 10 };
    struct kit_broker *b = start("web=[::]:0,withdraw_after_ms=60000");
    struct kit_process *idle = kit_worker_start(b, "idle", "none", NULL);
    int socks[CLIENTS];

    (void)state;
    kit_broker_wait_worker(b, "idle", "ready");
    fault_connect_many(kit_broker_port(b, "web"), socks, CLIENTS);
    fault_wait_unacked(b, "idle", CLIENTS);
    kit_upgrade(b);
    fault_wait_unacked(b, "idle", CLIENTS);
    kit_process_tell(idle, "take 3");
    fault_wait_unacked(b, "idle", CLIENTS - 3);
    kit_process_kill(idle);
    struct kit_process *w = start_worker(b, "w1");
    assert_int_equal(fault_answers_by(socks, CLIENTS, "w1"), CLIENTS - 3);
    assert_int_equal(kit_counters(b, "web").withdrawn, CLIENTS - 3);
    stop_all(b, &w, 1);
}

static void deposits_come_along(void **state)
{
    enum { STATE = 40000 };
    static char left[STATE], found[SOCKBROKER_STATE_MAX];
    struct sockbroker_worker_options options = SOCKBROKER_WORKER_OPTIONS_INIT;
    struct sockbroker_deposit deposit = SOCKBROKER_DEPOSIT_INIT;
    struct sockbroker_worker *w;
    struct sockbroker_error error;
    struct sockbroker_conn conn;
    size_t len = 0;
    struct kit_broker *b = start("web=[::]:0");
    sockbroker_socket client = kit_connect(NULL, "127.0.0.1", kit_broker_port(b, "web"));

    (void)state;
    options.dir = b->dir;
    options.endpoints = "web";
    options.name = "depositor";
    assert_int_equal(sockbroker_worker_open(&options, &w, &error), SOCKBROKER_OK);
    assert_int_equal(sockbroker_worker_next(w, KIT_WAIT_MS, &conn), SOCKBROKER_OK);
    memset(left, 'x', sizeof(left));
    left[STATE - 1] = 'y';
    deposit.name = "d1";
    deposit.sock = conn.sock;
    deposit.state = left;
    deposit.state_len = sizeof(left);
    if (sockbroker_worker_deposit(w, &deposit, &error))
        kit_fail("no deposit: %s", error.text);
    close(conn.sock);
    assert_int_equal(send(client, "unread", 6, MSG_NOSIGNAL), 6);
    kit_upgrade(b);
    kit_broker_wait_worker(b, "depositor", "ready");
    sockbroker_status st;
    kit_until((st = sockbroker_worker_withdraw(w, "d1", &conn, found, sizeof(found), &len, &error)) == SOCKBROKER_OK ||
              (st != SOCKBROKER_NO_BROKER && st != SOCKBROKER_CLOSED)); /* its way to the new broker takes a moment */
    assert_int_equal(st, SOCKBROKER_OK);
    assert_int_equal(len, STATE);
    assert_memory_equal(found, left, STATE);
    assert_int_equal(recv(conn.sock, found, sizeof(found), 0), 6);
    close(conn.sock);
    kit_close(&client);
    sockbroker_worker_close(w);
    finish(b);
}

static void relay_upgrade(struct kit_broker *b, struct kit_process *w, uint16_t port)
{
    enum { WAITING = 8 };
    int socks[WAITING];

    greet(port, 10);
    kit_process_stop(w);
    for (unsigned i = 0; i < WAITING; i++)
        socks[i] = kit_connect(NULL, i % 2 ? "127.0.0.1" : "::1", port);
    kit_upgrade(b);
    kit_process_go_on(w);
    for (unsigned i = 0; i < WAITING; i++)
        check_greeting(socks[i], "hello from");
    greet(port, 10);
    kit_broker_wait_worker(b, w->title, "ready");
    assert_int_equal(kit_counters(b, "web").repaired, 0);
}

/* Workers that accept by themselves have their sockets, and what waits in their queues. */
static void listening_sockets_of_workers_stay_as_they_are(void **state)
{
    static const char *const endpoints[] = { "web=[::]:0,mode=share", "web=[::]:0,mode=shard,slots=4" };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct kit_broker *b = start(endpoints[i]);
        struct kit_process *w = start_sample(b, SB_SHARE_WORKER, "s1", "web");
        uint16_t port = kit_broker_port(b, "web");

        relay_upgrade(b, w, port);
        struct kit_process *second = start_sample(b, SB_SHARE_WORKER, "s2", "web"); /* gets a slot of its own */
        greet(port, 40);
        stop_sample(w);
        kit_broker_wait_worker(b, "s1", "gone");
        greet(port, 20);
        stop_sample(second);
        finish(b);
    }
}

static int open_udp(const char *host, uint16_t port)
{
    struct sockaddr_storage to;
    socklen_t len = net_address(host, port, &to);
    struct timeval wait = { .tv_sec = KIT_WAIT_MS / 1000 };
    int sock = socket(to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (sock < 0 || setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) ||
        connect(sock, (struct sockaddr *)&to, len))
        kit_fail("no UDP socket: %s", strerror(errno));
    return sock;
}

static void datagrams_wait_for_their_worker(void **state)
{
    static const char *const endpoints[] = { "echo=[::]:0,protocol=udp,mode=share",
                                             "echo=[::]:0,protocol=udp,mode=shard,slots=2" };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct kit_broker *b = start(endpoints[i]);
        struct kit_process *w = start_sample(b, SB_UDP_WORKER, "u1", "echo");
        char text[16];

        kit_process_stop(w);
        for (unsigned k = 0; k < 2; k++) {
            int sock = open_udp(k ? "127.0.0.1" : "::1", kit_broker_port(b, "echo"));

            assert_int_equal(send(sock, "there", 5, 0), 5);
            if (!k)
                kit_upgrade(b);
            kit_process_go_on(w);
            assert_int_equal(recv(sock, text, sizeof(text), 0), 5);
            close(sock);
        }
        assert_int_equal(kit_counters(b, "echo").repaired, 0);
        stop_sample(w);
        finish(b);
    }
}

/* ---- what is left behind ---- */

/* F60, F61 */
static void the_new_broker_has_exactly_what_the_old_one_had(void **state)
{
    static struct kit_kinds before, after;
    struct kit_broker *b = start("web=[::]:0");
    char path[192];
    unsigned n = 0;

    (void)state;
    kit_kinds_of(b->process->pid, &before);
    for (unsigned i = 0; i < 3; i++) {
        kit_upgrade(b);
        kit_broker_wait_idle_fds(b);
    }
    kit_kinds_of(b->process->pid, &after);
    kit_kinds_check_same(&before, &after);
    DIR *dir = opendir(b->dir);
    for (struct dirent *e = readdir(dir); e; e = readdir(dir))
        n += e->d_name[0] != '.';
    closedir(dir);
    assert_int_equal(n, 3); /* control, handoff, lock */
    format_text(path, sizeof(path), "%s/control", b->dir);
    assert_int_equal(access(path, F_OK), 0);
    kit_broker_stop(b);
}

static void the_runtime_directory_is_never_free(void **state)
{
    struct kit_broker *b = start("web=[::]:0");
    char output[OUTPUT];

    (void)state;
    kit_upgrade(b);
    assert_int_equal(
        kit_run((const char *const[]){ "serve", "--endpoint", "other=[::]:0", "--dir", b->dir, NULL }, output, OUTPUT), 1);
    assert_non_null(strstr(output, "already running"));
    kit_broker_stop(b);
}

#define UPGRADE_TEST(f) cmocka_unit_test_setup_teardown(f, kit_upgrade_setup, kit_upgrade_teardown)

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        UPGRADE_TEST(no_client_notices_upgrades_under_load),
        UPGRADE_TEST(many_workers_take_no_time),
        UPGRADE_TEST(a_wrong_program_changes_nothing),
        UPGRADE_TEST(status_is_answered_all_the_while),
        UPGRADE_TEST(wrong_usage_is_said),
        UPGRADE_TEST(another_version_takes_nothing),
        UPGRADE_TEST(of_many_upgrades_one_runs_and_the_others_are_busy),
        UPGRADE_TEST(a_signal_does_it_too),
        UPGRADE_TEST(a_replaced_file_is_the_new_program),
        UPGRADE_TEST(old_killed_at_any_step_is_followed_by_the_new),
        UPGRADE_TEST(old_stopped_at_an_early_step_is_followed_by_the_new),
        UPGRADE_TEST(old_stopped_at_a_late_step_is_followed_by_the_new),
        UPGRADE_TEST(new_killed_at_any_step_leaves_the_old),
        UPGRADE_TEST(new_stopped_at_an_early_step_leaves_the_old),
        UPGRADE_TEST(new_stopped_at_a_late_step_leaves_the_old),
        UPGRADE_TEST(a_stop_waits_for_the_end_of_a_failing_upgrade),
        UPGRADE_TEST(a_second_stop_does_not_wait),
        UPGRADE_TEST(a_stop_of_the_old_leaves_the_new),
        UPGRADE_TEST(sockets_follow_the_configuration),
        UPGRADE_TEST(a_wrong_configuration_leaves_the_old_broker),
        UPGRADE_TEST(held_connections_find_their_worker_at_the_new_broker),
        UPGRADE_TEST(leases_go_on_and_can_be_withdrawn),
        UPGRADE_TEST(deposits_come_along),
        UPGRADE_TEST(listening_sockets_of_workers_stay_as_they_are),
        UPGRADE_TEST(datagrams_wait_for_their_worker),
        UPGRADE_TEST(the_new_broker_has_exactly_what_the_old_one_had),
        UPGRADE_TEST(the_runtime_directory_is_never_free),
    };

    return kit_main(tests, argc, argv);
}
