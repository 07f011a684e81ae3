/* What the operator changes while it runs: a new configuration, drain, check. */
#include <stdlib.h>
#include <string.h>

#include "tests/support/format.h"
#include "tests/support/kit.h"
#include "tests/support/net.h"

#define OUTPUT 4096

/* ---- a configuration file ---- */

static struct kit_broker *start_with(const struct kit_config *f)
{
    return kit_broker_start(&(struct kit_start){ .args = { "--config", f->path } });
}

static void reload_with(struct kit_broker *b, const struct kit_config *f, const char *text)
{
    kit_config_write(f, text);
    kit_broker_reload(b, "event=reloaded");
}

/* ---- what there is ---- */

static struct kit_answer ask(uint16_t port)
{
    struct kit_answer a;

    kit_read_only_answer(kit_connect(NULL, "127.0.0.1", port), &a);
    return a;
}

static bool lacks_endpoint(const struct sb_status_report *r, void *name)
{
    for (size_t i = 0; i < r->n_endpoints; i++) {
        if (!strcmp(r->endpoints[i].name, name))
            return false;
    }
    return true;
}

static void wait_without(struct kit_broker *b, const char *endpoint)
{
    kit_broker_wait_status(b, lacks_endpoint, (void *)(uintptr_t)endpoint, "that endpoint gone");
}

static struct kit_process *start_worker(struct kit_broker *b, const char *name, const char *mode, const char *endpoints)
{
    struct kit_process *w = kit_worker_start(b, name, mode, &(struct kit_start){ .args = { "--endpoint", endpoints } });

    kit_broker_wait_worker(b, name, "ready");
    return w;
}

/* A worker whose last endpoint went away is told to finish, and does. */
static void wait_drained(struct kit_process *w)
{
    kit_process_wait_log(w, "draining");
    assert_int_equal(kit_process_wait(w), 0);
    kit_process_free(w);
}

static void finish(struct kit_broker *b, const struct kit_config *f)
{
    kit_broker_wait_ready(b, 0);
    kit_broker_stop(b);
    if (f)
        kit_config_close(f);
}

/* ---- reload ---- */

static void other_endpoints_do_not_notice_a_reload(void **state)
{
    struct kit_config f;
    struct kit_answer a;
    char text[256];

    (void)state;
    kit_config_open(&f, "endpoint stays { address = \"[::]:0\" }\nendpoint goes { address = \"[::]:0\" }\n");
    struct kit_broker *b = start_with(&f);
    uint16_t stays = kit_broker_port(b, "stays"), goes = kit_broker_port(b, "goes");
    unsigned long number = kit_listener_number(AF_INET6, stays);
    struct kit_process *holder = start_worker(b, "holder", "hold", "stays");
    struct kit_process *leaver = start_worker(b, "leaver", "hello", "goes");
    struct kit_process *both = start_worker(b, "both", "hold", "stays,goes");

    sockbroker_socket sock = kit_connect(NULL, "::1", stays);
    kit_read_answer(sock, &a);
    assert_true(number != 0);
    assert_false(kit_is_refused("127.0.0.1", goes));
    reload_with(b, &f, "endpoint stays { address = \"[::]:0\" }\nendpoint fresh { address = \"127.0.0.1:0\" }\n");
    wait_drained(leaver);
    wait_without(b, "goes");
    assert_true(kit_is_refused("127.0.0.1", goes));
    assert_int_equal(kit_listener_number(AF_INET6, stays), number);
    assert_true(kit_is_silent(sock, 0)); /* nobody has closed it */
    kit_broker_wait_worker(b, "holder", "ready");
    kit_broker_wait_worker(b, "both", "ready"); /* it serves another one still */
    assert_int_equal(kit_worker_status(b, "both").n_endpoints, 1);

    struct kit_process *joiner = start_worker(b, "joiner", "hello", "fresh");
    assert_string_equal(ask(kit_broker_port(b, "fresh")).worker, "joiner");
    format_text(text, sizeof(text), "endpoint stays { address = \"[::]:0\" }\nendpoint goes { address = \"[::]:%u\" }\n", goes);
    reload_with(b, &f, text); /* the same name and port as before */
    wait_drained(joiner);
    leaver = start_worker(b, "leaver", "hello", "goes");
    assert_string_equal(ask(goes).worker, "leaver");
    assert_int_equal(kit_listener_number(AF_INET6, stays), number);
    assert_true(kit_is_silent(sock, 0));
    kit_close(&sock);
    kit_worker_stop(holder);
    kit_worker_stop(leaver);
    kit_worker_stop(both);
    finish(b, &f);
}

static void reload_without_a_change_changes_nothing(void **state)
{
    struct kit_broker *b = kit_broker_start(&(struct kit_start){ .args = { "--endpoint", "web=[::]:0" } });
    struct kit_process *w = start_worker(b, "w1", "hello", "web");
    unsigned long number = kit_listener_number(AF_INET6, kit_broker_port(b, "web"));

    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        kit_broker_reload(b, "event=reloaded");
        ask(kit_broker_port(b, "web"));
    }
    assert_int_equal(kit_listener_number(AF_INET6, kit_broker_port(b, "web")), number);
    assert_int_equal(kit_counters(b, "web").acked, 5);
    kit_worker_stop(w);
    kit_broker_wait_ready(b, 0);
    kit_broker_wait_idle_fds(b);
    kit_broker_stop(b);
}

/* Everything stays, also the endpoint that the bad file would have removed, and the message names the place. */
static void bad_configuration_keeps_the_old_one_and_says_where(void **state)
{
    static const struct {
        const char *text;
        unsigned line;
    } bad[] = {
        { "endpoint web { address = \"[::]:0\" }\nendpoint web2 {\n  address = \"[::]:0\"\n  policy = \"best\"\n}\n", 4 },
        { "endpoint other {\n  adress = \"[::]:0\"\n}\n", 2 },
        { "endpoint other { address = \"1.2.3\" }\n", 1 },
        { "\n\nendpoint other { address = \"[::]:0\"\n", 3 },
        { "drain_ms = many\nendpoint other { address = \"[::]:0\" }\n", 1 },
    };
    struct kit_config f;
    char expected[256];

    (void)state;
    kit_config_open(&f, "endpoint web { address = \"[::]:0\" }\n");
    struct kit_broker *b = start_with(&f);
    uint16_t port = kit_broker_port(b, "web");
    unsigned long number = kit_listener_number(AF_INET6, port);
    struct kit_process *w = start_worker(b, "w1", "hello", "web");

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        kit_config_write(&f, bad[i].text);
        kit_broker_reload(b, "event=reload_failed");
        format_text(expected, sizeof(expected), "event=reload_failed cause=\"%s:%u: ", f.path, bad[i].line);
        kit_broker_wait_log(b, expected);
        ask(port);
    }
    kit_config_write(&f, "");
    kit_broker_reload(b, "event=reload_failed"); /* nothing to serve */
    kit_config_close(&f);
    kit_broker_reload(b, "event=reload_failed"); /* no file */
    ask(port);
    assert_int_equal(kit_listener_number(AF_INET6, port), number);
    kit_broker_wait_worker(b, "w1", "ready");
    kit_worker_stop(w);
    finish(b, NULL);
}

/* A changed endpoint that cannot have its new address keeps the whole reload from happening. */
static void reload_that_cannot_bind_a_changed_endpoint_changes_nothing(void **state)
{
    struct kit_config f;
    char text[256];
    sockbroker_socket taken = net_open_bound("::1", 0, SOCK_STREAM);

    (void)state;
    assert_int_equal(listen(taken, 1), 0);
    kit_config_open(&f, "endpoint one { address = \"[::]:0\" }\nendpoint two { address = \"[::]:0\" }\n");
    struct kit_broker *b = start_with(&f);
    uint16_t one = kit_broker_port(b, "one"), two = kit_broker_port(b, "two");
    struct kit_process *w = start_worker(b, "w1", "hello", "one,two");

    format_text(text, sizeof(text),
                "endpoint one { address = \"[::]:0\" policy = source-hash }\nendpoint new { address = \"[::]:0\" }\n"
                "endpoint two { address = \"[::1]:%u\" }\n",
                net_port(taken));
    kit_config_write(&f, text);
    kit_broker_reload(b, "event=reload_failed");
    ask(one);
    ask(two);
    wait_without(b, "new");
    struct sb_status_report r;
    kit_status(b, &r);
    assert_int_equal(r.n_endpoints, 2);
    assert_string_equal(r.endpoints[0].policy, "round-robin");
    sb_status_report_deinit(&r);
    net_close(&taken);
    kit_broker_reload(b, "event=reloaded"); /* now it can, and all of it happens */
    wait_without(b, "nothing");
    kit_worker_stop(w);
    finish(b, &f);
}

/* A new endpoint that cannot be opened: none of the change happens. */
static void reload_is_all_or_nothing(void **state)
{
    struct kit_config f;
    char text[256];

    (void)state;
    kit_config_open(&f, "endpoint one { address = \"[::]:0\" }\nendpoint two { address = \"[::]:0\" }\n");
    struct kit_broker *b = start_with(&f);
    uint16_t one = kit_broker_port(b, "one"), two = kit_broker_port(b, "two");
    struct kit_process *w = start_worker(b, "w1", "hello", "one,two");

    format_text(text, sizeof(text),
                "endpoint one { address = \"[::]:0\" }\nendpoint new { address = \"[::]:0\" }\n"
                "endpoint taken { address = \"[::]:%u\" }\n",
                one);
    kit_config_write(&f, text);
    kit_broker_reload(b, "event=reload_failed");
    ask(one);
    ask(two);
    wait_without(b, "new");
    kit_worker_stop(w);
    finish(b, &f);
}

static void policy_changes_in_place(void **state)
{
    struct kit_config f;
    char name[SOCKBROKER_NAME_MAX + 1];
    struct sb_status_report r;
    unsigned n_same = 0;

    (void)state;
    kit_config_open(&f, "endpoint web { address = \"[::]:0\" }\n");
    struct kit_broker *b = start_with(&f);
    uint16_t port = kit_broker_port(b, "web");
    unsigned long number = kit_listener_number(AF_INET6, port);
    struct kit_process *w1 = start_worker(b, "w1", "hello", "web");
    struct kit_process *w2 = start_worker(b, "w2", "hello", "web");

    for (unsigned i = 0; i < 10; i++)
        n_same += !strcmp(ask(port).worker, "w1");
    assert_int_equal(n_same, 5);
    reload_with(b, &f, "endpoint web { address = \"[::]:0\"\n policy = source-hash }\n");
    memcpy(name, ask(port).worker, sizeof(name));
    for (unsigned i = 0; i < 10; i++)
        assert_string_equal(ask(port).worker, name);
    reload_with(b, &f, "endpoint web { address = \"[::]:0\"\n policy = round-robin }\n");
    n_same = 0;
    for (unsigned i = 0; i < 10; i++)
        n_same += !strcmp(ask(port).worker, "w1");
    assert_int_equal(n_same, 5);
    kit_status(b, &r);
    assert_string_equal(kit_endpoint(&r, "web")->policy, "round-robin");
    assert_int_equal(r.n_sessions, 2);
    sb_status_report_deinit(&r);
    assert_int_equal(kit_listener_number(AF_INET6, port), number);
    kit_worker_stop(w1);
    kit_worker_stop(w2);
    finish(b, &f);
}

static bool has_unacked(const struct sb_status_report *r, void *arg)
{
    return r->n_sessions == 1 && r->sessions[0].unacked == *(uint64_t *)arg;
}

static void wait_unacked(struct kit_broker *b, uint64_t n)
{
    kit_broker_wait_status(b, has_unacked, &n, "that many connections on their way");
}

static void window_changes_in_place(void **state)
{
    struct kit_config f;
    struct kit_answer a;
    sockbroker_socket socks[8];

    (void)state;
    kit_config_open(
        &f, "endpoint web { address = \"[::]:0\"\n window = 2\n withdraw_after_ms = 600000\n ack_timeout_ms = 600000 }\n");
    struct kit_broker *b = start_with(&f);
    struct kit_process *w = start_worker(b, "w1", "none", "web");

    for (unsigned i = 0; i < 8; i++)
        socks[i] = kit_connect(NULL, "::1", kit_broker_port(b, "web"));
    wait_unacked(b, 2);
    reload_with(b, &f,
                "endpoint web { address = \"[::]:0\"\n window = 5\n withdraw_after_ms = 600000\n ack_timeout_ms = 600000 }\n");
    wait_unacked(b, 5);
    assert_int_equal(kit_worker_status(b, "w1").window, 5);
    kit_process_tell(w, "take 8");
    for (unsigned i = 0; i < 8; i++)
        kit_read_only_answer(socks[i], &a);
    kit_worker_stop(w);
    finish(b, &f);
}

/* What a worker asked for itself is its own. */
static void window_of_a_worker_outlives_a_reload(void **state)
{
    struct kit_config f;

    (void)state;
    kit_config_open(&f, "endpoint web { address = \"[::]:0\"\n window = 2 }\n");
    struct kit_broker *b = start_with(&f);
    struct kit_process *w = kit_worker_start(b, "w1", "hello", &(struct kit_start){ .args = { "--window", "3" } });

    reload_with(b, &f, "endpoint web { address = \"[::]:0\"\n window = 5 }\n");
    assert_int_equal(kit_worker_status(b, "w1").window, 3);
    kit_worker_stop(w);
    finish(b, &f);
}

/* One on its way, four in the kernel's queue: the endpoint goes, its clients are served. */
static void removed_endpoint_serves_what_was_queued(void **state)
{
    struct kit_config f;
    struct kit_answer a;
    sockbroker_socket socks[5];

    (void)state;
    kit_config_open(&f, "endpoint goes { address = \"[::]:0\"\n window = 1\n withdraw_after_ms = 600000 }\n"
                        "endpoint web { address = \"[::]:0\" }\n");
    struct kit_broker *b = start_with(&f);
    uint16_t port = kit_broker_port(b, "goes");
    struct kit_process *w = start_worker(b, "w1", "none", "goes");

    for (unsigned i = 0; i < 5; i++)
        socks[i] = kit_connect(NULL, i % 2 ? "::1" : "127.0.0.1", port);
    wait_unacked(b, 1);
    reload_with(b, &f, "endpoint web { address = \"[::]:0\" }\n");
    kit_broker_wait_log(b, "event=endpoint_removed endpoint=goes");
    assert_true(kit_is_refused("127.0.0.1", port));
    kit_process_tell(w, "take 5");
    for (unsigned i = 0; i < 5; i++)
        kit_read_only_answer(socks[i], &a);
    wait_without(b, "goes");
    kit_process_wait_log(w, "state draining");
    assert_int_equal(kit_process_wait(w), 0);
    kit_process_free(w);
    finish(b, &f);
}

/* The same name on another port: the old socket's queue is served, the workers stay. */
static void changed_address_moves_the_endpoint(void **state)
{
    struct kit_config f;
    struct kit_answer a;
    char text[128];
    sockbroker_socket sock;

    (void)state;
    kit_config_open(&f, "endpoint web { address = \"127.0.0.1:0\" }\n");
    struct kit_broker *b = start_with(&f);
    uint16_t old = kit_broker_port(b, "web");
    struct kit_process *w = start_worker(b, "w1", "none", "web");

    sock = kit_connect(NULL, "127.0.0.1", old);
    format_text(text, sizeof(text), "endpoint web { address = \"[::1]:0\" }\n");
    reload_with(b, &f, text);
    uint16_t fresh = kit_broker_port(b, "web");
    assert_int_not_equal(old, fresh);
    assert_true(kit_is_refused("127.0.0.1", old));
    kit_process_tell(w, "take 2");
    kit_read_only_answer(sock, &a);
    kit_read_only_answer(kit_connect(NULL, "::1", fresh), &a);
    assert_string_equal(a.worker, "w1");
    kit_worker_stop(w);
    finish(b, &f);
}

/* One more address: the one that was there keeps its socket, and nobody is refused meanwhile. */
static void added_address_leaves_the_others_alone(void **state)
{
    struct kit_config f;
    char text[128];

    (void)state;
    kit_config_open(&f, "endpoint web { address = \"127.0.0.1:0\" }\n");
    struct kit_broker *b = start_with(&f);
    uint16_t port = kit_broker_port(b, "web");
    struct kit_process *w = start_worker(b, "w1", "hello", "web");
    unsigned long number;

    format_text(text, sizeof(text), "endpoint web { address = \"127.0.0.1:%u\" }\n", port);
    reload_with(b, &f, text); /* the port by its number: the same socket, or the same place at least */
    number = kit_listener_number(AF_INET, port);
    assert_true(number != 0);
    format_text(text, sizeof(text), "endpoint web { address = { \"127.0.0.1:%u\", \"[::1]:%u\" } }\n", port, port);
    reload_with(b, &f, text);
    ask(port);
    assert_int_equal(kit_listener_number(AF_INET, port), number);
    assert_true(kit_listener_number(AF_INET6, port) != 0);
    format_text(text, sizeof(text), "endpoint web { address = \"[::1]:%u\" }\n", port);
    reload_with(b, &f, text);
    assert_true(kit_is_refused("127.0.0.1", port));
    assert_true(kit_listener_number(AF_INET6, port) != 0);
    kit_worker_stop(w);
    finish(b, &f);
}

/* ---- drain ---- */

static int drain(struct kit_broker *b, const char *what, const char *value, char output[OUTPUT])
{
    const char *args[] = { "drain", what, value, "--dir", b->dir, NULL };

    if (!value)
        memmove(&args[2], &args[3], 3 * sizeof(args[0]));
    return kit_run(args, output, OUTPUT);
}

static void drained_worker_gets_nothing_new_and_finishes(void **state)
{
    struct kit_broker *b = kit_broker_start(&(struct kit_start){ .args = { "--endpoint", "web=[::]:0" } });
    uint16_t port = kit_broker_port(b, "web");
    struct kit_process *old = start_worker(b, "old", "hold", "web");
    struct kit_process *fresh;
    struct kit_answer a;
    char output[OUTPUT];

    (void)state;
    sockbroker_socket sock = kit_connect(NULL, "::1", port);
    kit_read_answer(sock, &a);
    fresh = start_worker(b, "fresh", "hello", "web");
    assert_int_equal(drain(b, "old", NULL, output), 0);
    assert_string_equal(output, "1 worker draining\n");
    kit_process_wait_log(old, "draining");
    for (unsigned i = 0; i < 10; i++)
        assert_string_equal(ask(port).worker, "fresh");
    kit_broker_wait_worker(b, "old", "draining");
    assert_true(kit_is_silent(sock, 0));
    kit_close(&sock);
    assert_int_equal(kit_process_wait(old), 0);
    kit_process_free(old);
    kit_broker_wait_worker(b, "old", "gone");
    kit_worker_stop(fresh);
    finish(b, NULL);
}

static void drain_takes_a_session_id(void **state)
{
    struct kit_broker *b = kit_broker_start(&(struct kit_start){ .args = { "--endpoint", "web=[::]:0" } });
    struct kit_process *w = start_worker(b, "w1", "hello", "web");
    char output[OUTPUT], id[24];

    (void)state;
    format_text(id, sizeof(id), "%llu", (unsigned long long)kit_worker_status(b, "w1").id);
    assert_int_equal(drain(b, id, NULL, output), 0);
    wait_drained(w);
    finish(b, NULL);
}

/* --wait comes back when the last connection of the old generation is over, not before. */
static void drain_waits_for_a_generation(void **state)
{
    struct kit_broker *b = kit_broker_start(&(struct kit_start){ .args = { "--endpoint", "web=[::]:0" } });
    uint16_t port = kit_broker_port(b, "web");
    const char *args[] = { "drain", "--generation", "1", "--wait", "--dir", b->dir, NULL };
    struct kit_process *old[2], *fresh;
    struct kit_answer a;
    sockbroker_socket socks[4];

    (void)state;
    for (unsigned i = 0; i < 2; i++)
        old[i] = kit_worker_start(b, i ? "old2" : "old1", "hold", &(struct kit_start){ .args = { "--generation", "1" } });
    kit_broker_wait_ready(b, 2);
    for (unsigned i = 0; i < 4; i++) {
        socks[i] = kit_connect(NULL, "127.0.0.1", port);
        kit_read_answer(socks[i], &a);
    }
    fresh = kit_worker_start(b, "fresh", "hello", &(struct kit_start){ .args = { "--generation", "2" } });
    kit_broker_wait_worker(b, "fresh", "ready");
    struct kit_process *command = kit_run_start(args);
    kit_broker_wait_worker(b, "old1", "draining");
    kit_broker_wait_worker(b, "old2", "draining");
    for (unsigned i = 0; i < 4; i++) {
        assert_string_equal(ask(port).worker, "fresh");
        assert_false(kit_process_is_over(command));
        kit_close(&socks[i]);
    }
    assert_int_equal(kit_process_wait(command), 0);
    kit_process_wait_log(command, "2 workers drained\n");
    kit_process_free(command);
    for (unsigned i = 0; i < 2; i++)
        wait_drained(old[i]);
    kit_broker_wait_ready(b, 1);
    kit_worker_stop(fresh);
    finish(b, NULL);
}

/* A worker that dies while somebody waits for it has gone, too. */
static void drain_wait_ends_with_a_dead_worker(void **state)
{
    struct kit_broker *b = kit_broker_start(&(struct kit_start){ .args = { "--endpoint", "web=[::]:0" } });
    const char *args[] = { "drain", "w1", "--wait", "--dir", b->dir, NULL };
    struct kit_process *w = start_worker(b, "w1", "hold", "web");
    struct kit_answer a;

    (void)state;
    sockbroker_socket sock = kit_connect(NULL, "127.0.0.1", kit_broker_port(b, "web"));
    kit_read_answer(sock, &a);
    struct kit_process *command = kit_run_start(args);
    kit_broker_wait_worker(b, "w1", "draining");
    assert_false(kit_process_is_over(command));
    kit_process_kill(w);
    assert_int_equal(kit_process_wait(command), 0);
    kit_process_free(command);
    kit_close(&sock);
    finish(b, NULL);
}

static void drain_tells_by_its_exit_code(void **state)
{
    struct kit_broker *b = kit_broker_start(&(struct kit_start){ .args = { "--endpoint", "web=[::]:0" } });
    char output[OUTPUT];

    (void)state;
    assert_int_equal(drain(b, "nobody", NULL, output), 1);
    assert_non_null(strstr(output, "no worker matches"));
    assert_int_equal(drain(b, "--generation", "7", output), 1);
    assert_int_equal(drain(b, "--generation", "seven", output), 2);
    assert_int_equal(drain(b, "--generation", "18446744073709551616", output), 2);
    assert_int_equal(drain(b, "no/name", NULL, output), 2);
    assert_int_equal(drain(b, "one", "two", output), 2);
    assert_int_equal(drain(b, "--wait", NULL, output), 2);
    assert_int_equal(drain(b, "--never-heard-of", NULL, output), 2);
    assert_int_equal(kit_run((const char *const[]){ "drain", "w1", "--dir", "/nonexistent/sockbroker", NULL }, output, OUTPUT),
                     3);
    finish(b, NULL);
    assert_int_equal(kit_run((const char *const[]){ "status", "--dir", "/nonexistent/sockbroker", NULL }, output, OUTPUT), 3);
}

/* ---- check ---- */

static void check_judges_and_touches_nothing(void **state)
{
    struct kit_config f;
    char output[OUTPUT], where[192];

    (void)state;
    kit_config_open(
        &f,
        "endpoint web { address = \"[::]:0\" }\nendpoint admin {\n address = \"127.0.0.1:0\"\n policy = least-pending\n}\n");
    struct kit_broker *b = start_with(&f);
    const char *args[] = { "check", "--config", f.path, "--dir", b->dir, NULL };
    unsigned fds = kit_count_fds(b->process->pid);

    assert_int_equal(kit_run(args, output, OUTPUT), 0);
    assert_string_equal(output, "good: 2 endpoints\n");
    kit_config_write(
        &f, "endpoint web { address = \"[::]:0\" }\nendpoint admin {\n address = \"127.0.0.1:0\"\n policy = best\n}\n");
    assert_int_equal(kit_run(args, output, OUTPUT), 2);
    format_text(where, sizeof(where), "%s:4: ", f.path);
    assert_non_null(strstr(output, where));
    assert_int_equal(kit_run((const char *const[]){ "check", NULL }, output, OUTPUT), 2);
    assert_int_equal(kit_run((const char *const[]){ "check", "--endpoint", "web=[::]:99999", NULL }, output, OUTPUT), 2);
    assert_int_equal(kit_run((const char *const[]){ "check", "--endpoint", "web=[::]:80", NULL }, output, OUTPUT), 0);
    assert_int_equal(kit_run((const char *const[]){ "check", "--config", "/nonexistent/file", NULL }, output, OUTPUT), 1);
    assert_int_equal(kit_count_fds(b->process->pid), fds);
    assert_int_equal(kit_process_count_log(b->process, "event=reload"), 0);
    finish(b, &f);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(other_endpoints_do_not_notice_a_reload),
        TEST(reload_without_a_change_changes_nothing),
        TEST(bad_configuration_keeps_the_old_one_and_says_where),
        TEST(reload_is_all_or_nothing),
        TEST(reload_that_cannot_bind_a_changed_endpoint_changes_nothing),
        TEST(policy_changes_in_place),
        TEST(window_changes_in_place),
        TEST(window_of_a_worker_outlives_a_reload),
        TEST(removed_endpoint_serves_what_was_queued),
        TEST(changed_address_moves_the_endpoint),
        TEST(added_address_leaves_the_others_alone),
        TEST(drained_worker_gets_nothing_new_and_finishes),
        TEST(drain_takes_a_session_id),
        TEST(drain_waits_for_a_generation),
        TEST(drain_wait_ends_with_a_dead_worker),
        TEST(drain_tells_by_its_exit_code),
        TEST(check_judges_and_touches_nothing),
    };

    return kit_main(tests, argc, argv);
}
