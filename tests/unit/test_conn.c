/* What conn.h promises: lease ids that are never used twice, and the proof that a connection may be served again.
 *
 * The proof is tried on real TCP connections. A wrong "untouched" serves a client twice, a wrong "in doubt" only closes a
 * connection that could have been saved; so every way to read, write or end a connection is here. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/conn.h"
#include "proto/socket.h"

/* ---- lease ids ---- */

static void close_and_destroy(struct sb_lease_table *table, struct sb_conn *conn)
{
    sb_socket_close(&conn->sock);
    sb_conn_destroy(table, conn);
}

static const struct sockbroker_socket_info no_info;

static struct sb_conn *make(struct sb_lease_table *t)
{
    sockbroker_socket none = SOCKBROKER_SOCKET_NONE;
    struct sb_conn *c = NULL;

    assert_status(SOCKBROKER_OK, sb_conn_create(t, &none, &no_info, NULL, &c));
    return c;
}

static void lease_is_found_by_its_id_until_it_ends(void **state)
{
    struct sb_lease_table t;
    struct sb_conn *c;
    uint64_t id;

    (void)state;
    assert_status(SOCKBROKER_OK, sb_leases_init(&t, 0));
    c = make(&t);
    assert_int_equal(c->info.lease_id, 0);
    assert_int_equal(t.n_conns, 1);
    assert_status(SOCKBROKER_OK, sb_lease_begin(&t, c));
    id = c->info.lease_id;
    assert_true(id != 0);
    assert_ptr_equal(sb_lease_find(&t, id), c);
    sb_lease_end(&t, c);
    assert_int_equal(c->info.lease_id, 0);
    assert_null(sb_lease_find(&t, id));
    sb_lease_end(&t, c); /* of one that is held: nothing */
    assert_null(sb_lease_find(&t, id));
    close_and_destroy(&t, c);
    assert_int_equal(t.n_conns, 0);
    sb_leases_deinit(&t);
}

static void nothing_is_found_by_an_id_that_was_never_given(void **state)
{
    static const uint64_t never[] = { 0, 1, 255, 256, 1u << 20, (1u << 20) - 1, UINT32_MAX, UINT64_MAX, UINT64_MAX - 255 };
    struct sb_lease_table t;
    struct sb_conn *c;

    (void)state;
    sb_leases_init(&t, 1000);
    for (size_t i = 0; i < UNIT_COUNT(never); i++)
        assert_null(sb_lease_find(&t, never[i])); /* of an empty table */
    c = make(&t);
    assert_status(SOCKBROKER_OK, sb_lease_begin(&t, c));
    for (size_t i = 0; i < UNIT_COUNT(never); i++)
        assert_null(sb_lease_find(&t, never[i]));
    for (int bit = 0; bit < 64; bit++)
        assert_null(sb_lease_find(&t, c->info.lease_id ^ (uint64_t)1 << bit));
    close_and_destroy(&t, c);
    sb_leases_deinit(&t);
}

static void ids_never_repeat_while_slots_do(void **state)
{
    enum { ROUNDS = 20000, AT_ONCE = 8 };
    struct sb_lease_table t;
    struct sb_conn *conns[AT_ONCE];
    uint64_t ids[AT_ONCE] = { 0 };
    uint64_t highest = 0;

    (void)state;
    sb_leases_init(&t, 7);
    for (size_t i = 0; i < AT_ONCE; i++)
        conns[i] = make(&t);
    for (size_t round = 0; round < ROUNDS; round++) {
        struct sb_conn *c = conns[round % AT_ONCE];
        uint64_t *id = &ids[round % AT_ONCE];

        if (*id) {
            assert_ptr_equal(sb_lease_find(&t, *id), c);
            sb_lease_end(&t, c);
        }
        assert_status(SOCKBROKER_OK, sb_lease_begin(&t, c));
        assert_null(sb_lease_find(&t, *id)); /* the slot has another one now */
        assert_true(c->info.lease_id > highest);
        highest = *id = c->info.lease_id;
    }
    assert_int_equal(t.n_slots, 256); /* and memory did not grow */
    for (size_t i = 0; i < AT_ONCE; i++)
        close_and_destroy(&t, conns[i]);
    assert_null(sb_lease_find(&t, highest));
    sb_leases_deinit(&t);
}

static void leases_stay_found_while_the_table_grows(void **state)
{
    enum { N = 5000 };
    struct sb_lease_table t;
    struct sb_conn **conns = calloc(N, sizeof(*conns));

    (void)state;
    assert_non_null(conns);
    sb_leases_init(&t, 0);
    for (size_t i = 0; i < N; i++) {
        conns[i] = make(&t);
        assert_status(SOCKBROKER_OK, sb_lease_begin(&t, conns[i]));
    }
    assert_int_equal(t.n_slots, 8192);
    assert_int_equal(t.n_conns, N);
    for (size_t i = 0; i < N; i += 2)
        close_and_destroy(&t, conns[i]);
    for (size_t i = 1; i < N; i += 2) {
        assert_ptr_equal(sb_lease_find(&t, conns[i]->info.lease_id), conns[i]);
        close_and_destroy(&t, conns[i]);
    }
    assert_int_equal(t.n_conns, 0);
    assert_int_equal(t.n_free, t.n_slots);
    sb_leases_deinit(&t);
    free(conns);
}

/* One connection stands for all of them here: its older leases are left in their slots. */
static void there_are_2_to_the_20_leases_and_no_more(void **state)
{
    struct sb_lease_table t;
    struct sb_conn *c;
    uint64_t last;

    (void)state;
    sb_leases_init(&t, 0);
    c = make(&t);
    for (uint32_t i = 0; i < 1u << 20; i++) {
        c->info.lease_id = 0;
        assert_status(SOCKBROKER_OK, sb_lease_begin(&t, c));
    }
    last = c->info.lease_id;
    assert_ptr_equal(sb_lease_find(&t, last), c);
    c->info.lease_id = 0;
    assert_status(SOCKBROKER_NO_MEMORY, sb_lease_begin(&t, c));
    assert_int_equal(c->info.lease_id, 0);
    assert_int_equal(t.n_slots, 1u << 20);
    c->info.lease_id = last;
    sb_lease_end(&t, c);
    assert_status(SOCKBROKER_OK, sb_lease_begin(&t, c));
    assert_true(c->info.lease_id > last);
    close_and_destroy(&t, c);
    sb_leases_deinit(&t);
}

static void destroying_closes_the_socket_in_the_way_asked(void **state)
{
    static const struct {
        bool reset;
        int expected;
    } rows[] = { { false, 0 }, { true, ECONNRESET } };

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct sb_lease_table t;
        struct sb_conn *c;
        struct unit_tcp tcp;
        char byte;

        sb_leases_init(&t, 0);
        unit_tcp_open(&tcp, "127.0.0.1");
        assert_status(SOCKBROKER_OK, sb_conn_create(&t, &tcp.server, &no_info, NULL, &c));
        assert_int_equal(tcp.server, SOCKBROKER_SOCKET_NONE); /* moved */
        if (rows[i].reset)
            sb_socket_reset(&c->sock);
        close_and_destroy(&t, c);
        ssize_t n = recv(tcp.client, &byte, 1, 0);
        assert_int_equal(n < 0 ? errno : (int)n, rows[i].expected);
        unit_tcp_close(&tcp);
        sb_leases_deinit(&t);
    }
}

/* ---- proof: support ---- */

static bool judge_as(int sock, enum sockbroker_socket_type type)
{
    struct sb_conn c;

    memset(&c, 0, sizeof(c));
    c.sock = sock;
    c.info.type = type;
    return sb_conn_is_untouched(&c);
}

static bool judge(int sock)
{
    return judge_as(sock, SOCKBROKER_STREAM);
}

static int unread(int sock)
{
    int n = -1;

    ioctl(sock, SIOCINQ, &n);
    return n;
}

struct arrival {
    int sock;
    int n;
};

static bool has_arrived(void *arg)
{
    const struct arrival *a = arg;

    return unread(a->sock) == a->n;
}

/* Sends and waits until it is there. */
static void client_says(struct unit_tcp *t, const char *text)
{
    struct arrival a = { t->server, (int)strlen(text) };

    assert_int_equal(send(t->client, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
    assert_true(unit_wait_for(has_arrived, &a));
}

static void client_ends(struct unit_tcp *t)
{
    close(t->client);
    t->client = -1;
    assert_true(unit_poll(t->server, POLLRDHUP, UNIT_PATIENCE_MS) & POLLRDHUP);
}

static void client_resets(struct unit_tcp *t)
{
    struct linger now = { 1, 0 };

    setsockopt(t->client, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(t->client);
    t->client = -1;
    assert_true(unit_poll(t->server, 0, UNIT_PATIENCE_MS) & POLLHUP);
}

static void worker_reads(struct unit_tcp *t, size_t n)
{
    char buf[64];

    assert_true(n <= sizeof(buf));
    assert_int_equal(recv(t->server, buf, n, MSG_WAITALL), (ssize_t)n);
}

static void worker_writes(struct unit_tcp *t)
{
    assert_int_equal(send(t->server, "x", 1, MSG_NOSIGNAL), 1);
}

/* ---- proof: what may have happened ---- */

static void nothing(struct unit_tcp *t)
{
    (void)t;
}

static void data_waits(struct unit_tcp *t)
{
    client_says(t, "GET / HTTP/1.0\r\n\r\n");
}

static bool is_stalled(void *arg)
{
    const struct unit_tcp *t = arg;
    static char block[65536];
    int unsent = -1;

    while (send(t->client, block, sizeof(block), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
        ;
    ioctl(t->client, SIOCOUTQ, &unsent);
    return unsent > 0 && unit_poll(t->client, POLLOUT, 50) == 0; /* full here, and full there */
}

static void data_waits_until_the_window_is_full(struct unit_tcp *t)
{
    assert_true(unit_wait_for(is_stalled, t));
}

static void one_byte_of_a_full_window_was_read(struct unit_tcp *t)
{
    data_waits_until_the_window_is_full(t);
    worker_reads(t, 1);
}

static void all_data_were_read(struct unit_tcp *t)
{
    client_says(t, "hello");
    worker_reads(t, 5);
}

static void half_the_data_were_read(struct unit_tcp *t)
{
    client_says(t, "hello");
    worker_reads(t, 2);
}

static void data_were_read_and_more_came(struct unit_tcp *t)
{
    all_data_were_read(t);
    client_says(t, "world");
}

static void data_were_peeked_at(struct unit_tcp *t)
{
    char buf[8];

    client_says(t, "hello");
    assert_int_equal(recv(t->server, buf, sizeof(buf), MSG_PEEK), 5);
}

static void data_were_discarded(struct unit_tcp *t)
{
    client_says(t, "hello");
    assert_int_equal(recv(t->server, NULL, 5, MSG_TRUNC), 5); /* tcp(7): thrown away, not copied */
}

static void data_were_read_by_vector(struct unit_tcp *t)
{
    char a[2], b[3];
    struct iovec parts[] = { { a, 2 }, { b, 3 } };

    client_says(t, "hello");
    assert_int_equal(readv(t->server, parts, 2), 5);
}

static void data_were_spliced_out(struct unit_tcp *t)
{
    int pipe_ends[2];

    client_says(t, "hello");
    assert_int_equal(pipe(pipe_ends), 0);
    assert_int_equal(splice(t->server, NULL, pipe_ends[1], NULL, 5, 0), 5);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

static void a_byte_was_written(struct unit_tcp *t)
{
    worker_writes(t);
}

static void a_byte_was_written_and_acknowledged(struct unit_tcp *t)
{
    char byte;

    worker_writes(t);
    assert_int_equal(recv(t->client, &byte, 1, 0), 1);
}

static void a_byte_was_written_and_data_wait(struct unit_tcp *t)
{
    worker_writes(t);
    client_says(t, "hello");
}

static void a_byte_was_written_into_a_corked_socket(struct unit_tcp *t)
{
    int on = 1;

    assert_int_equal(setsockopt(t->server, IPPROTO_TCP, TCP_CORK, &on, sizeof(on)), 0);
    worker_writes(t); /* it waits for 200 ms in the socket: bytes_sent is still 0 */
}

static void nothing_was_written(struct unit_tcp *t)
{
    assert_int_equal(send(t->server, "", 0, MSG_NOSIGNAL), 0);
}

static void urgent_data_were_written(struct unit_tcp *t)
{
    assert_int_equal(send(t->server, "!", 1, MSG_OOB | MSG_NOSIGNAL), 1);
}

static void a_file_was_sent(struct unit_tcp *t)
{
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(sendfile(t->server, fd, NULL, 16), 16);
    close(fd);
}

static void client_finished(struct unit_tcp *t)
{
    client_ends(t);
}

static void client_finished_its_half(struct unit_tcp *t)
{
    shutdown(t->client, SHUT_WR);
    assert_true(unit_poll(t->server, POLLRDHUP, UNIT_PATIENCE_MS) & POLLRDHUP);
}

static void client_finished_and_data_wait(struct unit_tcp *t)
{
    client_says(t, "hello");
    client_ends(t);
}

static void client_finished_and_half_was_read(struct unit_tcp *t)
{
    client_finished_and_data_wait(t);
    worker_reads(t, 2);
}

static void client_finished_and_all_but_one_was_read(struct unit_tcp *t)
{
    client_finished_and_data_wait(t);
    worker_reads(t, 4);
}

static void client_finished_and_all_was_read(struct unit_tcp *t)
{
    client_finished_and_data_wait(t);
    worker_reads(t, 5);
}

static void client_finished_and_all_was_read_to_the_end(struct unit_tcp *t)
{
    char byte;

    client_finished_and_all_was_read(t);
    assert_int_equal(recv(t->server, &byte, 1, 0), 0);
}

static void half_was_read_before_client_finished(struct unit_tcp *t)
{
    half_the_data_were_read(t);
    client_ends(t);
}

static void all_was_read_before_client_finished(struct unit_tcp *t)
{
    all_data_were_read(t);
    client_ends(t);
}

/* Nothing is taken away by reading "the end": the next worker reads the same. */
static void client_finished_and_only_the_end_was_read(struct unit_tcp *t)
{
    char byte;

    client_ends(t);
    assert_int_equal(recv(t->server, &byte, 1, 0), 0);
    assert_int_equal(recv(t->server, &byte, 1, 0), 0);
}

static void client_finished_and_was_written_to(struct unit_tcp *t)
{
    client_finished_its_half(t);
    worker_writes(t);
}

static void client_reset(struct unit_tcp *t)
{
    client_resets(t);
}

static void client_reset_and_data_wait(struct unit_tcp *t)
{
    client_says(t, "hello");
    client_resets(t);
}

static void client_finished_and_reset(struct unit_tcp *t)
{
    client_finished_its_half(t);
    client_resets(t);
}

static void worker_shut_down_writing(struct unit_tcp *t)
{
    shutdown(t->server, SHUT_WR);
}

static void worker_shut_down_writing_after_client_finished(struct unit_tcp *t)
{
    client_finished_its_half(t);
    shutdown(t->server, SHUT_WR);
}

static void worker_shut_down_reading(struct unit_tcp *t)
{
    shutdown(t->server, SHUT_RD);
}

static void worker_shut_down_reading_and_data_came(struct unit_tcp *t)
{
    shutdown(t->server, SHUT_RD);
    client_says(t, "hello");
}

static void worker_shut_down_both(struct unit_tcp *t)
{
    shutdown(t->server, SHUT_RDWR);
}

static void worker_dissolved_it(struct unit_tcp *t)
{
    struct sockaddr nobody = { .sa_family = AF_UNSPEC };

    assert_int_equal(connect(t->server, &nobody, sizeof(nobody)), 0);
}

static void worker_shut_down_everything_later(struct unit_tcp *t)
{
    data_waits(t);
    shutdown(t->server, SHUT_RDWR);
}

/* Urgent data break the account: in doubt, whatever was done with them. */
static void client_says_urgently(struct unit_tcp *t, const char *text)
{
    assert_int_equal(send(t->client, text, strlen(text), MSG_OOB), (ssize_t)strlen(text));
    assert_true(unit_poll(t->server, POLLPRI, UNIT_PATIENCE_MS) & POLLPRI);
}

static void urgent_data_wait(struct unit_tcp *t)
{
    client_says_urgently(t, "abc!");
}

static void urgent_data_were_read(struct unit_tcp *t)
{
    char byte;

    client_says_urgently(t, "!");
    assert_int_equal(recv(t->server, &byte, 1, MSG_OOB), 1);
}

static void urgent_data_were_read_and_others_came(struct unit_tcp *t)
{
    static const char more[] = "0123456789";

    urgent_data_were_read(t);
    assert_int_equal(send(t->client, more, 10, 0), 10);
    assert_true(unit_wait_readable(t->server));
}

static void data_before_urgent_data_were_read(struct unit_tcp *t)
{
    client_says_urgently(t, "abc!");
    worker_reads(t, 3);
}

static void data_around_urgent_data_were_read(struct unit_tcp *t)
{
    client_says_urgently(t, "abc!");
    assert_int_equal(send(t->client, "def", 3, 0), 3);
    worker_reads(t, 3);
    worker_reads(t, 3);
}

/* ---- proof: by another process, through its own number for the socket ---- */

static void read_in_child(void *arg)
{
    char buf[8];

    UNIT_REQUIRE(recv(*(int *)arg, buf, sizeof(buf), 0) > 0);
}

static void write_in_child(void *arg)
{
    UNIT_REQUIRE(write(*(int *)arg, "x", 1) == 1);
}

static void shut_down_in_child(void *arg)
{
    UNIT_REQUIRE(shutdown(*(int *)arg, SHUT_WR) == 0);
}

static void die_in_child(void *arg)
{
    struct linger now = { 1, 0 };

    setsockopt(*(int *)arg, SOL_SOCKET, SO_LINGER, &now, sizeof(now)); /* only the last one to close resets */
    close(*(int *)arg);
    raise(SIGKILL);
}

static void another_process_read(struct unit_tcp *t)
{
    client_says(t, "hello");
    assert_child_succeeds(read_in_child, &t->server);
}

static void another_process_wrote(struct unit_tcp *t)
{
    assert_child_succeeds(write_in_child, &t->server);
}

static void another_process_shut_it_down(struct unit_tcp *t)
{
    assert_child_succeeds(shut_down_in_child, &t->server);
}

static void another_process_had_it_and_died(struct unit_tcp *t)
{
    client_says(t, "hello");
    assert_int_equal(unit_in_child(die_in_child, &t->server), SIGKILL);
}

/* ---- proof: the table ---- */

struct proof {
    const char *name;
    void (*happens)(struct unit_tcp *t);
    bool untouched;
};
#define UNTOUCHED(f)                                                                                                           \
    {                                                                                                                          \
#f, f, true                                                                                                            \
    }
#define IN_DOUBT(f)                                                                                                            \
    {                                                                                                                          \
#f, f, false                                                                                                           \
    }

static const struct proof proofs[] = {
    UNTOUCHED(nothing),
    UNTOUCHED(data_waits),
    UNTOUCHED(data_waits_until_the_window_is_full),
    UNTOUCHED(data_were_peeked_at), /* cannot be known; the worker library never peeks */
    UNTOUCHED(nothing_was_written),
    UNTOUCHED(client_finished),
    UNTOUCHED(client_finished_its_half),
    UNTOUCHED(client_finished_and_data_wait),
    UNTOUCHED(client_finished_and_only_the_end_was_read),
    UNTOUCHED(another_process_had_it_and_died),
    IN_DOUBT(one_byte_of_a_full_window_was_read),
    IN_DOUBT(all_data_were_read),
    IN_DOUBT(half_the_data_were_read),
    IN_DOUBT(data_were_read_and_more_came),
    IN_DOUBT(data_were_discarded),
    IN_DOUBT(data_were_read_by_vector),
    IN_DOUBT(data_were_spliced_out),
    IN_DOUBT(a_byte_was_written),
    IN_DOUBT(a_byte_was_written_and_acknowledged),
    IN_DOUBT(a_byte_was_written_and_data_wait),
    IN_DOUBT(a_byte_was_written_into_a_corked_socket),
    IN_DOUBT(urgent_data_were_written),
    IN_DOUBT(a_file_was_sent),
    IN_DOUBT(client_finished_and_half_was_read),
    IN_DOUBT(client_finished_and_all_but_one_was_read),
    IN_DOUBT(client_finished_and_all_was_read),
    IN_DOUBT(client_finished_and_all_was_read_to_the_end),
    IN_DOUBT(half_was_read_before_client_finished),
    IN_DOUBT(all_was_read_before_client_finished),
    IN_DOUBT(client_finished_and_was_written_to),
    IN_DOUBT(client_reset),
    IN_DOUBT(client_reset_and_data_wait),
    IN_DOUBT(client_finished_and_reset),
    IN_DOUBT(worker_shut_down_writing),
    IN_DOUBT(worker_shut_down_writing_after_client_finished),
    IN_DOUBT(worker_shut_down_reading),
    IN_DOUBT(worker_shut_down_reading_and_data_came),
    IN_DOUBT(worker_shut_down_both),
    IN_DOUBT(worker_shut_down_everything_later),
    IN_DOUBT(worker_dissolved_it),
    IN_DOUBT(urgent_data_wait),
    IN_DOUBT(urgent_data_were_read),
    IN_DOUBT(urgent_data_were_read_and_others_came),
    IN_DOUBT(data_before_urgent_data_were_read),
    IN_DOUBT(data_around_urgent_data_were_read),
    IN_DOUBT(another_process_read),
    IN_DOUBT(another_process_wrote),
    IN_DOUBT(another_process_shut_it_down),
};

static void prove(const char *ip)
{
    int wrong = 0;

    for (size_t i = 0; i < UNIT_COUNT(proofs); i++) {
        struct unit_tcp t;

        unit_tcp_open(&t, ip);
        proofs[i].happens(&t);
        bool got = judge(t.server);
        if (got != proofs[i].untouched)
            print_error("%s, %s: judged %s\n", ip, proofs[i].name, got ? "untouched" : "in doubt");
        wrong += got != proofs[i].untouched;
        unit_tcp_close(&t);
    }
    assert_int_equal(wrong, 0);
}

static void untouched_is_proven_over_ipv4(void **state)
{
    (void)state;
    prove("127.0.0.1");
}

static void untouched_is_proven_over_ipv6(void **state)
{
    (void)state;
    if (!unit_has_ipv6())
        skip();
    prove("::1");
}

static void untouched_is_proven_for_an_ipv4_client_of_a_dual_socket(void **state)
{
    (void)state;
    if (!unit_has_ipv6())
        skip();
    prove("::ffff:127.0.0.1");
}

static void what_was_read_while_data_stream_in_stays_in_doubt(void **state)
{
    struct unit_tcp t;

    (void)state;
    unit_tcp_open(&t, "127.0.0.1");
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(send(t.client, "0123456789", 10, 0), 10);
        assert_true(judge(t.server)); /* also between two segments */
    }
    worker_reads(&t, 1);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(send(t.client, "0123456789", 10, 0), 10);
        assert_false(judge(t.server));
    }
    unit_tcp_close(&t);
}

static void what_is_not_tcp_is_in_doubt(void **state)
{
    int pair[2];
    int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct unit_tcp t;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_false(judge(pair[0]));
    assert_false(judge(udp));
    assert_false(judge_as(udp, SOCKBROKER_DATAGRAM));
    assert_false(judge(SOCKBROKER_SOCKET_NONE));
    unit_tcp_open(&t, "127.0.0.1");
    assert_false(judge(t.listener));
    assert_false(judge_as(t.server, SOCKBROKER_DATAGRAM)); /* by what was accepted, not by what is there */
    unit_tcp_close(&t);
    close(udp);
    close(pair[0]);
    close(pair[1]);
}

/* ---- proof: data in the SYN (RFC 7413) ---- */

static void fast_open(struct unit_tcp *t)
{
    struct sockaddr_in at = { .sin_family = AF_INET };
    socklen_t len = sizeof(at);
    int queue = 16;
    struct tcp_info info;
    struct arrival a;

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    t->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    UNIT_REQUIRE(bind(t->listener, (struct sockaddr *)&at, sizeof(at)) == 0);
    UNIT_REQUIRE(setsockopt(t->listener, IPPROTO_TCP, TCP_FASTOPEN, &queue, sizeof(queue)) == 0);
    UNIT_REQUIRE(listen(t->listener, 16) == 0);
    UNIT_REQUIRE(getsockname(t->listener, (struct sockaddr *)&at, &len) == 0);
    t->client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    UNIT_REQUIRE(sendto(t->client, "hello", 5, MSG_FASTOPEN, (struct sockaddr *)&at, sizeof(at)) == 5);
    t->server = accept4(t->listener, NULL, NULL, SOCK_CLOEXEC);
    UNIT_REQUIRE(t->server >= 0);
    len = sizeof(info);
    UNIT_REQUIRE(getsockopt(t->client, IPPROTO_TCP, TCP_INFO, &info, &len) == 0);
    UNIT_REQUIRE(info.tcpi_options & TCPI_OPT_SYN_DATA); /* else the test shows nothing */
    a = (struct arrival){ t->server, 5 };
    UNIT_REQUIRE(unit_wait_for(has_arrived, &a));
}

static void read_fast_open(void *arg)
{
    struct unit_tcp t;
    char buf[5];

    (void)arg;
    UNIT_REQUIRE(unit_own_network());
    UNIT_REQUIRE(unit_write_file("/proc/sys/net/ipv4/tcp_fastopen", "519")); /* both sides, no cookie needed */
    fast_open(&t);
    for (size_t n = 1; n <= sizeof(buf); n++) {
        UNIT_REQUIRE(recv(t.server, buf, 1, 0) == 1);
        UNIT_REQUIRE(!judge(t.server));
    }
    fast_open(&t);
    close(t.client);
    UNIT_REQUIRE(unit_poll(t.server, POLLRDHUP, UNIT_PATIENCE_MS) & POLLRDHUP);
    for (size_t n = 1; n <= sizeof(buf); n++) {
        UNIT_REQUIRE(recv(t.server, buf, 1, 0) == 1);
        UNIT_REQUIRE(!judge(t.server));
    }
}

static void data_that_came_with_the_syn_and_were_read_are_in_doubt(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip(); /* needs a network of its own */
    assert_child_succeeds(read_fast_open, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(lease_is_found_by_its_id_until_it_ends),
        UNIT_TEST(nothing_is_found_by_an_id_that_was_never_given),
        UNIT_TEST(ids_never_repeat_while_slots_do),
        UNIT_TEST(leases_stay_found_while_the_table_grows),
        UNIT_TEST(there_are_2_to_the_20_leases_and_no_more),
        UNIT_TEST(destroying_closes_the_socket_in_the_way_asked),
        UNIT_TEST(untouched_is_proven_over_ipv4),
        UNIT_TEST(untouched_is_proven_over_ipv6),
        UNIT_TEST(untouched_is_proven_for_an_ipv4_client_of_a_dual_socket),
        UNIT_TEST(what_was_read_while_data_stream_in_stays_in_doubt),
        UNIT_TEST(what_is_not_tcp_is_in_doubt),
        UNIT_TEST(data_that_came_with_the_syn_and_were_read_are_in_doubt),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("conn", tests, NULL, NULL);
}
