/* Everything that restarts something, mixed at random, under load over both families; nobody may notice.
 *
 * One broker with its keeper. `web` is served by workers that the broker starts, `own` by workers of somebody else
 * (drain_older), `http` by the http_worker sample: its connections stay open and ask again after every step. Each step draws
 * one thing to happen while short connections come to `web` and `own`, and waits until all is well again.
 *
 * SOCKBROKER_LONG_RUN_S: how many seconds (default 8); SOCKBROKER_LONG_RUN_SEED: what to draw (default 1). The same seed
 * draws the same steps; how many fit depends on the machine. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/format.h"
#include "tests/support/kit_upgrade.h"

#define STEP_CLIENTS 400u /* of `web`, and as many of `own` */
#define STEP_RATE 1500u   /* new connections a second, each */
#define LONG_CLIENTS 8u
#define SPAWN 3u
#define WORKERS_MOST 4u
#define OUTPUT 2048

enum happening { RELOAD, SCALE, PAUSE, UPGRADE, BROKER_KILL, WORKER_KILL, WORKER_STOP, NEXT_OWN, N_HAPPENINGS };

static const char *const names[N_HAPPENINGS] = {
    [RELOAD] = "reload of the workers",
    [SCALE] = "scale",
    [PAUSE] = "pause and resume",
    [UPGRADE] = "upgrade of the broker",
    [BROKER_KILL] = "kill -9 of the broker",
    [WORKER_KILL] = "kill -9 of a worker",
    [WORKER_STOP] = "stopped worker",
    [NEXT_OWN] = "newer worker of somebody else",
};

struct tally {
    unsigned steps, clients, lost, slowest_ms;
};

struct run {
    struct kit_broker *broker;
    struct kit_process *own; /* serves `own` */
    unsigned own_generation;
    unsigned n_workers; /* of group `workers` */
    int longs[LONG_CLIENTS];
    unsigned n_busy; /* answers of a broker that had something of the kind to do */
    uint64_t dice;
    struct tally tallies[N_HAPPENINGS];
};

/* ---- chance ---- */

static unsigned number_of(const char *name, unsigned otherwise)
{
    const char *text = getenv(name);

    return text && text[0] ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

/* xorshift64*: the same on every machine. */
static unsigned draw(struct run *r, unsigned below)
{
    r->dice ^= r->dice >> 12;
    r->dice ^= r->dice << 25;
    r->dice ^= r->dice >> 27;
    return (unsigned)((r->dice * 2685821657736338717u) >> 33) % below;
}

/* ---- what can be asked of the broker ---- */

/* False: the broker is busy with something of the kind, and says so. */
static bool has_run(struct run *r, const char *const *args)
{
    char output[OUTPUT];

    if (!kit_run(args, output, sizeof(output)))
        return true;
    if (!strstr(output, "try again") && !strstr(output, "when that is over"))
        kit_fail("%s: %s", args[0], output);
    r->n_busy++;
    return false;
}

static void must_run(struct run *r, const char *command, const char *first, const char *second)
{
    const char *args[] = { command, "--dir", r->broker->dir, first, second, NULL };

    kit_until(has_run(r, args));
}

struct serving {
    unsigned workers; /* of the group, in its newest generation */
    const char *own;
};

static bool is_group(const struct sb_session_status *s)
{
    return !strncmp(s->name, "workers-", 8);
}

/* Nobody of an older generation any more, nobody stuck, the right number. */
static bool all_well(const struct sb_status_report *report, void *arg)
{
    const struct serving *want = arg;
    unsigned n = 0;

    for (size_t i = 0; i < report->n_sessions; i++) {
        const struct sb_session_status *s = &report->sessions[i];

        if (strcmp(s->state, "ready"))
            return false;
        n += is_group(s);
    }
    return n == want->workers && kit_find_session(report, want->own) && kit_find_session(report, "http");
}

static bool ask_all_well(struct run *r)
{
    struct sb_client *client;
    struct sb_status_report report;
    struct sockbroker_error error;
    struct serving want = { r->n_workers, r->own->title };

    if (sb_ask_open(r->broker->dir, &client, &error))
        return false;
    bool answered = !sb_ask_status(client, &report, &error);
    sb_client_close(client);
    if (!answered)
        return false;
    bool well = all_well(&report, &want);
    sb_status_report_deinit(&report);
    return well;
}

static pid_t some_worker(struct run *r)
{
    struct sb_status_report report;
    pid_t pids[WORKERS_MOST * 4] = { 0 };
    unsigned n = 0;

    kit_status(r->broker, &report);
    for (size_t i = 0; i < report.n_sessions && n < WORKERS_MOST * 4; i++) {
        if (is_group(&report.sessions[i]))
            pids[n++] = (pid_t)report.sessions[i].pid;
    }
    sb_status_report_deinit(&report);
    if (!n)
        kit_fail("no worker to choose from");
    return pids[draw(r, n)];
}

/* ---- what happens ---- */

static struct kit_process *start_own(struct run *r)
{
    char name[16], generation[16];

    format_text(name, sizeof(name), "own%u", ++r->own_generation);
    format_text(generation, sizeof(generation), "%u", r->own_generation);
    return kit_worker_start(r->broker, name, "hello",
                            &(struct kit_start){ .args = { "--endpoint", "own", "--generation", generation } });
}

static void next_own(struct run *r)
{
    struct kit_process *before = r->own;

    r->own = start_own(r);
    if (kit_process_wait(before))
        kit_fail("%s did not end well after its drain", before->title);
    kit_process_free(before);
}

static void scale(struct run *r)
{
    char n[8];

    r->n_workers = 1 + draw(r, WORKERS_MOST);
    format_text(n, sizeof(n), "%u", r->n_workers);
    must_run(r, "scale", "workers", n);
}

static void stop_worker(struct run *r, struct kit_load *load)
{
    pid_t pid = some_worker(r);

    if (kill(pid, SIGSTOP))
        kit_fail("worker %d cannot be stopped: %s", (int)pid, strerror(errno));
    if (r->n_workers > 1) /* what it had not read goes to others, while it does not run */
        kit_load_wait(load, STEP_CLIENTS * 3 / 4);
    kill(pid, SIGCONT);
}

static void happen(struct run *r, enum happening what, struct kit_load *web)
{
    switch (what) {
    case RELOAD:
        must_run(r, "reload", NULL, NULL);
        break;
    case SCALE:
        scale(r);
        break;
    case PAUSE:
        must_run(r, "pause", "web", NULL);
        kit_pause(20 + draw(r, 100));
        must_run(r, "resume", "web", NULL);
        break;
    case UPGRADE:
        must_run(r, "upgrade", NULL, NULL);
        break;
    case BROKER_KILL:
        if (kill(kit_upgrade_pid(r->broker), SIGKILL))
            kit_fail("no broker to kill");
        break;
    case WORKER_KILL:
        kill(some_worker(r), SIGKILL);
        break;
    case WORKER_STOP:
        stop_worker(r, web);
        break;
    case NEXT_OWN:
        next_own(r);
        break;
    case N_HAPPENINGS:
        break;
    }
}

/* ---- clients ---- */

static void open_long(struct run *r, unsigned i)
{
    r->longs[i] = kit_connect(NULL, i % 2 ? "127.0.0.1" : "::1", kit_broker_port(r->broker, "http"));
}

/* One request. False when the connection was closed before any byte of the answer. */
static bool ask_http(int sock)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    char text[4096];
    size_t n = 0;

    if (send(sock, request, sizeof(request) - 1, MSG_NOSIGNAL) != sizeof(request) - 1)
        return false;
    for (;;) {
        ssize_t got = recv(sock, text + n, sizeof(text) - 1 - n, 0);

        if (got <= 0 && n == 0)
            return false;
        if (got <= 0)
            kit_fail("a long connection ended after %zu bytes of an answer", n);
        n += (size_t)got;
        text[n] = '\0';
        const char *body = strstr(text, "\r\n\r\n"), *len = strstr(text, "Content-Length: ");
        if (body && len && n >= (size_t)(body + 4 - text) + strtoul(len + 16, NULL, 10))
            break;
    }
    if (strncmp(text, "HTTP/1.1 200", 12))
        kit_fail("a long connection got \"%.60s\"", text);
    return true;
}

/* Their worker is never restarted here, so none of them may end. */
static void ask_all_long(struct run *r, const char *after)
{
    for (unsigned i = 0; i < LONG_CLIENTS; i++) {
        if (!ask_http(r->longs[i]))
            kit_fail("long connection %u is over after: %s", i, after);
    }
}

static struct kit_load *load_on(struct run *r, const char *endpoint)
{
    return kit_load_start(&(struct kit_load_options){
        .port = kit_broker_port(r->broker, endpoint), .total = STEP_CLIENTS, .concurrency = 32, .per_second = STEP_RATE });
}

/* A killed process may cost one connection: a worker the one that it had acked and not answered, the broker the one that it
 * had accepted and not sent yet. */
static void count(struct tally *t, const struct kit_load_result *load, unsigned may_lose, const char *what)
{
    unsigned lost = STEP_CLIENTS - load->answered;

    t->clients += STEP_CLIENTS;
    t->lost += lost;
    t->slowest_ms = load->slowest_ms > t->slowest_ms ? load->slowest_ms : t->slowest_ms;
    if (lost > may_lose || load->refused || load->wrong || load->timeout) {
        kit_load_print(what, load);
        kit_load_check_all_answered(load, STEP_CLIENTS);
    }
}

/* ---- steps ---- */

static void step(struct run *r, enum happening what)
{
    struct kit_load *web = load_on(r, "web"), *own = load_on(r, "own");
    struct kit_load_result of_web, of_own;
    struct tally *t = &r->tallies[what];

    kit_load_wait(web, STEP_CLIENTS / 8 + draw(r, STEP_CLIENTS / 8));
    happen(r, what, web);
    ask_all_long(r, names[what]);
    kit_load_finish(web, &of_web);
    kit_load_finish(own, &of_own);
    t->steps++;
    count(t, &of_web, what == WORKER_KILL || what == BROKER_KILL, names[what]);
    count(t, &of_own, what == BROKER_KILL && of_web.answered == STEP_CLIENTS, names[what]);
    kit_until(ask_all_well(r));
    ask_all_long(r, names[what]);
}

static void print_tallies(const struct run *r)
{
    print_message("%-32s %6s %12s %6s %11s\n", "", "times", "connections", "lost", "slowest ms");
    for (unsigned i = 0; i < N_HAPPENINGS; i++) {
        const struct tally *t = &r->tallies[i];

        print_message("%-32s %6u %12u %6u %11u\n", names[i], t->steps, t->clients, t->lost, t->slowest_ms);
    }
    print_message("commands answered with busy and given again: %u\n", r->n_busy);
}

static const char configuration[] = "keeper_window_ms = 100\n" /* every crash is the first one */
                                    "keeper_restarts = 100\n"
                                    "endpoint own { address = [::]:0 drain_older = yes }\n"
                                    "endpoint http { address = [::]:0 }\n"
                                    "endpoint web { address = [::]:0 }\n"
                                    "group workers {\n"
                                    "    command = {" SB_WORKER_EXE ", --spawned, --mode, hello}\n"
                                    "    endpoints = {web}\n"
                                    "    spawn = 3\n"
                                    "    restart_delay_ms = 10\n"
                                    "    restart_max = 100\n"
                                    "    restart_window_ms = 1000\n"
                                    "}\n";

static struct kit_broker *start_broker(const struct kit_config *config)
{
    struct kit_broker *b = kit_broker_launch(&(struct kit_start){ .keeper = true, .args = { "--config", config->path } });

    kit_broker_wait_log(b, "event=ready");
    return b;
}

/* Workers outlive a broker that was killed, and come to this process then. All have ended with their last broker. */
static bool has_no_child(void)
{
    pid_t pid;

    while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
        continue;
    return pid < 0 && errno == ECHILD;
}

static struct kit_process *start_http(struct run *r)
{
    struct kit_process *p = kit_process_start("http", SB_HTTP_WORKER,
                                              &(struct kit_start){ .args = { "--dir", r->broker->dir, "--endpoint", "http",
                                                                             "--name", "http", "--idle-ms", "3600000" } });

    kit_process_wait_log(p, "ready");
    return p;
}

static void nobody_notices_anything(void **state)
{
    unsigned seconds = number_of("SOCKBROKER_LONG_RUN_S", 8), seed = number_of("SOCKBROKER_LONG_RUN_SEED", 1);
    struct run r = { .n_workers = SPAWN, .dice = seed * 2654435761u + 1 };
    struct kit_config config;

    (void)state;
    kit_config_open(&config, configuration);
    r.broker = start_broker(&config);
    print_message("%u seconds with seed %u\n", seconds, seed);
    r.own = start_own(&r);
    struct kit_process *http = start_http(&r);
    kit_until(ask_all_well(&r));
    for (unsigned i = 0; i < LONG_CLIENTS; i++)
        open_long(&r, i);
    ask_all_long(&r, "the start");
    for (uint64_t end_ms = kit_now_ms() + 1000u * seconds; kit_now_ms() < end_ms;)
        step(&r, (enum happening)draw(&r, N_HAPPENINGS));
    print_tallies(&r);
    for (unsigned i = 0; i < LONG_CLIENTS; i++)
        kit_close(&r.longs[i]);
    kit_process_ask_end(http);
    assert_int_equal(kit_process_wait(http), 0);
    kit_process_free(http);
    kit_worker_stop(r.own);
    kit_broker_stop(r.broker);
    kit_until(has_no_child());
    kit_config_close(&config);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nobody_notices_anything, kit_upgrade_setup, kit_upgrade_teardown),
    };

    return kit_main(tests, argc, argv);
}
