#include <string.h>

#include "tests/integration/udp_endpoints_kit.h"
#include "tests/support/format.h"

struct kit_broker *udp_start(const char *endpoint)
{
    return kit_broker_start(&(struct kit_start){ .args = { "--endpoint", endpoint } });
}

struct kit_process *udp_launch_echo(struct kit_broker *b, const char *name)
{
    return kit_process_start(
        name, SB_UDP_ECHO_EXE,
        &(struct kit_start){ .console = true,
                             .args = { "--dir", b->dir, "--endpoint", "echo", "--name", name, "--generation", "7" } });
}

static bool has_granted(const struct sb_status_report *r, void *n)
{
    return kit_endpoint(r, "echo")->counters.granted == *(const uint64_t *)n;
}

void udp_wait_granted(struct kit_broker *b, uint64_t n)
{
    kit_broker_wait_status(b, has_granted, &n, "as many sockets given as wanted");
}

struct kit_process *udp_start_echo(struct kit_broker *b, const char *name, uint64_t n_sockets)
{
    uint64_t before = kit_counters(b, "echo").granted;
    struct kit_process *w = udp_launch_echo(b, name);

    udp_wait_granted(b, before + n_sockets);
    return w;
}

void udp_stop_echo(struct kit_process *w)
{
    kit_process_ask_end(w);
    assert_int_equal(kit_process_wait(w), 0);
    kit_process_free(w);
}

void udp_drain(struct kit_broker *b, const char *name)
{
    char output[1024];

    assert_int_equal(kit_run((const char *const[]){ "drain", name, "--dir", b->dir, NULL }, output, sizeof(output)), 0);
}

void udp_finish(struct kit_broker *b)
{
    kit_broker_wait_ready(b, 0);
    kit_broker_wait_idle_fds(b);
    assert_int_equal(kit_counters(b, "echo").repaired, 0);
    kit_broker_stop(b);
}

void udp_open_clients(struct kit_udp *u, struct kit_broker *b, unsigned total)
{
    struct kit_udp_options o = {
        .port = kit_broker_port(b, "echo"), .n_clients = 3 * udp_n_hosts, .total = total, .window = udp_window
    };

    memcpy(o.hosts, udp_hosts, udp_n_hosts * sizeof(udp_hosts[0]));
    kit_udp_open(u, &o);
}

void udp_run_all(struct kit_broker *b, unsigned total)
{
    struct kit_udp u;

    udp_open_clients(&u, b, total);
    kit_udp_run(&u, total);
    assert_int_equal(u.n_answered, total);
    assert_int_equal(u.n_repeated, 0);
    assert_int_equal(u.n_ipv6, total / udp_n_hosts);
    kit_udp_close(&u);
}

void udp_answer_all(const char *endpoint, unsigned n_workers)
{
    struct kit_broker *b = udp_start(endpoint);
    struct kit_process *workers[4];

    for (unsigned i = 0; i < n_workers; i++)
        workers[i] = udp_start_echo(b, (const char *const[]){ "u1", "u2", "u3", "u4" }[i], 1);
    udp_run_all(b, udp_many * kit_scale());
    for (unsigned i = 0; i < n_workers; i++)
        udp_stop_echo(workers[i]);
    udp_finish(b);
}

enum end {
    BY_DRAIN,
    ASKED,
    BY_KILL,
    BY_KILL_WHILE_STOPPED, /* while it was stopped, too, datagrams came */
    ENDS
};

/* Datagrams come while it cannot answer, or is no more. */
static void end_worker(struct kit_broker *b, struct kit_process *w, enum end how, struct kit_udp *u)
{
    switch (how) {
    case BY_DRAIN:
        udp_drain(b, w->title);
        assert_int_equal(kit_process_wait(w), 0);
        break;
    case ASKED:
        kit_process_ask_end(w);
        assert_int_equal(kit_process_wait(w), 0);
        break;
    case BY_KILL_WHILE_STOPPED:
        kit_process_stop(w);
        kit_udp_send(u, udp_window * 5 / 16);
        kit_process_strike(w);
        assert_int_equal(kit_process_wait(w), KILLED);
        break;
    case BY_KILL:
    case ENDS:
        kit_process_strike(w);
        assert_int_equal(kit_process_wait(w), KILLED);
        break;
    }
    kit_process_free(w);
    kit_broker_wait_ready(b, 0);
}

void udp_replace_workers(const char *endpoint)
{
    struct kit_broker *b = udp_start(endpoint);
    struct kit_udp u;

    udp_open_clients(&u, b, 4000);
    kit_udp_send(&u, udp_window / 2); /* before the first one */
    for (unsigned i = 0; i < 3 * ENDS; i++) {
        struct kit_process *w = udp_start_echo(b, (const char *const[]){ "u1", "u2" }[i % 2], 1);

        kit_udp_collect(&u);
        kit_udp_run(&u, 100);
        end_worker(b, w, (enum end)(i % ENDS), &u);
        kit_udp_send(&u, udp_window * 5 / 8);
    }
    struct kit_process *last = udp_start_echo(b, "u3", 1);
    kit_udp_collect(&u);
    assert_int_equal(u.n_answered, udp_window / 2 + 3 * ENDS * (100 + udp_window * 5 / 8) + 3 * (udp_window * 5 / 16));
    assert_int_equal(u.n_repeated, 0);
    kit_udp_close(&u);
    udp_stop_echo(last);
    udp_finish(b);
}

void udp_drain_under_load(const char *endpoint)
{
    struct kit_broker *b = udp_start(endpoint);
    struct kit_process *old = udp_start_echo(b, "u0", 1);
    struct kit_udp u;

    udp_open_clients(&u, b, 2 * udp_many * kit_scale());
    for (unsigned i = 1; i <= 4 * kit_scale(); i++) {
        char name[16];

        format_text(name, sizeof(name), "u%u", i);
        struct kit_process *fresh = udp_start_echo(b, name, 1);
        struct kit_process *drainer = kit_run_start((const char *const[]){ "drain", old->title, "--dir", b->dir, NULL });
        while (!kit_process_is_over(old) && u.n_sent + 100 < u.options.total)
            kit_udp_run(&u, 100);
        assert_int_equal(kit_process_wait(old), 0);
        kit_process_free(old);
        assert_int_equal(kit_process_wait(drainer), 0);
        kit_process_free(drainer);
        old = fresh;
    }
    assert_int_equal(u.n_repeated, 0);
    kit_udp_close(&u);
    udp_stop_echo(old);
    udp_finish(b);
}

void udp_answer_on_many(const char *endpoint, unsigned n, unsigned n_slots)
{
    struct kit_broker *b = udp_start(endpoint);
    struct sb_status_report r;

    kit_status(b, &r);
    const struct sb_endpoint_status *e = kit_endpoint(&r, "echo");
    assert_int_equal(e->n_addresses, n);
    assert_string_equal(e->protocol, "udp");
    assert_int_equal(e->slots, n_slots);
    for (unsigned k = 0; k < n; k++)
        assert_int_equal(e->addresses[k].port, kit_broker_port(b, "echo"));
    sb_status_report_deinit(&r);
    struct kit_process *w1 = udp_start_echo(b, "u1", n), *w2 = udp_start_echo(b, "u2", n);
    udp_run_all(b, 1000);
    udp_stop_echo(w1);
    udp_stop_echo(w2);
    udp_finish(b);
}
