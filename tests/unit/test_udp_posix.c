/* What udp.h promises on POSIX, beside test_udp.c: each datagram is answered from the address its client used. The clients are
 * plain sockets that know nothing of the library. Other networks than this machine's: test_udp_network.c. */
#include "tests/unit/udp_kit.h"

#include <errno.h>
#include <linux/net_tstamp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/socket.h"
#include "tests/support/format.h"

/* ---- the address that was asked ---- */

static void an_answer_comes_from_the_address_that_was_asked(void **state)
{
    (void)state;
    if (!unit_has_ipv6())
        skip();
    udp_ask_everywhere();
}

/* The contrast: a socket that does not know answers from where the system likes, so the test above can fail. */
static void without_local_the_system_answers_from_another_address(void **state)
{
    struct udp_server s;

    (void)state;
    udp_start(&s, "0.0.0.0:0", false);
    int client = udp_client("127.0.0.2");
    udp_client_send(client, "127.0.0.2", s.udp.port, "question");
    assert_int_equal(udp_take(&s, UDP_BATCH), 1);
    s.batch[0].local.family = SOCKBROKER_FAMILY_NONE;
    udp_answer(&s, 1);
    struct sockbroker_addr from = udp_client_hear(client, "question");
    assert_true(udp_is_ip(&from, "127.0.0.1"));
    close(client);
    udp_stop(&s);
}

static void mapped_addresses_are_taken_for_ipv4(void **state)
{
    struct udp_server s;

    (void)state;
    if (!unit_has_ipv6())
        skip();
    for (unsigned dual = 0; dual < 2; dual++) {
        udp_start(&s, dual ? "[::]:0" : "0.0.0.0:0", dual);
        int client = udp_client("127.0.0.3");
        udp_client_send(client, "127.0.0.3", s.udp.port, "x");
        assert_int_equal(udp_take(&s, 1), 1);
        sockbroker_addr_map(&s.batch[0].peer);
        sockbroker_addr_map(&s.batch[0].local);
        udp_answer(&s, 1);
        struct sockbroker_addr from = udp_client_hear(client, "x");
        assert_true(udp_is_ip(&from, "127.0.0.3"));
        close(client);
        udp_stop(&s);
    }
}

static void what_was_queued_before_init_is_answered_from_its_address(void **state)
{
    struct sockaddr_in any = { .sin_family = AF_INET };
    struct udp_server s;
    int client = udp_client("127.0.0.2");

    (void)state;
    s.sock = udp_client("0.0.0.0"); /* without any option */
    assert_int_equal(bind(s.sock, (struct sockaddr *)&any, sizeof(any)), 0);
    udp_client_send(client, "127.0.0.2", udp_port(s.sock), "early");
    assert_status(SOCKBROKER_OK, sockbroker_udp_init(&s.udp, s.sock, NULL));
    assert_int_equal(udp_take(&s, UDP_BATCH), 1);
    assert_true(udp_is_ip(&s.batch[0].local, "127.0.0.2"));
    assert_false(s.batch[0].to_group);
    udp_answer(&s, 1);
    struct sockbroker_addr from = udp_client_hear(client, "early");
    assert_true(udp_is_ip(&from, "127.0.0.2"));
    close(client);
    udp_stop(&s);
}

/* ---- batches ---- */

#define MANY 100

static void a_full_queue_comes_in_batches_and_in_order(void **state)
{
    struct udp_server s;
    char text[UDP_ROOM];

    (void)state;
    if (!unit_has_ipv6())
        skip();
    udp_start(&s, "[::]:0", true);
    int clients[] = { udp_client("127.0.0.1"), udp_client("::1") };
    for (unsigned i = 0; i < MANY; i++) {
        format_text(text, sizeof(text), "datagram %u", i);
        udp_client_send(clients[i % 2], i % 2 ? "::1" : "127.0.0.2", s.udp.port, text);
    }
    unsigned heard = 0;
    for (unsigned left = MANY; left > 0;) {
        size_t n = udp_take(&s, UDP_BATCH);
        assert_int_equal(n, left < UDP_BATCH ? left : UDP_BATCH);
        udp_answer(&s, n);
        for (size_t i = 0; i < n; i++, heard++) {
            format_text(text, sizeof(text), "datagram %u", heard);
            struct sockbroker_addr from = udp_client_hear(clients[heard % 2], text);
            assert_true(udp_is_ip(&from, heard % 2 ? "::1" : "127.0.0.2"));
        }
        left -= (unsigned)n;
    }
    close(clients[0]);
    close(clients[1]);
    udp_stop(&s);
}

static void an_empty_queue_is_no_reason_to_wait(void **state)
{
    struct udp_server s;
    size_t n = 77;

    (void)state;
    udp_start(&s, "127.0.0.1:0", false);
    assert_status(SOCKBROKER_OK, sb_socket_set_nonblocking(s.sock, false));
    assert_status(SOCKBROKER_AGAIN, sockbroker_udp_receive(&s.udp, s.batch, UDP_BATCH, &n));
    assert_int_equal(n, 77);
    udp_stop(&s);
}

/* Records that the application asked for itself stand before ours. */
static void options_of_the_application_hide_nothing(void **state)
{
    struct udp_server s;
    int on = 1;
    int software = SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE;

    (void)state;
    if (!unit_has_ipv6())
        skip();
    udp_start(&s, "[::]:0", true);
    assert_int_equal(setsockopt(s.sock, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)), 0);
    assert_int_equal(setsockopt(s.sock, SOL_SOCKET, SO_TIMESTAMPING, &software, sizeof(software)), 0);
    assert_int_equal(setsockopt(s.sock, IPPROTO_IP, IP_RECVTOS, &on, sizeof(on)), 0);
    assert_int_equal(setsockopt(s.sock, IPPROTO_IP, IP_RECVTTL, &on, sizeof(on)), 0);
    assert_int_equal(setsockopt(s.sock, IPPROTO_IPV6, IPV6_RECVTCLASS, &on, sizeof(on)), 0);
    assert_int_equal(setsockopt(s.sock, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &on, sizeof(on)), 0);
    udp_ask(&s, "127.0.0.2");
    udp_ask(&s, "::1");
    udp_stop(&s);
}

/* ---- one bad datagram ---- */

static char too_long[65536];

/* What each is made to be, between two that are fine; each kind is one line of the promise. */
struct bad {
    const char *what; /* of the sentence */
    sockbroker_status status;
    int os_code;
    void (*spoil)(struct sockbroker_datagram *);
};

static void spoil_length(struct sockbroker_datagram *d)
{
    d->data = too_long;
    d->len = sizeof(too_long);
}
static void spoil_source(struct sockbroker_datagram *d)
{
    d->local = udp_address(d->peer.family == SOCKBROKER_IPV4 ? "192.0.2.77" : "2001:db8::77", 0);
}
static void spoil_port(struct sockbroker_datagram *d)
{
    d->peer.port = 0;
}
static void spoil_peer(struct sockbroker_datagram *d)
{
    d->peer.family = SOCKBROKER_FAMILY_NONE;
}
static void spoil_family(struct sockbroker_datagram *d)
{
    d->local = udp_address(d->peer.family == SOCKBROKER_IPV4 ? "::1" : "127.0.0.1", 0);
}
static void spoil_data(struct sockbroker_datagram *d)
{
    d->data = NULL;
}

static const struct bad bads[] = {
    { "send less", SOCKBROKER_INVALID, EMSGSIZE, spoil_length },
    { "not the source address", SOCKBROKER_SYSTEM, ENETUNREACH, spoil_source }, /* over IPv6: source_over_ipv6 */
    { "port of the peer is 0", SOCKBROKER_INVALID, 0, spoil_port },
    { "there is no peer", SOCKBROKER_INVALID, 0, spoil_peer },
    { "not of the family", SOCKBROKER_INVALID, 0, spoil_family },
    { "data is NULL", SOCKBROKER_INVALID, 0, spoil_data },
};

static const struct bad source_over_ipv6 = { "an address of this machine", SOCKBROKER_ADDRESS_NOT_AVAILABLE, EINVAL,
                                             spoil_source };

static const struct bad *bad_of(size_t i, bool ipv6)
{
    return ipv6 && bads[i].spoil == spoil_source ? &source_over_ipv6 : &bads[i];
}

/* good, bad, good, bad, ..., good; all go out in one call. */
static void send_between_good_ones(struct udp_server *s, const char *ip)
{
    struct sockbroker_error error;
    size_t n = 2 * UNIT_COUNT(bads) + 1;
    size_t n_done = 0;
    int client = udp_client(ip);

    for (size_t i = 0; i < n; i++)
        udp_client_send(client, ip, s->udp.port, "good");
    assert_int_equal(udp_take(s, UDP_BATCH), n);
    for (size_t i = 0; i < UNIT_COUNT(bads); i++)
        bads[i].spoil(&s->batch[2 * i + 1]);
    assert_status(SOCKBROKER_OK, sockbroker_udp_send(&s->udp, s->batch, n, &n_done, &error));
    assert_int_equal(n_done, n);
    for (size_t i = 0; i < UNIT_COUNT(bads); i++) {
        const struct bad *bad = bad_of(i, strchr(ip, ':') != NULL);

        udp_client_hear(client, "good");
        assert_status(SOCKBROKER_OK, s->batch[2 * i].status);
        assert_status(bad->status, s->batch[2 * i + 1].status);
        assert_int_equal(s->batch[2 * i + 1].os_code, bad->os_code);
    }
    udp_client_hear(client, "good");
    assert_true(udp_client_is_left_alone(client));
    assert_int_equal(error.os_code, EMSGSIZE); /* of the first */
    assert_status(SOCKBROKER_INVALID, error.status);
    assert_non_null(strstr(error.text, "datagram 1 of the batch, to "));
    close(client);
}

static void a_bad_datagram_stops_no_other(void **state)
{
    struct udp_server s;

    (void)state;
    if (!unit_has_ipv6())
        skip();
    udp_start(&s, "[::]:0", true);
    send_between_good_ones(&s, "127.0.0.2");
    send_between_good_ones(&s, "::1");
    udp_stop(&s);
}

static void check_explained(struct udp_server *s, const char *ip, const struct bad *bad)
{
    struct sockbroker_datagram d = { .data = "x", .len = 1, .peer = udp_address(ip, s->udp.port) };
    struct sockbroker_error error;
    size_t n_done = 0;

    bad->spoil(&d);
    assert_status(SOCKBROKER_OK, sockbroker_udp_send(&s->udp, &d, 1, &n_done, &error));
    assert_int_equal(n_done, 1);
    assert_status(bad->status, error.status);
    assert_int_equal(error.os_code, bad->os_code);
    if (!strstr(error.text, bad->what))
        fail_msg("%s", error.text);
    assert_status(SOCKBROKER_OK, sockbroker_udp_send(&s->udp, &d, 1, &n_done, NULL));
}

static void each_bad_datagram_is_explained(void **state)
{
    struct udp_server s;

    (void)state;
    if (!unit_has_ipv6())
        skip();
    udp_start(&s, "[::]:0", true);
    for (size_t i = 0; i < UNIT_COUNT(bads); i++) {
        check_explained(&s, "127.0.0.1", bad_of(i, false));
        check_explained(&s, "::1", bad_of(i, true));
    }
    udp_stop(&s);
}

/* ---- errors that belong to others ---- */

/* With IP_RECVERR, which any holder of the socket may turn on, the answer of a closed port is left on the socket, and the next
 * call gets it. On loopback it is there when send() returns. */
static void hear_of_errors(int sock, int on)
{
    assert_int_equal(setsockopt(sock, IPPROTO_IP, IP_RECVERR, &on, sizeof(on)), 0);
    assert_int_equal(setsockopt(sock, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof(on)), 0);
}

static void send_to_closed(struct udp_server *s, const char *ip)
{
    struct sockbroker_datagram d = { .data = "x", .len = 1, .peer = udp_address(ip, udp_closed_port(ip)) };
    size_t n_done;

    assert_status(SOCKBROKER_OK, sockbroker_udp_send(&s->udp, &d, 1, &n_done, NULL));
    assert_status(SOCKBROKER_OK, d.status);
    assert_true(unit_poll(s->sock, 0, 0) & POLLERR); /* else the test shows nothing */
}

static void a_closed_port_of_one_client_loses_nothing_of_others(void **state)
{
    static const char *const ips[] = { "127.0.0.1", "::1" };
    struct udp_server s;
    size_t n = 0;

    (void)state;
    if (!unit_has_ipv6())
        skip();
    udp_start(&s, "[::]:0", true);
    hear_of_errors(s.sock, 1);
    for (size_t i = 0; i < UNIT_COUNT(ips); i++) {
        int client = udp_client(ips[i]);

        udp_client_send(client, ips[i], s.udp.port, "question");
        send_to_closed(&s, ips[i]);
        assert_int_equal(udp_take(&s, UDP_BATCH), 1); /* receive */
        send_to_closed(&s, ips[i]);
        udp_answer(&s, 1); /* send */
        udp_client_hear(client, "question");
        send_to_closed(&s, ips[i]);
        assert_status(SOCKBROKER_AGAIN, sockbroker_udp_receive(&s.udp, s.batch, UDP_BATCH, &n)); /* nothing there */
        close(client);
    }
    udp_stop(&s);
}

static void closed_ports_all_over_a_batch_stop_no_other(void **state)
{
    struct udp_server s;
    int client = udp_client("127.0.0.1");
    struct sockbroker_addr closed = udp_address("127.0.0.1", udp_closed_port("127.0.0.1"));

    (void)state;
    if (!unit_has_ipv6())
        skip();
    udp_start(&s, "[::]:0", true);
    hear_of_errors(s.sock, 1);
    for (unsigned i = 0; i < UDP_BATCH; i++)
        udp_client_send(client, "127.0.0.1", s.udp.port, "good");
    assert_int_equal(udp_take(&s, UDP_BATCH), UDP_BATCH);
    for (unsigned i = 0; i < UDP_BATCH; i += 2)
        s.batch[i].peer = closed;
    udp_answer(&s, UDP_BATCH);
    for (unsigned i = 0; i < UDP_BATCH / 2; i++)
        udp_client_hear(client, "good");
    assert_true(udp_client_is_left_alone(client));
    close(client);
    udp_stop(&s);
}

static void a_socket_that_was_shut_down_is_told(void **state)
{
    struct udp_server s;
    struct sockbroker_error error;
    struct sockbroker_datagram d = { .data = "x", .len = 1, .peer = udp_address("127.0.0.1", 9) };
    size_t n_done = 77;

    (void)state;
    udp_start(&s, "127.0.0.1:0", false);
    shutdown(s.sock, SHUT_RDWR);
    assert_status(SOCKBROKER_CLOSED, sockbroker_udp_send(&s.udp, &d, 1, &n_done, &error));
    assert_int_equal(n_done, 77);
    assert_int_equal(error.os_code, EPIPE);
    assert_non_null(strstr(error.text, "shut down"));
    udp_stop(&s);
    assert_status(SOCKBROKER_SYSTEM, sockbroker_udp_send(&s.udp, &d, 1, &n_done, &error));
    assert_int_equal(error.os_code, EBADF);
    assert_status(SOCKBROKER_SYSTEM, sockbroker_udp_receive(&s.udp, s.batch, 1, &n_done));
    assert_int_equal(n_done, 77);
}

/* ---- a full buffer: fail-point udp_send, as loopback is never full ---- */

static void be_full(void *arg)
{
    struct udp_server s;
    struct sockbroker_error error;
    struct sockbroker_datagram batch[3];
    size_t n_done = 77;
    int client = udp_client("127.0.0.1");
    struct sockaddr_in any = { .sin_family = AF_INET };

    (void)arg;
    setenv("SOCKBROKER_FAILPOINTS", "udp_send=EAGAIN*1,udp_send=EAGAIN*1@1,udp_send=ENOBUFS*4@2", 1);
    UNIT_REQUIRE(bind(client, (struct sockaddr *)&any, sizeof(any)) == 0);
    udp_start(&s, "127.0.0.1:0", false);
    for (size_t i = 0; i < 3; i++)
        batch[i] = (struct sockbroker_datagram){ .data = "x", .len = 1, .peer = udp_address("127.0.0.1", udp_port(client)) };
    UNIT_REQUIRE(sockbroker_udp_send(&s.udp, batch, 3, &n_done, &error) == SOCKBROKER_AGAIN); /* at once */
    UNIT_REQUIRE(n_done == 77 && error.status == SOCKBROKER_OK && udp_client_is_left_alone(client));
    batch[1].len = sizeof(too_long);
    batch[1].data = too_long; /* the system stops there, and asked again it is full */
    UNIT_REQUIRE(sockbroker_udp_send(&s.udp, batch, 3, &n_done, &error) == SOCKBROKER_OK);
    UNIT_REQUIRE(n_done == 1 && error.status == SOCKBROKER_OK);
    udp_client_hear(client, "x");
    UNIT_REQUIRE(udp_client_is_left_alone(client));
    batch[1].len = 1;
    batch[1].data = NULL; /* refused before the system is asked, and sent is sent */
    UNIT_REQUIRE(sockbroker_udp_send(&s.udp, batch + 1, 2, &n_done, &error) == SOCKBROKER_OK);
    UNIT_REQUIRE(n_done == 2 && error.status == SOCKBROKER_INVALID);
    udp_client_hear(client, "x");
    UNIT_REQUIRE(sockbroker_udp_send(&s.udp, batch + 2, 1, &n_done, &error) == SOCKBROKER_OK);
    UNIT_REQUIRE(n_done == 1 && batch[2].status == SOCKBROKER_NO_MEMORY && error.os_code == ENOBUFS);
}

static void with_failpoints(void (*run)(void *))
{
#ifndef SB_FAILPOINTS
    (void)run;
    skip();
#else
    assert_child_succeeds(run, NULL);
#endif
}

static void a_full_buffer_leaves_the_rest_to_the_caller(void **state)
{
    (void)state;
    with_failpoints(be_full);
}

/* ---- wrong use ---- */

static void sockets_that_are_not_udp_are_refused(void **state)
{
    int socks[] = {
        socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
        socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0),
        -1,
    };

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(socks); i++) {
        struct sockbroker_udp udp, before;
        struct sockbroker_error error;

        memset(&udp, 0xa5, sizeof(udp));
        before = udp;
        assert_status(SOCKBROKER_INVALID, sockbroker_udp_init(&udp, socks[i], &error));
        assert_non_null(strstr(error.text, "is not a UDP socket"));
        assert_memory_equal(&udp, &before, sizeof(udp));
        assert_status(SOCKBROKER_INVALID, sockbroker_udp_init(&udp, socks[i], NULL));
        if (socks[i] >= 0)
            close(socks[i]);
    }
}

/* The rules of SOCKBROKER_FAILPOINTS are read at the first pass, so that child comes before any pass of the parent. */
int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(a_full_buffer_leaves_the_rest_to_the_caller),
        UNIT_TEST(an_answer_comes_from_the_address_that_was_asked),
        UNIT_TEST(without_local_the_system_answers_from_another_address),
        UNIT_TEST(mapped_addresses_are_taken_for_ipv4),
        UNIT_TEST(what_was_queued_before_init_is_answered_from_its_address),
        UNIT_TEST(a_full_queue_comes_in_batches_and_in_order),
        UNIT_TEST(an_empty_queue_is_no_reason_to_wait),
        UNIT_TEST(options_of_the_application_hide_nothing),
        UNIT_TEST(a_bad_datagram_stops_no_other),
        UNIT_TEST(each_bad_datagram_is_explained),
        UNIT_TEST(a_closed_port_of_one_client_loses_nothing_of_others),
        UNIT_TEST(closed_ports_all_over_a_batch_stop_no_other),
        UNIT_TEST(a_socket_that_was_shut_down_is_told),
        UNIT_TEST(sockets_that_are_not_udp_are_refused),
    };

    return cmocka_run_group_tests_name("udp_posix", tests, NULL, NULL);
}
