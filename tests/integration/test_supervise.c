/* Workers that the broker starts itself: their life, their generations, their end; and pause.
 *
 * A test that fails may leave workers behind, for they outlive their broker: they come to this process then (it is a
 * subreaper), and the teardown ends them. One that passes leaves nobody, which the teardown of the kit checks. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/kit.h"
#include "tests/support/kit_upgrade.h"

#define OUTPUT 4096
#define WORKER SB_WORKER_EXE, "--spawned", "--mode"

/* ---- those that a failed test leaves ---- */

static pid_t parent_of(const char *pid)
{
    char path[64], text[512];
    int parent = 0;

    snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    size_t n = fread(text, 1, sizeof(text) - 1, f);
    fclose(f);
    text[n] = '\0';
    const char *after_name = strrchr(text, ')');
    return after_name && sscanf(after_name, ") %*c %d", &parent) == 1 ? parent : 0;
}

static void end_orphans(void)
{
    DIR *dir = opendir("/proc");

    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        if (e->d_name[0] < '1' || e->d_name[0] > '9' || parent_of(e->d_name) != getpid())
            continue;
        pid_t pid = (pid_t)atoi(e->d_name);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    closedir(dir);
}

static int setup(void **state)
{
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    return kit_setup(state);
}

static int teardown(void **state)
{
    int result = kit_teardown(state);

    end_orphans();
    return result;
}

/* ---- support ---- */

/* A worker's program, which a test changes between generations. */
struct script {
    char path[48];
};

static void write_script(const struct script *s, const char *text)
{
    char fresh[64];

    snprintf(fresh, sizeof(fresh), "%s.new", s->path); /* one that runs must not change under its shell */
    FILE *f = fopen(fresh, "we");
    if (!f || fprintf(f, "#!/bin/sh\n%s\n", text) < 0 || fchmod(fileno(f), 0755) || fclose(f) || rename(fresh, s->path))
        kit_fail("%s cannot be written", s->path);
}

static void open_script(struct script *s, const char *text)
{
    snprintf(s->path, sizeof(s->path), "/tmp/sbkit-script-XXXXXX");
    int fd = mkstemp(s->path);

    if (fd < 0)
        kit_fail("no file like %s", s->path);
    close(fd);
    write_script(s, text);
}

#define RUN_HELLO "exec " SB_WORKER_EXE " --spawned --mode hello"
#define RUN_HOLD "exec " SB_WORKER_EXE " --spawned --mode hold"

/* kit_broker_start() counts descriptors before there is a worker; here there is none such moment. */
static struct kit_broker *start(const struct kit_start *how)
{
    struct kit_broker *b = kit_broker_launch(how);

    kit_broker_wait_log(b, "event=ready");
    return b;
}

static int run(struct kit_broker *b, char output[OUTPUT], const char *command, const char *first, const char *second)
{
    const char *args[8] = { command, "--dir", b->dir };
    size_t n = 3;

    if (first)
        args[n++] = first;
    if (second)
        args[n++] = second;
    return kit_run(args, output, OUTPUT);
}

static void must_run(struct kit_broker *b, const char *command, const char *first, const char *second)
{
    char output[OUTPUT];

    if (run(b, output, command, first, second))
        kit_fail("%s: %s", command, output);
}

static struct kit_process *run_in_background(struct kit_broker *b, const char *command)
{
    return kit_run_start((const char *const[]){ command, "--dir", b->dir, NULL });
}

static const struct sb_slot_status *find_slot(const struct sb_status_report *r, const char *worker)
{
    for (size_t i = 0; i < r->n_slots; i++) {
        if (!strcmp(r->slots[i].worker, worker))
            return &r->slots[i];
    }
    return NULL;
}

static struct sb_slot_status slot_now(struct kit_broker *b, const char *worker)
{
    struct sb_status_report r;

    kit_status(b, &r);
    const struct sb_slot_status *found = find_slot(&r, worker);
    if (!found)
        kit_fail("no slot %s", worker);
    struct sb_slot_status slot = *found;
    sb_status_report_deinit(&r);
    return slot;
}

struct wanted {
    const char *name, *state;
};

static bool slot_is(const struct sb_status_report *r, void *arg)
{
    const struct wanted *w = arg;
    const struct sb_slot_status *slot = find_slot(r, w->name);

    return !strcmp(slot ? slot->state : "gone", w->state);
}

/* "gone": it is not listed any more. */
static void wait_slot(struct kit_broker *b, const char *worker, const char *state)
{
    struct wanted w = { worker, state };

    kit_broker_wait_status(b, slot_is, &w, "that slot in that state");
}

static bool has_generations(const struct sb_status_report *r, void *arg)
{
    return r->n_generations == *(size_t *)arg;
}

static void wait_generations(struct kit_broker *b, size_t n)
{
    kit_broker_wait_status(b, has_generations, &n, "as many generations as wanted");
}

static int held_connection(struct kit_broker *b, struct kit_answer *a)
{
    sockbroker_socket sock = kit_connect(NULL, "::1", kit_broker_port(b, "web"));

    kit_read_answer(sock, a);
    return sock;
}

static struct kit_answer ask(struct kit_broker *b)
{
    struct kit_answer a;

    kit_read_only_answer(kit_connect(NULL, "127.0.0.1", kit_broker_port(b, "web")), &a);
    return a;
}

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

/* "0 -> /dev/null" and the like, one line each. */
static void list_descriptors(pid_t pid, char *out, size_t room)
{
    char path[64], target[128];

    out[0] = '\0';
    for (int fd = 0; fd < 256; fd++) {
        snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, fd);
        ssize_t n = readlink(path, target, sizeof(target) - 1);
        size_t len = strlen(out);

        if (n < 0)
            continue;
        target[n] = '\0';
        target[strcspn(target, ":")] = '\0';
        snprintf(out + len, room - len, "%d -> %s\n", fd, target);
    }
}

static bool is_called(pid_t pid, const char *name)
{
    char path[64], text[32] = "";

    snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
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

static void start_takes_groups_from_the_configuration(void **state)
{
    struct script conf;
    char text[2048];

    (void)state;
    open_script(&conf, "");
    snprintf(
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

/* ---- restart ---- */

static void restart_of_a_killed_worker_takes_the_same_place(void **state)
{
    struct kit_broker *b = start(&(struct kit_start){
        .args = { "--endpoint", "web=[::]:0", "--set", "restart_delay_ms=10", "--spawn", "2", "--", WORKER, "hello" } });
    struct kit_load_result r;

    (void)state;
    for (unsigned i = 1; i <= 3; i++) {
        kit_broker_wait_ready(b, 2);
        kill((pid_t)slot_now(b, "workers-1-2").pid, SIGKILL);
        kit_until(kit_process_count_log(b->process, "how=\"was killed by signal 9\"") == i);
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
    static const char *const programs[] = { "/bin/false", "/no/such/program" };
    static const char *const hows[] = { "how=\"exited with 1\"", "how=\"could not be started: the program: ENOENT" };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct kit_broker *b = start(&(struct kit_start){ .args = { "--endpoint", "web=[::]:0", "--set", "restart_delay_ms=10",
                                                                    "--set", "restart_max=3", "--", programs[i] } });

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
    struct kit_broker *b =
        start(&(struct kit_start){ .args = { "--endpoint", "web=[::]:0", "--set", "ready_ms=100", "--set",
                                             "restart_delay_ms=10", "--set", "restart_max=2", "--", "sleep", "600" } });

    (void)state;
    kit_broker_wait_log(b, "event=worker_given_up");
    assert_int_equal(kit_process_count_log(b->process, "event=worker_not_ready worker=workers-1-1 after_ms=100"), 3);
    assert_int_equal(kit_process_count_log(b->process, "state=ending how=\"was killed by signal 15\""), 3);
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
        snprintf(name, sizeof(name), "workers-%u-", i + 1);
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
    snprintf(name, sizeof(name), "workers-%zu-", sizeof(rows) / sizeof(rows[0]) + 2);
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
    snprintf(pipe_path, sizeof(pipe_path), "%s/gate", b->dir);
    assert_int_equal(mkfifo(pipe_path, 0600), 0);
    snprintf(text, sizeof(text), "read line <%s; " RUN_HELLO, pipe_path);
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

static void roll_is_for_one_group_when_it_is_named(void **state)
{
    char output[OUTPUT];
    struct script conf;

    (void)state;
    open_script(&conf,
                "endpoint web { address = \"[::]:0\" }\ngroup a { command = {" SB_WORKER_EXE ", --spawned, --mode, hello} }\n"
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
    unlink(conf.path);
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

/* The second one is stopped: it cannot do as it is told. */
static void leave_after_the_deadline_by_term_and_then_by_kill(void **state)
{
    static const char *const hows[] = { "how=\"exited with 0\"", "how=\"was killed by signal 9\"" };
    static const char *const term_ms[] = { "term_ms=30000", "term_ms=200" };

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct kit_broker *b = start(&(struct kit_start){
            .args = { "--endpoint", "web=[::]:0", "--set", "drain_ms=200", "--set", term_ms[i], "--", WORKER, "hold" } });
        struct kit_answer a;
        char more;

        kit_broker_wait_ready(b, 1);
        sockbroker_socket sock = held_connection(b, &a);
        if (i)
            kill(a.pid, SIGSTOP);
        must_run(b, "reload", NULL, NULL);
        kit_broker_wait_log(b, "event=drain_over worker=workers-1-1");
        kit_until(!kit_is_silent(sock, 0)); /* the end of the stream, or a reset */
        assert_true(recv(sock, &more, 1, 0) <= 0);
        kit_broker_wait_log(b, hows[i]);
        assert_int_equal(kit_process_has_log(b->process, "event=worker_does_not_end worker=workers-1-1"), i == 1);
        wait_generations(b, 1);
        kit_close(&sock);
        kit_broker_stop(b);
    }
}

/* First what is on its way, then the idle ones, then at the deadline those that hold something; nobody is left. */
static void leave_in_order_when_the_broker_stops(void **state)
{
    struct kit_broker *b = start(&(struct kit_start){
        .args = { "--endpoint", "web=[::]:0", "--set", "drain_ms=1500", "--spawn", "2", "--", WORKER, "hold" } });
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
    snprintf(idle, sizeof(idle), "event=worker_ended worker=workers-1-%d", first_is_busy ? 2 : 1);
    snprintf(busy, sizeof(busy), "event=worker_told_to_end worker=workers-1-%d", first_is_busy ? 1 : 2);
    assert_true(place(b, "event=stopping") < place(b, "event=worker_drains"));
    assert_true(place(b, "event=worker_drains") < place(b, idle));
    assert_true(place(b, idle) < place(b, "event=drain_over"));
    assert_true(place(b, "event=drain_over") < place(b, busy));
    snprintf(busy, sizeof(busy), "event=worker_ended worker=workers-1-%d", first_is_busy ? 1 : 2);
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

/* ---- SIGHUP ---- */

#define HELLO "{" SB_WORKER_EXE ", --spawned, --mode, hello}"

static void hup_starts_replaces_and_ends_groups(void **state)
{
    struct script conf;

    (void)state;
    open_script(&conf, "endpoint web { address = \"[::]:0\" }\ngroup stays { command = " HELLO
                       " }\ngroup goes { command = " HELLO " }\n");
    struct kit_broker *b = start(&(struct kit_start){ .args = { "--config", conf.path } });
    kit_broker_wait_ready(b, 2);
    write_script(&conf, "endpoint web { address = \"[::]:0\" }\ngroup stays { command = " HELLO "\n spawn = 2 }\n"
                        "group comes { command = " HELLO " }\n");
    kit_process_signal(b->process, SIGHUP);
    kit_broker_wait_worker(b, "stays-2-2", "ready");
    kit_broker_wait_worker(b, "comes-1-1", "ready");
    kit_broker_wait_ready(b, 3);
    kit_broker_wait_worker(b, "goes-1-1", "gone");
    write_script(&conf, "endpoint web { address = \"[::]:0\" }\ngroup stays { commando = x }\n"); /* bad: nothing happens */
    kit_process_signal(b->process, SIGHUP);
    kit_broker_wait_log(b, "event=reload_failed");
    kit_broker_wait_ready(b, 3);
    must_run(b, "scale", "stays", "1");
    write_script(&conf, "endpoint web { address = \"[::]:0\" }\ngroup stays { command = " HELLO "\n spawn = 2 }\n");
    kit_process_signal(b->process, SIGHUP); /* what was scaled stays: the file says nothing new about it */
    kit_broker_wait_worker(b, "stays-3-1", "ready");
    kit_broker_wait_ready(b, 1);
    kit_broker_stop(b);
    unlink(conf.path);
}

static void hup_with_a_program_that_fails_keeps_the_old_workers_and_the_new_endpoints(void **state)
{
    struct script conf;

    (void)state;
    open_script(&conf, "endpoint web { address = \"[::]:0\" }\ngroup g { command = " HELLO "\n endpoints = web }\n");
    struct kit_broker *b = start(&(struct kit_start){ .args = { "--config", conf.path } });
    kit_broker_wait_ready(b, 1);
    write_script(&conf, "endpoint web { address = \"[::]:0\" }\nendpoint api { address = \"[::]:0\" }\n"
                        "group g { command = /bin/false\n endpoints = web }\n");
    kit_process_signal(b->process, SIGHUP);
    kit_broker_wait_log(b, "event=generation_failed group=g generation=2");
    assert_string_equal(ask(b).worker, "g-1-1");
    kill((pid_t)slot_now(b, "g-1-1").pid, SIGKILL); /* the old generation goes on with its own command */
    kit_until(kit_process_count_log(b->process, "event=worker_ready worker=g-1-1") == 2);
    assert_int_not_equal(kit_broker_port(b, "api"), 0);
    kit_broker_stop(b);
    unlink(conf.path);
}

/* ---- pause ---- */

static bool holds(const struct sb_status_report *r, void *arg)
{
    return kit_endpoint(r, "web")->counters.held == *(uint64_t *)arg;
}

static bool is_up(const struct sb_status_report *r, void *arg)
{
    return r->broker.uptime_ms >= *(uint64_t *)arg;
}

static void pause_holds_all_and_refuses_none_whatever_overload_says(void **state)
{
    struct kit_broker *b = kit_broker_start(&(struct kit_start){
        .args = { "--endpoint", "web=[::]:0,overload=refuse,hold_ms=400,hold_max=5", "--endpoint", "api=[::]:0" } });
    struct kit_process *w = kit_worker_start(b, "w1", "hello", &(struct kit_start){ .args = { "--endpoint", "web,api" } });
    struct kit_load_result r;
    struct sb_status_report status;
    uint64_t n_held = 5;

    (void)state;
    kit_broker_wait_ready(b, 1);
    must_run(b, "pause", "web", NULL);
    must_run(b, "pause", "web", NULL); /* is paused already */
    struct kit_load *load =
        kit_load_start(&(struct kit_load_options){ .port = kit_broker_port(b, "web"), .total = 60, .concurrency = 60 });
    kit_until(kit_load_connected(load) == 60);
    kit_broker_wait_status(b, holds, &n_held, "as many held as may be");
    kit_status(b, &status);
    assert_string_equal(kit_endpoint(&status, "web")->state, "paused");
    assert_string_equal(kit_endpoint(&status, "api")->state, "listening");
    uint64_t later_ms = status.broker.uptime_ms + 1000; /* longer than hold_ms: the deadline of overload has passed */
    sb_status_report_deinit(&status);
    kit_broker_wait_status(b, is_up, &later_ms, "a second later");
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
    uint64_t n_held = 1;

    (void)state;
    kit_broker_wait_ready(b, 1);
    must_run(b, "pause", "web", NULL);
    sockbroker_socket sock = kit_connect(NULL, "::1", kit_broker_port(b, "web"));
    kit_broker_wait_status(b, holds, &n_held, "the connection held");
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
    snprintf(lock, sizeof(lock), "%s/lock", dir);
    unlink(lock);
    assert_int_equal(rmdir(dir), 0);
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
        snprintf(name, sizeof(name), "w%u", i);
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
    kill((pid_t)first, SIGKILL); /* is watched, and replaced */
    kit_broker_wait_log(b, "event=worker_ended worker=workers-2-1");
    wait_slot(b, "workers-2-1", "ready");
    must_run(b, "reload", NULL, NULL);
    wait_generations(b, 1);
    kit_broker_wait_ready(b, 2);
    assert_memory_equal(ask(b).worker, "workers-3-", 10);
    kit_until(waitpid((pid_t)first, NULL, WNOHANG) != 0); /* orphans are ours */
    kit_until(waitpid((pid_t)second, NULL, WNOHANG) != 0);
    kit_broker_stop(b);
}

/* Under a keeper, so that whoever is orphaned comes to that one. */
static struct kit_broker *start_kept(const char *const *more)
{
    struct kit_start how = { .keeper = true, .args = { "--endpoint", "web=[::]:0", "--set", "restart_delay_ms=10" } };

    for (size_t i = 4; *more; i++)
        how.args[i] = *more++;
    return start(&how);
}

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
    const struct wanted *w = arg;

    return !strcmp(kit_endpoint(r, w->name)->state, w->state);
}

static void crash_ends_neither_a_pause_nor_what_was_scaled(void **state)
{
    struct kit_broker *b = start_kept((const char *const[]){ "--spawn", "2", "--", WORKER, "hello", NULL });
    struct wanted paused = { "web", "paused" }, listening = { "web", "listening" };
    struct kit_answer a;
    uint64_t n_held = 1;

    (void)state;
    kit_broker_wait_ready(b, 2);
    must_run(b, "scale", "workers", "3");
    must_run(b, "pause", "web", NULL);
    crash(b);
    kit_broker_wait_status(b, endpoint_is, &paused, "a pause");
    int sock = kit_connect(NULL, "::1", kit_broker_port(b, "web"));
    kit_broker_wait_status(b, holds, &n_held, "the connection held");
    crash(b); /* again, before the workers have their places */
    kit_broker_wait_status(b, endpoint_is, &paused, "a pause");
    wait_slot(b, "workers-1-3", "ready");
    kit_close(&sock); /* what a broker held is lost with it */
    sock = kit_connect(NULL, "127.0.0.1", kit_broker_port(b, "web"));
    kit_broker_wait_status(b, holds, &n_held, "the connection held");
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
        snprintf(path, sizeof(path), "%s/h.%u", b->dir, i);
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
    kill((pid_t)before[1].pid, SIGKILL); /* is watched, and replaced */
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
    kill((pid_t)slot_now(b, "workers-1-1").pid, SIGKILL);
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
    snprintf(pipe_path, sizeof(pipe_path), "%s/gate", b->dir);
    assert_int_equal(mkfifo(pipe_path, 0600), 0);
    snprintf(text, sizeof(text), "read line <%s; " RUN_HELLO, pipe_path);
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
    struct wanted paused = { "web", "paused" };
    struct kit_answer a;
    uint64_t n_held = 1;

    (void)state;
    kit_broker_wait_ready(b, 1);
    must_run(b, "pause", "web", NULL);
    sockbroker_socket sock = kit_connect(NULL, "::1", kit_broker_port(b, "web"));
    kit_broker_wait_status(b, holds, &n_held, "the connection held");
    must_run(b, "upgrade", NULL, NULL);
    kit_broker_wait_status(b, endpoint_is, &paused, "a pause");
    kit_broker_wait_status(b, holds, &n_held, "the connection held");
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
        kill((pid_t)slot_now(b, "workers-1-2").pid, SIGKILL);
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
    kill((pid_t)pids[1], SIGKILL);
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

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(start_gives_each_worker_a_name_a_generation_and_its_endpoints),
        TEST(start_hands_on_three_descriptors_only),
        TEST(start_takes_groups_from_the_configuration),
        TEST(restart_of_a_killed_worker_takes_the_same_place),
        TEST(restart_ends_at_the_limit_and_says_so),
        TEST(restart_of_a_worker_that_could_not_be_started),
        TEST(restart_of_a_worker_that_is_not_ready_in_time),
        TEST(restart_does_not_happen_after_a_drain_by_hand),
        TEST(roll_under_load_loses_nothing),
        TEST(roll_leaves_long_connections_alone_while_generations_overlap),
        TEST(roll_that_fails_leaves_the_old_generation_serving),
        TEST(roll_is_refused_while_another_one_is_under_way),
        TEST(roll_is_for_one_group_when_it_is_named),
        TEST(roll_without_a_group_says_that_there_is_none),
        TEST(leave_after_the_deadline_by_term_and_then_by_kill),
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
        TEST(pause_scale_and_reload_are_for_the_brokers_own_user),
        TEST(older_workers_drain_where_the_endpoint_says_so),
        TEST(older_workers_drain_one_after_the_other_under_load),
        TEST(crash_of_the_broker_leaves_workers_that_the_next_one_adopts),
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
