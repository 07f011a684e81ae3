/* UDP endpoints, as far as it is POSIX alone: shards, kills amid the load, addresses of a network of its own. */
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "proto/socket.h"
#include "sockbroker/udp.h"
#include "tests/integration/udp_endpoints_kit.h"
#include "tests/support/fault.h"
#include "tests/support/format.h"

#define LOST_BY_A_KILL 32u /* what udp_echo_worker reads at once */

/* ---- everybody is answered ---- */

static void every_datagram_is_answered_by_four_in_a_shard(void **state)
{
    (void)state;
    udp_answer_all("echo=[::]:0,protocol=udp,mode=shard,slots=4", 4);
    udp_answer_all("echo=[::]:0,protocol=udp,mode=shard,slots=4,policy=source-hash", 4);
}

static void every_datagram_is_answered_on_five_sockets_of_one_port(void **state)
{
    (void)state;
    udp_answer_on_many("echo=[::1]:0+127.0.0.1:0+127.0.0.2:0+127.0.0.3:0+127.0.0.4:0,protocol=udp,mode=share", 5, 0);
    udp_answer_on_many("echo=[::1]:0+127.0.0.1:0+127.0.0.2:0+127.0.0.3:0+127.0.0.4:0,protocol=udp,mode=share,family=split", 5,
                       0);
}

static void every_datagram_is_answered_on_two_sockets_of_one_port_in_shards(void **state)
{
    (void)state;
    udp_answer_on_many("echo=[::]:0,protocol=udp,mode=shard,slots=2,family=split", 2, 2);
    udp_answer_on_many(
        "echo=[::1]:0+127.0.0.1:0+127.0.0.2:0+127.0.0.3:0+127.0.0.4:0,protocol=udp,mode=shard,slots=2,family=split", 5, 2);
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
        struct kit_broker *b = udp_start(endpoints[i]);
        struct kit_process *w = udp_start_echo(b, "u1", strstr(endpoints[i], "split") ? 2 : 1);
        struct kit_udp u;

        o.port = kit_broker_port(b, "echo");
        o.total = 2000 * kit_scale();
        kit_udp_open(&u, &o);
        kit_udp_run(&u, o.total);
        assert_int_equal(u.n_ipv4, o.total * 3 / 10);
        kit_udp_close(&u);
        udp_stop_echo(w);
        udp_finish(b);
    }
    fault_net_leave(&net);
}

/* F92: such an address can be bound where it is an address of this machine. */
static void a_link_local_address_with_its_zone_can_be_an_endpoint(void **state)
{
    int net = fault_net_enter();

    (void)state;
    add_to_lo("fe80::1%lo");
    struct kit_broker *b = udp_start("echo=[fe80::1%lo]:0+[::1]:0,protocol=udp,mode=share");
    struct kit_process *w = udp_start_echo(b, "u1", 2);
    struct kit_udp u;
    kit_udp_open(&u, &(struct kit_udp_options){ kit_broker_port(b, "echo"), { "fe80::1%lo", "::1" }, 4, 400, 0 });
    kit_udp_run(&u, 400);
    kit_udp_close(&u);
    udp_stop_echo(w);
    udp_finish(b);
    fault_net_leave(&net);
}

/* ---- one worker after the other ---- */

static void datagrams_wait_for_the_next_worker_of_a_slot(void **state)
{
    (void)state;
    udp_replace_workers("echo=[::]:0,protocol=udp,mode=shard,slots=1");
    udp_replace_workers("echo=[::]:0,protocol=udp,mode=shard,slots=4");
    udp_replace_workers("echo=[::]:0,protocol=udp,mode=shard,slots=4,policy=source-hash");
}

/* In each slot something waits for its next worker, while others serve theirs. */
static void each_slot_keeps_its_datagrams(void **state)
{
    static const char *const names[] = { "u1", "u2", "u3" };
    struct kit_broker *b = udp_start("echo=[::]:0,protocol=udp,mode=shard,slots=3");
    struct kit_process *workers[3];
    struct kit_udp u;

    (void)state;
    udp_open_clients(&u, b, 2000);
    for (unsigned i = 0; i < 3; i++)
        workers[i] = udp_start_echo(b, names[i], 1);
    kit_broker_wait_ready(b, 3);
    for (unsigned i = 0; i < 3; i++) {
        kit_process_stop(workers[i]);
        kit_udp_send(&u, 90); /* a third of it is for the one that is stopped */
        kit_process_strike(workers[i]);
        assert_int_equal(kit_process_wait(workers[i]), KILLED);
        kit_process_free(workers[i]);
        kit_broker_wait_worker(b, names[i], "gone");
        workers[i] = udp_start_echo(b, names[i], 1);
        kit_udp_collect(&u);
        kit_udp_run(&u, 200);
    }
    for (unsigned i = 0; i < 3; i++)
        udp_stop_echo(workers[i]);
    assert_int_equal(u.n_repeated, 0);
    kit_udp_close(&u);
    udp_finish(b);
}

static void a_drain_under_load_loses_nothing_of_a_slot(void **state)
{
    (void)state;
    udp_drain_under_load("echo=[::]:0,protocol=udp,mode=shard,slots=2");
}

/* ---- one client, one worker ---- */

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
    const char *name = (const char *const[WORKERS]){ "a", "b", "c", "d" }[i];

    g->workers[i] = kit_worker_open(b, name, "echo");
    kit_broker_wait_worker(b, name, "ready");
    if (sockbroker_worker_socket(g->workers[i], "echo", 0, &g->conns[i], NULL, &error))
        kit_fail("%s", error.text);
    udp_wait_granted(b, before + 1); /* from then on it is steered to */
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
    struct kit_broker *b = udp_start("echo=[::]:0,protocol=udp,mode=shard,slots=4,policy=source-hash");
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
    udp_finish(b);
}

/* ---- a kill ---- */

/* What it had read is gone with it, as promised to nobody; all else is answered. (When a reader is killed amid its call, Wine
 * wakes nobody who waits for that socket any more.) */
static void a_killed_worker_loses_no_more_than_it_had_read(void **state)
{
    struct kit_broker *b = udp_start("echo=[::]:0,protocol=udp,mode=share");
    unsigned n_kills = 10 * kit_scale();
    struct kit_process *w = udp_start_echo(b, "u0", 1);
    struct kit_udp u;

    (void)state;
    udp_open_clients(&u, b, 100 * n_kills);
    for (unsigned i = 1; i <= n_kills; i++) {
        char name[16];

        kit_udp_send(&u, udp_window - 1);
        kit_process_kill(w);
        kit_udp_send(&u, 1);
        format_text(name, sizeof(name), "u%u", i);
        w = udp_start_echo(b, name, 1);
        kit_udp_collect_last(&u);
        assert_true(kit_udp_repeat_lost(&u) <= LOST_BY_A_KILL);
        kit_udp_collect(&u);
    }
    assert_int_equal(u.n_answered, udp_window * n_kills);
    kit_udp_close(&u);
    udp_stop_echo(w);
    udp_finish(b);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(every_datagram_is_answered_by_four_in_a_shard),
        TEST(every_datagram_is_answered_on_five_sockets_of_one_port),
        TEST(every_datagram_is_answered_on_two_sockets_of_one_port_in_shards),
        TEST(each_of_many_addresses_answers_as_itself),
        TEST(a_link_local_address_with_its_zone_can_be_an_endpoint),
        TEST(datagrams_wait_for_the_next_worker_of_a_slot),
        TEST(each_slot_keeps_its_datagrams),
        TEST(a_killed_worker_loses_no_more_than_it_had_read),
        TEST(a_drain_under_load_loses_nothing_of_a_slot),
        TEST(a_client_stays_with_its_worker),
    };

    return kit_main(tests, argc, argv);
}
