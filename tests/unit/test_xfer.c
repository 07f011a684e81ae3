/* What xfer.h promises: a socket moves whole or not at all, to one reader, and whatever else comes over the pair neither
 * stays open nor goes unnoticed. Each transfer runs in one process and across two. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/ring.h"
#include "proto/socket.h"
#include "proto/thread.h"
#include "proto/xfer.h"
#include "sockbroker/addr.h"

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

/* ---- support ---- */

struct pair {
    sockbroker_socket broker, worker;
};

static void open_pair(struct pair *p)
{
    assert_status(SOCKBROKER_OK, sb_xfer_open_pair(&p->broker, &p->worker));
}

/* As on a kernel before 6.16, where the receiving end cannot forbid descriptors. */
static void open_old_pair(struct pair *p)
{
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    p->broker = ends[0];
    p->worker = ends[1];
}

static void close_pair(struct pair *p)
{
    sb_socket_close(&p->broker);
    sb_socket_close(&p->worker);
}

static bool kernel_forbids_descriptors(void)
{
    struct pair p;
    int on = 1;
    socklen_t len = sizeof(on);

    open_pair(&p);
    bool forbids = getsockopt(p.broker, SOL_SOCKET, SO_PASSRIGHTS, &on, &len) == 0 && !on;
    close_pair(&p);
    return forbids;
}

static struct sb_record record_of(uint64_t lease_id)
{
    struct sb_record r;

    memset(&r, 0, sizeof(r));
    r.info.lease_id = lease_id;
    r.info.accept_time_ns = 123456789012345u;
    r.info.socket_family = SOCKBROKER_IPV6;
    r.info.type = SOCKBROKER_STREAM;
    r.info.protocol = 6;
    r.info.nonblocking = true;
    assert_status(SOCKBROKER_OK, sockbroker_addr_parse("192.0.2.1:4711", &r.info.peer, NULL));
    assert_status(SOCKBROKER_OK, sockbroker_addr_parse("[2001:db8::1]:80", &r.info.local, NULL));
    strcpy(r.info.endpoint, "web");
    return r;
}

/* As the broker does it: one stamp for all connections of an endpoint. */
static sockbroker_status send_by(enum sb_carrier carrier, const struct pair *p, uint64_t lease_id, sockbroker_socket sock,
                                 int *os_code_out)
{
    static struct sb_stamp stamp;
    struct sb_record r = record_of(lease_id);

    return sb_xfer_send(p->broker, carrier, &r, sock, &stamp, os_code_out);
}

static sockbroker_status send_lease(const struct pair *p, uint64_t lease_id, sockbroker_socket sock)
{
    int os_code;

    return send_by(SB_CARRIER_DIRECT, p, lease_id, sock, &os_code);
}

/* Sends raw bytes with n descriptors. Returns the errno of it. */
static int send_raw(int end, const void *data, size_t len, const int *fds, size_t n)
{
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(253 * sizeof(int))];
    } control;
    struct iovec part = { (void *)(uintptr_t)data, len };
    struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 };

    if (n) {
        m.msg_control = control.room;
        m.msg_controllen = CMSG_SPACE(n * sizeof(int));
        memset(control.room, 0, m.msg_controllen);
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(n * sizeof(int));
        memcpy(CMSG_DATA(c), fds, n * sizeof(int));
    }
    return sendmsg(end, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? errno : 0;
}

static size_t pack_lease(uint64_t lease_id, uint8_t buf[SB_PACKET_MAX])
{
    struct sb_delivery d;
    size_t len = 0;

    d.kind = SB_DELIVERY_LEASE;
    d.number = lease_id;
    assert_status(SOCKBROKER_OK, sb_wire_pack_delivery(&d, buf, SB_PACKET_MAX, &len));
    return len;
}

static size_t pack_ack(uint64_t lease_id, uint8_t buf[SB_PACKET_MAX])
{
    struct sb_report r = { .n_results = 1 };
    size_t len = 0;

    r.results[0] = (struct sb_result){ lease_id, SB_VERDICT_ACK };
    assert_status(SOCKBROKER_OK, sb_wire_pack_report(&r, buf, SB_PACKET_MAX, &len));
    return len;
}

/* ---- each kind of socket, each carrier, in one process and across two ---- */

#define LEASE 0x123456789abcu

struct cargo {
    const char *name;
    const char *ip;
    enum { CONNECTED, LISTENING, UDP } kind;
};

static const struct cargo cargos[] = {
    { "TCP over IPv4", "127.0.0.1", CONNECTED },
    { "TCP over IPv6", "::1", CONNECTED },
    { "TCP over IPv4 on a dual socket", "::ffff:127.0.0.1", CONNECTED },
    { "listening, IPv4", "127.0.0.1", LISTENING },
    { "listening, IPv6", "::1", LISTENING },
    { "UDP over IPv4", "127.0.0.1", UDP },
    { "UDP over IPv6", "::1", UDP },
};

/* cargo: what is handed over. partner: what must hear "served". */
struct passage {
    struct pair pair;
    enum sb_carrier carrier;
    const struct cargo *what;
    int cargo, partner, extra;
};

static int udp_socket(int family)
{
    struct sockaddr_storage sa;
    struct sockaddr_in *v4 = (struct sockaddr_in *)&sa;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&sa;
    int sock = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    memset(&sa, 0, sizeof(sa));
    sa.ss_family = (sa_family_t)family;
    if (family == AF_INET)
        v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    else
        v6->sin6_addr = in6addr_loopback;
    assert_int_equal(bind(sock, (struct sockaddr *)&sa, family == AF_INET ? sizeof(*v4) : sizeof(*v6)), 0);
    return sock;
}

static void join_udp(int a, int b)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);

    assert_int_equal(getsockname(b, (struct sockaddr *)&sa, &len), 0);
    assert_int_equal(connect(a, (struct sockaddr *)&sa, len), 0);
}

static void load(struct passage *p)
{
    struct unit_tcp t;
    uint16_t port;
    int family = strchr(p->what->ip, ':') ? AF_INET6 : AF_INET;

    p->extra = -1;
    switch (p->what->kind) {
    case CONNECTED:
        unit_tcp_open(&t, p->what->ip);
        p->cargo = t.server;
        p->partner = t.client;
        p->extra = t.listener;
        break;
    case LISTENING:
        p->cargo = unit_tcp_listen(p->what->ip, &port);
        p->partner = unit_tcp_connect(p->what->ip, port);
        break;
    case UDP:
        p->cargo = udp_socket(family);
        p->partner = udp_socket(family);
        join_udp(p->cargo, p->partner);
        break;
    }
}

/* The worker's part. It also runs in a child, hence UNIT_REQUIRE. */
static void serve(void *arg)
{
    struct passage *p = arg;
    struct sb_record sent = record_of(LEASE);
    struct sb_report report = { .n_results = 1 };
    struct sb_delivery d;
    sockbroker_socket got = SOCKBROKER_SOCKET_NONE;
    int conn = -1;

    memset(&d, 0, sizeof(d));
    UNIT_REQUIRE(unit_wait_readable(p->pair.worker));
    UNIT_REQUIRE(sb_xfer_receive(p->pair.worker, &d, &got) == SOCKBROKER_OK);
    UNIT_REQUIRE(d.kind == (p->carrier == SB_CARRIER_DIRECT ? SB_DELIVERY_INFO : SB_DELIVERY_LEASE));
    UNIT_REQUIRE(d.number == LEASE);
    if (p->carrier == SB_CARRIER_DIRECT)
        UNIT_REQUIRE(memcmp(&d.record.info, &sent.info, sizeof(sent.info)) == 0);
    UNIT_REQUIRE(fcntl(got, F_GETFD) & FD_CLOEXEC);
    if (p->what->kind == LISTENING) {
        UNIT_REQUIRE(unit_wait_readable(got));
        conn = accept(got, NULL, NULL);
    }
    UNIT_REQUIRE(send(conn >= 0 ? conn : got, "served", 6, MSG_NOSIGNAL) == 6);
    if (conn >= 0)
        close(conn);
    sb_socket_close(&got);
    report.results[0] = (struct sb_result){ LEASE, SB_VERDICT_ACK };
    UNIT_REQUIRE(sb_xfer_send_report(p->pair.worker, &report) == SOCKBROKER_OK);
}

static void serve_in_child(void *arg)
{
    struct passage *p = arg;

    sb_socket_close(&p->pair.broker);
    close(p->partner);
    serve(p);
}

static void pass(struct passage *p, bool across)
{
    struct sb_report report;
    char heard[8] = "";
    int os_code = 0;

    open_pair(&p->pair);
    load(p);
    assert_status(SOCKBROKER_OK, send_by(p->carrier, &p->pair, LEASE, p->cargo, &os_code));
    close(p->cargo); /* what is in flight lives */
    if (across)
        assert_child_succeeds(serve_in_child, p);
    else
        serve(p);
    assert_true(unit_wait_readable(p->partner));
    assert_int_equal(recv(p->partner, heard, sizeof(heard), 0), 6);
    assert_string_equal(heard, "served");
    assert_status(SOCKBROKER_OK, sb_xfer_receive_report(p->pair.broker, &report, NULL));
    assert_int_equal(report.n_results, 1);
    assert_int_equal(report.results[0].lease_id, LEASE);
    assert_int_equal(report.results[0].verdict, SB_VERDICT_ACK);
    assert_status(SOCKBROKER_AGAIN, sb_xfer_receive_report(p->pair.broker, &report, NULL));
    close(p->partner);
    if (p->extra >= 0)
        close(p->extra);
    close_pair(&p->pair);
}

static void pass_all(bool across)
{
    static const enum sb_carrier carriers[] = { SB_CARRIER_DIRECT, SB_CARRIER_MESSAGE };

    for (size_t i = 0; i < UNIT_COUNT(cargos); i++) {
        if (strchr(cargos[i].ip, ':') && !unit_has_ipv6())
            continue;
        for (size_t c = 0; c < UNIT_COUNT(carriers); c++) {
            struct passage p = { .what = &cargos[i], .carrier = carriers[c] };

            pass(&p, across);
        }
    }
}

static void every_socket_moves_within_one_process(void **state)
{
    (void)state;
    pass_all(false);
}

static void every_socket_moves_across_two_processes(void **state)
{
    (void)state;
    pass_all(true);
}

static void pair_does_not_block_and_is_closed_by_exec(void **state)
{
    struct pair p;
    struct sb_delivery d;
    struct sb_report report;
    sockbroker_socket sock = SOCKBROKER_SOCKET_NONE;
    uint64_t lease_id;

    (void)state;
    open_pair(&p);
    assert_true(fcntl(p.broker, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(p.worker, F_GETFD) & FD_CLOEXEC);
    assert_status(SOCKBROKER_AGAIN, sb_xfer_receive(p.worker, &d, &sock));
    assert_status(SOCKBROKER_AGAIN, sb_xfer_receive_report(p.broker, &report, NULL));
    assert_status(SOCKBROKER_AGAIN, sb_xfer_withdraw(p.worker, &lease_id));
    sb_socket_set_nonblocking(p.worker, false); /* a worker may do that; the duplicates share it */
    sb_socket_set_nonblocking(p.broker, false);
    assert_status(SOCKBROKER_AGAIN, sb_xfer_receive(p.worker, &d, &sock));
    assert_status(SOCKBROKER_AGAIN, sb_xfer_receive_report(p.broker, &report, NULL));
    assert_status(SOCKBROKER_AGAIN, sb_xfer_withdraw(p.worker, &lease_id));
    assert_int_equal(sock, SOCKBROKER_SOCKET_NONE);
    close_pair(&p);
}

static void probe_comes_without_a_socket(void **state)
{
    static const uint64_t numbers[] = { 1, 77, UINT64_MAX };
    struct pair p;

    (void)state;
    open_pair(&p);
    for (size_t i = 0; i < UNIT_COUNT(numbers); i++) {
        struct sb_report report = { .n_results = 0, .probe = numbers[i] };
        struct sb_report heard;
        struct sb_delivery d;
        sockbroker_socket sock = 12345;

        assert_status(SOCKBROKER_OK, sb_xfer_send_probe(p.broker, numbers[i]));
        assert_status(SOCKBROKER_OK, sb_xfer_receive(p.worker, &d, &sock));
        assert_int_equal(d.kind, SB_DELIVERY_PROBE);
        assert_true(d.number == numbers[i]);
        assert_int_equal(sock, SOCKBROKER_SOCKET_NONE);
        assert_status(SOCKBROKER_OK, sb_xfer_send_report(p.worker, &report));
        assert_status(SOCKBROKER_OK, sb_xfer_receive_report(p.broker, &heard, NULL));
        assert_true(heard.probe == numbers[i] && heard.n_results == 0);
    }
    close_pair(&p);
}

static void ring_comes_with_its_memory(void **state)
{
    struct pair p;
    struct sb_ring ring = SB_RING_NONE;
    struct sb_delivery d;
    sockbroker_socket memory = SOCKBROKER_SOCKET_NONE;
    uint64_t lease_id = 99;

    (void)state;
    open_pair(&p);
    assert_status(SOCKBROKER_OK, sb_ring_create(&ring, &memory));
    assert_status(SOCKBROKER_OK, sb_xfer_send_ring(p.broker, memory));
    assert_status(SOCKBROKER_OK, sb_xfer_send_ring(p.broker, memory));
    sb_ring_close(&ring);
    sb_socket_close(&memory);
    assert_status(SOCKBROKER_OK, sb_xfer_receive(p.worker, &d, &memory));
    assert_int_equal(d.kind, SB_DELIVERY_RING);
    assert_true(d.number == SB_RING_BYTES);
    assert_status(SOCKBROKER_OK, sb_ring_open(memory, &ring));
    sb_ring_close(&ring);
    sb_socket_close(&memory);
    assert_status(SOCKBROKER_OK, sb_xfer_withdraw(p.worker, &lease_id));
    assert_int_equal(lease_id, 0);
    close_pair(&p);
}

static void wait_in_thread(void *arg)
{
    struct sb_delivery d;
    sockbroker_socket sock = SOCKBROKER_SOCKET_NONE;

    UNIT_REQUIRE(sb_xfer_wait(*(int *)arg, &d, &sock) == SOCKBROKER_CLOSED);
}

static void all_who_wait_are_woken_and_nothing_is_lost(void **state)
{
    struct pair p;
    struct sb_thread *threads[3];
    struct sb_report report = { .n_results = 0, .probe = 1 };
    struct sb_report heard;
    struct sb_delivery d;
    sockbroker_socket sock;

    (void)state;
    open_pair(&p);
    for (size_t i = 0; i < UNIT_COUNT(threads); i++)
        assert_status(SOCKBROKER_OK, sb_thread_create(wait_in_thread, &p.worker, &threads[i]));
    sb_xfer_stop_waiting(p.worker);
    for (size_t i = 0; i < UNIT_COUNT(threads); i++)
        sb_thread_join(threads[i]);
    assert_status(SOCKBROKER_CLOSED, sb_xfer_send_probe(p.broker, 1));
    assert_status(SOCKBROKER_OK, sb_xfer_send_report(p.worker, &report)); /* the other way is still open */
    assert_status(SOCKBROKER_OK, sb_xfer_receive_report(p.broker, &heard, NULL));
    close_pair(&p);

    open_pair(&p);
    assert_status(SOCKBROKER_OK, sb_xfer_send_probe(p.broker, 5));
    sb_xfer_stop_waiting(p.worker);
    assert_status(SOCKBROKER_OK, sb_xfer_wait(p.worker, &d, &sock));
    assert_int_equal(d.number, 5);
    assert_status(SOCKBROKER_CLOSED, sb_xfer_wait(p.worker, &d, &sock));
    close_pair(&p);
}

/* ---- withdrawal ---- */

static void take_leases(int worker_end, uint64_t first, uint64_t n)
{
    for (uint64_t i = first; i < first + n; i++) {
        struct sb_delivery d;
        sockbroker_socket sock = SOCKBROKER_SOCKET_NONE;

        UNIT_REQUIRE(sb_xfer_receive(worker_end, &d, &sock) == SOCKBROKER_OK);
        UNIT_REQUIRE(d.number == i);
        sb_socket_close(&sock);
    }
}

static void take_three(void *arg)
{
    take_leases(*(int *)arg, 1, 3);
}

static void take_three_and_die(void *arg)
{
    take_three(arg);
    raise(SIGKILL);
}

static void take_three_and_stop(void *arg)
{
    take_three(arg);
    raise(SIGSTOP);
}

static void send_ten(struct pair *p, int pipe_end)
{
    open_pair(p);
    for (uint64_t i = 1; i <= 10; i++)
        assert_status(SOCKBROKER_OK, send_lease(p, i, pipe_end));
}

static void withdraw_seven(const struct pair *p)
{
    uint64_t lease_id = 0;

    for (uint64_t i = 4; i <= 10; i++) {
        assert_status(SOCKBROKER_OK, sb_xfer_withdraw(p->worker, &lease_id));
        assert_int_equal(lease_id, i);
    }
    assert_status(SOCKBROKER_AGAIN, sb_xfer_withdraw(p->worker, &lease_id));
    assert_int_equal(lease_id, 10); /* written on OK only */
}

static bool is_end_of_pipe(int pipe_end)
{
    char byte;

    return read(pipe_end, &byte, 1) == 0; /* every writer is closed */
}

static void withdraw_after(void (*run)(void *), int wait_status)
{
    struct pair p;
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    send_ten(&p, ends[1]);
    if (run)
        assert_int_equal(unit_in_child(run, &p.worker), wait_status);
    else
        take_leases(p.worker, 1, 3);
    withdraw_seven(&p);
    close(ends[1]);
    assert_true(is_end_of_pipe(ends[0])); /* no descriptor is left in the pair */
    close(ends[0]);
    close_pair(&p);
}

static void what_was_not_read_comes_back_in_order(void **state)
{
    (void)state;
    withdraw_after(NULL, 0);
}

static void what_a_killed_worker_has_not_read_comes_back(void **state)
{
    (void)state;
    withdraw_after(take_three_and_die, SIGKILL);
}

static void what_a_stopped_worker_has_not_read_comes_back(void **state)
{
    struct pair p;
    int ends[2], status;

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    send_ten(&p, ends[1]);
    pid_t pid = fork();
    if (pid == 0) {
        take_three_and_stop(&p.worker);
        struct sb_delivery d; /* woken: nothing is there for it any more */
        sockbroker_socket sock = SOCKBROKER_SOCKET_NONE;
        UNIT_REQUIRE(sb_xfer_receive(p.worker, &d, &sock) == SOCKBROKER_AGAIN);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    assert_true(WIFSTOPPED(status));
    withdraw_seven(&p);
    kill(pid, SIGCONT);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    close(ends[0]);
    close(ends[1]);
    close_pair(&p);
}

static void a_probe_is_withdrawn_as_number_0(void **state)
{
    struct pair p;
    uint64_t lease_id = 99;

    (void)state;
    open_pair(&p);
    assert_status(SOCKBROKER_OK, sb_xfer_send_probe(p.broker, 5));
    assert_status(SOCKBROKER_OK, sb_xfer_withdraw(p.worker, &lease_id));
    assert_int_equal(lease_id, 0);
    close_pair(&p);
}

static void both_carriers_are_withdrawn_by_lease_id(void **state)
{
    struct pair p;
    uint64_t lease_id = 0;
    int os_code;

    (void)state;
    open_pair(&p);
    assert_status(SOCKBROKER_OK, send_by(SB_CARRIER_DIRECT, &p, 8, p.worker, &os_code));
    assert_status(SOCKBROKER_OK, send_by(SB_CARRIER_MESSAGE, &p, 9, p.worker, &os_code));
    assert_status(SOCKBROKER_OK, sb_xfer_withdraw(p.worker, &lease_id));
    assert_int_equal(lease_id, 8);
    assert_status(SOCKBROKER_OK, sb_xfer_withdraw(p.worker, &lease_id));
    assert_int_equal(lease_id, 9);
    close_pair(&p);
}

/* A worker may shut its own end down; what was sent before is still to be had. */
static void a_worker_that_shuts_its_end_down_hides_nothing(void **state)
{
    struct pair p;
    uint64_t lease_id = 0;

    (void)state;
    open_pair(&p);
    assert_status(SOCKBROKER_OK, send_lease(&p, 5, p.broker));
    shutdown(p.worker, SHUT_RDWR);
    assert_status(SOCKBROKER_CLOSED, send_lease(&p, 6, p.broker));
    assert_status(SOCKBROKER_OK, sb_xfer_withdraw(p.worker, &lease_id));
    assert_int_equal(lease_id, 5);
    assert_status(SOCKBROKER_AGAIN, sb_xfer_withdraw(p.worker, &lease_id));
    close_pair(&p);
}

/* ---- full and closed ---- */

static void a_full_pair_says_again_and_has_lost_nothing(void **state)
{
    struct pair p;
    uint64_t n_sent = 0;
    uint64_t lease_id = 0;
    struct sb_report report = { .probe = 1 };
    sockbroker_status st;

    (void)state;
    open_pair(&p);
    while ((st = send_lease(&p, n_sent + 1, p.broker)) == SOCKBROKER_OK)
        n_sent++;
    assert_status(SOCKBROKER_AGAIN, st);
    assert_status(SOCKBROKER_AGAIN, sb_xfer_send_probe(p.broker, 1));
    assert_true(n_sent >= 16); /* the default window */
    for (uint64_t i = 1; i <= n_sent; i++) {
        assert_status(SOCKBROKER_OK, sb_xfer_withdraw(p.worker, &lease_id));
        assert_int_equal(lease_id, i);
    }
    assert_status(SOCKBROKER_AGAIN, sb_xfer_withdraw(p.worker, &lease_id));
    assert_status(SOCKBROKER_OK, send_lease(&p, 1, p.broker));
    while ((st = sb_xfer_send_report(p.worker, &report)) == SOCKBROKER_OK)
        ;
    assert_status(SOCKBROKER_AGAIN, st);
    close_pair(&p);
}

static void a_worker_hears_closed_after_what_was_sent(void **state)
{
    struct pair p;
    struct sb_delivery d;
    struct sb_report report = { .probe = 1 };
    sockbroker_socket sock = SOCKBROKER_SOCKET_NONE;

    (void)state;
    open_pair(&p);
    assert_status(SOCKBROKER_OK, send_lease(&p, 1, STDERR_FILENO));
    assert_status(SOCKBROKER_OK, send_lease(&p, 2, STDERR_FILENO));
    sb_socket_close(&p.broker);
    for (uint64_t i = 1; i <= 2; i++) {
        assert_status(SOCKBROKER_OK, sb_xfer_receive(p.worker, &d, &sock));
        assert_int_equal(d.number, i);
        sb_socket_close(&sock);
    }
    assert_status(SOCKBROKER_CLOSED, sb_xfer_receive(p.worker, &d, &sock));
    assert_status(SOCKBROKER_CLOSED, sb_xfer_send_report(p.worker, &report));
    close_pair(&p);
}

static void the_broker_hears_closed_after_what_was_reported(void **state)
{
    struct pair p;
    struct sb_report report = { .probe = 7 };
    struct sb_report heard;

    (void)state;
    open_pair(&p);
    assert_status(SOCKBROKER_OK, sb_xfer_send_report(p.worker, &report));
    sb_socket_close(&p.worker);
    assert_status(SOCKBROKER_OK, sb_xfer_receive_report(p.broker, &heard, NULL));
    assert_int_equal(heard.probe, 7);
    assert_status(SOCKBROKER_CLOSED, sb_xfer_receive_report(p.broker, &heard, NULL));
    assert_status(SOCKBROKER_CLOSED, send_lease(&p, 1, STDERR_FILENO));
    assert_status(SOCKBROKER_CLOSED, sb_xfer_send_probe(p.broker, 1));
    close_pair(&p);
}

/* A worker that ends with packets unread makes the next receive fail with ECONNRESET, once. */
static void a_worker_that_left_packets_unread_is_closed_too(void **state)
{
    struct pair p;
    struct sb_report heard;

    (void)state;
    open_pair(&p);
    assert_status(SOCKBROKER_OK, send_lease(&p, 1, STDERR_FILENO));
    sb_socket_close(&p.worker);
    assert_status(SOCKBROKER_CLOSED, sb_xfer_receive_report(p.broker, &heard, NULL));
    assert_status(SOCKBROKER_CLOSED, sb_xfer_receive_report(p.broker, &heard, NULL));
    close_pair(&p);
}

/* A broker that was killed with reports unread: the same, and the connections that it had sent must not be lost. */
static void a_broker_that_left_reports_unread_takes_nothing_with_it(void **state)
{
    struct pair p;
    struct sb_delivery d;
    struct sb_report report = { .probe = 1 };
    sockbroker_socket sock = SOCKBROKER_SOCKET_NONE;

    (void)state;
    open_pair(&p);
    assert_status(SOCKBROKER_OK, send_lease(&p, 1, STDERR_FILENO));
    assert_status(SOCKBROKER_OK, send_lease(&p, 2, STDERR_FILENO));
    assert_status(SOCKBROKER_OK, sb_xfer_send_report(p.worker, &report));
    sb_socket_close(&p.broker);
    assert_status(SOCKBROKER_OK, sb_xfer_wait(p.worker, &d, &sock));
    assert_int_equal(d.number, 1);
    sb_socket_close(&sock);
    assert_status(SOCKBROKER_OK, sb_xfer_receive(p.worker, &d, &sock));
    assert_int_equal(d.number, 2);
    sb_socket_close(&sock);
    assert_status(SOCKBROKER_CLOSED, sb_xfer_receive(p.worker, &d, &sock));
    close_pair(&p);
}

/* ---- no descriptor left ---- */

static rlim_t limit_descriptors_to(rlim_t n)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = n;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    return before;
}

static void a_receiver_at_its_limit_says_which_lease(void **state)
{
    static const enum sb_carrier carriers[] = { SB_CARRIER_DIRECT, SB_CARRIER_MESSAGE };
    struct pair p;

    (void)state;
    open_pair(&p);
    for (size_t i = 0; i < UNIT_COUNT(carriers); i++) {
        struct sb_delivery d;
        sockbroker_socket sock = SOCKBROKER_SOCKET_NONE;
        int ends[2], os_code;

        assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
        assert_status(SOCKBROKER_OK, send_by(carriers[i], &p, LEASE + i, ends[1], &os_code));
        assert_status(SOCKBROKER_OK, sb_xfer_send_probe(p.broker, 3));
        close(ends[1]);
        int n_before = unit_count_descriptors();
        rlim_t limit = limit_descriptors_to(3);
        sockbroker_status st = sb_xfer_receive(p.worker, &d, &sock);
        limit_descriptors_to(limit);
        assert_status(SOCKBROKER_NO_DESCRIPTORS, st);
        assert_int_equal(d.number, LEASE + i);
        assert_int_equal(sock, SOCKBROKER_SOCKET_NONE);
        assert_int_equal(unit_count_descriptors(), n_before);
        assert_true(is_end_of_pipe(ends[0]));                               /* it did not stay in the pair either */
        assert_status(SOCKBROKER_OK, sb_xfer_receive(p.worker, &d, &sock)); /* the next packet is whole */
        assert_int_equal(d.kind, SB_DELIVERY_PROBE);
        close(ends[0]);
    }
    close_pair(&p);
}

static void withdrawing_needs_no_descriptor(void **state)
{
    struct pair p;
    uint64_t lease_id = 0;

    (void)state;
    open_pair(&p);
    assert_status(SOCKBROKER_OK, send_lease(&p, 6, STDERR_FILENO));
    rlim_t limit = limit_descriptors_to(3);
    sockbroker_status st = sb_xfer_withdraw(p.worker, &lease_id);
    limit_descriptors_to(limit);
    assert_status(SOCKBROKER_OK, st);
    assert_int_equal(lease_id, 6);
    close_pair(&p);
}

/* ---- descriptors where none belong ---- */

enum passenger_kind { PASS_FILE, PASS_PIPE, PASS_EPOLL, PASS_TCP, PASS_UDP, PASS_PAIR, N_PASSENGER_KINDS };

struct passengers {
    int fds[N_PASSENGER_KINDS];
    int pipe_reader;
    struct pair pair;
};

static void open_passengers(struct passengers *p)
{
    int ends[2];
    uint16_t port;

    open_old_pair(&p->pair);
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    p->pipe_reader = ends[0];
    p->fds[PASS_FILE] = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    p->fds[PASS_PIPE] = ends[1];
    p->fds[PASS_EPOLL] = epoll_create1(EPOLL_CLOEXEC);
    p->fds[PASS_TCP] = unit_tcp_listen("127.0.0.1", &port);
    p->fds[PASS_UDP] = udp_socket(AF_INET);
    p->fds[PASS_PAIR] = p->pair.broker; /* the pair through itself: the kernel's collector must break the ring */
}

static void close_passengers(struct passengers *p)
{
    for (size_t i = 0; i < PASS_PAIR; i++)
        close(p->fds[i]);
    assert_true(is_end_of_pipe(p->pipe_reader)); /* no copy is left anywhere */
    close(p->pipe_reader);
    close_pair(&p->pair);
}

static void a_worker_that_sends_a_descriptor_is_stopped_by_the_kernel(void **state)
{
    struct passengers s;
    struct sb_report heard;
    struct pair p;
    uint8_t buf[SB_PACKET_MAX];
    size_t len = pack_ack(1, buf);
    int os_code = 0;

    (void)state;
    if (!kernel_forbids_descriptors())
        skip(); /* before Linux 6.16; the next test is what happens there */
    open_pair(&p);
    open_passengers(&s);
    for (size_t i = 0; i < N_PASSENGER_KINDS; i++) {
        assert_status(SOCKBROKER_PERMISSION, sb_xfer_send_packet(p.worker, buf, len, s.fds[i], &os_code));
        assert_int_equal(os_code, EPERM);
    }
    assert_status(SOCKBROKER_AGAIN, sb_xfer_receive_report(p.broker, &heard, NULL));
    close_passengers(&s);
    close_pair(&p);
}

static void many_of(int fd, int *fds, size_t n)
{
    for (size_t i = 0; i < n; i++)
        fds[i] = fd;
}

static const size_t crowds[] = { 1, 2, 3, 16, 253 }; /* SCM_MAX_FD is 253: unix(7) */

static void descriptors_in_a_report_are_refused_and_closed(void **state)
{
    struct passengers s;
    struct sb_report heard;
    uint8_t buf[SB_PACKET_MAX];
    size_t len = pack_ack(1, buf);
    int fds[253];

    (void)state;
    open_passengers(&s);
    for (size_t i = 0; i < N_PASSENGER_KINDS; i++) {
        for (size_t k = 0; k < UNIT_COUNT(crowds); k++) {
            struct sockbroker_error error;
            int n_before = unit_count_descriptors();

            many_of(s.fds[i], fds, crowds[k]);
            assert_int_equal(send_raw(s.pair.worker, buf, len, fds, crowds[k]), 0);
            assert_status(SOCKBROKER_BAD_MESSAGE, sb_xfer_receive_report(s.pair.broker, &heard, &error));
            assert_int_equal(error.status, SOCKBROKER_BAD_MESSAGE);
            assert_non_null(strstr(error.text, "descriptor"));
            assert_int_equal(unit_count_descriptors(), n_before);
        }
    }
    close_passengers(&s);
}

static void descriptors_in_a_report_are_refused_also_at_the_limit(void **state)
{
    struct passengers s;
    struct sb_report heard;
    uint8_t buf[SB_PACKET_MAX];
    size_t len = pack_ack(1, buf);
    int fds[253];

    (void)state;
    open_passengers(&s);
    for (size_t k = 0; k < UNIT_COUNT(crowds); k++) {
        int n_before = unit_count_descriptors();

        many_of(s.fds[PASS_PIPE], fds, crowds[k]);
        assert_int_equal(send_raw(s.pair.worker, buf, len, fds, crowds[k]), 0);
        rlim_t limit = limit_descriptors_to(3);
        sockbroker_status st = sb_xfer_receive_report(s.pair.broker, &heard, NULL);
        limit_descriptors_to(limit);
        assert_status(SOCKBROKER_BAD_MESSAGE, st);
        assert_int_equal(unit_count_descriptors(), n_before);
    }
    close_passengers(&s);
}

static void a_delivery_with_more_than_one_descriptor_is_refused_and_all_are_closed(void **state)
{
    struct passengers s;
    uint8_t buf[SB_PACKET_MAX];
    size_t len = pack_lease(1, buf);
    int fds[253];

    (void)state;
    open_passengers(&s);
    for (size_t i = 0; i < PASS_PAIR; i++) {
        for (size_t k = 1; k < UNIT_COUNT(crowds); k++) {
            struct sb_delivery d;
            sockbroker_socket sock = SOCKBROKER_SOCKET_NONE;
            int n_before = unit_count_descriptors();

            many_of(s.fds[i], fds, crowds[k]);
            assert_int_equal(send_raw(s.pair.broker, buf, len, fds, crowds[k]), 0);
            assert_status(SOCKBROKER_BAD_MESSAGE, sb_xfer_receive(s.pair.worker, &d, &sock));
            assert_int_equal(sock, SOCKBROKER_SOCKET_NONE);
            assert_int_equal(unit_count_descriptors(), n_before);
        }
    }
    close_passengers(&s);
}

static void withdrawing_a_crowd_leaves_nothing_open(void **state)
{
    struct passengers s;
    uint8_t buf[SB_PACKET_MAX];
    size_t len = pack_lease(42, buf);
    int fds[253];

    (void)state;
    open_passengers(&s);
    for (size_t k = 0; k < UNIT_COUNT(crowds); k++) {
        int n_before = unit_count_descriptors();
        uint64_t lease_id = 0;

        many_of(s.fds[PASS_PIPE], fds, crowds[k]);
        assert_int_equal(send_raw(s.pair.broker, buf, len, fds, crowds[k]), 0);
        assert_status(SOCKBROKER_OK, sb_xfer_withdraw(s.pair.worker, &lease_id));
        assert_int_equal(lease_id, 42);
        assert_int_equal(unit_count_descriptors(), n_before);
    }
    close_passengers(&s);
}

/* What the descriptor is of is not the carrier's business. */
static void any_single_descriptor_arrives(void **state)
{
    struct passengers s;

    (void)state;
    open_passengers(&s);
    for (size_t i = 0; i < N_PASSENGER_KINDS; i++) {
        struct sb_delivery d;
        sockbroker_socket sock = SOCKBROKER_SOCKET_NONE;

        assert_status(SOCKBROKER_OK, send_lease(&s.pair, i + 1, s.fds[i]));
        assert_status(SOCKBROKER_OK, sb_xfer_receive(s.pair.worker, &d, &sock));
        assert_true(sock >= 0);
        sb_socket_close(&sock);
    }
    close_passengers(&s);
}

static void a_socket_that_should_come_and_does_not_is_named(void **state)
{
    struct pair p;
    struct sb_delivery d;
    sockbroker_socket sock = SOCKBROKER_SOCKET_NONE;
    uint8_t buf[SB_PACKET_MAX];
    size_t len = pack_lease(31, buf);

    (void)state;
    open_pair(&p);
    assert_int_equal(send_raw(p.broker, buf, len, NULL, 0), 0);
    assert_status(SOCKBROKER_NO_DESCRIPTORS, sb_xfer_receive(p.worker, &d, &sock));
    assert_int_equal(d.number, 31);
    assert_int_equal(sock, SOCKBROKER_SOCKET_NONE);
    close_pair(&p);
}

static void a_probe_with_a_descriptor_is_refused_and_it_is_closed(void **state)
{
    struct pair p;
    struct sb_delivery d = { .kind = SB_DELIVERY_PROBE, .number = 4 };
    sockbroker_socket sock = SOCKBROKER_SOCKET_NONE;
    uint8_t buf[SB_PACKET_MAX];
    size_t len = 0;
    int os_code;

    (void)state;
    open_pair(&p);
    assert_status(SOCKBROKER_OK, sb_wire_pack_delivery(&d, buf, sizeof(buf), &len));
    assert_status(SOCKBROKER_OK, sb_xfer_send_packet(p.broker, buf, len, STDERR_FILENO, &os_code));
    assert_status(SOCKBROKER_BAD_MESSAGE, sb_xfer_receive(p.worker, &d, &sock));
    assert_int_equal(sock, SOCKBROKER_SOCKET_NONE);
    close_pair(&p);
}

/* ---- sizes ---- */

static void packets_fit_up_to_the_limit_and_not_a_byte_more(void **state)
{
    static const uint8_t zeros[SB_PACKET_MAX + 4096];
    static const struct {
        size_t len;
        sockbroker_status expected;
    } rows[] = {
        { 1, SOCKBROKER_OK },
        { SB_PACKET_MAX - 1, SOCKBROKER_OK },
        { SB_PACKET_MAX, SOCKBROKER_OK },
        { SB_PACKET_MAX + 1, SOCKBROKER_BAD_MESSAGE },
        { SB_PACKET_MAX + 4096, SOCKBROKER_BAD_MESSAGE },
    };
    struct pair p;

    (void)state;
    open_old_pair(&p);
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        for (int with = 0; with <= 1; with++) {
            uint8_t buf[SB_PACKET_MAX];
            size_t len = 12345;
            sockbroker_socket sock = SOCKBROKER_SOCKET_NONE;
            int fd = STDERR_FILENO;

            assert_int_equal(send_raw(p.broker, zeros, rows[i].len, &fd, (size_t)with), 0);
            assert_status(rows[i].expected, sb_xfer_receive_packet(p.worker, buf, sizeof(buf), &len, &sock));
            if (!rows[i].expected)
                assert_int_equal(len, rows[i].len);
            assert_int_equal(sock >= 0, !rows[i].expected && with);
            sb_socket_close(&sock);
        }
    }
    close_pair(&p);
}

static void oversize_reports_and_deliveries_are_refused(void **state)
{
    static const uint8_t zeros[SB_PACKET_MAX + 1];
    struct pair p;
    struct sb_report heard;
    struct sb_delivery d;
    struct sockbroker_error error;
    sockbroker_socket sock = SOCKBROKER_SOCKET_NONE;
    uint64_t lease_id;

    (void)state;
    open_pair(&p);
    assert_int_equal(send_raw(p.worker, zeros, sizeof(zeros), NULL, 0), 0);
    assert_status(SOCKBROKER_BAD_MESSAGE, sb_xfer_receive_report(p.broker, &heard, &error));
    assert_non_null(strstr(error.text, "2048"));
    assert_int_equal(send_raw(p.broker, zeros, sizeof(zeros), NULL, 0), 0);
    assert_status(SOCKBROKER_BAD_MESSAGE, sb_xfer_receive(p.worker, &d, &sock));
    assert_int_equal(send_raw(p.broker, zeros, sizeof(zeros), NULL, 0), 0);
    assert_status(SOCKBROKER_BAD_MESSAGE, sb_xfer_withdraw(p.worker, &lease_id));
    close_pair(&p);
}

static void an_empty_packet_is_the_end_and_with_a_descriptor_it_is_refused(void **state)
{
    struct pair p;
    struct sb_report heard;
    struct sb_delivery d;
    sockbroker_socket sock = SOCKBROKER_SOCKET_NONE;
    int fds[2] = { STDERR_FILENO, STDERR_FILENO };

    (void)state;
    open_old_pair(&p);
    assert_int_equal(send_raw(p.worker, "", 0, NULL, 0), 0);
    assert_status(SOCKBROKER_CLOSED, sb_xfer_receive_report(p.broker, &heard, NULL));
    assert_int_equal(send_raw(p.broker, "", 0, NULL, 0), 0);
    assert_status(SOCKBROKER_CLOSED, sb_xfer_receive(p.worker, &d, &sock));
    for (size_t n = 1; n <= 2; n++) {
        assert_int_equal(send_raw(p.worker, "", 0, fds, n), 0);
        assert_status(SOCKBROKER_BAD_MESSAGE, sb_xfer_receive_report(p.broker, &heard, NULL));
        assert_int_equal(send_raw(p.broker, "", 0, fds, n), 0);
        assert_status(SOCKBROKER_BAD_MESSAGE, sb_xfer_receive(p.worker, &d, &sock));
    }
    assert_int_equal(sock, SOCKBROKER_SOCKET_NONE);
    close_pair(&p);
}

/* Garbage must be told from an accident: the sizes of the valid ones, off by one, and bytes that say nothing. */
static void bytes_that_are_no_message_are_refused(void **state)
{
    uint8_t ack[SB_PACKET_MAX], lease[SB_PACKET_MAX];
    size_t ack_len = pack_ack(300, ack), lease_len = pack_lease(300, lease);
    struct pair p;

    (void)state;
    open_old_pair(&p);
    for (size_t cut = 1; cut < ack_len; cut++) {
        struct sb_report heard;

        assert_int_equal(send_raw(p.worker, ack, ack_len - cut, NULL, 0), 0);
        assert_status(SOCKBROKER_BAD_MESSAGE, sb_xfer_receive_report(p.broker, &heard, NULL));
    }
    for (size_t cut = 1; cut < lease_len; cut++) {
        struct sb_delivery d;
        sockbroker_socket sock = SOCKBROKER_SOCKET_NONE;
        int fd = STDERR_FILENO;

        assert_int_equal(send_raw(p.broker, lease, lease_len - cut, &fd, 1), 0);
        sockbroker_status st = sb_xfer_receive(p.worker, &d, &sock);
        assert_true(st == SOCKBROKER_BAD_MESSAGE || (st == SOCKBROKER_OK && d.number != 300)); /* a shorter number */
        sb_socket_close(&sock);
    }
    close_pair(&p);
}

static void a_closed_or_foreign_descriptor_is_reported_and_nothing_moves(void **state)
{
    struct pair p;
    struct sb_delivery d;
    sockbroker_socket sock = SOCKBROKER_SOCKET_NONE;
    int os_code = 0;

    (void)state;
    open_pair(&p);
    assert_status(SOCKBROKER_SYSTEM, send_by(SB_CARRIER_DIRECT, &p, 1, 1 << 20, &os_code));
    assert_int_equal(os_code, EBADF);
    assert_status(SOCKBROKER_AGAIN, sb_xfer_receive(p.worker, &d, &sock));
    close_pair(&p);
}

static void do_nothing(void *arg)
{
    (void)arg;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(every_socket_moves_within_one_process),
        UNIT_TEST(every_socket_moves_across_two_processes),
        UNIT_TEST(pair_does_not_block_and_is_closed_by_exec),
        UNIT_TEST(probe_comes_without_a_socket),
        UNIT_TEST(ring_comes_with_its_memory),
        UNIT_TEST(all_who_wait_are_woken_and_nothing_is_lost),
        UNIT_TEST(what_was_not_read_comes_back_in_order),
        UNIT_TEST(what_a_killed_worker_has_not_read_comes_back),
        UNIT_TEST(what_a_stopped_worker_has_not_read_comes_back),
        UNIT_TEST(a_probe_is_withdrawn_as_number_0),
        UNIT_TEST(both_carriers_are_withdrawn_by_lease_id),
        UNIT_TEST(a_worker_that_shuts_its_end_down_hides_nothing),
        UNIT_TEST(a_full_pair_says_again_and_has_lost_nothing),
        UNIT_TEST(a_worker_hears_closed_after_what_was_sent),
        UNIT_TEST(the_broker_hears_closed_after_what_was_reported),
        UNIT_TEST(a_worker_that_left_packets_unread_is_closed_too),
        UNIT_TEST(a_broker_that_left_reports_unread_takes_nothing_with_it),
        UNIT_TEST(a_receiver_at_its_limit_says_which_lease),
        UNIT_TEST(withdrawing_needs_no_descriptor),
        UNIT_TEST(a_worker_that_sends_a_descriptor_is_stopped_by_the_kernel),
        UNIT_TEST(descriptors_in_a_report_are_refused_and_closed),
        UNIT_TEST(descriptors_in_a_report_are_refused_also_at_the_limit),
        UNIT_TEST(a_delivery_with_more_than_one_descriptor_is_refused_and_all_are_closed),
        UNIT_TEST(withdrawing_a_crowd_leaves_nothing_open),
        UNIT_TEST(any_single_descriptor_arrives),
        UNIT_TEST(a_socket_that_should_come_and_does_not_is_named),
        UNIT_TEST(a_probe_with_a_descriptor_is_refused_and_it_is_closed),
        UNIT_TEST(packets_fit_up_to_the_limit_and_not_a_byte_more),
        UNIT_TEST(oversize_reports_and_deliveries_are_refused),
        UNIT_TEST(an_empty_packet_is_the_end_and_with_a_descriptor_it_is_refused),
        UNIT_TEST(bytes_that_are_no_message_are_refused),
        UNIT_TEST(a_closed_or_foreign_descriptor_is_reported_and_nothing_moves),
    };

    struct sb_thread *first;

    signal(SIGPIPE, SIG_IGN);
    if (!sb_thread_create(do_nothing, NULL,
                          &first)) /* what nng keeps open for ever is there before the descriptors are counted */
        sb_thread_join(first);
    return cmocka_run_group_tests_name("xfer", tests, NULL, NULL);
}
