#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/thread.h"
#include "tests/support/format.h"
#include "tests/support/kit_load_tally.h"
#include "tests/support/net.h"

#define LOOK_MS 100 /* for deadlines */

struct client {
    sockbroker_socket sock; /* NONE: free */
    bool connected;
    bool is_ipv6;
    unsigned number;
    uint64_t started_ms;
    uint16_t port;
    size_t len;
    char text[256];
    char echo[32];
};

struct kit_load {
    struct kit_load_options options;
    struct sb_thread *thread;
    struct kit_tally tally; /* the thread's until it has ended */
    struct client *clients;
    struct net_event *events; /* one for each client */
    unsigned *free_clients;   /* a stack */
    unsigned n_free;
    unsigned n_started;
    uint64_t began_ms;
    atomic_uint n_done;
    atomic_uint n_connected;
    atomic_bool over;
};

/* ---- one client ---- */

static void end_client(struct kit_load *l, struct client *c, unsigned *counter)
{
    if (counter)
        ++*counter;
    net_reset(&c->sock);
    l->free_clients[l->n_free++] = (unsigned)(c - l->clients);
    atomic_fetch_add(&l->n_done, 1);
}

static void begin_client(struct kit_load *l)
{
    struct client *c = &l->clients[l->free_clients[--l->n_free]];
    const char *host = l->options.hosts[l->n_started % 2];

    c->number = l->n_started++;
    c->connected = false;
    c->is_ipv6 = strchr(host, ':') != NULL;
    c->len = 0;
    c->started_ms = kit_now_ms();
    c->sock = net_open(c->is_ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM);
    if (c->sock == SOCKBROKER_SOCKET_NONE || !net_set_nonblocking(c->sock) ||
        (!net_connect(c->sock, host, l->options.port) && !net_is_pending()))
        end_client(l, c, &l->tally.result.refused);
}

/* False when the connection came to nothing. */
static bool finish_connect(struct kit_load *l, struct client *c)
{
    int code = 0;

    if (!net_get_option(c->sock, SOL_SOCKET, SO_ERROR, &code) || code) {
        end_client(l, c, net_is_reset(code) ? &l->tally.result.reset : &l->tally.result.refused);
        return false;
    }
    c->connected = true;
    atomic_fetch_add(&l->n_connected, 1);
    c->port = net_port(c->sock);
    if (l->options.echo) {
        char line[40];
        int n = (int)format_text(line, sizeof(line), "n %u\n", c->number);

        format_text(c->echo, sizeof(c->echo), "n %u", c->number);
        if (net_send(c->sock, line, (size_t)n) != n) {
            end_client(l, c, &l->tally.result.reset);
            return false;
        }
    }
    return true;
}

static void end_of_stream(struct kit_load *l, struct client *c)
{
    struct kit_client_end end = { .is_ipv6 = c->is_ipv6,
                                  .port = c->port,
                                  .echo = l->options.echo ? c->echo : NULL,
                                  .text = c->text,
                                  .len = c->len,
                                  .took_ms = (unsigned)(kit_now_ms() - c->started_ms) };

    c->text[c->len] = '\0';
    kit_tally_ended(&l->tally, &end);
    end_client(l, c, NULL);
}

static void serve_client(struct kit_load *l, struct client *c)
{
    if (!c->connected && !finish_connect(l, c))
        return;
    for (;;) {
        long n = net_receive(c->sock, c->text + c->len, sizeof(c->text) - 1 - c->len);

        if (n < 0 && net_is_pending())
            return;
        if (n < 0) {
            end_client(l, c, &l->tally.result.reset);
            return;
        }
        c->len += (size_t)n;
        if (n == 0 || c->len == sizeof(c->text) - 1) {
            end_of_stream(l, c);
            return;
        }
    }
}

/* ---- all of them ---- */

static bool may_begin(const struct kit_load *l)
{
    if (!l->n_free || l->n_started == l->options.total)
        return false;
    return !l->options.per_second || l->n_started <= (kit_now_ms() - l->began_ms) * l->options.per_second / 1000;
}

static void drop_late(struct kit_load *l)
{
    uint64_t now_ms = kit_now_ms();

    for (unsigned i = 0; i < l->options.concurrency; i++) {
        if (l->clients[i].sock != SOCKBROKER_SOCKET_NONE && now_ms - l->clients[i].started_ms > l->options.deadline_ms)
            end_client(l, &l->clients[i], &l->tally.result.timeout);
    }
}

static void serve_clients(struct kit_load *l, int wait_ms)
{
    unsigned n = l->options.concurrency;

    for (unsigned i = 0; i < n; i++)
        l->events[i] = (struct net_event){ .sock = l->clients[i].sock, .wants_write = !l->clients[i].connected };
    net_wait(l->events, n, wait_ms);
    for (unsigned i = 0; i < n; i++) {
        if (l->events[i].is_ready)
            serve_client(l, &l->clients[i]);
    }
}

static void run(void *arg)
{
    struct kit_load *l = arg;
    uint64_t look_ms = 0;

    l->began_ms = kit_now_ms();
    while (atomic_load(&l->n_done) < l->options.total) {
        while (may_begin(l))
            begin_client(l);
        serve_clients(l, l->options.per_second ? 2 : LOOK_MS);
        if (kit_now_ms() - look_ms >= LOOK_MS) {
            look_ms = kit_now_ms();
            drop_late(l);
        }
    }
    kit_tally_check_leases(&l->tally);
    atomic_store(&l->over, true);
}

/* ---- the test's side ---- */

static void set_defaults(struct kit_load_options *o)
{
    if (!o->concurrency)
        o->concurrency = 64;
    if (!o->hosts[0]) {
        o->hosts[0] = "127.0.0.1";
        o->hosts[1] = "::1";
    }
    if (!o->deadline_ms)
        o->deadline_ms = KIT_WAIT_MS;
}

struct kit_load *kit_load_start(const struct kit_load_options *options)
{
    struct kit_load *l = calloc(1, sizeof(*l));

    if (!l)
        kit_fail("out of memory");
    l->options = *options;
    set_defaults(&l->options);
    l->clients = calloc(l->options.concurrency, sizeof(*l->clients));
    l->free_clients = calloc(l->options.concurrency, sizeof(*l->free_clients));
    l->tally.leases = calloc(l->options.total + 1, sizeof(*l->tally.leases));
    l->events = calloc(l->options.concurrency, sizeof(*l->events));
    if (!l->clients || !l->free_clients || !l->tally.leases || !l->events)
        kit_fail("no load: out of memory");
    for (unsigned i = l->options.concurrency; i-- > 0;) {
        l->clients[i].sock = SOCKBROKER_SOCKET_NONE;
        l->free_clients[l->n_free++] = i;
    }
    if (sb_thread_create(run, l, &l->thread))
        kit_fail("no thread for the load");
    return l;
}

unsigned kit_load_done(struct kit_load *l)
{
    return atomic_load(&l->n_done);
}

unsigned kit_load_connected(struct kit_load *l)
{
    return atomic_load(&l->n_connected);
}

bool kit_load_is_over(struct kit_load *l)
{
    return atomic_load(&l->over);
}

/* No limit of its own: each client has a deadline, so progress never stops. */
void kit_load_wait(struct kit_load *l, unsigned n)
{
    while (kit_load_done(l) < n && !kit_load_is_over(l))
        kit_pause(2);
}

void kit_load_finish(struct kit_load *l, struct kit_load_result *result_out)
{
    while (!kit_load_is_over(l))
        kit_pause(5);
    sb_thread_join(l->thread);
    *result_out = l->tally.result;
    free(l->events);
    free(l->tally.leases);
    free(l->free_clients);
    free(l->clients);
    free(l);
}

void kit_load_run(const struct kit_load_options *options, struct kit_load_result *result_out)
{
    kit_load_finish(kit_load_start(options), result_out);
}
