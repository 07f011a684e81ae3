/* What shard_group.h promises, with real sockets: who gets new clients, that no queue is lost with a worker, and that a group
 * finds itself again after somebody shut its sockets down. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/shard_group.h"
#include "proto/socket.h"
#include "sockbroker/addr.h"
#include "tests/support/format.h"

#define QUEUE 20

/* ---- groups ---- */

static struct sb_shard_group group;

static sockbroker_status try_open(const char *at, enum sockbroker_socket_type type, size_t n_slots,
                                  struct sockbroker_error *error)
{
    struct sb_shard_request r = { .dual = true, .type = type, .backlog = 256, .n_slots = n_slots };
    enum sb_listen_note note;

    UNIT_REQUIRE(sockbroker_addr_parse(at, &r.addr, NULL) == SOCKBROKER_OK);
    r.dual = !strncmp(at, "[::]", 4);
    return sb_shard_group_open(&r, &group, &note, error);
}

static void open_group(const char *at, enum sockbroker_socket_type type, size_t n_slots)
{
    struct sockbroker_error error = { SOCKBROKER_OK, 0, "" };
    sockbroker_status st = try_open(at, type, n_slots, &error);

    if (st)
        print_error("%s\n", error.text);
    UNIT_REQUIRE(st == SOCKBROKER_OK);
}

static void steer(enum sb_steer_policy policy, const uint32_t *weights)
{
    struct sb_steering how = { policy, weights, group.as.n_slots, 0 };
    struct sockbroker_error error = { SOCKBROKER_OK, 0, "" };
    sockbroker_status st = sb_shard_group_steer(&group, &how, &error);

    if (st)
        print_error("%s\n", error.text);
    UNIT_REQUIRE(st == SOCKBROKER_OK);
}

static void steer_to(size_t slot)
{
    uint32_t weights[SB_STEER_SLOTS_MAX] = { 0 };

    weights[slot] = 1;
    steer(SB_STEER_WEIGHTED, weights);
}

static int option(int sock, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);

    UNIT_REQUIRE(getsockopt(sock, level, name, &value, &len) == 0);
    return value;
}

/* ---- clients ---- */

static int client_socket(const char *from, const char *to, struct sockaddr_storage *sa_out, socklen_t *len_out)
{
    struct sockbroker_addr addr;
    struct sockaddr_storage source;

    UNIT_REQUIRE(sockbroker_addr_parse_ip(to, &addr, NULL) == SOCKBROKER_OK);
    addr.port = group.as.addr.port;
    *len_out = (socklen_t)sockbroker_addr_to_sockaddr(&addr, sa_out);
    int type = group.as.type == SOCKBROKER_STREAM ? SOCK_STREAM : SOCK_DGRAM;
    int sock = socket(sa_out->ss_family, type | SOCK_CLOEXEC, 0);
    UNIT_REQUIRE(sock >= 0);
    UNIT_REQUIRE(sockbroker_addr_parse_ip(from, &addr, NULL) == SOCKBROKER_OK);
    socklen_t len = (socklen_t)sockbroker_addr_to_sockaddr(&addr, &source);
    UNIT_REQUIRE(bind(sock, (struct sockaddr *)&source, len) == 0);
    return sock;
}

/* Connected; for UDP one datagram is sent. */
static int client_from(const char *from, const char *to)
{
    struct linger now = { 1, 0 };
    struct sockaddr_storage sa;
    socklen_t len;
    int sock = client_socket(from, to, &sa, &len);

    setsockopt(sock, SOL_SOCKET, SO_LINGER, &now, sizeof(now)); /* leaves no TIME_WAIT behind */
    UNIT_REQUIRE(connect(sock, (struct sockaddr *)&sa, len) == 0);
    if (group.as.type == SOCKBROKER_DATAGRAM)
        UNIT_REQUIRE(send(sock, "x", 1, 0) == 1);
    return sock;
}

static int client_to(const char *to)
{
    return client_from(strchr(to, ':') ? "::1" : "127.0.0.1", to);
}

/* True when something came out of the slot's queue. */
static bool take_one(size_t slot)
{
    int sock = sb_shard_group_socket(&group, slot);
    char byte;

    if (group.as.type == SOCKBROKER_DATAGRAM)
        return recv(sock, &byte, 1, MSG_DONTWAIT) == 1;
    int came = accept4(sock, NULL, NULL, SOCK_CLOEXEC);
    if (came >= 0)
        close(came);
    return came >= 0;
}

struct arrival {
    size_t slot;
};

static bool has_arrived(void *arg)
{
    struct arrival *a = arg;

    for (size_t i = 0; i < group.as.n_slots; i++) {
        if (take_one(i)) {
            a->slot = i;
            return true;
        }
    }
    return false;
}

static size_t slot_of_next(void)
{
    struct arrival a;

    UNIT_REQUIRE(unit_wait_for(has_arrived, &a));
    return a.slot;
}

static size_t slot_of_client(const char *from, const char *to)
{
    int sock = client_from(from, to);
    size_t slot = slot_of_next();

    close(sock);
    return slot;
}

static void count_arrivals(const char *to, unsigned n, unsigned *got)
{
    const char *from = strchr(to, ':') ? "::1" : "127.0.0.1";

    memset(got, 0, group.as.n_slots * sizeof(got[0]));
    while (n--)
        got[slot_of_client(from, to)]++;
}

/* The only way to show that slot and position belong together. */
static void assert_each_slot_is_where_it_should_be(const char *to)
{
    for (size_t i = 0; i < group.as.n_slots; i++) {
        steer_to(i);
        for (unsigned n = 0; n < 3; n++) {
            int sock = client_to(to);

            UNIT_REQUIRE(slot_of_next() == i);
            close(sock);
        }
    }
}

/* ---- opening ---- */

static const struct {
    const char *at;
    const char *to[2];
} places[] = {
    { "127.0.0.1:0", { "127.0.0.1" } },
    { "0.0.0.0:0", { "127.0.0.1" } },
    { "[::1]:0", { "::1" } },
    { "[::]:0", { "::1", "127.0.0.1" } },
};

static const enum sockbroker_socket_type types[] = { SOCKBROKER_STREAM, SOCKBROKER_DATAGRAM };

#define FOR_EACH_PLACE(i, t)                                                                                                   \
    for (size_t t = 0; t < UNIT_COUNT(types); t++)                                                                             \
        for (size_t i = 0; i < UNIT_COUNT(places); i++)                                                                        \
            if (places[i].at[0] != '[' || unit_has_ipv6())

static void all_members_have_one_port_and_their_order(void **state)
{
    (void)state;
    FOR_EACH_PLACE(i, t)
    {
        open_group(places[i].at, types[t], 7);
        assert_int_not_equal(group.as.addr.port, 0);
        for (size_t slot = 0; slot < 7; slot++) {
            int sock = sb_shard_group_socket(&group, slot);

            assert_true(sb_shard_group_is_on(&group, slot));
            assert_true(fcntl(sock, F_GETFD) & FD_CLOEXEC);
            assert_true(fcntl(sock, F_GETFL) & O_NONBLOCK);
            assert_int_equal(option(sock, SOL_SOCKET, SO_REUSEPORT), 1);
            if (places[i].at[0] == '[')
                assert_int_equal(option(sock, IPPROTO_IPV6, IPV6_V6ONLY), places[i].to[1] == NULL);
        }
        for (size_t to = 0; to < 2 && places[i].to[to]; to++)
            assert_each_slot_is_where_it_should_be(places[i].to[to]);
        sb_shard_group_close(&group);
    }
}

static void another_group_is_an_error_and_not_joined(void **state)
{
    struct sockbroker_error error;
    char at[64], operation[80];

    (void)state;
    for (size_t t = 0; t < UNIT_COUNT(types); t++) {
        open_group("127.0.0.1:0", types[t], 2);
        struct sb_shard_group first = group;

        format_text(at, sizeof(at), "127.0.0.1:%u", first.as.addr.port);
        assert_status(SOCKBROKER_ADDRESS_IN_USE, try_open(at, types[t], 2, &error));
        format_text(operation, sizeof(operation), "bind %s", at);
        assert_non_null(strstr(error.text, operation));
        assert_non_null(strstr(error.text, "choose another port"));
        sb_shard_group_close(&first);
    }
}

static void open_is_all_or_none(void **state)
{
    struct sockbroker_error error;
    struct rlimit limit, low;

    (void)state;
    for (size_t t = 0; t < UNIT_COUNT(types); t++) {
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
        int next = open("/dev/null", O_RDONLY | O_CLOEXEC);
        close(next);
        low = limit;
        low.rlim_cur = (rlim_t)next + 5;
        setrlimit(RLIMIT_NOFILE, &low);
        sockbroker_status st = try_open("127.0.0.1:0", types[t], 6, &error);
        setrlimit(RLIMIT_NOFILE, &limit);
        assert_status(SOCKBROKER_NO_DESCRIPTORS, st);
        assert_non_null(strstr(error.text, "EMFILE"));
    } /* and the teardown counts descriptors */
}

static void be_without_ipv6(void *arg)
{
    (void)arg;
    setenv("SOCKBROKER_FAILPOINTS", "socket6=EAFNOSUPPORT*100", 1);
    for (size_t t = 0; t < UNIT_COUNT(types); t++) {
        open_group("[::]:0", types[t], 3);
        UNIT_REQUIRE(group.as.addr.family == SOCKBROKER_IPV4 && !group.as.dual);
        assert_each_slot_is_where_it_should_be("127.0.0.1");
        sb_shard_group_close(&group);
    }
}

static void dual_falls_back_to_ipv4_where_the_kernel_has_no_ipv6(void **state)
{
    (void)state;
#ifndef SB_FAILPOINTS
    (void)be_without_ipv6;
    skip();
#else
    assert_child_succeeds(be_without_ipv6, NULL);
#endif
}

static void before_it_is_steered_everything_goes_to_slot_0(void **state)
{
    unsigned got[5];

    (void)state;
    open_group("127.0.0.1:0", SOCKBROKER_STREAM, 5);
    count_arrivals("127.0.0.1", 30, got);
    assert_int_equal(got[0], 30);
    sb_shard_group_close(&group);
}

static void a_group_grows_and_stays_as_it_is_when_it_cannot(void **state)
{
    struct sockbroker_error error;
    struct rlimit limit, low;

    (void)state;
    for (size_t t = 0; t < UNIT_COUNT(types); t++) {
        open_group("127.0.0.1:0", types[t], 1); /* not a group for the kernel yet */
        steer_to(0);
        assert_status(SOCKBROKER_OK, sb_shard_group_grow(&group, 3, NULL));
        assert_each_slot_is_where_it_should_be("127.0.0.1");
        assert_status(SOCKBROKER_OK, sb_shard_group_grow(&group, 5, NULL));
        assert_each_slot_is_where_it_should_be("127.0.0.1");
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
        low = limit;
        low.rlim_cur = (rlim_t)sb_shard_group_socket(&group, 4) + 3;
        setrlimit(RLIMIT_NOFILE, &low);
        sockbroker_status st = sb_shard_group_grow(&group, 9, &error);
        setrlimit(RLIMIT_NOFILE, &limit);
        assert_status(SOCKBROKER_NO_DESCRIPTORS, st);
        assert_int_equal(group.as.n_slots, 5);
        assert_each_slot_is_where_it_should_be("127.0.0.1");
        sb_shard_group_close(&group);
    }
}

/* ---- steering ---- */

/* Random, so within six standard deviations: one failure in 500 million runs. */
static void weights_are_kept_by_the_kernel(void **state)
{
    static const uint32_t weights[] = { 4, 0, 1, 3 };
    enum { N = 1600 };
    unsigned got[4];

    (void)state;
    FOR_EACH_PLACE(i, t)
    {
        open_group(places[i].at, types[t], 4);
        steer(SB_STEER_WEIGHTED, weights);
        count_arrivals(places[i].to[0], N, got);
        assert_int_equal(got[1], 0);
        for (size_t slot = 0; slot < 4; slot++) { /* variance N p (1 - p) <= N / 4 */
            int difference = (int)got[slot] - (int)(N * weights[slot] / 8);

            assert_in_range(abs(difference), 0, 6 * 20);
        }
        sb_shard_group_close(&group);
    }
}

static void everything_goes_to_the_fallback_when_nobody_is_live(void **state)
{
    static const uint32_t none[4];
    struct sb_steering how = { SB_STEER_SOURCE_HASH, none, 4, 2 };
    unsigned got[4];

    (void)state;
    FOR_EACH_PLACE(i, t)
    {
        open_group(places[i].at, types[t], 4);
        assert_status(SOCKBROKER_OK, sb_shard_group_steer(&group, &how, NULL));
        count_arrivals(places[i].to[0], 20, got);
        assert_int_equal(got[2], 20);
        sb_shard_group_close(&group);
    }
}

static size_t slot_by_plan(const char *from, const uint32_t *weights)
{
    struct sb_steering how = { SB_STEER_SOURCE_HASH, weights, group.as.n_slots, 0 };
    static struct sb_steer_plan plan;
    struct sockbroker_addr client;

    sb_steer_plan_make(&how, &plan);
    UNIT_REQUIRE(sockbroker_addr_parse_ip(from, &client, NULL) == SOCKBROKER_OK);
    return sb_steer_slot_of(&plan, &client);
}

/* Each client three times, from other ports; then without one slot, which moves its clients only. */
static void assert_clients_stick(const char *form, const char *to, unsigned n_clients)
{
    uint32_t weights[] = { 1, 1, 1, 1, 1 };
    bool met[5] = { false };

    for (unsigned n = 1; n <= n_clients; n++) {
        char from[64];

        format_text(from, sizeof(from), form, n);
        weights[1] = 1;
        steer(SB_STEER_SOURCE_HASH, weights);
        size_t slot = slot_by_plan(from, weights);
        for (unsigned again = 0; again < 3; again++)
            UNIT_REQUIRE(slot_of_client(from, to) == slot);
        met[slot] = true;
        weights[1] = 0;
        steer(SB_STEER_SOURCE_HASH, weights);
        size_t later = slot_of_client(from, to);
        UNIT_REQUIRE(later == slot_by_plan(from, weights) && later != 1 && (slot == 1 || later == slot));
    }
    for (size_t i = 0; i < 5; i++)
        UNIT_REQUIRE(met[i]);
}

static void ipv4_clients_stick_to_their_slot(void **state)
{
    (void)state;
    FOR_EACH_PLACE(i, t)
    {
        const char *to = places[i].to[1] ? places[i].to[1] : places[i].to[0];

        if (strchr(to, ':'))
            continue;
        open_group(places[i].at, types[t], 5);
        assert_clients_stick("127.0.3.%u", to, 40);
        sb_shard_group_close(&group);
    }
}

/* struct in6_ifreq of linux/ipv6.h, which cannot be included beside netinet/in.h. */
struct ipv6_request {
    struct in6_addr addr;
    uint32_t prefix_len;
    int interface_index;
};

/* The kernel lets an address be used some moments after it was added. */
static bool is_usable(void *arg)
{
    struct sockaddr_in6 at = { .sin6_family = AF_INET6, .sin6_addr = *(struct in6_addr *)arg };
    int sock = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool usable = sock >= 0 && bind(sock, (struct sockaddr *)&at, sizeof(at)) == 0;

    close(sock);
    return usable;
}

static void add_ipv6_addresses(unsigned n)
{
    int sock = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    UNIT_REQUIRE(sock >= 0);
    for (unsigned i = 1; i <= n; i++) {
        struct ipv6_request r = { .prefix_len = 128, .interface_index = (int)if_nametoindex("lo") };

        r.addr.s6_addr[0] = 0xfd;
        r.addr.s6_addr[15] = (uint8_t)i;
        UNIT_REQUIRE(ioctl(sock, SIOCSIFADDR, &r) == 0);
        UNIT_REQUIRE(unit_wait_for(is_usable, &r.addr));
    }
    close(sock);
}

static void stick_as_ipv6_clients(void *arg)
{
    (void)arg;
    UNIT_REQUIRE(unit_own_network());
    add_ipv6_addresses(40);
    for (size_t t = 0; t < UNIT_COUNT(types); t++) {
        open_group("[::]:0", types[t], 5);
        assert_clients_stick("fd00::%x", "::1", 40);
        sb_shard_group_close(&group);
    }
}

static void ipv6_clients_stick_to_their_slot(void **state)
{
    (void)state;
    if (geteuid() != 0 || !unit_has_ipv6())
        skip();
    assert_child_succeeds(stick_as_ipv6_clients, NULL);
}

/* A UDP client with one socket: the same address and port, many datagrams. */
static void datagrams_of_a_client_stay_with_one_slot(void **state)
{
    static const uint32_t weights[] = { 1, 1, 1, 1, 1 };

    (void)state;
    open_group("0.0.0.0:0", SOCKBROKER_DATAGRAM, 5);
    steer(SB_STEER_SOURCE_HASH, weights);
    for (unsigned n = 1; n <= 10; n++) {
        char from[32];

        format_text(from, sizeof(from), "127.0.4.%u", n);
        int sock = client_from(from, "127.0.0.1");
        size_t slot = slot_of_next();
        for (unsigned again = 0; again < 10; again++) {
            assert_int_equal(send(sock, "x", 1, 0), 1);
            assert_int_equal(slot_of_next(), slot);
        }
        close(sock);
    }
    sb_shard_group_close(&group);
}

/* ---- replacing the program under load ---- */

enum { LOAD = 1500 };

static void connect_all_the_time(int report)
{
    int answered = 0;

    for (unsigned n = 0; n < LOAD; n++) {
        int sock = client_to("127.0.0.1");
        char byte;

        answered += recv(sock, &byte, 1, 0) == 1;
        close(sock);
    }
    UNIT_REQUIRE(write(report, &answered, sizeof(answered)) == sizeof(answered));
}

static void answer_what_waits(void)
{
    for (size_t i = 0; i < group.as.n_slots; i++) {
        struct sb_shard_taken taken[8];
        size_t n;
        int code;

        sb_shard_group_take_queue(&group, i, false, taken, UNIT_COUNT(taken), &n, &code);
        while (n--) {
            UNIT_REQUIRE(send(taken[n].sock, "a", 1, MSG_NOSIGNAL) == 1);
            close(taken[n].sock);
        }
    }
}

static pid_t start_load(int report[2])
{
    UNIT_REQUIRE(pipe2(report, O_CLOEXEC) == 0);
    fflush(NULL);
    pid_t pid = fork();
    UNIT_REQUIRE(pid >= 0);
    if (pid == 0) {
        connect_all_the_time(report[1]);
        _exit(0);
    }
    return pid;
}

/* Serves until the child has told how many of its connections were answered. */
static void serve_load(void (*disturb)(unsigned turn))
{
    int report[2], answered = 0, status = -1;
    pid_t pid = start_load(report);

    for (unsigned turn = 0; unit_poll(report[0], POLLIN, 0) == 0; turn++) {
        disturb(turn);
        answer_what_waits();
    }
    assert_int_equal(read(report[0], &answered, sizeof(answered)), sizeof(answered));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(answered, LOAD);
    close(report[0]);
    close(report[1]);
}

static void steer_anew(unsigned turn)
{
    uint32_t weights[] = { turn & 1, turn & 2, turn & 4, turn & 8 };

    steer(SB_STEER_EVEN + turn % 3, weights);
}

static void replacing_the_program_loses_nobody(void **state)
{
    (void)state;
    open_group("127.0.0.1:0", SOCKBROKER_STREAM, 4);
    serve_load(steer_anew);
    sb_shard_group_close(&group);
}

static unsigned n_learnt;

static void learn_positions_again(unsigned turn)
{
    static const uint32_t weights[] = { 1, 1, 1, 1 };
    enum sb_shard_repaired repaired[4];

    if (turn % 8 == 0)
        steer(SB_STEER_EVEN, weights);
    sockbroker_status st = sb_shard_group_audit(&group, repaired, NULL);
    UNIT_REQUIRE(st == SOCKBROKER_OK || st == SOCKBROKER_AGAIN);
    n_learnt += st == SOCKBROKER_OK;
}

static void an_audit_loses_nobody(void **state)
{
    (void)state;
    open_group("127.0.0.1:0", SOCKBROKER_STREAM, 4);
    n_learnt = 0;
    serve_load(learn_positions_again);
    assert_true(n_learnt > 0);
    sb_shard_group_close(&group);
}

/* ---- queues outlive their worker ---- */

/* A worker that has its slot's socket and dies without having accepted anything. */
static void die_with_the_socket(void *arg)
{
    size_t *slot = arg;

    UNIT_REQUIRE(sb_listen_is_on(sb_shard_group_socket(&group, *slot)));
}

static void connect_queue(int clients[QUEUE], const char *to)
{
    for (size_t i = 0; i < QUEUE; i++)
        clients[i] = client_to(to);
}

/* How many of the clients can talk: each sends a byte that comes back. */
static unsigned n_served(const int clients[QUEUE], const struct sb_shard_taken *taken, size_t n)
{
    unsigned served = 0;
    char byte;

    for (size_t i = 0; i < QUEUE; i++)
        send(clients[i], "q", 1, MSG_NOSIGNAL);
    for (size_t i = 0; i < n; i++) {
        if (recv(taken[i].sock, &byte, 1, 0) == 1)
            send(taken[i].sock, &byte, 1, MSG_NOSIGNAL);
    }
    for (size_t i = 0; n && i < QUEUE; i++)
        served += recv(clients[i], &byte, 1, 0) == 1;
    return served;
}

static void close_clients(int clients[QUEUE], struct sb_shard_taken *taken, size_t n)
{
    for (size_t i = 0; i < QUEUE; i++)
        close(clients[i]);
    for (size_t i = 0; i < n; i++)
        sb_socket_close(&taken[i].sock);
}

static void the_queue_of_a_dead_worker_is_taken_over(void **state)
{
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(places); i++) {
        struct sb_shard_taken taken[QUEUE + 1];
        int clients[QUEUE], code;
        size_t slot = 1, n, rest;

        if (places[i].at[0] == '[' && !unit_has_ipv6())
            continue;
        open_group(places[i].at, SOCKBROKER_STREAM, 3);
        steer_to(slot);
        connect_queue(clients, places[i].to[0]);
        assert_child_succeeds(die_with_the_socket, &slot);
        steer_to(2);
        assert_int_equal(sb_shard_group_take_queue(&group, slot, true, taken, 8, &n, &code), SB_ACCEPT_OK);
        assert_int_equal(n, 8);
        assert_int_equal(sb_shard_group_take_queue(&group, slot, true, taken + 8, QUEUE, &rest, &code), SB_ACCEPT_EMPTY);
        assert_int_equal(n + rest, QUEUE);
        assert_int_equal(taken[QUEUE - 1].peer.family, strchr(places[i].to[0], ':') ? SOCKBROKER_IPV6 : SOCKBROKER_IPV4);
        assert_int_equal(n_served(clients, taken, QUEUE), QUEUE);
        close_clients(clients, taken, QUEUE);
        sb_shard_group_close(&group);
    }
}

/* The contrast: without a second holder the queue is gone with the worker. In a network of its own, where nobody has turned on
 * the migration of queues. */
static void lose_a_plain_queue(void *arg)
{
    int clients[QUEUE], n_reset = 0;
    char byte;

    (void)arg;
    UNIT_REQUIRE(unit_own_network());
    open_group("127.0.0.1:0", SOCKBROKER_STREAM, 3);
    steer_to(1);
    connect_queue(clients, "127.0.0.1");
    close(group.socks[1]); /* as a worker's death does when nobody else holds it */
    group.socks[1] = SOCKBROKER_SOCKET_NONE;
    for (size_t i = 0; i < QUEUE; i++)
        n_reset += recv(clients[i], &byte, 1, 0) < 0 && errno == ECONNRESET;
    UNIT_REQUIRE(n_reset == QUEUE);
}

static void plain_reuseport_loses_its_queue(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_child_succeeds(lose_a_plain_queue, NULL);
}

static void receive_two_and_die(void *arg)
{
    size_t *slot = arg;

    UNIT_REQUIRE(take_one(*slot) && take_one(*slot));
}

static void datagrams_wait_for_the_next_worker(void **state)
{
    size_t slot = 2;
    unsigned n = 0;

    (void)state;
    open_group("127.0.0.1:0", SOCKBROKER_DATAGRAM, 3);
    steer_to(slot);
    for (size_t i = 0; i < QUEUE; i++)
        close(client_to("127.0.0.1"));
    steer_to(0);
    assert_child_succeeds(receive_two_and_die, &slot);
    while (take_one(slot))
        n++;
    assert_int_equal(n, QUEUE - 2);
    sb_shard_group_close(&group);
}

static void a_worker_that_made_the_socket_blocking_blocks_nobody(void **state)
{
    struct sb_shard_taken taken[2];
    int code;
    size_t n;

    (void)state;
    open_group("127.0.0.1:0", SOCKBROKER_STREAM, 2);
    steer_to(1);
    int client = client_to("127.0.0.1");
    assert_status(SOCKBROKER_OK, sb_socket_set_nonblocking(sb_shard_group_socket(&group, 1), false));
    assert_int_equal(sb_shard_group_take_queue(&group, 1, false, taken, 2, &n, &code), SB_ACCEPT_EMPTY);
    assert_int_equal(n, 1);
    close(client);
    sb_socket_close(&taken[0].sock);
    shutdown(sb_shard_group_socket(&group, 1), SHUT_RDWR);
    assert_int_equal(sb_shard_group_take_queue(&group, 1, false, taken, 2, &n, &code), SB_ACCEPT_BROKEN);
    assert_int_equal(code, EINVAL);
    assert_int_equal(n, 0);
    sb_shard_group_close(&group);
}

/* ---- repair ---- */

static void assert_repairs(sockbroker_status st, struct sockbroker_error *error)
{
    if (st)
        print_error("%s\n", error->text);
    UNIT_REQUIRE(st == SOCKBROKER_OK);
}

static void repair(enum sb_shard_repaired *repaired_out)
{
    struct sockbroker_error error = { SOCKBROKER_OK, 0, "" };

    assert_repairs(sb_shard_group_repair(&group, repaired_out, &error), &error);
}

static void audit(enum sb_shard_repaired *repaired_out)
{
    struct sockbroker_error error = { SOCKBROKER_OK, 0, "" };

    assert_repairs(sb_shard_group_audit(&group, repaired_out, &error), &error);
}

static void shut_down(const char *slots)
{
    for (; *slots; slots++)
        UNIT_REQUIRE(shutdown(sb_shard_group_socket(&group, (size_t)(*slots - '0')), SHUT_RDWR) == 0);
}

static void assert_repaired(const enum sb_shard_repaired *repaired, const char *slots, enum sb_shard_repaired expected)
{
    for (size_t i = 0; i < group.as.n_slots; i++)
        UNIT_REQUIRE(repaired[i] == (i < 10 && strchr(slots, (int)('0' + i)) ? expected : SB_SHARD_AS_IT_WAS));
}

/* In the order they are written; the last ones are all of them, when the group with its program and its port is gone. */
static const char *const losses[] = { "1", "0", "4", "10", "01", "042", "4321", "12340" };

static void repair_after_losses(void *own_network)
{
    enum sb_shard_repaired repaired[5];

    if (own_network)
        UNIT_REQUIRE(unit_own_network() && unit_write_file("/proc/sys/net/ipv4/tcp_migrate_req", "1"));
    for (size_t i = 0; i < UNIT_COUNT(places); i++) {
        if (places[i].at[0] == '[' && !unit_has_ipv6())
            continue;
        for (size_t loss = 0; loss < UNIT_COUNT(losses); loss++) {
            open_group(places[i].at, SOCKBROKER_STREAM, 5);
            repair(repaired);
            assert_repaired(repaired, "", SB_SHARD_AS_IT_WAS);
            shut_down(losses[loss]);
            UNIT_REQUIRE(!sb_shard_group_is_on(&group, (size_t)(losses[loss][0] - '0')));
            repair(repaired);
            assert_repaired(repaired, losses[loss], SB_SHARD_LISTENS_AGAIN);
            assert_each_slot_is_where_it_should_be(places[i].to[0]);
            sb_shard_group_close(&group);
        }
    }
}

static void every_slot_is_found_after_shutdowns_in_any_order(void **state)
{
    (void)state;
    repair_after_losses(NULL);
}

static void the_same_where_the_kernel_migrates_queues(void **state)
{
    int yes = 1;

    (void)state;
    if (geteuid() != 0)
        skip();
    assert_child_succeeds(repair_after_losses, &yes);
}

static void a_repair_keeps_the_steering_and_the_other_queues(void **state)
{
    static const uint32_t weights[] = { 0, 3, 0, 0 };
    enum sb_shard_repaired repaired[4];
    struct sb_shard_taken taken[QUEUE + 1];
    int clients[QUEUE], code;
    unsigned got[4];
    size_t n;

    (void)state;
    open_group("127.0.0.1:0", SOCKBROKER_STREAM, 4);
    steer_to(3);
    connect_queue(clients, "127.0.0.1");
    steer(SB_STEER_WEIGHTED, weights);
    shut_down("10"); /* slot 3, with its queue, becomes number 1 of the kernel's */
    repair(repaired);
    sb_shard_group_take_queue(&group, 3, true, taken, QUEUE + 1, &n, &code);
    assert_int_equal(n, QUEUE); /* no probe among them */
    assert_int_equal(n_served(clients, taken, n), QUEUE);
    close_clients(clients, taken, n);
    count_arrivals("127.0.0.1", 30, got);
    assert_int_equal(got[1], 30);
    sb_shard_group_close(&group);
}

static void an_audit_finds_what_a_worker_has_mended_itself(void **state)
{
    enum sb_shard_repaired repaired[5];

    (void)state;
    open_group("[::1]:0", SOCKBROKER_STREAM, 5);
    shut_down("30");
    assert_status(SOCKBROKER_OK, sb_listen_again(sb_shard_group_socket(&group, 0), &group.as.addr, 1));
    assert_status(SOCKBROKER_OK, sb_listen_again(sb_shard_group_socket(&group, 3), &group.as.addr, 1));
    audit(repaired);
    assert_repaired(repaired, "", SB_SHARD_AS_IT_WAS);
    assert_each_slot_is_where_it_should_be("::1");
    sb_shard_group_close(&group);
}

static void attach_program(int sock, int what, uint32_t result)
{
    struct sock_filter code[] = { BPF_STMT(BPF_RET | BPF_K, result) };
    struct sock_fprog program = { .len = 1, .filter = code };

    UNIT_REQUIRE(setsockopt(sock, SOL_SOCKET, what, &program, sizeof(program)) == 0);
}

static void an_audit_takes_the_program_and_the_options_back(void **state)
{
    enum sb_shard_repaired repaired[3];
    unsigned got[3];
    int off = 0;

    (void)state;
    open_group("127.0.0.1:0", SOCKBROKER_STREAM, 3);
    int sock = sb_shard_group_socket(&group, 1);
    steer_to(2);
    attach_program(sock, SO_ATTACH_REUSEPORT_CBPF, 1);
    assert_int_equal(setsockopt(sock, SOL_SOCKET, SO_REUSEPORT, &off, sizeof(off)), 0);
    assert_status(SOCKBROKER_OK, sb_socket_set_nonblocking(sock, false));
    audit(repaired);
    assert_int_equal(option(sock, SOL_SOCKET, SO_REUSEPORT), 1);
    assert_true(fcntl(sock, F_GETFL) & O_NONBLOCK);
    count_arrivals("127.0.0.1", 20, got);
    assert_int_equal(got[2], 20);
    sb_shard_group_close(&group);
}

/* A program attached to a socket that is shut down keeps it from listening for ever. */
static void a_socket_that_cannot_listen_again_is_replaced(void **state)
{
    enum sb_shard_repaired repaired[3];

    (void)state;
    open_group("127.0.0.1:0", SOCKBROKER_STREAM, 3);
    shut_down("1");
    attach_program(sb_shard_group_socket(&group, 1), SO_ATTACH_REUSEPORT_CBPF, 0);
    repair(repaired);
    assert_repaired(repaired, "1", SB_SHARD_REPLACED);
    assert_each_slot_is_where_it_should_be("127.0.0.1");
    sb_shard_group_close(&group);
}

/* A filter that the broker may not replace lets the probes pass, so they are not counted. */
static void a_slot_that_does_not_answer_is_told_as_lost_and_then_replaced(void **state)
{
    enum sb_shard_repaired repaired[3];
    struct sockbroker_error error;
    unsigned got[3];
    int on = 1;

    (void)state;
    open_group("127.0.0.1:0", SOCKBROKER_DATAGRAM, 3);
    attach_program(sb_shard_group_socket(&group, 1), SO_ATTACH_FILTER, UINT32_MAX);
    assert_int_equal(setsockopt(sb_shard_group_socket(&group, 1), SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof(on)), 0);
    steer_to(1);
    assert_status(SOCKBROKER_BUSY, sb_shard_group_audit(&group, repaired, &error));
    assert_repaired(repaired, "1", SB_SHARD_LOST);
    assert_non_null(strstr(error.text, "slot 1 of 127.0.0.1:"));
    assert_int_equal(recv(sb_shard_group_socket(&group, 1), &on, 1, MSG_DONTWAIT), 0); /* a probe */
    while (recv(sb_shard_group_socket(&group, 1), &on, 1, MSG_DONTWAIT) == 0)
        continue;
    count_arrivals("127.0.0.1", 10, got);
    assert_int_equal(got[0], 10); /* the fallback */
    repair(repaired);
    assert_repaired(repaired, "1", SB_SHARD_REPLACED);
    count_arrivals("127.0.0.1", 10, got);
    assert_int_equal(got[1], 10); /* as it was told before */
    sb_shard_group_close(&group);
}

/* What a worker asked for itself: GTSM (RFC 5082). */
static void an_audit_leaves_the_least_ttl_as_it_was(void **state)
{
    enum sb_shard_repaired repaired[3];
    int ttl = 200;

    (void)state;
    if (!unit_has_ipv6())
        skip();
    open_group("[::]:0", SOCKBROKER_STREAM, 3);
    assert_int_equal(setsockopt(sb_shard_group_socket(&group, 1), IPPROTO_IP, IP_MINTTL, &ttl, sizeof(ttl)), 0);
    audit(repaired);
    assert_int_equal(option(sb_shard_group_socket(&group, 1), IPPROTO_IP, IP_MINTTL), 200);
    assert_int_equal(option(sb_shard_group_socket(&group, 2), IPPROTO_IP, IP_MINTTL), 0);
    assert_int_equal(option(sb_shard_group_socket(&group, 1), IPPROTO_IPV6, IPV6_MINHOPCOUNT), 0);
    sb_shard_group_close(&group);
}

/* ---- UDP: who connects a socket takes it out of the group ---- */

static void connect_slot(size_t slot, const char *ip)
{
    struct sockbroker_addr addr;
    struct sockaddr_storage sa;

    UNIT_REQUIRE(sockbroker_addr_parse_ip(ip, &addr, NULL) == SOCKBROKER_OK);
    addr.port = 9;
    socklen_t len = (socklen_t)sockbroker_addr_to_sockaddr(&addr, &sa);
    UNIT_REQUIRE(connect(sb_shard_group_socket(&group, slot), (struct sockaddr *)&sa, len) == 0);
}

static void disconnect_slot(size_t slot)
{
    struct sockaddr nobody = { .sa_family = AF_UNSPEC };

    UNIT_REQUIRE(connect(sb_shard_group_socket(&group, slot), &nobody, sizeof(nobody)) == 0);
}

static const char *loopback_of(const char *at)
{
    return at[0] == '[' ? "::1" : "127.0.0.1";
}

static void connected_datagram_sockets_are_replaced(void **state)
{
    enum sb_shard_repaired repaired[5];

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(places); i++) {
        if (places[i].at[0] == '[' && !unit_has_ipv6())
            continue;
        open_group(places[i].at, SOCKBROKER_DATAGRAM, 5);
        connect_slot(3, loopback_of(places[i].at));
        connect_slot(0, loopback_of(places[i].at));
        shutdown(sb_shard_group_socket(&group, 4), SHUT_RDWR); /* ENOTCONN, and done all the same */
        assert_false(sb_shard_group_is_on(&group, 3) || sb_shard_group_is_on(&group, 4));
        repair(repaired);
        assert_repaired(repaired, "034", SB_SHARD_REPLACED);
        assert_each_slot_is_where_it_should_be(places[i].to[0]);
        sb_shard_group_close(&group);
    }
}

/* Disconnected again it looks as it did before, but is not in the group; on a wildcard address it takes everything. The worker
 * still holds it after it was replaced. */
static void a_socket_that_steals_every_datagram_is_found_and_replaced(void **state)
{
    enum sb_shard_repaired repaired[5];

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(places); i++) {
        if (places[i].at[0] == '[' && !unit_has_ipv6())
            continue;
        open_group(places[i].at, SOCKBROKER_DATAGRAM, 5);
        int thief = fcntl(sb_shard_group_socket(&group, 2), F_DUPFD_CLOEXEC, 0);
        connect_slot(2, loopback_of(places[i].at));
        disconnect_slot(2);
        assert_true(sb_shard_group_is_on(&group, 2));
        audit(repaired);
        assert_repaired(repaired, "2", SB_SHARD_REPLACED);
        assert_each_slot_is_where_it_should_be(places[i].to[0]);
        close(thief);
        sb_shard_group_close(&group);
    }
}

/* ---- when trying is not possible ---- */

/* Repairs at once, but cannot learn the positions before the network is up again. */
static void be_cut_off(void *arg)
{
    struct ifreq lo = { .ifr_name = "lo" };
    enum sb_shard_repaired repaired[4];
    struct sockbroker_error error;

    (void)arg;
    UNIT_REQUIRE(unit_own_network());
    open_group("0.0.0.0:0", SOCKBROKER_STREAM, 4);
    int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    UNIT_REQUIRE(ioctl(sock, SIOCSIFFLAGS, &lo) == 0);
    shut_down("1");
    UNIT_REQUIRE(sb_shard_group_repair(&group, repaired, &error) != SOCKBROKER_OK);
    UNIT_REQUIRE(strstr(error.text, "0.0.0.0:") != NULL);
    UNIT_REQUIRE(repaired[1] == SB_SHARD_LISTENS_AGAIN);
    lo.ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING;
    UNIT_REQUIRE(ioctl(sock, SIOCSIFFLAGS, &lo) == 0);
    repair(repaired); /* nothing is off, and yet it remembers */
    assert_repaired(repaired, "", SB_SHARD_AS_IT_WAS);
    assert_each_slot_is_where_it_should_be("127.0.0.1");
}

static void positions_that_could_not_be_learnt_are_learnt_later(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_child_succeeds(be_cut_off, NULL);
}

static void without_descriptors_for_it_an_audit_changes_nothing(void **state)
{
    enum sb_shard_repaired repaired[4];
    struct sockbroker_error error;
    struct rlimit limit, low;

    (void)state;
    open_group("127.0.0.1:0", SOCKBROKER_STREAM, 4);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    low = limit;
    low.rlim_cur = (rlim_t)sb_shard_group_socket(&group, 3) + 2;
    setrlimit(RLIMIT_NOFILE, &low);
    sockbroker_status st = sb_shard_group_audit(&group, repaired, &error);
    setrlimit(RLIMIT_NOFILE, &limit);
    assert_status(SOCKBROKER_NO_DESCRIPTORS, st);
    assert_non_null(strstr(error.text, "trying the sockets on 127.0.0.1:"));
    assert_repaired(repaired, "", SB_SHARD_AS_IT_WAS);
    assert_each_slot_is_where_it_should_be("127.0.0.1");
    sb_shard_group_close(&group);
}

static void the_largest_group_works(void **state)
{
    static enum sb_shard_repaired repaired[SB_STEER_SLOTS_MAX];
    static uint32_t weights[SB_STEER_SLOTS_MAX];

    (void)state;
    open_group("127.0.0.1:0", SOCKBROKER_STREAM, SB_STEER_SLOTS_MAX);
    for (size_t i = 0; i < SB_STEER_SLOTS_MAX; i++)
        weights[i] = 1;
    shut_down("753");
    repair(repaired);
    assert_repaired(repaired, "753", SB_SHARD_LISTENS_AGAIN);
    steer(SB_STEER_SOURCE_HASH, weights);
    for (unsigned n = 1; n <= 10; n++) {
        char from[32];

        format_text(from, sizeof(from), "127.0.5.%u", n);
        assert_int_equal(slot_of_client(from, "127.0.0.1"), slot_by_plan(from, weights));
    }
    sb_shard_group_close(&group);
}

/* The rules of SOCKBROKER_FAILPOINTS are read at the first pass, so that child comes before any pass of the parent. */
int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(dual_falls_back_to_ipv4_where_the_kernel_has_no_ipv6),
        UNIT_TEST(all_members_have_one_port_and_their_order),
        UNIT_TEST(another_group_is_an_error_and_not_joined),
        UNIT_TEST(open_is_all_or_none),
        UNIT_TEST(before_it_is_steered_everything_goes_to_slot_0),
        UNIT_TEST(a_group_grows_and_stays_as_it_is_when_it_cannot),
        UNIT_TEST(weights_are_kept_by_the_kernel),
        UNIT_TEST(everything_goes_to_the_fallback_when_nobody_is_live),
        UNIT_TEST(ipv4_clients_stick_to_their_slot),
        UNIT_TEST(ipv6_clients_stick_to_their_slot),
        UNIT_TEST(datagrams_of_a_client_stay_with_one_slot),
        UNIT_TEST(replacing_the_program_loses_nobody),
        UNIT_TEST(an_audit_loses_nobody),
        UNIT_TEST(the_queue_of_a_dead_worker_is_taken_over),
        UNIT_TEST(plain_reuseport_loses_its_queue),
        UNIT_TEST(datagrams_wait_for_the_next_worker),
        UNIT_TEST(a_worker_that_made_the_socket_blocking_blocks_nobody),
        UNIT_TEST(every_slot_is_found_after_shutdowns_in_any_order),
        UNIT_TEST(the_same_where_the_kernel_migrates_queues),
        UNIT_TEST(a_repair_keeps_the_steering_and_the_other_queues),
        UNIT_TEST(an_audit_finds_what_a_worker_has_mended_itself),
        UNIT_TEST(an_audit_takes_the_program_and_the_options_back),
        UNIT_TEST(a_socket_that_cannot_listen_again_is_replaced),
        UNIT_TEST(a_slot_that_does_not_answer_is_told_as_lost_and_then_replaced),
        UNIT_TEST(an_audit_leaves_the_least_ttl_as_it_was),
        UNIT_TEST(connected_datagram_sockets_are_replaced),
        UNIT_TEST(a_socket_that_steals_every_datagram_is_found_and_replaced),
        UNIT_TEST(positions_that_could_not_be_learnt_are_learnt_later),
        UNIT_TEST(without_descriptors_for_it_an_audit_changes_nothing),
        UNIT_TEST(the_largest_group_works),
    };

    return cmocka_run_group_tests_name("shard_group", tests, NULL, NULL);
}
