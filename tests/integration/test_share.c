/* mode = share: workers accept on one listening socket, and whatever one of them does to it, the others go on. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client-lib/link.h"
#include "proto/socket.h"
#include "sockbroker/addr.h"
#include "sockbroker/request.h"
#include "tests/support/fault.h"

#define QUEUE 20

static struct kit_broker *start_broker(const char *endpoint)
{
    return kit_broker_start(&(struct kit_start){ .args = { "--endpoint", endpoint } });
}

static struct kit_process *start_worker(struct kit_broker *b, const char *name)
{
    struct kit_process *w = kit_worker_start(b, name, "accept", NULL);

    kit_broker_wait_worker(b, name, "ready");
    return w;
}

static void stop_process(struct kit_process *w)
{
    kit_process_stop(w);
}

static void finish(struct kit_broker *b)
{
    kit_broker_wait_ready(b, 0);
    kit_broker_wait_idle_fds(b);
    kit_broker_stop(b);
}

/* ---- what workers get ---- */

static void workers_have_the_same_socket_and_serve_both_families(void **state)
{
    struct kit_broker *b = start_broker("web=[::]:0,mode=share");
    struct kit_process *w[3];
    struct kit_load_result r;
    uint64_t cookie = 0;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        w[i] = start_worker(b, (const char *[]){ "w1", "w2", "w3" }[i]);
        sockbroker_socket sock = kit_worker_borrow(w[i], "web", 0);

        assert_true(!i || kit_socket_cookie(sock) == cookie);
        cookie = kit_socket_cookie(sock);
        close(sock);
    }
    kit_load_run(&(struct kit_load_options){ .port = kit_broker_port(b, "web"), .total = 1000 }, &r);
    kit_load_check_all_answered(&r, 1000);
    assert_int_equal(r.ipv4, 500);
    assert_int_equal(r.ipv6, 500);
    assert_int_equal(kit_counters(b, "web").accepted, 0);
    assert_int_equal(kit_counters(b, "web").granted, 3);
    assert_int_equal(kit_counters(b, "web").repaired, 0);
    for (unsigned i = 0; i < 3; i++)
        kit_worker_stop(w[i]);
    finish(b);
}

/* Eight wait; with a shared wake-up there would be eight for each connection. */
static void one_connection_wakes_one_worker(void **state)
{
    enum { WORKERS = 8, CONNECTIONS = 50 };
    struct kit_broker *b = start_broker("web=[::]:0,mode=share");
    struct kit_journal journals[WORKERS];
    struct kit_process *w[WORKERS];
    struct kit_answer a;
    uint64_t n_woken = 0;
    char name[8];

    (void)state;
    for (unsigned i = 0; i < WORKERS; i++) {
        snprintf(name, sizeof(name), "w%u", i + 1);
        kit_journal_open(&journals[i]);
        w[i] = kit_worker_start(b, name, "accept", &(struct kit_start){ .args = { "--journal", journals[i].path } });
    }
    kit_broker_wait_ready(b, WORKERS);
    for (unsigned i = 0; i < CONNECTIONS; i++)
        kit_read_only_answer(kit_connect(NULL, i % 2 ? "127.0.0.1" : "::1", kit_broker_port(b, "web")), &a);
    for (unsigned i = 0; i < WORKERS; i++) {
        kit_worker_stop(w[i]);
        n_woken += kit_journal_woken(&journals[i]);
        kit_journal_close(&journals[i]);
    }
    printf("%llu wake-ups for %d connections\n", (unsigned long long)n_woken, CONNECTIONS);
    assert_true(n_woken >= CONNECTIONS && n_woken <= 2 * CONNECTIONS);
    finish(b);
}

static struct sockbroker_worker *open_worker(struct kit_broker *b, const char *endpoints)
{
    struct sockbroker_worker_options options = SOCKBROKER_WORKER_OPTIONS_INIT;
    struct sockbroker_error error = { .text = "" };
    struct sockbroker_worker *w = NULL;

    options.dir = b->dir;
    options.endpoints = endpoints;
    options.name = "inside";
    options.attach_timeout_ms = KIT_WAIT_MS;
    if (sockbroker_worker_open(&options, &w, &error))
        kit_fail("%s", error.text);
    return w;
}

static void info_says_what_the_socket_is(void **state)
{
    struct kit_broker *b = start_broker("web=127.0.0.1:0,mode=share");
    struct sockbroker_worker *w = open_worker(b, "web");
    struct sockbroker_error error;
    struct sockbroker_conn conn;
    unsigned n;

    (void)state;
    assert_int_equal(sockbroker_worker_socket(w, "web", 0, &conn, &n, &error), SOCKBROKER_OK);
    assert_int_equal(n, 1);
    assert_true(conn.info.listening);
    assert_true(conn.info.nonblocking);
    assert_true(sb_socket_is_nonblocking(conn.sock));
    assert_int_equal(fcntl(conn.sock, F_GETFD), FD_CLOEXEC);
    assert_int_equal(conn.info.type, SOCKBROKER_STREAM);
    assert_int_equal(conn.info.socket_family, SOCKBROKER_IPV4);
    assert_int_equal(conn.info.local.port, kit_broker_port(b, "web"));
    assert_string_equal(conn.info.endpoint, "web");
    close(conn.sock);
    sockbroker_worker_close(w);
    finish(b);
}

/* ---- refusals ---- */

static void check_refusal(struct sockbroker_worker *w, const char *endpoint, unsigned index, sockbroker_status expected,
                          const char *text)
{
    struct sockbroker_conn conn = { .sock = SOCKBROKER_SOCKET_NONE };
    struct sockbroker_error error = { .text = "" };
    unsigned n;

    assert_int_equal(sockbroker_worker_socket(w, endpoint, index, &conn, &n, &error), expected);
    if (!strstr(error.text, text))
        kit_fail("\"%s\" does not say \"%s\"", error.text, text);
    assert_int_equal(conn.sock, SOCKBROKER_SOCKET_NONE);
}

static bool is_draining(const struct sb_status_report *r, void *arg)
{
    (void)arg;
    return !strcmp(kit_session(r, "inside")->state, "draining");
}

static void each_refusal_says_which_fact_it_was(void **state)
{
    struct kit_broker *b =
        kit_broker_start(&(struct kit_start){ .args = { "--endpoint", "plain=[::]:0", "--endpoint", "web=[::]:0,mode=share",
                                                        "--endpoint", "other=[::]:0,mode=share" } });
    struct sockbroker_worker *w = open_worker(b, "plain,web");

    (void)state;
    kit_broker_wait_ready(b, 1);
    check_refusal(w, "plain", 0, SOCKBROKER_REFUSED, "endpoint \"plain\" has mode = handoff");
    check_refusal(w, "other", 0, SOCKBROKER_NOT_FOUND, "does not serve an endpoint \"other\"; attach to it first");
    check_refusal(w, "nowhere", 0, SOCKBROKER_NOT_FOUND, "does not serve an endpoint \"nowhere\"");
    check_refusal(w, "web", 1, SOCKBROKER_NOT_FOUND, "has 1 sockets, counted from 0; there is no 1");
    check_refusal(w, "web", 16, SOCKBROKER_INVALID, "index 16");
    check_refusal(w, "a b", 0, SOCKBROKER_INVALID, "endpoint \"a b\"");
    assert_int_equal(kit_counters(b, "web").granted, 0);
    assert_int_equal(kit_run((const char *[]){ "drain", "inside", "--dir", b->dir, NULL }, NULL, 0), 0);
    kit_broker_wait_status(b, is_draining, NULL, "the worker draining");
    check_refusal(w, "web", 0, SOCKBROKER_DRAINING, "was told to finish");
    sockbroker_worker_stop(w);
    check_refusal(w, "web", 0, SOCKBROKER_CLOSED, "was stopped");
    sockbroker_worker_close(w);
    finish(b);
}

static void configurations_that_cannot_be_are_refused(void **state)
{
    static const struct {
        const char *endpoint;
        const char *text;
    } refused[] = {
        { "web=[::]:80,protocol=udp", "no connections to hand over; write mode = share or mode = shard" },
        { "web=[::]:80,mode=share,policy=source-hash", "mode = share leaves the choice of the worker to the system" },
        { "web=[::]:80,mode=share,policy=least-connections", "mode = share leaves the choice of the worker to the system" },
        { "web=[::]:80,mode=share,carrier=message", "carrier = message is for mode = handoff" },
        { "web=[::]:80,mode=share,allow=10.0.0.0/8", "with mode = share workers do" },
        { "web=[::]:80,mode=share,deny=10.0.0.0/8", "with mode = share workers do" },
        { "web=[::]:80,mode=shard,policy=least-connections", "mode = shard cannot count" },
        { "web=[::]:80,mode=shard,policy=least-pending", "mode = shard cannot count" },
        { "web=[::]:80,mode=shard,carrier=message", "carrier = message is for mode = handoff" },
        { "web=[::]:80,mode=shard,allow=10.0.0.0/8", "with mode = shard workers do" },
        { "web=[::]:80,mode=shard,deny=::/0", "with mode = shard workers do" },
        { "web=[::]:80,mode=shard,slots=0", "slots" },
        { "web=[::]:80,mode=shard,slots=257", "slots" },
    };
    char output[1024];

    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        const char *args[] = { "check", "--endpoint", refused[i].endpoint, NULL };

        assert_int_equal(kit_run(args, output, sizeof(output)), 2);
        if (!strstr(output, refused[i].text))
            kit_fail("%s: \"%s\" does not say \"%s\"", refused[i].endpoint, output, refused[i].text);
    }
}

/* ---- a worker does something to the socket ---- */

static void shut_down(sockbroker_socket sock)
{
    assert_int_equal(shutdown(sock, SHUT_RDWR), 0);
}

static void lower_backlog(sockbroker_socket sock)
{
    assert_int_equal(listen(sock, 1), 0);
}

static void set_number(sockbroker_socket sock, int level, int option, int value)
{
    assert_int_equal(setsockopt(sock, level, option, &value, sizeof(value)), 0);
}

static void defer_accept(sockbroker_socket sock)
{
    set_number(sock, IPPROTO_TCP, TCP_DEFER_ACCEPT, 30);
}

static void let_linger(sockbroker_socket sock)
{
    struct linger reset = { 1, 0 };

    assert_int_equal(setsockopt(sock, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
}

static void shrink_buffer(sockbroker_socket sock)
{
    set_number(sock, SOL_SOCKET, SO_RCVBUF, 4096);
}

static void let_keep_alive(sockbroker_socket sock)
{
    set_number(sock, SOL_SOCKET, SO_KEEPALIVE, 1);
}

static void make_blocking(sockbroker_socket sock)
{
    assert_int_equal(sb_socket_set_nonblocking(sock, false), SOCKBROKER_OK);
}

static const struct deed {
    const char *cause;
    void (*act)(sockbroker_socket sock);
} deeds[] = {
    { "shut down", shut_down },      { "backlog", lower_backlog },   { "TCP_DEFER_ACCEPT", defer_accept },
    { "SO_LINGER", let_linger },     { "SO_RCVBUF", shrink_buffer }, { "SO_KEEPALIVE", let_keep_alive },
    { "O_NONBLOCK", make_blocking },
};

struct look {
    int on, defer_accept, keep_alive, receive_buffer;
    bool nonblocking;
    unsigned backlog;
    struct linger linger;
};

static struct look look_at(sockbroker_socket sock)
{
    struct look l;
    struct tcp_info info;

    memset(&l, 0, sizeof(l));
    l.nonblocking = sb_socket_is_nonblocking(sock);
    getsockopt(sock, SOL_SOCKET, SO_ACCEPTCONN, &l.on, &(socklen_t){ sizeof(l.on) });
    getsockopt(sock, IPPROTO_TCP, TCP_DEFER_ACCEPT, &l.defer_accept, &(socklen_t){ sizeof(l.defer_accept) });
    getsockopt(sock, SOL_SOCKET, SO_KEEPALIVE, &l.keep_alive, &(socklen_t){ sizeof(l.keep_alive) });
    getsockopt(sock, SOL_SOCKET, SO_RCVBUF, &l.receive_buffer, &(socklen_t){ sizeof(l.receive_buffer) });
    getsockopt(sock, SOL_SOCKET, SO_LINGER, &l.linger, &(socklen_t){ sizeof(l.linger) });
    getsockopt(sock, IPPROTO_TCP, TCP_INFO, &info, &(socklen_t){ sizeof(info) });
    l.backlog = info.tcpi_sacked;
    return l;
}

/* Each in turn; after each the socket is as it was, and everybody is served. */
static void check_deeds(struct kit_broker *b, sockbroker_socket sock, const char *by)
{
    struct look before = look_at(sock);
    char text[128];

    for (unsigned i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++) {
        uint64_t n = kit_counters(b, "web").repaired;

        deeds[i].act(sock);
        kit_until(kit_counters(b, "web").repaired > n);
        struct look after = look_at(sock);
        assert_memory_equal(&after, &before, sizeof(before));
        snprintf(text, sizeof(text), "event=listener_repaired endpoint=web cause=\"%s\" by=\"%s\"", deeds[i].cause, by);
        kit_broker_wait_log(b, text);
        fault_check_serves(b, 20);
        assert_int_equal(kit_counters(b, "web").repaired, n + 1);
    }
}

static void what_one_worker_does_to_the_socket_is_undone(void **state)
{
    struct kit_broker *b = start_broker("web=[::]:0,mode=share");
    struct kit_process *w1 = start_worker(b, "w1");
    sockbroker_socket sock = kit_worker_borrow(w1, "web", 0);

    (void)state;
    check_deeds(b, sock, "w1");
    struct kit_process *w2 = start_worker(b, "w2");
    check_deeds(b, sock, "one of w1, w2");
    kit_process_kill(w1); /* in blocking mode one may wait in accept() */
    kit_process_kill(w2);
    kit_broker_wait_ready(b, 0);
    shut_down(sock);
    kit_broker_wait_log(b, "cause=\"shut down\" by=\"w2, gone now\"");
    close(sock);
    struct sb_status_report r;
    kit_status(b, &r);
    assert_int_equal(r.broker.listener_repairs, 2 * sizeof(deeds) / sizeof(deeds[0]) + 1);
    sb_status_report_deinit(&r);
    finish(b);
}

/* Shut down and then used for a connection, it listens never again. */
static void a_socket_that_cannot_listen_again_is_replaced(void **state)
{
    struct kit_broker *b = start_broker("web=[::]:0,mode=share");
    struct kit_process *w1 = start_worker(b, "w1");
    uint16_t port = kit_broker_port(b, "web");
    sockbroker_socket sock = kit_worker_borrow(w1, "web", 0);
    struct sockaddr_in6 elsewhere = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    socklen_t len = sizeof(elsewhere);
    sockbroker_socket listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    assert_int_equal(bind(listener, (struct sockaddr *)&elsewhere, len), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&elsewhere, &len), 0);
    stop_process(w1);
    kit_process_stop(b->process);
    shut_down(sock);
    assert_true(!connect(sock, (struct sockaddr *)&elsewhere, len) || errno == EINPROGRESS);
    kit_process_go_on(b->process);
    kit_broker_wait_log(b, "event=socket_lost endpoint=web");
    kit_process_go_on(w1);
    kit_process_wait_log(w1, "draining"); /* what it has is of no use any more */
    assert_int_equal(kit_process_wait(w1), 0);
    kit_process_free(w1);
    struct kit_process *w2 = start_worker(b, "w2");
    fault_check_serves(b, 20);
    assert_int_equal(kit_broker_port(b, "web"), port);
    assert_int_equal(kit_counters(b, "web").repaired, 1);
    close(sock);
    close(listener);
    kit_worker_stop(w2);
    finish(b);
}

/* ---- queues ---- */

static void a_killed_worker_takes_no_queue_with_it(void **state)
{
    struct kit_broker *b = start_broker("web=[::]:0,mode=share");
    struct kit_process *w1 = start_worker(b, "w1"), *w2 = start_worker(b, "w2");
    uint16_t port = kit_broker_port(b, "web");
    sockbroker_socket socks[QUEUE];

    (void)state;
    stop_process(w1);
    stop_process(w2);
    fault_connect_many(port, socks, QUEUE);
    kit_process_kill(w1);
    kit_broker_wait_worker(b, "w1", "gone");
    kit_process_go_on(w2);
    assert_int_equal(fault_answers_by(socks, QUEUE, "w2"), QUEUE);
    stop_process(w2);
    fault_connect_many(port, socks, QUEUE);
    kit_process_kill(w2); /* now nobody is left */
    kit_broker_wait_ready(b, 0);
    struct kit_process *w3 = start_worker(b, "w3");
    assert_int_equal(fault_answers_by(socks, QUEUE, "w3"), QUEUE);
    assert_int_equal(kit_counters(b, "web").accepted, 0);
    kit_worker_stop(w3);
    finish(b);
}

/* A stopped process does not swallow the wake-ups of others. */
static void a_stopped_worker_keeps_nobody_waiting(void **state)
{
    struct kit_broker *b = start_broker("web=[::]:0,mode=share");
    struct kit_process *w1 = start_worker(b, "w1"), *w2 = start_worker(b, "w2");
    struct kit_load_result r;

    (void)state;
    stop_process(w1);
    kit_load_run(&(struct kit_load_options){ .port = kit_broker_port(b, "web"), .total = 200, .concurrency = 1 }, &r);
    kit_load_check_all_answered(&r, 200);
    assert_int_equal(kit_load_by_worker(&r, "w2"), 200);
    kit_process_go_on(w1);
    kit_worker_stop(w1);
    kit_worker_stop(w2);
    finish(b);
}

/* What is stopped with no connection in its hands can be killed, and nobody notices. */
static bool has_empty_hands(struct kit_process *w, unsigned idle_fds)
{
    return kit_count_fds(w->pid) == idle_fds;
}

static void workers_killed_under_load_lose_nothing(void **state)
{
    unsigned total = 6000 * kit_scale();
    struct kit_broker *b = start_broker("web=[::]:0,mode=share");
    struct kit_process *w[3];
    static const char *const names[] = { "w1", "w2", "w3" };
    struct kit_load_result r;
    unsigned kills = 0, done = 0;

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        w[i] = start_worker(b, names[i]);
    unsigned idle_fds = kit_count_fds(w[0]->pid);
    struct kit_load *load =
        kit_load_start(&(struct kit_load_options){ .port = kit_broker_port(b, "web"), .total = total, .per_second = 4000 });
    while (!kit_load_is_over(load)) {
        unsigned i = kills % 3;

        stop_process(w[i]);
        if (!has_empty_hands(w[i], idle_fds)) {
            kit_process_go_on(w[i]);
            continue;
        }
        kit_process_kill(w[i]);
        w[i] = kit_worker_start(b, names[i], "accept", NULL);
        kills++;
        done = kit_load_done(load) + 200;
        while (kit_load_done(load) < done && !kit_load_is_over(load))
            kit_pause(2);
    }
    kit_load_finish(load, &r);
    printf("%u workers killed\n", kills);
    kit_load_print("share", &r);
    kit_load_check_all_answered(&r, total);
    assert_true(kills > 2);
    for (unsigned i = 0; i < 3; i++)
        kit_worker_stop(w[i]);
    finish(b);
}

/* ---- several sockets ---- */

static int family_of(sockbroker_socket sock)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);

    assert_int_equal(getsockname(sock, (struct sockaddr *)&sa, &len), 0);
    return sa.ss_family;
}

static uint16_t port_of(sockbroker_socket sock)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    struct sockbroker_addr addr;

    assert_int_equal(getsockname(sock, (struct sockaddr *)&sa, &len), 0);
    assert_int_equal(sockbroker_addr_from_sockaddr((struct sockaddr *)&sa, len, &addr), SOCKBROKER_OK);
    return addr.port;
}

/* One socket for each family, on one port; everything works as with one. */
static void check_pair(const char *endpoint)
{
    struct kit_broker *b = start_broker(endpoint);
    struct kit_process *w1 = start_worker(b, "w1"), *w2 = start_worker(b, "w2");
    uint16_t port = kit_broker_port(b, "web");
    struct kit_load_result r;
    unsigned n_ipv4 = 0;

    for (unsigned i = 0; i < 2; i++) {
        int mine = kit_worker_borrow(w1, "web", i), other = kit_worker_borrow(w2, "web", i);
        int v6only = 1;

        getsockopt(mine, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, &(socklen_t){ sizeof(v6only) });
        assert_true(v6only);
        assert_int_equal(port_of(mine), port);
        assert_true(kit_socket_cookie(mine) == kit_socket_cookie(other));
        n_ipv4 += family_of(mine) == AF_INET;
        close(mine);
        close(other);
    }
    assert_int_equal(n_ipv4, 1);
    kit_process_wait_log(w1, "got web 1 of 2 as ");
    kit_load_run(&(struct kit_load_options){ .port = port, .total = 200 }, &r);
    kit_load_check_all_answered(&r, 200);
    assert_int_equal(r.ipv4, 100);
    assert_int_equal(kit_counters(b, "web").accepted, 0);
    kit_worker_stop(w1);
    kit_worker_stop(w2);
    finish(b);
}

static void two_addresses_are_two_sockets(void **state)
{
    (void)state;
    check_pair("web=127.0.0.1:0+[::1]:0,mode=share");
}

static void split_is_a_socket_for_each_family_on_one_port(void **state)
{
    (void)state;
    check_pair("web=[::]:0,mode=share,family=split");
}

/* One that nobody listens on: bound, so that it stays so. */
static int hold_port(int family, uint16_t *port_out)
{
    struct sockaddr_in ipv4 = { .sin_family = AF_INET };
    struct sockaddr_in6 ipv6 = { .sin6_family = AF_INET6 };
    sockbroker_socket sock = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (family == AF_INET6)
        set_number(sock, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    assert_int_equal(family == AF_INET ? bind(sock, (struct sockaddr *)&ipv4, sizeof(ipv4))
                                       : bind(sock, (struct sockaddr *)&ipv6, sizeof(ipv6)),
                     0);
    assert_int_equal(listen(sock, 1), 0);
    *port_out = port_of(sock);
    return sock;
}

static bool is_listening(const char *address, uint16_t port)
{
    struct sockbroker_addr at;
    struct sockaddr_storage sa;

    assert_int_equal(sockbroker_addr_parse_ip(address, &at, NULL), SOCKBROKER_OK);
    at.port = port;
    socklen_t len = (socklen_t)sockbroker_addr_to_sockaddr(&at, &sa);
    sockbroker_socket sock = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool listening = connect(sock, (struct sockaddr *)&sa, len) == 0;
    kit_close(&sock);
    return listening;
}

static void check_all_or_nothing(const char *mode, int taken_family)
{
    struct kit_config c;
    char text[256];
    uint16_t port;
    int taken = hold_port(taken_family, &port);
    const char *free_address = taken_family == AF_INET ? "::1" : "127.0.0.1";

    kit_config_open(&c, "endpoint web { address = \"[::]:0\" }\n");
    struct kit_broker *b = kit_broker_start(&(struct kit_start){ .args = { "--config", c.path } });
    snprintf(text, sizeof(text),
             "endpoint web { address = \"[::]:0\" }\nendpoint two { address = \"[::]:%u\"\n family = split\n mode = %s }\n",
             port, mode);
    kit_config_write(&c, text);
    kit_broker_reload(b, "event=reload_failed");
    kit_broker_wait_log(b, taken_family == AF_INET ? "endpoint two: bind 0.0.0.0:" : "endpoint two: bind [::]:");
    assert_false(is_listening(free_address, port));
    close(taken);
    kit_broker_reload(b, "event=reloaded");
    assert_true(is_listening("127.0.0.1", port));
    assert_true(is_listening("::1", port));
    kit_broker_stop(b);
    kit_config_close(&c);
}

static void a_split_endpoint_opens_both_sockets_or_none(void **state)
{
    (void)state;
    check_all_or_nothing("share", AF_INET);
    check_all_or_nothing("share", AF_INET6);
    check_all_or_nothing("shard", AF_INET);
    check_all_or_nothing("shard", AF_INET6);
}

/* ---- sockets on their way ---- */

/* On OK the token is in r->reply. */
static sockbroker_status ask_for_socket(struct fault_raw *r)
{
    struct sb_request request = { .kind = SB_REQUEST_SHARE };

    request.as.share.session = r->attached.session;
    snprintf(request.as.share.endpoint, sizeof(request.as.share.endpoint), "web");
    return sb_client_call(r->client, &request, SB_REPLY_GRANTED, KIT_WAIT_MS, &r->reply, NULL);
}

static sockbroker_status fetch(struct kit_broker *b, const struct fault_raw *r, int *sock_out)
{
    struct sb_hello hello = { .session_id = r->attached.session.id, .grant_id = r->reply.as.granted.grant_id };

    memcpy(hello.token, r->reply.as.granted.token, sizeof(hello.token));
    return sb_link_fetch(b->dir, NULL, &hello, KIT_WAIT_MS, sock_out, NULL);
}

static void a_socket_that_is_never_fetched_disturbs_nobody(void **state)
{
    struct kit_broker *b = start_broker("web=[::]:0,mode=share");
    struct kit_process *w1 = start_worker(b, "w1");
    struct fault_raw r = FAULT_RAW_NONE;
    sockbroker_socket sock = -1;

    (void)state;
    fault_raw_start(&r, b, "raw", 4);
    assert_int_equal(ask_for_socket(&r), SOCKBROKER_OK);
    fault_check_serves(b, 100);
    assert_int_equal(kit_counters(b, "web").granted, 1);
    assert_int_equal(fetch(b, &r, &sock), SOCKBROKER_OK); /* it still can */
    assert_int_equal(kit_counters(b, "web").granted, 2);
    close(sock);
    assert_int_not_equal(fetch(b, &r, &sock), SOCKBROKER_OK); /* a token is good once */
    assert_int_equal(ask_for_socket(&r), SOCKBROKER_OK);
    fault_raw_close(&r); /* leaves with one under way */
    fault_check_serves(b, 100);
    kit_worker_stop(w1);
    finish(b);
}

static void an_endpoint_removed_takes_its_grants_along(void **state)
{
    struct kit_config c;
    struct fault_raw r = FAULT_RAW_NONE;
    sockbroker_socket sock = -1;

    (void)state;
    kit_config_open(&c, "endpoint web { address = \"[::]:0\"\n mode = share }\nendpoint other { address = \"[::]:0\" }\n");
    struct kit_broker *b = kit_broker_start(&(struct kit_start){ .args = { "--config", c.path } });
    fault_raw_start(&r, b, "raw", 4);
    assert_int_equal(ask_for_socket(&r), SOCKBROKER_OK);
    kit_config_write(&c, "endpoint other { address = \"[::]:0\" }\n");
    kit_broker_reload(b, "event=reloaded");
    assert_int_not_equal(fetch(b, &r, &sock), SOCKBROKER_OK);
    assert_int_equal(ask_for_socket(&r), SOCKBROKER_NOT_FOUND);
    fault_raw_close(&r);
    kit_broker_wait_ready(b, 0);
    kit_broker_stop(b);
    kit_config_close(&c);
}

/* ---- changes while it runs ---- */

static void a_change_of_mode_keeps_socket_and_queue(void **state)
{
    struct kit_config c;
    sockbroker_socket socks[QUEUE];

    (void)state;
    kit_config_open(&c, "endpoint web { address = \"[::]:0\"\n mode = share }\n");
    struct kit_broker *b = kit_broker_start(&(struct kit_start){ .args = { "--config", c.path } });
    uint16_t port = kit_broker_port(b, "web");

    fault_connect_many(port, socks, QUEUE); /* with nobody there they wait in the kernel */
    assert_int_equal(kit_counters(b, "web").accepted, 0);
    kit_config_write(&c, "endpoint web { address = \"[::]:0\"\n hold_max = 5 }\n");
    kit_broker_reload(b, "event=reloaded");
    fault_wait_held(b, 5);
    assert_int_equal(kit_counters(b, "web").accepted, 5);
    kit_config_write(&c, "endpoint web { address = \"[::]:0\"\n mode = share }\n");
    kit_broker_reload(b, "event=reloaded"); /* 5 in the broker's hands, 15 in the kernel's */
    struct kit_process *w1 = start_worker(b, "w1");
    assert_int_equal(fault_answers_by(socks, QUEUE, "w1"), QUEUE);
    kit_broker_wait_settled(b);
    assert_int_equal(kit_counters(b, "web").acked, 5);
    kit_config_write(&c, "endpoint web { address = \"[::]:0\" }\n");
    kit_broker_reload(b, "event=reloaded"); /* w1 still has the socket, and accepts as well */
    fault_check_serves(b, 100);
    assert_int_equal(kit_broker_port(b, "web"), port);
    kit_worker_stop(w1);
    struct kit_process *w2 = kit_worker_start(b, "w2", "hello", NULL);
    fault_check_serves(b, 20);
    kit_worker_stop(w2);
    kit_broker_wait_ready(b, 0);
    kit_broker_stop(b);
    kit_config_close(&c);
}

/* A worker has the socket from before, and makes it blocking for all: the broker, which accepts now, must not hang there. */
static void a_worker_cannot_block_the_broker_after_a_change_of_mode(void **state)
{
    struct kit_config c;

    (void)state;
    kit_config_open(&c, "endpoint web { address = \"[::]:0\"\n mode = share }\n");
    struct kit_broker *b = kit_broker_start(&(struct kit_start){ .args = { "--config", c.path } });
    struct kit_process *w1 = start_worker(b, "w1");
    struct kit_process *w2 = kit_worker_start(b, "w2", "hello", NULL);
    sockbroker_socket sock = kit_worker_borrow(w1, "web", 0);

    stop_process(w1);
    kit_config_write(&c, "endpoint web { address = \"[::]:0\"\n withdraw_after_ms = 10 }\n");
    kit_broker_reload(b, "event=reloaded");
    for (unsigned i = 0; i < 3; i++) {
        make_blocking(sock);
        fault_check_serves(b, 10);
    }
    assert_int_equal(kit_counters(b, "web").accepted, 30);
    close(sock);
    kit_process_kill(w1);
    kit_worker_stop(w2);
    kit_broker_wait_ready(b, 0);
    kit_broker_stop(b);
    kit_config_close(&c);
}

/* Nobody who was let in leaves without an answer; what came between the last accept() and the close the kernel resets. */
static void check_removal(const char *mode)
{
    enum { TOTAL = 4000 };
    struct kit_config c;
    struct kit_load_result r;
    char text[160];

    snprintf(text, sizeof(text), "endpoint web { address = \"[::]:0\"\n mode = %s }\nendpoint other { address = \"[::]:0\" }\n",
             mode);
    kit_config_open(&c, text);
    struct kit_broker *b = kit_broker_start(&(struct kit_start){ .args = { "--config", c.path } });
    struct kit_process *w1 = start_worker(b, "w1"), *w2 = start_worker(b, "w2");
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

static void an_endpoint_removed_under_load_leaves_nobody_without_answer(void **state)
{
    (void)state;
    check_removal("share");
    check_removal("shard");
}

/* They have the socket: what they accept from it needs no broker. */
static void workers_go_on_when_the_broker_has_ended(void **state)
{
    struct kit_broker *b = start_broker("web=[::]:0,mode=share");
    struct kit_process *w1 = start_worker(b, "w1");
    uint16_t port = kit_broker_port(b, "web");
    struct kit_load_result r;

    (void)state;
    struct kit_load *load = kit_load_start(&(struct kit_load_options){ .port = port, .total = 2000, .per_second = 4000 });
    kit_load_wait(load, 200);
    kit_process_ask_end(b->process);
    assert_int_equal(kit_process_wait(b->process), 0);
    kit_load_finish(load, &r);
    kit_load_check_all_answered(&r, 2000);
    kit_worker_stop(w1);
    kit_broker_free(b);
}

/* ---- the sample ---- */

static struct kit_process *start_sample(struct kit_broker *b, const char *name)
{
    struct kit_process *w = kit_process_start(
        name, SB_SHARE_WORKER_EXE, &(struct kit_start){ .args = { "--dir", b->dir, "--endpoint", "web", "--name", name } });

    kit_process_wait_log(w, "ready\n");
    kit_broker_wait_worker(b, name, "ready");
    return w;
}

static void check_greeting(sockbroker_socket sock, const char *expected)
{
    char text[128] = "";
    size_t len = 0;
    struct timeval patience = { KIT_WAIT_MS / 1000, 0 };
    ssize_t n;

    setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    while ((n = recv(sock, text + len, sizeof(text) - 1 - len, 0)) > 0)
        len += (size_t)n;
    assert_int_equal(n, 0);
    assert_string_equal(text, expected);
    kit_close(&sock);
}

static void check_sample(const char *endpoint)
{
    struct kit_broker *b = start_broker(endpoint);
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
    finish(b);
}

static void the_sample_greets(void **state)
{
    (void)state;
    check_sample("web=[::]:0,mode=share");
    check_sample("web=[::]:0,mode=shard");
    check_sample("web=[::]:0,mode=share,family=split");
}

static void the_sample_needs_an_endpoint_with_sockets(void **state)
{
    struct kit_broker *b = start_broker("web=[::]:0");
    struct kit_process *w =
        kit_process_start("w1", SB_SHARE_WORKER_EXE, &(struct kit_start){ .args = { "--dir", b->dir, "--endpoint", "web" } });

    (void)state;
    assert_int_equal(kit_process_wait(w), 1);
    kit_process_wait_log(w, "share_worker: endpoint \"web\" has mode = handoff: its connections come by next();");
    kit_process_free(w);
    finish(b);
}

/* ---- nothing is left behind ---- */

static void check_no_leak(const char *endpoint)
{
    enum { CYCLES = 100, AT_ONCE = 4 };
    struct kit_broker *b = start_broker(endpoint);
    struct kit_process *w[AT_ONCE];
    char name[16];

    for (unsigned i = 0; i < CYCLES; i += AT_ONCE) {
        for (unsigned k = 0; k < AT_ONCE; k++) {
            snprintf(name, sizeof(name), "w%u", i + k);
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
    finish(b);
}

static void two_hundred_dead_workers_leave_no_descriptor_behind(void **state)
{
    (void)state;
    check_no_leak("web=[::]:0,mode=share");
    check_no_leak("web=[::]:0,mode=shard");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(workers_have_the_same_socket_and_serve_both_families),
        TEST(one_connection_wakes_one_worker),
        TEST(info_says_what_the_socket_is),
        TEST(each_refusal_says_which_fact_it_was),
        TEST(configurations_that_cannot_be_are_refused),
        TEST(what_one_worker_does_to_the_socket_is_undone),
        TEST(a_socket_that_cannot_listen_again_is_replaced),
        TEST(a_killed_worker_takes_no_queue_with_it),
        TEST(a_stopped_worker_keeps_nobody_waiting),
        TEST(workers_killed_under_load_lose_nothing),
        TEST(two_addresses_are_two_sockets),
        TEST(split_is_a_socket_for_each_family_on_one_port),
        TEST(a_split_endpoint_opens_both_sockets_or_none),
        TEST(a_socket_that_is_never_fetched_disturbs_nobody),
        TEST(an_endpoint_removed_takes_its_grants_along),
        TEST(a_change_of_mode_keeps_socket_and_queue),
        TEST(a_worker_cannot_block_the_broker_after_a_change_of_mode),
        TEST(an_endpoint_removed_under_load_leaves_nobody_without_answer),
        TEST(workers_go_on_when_the_broker_has_ended),
        TEST(the_sample_greets),
        TEST(the_sample_needs_an_endpoint_with_sockets),
        TEST(two_hundred_dead_workers_leave_no_descriptor_behind),
    };

    return kit_main(tests, argc, argv);
}
