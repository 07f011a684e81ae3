/* Workers that the broker starts itself, as far as it is POSIX alone: descriptors, scripts, signals, other users, upgrades. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/supervise_kit.h"
#include "tests/support/format.h"
#include "tests/support/kit_upgrade.h"
#include "tests/support/net.h"

/* A worker's program, which a test changes between generations. */
struct script {
    char path[48];
};

static void write_script(const struct script *s, const char *text)
{
    char fresh[64];

    format_text(fresh, sizeof(fresh), "%s.new", s->path); /* one that runs must not change under its shell */
    FILE *f = fopen(fresh, "we");
    if (!f || fprintf(f, "#!/bin/sh\n%s\n", text) < 0 || fchmod(fileno(f), 0755) || fclose(f) || rename(fresh, s->path))
        kit_fail("%s cannot be written", s->path);
}

static void open_script(struct script *s, const char *text)
{
    format_text(s->path, sizeof(s->path), "/tmp/sbkit-script-XXXXXX");
    int fd = mkstemp(s->path);

    if (fd < 0)
        kit_fail("no file like %s", s->path);
    close(fd);
    write_script(s, text);
}

#define RUN_HELLO "exec " SB_WORKER_EXE " --spawned --mode hello"
#define RUN_HOLD "exec " SB_WORKER_EXE " --spawned --mode hold"

static struct kit_process *run_in_background(struct kit_broker *b, const char *command)
{
    return kit_run_start((const char *const[]){ command, "--dir", b->dir, NULL });
}

/* ---- start ---- */

/* "0 -> /dev/null" and the like, one line each. */
static void list_descriptors(pid_t pid, char *out, size_t room)
{
    char path[64], target[128];

    out[0] = '\0';
    for (int fd = 0; fd < 256; fd++) {
        format_text(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, fd);
        ssize_t n = readlink(path, target, sizeof(target) - 1);
        size_t len = strlen(out);

        if (n < 0)
            continue;
        target[n] = '\0';
        target[strcspn(target, ":")] = '\0';
        format_text(out + len, room - len, "%d -> %s\n", fd, target);
    }
}

static bool is_called(pid_t pid, const char *name)
{
    char path[64], text[32] = "";

    format_text(path, sizeof(path), "/proc/%d/comm", (int)pid);
    FILE *f = fopen(path, "re");
    bool is = f && fgets(text, sizeof(text), f) && !strncmp(text, name, strlen(name));
    if (f)
        fclose(f);
    return is;
}

/* Also when the broker holds connections, listeners, pairs and a descriptor that it was started with. */
static void start_hands_on_three_descriptors_only(void **state)
{
    char found[1024];
    struct script s;
    struct kit_answer a;

    (void)state;
    open_script(&s, "case $SOCKBROKER_NAME in *-1) " RUN_HOLD ";; *) exec sleep 600;; esac");
    struct kit_broker *b = start(&(struct kit_start){ .args = { "--endpoint", "web=[::]:0", "--", s.path } });
    kit_broker_wait_ready(b, 1);
    sockbroker_socket sock = held_connection(b, &a);
    must_run(b, "scale", "workers", "2");
    wait_slot(b, "workers-1-2", "starting");
    pid_t pid = (pid_t)slot_now(b, "workers-1-2").pid;
    kit_until(is_called(pid, "sleep"));
    list_descriptors(pid, found, sizeof(found));
    assert_string_equal(found, "0 -> /dev/null\n1 -> pipe\n2 -> pipe\n");
    assert_int_equal(getsid(pid), pid);
    kit_close(&sock);
    kit_broker_stop(b);
    unlink(s.path);
}

static void start_gives_workers_their_environment(void **state)
{
    struct script conf;
    char text[2048];

    (void)state;
    open_script(&conf, "");
    format_text(
        text, sizeof(text),
        "endpoint web { address = \"[::]:0\"\n command = {\"%s\", --spawned, --mode, hello}\n env = \"MARK=1\" }\n"
        "endpoint api { address = \"[::]:0\" }\n"
        "group both { command = {sh, -c, 'echo MARK=$MARK IN=$INHERITED E=$SOCKBROKER_ENDPOINT G=$SOCKBROKER_GENERATION; %s'}\n"
        " spawn = 2\n endpoints = {web, api}\n env = {\"MARK=two words\"} }\n",
        SB_WORKER_EXE, RUN_HELLO);
    write_script(&conf, text);
    struct kit_broker *b =
        start(&(struct kit_start){ .args = { "--config", conf.path }, .env = { "INHERITED=yes", "NOTIFY_SOCKET=/nowhere" } });

    kit_broker_wait_ready(b, 3);
    assert_int_equal(kit_worker_status(b, "web-1-1").n_endpoints, 1);
    assert_int_equal(kit_worker_status(b, "both-1-2").n_endpoints, 2);
    kit_broker_wait_log(b, "MARK=two words IN=yes E=web,api G=1\n");
    kit_broker_stop(b);
    unlink(conf.path);
}

/* ---- from one generation to the next ---- */

/* Until the old one is as it was before: nothing of the failed generation is left. */
static void fail_once(struct kit_broker *b, const struct script *s, const char *text, const char *why, int held)
{
    char output[OUTPUT];
    struct sb_status_report r;
    struct kit_answer a;

    write_script(s, text);
    assert_int_equal(run(b, output, "reload", NULL, NULL), 1);
    if (!strstr(output, why) || !strstr(output, "generation 1 goes on"))
        kit_fail("\"%s\" does not say \"%s\"", output, why);
    wait_generations(b, 1);
    kit_status(b, &r);
    assert_int_equal(r.groups[0].generation, 1);
    assert_non_null(strstr(r.groups[0].failure, why));
    sb_status_report_deinit(&r);
    assert_true(kit_is_silent(held, 0));
    kit_broker_wait_ready(b, 2);
    sockbroker_socket sock = held_connection(b, &a);
    kit_close(&sock);
    assert_memory_equal(a.worker, "workers-1-", 10);
}

/* The workers of the new release end, or never become ready: the old ones go on, and everybody is told why. */
static void roll_that_fails_leaves_the_old_generation_serving(void **state)
{
    static const struct {
        const char *script, *why;
    } rows[] = {
        { "exit 7", "exited with 7" },
        { "exec /no/such/program", "exited with 127" },
        { "case $SOCKBROKER_NAME in *-1) " RUN_HELLO ";; *) exit 3;; esac", "exited with 3" },
        { "exec sleep 600", "was not ready within 2000 ms" },
        { "case $SOCKBROKER_NAME in *-1) " RUN_HELLO ";; *) exec sleep 600;; esac", "was not ready within 2000 ms" },
    };
    struct script s;
    struct kit_answer a;
    char name[32];

    (void)state;
    open_script(&s, "case $SOCKBROKER_NAME in *-1) " RUN_HELLO ";; *) " RUN_HOLD ";; esac");
    struct kit_broker *b = start(&(struct kit_start){ .args = { "--endpoint", "web=[::]:0", "--set", "ready_ms=2000", "--set",
                                                                "restart_max=100", "--spawn", "2", "--", s.path } });
    kit_broker_wait_ready(b, 2);
    sockbroker_socket sock = held_connection(b, &a);
    if (strcmp(a.worker, "workers-1-2")) { /* the other one has its turn */
        kit_close(&sock);
        sock = held_connection(b, &a);
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        fail_once(b, &s, rows[i].script, rows[i].why, sock);
    write_script(&s, RUN_HELLO); /* mended */
    must_run(b, "reload", "workers", NULL);
    format_text(name, sizeof(name), "workers-%zu-", sizeof(rows) / sizeof(rows[0]) + 2);
    assert_memory_equal(ask(b).worker, name, strlen(name));
    kit_close(&sock);
    kit_broker_stop(b);
    unlink(s.path);
}

/* The new workers wait at a pipe until the test lets them through. */
static void roll_is_refused_while_another_one_is_under_way(void **state)
{
    char output[OUTPUT], pipe_path[176], text[256];
    struct script s;

    (void)state;
    open_script(&s, RUN_HELLO);
    struct kit_broker *b = start(&(struct kit_start){ .args = { "--endpoint", "web=[::]:0", "--", s.path } });
    kit_broker_wait_ready(b, 1);
    format_text(pipe_path, sizeof(pipe_path), "%s/gate", b->dir);
    assert_int_equal(mkfifo(pipe_path, 0600), 0);
    format_text(text, sizeof(text), "read line <%s; " RUN_HELLO, pipe_path);
    write_script(&s, text);
    struct kit_process *first = run_in_background(b, "reload");
    kit_broker_wait_log(b, "event=generation_starts group=workers generation=2");
    assert_int_equal(run(b, output, "reload", NULL, NULL), 1);
    assert_non_null(strstr(output, "already"));
    assert_int_equal(run(b, output, "scale", "workers", "2"), 1);
    kit_process_signal(b->process, SIGHUP); /* waits for its turn */
    kit_broker_wait_log(b, "event=reload_waits");
    write_script(&s, RUN_HELLO);
    int gate = open(pipe_path, O_WRONLY | O_CLOEXEC); /* comes back when the worker is there */
    assert_int_equal(write(gate, "go\n", 3), 3);
    assert_int_equal(kit_process_wait(first), 0);
    kit_process_free(first);
    close(gate);
    kit_broker_wait_log(b, "event=generation_serves group=workers generation=3 before=2");
    assert_int_equal(kit_process_count_log(b->process, "event=reloaded"), 1);
    wait_generations(b, 1);
    kit_broker_stop(b);
    unlink(s.path);
}

/* ---- leave ---- */

/* It is stopped: it cannot do as it is told. */
static void leave_by_kill_when_term_is_not_enough(void **state)
{
    struct kit_broker *b = start(&(struct kit_start){
        .args = { "--endpoint", "web=[::]:0", "--set", "drain_ms=200", "--set", "term_ms=200", "--", WORKER, "hold" } });
    struct kit_answer a;
    char more;

    (void)state;
    kit_broker_wait_ready(b, 1);
    sockbroker_socket sock = held_connection(b, &a);
    kill(a.pid, SIGSTOP);
    must_run(b, "reload", NULL, NULL);
    kit_broker_wait_log(b, "event=drain_over worker=workers-1-1");
    kit_until(!kit_is_silent(sock, 0)); /* the end of the stream, or a reset */
    assert_true(net_receive(sock, &more, 1) <= 0);
    kit_broker_wait_log(b, how_struck);
    assert_true(kit_process_has_log(b->process, "event=worker_does_not_end worker=workers-1-1"));
    wait_generations(b, 1);
    kit_close(&sock);
    kit_broker_stop(b);
}

/* ---- pause ---- */

/* Somebody else's process may see the status, and change nothing. */
static void pause_scale_and_reload_are_for_the_brokers_own_user(void **state)
{
    static const char *const commands[][3] = {
        { "pause", "web" }, { "resume", "web" }, { "scale", "workers", "1" }, { "reload" }
    };
    char dir[] = "/tmp/sbkit-XXXXXX";

    (void)state;
    if (geteuid())
        skip();
    assert_non_null(mkdtemp(dir));
    assert_int_equal(chmod(dir, 0711), 0);
    struct kit_broker *b = start(&(struct kit_start){
        .dir = dir, .args = { "--endpoint", "web=[::]:0", "--set", "dir_mode=0711", "--", WORKER, "hello" } });
    kit_broker_wait_ready(b, 1);
    for (size_t i = 0; i < 4; i++) {
        struct kit_process *p =
            kit_process_start("stranger", "/usr/bin/setpriv",
                              &(struct kit_start){ .args = { "--reuid=65534", "--regid=65534", "--clear-groups", SB_BROKER_EXE,
                                                             commands[i][0], "--dir", dir, commands[i][1], commands[i][2] } });

        kit_process_wait_log(p, "only the broker's own user and root");
        assert_int_equal(kit_process_wait(p), 1);
        kit_process_free(p);
    }
    kit_broker_wait_worker(b, "workers-1-1", "ready");
    kit_broker_stop(b);
    kit_run((const char *const[]){ "--version", NULL }, NULL, 0);
    char lock[64];
    format_text(lock, sizeof(lock), "%s/lock", dir);
    unlink(lock);
    assert_int_equal(rmdir(dir), 0);
}

/* Under a keeper, so that whoever is orphaned comes to that one. */
static struct kit_broker *start_kept(const char *const *more)
{
    struct kit_start how = { .keeper = true, .args = { "--endpoint", "web=[::]:0", "--set", "restart_delay_ms=10" } };

    for (size_t i = 4; *more; i++)
        how.args[i] = *more++;
    return start(&how);
}

struct wanted_endpoint {
    const char *name, *state;
};

/* kill -9 of the broker below its keeper, and until the next one serves. */
static void crash(struct kit_broker *b)
{
    pid_t before = kit_upgrade_pid(b);

    kill(before, SIGKILL);
    kit_until(kit_upgrade_pid(b) != before);
}

/* True when the endpoint is in that state. */
static bool endpoint_is(const struct sb_status_report *r, void *arg)
{
    const struct wanted_endpoint *w = arg;

    return !strcmp(kit_endpoint(r, w->name)->state, w->state);
}

static void crash_ends_neither_a_pause_nor_what_was_scaled(void **state)
{
    struct kit_broker *b = start_kept((const char *const[]){ "--spawn", "2", "--", WORKER, "hello", NULL });
    struct wanted_endpoint paused = { "web", "paused" }, listening = { "web", "listening" };
    struct kit_answer a;

    (void)state;
    kit_broker_wait_ready(b, 2);
    must_run(b, "scale", "workers", "3");
    must_run(b, "pause", "web", NULL);
    crash(b);
    kit_broker_wait_status(b, endpoint_is, &paused, "a pause");
    int sock = kit_connect(NULL, "::1", kit_broker_port(b, "web"));
    wait_held(b, 1);
    crash(b); /* again, before the workers have their places */
    kit_broker_wait_status(b, endpoint_is, &paused, "a pause");
    wait_slot(b, "workers-1-3", "ready");
    kit_close(&sock); /* what a broker held is lost with it */
    sock = kit_connect(NULL, "127.0.0.1", kit_broker_port(b, "web"));
    wait_held(b, 1);
    must_run(b, "resume", "web", NULL);
    kit_read_only_answer(sock, &a);
    assert_int_equal(kit_process_count_log(b->process, "event=worker_started"), 3);
    must_run(b, "scale", "workers", "2"); /* as configured */
    wait_slot(b, "workers-1-3", "gone");
    crash(b);
    kit_broker_wait_status(b, endpoint_is, &listening, "no pause");
    wait_slot(b, "workers-1-2", "ready");
    kit_broker_wait_ready(b, 2);
    kit_broker_stop(b);
}

/* Directories where the next brokers want their sockets: these brokers fail at their start, after all else. */
static void bar(struct kit_broker *b, bool on)
{
    char path[192];

    for (unsigned i = 0; i < 40; i++) {
        format_text(path, sizeof(path), "%s/h.%u", b->dir, i);
        if (on)
            assert_int_equal(mkdir(path, 0700), 0);
        else
            rmdir(path);
    }
}

static void crash_and_starts_that_fail_cost_neither_clients_nor_workers(void **state)
{
    struct kit_broker *b = start_kept((const char *const[]){ "--spawn", "2", "--", WORKER, "hello", NULL });
    struct kit_answer a;

    (void)state;
    kit_broker_wait_ready(b, 2);
    must_run(b, "reload", NULL, NULL);
    wait_generations(b, 1);
    uint32_t pid = slot_now(b, "workers-2-1").pid;
    uint16_t port = kit_broker_port(b, "web");
    bar(b, true);
    kill(kit_upgrade_pid(b), SIGKILL);
    kit_broker_wait_log(b, "it ended with code 1");
    int sock = kit_connect(NULL, "::1", port);
    unsigned n_failed = kit_process_count_log(b->process, "it ended with code 1");
    kit_until(kit_process_count_log(b->process, "it ended with code 1") >= n_failed + 2);
    bar(b, false);
    kit_read_only_answer(sock, &a);
    wait_slot(b, "workers-2-1", "ready");
    wait_slot(b, "workers-2-2", "ready");
    assert_int_equal(slot_now(b, "workers-2-1").pid, pid);
    assert_int_equal(kit_process_count_log(b->process, "event=worker_started"), 4);
    kit_broker_wait_ready(b, 2);
    kit_broker_stop(b);
}

/* They are nobody's yet, and would wait for a broker for ever. */
static void crash_and_a_stop_right_after_it_leave_nobody(void **state)
{
    (void)state;
    for (unsigned n_signals = 1; n_signals <= 2; n_signals++) {
        struct kit_broker *b = start_kept((const char *const[]){ "--spawn", "2", "--", WORKER, "hello", NULL });

        kit_broker_wait_ready(b, 2);
        crash(b);
        kit_process_signal(b->process, SIGTERM);
        kit_broker_wait_log(b, "event=stop_waits");
        if (n_signals == 2) {
            kit_broker_wait_ready(b, 2);
            kit_process_signal(b->process, SIGTERM);
        }
        assert_int_equal(kit_process_wait(b->process), 0);
        kit_broker_free(b);
    }
}

/* ---- another process takes the broker's place ---- */

static void upgrade_leaves_workers_in_their_places(void **state)
{
    struct kit_broker *b = start_kept((const char *const[]){ "--spawn", "3", "--", WORKER, "hello", NULL });
    static const char *const names[] = { "workers-1-1", "workers-1-2", "workers-1-3" };
    struct sb_slot_status before[3];
    struct kit_load_result r;

    (void)state;
    kit_broker_wait_ready(b, 3);
    for (unsigned i = 0; i < 3; i++)
        before[i] = slot_now(b, names[i]);
    struct kit_load *load = kit_load_start(
        &(struct kit_load_options){ .port = kit_broker_port(b, "web"), .total = 1000, .concurrency = 16, .per_second = 2000 });
    for (unsigned i = 1; i <= 3; i++) {
        kit_load_wait(load, 200 * i);
        must_run(b, "upgrade", NULL, NULL);
    }
    kit_load_finish(load, &r);
    kit_load_check_all_answered(&r, 1000);
    for (unsigned i = 0; i < 3; i++) {
        struct sb_slot_status now = slot_now(b, names[i]);

        assert_string_equal(now.state, "ready");
        assert_int_equal(now.pid, before[i].pid);
        assert_int_equal(now.restarts, 0);
        assert_true(now.since_ms >= before[i].since_ms);
    }
    assert_int_equal(kit_process_count_log(b->process, "event=worker_started"), 3);
    strike(before[1].pid); /* is watched, and replaced */
    kit_broker_wait_log(b, "event=worker_started worker=workers-1-2");
    kit_broker_wait_log(b, "restarts=1");
    wait_slot(b, "workers-1-2", "ready");
    assert_int_equal(slot_now(b, "workers-1-3").pid, before[2].pid);
    must_run(b, "scale", "workers", "2");
    wait_slot(b, "workers-1-3", "gone");
    must_run(b, "upgrade", NULL, NULL);
    wait_slot(b, "workers-1-2", "ready");
    must_run(b, "reload", NULL, NULL);
    wait_generations(b, 1);
    assert_memory_equal(ask(b).worker, "workers-2-", 10);
    kit_broker_stop(b);
}

/* A slot that waits, one that was given up, one that was drained by hand; a generation that leaves. */
static void upgrade_keeps_every_state(void **state)
{
    struct script s;
    struct kit_answer a;

    (void)state;
    open_script(&s, "case $SOCKBROKER_NAME in *-1-2) exit 3;; esac; " RUN_HOLD);
    struct kit_broker *b = start_kept((const char *const[]){ "--set", "restart_max=2", "--spawn", "3", "--", s.path, NULL });
    wait_slot(b, "workers-1-2", "given-up");
    wait_slot(b, "workers-1-1", "ready");
    wait_slot(b, "workers-1-3", "ready");
    must_run(b, "drain", "workers-1-3", NULL);
    wait_slot(b, "workers-1-3", "stopped");
    sockbroker_socket sock = held_connection(b, &a);
    unsigned n_started = kit_process_count_log(b->process, "event=worker_started");
    must_run(b, "upgrade", NULL, NULL);
    wait_slot(b, "workers-1-2", "given-up");
    wait_slot(b, "workers-1-3", "stopped");
    assert_int_equal(slot_now(b, "workers-1-2").restarts, 2);
    assert_int_equal(kit_process_count_log(b->process, "event=worker_started"), n_started);
    must_run(b, "reload", NULL, NULL);
    wait_slot(b, "workers-1-1", "draining");
    must_run(b, "upgrade", NULL, NULL);
    wait_slot(b, "workers-1-1", "draining");
    wait_generations(b, 2);
    kit_close(&sock);
    wait_generations(b, 1);
    kit_broker_stop(b);
    unlink(s.path);
}

/* A shell stands between: all that it leads ends with its slot. */
static void upgrade_knows_workers_behind_a_shell(void **state)
{
    struct script s;

    (void)state;
    open_script(&s, SB_WORKER_EXE " --spawned --mode hello; exit");
    struct kit_broker *b = start_kept((const char *const[]){ "--spawn", "2", "--", s.path, NULL });
    kit_broker_wait_ready(b, 2);
    must_run(b, "upgrade", NULL, NULL);
    strike(slot_now(b, "workers-1-1").pid);
    kit_broker_wait_log(b, "event=worker_started worker=workers-1-1");
    kit_broker_wait_log(b, "restarts=1");
    wait_slot(b, "workers-1-1", "ready");
    kit_broker_wait_ready(b, 2);
    must_run(b, "reload", NULL, NULL);
    wait_generations(b, 1);
    kit_broker_stop(b);
    unlink(s.path);
}

static void upgrade_is_refused_while_a_generation_is_replaced(void **state)
{
    char output[OUTPUT], pipe_path[176], text[256];
    struct script s;

    (void)state;
    open_script(&s, RUN_HELLO);
    struct kit_broker *b = start_kept((const char *const[]){ "--", s.path, NULL });
    kit_broker_wait_ready(b, 1);
    format_text(pipe_path, sizeof(pipe_path), "%s/gate", b->dir);
    assert_int_equal(mkfifo(pipe_path, 0600), 0);
    format_text(text, sizeof(text), "read line <%s; " RUN_HELLO, pipe_path);
    write_script(&s, text);
    struct kit_process *reload = run_in_background(b, "reload");
    kit_broker_wait_log(b, "event=generation_starts group=workers generation=2");
    assert_int_equal(run(b, output, "upgrade", NULL, NULL), 1);
    assert_non_null(strstr(output, "workers are being replaced"));
    int gate = open(pipe_path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(write(gate, "go\n", 3), 3);
    assert_int_equal(kit_process_wait(reload), 0);
    kit_process_free(reload);
    close(gate);
    must_run(b, "upgrade", NULL, NULL);
    kit_broker_stop(b);
    unlink(s.path);
}

static void upgrade_does_not_end_a_pause(void **state)
{
    struct kit_broker *b = start_kept((const char *const[]){ "--", WORKER, "hello", NULL });
    struct wanted_endpoint paused = { "web", "paused" };
    struct kit_answer a;

    (void)state;
    kit_broker_wait_ready(b, 1);
    must_run(b, "pause", "web", NULL);
    sockbroker_socket sock = kit_connect(NULL, "::1", kit_broker_port(b, "web"));
    wait_held(b, 1);
    must_run(b, "upgrade", NULL, NULL);
    kit_broker_wait_status(b, endpoint_is, &paused, "a pause");
    wait_held(b, 1);
    must_run(b, "resume", "web", NULL);
    kit_read_only_answer(sock, &a);
    kit_broker_stop(b);
}

/* The new broker reads the configuration: groups come and go with it. */
static void upgrade_brings_groups_in_line_with_the_configuration(void **state)
{
    static const char before[] = "endpoint web { address = \"[::]:0\" }\n"
                                 "group a { command = {" SB_WORKER_EXE ", --spawned, --mode, hello} }\n"
                                 "group b { command = {" SB_WORKER_EXE ", --spawned, --mode, hello} }\n";
    static const char after[] = "endpoint web { address = \"[::]:0\" }\n"
                                "group b { command = {" SB_WORKER_EXE ", --spawned, --mode, hello} spawn = 2 }\n"
                                "group c { command = {" SB_WORKER_EXE ", --spawned, --mode, hello} }\n";
    struct script conf;

    (void)state;
    open_script(&conf, before);
    struct kit_broker *b = start(&(struct kit_start){ .keeper = true, .args = { "--config", conf.path } });
    kit_broker_wait_ready(b, 2);
    uint32_t pid = slot_now(b, "b-1-1").pid;
    write_script(&conf, after);
    must_run(b, "upgrade", NULL, NULL);
    wait_slot(b, "a-1-1", "gone");
    wait_slot(b, "b-1-2", "ready");
    wait_slot(b, "c-1-1", "ready");
    assert_int_equal(slot_now(b, "b-1-1").pid, pid);
    kit_broker_stop(b);
    unlink(conf.path);
}

/* The new broker has the arguments of the old one, whatever the file says of workers by then. */
static void upgrade_keeps_the_command_of_the_command_line(void **state)
{
    static const char quiet[] = "endpoint web { address = \"[::]:0\" }\n";
    static const char other[] = "endpoint web { address = \"[::]:0\" }\ncommand = {/bin/false}\nspawn = 7\n";
    static const char words[] = "words <two words><--spawn><7><>";
    struct script s, conf;

    (void)state;
    open_script(&s, "all=; for word; do all=\"$all<$word>\"; done; echo \"words $all\"; " RUN_HELLO);
    open_script(&conf, quiet);
    struct kit_broker *b =
        start(&(struct kit_start){ .keeper = true,
                                   .args = { "--config", conf.path, "--set", "restart_delay_ms=10", "--spawn", "2", "--",
                                             s.path, "two words", "--spawn", "7", "" } });
    kit_broker_wait_ready(b, 2);
    kit_until(kit_process_count_log(b->process, words) >= 2);
    write_script(&conf, other);
    for (unsigned i = 1; i <= 2; i++) {
        must_run(b, "upgrade", NULL, NULL);
        strike(slot_now(b, "workers-1-2").pid);
        kit_until(kit_process_count_log(b->process, words) >= 2 + i);
        wait_slot(b, "workers-1-2", "ready");
    }
    kit_broker_wait_ready(b, 2);
    must_run(b, "reload", NULL, NULL);
    wait_generations(b, 1);
    kit_broker_wait_ready(b, 2);
    kit_until(kit_process_count_log(b->process, words) >= 6);
    kit_broker_stop(b);
    unlink(s.path);
    unlink(conf.path);
}

/* Their parent is gone then; whoever gets orphans gets them, here the test. */
static void upgrade_without_a_keeper_goes_on_with_the_workers(void **state)
{
    struct kit_load_result r;
    uint32_t pids[2];
    int status;

    (void)state;
    struct kit_broker *b = start(&(struct kit_start){
        .args = { "--endpoint", "web=[::]:0", "--set", "restart_delay_ms=10", "--spawn", "2", "--", WORKER, "hello" } });
    kit_broker_wait_ready(b, 2);
    pids[0] = slot_now(b, "workers-1-1").pid;
    struct kit_load *load = kit_load_start(
        &(struct kit_load_options){ .port = kit_broker_port(b, "web"), .total = 600, .concurrency = 8, .per_second = 2000 });
    for (unsigned i = 1; i <= 2; i++) {
        kit_load_wait(load, 200 * i);
        kit_upgrade(b);
    }
    kit_load_finish(load, &r);
    kit_load_check_all_answered(&r, 600);
    pids[1] = slot_now(b, "workers-1-2").pid;
    strike(pids[1]);
    kit_broker_wait_log(b, "restarts=1");
    wait_slot(b, "workers-1-2", "ready");
    assert_int_equal(waitpid((pid_t)pids[1], &status, 0), pids[1]);
    pids[1] = slot_now(b, "workers-1-2").pid; /* a child of the broker that is there */
    assert_int_equal(slot_now(b, "workers-1-1").pid, pids[0]);
    assert_int_equal(kit_process_count_log(b->process, "event=worker_started"), 3);
    kit_upgrade(b);
    kit_broker_wait_ready(b, 2);
    kit_broker_stop(b);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(waitpid((pid_t)pids[i], &status, 0), pids[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0); /* drained, not killed */
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(start_hands_on_three_descriptors_only),
        TEST(start_gives_workers_their_environment),
        TEST(roll_that_fails_leaves_the_old_generation_serving),
        TEST(roll_is_refused_while_another_one_is_under_way),
        TEST(leave_by_kill_when_term_is_not_enough),
        TEST(pause_scale_and_reload_are_for_the_brokers_own_user),
        TEST(crash_ends_neither_a_pause_nor_what_was_scaled),
        TEST(crash_and_a_stop_right_after_it_leave_nobody),
        TEST(crash_and_starts_that_fail_cost_neither_clients_nor_workers),
        TEST(upgrade_leaves_workers_in_their_places),
        TEST(upgrade_keeps_every_state),
        TEST(upgrade_knows_workers_behind_a_shell),
        TEST(upgrade_is_refused_while_a_generation_is_replaced),
        TEST(upgrade_does_not_end_a_pause),
        TEST(upgrade_brings_groups_in_line_with_the_configuration),
        TEST(upgrade_keeps_the_command_of_the_command_line),
        TEST(upgrade_without_a_keeper_goes_on_with_the_workers),
    };

    return kit_main(tests, argc, argv);
}
