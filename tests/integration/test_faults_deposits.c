/* Workers that deposit and withdraw as nobody should: out of order, with other people's tokens, with too many descriptors. What
 * was there before is there after, and nothing stays open in the broker. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client-lib/link.h"
#include "proto/rundir.h"
#include "proto/socket.h"
#include "tests/support/fault.h"
#include "tests/support/format.h"
#include "tests/support/kit_deposit.h"
#include "tests/support/kit_state.h"

static struct kit_broker *start(const char *setting)
{
    return kit_broker_start(
        &(struct kit_start){ .args = { "--endpoint", "web=[::]:0", "--set", setting ? setting : "attach_ms=60000", "--set",
                                       "heartbeat_ms=600000" } });
}

static void finish(struct kit_broker *b, struct fault_raw *raw)
{
    fault_raw_close(raw);
    kit_wait_deposits(b, 0);
    kit_broker_wait_ready(b, 0);
    kit_broker_wait_idle_fds(b);
    kit_broker_stop(b);
}

/* ---- requests, one by one ---- */

static sockbroker_status announce(struct fault_raw *r, const char *name, uint32_t state_len)
{
    struct sb_request request = { .kind = SB_REQUEST_DEPOSIT };
    struct sb_deposit *d = &request.as.deposit;

    d->session = r->attached.session;
    format_text(d->name, sizeof(d->name), "%s", name);
    d->lifetime_ms = 3600000;
    d->state_len = state_len;
    sockbroker_status st = fault_raw_ask(r, &request, SB_REPLY_GRANTED, NULL);
    return st ? st : r->reply.as.granted.status;
}

static sockbroker_status append(struct fault_raw *r, uint64_t grant_id, const char *name, uint32_t offset, uint32_t len)
{
    static uint8_t all[SB_STATE_MAX + SB_CHUNK_MAX];
    struct sb_request request = { .kind = SB_REQUEST_DEPOSIT_STATE };
    struct sb_deposit_state *d = &request.as.deposit_state;

    kit_state_fill(name, 1, all, offset + len);
    d->session = r->attached.session;
    d->grant_id = grant_id;
    d->offset = offset;
    d->chunk_len = len;
    memcpy(d->chunk, all + offset, len);
    return fault_raw_ask(r, &request, SB_REPLY_DONE, NULL);
}

static sockbroker_status begin_withdraw(struct fault_raw *r, const char *name)
{
    struct sb_request request = { .kind = SB_REQUEST_WITHDRAW };

    request.as.withdraw.session = r->attached.session;
    format_text(request.as.withdraw.name, sizeof(request.as.withdraw.name), "%s", name);
    sockbroker_status st = fault_raw_ask(r, &request, SB_REPLY_GRANTED, NULL);
    return st ? st : r->reply.as.granted.status;
}

static sockbroker_status read_state(struct fault_raw *r, uint64_t grant_id, uint32_t offset)
{
    struct sb_request request = { .kind = SB_REQUEST_READ_STATE };

    request.as.read_state.session = r->attached.session;
    request.as.read_state.grant_id = grant_id;
    request.as.read_state.offset = offset;
    return fault_raw_ask(r, &request, SB_REPLY_STATE, NULL);
}

/* What shows the token of the grant just given. */
static struct sb_hello hello_of(const struct fault_raw *r)
{
    struct sb_hello hello = { .session_id = r->attached.session.id, .grant_id = r->reply.as.granted.grant_id };

    memcpy(hello.token, r->reply.as.granted.token, sizeof(hello.token));
    return hello;
}

/* A deposit announced, its state sent, its token shown: the broker waits for the socket at the door. */
static int open_door(struct kit_broker *b, struct fault_raw *r, const char *name, struct sb_hello *hello_out)
{
    uint8_t buf[SB_PACKET_MAX];
    size_t len;
    int os_code;
    struct sb_welcome welcome;
    sockbroker_socket none = SOCKBROKER_SOCKET_NONE;
    int door = fault_knock(b, SB_RUNDIR_HANDOFF);

    assert_int_equal(announce(r, name, 0), SOCKBROKER_OK);
    *hello_out = hello_of(r);
    assert_int_equal(sb_wire_pack_hello(hello_out, buf, sizeof(buf), &len), SOCKBROKER_OK);
    assert_int_equal(sb_xfer_send_packet(door, buf, len, SOCKBROKER_SOCKET_NONE, &os_code), SOCKBROKER_OK);
    assert_int_equal(sb_xfer_wait_packet(door, buf, sizeof(buf), &len, &none), SOCKBROKER_OK);
    assert_int_equal(sb_wire_unpack_welcome(buf, len, &welcome, NULL), SOCKBROKER_OK);
    assert_int_equal(welcome.status, SOCKBROKER_OK);
    return door;
}

/* What the broker says at the door, and that it closes it then. CLOSED: it says nothing. */
static sockbroker_status last_word(int *door)
{
    uint8_t buf[SB_PACKET_MAX];
    size_t len;
    struct sb_welcome welcome;
    sockbroker_socket none = SOCKBROKER_SOCKET_NONE;

    if (kit_is_silent(*door, KIT_WAIT_MS))
        kit_fail("the broker says nothing and keeps the door open");
    sockbroker_status st = sb_xfer_wait_packet(*door, buf, sizeof(buf), &len, &none);
    if (!st)
        st = sb_wire_unpack_welcome(buf, len, &welcome, NULL) ? SOCKBROKER_BAD_MESSAGE : welcome.status;
    if (!fault_is_closed(door, KIT_WAIT_MS))
        kit_fail("the broker keeps the door open");
    return st;
}

/* The result of sending n copies of the socket with one byte. */
static int send_copies(int door, int sock, unsigned n)
{
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(4 * sizeof(int))];
    } control;
    char byte = 1;
    struct iovec part = { &byte, 1 };
    struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.room };
    int fds[4] = { sock, sock, sock, sock };

    m.msg_controllen = CMSG_SPACE(n * sizeof(int));
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(n * sizeof(int));
    memcpy(CMSG_DATA(c), fds, n * sizeof(int));
    return sendmsg(door, &m, MSG_NOSIGNAL) < 0 ? errno : 0;
}

/* A deposit "c" of an honest worker, and back again: all is as it should be. */
static void check_works(struct kit_broker *b)
{
    struct sockbroker_worker *w = kit_asker_open(b, "honest");
    struct sockbroker_error error;
    struct sockbroker_conn conn;
    int ends[2];

    kit_open_stream("::1", ends);
    if (kit_deposit(w, "c", ends[1], 10000, &error))
        kit_fail("%s", error.text);
    close(ends[1]);
    kit_withdraw(w, "c", 10000, &conn);
    kit_send(conn.sock, "alive");
    kit_expect(ends[0], "alive");
    close(conn.sock);
    kit_expect_end(&ends[0]);
    sockbroker_worker_close(w);
    kit_broker_wait_worker(b, "honest", "gone");
}

/* ---- tokens ---- */

static void token_of_a_deposit_must_be_right_and_is_good_once(void **state)
{
    struct kit_broker *b = start(NULL);
    struct fault_raw raw;
    uint16_t port;
    sockbroker_socket sock = kit_bind_udp("::1", &port);

    (void)state;
    fault_raw_start(&raw, b, "raw", 4);
    uint64_t bad = fault_broker_status(b).bad_messages;
    assert_int_equal(announce(&raw, "c", 0), SOCKBROKER_OK);
    struct sb_hello good = hello_of(&raw), wrong = good;
    wrong.token[31] ^= 1;
    assert_int_equal(sb_link_leave(b->dir, NULL, &wrong, KIT_WAIT_MS, sock, NULL), SOCKBROKER_REFUSED);
    wrong = good;
    wrong.grant_id ^= 1u << 30;
    assert_int_equal(sb_link_leave(b->dir, NULL, &wrong, KIT_WAIT_MS, sock, NULL), SOCKBROKER_NOT_FOUND);
    wrong = good;
    wrong.session_id ^= 2;
    assert_int_equal(sb_link_leave(b->dir, NULL, &wrong, KIT_WAIT_MS, sock, NULL), SOCKBROKER_NOT_FOUND);
    assert_int_equal(fault_broker_status(b).bad_messages, bad + 3);
    assert_int_equal(sb_link_leave(b->dir, NULL, &good, KIT_WAIT_MS, sock, NULL), SOCKBROKER_OK);
    assert_int_equal(sb_link_leave(b->dir, NULL, &good, KIT_WAIT_MS, sock, NULL), SOCKBROKER_NOT_FOUND);
    kit_wait_deposits(b, 1);
    close(sock);
    assert_int_equal(begin_withdraw(&raw, "c"), SOCKBROKER_OK);
    good = hello_of(&raw);
    assert_int_equal(sb_link_fetch(b->dir, NULL, &good, KIT_WAIT_MS, &sock, NULL), SOCKBROKER_OK);
    sockbroker_socket second = SOCKBROKER_SOCKET_NONE;
    assert_int_equal(sb_link_fetch(b->dir, NULL, &good, KIT_WAIT_MS, &second, NULL), SOCKBROKER_NOT_FOUND);
    bool kept = false;
    assert_int_equal(fault_raw_settle(&raw, good.grant_id, SB_VERDICT_ACK, &kept), SOCKBROKER_OK);
    assert_true(kept);
    close(sock);
    check_works(b);
    finish(b, &raw);
}

/* In a child: the same user, the right token. Gives the status as its exit code. */
static int try_in_child(const char *dir, const struct sb_hello *hello)
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        sockbroker_socket sock = SOCKBROKER_SOCKET_NONE;

        _exit((int)sb_link_fetch(dir, NULL, hello, KIT_WAIT_MS, &sock, NULL));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void token_is_good_for_the_process_that_asked_only(void **state)
{
    struct kit_broker *b = start(NULL);
    struct sockbroker_worker *w = kit_asker_open(b, "w");
    struct fault_raw raw;
    struct sockbroker_error error;
    struct sockbroker_conn conn;
    uint16_t port;
    sockbroker_socket sock = kit_bind_udp("::1", &port);

    (void)state;
    assert_int_equal(kit_deposit(w, "c", sock, 10, &error), SOCKBROKER_OK);
    close(sock);
    fault_raw_start(&raw, b, "raw", 4);
    assert_int_equal(begin_withdraw(&raw, "c"), SOCKBROKER_OK);
    struct sb_hello hello = hello_of(&raw);
    assert_int_equal(try_in_child(b->dir, &hello), SOCKBROKER_REFUSED);
    kit_broker_wait_log(b, "event=hello_refused");
    fault_raw_close(&raw);
    kit_withdraw(w, "c", 10, &conn);
    close(conn.sock);
    sockbroker_worker_close(w);
    finish(b, &raw);
}

/* ---- descriptors ---- */

static void descriptor_without_a_token_is_not_let_in(void **state)
{
    struct kit_broker *b = start(NULL);
    struct fault_raw raw;
    uint16_t port;
    sockbroker_socket sock = kit_bind_udp("::1", &port);

    (void)state;
    fault_raw_start(&raw, b, "raw", 4);
    for (unsigned i = 0; i < 8; i++) {
        int door = fault_knock(b, SB_RUNDIR_HANDOFF);

        if (i % 2) /* the broker has opened by then and lets no descriptor in (EPERM), if the system can; else it may not have
                      yet */
            assert_int_equal(announce(&raw, "c", 0), SOCKBROKER_OK);
        int code = send_copies(door, sock, 1 + i % 3);
        if (!code)
            assert_int_equal(last_word(&door), SOCKBROKER_CLOSED);
        else
            assert_int_equal(code, EPERM);
        sb_socket_close(&door);
    }
    kit_wait_deposits(b, 0);
    close(sock);
    check_works(b);
    finish(b, &raw);
}

static void packet_without_a_descriptor_deposits_nothing(void **state)
{
    struct kit_broker *b = start(NULL);
    struct fault_raw raw;
    struct sb_hello hello;

    (void)state;
    fault_raw_start(&raw, b, "raw", 4);
    int door = open_door(b, &raw, "c", &hello);
    assert_int_equal(send(door, "x", 1, MSG_NOSIGNAL), 1);
    assert_int_equal(last_word(&door), SOCKBROKER_BAD_MESSAGE);
    kit_wait_deposits(b, 0);
    check_works(b);
    finish(b, &raw);
}

static void two_descriptors_deposit_nothing(void **state)
{
    struct kit_broker *b = start(NULL);
    struct fault_raw raw;
    struct sb_hello hello;
    int ends[2];

    (void)state;
    fault_raw_start(&raw, b, "raw", 4);
    for (unsigned n = 2; n < 5; n++) {
        kit_open_stream("::1", ends);
        int door = open_door(b, &raw, "c", &hello);
        assert_int_equal(send_copies(door, ends[1], n), 0);
        assert_int_equal(last_word(&door), SOCKBROKER_CLOSED);
        close(ends[1]);
        kit_expect_end(&ends[0]); /* no copy is left anywhere */
    }
    kit_wait_deposits(b, 0);
    check_works(b);
    finish(b, &raw);
}

/* A door that closes again ends what it was opened for: 64 under way at once are allowed. */
static void doors_that_close_again_hold_nothing(void **state)
{
    struct kit_broker *b = start(NULL);
    struct fault_raw raw;
    struct sb_hello hello;

    (void)state;
    fault_raw_start(&raw, b, "raw", 4);
    for (unsigned i = 0; i < 200; i++) {
        int door = open_door(b, &raw, "c", &hello);

        sb_socket_close(&door);
        if (i % 50 == 49) /* the broker has seen the last ones when it says so */
            kit_until(append(&raw, hello.grant_id, "c", 0, 1) == SOCKBROKER_NOT_FOUND);
    }
    check_works(b);
    finish(b, &raw);
}

static void socket_that_comes_after_its_session_is_not_kept(void **state)
{
    struct kit_broker *b = start(NULL);
    struct fault_raw raw;
    struct sb_hello hello;
    int ends[2];

    (void)state;
    fault_raw_start(&raw, b, "raw", 4);
    int door = open_door(b, &raw, "c", &hello);
    fault_raw_close(&raw);
    kit_broker_wait_worker(b, "raw", "gone");
    kit_open_stream("::1", ends);
    assert_int_equal(send_copies(door, ends[1], 1), 0);
    assert_int_equal(last_word(&door), SOCKBROKER_NOT_FOUND);
    close(ends[1]);
    kit_expect_end(&ends[0]);
    check_works(b);
    finish(b, &raw);
}

/* ---- state ---- */

static void state_comes_in_order_and_not_too_much(void **state)
{
    struct kit_broker *b = start(NULL);
    struct fault_raw raw, other;
    uint16_t port;
    sockbroker_socket sock = kit_bind_udp("::1", &port);

    (void)state;
    fault_raw_start(&raw, b, "raw", 4);
    fault_raw_start(&other, b, "other", 4);
    assert_int_equal(announce(&raw, "s", 10000), SOCKBROKER_OK);
    struct sb_hello hello = hello_of(&raw);
    uint64_t id = hello.grant_id;
    assert_int_equal(append(&raw, id, "s", 1, 100), SOCKBROKER_BAD_MESSAGE);
    assert_int_equal(append(&raw, id, "s", 0, SB_CHUNK_MAX), SOCKBROKER_OK);
    assert_int_equal(append(&raw, id, "s", 0, 100), SOCKBROKER_BAD_MESSAGE);
    assert_int_equal(append(&raw, id, "s", SB_CHUNK_MAX, 10001 - SB_CHUNK_MAX), SOCKBROKER_BAD_MESSAGE);
    assert_int_equal(append(&other, id, "s", SB_CHUNK_MAX, 100), SOCKBROKER_NOT_FOUND);
    assert_int_equal(append(&raw, id + 1, "s", SB_CHUNK_MAX, 100), SOCKBROKER_NOT_FOUND);
    assert_int_equal(append(&raw, id, "s", SB_CHUNK_MAX, 10000 - SB_CHUNK_MAX), SOCKBROKER_OK);
    assert_int_equal(append(&raw, id, "s", 10000, 1), SOCKBROKER_BAD_MESSAGE);
    assert_int_equal(sb_link_leave(b->dir, NULL, &hello, KIT_WAIT_MS, sock, NULL), SOCKBROKER_OK);
    assert_int_equal(append(&raw, id, "s", 0, 100), SOCKBROKER_NOT_FOUND);
    close(sock);
    struct sockbroker_worker *w = kit_asker_open(b, "w");
    struct sockbroker_conn conn;
    kit_withdraw(w, "s", 10000, &conn);
    close(conn.sock);
    sockbroker_worker_close(w);
    fault_raw_close(&other);
    finish(b, &raw);
}

static void socket_that_comes_before_its_state_is_refused(void **state)
{
    struct kit_broker *b = start(NULL);
    struct fault_raw raw;
    struct sockbroker_error error;
    uint16_t port;
    sockbroker_socket sock = kit_bind_udp("::1", &port);

    (void)state;
    fault_raw_start(&raw, b, "raw", 4);
    assert_int_equal(announce(&raw, "s", 10000), SOCKBROKER_OK);
    struct sb_hello hello = hello_of(&raw);
    assert_int_equal(append(&raw, hello.grant_id, "s", 0, SB_CHUNK_MAX), SOCKBROKER_OK);
    assert_int_equal(sb_link_leave(b->dir, NULL, &hello, KIT_WAIT_MS, sock, &error), SOCKBROKER_BAD_MESSAGE);
    assert_string_equal(error.text, "8192 of 10000 bytes of state have come");
    close(sock);
    kit_wait_deposits(b, 0);
    finish(b, &raw);
}

static void state_is_read_by_its_taker_only(void **state)
{
    struct kit_broker *b = start(NULL);
    struct sockbroker_worker *w = kit_asker_open(b, "w");
    struct fault_raw raw, other;
    struct sockbroker_error error;
    uint16_t port;
    sockbroker_socket sock = kit_bind_udp("::1", &port);

    (void)state;
    assert_int_equal(kit_deposit(w, "s", sock, 10000, &error), SOCKBROKER_OK);
    close(sock);
    fault_raw_start(&raw, b, "raw", 4);
    fault_raw_start(&other, b, "other", 4);
    assert_int_equal(begin_withdraw(&raw, "s"), SOCKBROKER_OK);
    uint64_t id = raw.reply.as.granted.grant_id;
    assert_int_equal(raw.reply.as.granted.state_len, 10000);
    assert_int_equal(read_state(&other, id, 0), SOCKBROKER_NOT_FOUND);
    assert_int_equal(read_state(&raw, id, 10001), SOCKBROKER_NOT_FOUND);
    assert_int_equal(read_state(&raw, id, 9999), SOCKBROKER_OK);
    assert_int_equal(raw.reply.as.state.chunk_len, 1);
    assert_int_equal(read_state(&raw, id, 10000), SOCKBROKER_OK);
    assert_int_equal(raw.reply.as.state.chunk_len, 0);
    assert_int_equal(append(&raw, id, "s", 0, 100), SOCKBROKER_NOT_FOUND); /* it is no deposit under way */
    fault_raw_close(&raw);
    struct sockbroker_conn conn;
    kit_withdraw(w, "s", 10000, &conn);
    close(conn.sock);
    sockbroker_worker_close(w);
    fault_raw_close(&other);
    finish(b, &raw);
}

/* ---- settling ---- */

static bool settle(struct fault_raw *r, uint64_t id, enum sb_verdict verdict)
{
    bool kept = false;

    assert_int_equal(fault_raw_settle(r, id, verdict, &kept), SOCKBROKER_OK);
    return kept;
}

static void settling_what_one_does_not_have_changes_nothing(void **state)
{
    struct kit_broker *b = start(NULL);
    struct sockbroker_worker *w = kit_asker_open(b, "w");
    struct fault_raw raw, other;
    struct sockbroker_error error;
    uint16_t port;
    sockbroker_socket sock = kit_bind_udp("::1", &port);

    (void)state;
    assert_int_equal(kit_deposit(w, "s", sock, 10, &error), SOCKBROKER_OK);
    close(sock);
    fault_raw_start(&raw, b, "raw", 4);
    fault_raw_start(&other, b, "other", 4);
    uint64_t bad = fault_broker_status(b).bad_messages;
    assert_int_equal(begin_withdraw(&raw, "s"), SOCKBROKER_OK);
    struct sb_hello hello = hello_of(&raw);
    uint64_t id = hello.grant_id;
    assert_false(settle(&raw, id, SB_VERDICT_ACK)); /* it was not fetched */
    assert_int_equal(kit_try_withdraw(w, "s", &error), SOCKBROKER_BUSY);
    assert_int_equal(sb_link_fetch(b->dir, NULL, &hello, KIT_WAIT_MS, &sock, NULL), SOCKBROKER_OK);
    assert_false(settle(&other, id, SB_VERDICT_ACK));
    assert_false(settle(&other, id, SB_VERDICT_NACK_UNUSABLE));
    assert_false(settle(&raw, id + 1, SB_VERDICT_ACK));
    assert_false(settle(&raw, UINT64_MAX, SB_VERDICT_ACK));
    assert_int_equal(fault_broker_status(b).bad_messages, bad + 4);
    assert_int_equal(kit_try_withdraw(w, "s", &error), SOCKBROKER_BUSY);
    assert_true(settle(&raw, id, SB_VERDICT_ACK));
    assert_true(settle(&raw, id, SB_VERDICT_ACK)); /* the answer before may have been lost on its way */
    assert_false(settle(&raw, id, SB_VERDICT_NACK_UNUSABLE));
    assert_int_equal(kit_try_withdraw(w, "s", &error), SOCKBROKER_NOT_FOUND);
    close(sock);
    sockbroker_worker_close(w);
    fault_raw_close(&other);
    finish(b, &raw);
}

static void deposit_given_back_is_free_for_others(void **state)
{
    struct kit_broker *b = start(NULL);
    struct sockbroker_worker *w = kit_asker_open(b, "w");
    struct fault_raw raw;
    struct sockbroker_error error;
    struct sockbroker_conn conn;
    uint16_t port;
    sockbroker_socket sock = kit_bind_udp("::1", &port);

    (void)state;
    assert_int_equal(kit_deposit(w, "s", sock, 10, &error), SOCKBROKER_OK);
    close(sock);
    fault_raw_start(&raw, b, "raw", 4);
    for (unsigned fetched = 0; fetched < 2; fetched++) {
        assert_int_equal(begin_withdraw(&raw, "s"), SOCKBROKER_OK);
        struct sb_hello hello = hello_of(&raw);
        if (fetched)
            assert_int_equal(sb_link_fetch(b->dir, NULL, &hello, KIT_WAIT_MS, &sock, NULL), SOCKBROKER_OK);
        assert_int_equal(kit_try_withdraw(w, "s", &error), SOCKBROKER_BUSY);
        assert_false(settle(&raw, hello.grant_id, SB_VERDICT_NACK_UNUSABLE));
        assert_false(settle(&raw, hello.grant_id, SB_VERDICT_ACK)); /* too late */
    }
    close(sock);
    kit_withdraw(w, "s", 10, &conn);
    close(conn.sock);
    sockbroker_worker_close(w);
    finish(b, &raw);
}

/* Nobody comes for it within attach_ms. */
static void taker_that_never_comes_loses_its_place(void **state)
{
    struct kit_broker *b = start("attach_ms=200");
    struct sockbroker_worker *w = kit_asker_open(b, "w");
    struct fault_raw raw;
    struct sockbroker_error error;
    struct sockbroker_conn conn;
    struct sb_deposit_status d;
    uint16_t port;
    sockbroker_socket sock = kit_bind_udp("::1", &port);

    (void)state;
    assert_int_equal(kit_deposit(w, "s", sock, 10, &error), SOCKBROKER_OK);
    close(sock);
    fault_raw_start(&raw, b, "raw", 4);
    assert_int_equal(begin_withdraw(&raw, "s"), SOCKBROKER_OK);
    struct sb_hello hello = hello_of(&raw);
    kit_until(kit_find_deposit(b, "s", &d) && !d.taken_by[0]);
    assert_int_equal(sb_link_fetch(b->dir, NULL, &hello, KIT_WAIT_MS, &sock, NULL), SOCKBROKER_NOT_FOUND);
    kit_withdraw(w, "s", 10, &conn);
    close(conn.sock);
    sockbroker_worker_close(w);
    finish(b, &raw);
}

/* Nor does one that opens the door and stands in it. */
static void depositor_that_stands_in_the_door_is_sent_away(void **state)
{
    struct kit_broker *b = start("attach_ms=200");
    struct fault_raw raw;
    struct sb_hello hello;

    (void)state;
    fault_raw_start(&raw, b, "raw", 4);
    int door = open_door(b, &raw, "c", &hello);
    assert_int_equal(last_word(&door), SOCKBROKER_CLOSED);
    assert_int_equal(append(&raw, hello.grant_id, "c", 0, 1), SOCKBROKER_NOT_FOUND);
    check_works(b);
    finish(b, &raw);
}

static void requests_under_way_are_limited_for_each_worker(void **state)
{
    struct kit_broker *b = start(NULL);
    struct fault_raw raw;
    char name[16];

    (void)state;
    fault_raw_start(&raw, b, "raw", 4);
    for (unsigned i = 0; i < 64; i++) {
        format_text(name, sizeof(name), "n%u", i);
        assert_int_equal(announce(&raw, name, SB_STATE_MAX), SOCKBROKER_OK);
    }
    assert_int_equal(announce(&raw, "one-more", 0), SOCKBROKER_BUSY);
    check_works(b);
    fault_raw_close(&raw);
    kit_broker_wait_worker(b, "raw", "gone");
    fault_raw_start(&raw, b, "raw", 4);
    assert_int_equal(announce(&raw, "n0", 0), SOCKBROKER_OK);
    finish(b, &raw);
}

/* Both were announced while the name was free, and room for one. */
static void first_socket_to_come_gets_the_place(void **state)
{
    struct kit_broker *b = start("max_deposits=1");
    struct fault_raw raw;
    struct sockbroker_error error;
    uint16_t port;
    sockbroker_socket sock = kit_bind_udp("::1", &port);
    struct sb_hello hellos[3];

    (void)state;
    fault_raw_start(&raw, b, "raw", 4);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(announce(&raw, i < 2 ? "same" : "another", 0), SOCKBROKER_OK);
        hellos[i] = hello_of(&raw);
    }
    assert_int_equal(sb_link_leave(b->dir, NULL, &hellos[1], KIT_WAIT_MS, sock, &error), SOCKBROKER_OK);
    assert_int_equal(sb_link_leave(b->dir, NULL, &hellos[0], KIT_WAIT_MS, sock, &error), SOCKBROKER_NAME_TAKEN);
    assert_int_equal(sb_link_leave(b->dir, NULL, &hellos[2], KIT_WAIT_MS, sock, &error), SOCKBROKER_BUSY);
    close(sock);
    kit_wait_deposits(b, 1);
    assert_int_equal(begin_withdraw(&raw, "same"), SOCKBROKER_OK);
    struct sb_hello hello = hello_of(&raw);
    assert_int_equal(sb_link_fetch(b->dir, NULL, &hello, KIT_WAIT_MS, &sock, NULL), SOCKBROKER_OK);
    assert_true(settle(&raw, hello.grant_id, SB_VERDICT_ACK));
    close(sock);
    finish(b, &raw);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(token_of_a_deposit_must_be_right_and_is_good_once, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(token_is_good_for_the_process_that_asked_only, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(descriptor_without_a_token_is_not_let_in, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(packet_without_a_descriptor_deposits_nothing, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(two_descriptors_deposit_nothing, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(doors_that_close_again_hold_nothing, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(socket_that_comes_after_its_session_is_not_kept, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(state_comes_in_order_and_not_too_much, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(socket_that_comes_before_its_state_is_refused, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(state_is_read_by_its_taker_only, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(settling_what_one_does_not_have_changes_nothing, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(deposit_given_back_is_free_for_others, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(taker_that_never_comes_loses_its_place, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(depositor_that_stands_in_the_door_is_sent_away, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(requests_under_way_are_limited_for_each_worker, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(first_socket_to_come_gets_the_place, kit_setup, kit_teardown),
    };

    return kit_main(tests, argc, argv);
}
