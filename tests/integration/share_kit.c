#include <string.h>

#include "tests/integration/share_kit.h"
#include "tests/support/format.h"
#include "tests/support/net.h"

struct kit_broker *share_start(const char *endpoint)
{
    return kit_broker_start(&(struct kit_start){ .args = { "--endpoint", endpoint } });
}

struct kit_process *share_start_worker(struct kit_broker *b, const char *name)
{
    struct kit_process *w = kit_worker_start(b, name, "accept", NULL);

    kit_broker_wait_worker(b, name, "ready");
    return w;
}

void share_finish(struct kit_broker *b)
{
    kit_broker_wait_ready(b, 0);
    kit_broker_wait_idle_fds(b);
    kit_broker_stop(b);
}

void share_check_all_or_nothing(const char *mode, int taken_family)
{
    struct kit_config c;
    char text[256];
    uint16_t port;
    sockbroker_socket taken = kit_listen_apart(taken_family == AF_INET ? "0.0.0.0" : "::", &port);
    const char *free_address = taken_family == AF_INET ? "::1" : "127.0.0.1";

    kit_config_open(&c, "endpoint web { address = \"[::]:0\" }\n");
    struct kit_broker *b = kit_broker_start(&(struct kit_start){ .args = { "--config", c.path } });
    format_text(text, sizeof(text),
                "endpoint web { address = \"[::]:0\" }\nendpoint two { address = \"[::]:%u\"\n family = split\n mode = %s }\n",
                port, mode);
    kit_config_write(&c, text);
    kit_broker_reload(b, "event=reload_failed");
    kit_broker_wait_log(b, taken_family == AF_INET ? "endpoint two: bind 0.0.0.0:" : "endpoint two: bind [::]:");
    assert_false(!kit_is_refused(free_address, port));
    net_close(&taken);
    kit_broker_reload(b, "event=reloaded");
    assert_true(!kit_is_refused("127.0.0.1", port));
    assert_true(!kit_is_refused("::1", port));
    kit_broker_stop(b);
    kit_config_close(&c);
}

void share_check_removal(const char *mode)
{
    enum { TOTAL = 4000 };
    struct kit_config c;
    struct kit_load_result r;
    char text[160];

    format_text(text, sizeof(text),
                "endpoint web { address = \"[::]:0\"\n mode = %s }\nendpoint other { address = \"[::]:0\" }\n", mode);
    kit_config_open(&c, text);
    struct kit_broker *b = kit_broker_start(&(struct kit_start){ .args = { "--config", c.path } });
    struct kit_process *w1 = share_start_worker(b, "w1"), *w2 = share_start_worker(b, "w2");
    struct kit_load *load = kit_load_start(
        &(struct kit_load_options){ .port = kit_broker_port(b, "web"), .total = TOTAL, .concurrency = 16, .per_second = 8000 });

    kit_load_wait(load, TOTAL / 4);
    kit_config_write(&c, "endpoint other { address = \"[::]:0\" }\n");
    kit_broker_reload(b, "event=reloaded");
    kit_load_finish(load, &r);
    kit_load_print(mode, &r);
    assert_int_equal(r.empty + r.wrong + r.timeout, 0);
    assert_int_equal(r.answered + r.refused + r.reset, TOTAL);
    assert_true(r.answered >= TOTAL / 4);
    assert_true(r.reset <= 2 * 16);
    assert_int_equal(kit_process_wait(w1), 0);
    assert_int_equal(kit_process_wait(w2), 0);
    kit_process_free(w1);
    kit_process_free(w2);
    kit_broker_wait_ready(b, 0);
    kit_broker_stop(b);
    kit_config_close(&c);
}

static struct kit_process *start_sample(struct kit_broker *b, const char *name)
{
    struct kit_process *w = kit_process_start(
        name, SB_SHARE_WORKER_EXE,
        &(struct kit_start){ .console = true, .args = { "--dir", b->dir, "--endpoint", "web", "--name", name } });

    kit_process_wait_log(w, "ready\n");
    kit_broker_wait_worker(b, name, "ready");
    return w;
}

static void check_greeting(sockbroker_socket sock, const char *expected)
{
    char text[128] = "";
    size_t len = 0;
    long n = -1;

    while (!kit_is_silent(sock, KIT_WAIT_MS) && (n = net_receive(sock, text + len, sizeof(text) - 1 - len)) > 0)
        len += (size_t)n;
    assert_int_equal(n, 0);
    assert_string_equal(text, expected);
    kit_close(&sock);
}

void share_check_sample(const char *endpoint)
{
    struct kit_broker *b = share_start(endpoint);
    struct kit_process *w1 = start_sample(b, "w1");
    uint16_t port = kit_broker_port(b, "web");

    for (unsigned i = 0; i < 10; i++) {
        check_greeting(kit_connect(NULL, "127.0.0.1", port), "hello from w1 over IPv4\n");
        check_greeting(kit_connect(NULL, "::1", port), "hello from w1 over IPv6\n");
    }
    kit_process_ask_end(w1);
    assert_int_equal(kit_process_wait(w1), 0);
    kit_process_free(w1);
    sockbroker_socket waits = kit_connect(NULL, "::1", port);
    struct kit_process *w2 = start_sample(b, "w2");
    check_greeting(waits, "hello from w2 over IPv6\n");
    assert_int_equal(kit_run((const char *[]){ "drain", "w2", "--dir", b->dir, NULL }, NULL, 0), 0);
    assert_int_equal(kit_process_wait(w2), 0);
    kit_process_free(w2);
    share_finish(b);
}

void share_check_no_leak(const char *endpoint)
{
    enum { CYCLES = 100, AT_ONCE = 4 };
    struct kit_broker *b = share_start(endpoint);
    struct kit_process *w[AT_ONCE];
    char name[16];

    for (unsigned i = 0; i < CYCLES; i += AT_ONCE) {
        for (unsigned k = 0; k < AT_ONCE; k++) {
            format_text(name, sizeof(name), "w%u", i + k);
            w[k] = kit_worker_launch(b, name, "accept", NULL);
        }
        for (unsigned k = 0; k < AT_ONCE; k++) {
            kit_process_wait_log(w[k], "got web 0 of 1 as ");
            kit_process_kill(w[k]);
        }
    }
    kit_broker_wait_ready(b, 0);
    kit_broker_wait_idle_fds(b);
    assert_int_equal(kit_counters(b, "web").granted, CYCLES);
    share_finish(b);
}
