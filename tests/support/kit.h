/* kit.h: starts the real broker and real workers, loads them with clients, and counts what every client got.
 *
 *     static void something_holds(void **state)
 *     {
 *         struct kit_broker *b = kit_broker_start(&(struct kit_start){ .args = { "--endpoint", "web=[::]:0" } });
 *         struct kit_process *w = kit_worker_start(b, "w1", "hello", NULL);
 *         kit_broker_wait_ready(b, 1);
 *         struct kit_load_result r;
 *         kit_load_run(&(struct kit_load_options){ .port = kit_broker_port(b, "web"), .total = 100 }, &r);
 *         assert_int_equal(r.answered, 100);
 *         kit_worker_stop(w);
 *         kit_broker_stop(b);
 *     }
 *     ... cmocka_unit_test_setup_teardown(something_holds, kit_setup, kit_teardown)
 *
 * Everything here belongs to the test's own thread, but for kit_load_done() and its like. What goes wrong inside the kit ends
 * the test with the logs of all processes. Nothing sleeps for a guessed time: every wait names its event and ends the test when
 * it does not come.
 */
#ifndef SB_TESTS_SUPPORT_KIT_H
#define SB_TESTS_SUPPORT_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/ask.h"
#include "proto/printf.h"
#include "sockbroker/sockbroker.h"
#include "sockbroker/worker.h"

#define KIT_WAIT_MS 30000 /* generous: two cores, sanitizers, four other tests */
#define KIT_ARGS_MAX 32
#define KIT_ENV_MAX 8
#define KIT_GIVE_MAX 32

/* ---- each test ---- */

/* Fixtures of every test: the teardown kills what a failed test left, prints its log, and fails when the test left a
 * descriptor or a child behind. */
int kit_setup(void **state);
int kit_teardown(void **state);

/* Runs the tests of the group; argv[1], if there, is a cmocka filter ("direct_*"). Ignores SIGPIPE. */
#define kit_main(tests, argc, argv) (kit_filter(argc, argv), cmocka_run_group_tests(tests, NULL, NULL))
void kit_filter(int argc, char **argv);

/* $SOCKBROKER_TEST_SCALE, default 1; 10 gives the full counts of the issue. */
unsigned kit_scale(void);

uint64_t kit_now_ms(void);

/* Ends the test with a sentence and everybody's log. */
_Noreturn void kit_fail(const char *format, ...) SB_PRINTF(1, 2);

/* Lets pending log lines in and waits about `ms` at most; for a condition that has no event of its own. Use kit_until(). */
void kit_pause(unsigned ms);

/* Waits until the condition holds. */
#define kit_until(condition)                                                                                                   \
    do {                                                                                                                       \
        uint64_t kit_end_ms = kit_now_ms() + KIT_WAIT_MS;                                                                      \
        while (!(condition)) {                                                                                                 \
            if (kit_now_ms() > kit_end_ms)                                                                                     \
                kit_fail("%s:%d: waited in vain for: %s", __FILE__, __LINE__, #condition);                                     \
            kit_pause(5);                                                                                                      \
        }                                                                                                                      \
    } while (0)

/* ---- processes ---- */

struct kit_start {
    const char *args[KIT_ARGS_MAX]; /* after the program's name; ends with the first NULL */
    const char *env[KIT_ENV_MAX];   /* "NAME=VALUE", on top of the test's own; SOCKBROKER_* of the test's own are left out */
    unsigned nofile;                /* POSIX: RLIMIT_NOFILE, soft and hard; 0: as it is */
    const int *give;                /* POSIX: n_give descriptors that it finds from 3 on; lent */
    unsigned n_give;
    bool no_text;    /* its output is kept as it is; Windows: else without the CR of each line */
    bool console;    /* Windows: kit_process_ask_end() may be used; broker: always */
    bool keeper;     /* broker: with its keeper; else kit_process is the broker itself */
    const char *dir; /* broker: an existing runtime directory, not removed at the end; NULL: a new one */
};

struct kit_process {
    char title[64];
    int pid;       /* 0 once it was reaped */
    int exit_code; /* once it was reaped; 128 + number of the signal that killed it, 137 for kit_process_kill() on Windows */
    void *handle;  /* Windows: of the process */
    int in;        /* its standard input; -1: closed */
    int out;       /* its standard output and error in one pipe; -1: closed */
    bool no_text;
    struct kit_feed *feed; /* what kit_process_feed() is about */
    char *log;             /* what it wrote so far, NUL-terminated, lines end in \n */
    size_t log_len;
    size_t log_room;
    struct kit_process *next;
};

/* A program of your own. Descriptors beyond 0, 1 and 2 are not inherited; it dies with the test. */
struct kit_process *kit_process_start(const char *title, const char *program, const struct kit_start *how);

/* One line to its standard input. */
void kit_process_tell(struct kit_process *p, const char *line);
/* Its input ends here. */
void kit_process_end_input(struct kit_process *p);
/* All of it, and then the end, from a thread of its own: a pipe holds little. Lent until the process is freed. */
void kit_process_feed(struct kit_process *p, const void *bytes, size_t len);

/* Nobody reads any more what it writes. */
void kit_process_end_output(struct kit_process *p);

/* Waits until the text stands in what it wrote. Returns a pointer to its first place, good until the next call. */
const char *kit_process_wait_log(struct kit_process *p, const char *text);
bool kit_process_has_log(struct kit_process *p, const char *text);
/* How often; what has not been written yet is not counted. */
unsigned kit_process_count_log(struct kit_process *p, const char *text);

/* POSIX alone. */
void kit_process_signal(struct kit_process *p, int number);

/* SIGTERM; Windows: Ctrl-C, and it has a console. */
void kit_process_ask_end(struct kit_process *p);

/* Of a broker itself, not of its keeper. SIGHUP; Windows: its event. */
void kit_process_ask_reload(struct kit_process *p);

/* Not one step more, until it may go on. halt does not wait until that is so. */
void kit_process_halt(struct kit_process *p);
void kit_process_wait_stopped(struct kit_process *p);
void kit_process_stop(struct kit_process *p); /* both */
void kit_process_go_on(struct kit_process *p);

/* kill -9, TerminateProcess(). Does not wait. */
void kit_process_strike(struct kit_process *p);

bool kit_process_is_over(struct kit_process *p); /* reaps it, p stays */

/* Waits for its end. Returns its exit code as p->exit_code has it. p stays. */
int kit_process_wait(struct kit_process *p);

/* Forgets it; must have been waited for. */
void kit_process_free(struct kit_process *p);

/* Strike, wait, free. */
void kit_process_kill(struct kit_process *p);

/* Runs `sockbroker ARGS...` to its end and gives its exit code. output (may be NULL) gets both streams, NUL-terminated. */
int kit_run(const char *const *args, char *output, size_t output_room);

/* The same in the background: kit_process_wait() gives the exit code. */
struct kit_process *kit_run_start(const char *const *args);

/* ---- the broker ---- */

struct kit_broker {
    struct kit_broker *next;
    struct kit_process *process;
    char dir[160];
    bool owns_dir;
    unsigned idle_fds;  /* descriptors before the first worker */
    bool idle_may_fall; /* one that was about to be closed may have been counted among them */
};

/* `sockbroker serve --dir DIR ARGS...`, and waits for event=ready. */
struct kit_broker *kit_broker_start(const struct kit_start *how);

/* The same without waiting, for a broker that is expected to fail. */
struct kit_broker *kit_broker_launch(const struct kit_start *how);

/* The port of "event=listening endpoint=NAME address=...:PORT"; the last such line counts. */
uint16_t kit_broker_port(struct kit_broker *b, const char *endpoint);

const char *kit_broker_wait_log(struct kit_broker *b, const char *text);

/* Its directory as messages name it, which event=ready has said; on Windows a name made of b->dir. place_out has room for 160.
 */
void kit_broker_place(struct kit_broker *b, char *place_out);

/* Asks it to end, exit code 0 asserted, everything freed. */
void kit_broker_stop(struct kit_broker *b);

/* Strikes it, and waits. The directory stays: start the next broker with .dir = b->dir copied, or kit_broker_revive(). */
void kit_broker_kill(struct kit_broker *b);

/* A new broker in the directory of one that was killed or has ended; b goes on with it. */
void kit_broker_revive(struct kit_broker *b, const struct kit_start *how);

/* Forgets a broker whose process is over already (waited for). */
void kit_broker_free(struct kit_broker *b);

/* Waits until the broker has as many open descriptors as before the first worker. */
void kit_broker_wait_idle_fds(struct kit_broker *b);

/* The same after the first use of something. On Windows that opens handles which stay: they belong to idle from now on. */
void kit_broker_wait_idle_after_first_use(struct kit_broker *b);

/* ---- configuration files ---- */

/* For `serve --config`. close removes it. */
struct kit_config {
    char path[160];
};
void kit_config_open(struct kit_config *c, const char *text);
void kit_config_write(const struct kit_config *c, const char *text);
void kit_config_close(const struct kit_config *c);

/* Asks it to reload, and until the log says `event` ("event=reloaded", "event=reload_failed") once more. */
void kit_broker_reload(struct kit_broker *b, const char *event);

/* ---- status ---- */

/* Asks over the control channel; give it to sb_status_report_deinit(). */
void kit_status(struct kit_broker *b, struct sb_status_report *report_out);

typedef bool kit_predicate(const struct sb_status_report *report, void *arg);
void kit_broker_wait_status(struct kit_broker *b, kit_predicate *predicate, void *arg, const char *what);

/* Until exactly n workers are ready. */
void kit_broker_wait_ready(struct kit_broker *b, unsigned n);
/* Until that worker is in that state ("ready", "stuck", "gone": not listed any more). */
void kit_broker_wait_worker(struct kit_broker *b, const char *worker, const char *state);
/* Until nothing is held or on its way anywhere. */
void kit_broker_wait_settled(struct kit_broker *b);

/* In a report; end the test when it is not there. kit_find_session() gives NULL. */
const struct sb_endpoint_status *kit_endpoint(const struct sb_status_report *report, const char *name);
const struct sb_session_status *kit_session(const struct sb_status_report *report, const char *name);
const struct sb_session_status *kit_find_session(const struct sb_status_report *report, const char *name);

/* The counters of one endpoint now. */
struct sb_endpoint_counters kit_counters(struct kit_broker *b, const char *endpoint);
/* One worker now; ends the test when it is not there. */
struct sb_session_status kit_worker_status(struct kit_broker *b, const char *worker);

/* ---- workers ---- */

/* Starts tests/support/kit_worker.c, which says "ready" once it is attached; this waits for it.
 *   mode   hello  one line for each connection, then close
 *          echo   reads one line and sends it back behind its own
 *          hold   one line, then keeps it open until the client closes, or until told "release"
 *          none   attaches and takes nothing until told "take N" (then as hello)
 *          accept as hello, and accepts by itself on all sockets that its endpoints have (mode=share, mode=shard)
 *   more   further arguments and environment, may be NULL:
 *          --endpoint NAME[,NAME] (default web)  --threads N  --generation G  --weight N  --window N
 *          --no-finish (does not report the end of connections)  --wait (open() does not need a broker)
 *          --journal FILE (see kit_journal_*)  --pause-ms N (keeps each connection so long before it answers)
 *          --spawned (the broker has started it: nobody tells it anything, its environment says what it serves)
 * Told on standard input: "release", "take N", "fetch ENDPOINT INDEX" (asks for a socket; mode accept serves it), "stop".
 * Says on standard output: "ready", "took LEASE" (hold and none), "draining", "refused TEXT", "ended", "state NAME" on each
 * change of state, and of sockets "got ENDPOINT INDEX of N as DESCRIPTOR" or "not got ENDPOINT INDEX: STATUS: TEXT". Exit code
 * 0 after "stop", SIGTERM or a drain. */
struct kit_process *kit_worker_start(struct kit_broker *b, const char *name, const char *mode, const struct kit_start *more);

/* The same without waiting for "ready". */
struct kit_process *kit_worker_launch(struct kit_broker *b, const char *name, const char *mode, const struct kit_start *more);

/* "stop", exit code 0 asserted, freed. */
void kit_worker_stop(struct kit_process *w);

/* One in the test's own process, attached; give it to sockbroker_worker_close(). endpoints "": it only asks for sockets. */
struct sockbroker_worker *kit_worker_open(struct kit_broker *b, const char *name, const char *endpoints);

/* A file that workers count in, even those that are killed: mapped, so nothing is lost with its writer. */
struct kit_journal {
    char path[160];
    struct kit_journal_page *page;
};
void kit_journal_open(struct kit_journal *j);
void kit_journal_close(struct kit_journal *j);
uint64_t kit_journal_begun(const struct kit_journal *j);    /* connections that next() gave */
uint64_t kit_journal_answered(const struct kit_journal *j); /* of these, written whole and closed */
uint64_t kit_journal_woken(const struct kit_journal *j); /* mode accept: by a listening socket, there being something or not */

/* POSIX alone, as the next: another descriptor of a socket that the worker said it got, to look at it, or to do to it what the
 * worker could. Close it. */
sockbroker_socket kit_worker_borrow(struct kit_process *w, const char *endpoint, unsigned index);

/* Equal for two descriptors only if they are of one socket. */
uint64_t kit_socket_cookie(sockbroker_socket sock);

/* ---- one client ---- */

/* What a worker of the kit says first: "NAME PID FAMILY LEASE PORT[ ECHO]\n". */
struct kit_answer {
    char worker[SOCKBROKER_NAME_MAX + 1];
    int pid;
    char family[8]; /* "ipv4" or "ipv6": the client's */
    uint64_t lease_id;
    uint16_t port; /* the client's own */
    char echo[64];
};
bool kit_answer_parse(const char *line, struct kit_answer *answer_out);

/* A blocking socket, connected. from: NULL or the address to come from. to: "127.0.0.1", "::1", ... */
sockbroker_socket kit_connect(const char *from, const char *to, uint16_t port);
/* Reads one line with the usual deadline. */
void kit_read_answer(sockbroker_socket sock, struct kit_answer *answer_out);
/* Reads to the end of the stream: one line, and it fits the socket. Closes it. */
void kit_read_only_answer(sockbroker_socket sock, struct kit_answer *answer_out);
/* Closes with a reset, so that no port stays in TIME_WAIT. */
void kit_close(sockbroker_socket *sock);
/* Listens there, at a port that the other family has free and that no system gives by itself: other tests run meanwhile. */
sockbroker_socket kit_listen_apart(const char *host, uint16_t *port_out);
/* Nobody listens there. */
bool kit_is_refused(const char *host, uint16_t port);
/* True when nothing comes within ms. */
bool kit_is_silent(sockbroker_socket sock, unsigned ms);

/* ---- many clients ---- */

#define KIT_LOAD_WORKERS_MAX 64

struct kit_load_options {
    uint16_t port;
    unsigned total;
    unsigned concurrency; /* 0 means 64 */
    const char *hosts[2]; /* taken in turn; NULL: 127.0.0.1 and ::1. For one family give the same twice */
    bool echo;            /* sends "n NUMBER\n" and expects it back */
    unsigned deadline_ms; /* for each connection; 0 means KIT_WAIT_MS */
    unsigned per_second;  /* at most so many new connections; 0: as fast as it goes */
};

/* Every connection ends in exactly one of the first six. */
struct kit_load_result {
    unsigned answered; /* one whole line from one worker that names this connection, then the end of the stream */
    unsigned refused;  /* connect() failed */
    unsigned reset;
    unsigned empty; /* closed without a byte */
    unsigned wrong; /* anything else: half a line, two lines, somebody else's port, a lease id seen before */
    unsigned timeout;
    unsigned ipv4, ipv6; /* of those answered */
    unsigned slowest_ms; /* of those answered */
    unsigned n_workers;
    struct {
        char name[SOCKBROKER_NAME_MAX + 1];
        unsigned answered;
    } workers[KIT_LOAD_WORKERS_MAX];
    char first_wrong[160];
};

struct kit_load;

/* Runs in a thread of its own. */
struct kit_load *kit_load_start(const struct kit_load_options *options);
/* Connections that have ended, in whatever way; any thread. */
unsigned kit_load_done(struct kit_load *load);
bool kit_load_is_over(struct kit_load *load);
/* Connections whose connect() has succeeded so far; any thread. */
unsigned kit_load_connected(struct kit_load *load);
/* Until that many have ended. */
void kit_load_wait(struct kit_load *load, unsigned n);
/* Waits for the end and frees. */
void kit_load_finish(struct kit_load *load, struct kit_load_result *result_out);

void kit_load_run(const struct kit_load_options *options, struct kit_load_result *result_out);

/* Answers of that worker, 0 if none. */
unsigned kit_load_by_worker(const struct kit_load_result *r, const char *worker);

/* Ends the test, with all six numbers, unless every connection was answered. */
void kit_load_check_all_answered(const struct kit_load_result *r, unsigned total);
void kit_load_print(const char *title, const struct kit_load_result *r);

/* ---- accounts ---- */

/* Open descriptors of a process. */
unsigned kit_count_fds(int pid);

/* Of the TCP socket that listens on the port, 0 when there is none. family: AF_INET, AF_INET6 (also dual-stack). Windows gives
 * sockets no number: there it is always 1. */
unsigned long kit_listener_number(int family, uint16_t port);

#endif
