/* UDP endpoints: each datagram is answered from the address it was sent to, by one worker or several, over both families, and
 * what waits in a socket outlives the workers. */
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/socket.h"
#include "sockbroker/udp.h"
#include "tests/support/fault.h"
#include "tests/support/kit_udp.h"

#define LOCAL_HOSTS "127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4", "::1"
#define LOST_BY_A_KILL 32u /* what udp_echo_worker reads at once */

/* ---- support ---- */

static struct kit_broker *start(const char *endpoint)
{
    return kit_broker_start(&(struct kit_start){ .args = { "--endpoint", endpoint } });
}

static struct kit_process *launch_echo(struct kit_broker *b, const char *name)
{
    return kit_process_start(
        name, SB_UDP_ECHO_EXE,
        &(struct kit_start){ .args = { "--dir", b->dir, "--endpoint", "echo", "--name", name, "--generation", "7" } });
}

static bool has_granted(const struct sb_status_report *r, void *n)
{
    return kit_endpoint(r, "echo")->counters.granted == *(const uint64_t *)n;
}

static void wait_granted(struct kit_broker *b, uint64_t n)
{
    kit_broker_wait_status(b, has_granted, &n, "as many sockets given as wanted");
}

/* With all its sockets. */
static struct kit_process *start_echo(struct kit_broker *b, const char *name, uint64_t n_sockets)
{
    uint64_t before = kit_counters(b, "echo").granted;
    struct kit_process *w = launch_echo(b, name);

    wait_granted(b, before + n_sockets);
    return w;
}

/* SIGTERM, and exit code 0. */
static void stop_echo(struct kit_process *w)
{
    kit_process_ask_end(w);
    assert_int_equal(kit_process_wait(w), 0);
    kit_process_free(w);
}

static void drain(struct kit_broker *b, const char *name)
{
    char output[1024];

    assert_int_equal(kit_run((const char *const[]){ "drain", name, "--dir", b->dir, NULL }, output, sizeof(output)), 0);
}

/* Nothing is left of the workers, nothing had to be repaired. */
static void finish(struct kit_broker *b)
{
    kit_broker_wait_ready(b, 0);
    kit_broker_wait_idle_fds(b);
    assert_int_equal(kit_counters(b, "echo").repaired, 0);
    kit_broker_stop(b);
}

static void open_clients(struct kit_udp *u, struct kit_broker *b, unsigned total)
{
    kit_udp_open(u, &(struct kit_udp_options){ kit_broker_port(b, "echo"), { LOCAL_HOSTS }, 15, total, 0 });
}

static void run_all(struct kit_broker *b, unsigned total)
{
    struct kit_udp u;

    open_clients(&u, b, total);
    kit_udp_run(&u, total);
    assert_int_equal(u.n_answered, total);
    assert_int_equal(u.n_repeated, 0);
    assert_int_equal(u.n_ipv6, total / 5);
    kit_udp_close(&u);
}

/* ---- everybody is answered ---- */

static void answer_all(const char *endpoint, unsigned n_workers)
{
    struct kit_broker *b = start(endpoint);
    struct kit_process *workers[4];

    for (unsigned i = 0; i < n_workers; i++)
        workers[i] = start_echo(b, (const char *const[]){ "u1", "u2", "u3", "u4" }[i], 1);
    run_all(b, 10000 * kit_scale());
    for (unsigned i = 0; i < n_workers; i++)
        stop_echo(workers[i]);
    finish(b);
}

static void every_datagram_is_answered_from_where_it_was_sent_by_one_worker(void **state)
{
    (void)state;
    answer_all("echo=[::]:0,protocol=udp,mode=share", 1);
}

static void every_datagram_is_answered_by_two_on_a_shared_socket(void **state)
{
    (void)state;
    answer_all("echo=[::]:0,protocol=udp,mode=share", 2);
}

static void every_datagram_is_answered_by_four_in_a_shard(void **state)
{
    (void)state;
    answer_all("echo=[::]:0,protocol=udp,mode=shard,slots=4", 4);
    answer_all("echo=[::]:0,protocol=udp,mode=shard,slots=4,policy=source-hash", 4);
}

static void every_datagram_is_answered_on_two_sockets_of_one_port(void **state)
{
    static const char *const endpoints[] = {
        "echo=[::]:0,protocol=udp,mode=share,family=split",
        "echo=[::1]:0+127.0.0.1:0+127.0.0.2:0+127.0.0.3:0+127.0.0.4:0,protocol=udp,mode=share",
        "echo=[::1]:0+127.0.0.1:0+127.0.0.2:0+127.0.0.3:0+127.0.0.4:0,protocol=udp,mode=share,family=split",
        "echo=[::]:0,protocol=udp,mode=shard,slots=2,family=split",
        "echo=[::1]:0+127.0.0.1:0+127.0.0.2:0+127.0.0.3:0+127.0.0.4:0,protocol=udp,mode=shard,slots=2,family=split",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++) {
        struct kit_broker *b = start(endpoints[i]);
        struct sb_status_report r;

        kit_status(b, &r);
        const struct sb_endpoint_status *e = kit_endpoint(&r, "echo");
        unsigned n = strchr(endpoints[i], '+') ? 5 : 2;
        assert_int_equal(e->n_addresses, n);
        assert_string_equal(e->protocol, "udp");
        assert_int_equal(e->slots, strstr(endpoints[i], "shard") ? 2 : 0);
        for (unsigned k = 0; k < n; k++)
            assert_int_equal(e->addresses[k].port, kit_broker_port(b, "echo"));
        sb_status_report_deinit(&r);
        struct kit_process *w1 = start_echo(b, "u1", n), *w2 = start_echo(b, "u2", n);
        run_all(b, 1000);
        stop_echo(w1);
        stop_echo(w2);
        finish(b);
    }
}

/* ---- many addresses of one machine ---- */

/* struct in6_ifreq of linux/ipv6.h, which cannot be included beside netinet/in.h. */
struct ipv6_request {
    struct in6_addr addr;
    uint32_t prefix_len;
    int interface_index;
};

static bool can_bind(const struct sockbroker_addr *addr)
{
    struct sockaddr_storage sa;
    socklen_t len = (socklen_t)sockbroker_addr_to_sockaddr(addr, &sa);
    sockbroker_socket sock = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool can = bind(sock, (struct sockaddr *)&sa, len) == 0;

    sb_socket_close(&sock);
    return can;
}

static void add_to_lo(const char *host)
{
    struct ipv6_request r = { .prefix_len = 128, .interface_index = (int)if_nametoindex("lo") };
    struct sockbroker_addr addr;
    sockbroker_socket sock = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert_int_equal(sockbroker_addr_parse_ip(host, &addr, NULL), SOCKBROKER_OK);
    memcpy(&r.addr, addr.ip, sizeof(addr.ip));
    assert_int_equal(ioctl(sock, SIOCSIFADDR, &r), 0);
    sb_socket_close(&sock);
    kit_until(can_bind(&addr)); /* some moments after it was added */
}

/* F98, and F92 for the zone: whichever of many addresses a client asks, its answer comes from there. */
static void each_of_many_addresses_answers_as_itself(void **state)
{
    static const char *const added[] = { "2001:db8::1", "2001:db8::2",        "2001:db8::3",
                                         "fd00::5",     "64:ff9b::192.0.2.1", "fe80::1%lo" };
    static const char *const endpoints[] = { "echo=[::]:0,protocol=udp,mode=share",
                                             "echo=[::]:0,protocol=udp,mode=share,family=split",
                                             "echo=[::]:0,protocol=udp,mode=shard,slots=3" };
    struct kit_udp_options o = { .hosts = { "127.0.0.1", "127.1.2.3", "127.255.255.254", "::1" }, .n_clients = 20 };
    int net = fault_net_enter();

    (void)state;
    for (size_t i = 0; i < sizeof(added) / sizeof(added[0]); i++) {
        add_to_lo(added[i]);
        o.hosts[4 + i] = added[i];
    }
    for (size_t i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++) {
        struct kit_broker *b = start(endpoints[i]);
        struct kit_process *w = start_echo(b, "u1", strstr(endpoints[i], "split") ? 2 : 1);
        struct kit_udp u;

        o.port = kit_broker_port(b, "echo");
        o.total = 2000 * kit_scale();
        kit_udp_open(&u, &o);
        kit_udp_run(&u, o.total);
        assert_int_equal(u.n_ipv4, o.total * 3 / 10);
        kit_udp_close(&u);
        stop_echo(w);
        finish(b);
    }
    fault_net_leave(&net);
}

/* F92: such an address can be bound where it is an address of this machine. */
static void a_link_local_address_with_its_zone_can_be_an_endpoint(void **state)
{
    int net = fault_net_enter();

    (void)state;
    add_to_lo("fe80::1%lo");
    struct kit_broker *b = start("echo=[fe80::1%lo]:0+[::1]:0,protocol=udp,mode=share");
    struct kit_process *w = start_echo(b, "u1", 2);
    struct kit_udp u;
    kit_udp_open(&u, &(struct kit_udp_options){ kit_broker_port(b, "echo"), { "fe80::1%lo", "::1" }, 4, 400, 0 });
    kit_udp_run(&u, 400);
    kit_udp_close(&u);
    stop_echo(w);
    finish(b);
    fault_net_leave(&net);
}

/* ---- one worker after the other ---- */

enum end {
    BY_DRAIN,
    BY_SIGTERM,
    BY_KILL,
    BY_KILL_WHILE_STOPPED, /* while it was stopped, too, datagrams came */
    ENDS
};

/* Datagrams come while it cannot answer, or is no more. */
static void end_worker(struct kit_broker *b, struct kit_process *w, enum end how, struct kit_udp *u)
{
    switch (how) {
    case BY_DRAIN:
        drain(b, w->title);
        assert_int_equal(kit_process_wait(w), 0);
        break;
    case BY_SIGTERM:
        kit_process_ask_end(w);
        assert_int_equal(kit_process_wait(w), 0);
        break;
    case BY_KILL_WHILE_STOPPED:
        kit_process_stop(w);
        kit_udp_send(u, 30);
        kit_process_strike(w);
        assert_int_equal(kit_process_wait(w), 128 + SIGKILL);
        break;
    case BY_KILL:
    case ENDS:
        kit_process_strike(w);
        assert_int_equal(kit_process_wait(w), 128 + SIGKILL);
        break;
    }
    kit_process_free(w);
    kit_broker_wait_ready(b, 0);
}

static void replace_workers(const char *endpoint)
{
    struct kit_broker *b = start(endpoint);
    struct kit_udp u;

    open_clients(&u, b, 4000);
    kit_udp_send(&u, 50); /* before the first one */
    for (unsigned i = 0; i < 3 * ENDS; i++) {
        struct kit_process *w = start_echo(b, (const char *const[]){ "u1", "u2" }[i % 2], 1);

        kit_udp_collect(&u);
        kit_udp_run(&u, 100);
        end_worker(b, w, (enum end)(i % ENDS), &u);
        kit_udp_send(&u, 60);
    }
    struct kit_process *last = start_echo(b, "u3", 1);
    kit_udp_collect(&u);
    assert_int_equal(u.n_answered, 50 + 3 * ENDS * 160 + 3 * 30);
    assert_int_equal(u.n_repeated, 0);
    kit_udp_close(&u);
    stop_echo(last);
    finish(b);
}

static void datagrams_wait_for_the_next_worker(void **state)
{
    (void)state;
    replace_workers("echo=[::]:0,protocol=udp,mode=share");
    replace_workers("echo=[::]:0,protocol=udp,mode=shard,slots=1");
    replace_workers("echo=[::]:0,protocol=udp,mode=shard,slots=4");
    replace_workers("echo=[::]:0,protocol=udp,mode=shard,slots=4,policy=source-hash");
}

/* In each slot something waits for its next worker, while others serve theirs. */
static void each_slot_keeps_its_datagrams(void **state)
{
    static const char *const names[] = { "u1", "u2", "u3" };
    struct kit_broker *b = start("echo=[::]:0,protocol=udp,mode=shard,slots=3");
    struct kit_process *workers[3];
    struct kit_udp u;

    (void)state;
    open_clients(&u, b, 2000);
    for (unsigned i = 0; i < 3; i++)
        workers[i] = start_echo(b, names[i], 1);
    kit_broker_wait_ready(b, 3);
    for (unsigned i = 0; i < 3; i++) {
        kit_process_stop(workers[i]);
        kit_udp_send(&u, 90); /* a third of it is for the one that is stopped */
        kit_process_strike(workers[i]);
        assert_int_equal(kit_process_wait(workers[i]), 128 + SIGKILL);
        kit_process_free(workers[i]);
        kit_broker_wait_worker(b, names[i], "gone");
        workers[i] = start_echo(b, names[i], 1);
        kit_udp_collect(&u);
        kit_udp_run(&u, 200);
    }
    for (unsigned i = 0; i < 3; i++)
        stop_echo(workers[i]);
    assert_int_equal(u.n_repeated, 0);
    kit_udp_close(&u);
    finish(b);
}

/* The new one comes before the old one goes, and clients go on all the time. */
static void a_drain_under_load_loses_nothing(void **state)
{
    static const char *const endpoints[] = { "echo=[::]:0,protocol=udp,mode=share",
                                             "echo=[::]:0,protocol=udp,mode=shard,slots=2" };

    (void)state;
    for (size_t k = 0; k < 2; k++) {
        struct kit_broker *b = start(endpoints[k]);
        struct kit_process *old = start_echo(b, "u0", 1);
        struct kit_udp u;

        open_clients(&u, b, 20000 * kit_scale());
        for (unsigned i = 1; i <= 4 * kit_scale(); i++) {
            char name[16];

            snprintf(name, sizeof(name), "u%u", i);
            struct kit_process *fresh = start_echo(b, name, 1);
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
        stop_echo(old);
        finish(b);
    }
}

/* What it had read is gone with it, as promised to nobody; all else is answered. */
static void a_killed_worker_loses_no_more_than_it_had_read(void **state)
{
    struct kit_broker *b = start("echo=[::]:0,protocol=udp,mode=share");
    unsigned n_kills = 10 * kit_scale();
    struct kit_process *w = start_echo(b, "u0", 1);
    struct kit_udp u;

    (void)state;
    open_clients(&u, b, 100 * n_kills);
    for (unsigned i = 1; i <= n_kills; i++) {
        char name[16];

        kit_udp_send(&u, KIT_UDP_WINDOW - 1);
        kit_process_kill(w);
        kit_udp_send(&u, 1);
        snprintf(name, sizeof(name), "u%u", i);
        w = start_echo(b, name, 1);
        kit_udp_collect_last(&u);
        assert_true(kit_udp_repeat_lost(&u) <= LOST_BY_A_KILL);
        kit_udp_collect(&u);
    }
    assert_int_equal(u.n_answered, KIT_UDP_WINDOW * n_kills);
    kit_udp_close(&u);
    stop_echo(w);
    finish(b);
}

/* ---- one client, one worker ---- */

static struct sockbroker_worker *open_worker(struct kit_broker *b, const char *name)
{
    struct sockbroker_worker_options options = SOCKBROKER_WORKER_OPTIONS_INIT;
    struct sockbroker_worker *w = NULL;
    struct sockbroker_error error = { .text = "" };

    options.dir = b->dir;
    options.endpoints = "echo";
    options.name = name;
    if (sockbroker_worker_open(&options, &w, &error))
        kit_fail("%s", error.text);
    kit_broker_wait_worker(b, name, "ready");
    return w;
}

#define WORKERS 4
#define CLIENTS 48

struct group {
    struct sockbroker_worker *workers[WORKERS];
    struct sockbroker_conn conns[WORKERS];
};

static void join(struct group *g, unsigned i, struct kit_broker *b)
{
    struct sockbroker_error error = { .text = "" };
    uint64_t before = kit_counters(b, "echo").granted;

    g->workers[i] = open_worker(b, (const char *const[WORKERS]){ "a", "b", "c", "d" }[i]);
    if (sockbroker_worker_socket(g->workers[i], "echo", 0, &g->conns[i], NULL, &error))
        kit_fail("%s", error.text);
    wait_granted(b, before + 1); /* from then on it is steered to */
    assert_int_equal(g->conns[i].info.type, SOCKBROKER_DATAGRAM);
    assert_int_equal(g->conns[i].info.socket_family, SOCKBROKER_IPV6);
    assert_int_equal(g->conns[i].info.local.port, kit_broker_port(b, "echo"));
    assert_false(g->conns[i].info.listening);
    assert_true(g->conns[i].info.nonblocking);
}

static void leave(struct group *g, unsigned i)
{
    sb_socket_close(&g->conns[i].sock);
    g->workers[i] = sockbroker_worker_close(g->workers[i]);
}

/* One datagram from that address, and who got it. */
static unsigned receiver_of(struct group *g, struct kit_broker *b, unsigned client)
{
    struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000101u + client) };
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(kit_broker_port(b, "echo")) };
    sockbroker_socket sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct pollfd fds[WORKERS];
    char byte;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(sock, (struct sockaddr *)&from, sizeof(from)), 0);
    assert_int_equal(sendto(sock, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)), 1);
    sb_socket_close(&sock);
    for (unsigned i = 0; i < WORKERS; i++)
        fds[i] = (struct pollfd){ g->workers[i] ? g->conns[i].sock : -1, POLLIN, 0 };
    assert_int_equal(poll(fds, WORKERS, KIT_WAIT_MS), 1);
    for (unsigned i = 0; i < WORKERS; i++) {
        if (fds[i].revents && recv(fds[i].fd, &byte, 1, 0) == 1)
            return i;
    }
    kit_fail("a datagram was there and is gone");
}

static void map_clients(struct group *g, struct kit_broker *b, unsigned receivers[CLIENTS])
{
    for (unsigned i = 0; i < CLIENTS; i++)
        receivers[i] = receiver_of(g, b, i);
}

static unsigned count_of(const unsigned receivers[CLIENTS], unsigned worker)
{
    unsigned n = 0;

    for (unsigned i = 0; i < CLIENTS; i++)
        n += receivers[i] == worker;
    return n;
}

/* From each of its ports, and when other workers come and go. */
static void a_client_stays_with_its_worker(void **state)
{
    struct kit_broker *b = start("echo=[::]:0,protocol=udp,mode=shard,slots=4,policy=source-hash");
    unsigned first[CLIENTS], second[CLIENTS];
    struct group g;

    (void)state;
    for (unsigned i = 0; i < WORKERS; i++)
        join(&g, i, b);
    map_clients(&g, b, first);
    map_clients(&g, b, second);
    assert_memory_equal(first, second, sizeof(first));
    for (unsigned i = 0; i < WORKERS; i++)
        assert_true(count_of(first, i) > 0);

    leave(&g, 1);
    kit_broker_wait_worker(b, "b", "gone");
    map_clients(&g, b, second);
    assert_int_equal(count_of(second, 1), 0);
    for (unsigned i = 0; i < CLIENTS; i++)
        assert_true(first[i] == 1 || first[i] == second[i]);

    join(&g, 1, b);
    map_clients(&g, b, second);
    assert_memory_equal(first, second, sizeof(first));
    for (unsigned i = 0; i < WORKERS; i++)
        leave(&g, i);
    finish(b);
}

/* ---- the sample ---- */

static void the_sample_answers_and_ends_politely(void **state)
{
    struct kit_broker *b = start("echo=[::]:0,protocol=udp,mode=share");
    struct kit_process *w = start_echo(b, "u1", 1);
    struct sb_session_status s = kit_worker_status(b, "u1");
    struct kit_udp u;

    (void)state;
    kit_process_wait_log(w, "ready\n");
    assert_int_equal(s.generation, 7);
    open_clients(&u, b, 15);
    kit_udp_run(&u, 15);
    kit_udp_close(&u);
    stop_echo(w);

    w = start_echo(b, "u2", 1);
    drain(b, "u2");
    assert_int_equal(kit_process_wait(w), 0);
    kit_process_free(w);
    finish(b);
}

static void the_sample_says_what_is_wrong(void **state)
{
    static const struct {
        const char *args[6];
        int code;
        const char *says;
    } cases[] = {
        { { "--help" }, 0, "usage: udp_echo_worker --endpoint NAME" },
        { { "--endpoint", "echo", "--dir", "/nonexistent" }, 3, "udp_echo_worker: " },
        { { "--nonsense" }, 2, "see udp_echo_worker --help" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct kit_start how = { .args = { NULL } };

        memcpy(how.args, cases[i].args, sizeof(cases[i].args));
        struct kit_process *w = kit_process_start("sample", SB_UDP_ECHO_EXE, &how);
        kit_process_wait_log(w, cases[i].says);
        assert_int_equal(kit_process_wait(w), cases[i].code);
        kit_process_free(w);
    }
    struct kit_broker *b = start("echo=[::]:0");
    struct kit_process *w = launch_echo(b, "u1");
    kit_process_wait_log(w, "endpoint \"echo\" has mode = handoff");
    assert_int_equal(kit_process_wait(w), 1);
    kit_process_free(w);
    finish(b);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(every_datagram_is_answered_from_where_it_was_sent_by_one_worker),
        TEST(every_datagram_is_answered_by_two_on_a_shared_socket),
        TEST(every_datagram_is_answered_by_four_in_a_shard),
        TEST(every_datagram_is_answered_on_two_sockets_of_one_port),
        TEST(each_of_many_addresses_answers_as_itself),
        TEST(a_link_local_address_with_its_zone_can_be_an_endpoint),
        TEST(datagrams_wait_for_the_next_worker),
        TEST(each_slot_keeps_its_datagrams),
        TEST(a_drain_under_load_loses_nothing),
        TEST(a_killed_worker_loses_no_more_than_it_had_read),
        TEST(a_client_stays_with_its_worker),
        TEST(the_sample_answers_and_ends_politely),
        TEST(the_sample_says_what_is_wrong),
    };

    return kit_main(tests, argc, argv);
}
