#include "tests/support/fault.h"

#include <string.h>

#include "tests/support/format.h"
#include "tests/support/net.h"

/* ---- processes ---- */

void fault_check_idle(int pid, unsigned ms, double most)
{
    uint64_t begin_ms = kit_now_ms();
    double before = fault_cpu_ms(pid);

    while (kit_now_ms() < begin_ms + ms)
        kit_pause(ms);
    double share = (fault_cpu_ms(pid) - before) / (double)(kit_now_ms() - begin_ms);
    if (share > most * FAULT_SLOWNESS)
        kit_fail("process %d uses %.1f %% of a processor for nothing", pid, 100 * share);
}

void fault_worker_said(struct kit_process *p, const char *text)
{
    kit_process_wait_log(p, text);
    if (kit_process_wait(p))
        kit_fail("%s ended badly", p->title);
    kit_process_free(p);
}

/* ---- raw ---- */

void fault_raw_start(struct fault_raw *r, struct kit_broker *b, const char *name, unsigned window)
{
    static const struct fault_raw none = FAULT_RAW_NONE;
    struct sockbroker_error error;

    *r = none;
    if (fault_raw_open(r, b->dir, name, window, &error))
        kit_fail("raw worker: %s", error.text);
    kit_broker_wait_worker(b, name, "ready");
}

static struct kit_process *launch_asker(struct kit_broker *b, const char *const *args)
{
    struct kit_start how = { .args = { b->dir } };

    for (size_t i = 0; i < KIT_ARGS_MAX - 2 && args[i]; i++)
        how.args[i + 1] = args[i];
    return kit_process_start("asker", SB_FAULT_ASKER_EXE, &how);
}

struct kit_process *fault_show_token(struct kit_broker *b, const struct sb_hello *hello, const char *user)
{
    char session[24], token[2 * SB_SECRET_LEN + 1], grant[24];
    const char *const args[] = { "hello", session, token, grant, user, user, NULL };

    format_text(session, sizeof(session), "%llu", (unsigned long long)hello->session_id);
    format_text(grant, sizeof(grant), "%llu", (unsigned long long)hello->grant_id);
    fault_write_hex(hello->token, sizeof(hello->token), token);
    return launch_asker(b, args);
}

struct kit_process *fault_ask_drain(struct kit_broker *b, const char *worker, const char *user)
{
    const char *const args[] = { "drain", worker, user, user, NULL };

    return launch_asker(b, args);
}

void fault_write_hex(const uint8_t *bytes, size_t len, char *text_out)
{
    for (size_t i = 0; i < len; i++)
        format_text(text_out + 2 * i, 3, "%02x", bytes[i]);
}

/* ---- connections ---- */

bool fault_ends_reset(sockbroker_socket *sock)
{
    char byte;

    if (kit_is_silent(*sock, KIT_WAIT_MS))
        kit_fail("the connection does not end");
    long n = net_receive(*sock, &byte, 1);
    bool reset = n < 0;
    if (reset && !net_is_reset(net_error()))
        kit_fail("the connection ends with: %s", net_error_text());
    if (n > 0)
        kit_fail("the connection has an answer where none was due");
    kit_close(sock);
    return reset;
}

void fault_connect_many(uint16_t port, sockbroker_socket *socks, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        socks[i] = kit_connect(NULL, i % 2 ? "127.0.0.1" : "::1", port);
}

unsigned fault_answers_by(sockbroker_socket *socks, unsigned n, const char *name)
{
    struct kit_answer a;
    unsigned by_name = 0;

    for (unsigned i = 0; i < n; i++) {
        kit_read_only_answer(socks[i], &a);
        by_name += !strcmp(a.worker, name);
    }
    return by_name;
}

void fault_check_serves(struct kit_broker *b, unsigned n)
{
    struct kit_load_result r;

    kit_load_run(&(struct kit_load_options){ .port = kit_broker_port(b, "web"), .total = n }, &r);
    kit_load_check_all_answered(&r, n);
}

struct kit_process *fault_start_worker(struct kit_broker *b)
{
    struct kit_process *w = kit_worker_start(b, "w1", "hello", NULL);

    kit_broker_wait_ready(b, 1);
    return w;
}

void fault_finish(struct kit_broker *b, struct kit_process *w)
{
    kit_broker_wait_settled(b);
    kit_worker_stop(w);
    kit_broker_wait_ready(b, 0);
    kit_broker_wait_idle_fds(b);
    kit_broker_stop(b);
}

bool fault_is_served(struct kit_broker *b, const char *from, const char *to)
{
    sockbroker_socket sock = kit_connect(from, to, kit_broker_port(b, "web"));
    char line[160];

    if (kit_is_silent(sock, KIT_WAIT_MS))
        kit_fail("%s: neither an answer nor an end", to);
    bool served = net_receive(sock, line, sizeof(line)) > 0;
    kit_close(&sock);
    return served;
}

/* ---- waits ---- */

struct number_of {
    const char *worker;
    uint64_t n;
};

static bool has_unacked(const struct sb_status_report *r, void *arg)
{
    const struct number_of *want = arg;
    const struct sb_session_status *s = kit_find_session(r, want->worker);

    return s && s->unacked == want->n;
}

void fault_wait_unacked(struct kit_broker *b, const char *worker, uint64_t n)
{
    kit_broker_wait_status(b, has_unacked, &(struct number_of){ worker, n }, "as many unacked as wanted");
}

static bool has_held(const struct sb_status_report *r, void *arg)
{
    return r->endpoints[0].counters.held == ((struct number_of *)arg)->n;
}

void fault_wait_held(struct kit_broker *b, uint64_t n)
{
    kit_broker_wait_status(b, has_held, &(struct number_of){ NULL, n }, "as many held as wanted");
}

static bool has_connections(const struct sb_status_report *r, void *arg)
{
    return r->broker.descriptors_used == ((struct number_of *)arg)->n;
}

void fault_wait_connections(struct kit_broker *b, uint64_t n)
{
    kit_broker_wait_status(b, has_connections, &(struct number_of){ NULL, n }, "as many connections as wanted");
}

struct sb_broker_status fault_broker_status(struct kit_broker *b)
{
    struct sb_status_report r;

    kit_status(b, &r);
    struct sb_broker_status status = r.broker;
    sb_status_report_deinit(&r);
    return status;
}
