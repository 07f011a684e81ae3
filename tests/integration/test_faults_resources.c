/* Faults of resources: rows F23 and F30 to F40 (with F82) of the list of faults. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "proto/rundir.h"
#include "tests/support/fault.h"
#include "tests/support/format.h"

static struct kit_broker *start(const char *env)
{
    return kit_broker_start(&(struct kit_start){ .args = { "--endpoint", "web=[::]:0" }, .env = { env } });
}

static struct kit_process *start_worker(struct kit_broker *b, const char *name)
{
    struct kit_process *w = kit_worker_start(b, name, "hello", NULL);

    kit_broker_wait_worker(b, name, "ready");
    return w;
}

static void finish(struct kit_broker *b, struct kit_process *w)
{
    fault_check_serves(b, 50);
    kit_broker_wait_settled(b);
    kit_worker_stop(w);
    kit_broker_wait_ready(b, 0);
    kit_broker_wait_idle_fds(b);
    kit_broker_stop(b);
}

/* ---- descriptors ---- */

/* F30, F32: 10, 20, ... 320 ms; the broker looks every 50 ms. */
static void shortage_of_descriptors_or_memory_pauses_accepting(void **state)
{
    static const char *const codes[] = { "EMFILE", "ENFILE", "ENOBUFS", "ENOMEM" };

    fault_need_failpoints();
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        char env[64];

        format_text(env, sizeof(env), "SOCKBROKER_FAILPOINTS=accept=%s*6", codes[i]);
        struct kit_broker *b = start(env);
        struct kit_process *w = start_worker(b, "w1");
        double cpu_ms = fault_cpu_ms(b->process->pid);
        uint64_t begin_ms = kit_now_ms();
        int socks[40];

        fault_connect_many(kit_broker_port(b, "web"), socks, 40);
        assert_int_equal(fault_answers_by(socks, 40, "w1"), 40);
        uint64_t took_ms = kit_now_ms() - begin_ms;
        cpu_ms = fault_cpu_ms(b->process->pid) - cpu_ms;
        assert_true(took_ms >= 10 + 20 + 40 + 80 + 160 + 320);
        if (cpu_ms > FAULT_SLOWNESS * (0.05 * (double)took_ms + 5)) /* 5 ms: the 40 connections */
            kit_fail("%.1f ms of processor in %u ms", cpu_ms, (unsigned)took_ms);
        assert_int_equal(kit_process_count_log(b->process, "event=accept_paused"), 1);
        assert_true(kit_process_has_log(b->process, codes[i]));
        struct sb_endpoint_counters c = kit_counters(b, "web");
        assert_int_equal(c.accept_errors, 6);
        assert_int_equal(c.accepted, 40);
        finish(b, w);
    }
}

/* F30, by the real limit. */
static void broker_at_its_descriptor_limit_loses_nobody(void **state)
{
    struct kit_broker *b = start(NULL);
    struct kit_process *w = start_worker(b, "w1");
    struct rlimit limit, none;
    int socks[30];

    (void)state;
    unsigned n = kit_count_fds(b->process->pid);
    assert_int_equal(prlimit(b->process->pid, RLIMIT_NOFILE, NULL, &limit), 0);
    none = (struct rlimit){ n, limit.rlim_max };
    assert_int_equal(prlimit(b->process->pid, RLIMIT_NOFILE, &none, NULL), 0);
    fault_connect_many(kit_broker_port(b, "web"), socks, 30);
    kit_broker_wait_log(b, "event=accept_paused");
    fault_check_idle(b->process->pid, 500, 0.05);
    assert_int_equal(prlimit(b->process->pid, RLIMIT_NOFILE, &limit, NULL), 0);
    assert_int_equal(fault_answers_by(socks, 30, "w1"), 30);
    assert_int_equal(kit_process_count_log(b->process, "event=accept_paused"), 1);
    finish(b, w);
}

/* Errors of accept() that concern one connection, and such that nobody knows. */
static void other_errors_of_accept_stop_nothing(void **state)
{
    fault_need_failpoints();
    (void)state;
    struct kit_broker *b = start("SOCKBROKER_FAILPOINTS=accept=ECONNABORTED*3,accept=EPROTO*3,accept=EPERM*2,accept=EIO*2");
    struct kit_process *w = start_worker(b, "w1");
    fault_check_serves(b, 50);
    assert_int_equal(kit_counters(b, "web").accept_errors, 10);
    finish(b, w);
}

static unsigned long soft_limit(pid_t pid)
{
    struct rlimit limit;

    assert_int_equal(prlimit(pid, RLIMIT_NOFILE, NULL, &limit), 0);
    return (unsigned long)limit.rlim_cur;
}

/* F33 */
static void soft_limit_of_1024_is_raised(void **state)
{
    struct rlimit before, low;

    (void)state;
    getrlimit(RLIMIT_NOFILE, &before);
    low = (struct rlimit){ 1024, before.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    struct kit_broker *b = start(NULL);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    unsigned long soft = soft_limit(b->process->pid);
    if (before.rlim_max <= 65536)
        assert_int_equal(soft, before.rlim_max);
    else
        assert_true(soft >= 65536);
    finish(b, start_worker(b, "w1"));
}

/* F33 */
static void hard_limit_that_is_too_small_is_refused_with_numbers(void **state)
{
    struct kit_broker *b = kit_broker_launch(&(struct kit_start){ .args = { "--endpoint", "web=[::]:0" }, .nofile = 100 });

    (void)state;
    assert_int_equal(kit_process_wait(b->process), 2);
    assert_true(kit_process_has_log(b->process, "the descriptor limit is 100 and "));
    assert_true(kit_process_has_log(b->process, " are needed"));
    assert_false(kit_process_has_log(b->process, "event=ready"));
    kit_broker_free(b);
}

/* F34: where a client or a worker makes the broker allocate. */
static void failing_allocations_cost_one_peer_each(void **state)
{
    struct sb_attach attach;
    struct sockbroker_error error;
    unsigned n_reset = 0;

    fault_need_failpoints();
    (void)state;
    struct kit_broker *b = start("SOCKBROKER_FAILPOINTS=conn_memory=ENOMEM*3,session_memory=ENOMEM*2,lease_memory=ENOMEM*2");
    struct fault_raw raw = FAULT_RAW_NONE;
    fault_raw_fill(&attach, "raw", "web", 1);
    assert_int_equal(fault_raw_attach(&raw, b->dir, &attach, &error), SOCKBROKER_NO_MEMORY);
    assert_int_equal(fault_raw_attach(&raw, b->dir, &attach, &error), SOCKBROKER_NO_MEMORY);
    struct kit_process *w = start_worker(b, "w1");
    for (unsigned i = 0; i < 8; i++) {
        sockbroker_socket sock = kit_connect(NULL, "::1", kit_broker_port(b, "web"));
        char line[160];

        assert_false(kit_is_silent(sock, KIT_WAIT_MS));
        n_reset += recv(sock, line, sizeof(line), 0) < 0;
        kit_close(&sock);
    }
    assert_int_equal(n_reset, 3);
    assert_int_equal(kit_counters(b, "web").refused, 3);
    fault_raw_close(&raw);
    finish(b, w);
}

/* A short cut that cannot be had is no loss: results go by packets. */
static void worker_without_a_ring_is_served(void **state)
{
    fault_need_failpoints();
    (void)state;
    struct kit_broker *b = start("SOCKBROKER_FAILPOINTS=ring=ENOMEM*1");
    struct kit_process *w = start_worker(b, "w1");
    fault_check_serves(b, 50);
    finish(b, w);
}

/* ---- log ---- */

static bool is_there(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

static void remove_dir(const char *path)
{
    DIR *dir = opendir(path);

    assert_non_null(dir);
    for (struct dirent *e = readdir(dir); e; e = readdir(dir))
        unlinkat(dirfd(dir), e->d_name, 0);
    closedir(dir);
    assert_int_equal(rmdir(path), 0);
}

/* F37: stderr is a fifo that is full from the beginning and that nobody reads. */
static void log_that_nobody_reads_blocks_nothing(void **state)
{
    struct kit_broker b = { .dir = "/tmp/sbfault-XXXXXX" };
    struct sb_status_report r;
    char fifo[192], control[192], order[256], junk[4096] = "";

    (void)state;
    assert_non_null(mkdtemp(b.dir));
    format_text(fifo, sizeof(fifo), "%s.log", b.dir);
    format_text(control, sizeof(control), "%s/control", b.dir);
    format_text(order, sizeof(order), "exec \"$@\" 2<>%s", fifo);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    int full = open(fifo, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    while (write(full, junk, sizeof(junk)) > 0)
        continue;
    b.process = kit_process_start("broker", "/bin/sh",
                                  &(struct kit_start){ .args = { "-c", order, "sh", SB_BROKER_EXE, "serve", "--endpoint",
                                                                 "web=[::]:0", "--dir", b.dir } });
    kit_until(is_there(control));
    struct kit_process *w = start_worker(&b, "w1");
    kit_status(&b, &r);
    uint16_t port = kit_endpoint(&r, "web")->addresses[0].port;
    sb_status_report_deinit(&r);
    for (unsigned i = 0; i < 30; i++) { /* each a line */
        struct fault_raw raw = FAULT_RAW_NONE;
        struct sb_attach attach;
        struct sockbroker_error error;

        fault_raw_fill(&attach, "w1", "web", 1);
        assert_int_equal(fault_raw_attach(&raw, b.dir, &attach, &error), SOCKBROKER_NAME_TAKEN);
        fault_raw_close(&raw);
    }
    struct kit_load_result load;
    kit_load_run(&(struct kit_load_options){ .port = port, .total = 500 }, &load);
    kit_load_check_all_answered(&load, 500);
    kit_worker_stop(w);
    uint64_t begin_ms = kit_now_ms();
    kit_process_ask_end(b.process);
    assert_int_equal(kit_process_wait(b.process), 0);
    assert_true(kit_now_ms() - begin_ms < 10000);
    kit_process_free(b.process);
    close(full);
    unlink(fifo);
    remove_dir(b.dir);
}

/* ---- two brokers ---- */

/* F39 */
static void of_two_brokers_one_wins_and_is_not_harmed(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        struct kit_broker *one = kit_broker_launch(&(struct kit_start){ .args = { "--endpoint", "web=[::]:0" } });
        uint64_t begin_ms = kit_now_ms();
        struct kit_broker *two =
            kit_broker_launch(&(struct kit_start){ .args = { "--endpoint", "web=[::]:0" }, .dir = one->dir });
        kit_until(kit_process_is_over(one->process) || kit_process_is_over(two->process));
        assert_true(kit_now_ms() - begin_ms < 1000 * FAULT_SLOWNESS);
        struct kit_broker *winner = kit_process_is_over(one->process) ? two : one;
        struct kit_broker *loser = winner == one ? two : one;

        assert_int_equal(kit_process_wait(loser->process), 1);
        assert_true(kit_process_has_log(loser->process, "a broker is already running there"));
        kit_broker_wait_log(winner, "event=ready");
        struct kit_process *w = start_worker(winner, "w1");
        fault_check_serves(winner, 5);
        kit_worker_stop(w);
        kit_process_ask_end(winner->process);
        assert_int_equal(kit_process_wait(winner->process), 0);
        kit_broker_free(two);
        kit_broker_free(one); /* the directory is its own */
    }
}

/* ---- paths ---- */

/* The exit code of a broker in that directory, and whether it said so. Runs in the house of the test: HOME/case. */
static void check_refused(const char *dir, int code, const char *says)
{
    struct kit_broker b = { 0 };

    b.process = kit_process_start("broker", SB_BROKER_EXE,
                                  &(struct kit_start){ .args = { "serve", "--endpoint", "web=[::]:0", "--dir", dir } });
    int got = kit_process_wait(b.process);
    if (got != code || !kit_process_has_log(b.process, says))
        kit_fail("%s: code %d where %d was due, with \"%s\"", dir, got, code, says);
    kit_process_free(b.process);
}

static void write_file(const char *path)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    assert_int_equal(write(fd, "precious", 8), 8);
    close(fd);
}

static void check_untouched(const char *path)
{
    char bytes[16];
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    assert_int_equal(read(fd, bytes, sizeof(bytes)), 8);
    close(fd);
    assert_memory_equal(bytes, "precious", 8);
}

struct house {
    char dir[64];
    char path[4][160];
};

static void build(struct house *h)
{
    format_text(h->dir, sizeof(h->dir), "/tmp/sbfault-XXXXXX");
    assert_non_null(mkdtemp(h->dir));
}

static const char *in(struct house *h, unsigned i, const char *name)
{
    format_text(h->path[i], sizeof(h->path[i]), "%s/%s", h->dir, name);
    return h->path[i];
}

/* F40 */
static void files_and_links_in_the_way_are_refused_and_left_alone(void **state)
{
    static const char *const names[] = { "control", "handoff" };
    struct house h;

    (void)state;
    build(&h);
    write_file(in(&h, 0, "file"));
    check_refused(h.path[0], 1, "is not a directory");
    check_untouched(h.path[0]);
    mkdir(in(&h, 1, "real"), 0700);
    assert_int_equal(symlink(h.path[1], in(&h, 2, "link")), 0);
    check_refused(h.path[2], 1, "is a symbolic link");
    for (size_t i = 0; i < 2; i++) {
        char name[32];

        format_text(name, sizeof(name), "real/%s", names[i]);
        write_file(in(&h, 3, name));
        check_refused(h.path[1], 1, "is not a socket");
        check_untouched(h.path[3]);
        unlink(h.path[3]);
        assert_int_equal(symlink(h.path[0], h.path[3]), 0);
        check_refused(h.path[1], 1, "is not a socket");
        check_untouched(h.path[0]);
        unlink(h.path[3]);
        assert_int_equal(mkfifo(h.path[3], 0600), 0);
        check_refused(h.path[1], 1, "is not a socket");
        unlink(h.path[3]);
        assert_int_equal(mkdir(h.path[3], 0700), 0);
        check_refused(h.path[1], 1, "is not a socket");
        rmdir(h.path[3]);
    }
    assert_int_equal(symlink(h.path[0], in(&h, 3, "real/lock")), 0);
    check_refused(h.path[1], 1, "is a symbolic link");
    check_untouched(h.path[0]);
    unlink(h.path[3]);
    unlink(h.path[2]);
    assert_int_equal(rmdir(h.path[1]), 0);
    unlink(h.path[0]);
    assert_int_equal(rmdir(h.dir), 0);
}

/* F82 */
static void directories_that_others_could_change_are_refused(void **state)
{
    struct house h;

    (void)state;
    build(&h);
    mkdir(in(&h, 0, "open"), 0700);
    chmod(h.path[0], 0777);
    check_refused(in(&h, 1, "open/run"), 1, "can be written by other users");
    chmod(h.path[0], 01777); /* as /tmp is */
    mkdir(h.path[1], 0700);
    chmod(h.path[1], 0755);
    check_refused(h.path[1], 1, "gives others more rights than dir_mode");
    chmod(h.path[1], 0770);
    check_refused(h.path[1], 1, "gives others more rights than dir_mode");
    chmod(h.path[1], 0700);
    assert_int_equal(symlink(h.path[0], in(&h, 2, "link")), 0);
    check_refused(in(&h, 3, "link/run"), 1, "is a symbolic link");
    if (geteuid() == 0) {
        assert_int_equal(chown(h.path[1], 65534, 65534), 0);
        check_refused(h.path[1], 1, "belongs to another user");
        assert_int_equal(chown(h.path[1], 0, 0), 0);
        assert_int_equal(chown(h.path[0], 65534, 65534), 0);
        check_refused(h.path[1], 1, "belongs to another user");
    }
    check_refused("/nonexistent/sub/run", 1, "/nonexistent");
    unlink(h.path[2]);
    assert_int_equal(rmdir(h.path[1]), 0);
    assert_int_equal(rmdir(h.path[0]), 0);
    assert_int_equal(rmdir(h.dir), 0);
}

/* sun_path has 108 bytes with its NUL, and our own names need some of them. */
static void paths_that_are_too_long_are_refused(void **state)
{
    static const size_t lengths[] = { SB_RUNDIR_MAX, 107, 108, 200 };
    char path[256];

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        memset(path, 'x', sizeof(path));
        memcpy(path, "/tmp/", 5);
        path[lengths[i]] = '\0';
        check_refused(path, 2, "runtime directory");
        assert_false(is_there(path));
    }
}

static void longest_path_serves(void **state)
{
    char path[SB_RUNDIR_MAX], output[2048];
    const char *const status[] = { "status", "--dir", path, NULL };

    (void)state;
    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    memcpy(path, "/tmp/sbfault-", 13);
    struct kit_process *p = kit_process_start(
        "broker", SB_BROKER_EXE, &(struct kit_start){ .args = { "serve", "--endpoint", "web=[::]:0", "--dir", path } });
    kit_process_wait_log(p, "event=ready");
    assert_int_equal(kit_run(status, output, sizeof(output)), 0);
    kit_process_ask_end(p);
    assert_int_equal(kit_process_wait(p), 0);
    kit_process_free(p);
    remove_dir(path);
}

/* ---- many workers ---- */

/* F23: all at once. The row asks for 10,000; a scale of 10 gives 2,000. Clients are served meanwhile. */
static void crowd_of_workers_is_admitted_at_once(void **state)
{
    unsigned n = 200 * kit_scale();
    struct kit_broker *b =
        kit_broker_start(&(struct kit_start){ .args = { "--endpoint", "web=[::]:0", "--set", "attach_ms=30000" } });
    struct kit_process *first = start_worker(b, "first");
    struct kit_process **all = calloc(n, sizeof(*all));
    struct kit_load_result r;
    unsigned n_ready = 0;

    (void)state;
    struct kit_load *load = kit_load_start(
        &(struct kit_load_options){ .port = kit_broker_port(b, "web"), .total = 2000 * kit_scale(), .per_second = 1000 });
    uint64_t begin_ms = kit_now_ms();
    for (unsigned i = 0; i < n; i++) {
        char name[32];

        format_text(name, sizeof(name), "crowd%u", i);
        all[i] = kit_worker_launch(b, name, "hello", NULL);
    }
    for (unsigned i = 0; i < n; i++)
        kit_process_wait_log(all[i], "ready\n");
    uint64_t took_ms = kit_now_ms() - begin_ms;
    kit_load_finish(load, &r);
    kit_load_check_all_answered(&r, 2000 * kit_scale());
    kit_broker_wait_ready(b, n + 1);
    n_ready = n;
    printf("%u of %u workers admitted in %u ms; slowest client %u ms\n", n_ready, n, (unsigned)took_ms, r.slowest_ms);
    for (unsigned i = 0; i < n; i++)
        kit_process_ask_end(all[i]);
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(kit_process_wait(all[i]), 0);
        kit_process_free(all[i]);
    }
    free(all);
    kit_broker_wait_ready(b, 1);
    finish(b, first);
}

/* ---- clocks ---- */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CAN_PRELOAD 0 /* a sanitizer wants to be loaded first */
#else
#define CAN_PRELOAD 1
#endif

static void move_wall_clock(const char *path, long seconds)
{
    FILE *f = fopen(path, "we");

    assert_non_null(f);
    fprintf(f, "%ld", seconds);
    assert_int_equal(fclose(f), 0);
}

/* The year in a log line that is written from now on. */
static void check_year(struct kit_broker *b, const char *name, long offset)
{
    time_t then = time(NULL) + offset;
    struct tm date;
    char text[64];

    gmtime_r(&then, &date);
    struct kit_process *w = kit_worker_start(b, name, "hello", NULL);
    kit_broker_wait_worker(b, name, "ready");
    format_text(text, sizeof(text), "worker_ready worker=%s", name);
    const char *line = kit_broker_wait_log(b, text);
    while (line[-1] != '\n')
        line--;
    assert_int_equal(strtol(line, NULL, 10), date.tm_year + 1900);
    kit_worker_stop(w);
    kit_broker_wait_ready(b, 1);
}

/* F38: connections wait for a worker with a deadline, a worker has its heartbeat, another one's window; the clock on the wall
 * jumps a year ahead and two back. */
static void jumps_of_the_wall_clock_change_no_deadline(void **state)
{
    static const long year_s = 366L * 24 * 3600;
    char path[] = "/tmp/sb-wall-clock-XXXXXX";
    char env[64];
    int file = CAN_PRELOAD ? mkstemp(path) : -1;

    (void)state;
    if (file < 0)
        skip();
    close(file);
    format_text(env, sizeof(env), "WALL_CLOCK_FILE=%s", path);
    struct kit_broker *b = kit_broker_start(
        &(struct kit_start){ .args = { "--endpoint", "web=[::]:0", "--endpoint", "late=[::]:0,overload=refuse,hold_ms=3600000",
                                       "--set", "heartbeat_ms=3600000" },
                             .env = { "LD_PRELOAD=" SB_WALL_CLOCK, env } });
    struct kit_process *w = start_worker(b, "w1");
    sockbroker_socket waiting = kit_connect(NULL, "::1", kit_broker_port(b, "late"));
    for (int i = -1; i <= 1; i += 2) {
        long offset = -i * year_s;

        move_wall_clock(path, offset);
        check_year(b, i < 0 ? "ahead" : "back", offset);
        fault_check_serves(b, 50);
        assert_true(kit_is_silent(waiting, 0));
        assert_int_equal(kit_counters(b, "late").refused, 0);
    }
    assert_false(kit_process_has_log(b->process, "worker_silent"));
    assert_false(kit_process_has_log(b->process, "worker_stuck"));
    kit_close(&waiting);
    unlink(path);
    kit_worker_stop(w);
    kit_broker_stop(b);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(shortage_of_descriptors_or_memory_pauses_accepting),
        TEST(broker_at_its_descriptor_limit_loses_nobody),
        TEST(other_errors_of_accept_stop_nothing),
        TEST(soft_limit_of_1024_is_raised),
        TEST(hard_limit_that_is_too_small_is_refused_with_numbers),
        TEST(failing_allocations_cost_one_peer_each),
        TEST(worker_without_a_ring_is_served),
        TEST(log_that_nobody_reads_blocks_nothing),
        TEST(of_two_brokers_one_wins_and_is_not_harmed),
        TEST(files_and_links_in_the_way_are_refused_and_left_alone),
        TEST(directories_that_others_could_change_are_refused),
        TEST(paths_that_are_too_long_are_refused),
        TEST(longest_path_serves),
        TEST(crowd_of_workers_is_admitted_at_once),
        TEST(jumps_of_the_wall_clock_change_no_deadline),
    };

    return kit_main(tests, argc, argv);
}
