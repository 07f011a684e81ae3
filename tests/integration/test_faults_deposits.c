/* Workers that deposit and withdraw as nobody should: out of order, with other people's tokens. What was there before is there
 * after, and nothing stays open in the broker. */
#include <string.h>

#include "client-lib/link.h"
#include "tests/integration/deposits_kit.h"
#include "tests/support/format.h"
#include "tests/support/kit_deposit.h"
#include "tests/support/net.h"

/* ---- requests, one by one ---- */

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

/* ---- tokens ---- */

static void token_of_a_deposit_must_be_right_and_is_good_once(void **state)
{
    struct kit_broker *b = deposits_start(NULL);
    struct fault_raw raw;
    uint16_t port;
    sockbroker_socket sock = kit_bind_udp("::1", &port);

    (void)state;
    fault_raw_start(&raw, b, "raw", 4);
    uint64_t bad = fault_broker_status(b).bad_messages;
    assert_int_equal(deposits_announce(&raw, "c", 0), SOCKBROKER_OK);
    struct sb_hello good = deposits_hello_of(&raw), wrong = good;
    wrong.token[31] ^= 1;
    assert_int_equal(sb_link_leave(b->dir, raw.client, &wrong, KIT_WAIT_MS, sock, NULL), SOCKBROKER_REFUSED);
    wrong = good;
    wrong.grant_id ^= 1u << 30;
    assert_int_equal(sb_link_leave(b->dir, raw.client, &wrong, KIT_WAIT_MS, sock, NULL), SOCKBROKER_NOT_FOUND);
    wrong = good;
    wrong.session_id ^= 2;
    assert_int_equal(sb_link_leave(b->dir, raw.client, &wrong, KIT_WAIT_MS, sock, NULL), SOCKBROKER_NOT_FOUND);
    assert_int_equal(fault_broker_status(b).bad_messages, bad + 3);
    assert_int_equal(sb_link_leave(b->dir, raw.client, &good, KIT_WAIT_MS, sock, NULL), SOCKBROKER_OK);
    assert_int_equal(sb_link_leave(b->dir, raw.client, &good, KIT_WAIT_MS, sock, NULL), SOCKBROKER_NOT_FOUND);
    kit_wait_deposits(b, 1);
    net_close(&sock);
    assert_int_equal(begin_withdraw(&raw, "c"), SOCKBROKER_OK);
    good = deposits_hello_of(&raw);
    assert_int_equal(sb_link_fetch(b->dir, raw.client, &good, KIT_WAIT_MS, &sock, NULL), SOCKBROKER_OK);
    sockbroker_socket second = SOCKBROKER_SOCKET_NONE;
    assert_int_equal(sb_link_fetch(b->dir, raw.client, &good, KIT_WAIT_MS, &second, NULL), SOCKBROKER_NOT_FOUND);
    bool kept = false;
    assert_int_equal(fault_raw_settle(&raw, good.grant_id, SB_VERDICT_ACK, &kept), SOCKBROKER_OK);
    assert_true(kept);
    net_close(&sock);
    deposits_check_works(b);
    deposits_finish(b, &raw);
}

static void token_is_good_for_the_process_that_asked_only(void **state)
{
    struct kit_broker *b = deposits_start(NULL);
    struct sockbroker_worker *w = kit_asker_open(b, "w");
    struct fault_raw raw;
    struct sockbroker_error error;
    struct sockbroker_conn conn;
    uint16_t port;
    sockbroker_socket sock = kit_bind_udp("::1", &port);

    (void)state;
    assert_int_equal(kit_deposit(w, "c", sock, 10, &error), SOCKBROKER_OK);
    net_close(&sock);
    fault_raw_start(&raw, b, "raw", 4);
    assert_int_equal(begin_withdraw(&raw, "c"), SOCKBROKER_OK);
    struct sb_hello hello = deposits_hello_of(&raw);
    fault_worker_said(fault_show_token(b, &hello, NULL), "hello gave REFUSED");
    kit_broker_wait_log(b, "event=hello_refused");
    fault_raw_close(&raw);
    kit_withdraw(w, "c", 10, &conn);
    net_close(&conn.sock);
    sockbroker_worker_close(w);
    deposits_finish(b, &raw);
}

/* ---- state ---- */

static void state_comes_in_order_and_not_too_much(void **state)
{
    struct kit_broker *b = deposits_start(NULL);
    struct fault_raw raw, other;
    uint16_t port;
    sockbroker_socket sock = kit_bind_udp("::1", &port);

    (void)state;
    fault_raw_start(&raw, b, "raw", 4);
    fault_raw_start(&other, b, "other", 4);
    assert_int_equal(deposits_announce(&raw, "s", 10000), SOCKBROKER_OK);
    struct sb_hello hello = deposits_hello_of(&raw);
    uint64_t id = hello.grant_id;
    assert_int_equal(deposits_append(&raw, id, "s", 1, 100), SOCKBROKER_BAD_MESSAGE);
    assert_int_equal(deposits_append(&raw, id, "s", 0, SB_CHUNK_MAX), SOCKBROKER_OK);
    assert_int_equal(deposits_append(&raw, id, "s", 0, 100), SOCKBROKER_BAD_MESSAGE);
    assert_int_equal(deposits_append(&raw, id, "s", SB_CHUNK_MAX, 10001 - SB_CHUNK_MAX), SOCKBROKER_BAD_MESSAGE);
    assert_int_equal(deposits_append(&other, id, "s", SB_CHUNK_MAX, 100), SOCKBROKER_NOT_FOUND);
    assert_int_equal(deposits_append(&raw, id + 1, "s", SB_CHUNK_MAX, 100), SOCKBROKER_NOT_FOUND);
    assert_int_equal(deposits_append(&raw, id, "s", SB_CHUNK_MAX, 10000 - SB_CHUNK_MAX), SOCKBROKER_OK);
    assert_int_equal(deposits_append(&raw, id, "s", 10000, 1), SOCKBROKER_BAD_MESSAGE);
    assert_int_equal(sb_link_leave(b->dir, raw.client, &hello, KIT_WAIT_MS, sock, NULL), SOCKBROKER_OK);
    assert_int_equal(deposits_append(&raw, id, "s", 0, 100), SOCKBROKER_NOT_FOUND);
    net_close(&sock);
    struct sockbroker_worker *w = kit_asker_open(b, "w");
    struct sockbroker_conn conn;
    kit_withdraw(w, "s", 10000, &conn);
    net_close(&conn.sock);
    sockbroker_worker_close(w);
    fault_raw_close(&other);
    deposits_finish(b, &raw);
}

static void socket_that_comes_before_its_state_is_refused(void **state)
{
    struct kit_broker *b = deposits_start(NULL);
    struct fault_raw raw;
    struct sockbroker_error error;
    uint16_t port;
    sockbroker_socket sock = kit_bind_udp("::1", &port);

    (void)state;
    fault_raw_start(&raw, b, "raw", 4);
    assert_int_equal(deposits_announce(&raw, "s", 10000), SOCKBROKER_OK);
    struct sb_hello hello = deposits_hello_of(&raw);
    assert_int_equal(deposits_append(&raw, hello.grant_id, "s", 0, SB_CHUNK_MAX), SOCKBROKER_OK);
    assert_int_equal(sb_link_leave(b->dir, raw.client, &hello, KIT_WAIT_MS, sock, &error), SOCKBROKER_BAD_MESSAGE);
    assert_string_equal(error.text, "8192 of 10000 bytes of state have come");
    net_close(&sock);
    kit_wait_deposits(b, 0);
    deposits_finish(b, &raw);
}

static void state_is_read_by_its_taker_only(void **state)
{
    struct kit_broker *b = deposits_start(NULL);
    struct sockbroker_worker *w = kit_asker_open(b, "w");
    struct fault_raw raw, other;
    struct sockbroker_error error;
    uint16_t port;
    sockbroker_socket sock = kit_bind_udp("::1", &port);

    (void)state;
    assert_int_equal(kit_deposit(w, "s", sock, 10000, &error), SOCKBROKER_OK);
    net_close(&sock);
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
    assert_int_equal(deposits_append(&raw, id, "s", 0, 100), SOCKBROKER_NOT_FOUND); /* it is no deposit under way */
    fault_raw_close(&raw);
    struct sockbroker_conn conn;
    kit_withdraw(w, "s", 10000, &conn);
    net_close(&conn.sock);
    sockbroker_worker_close(w);
    fault_raw_close(&other);
    deposits_finish(b, &raw);
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
    struct kit_broker *b = deposits_start(NULL);
    struct sockbroker_worker *w = kit_asker_open(b, "w");
    struct fault_raw raw, other;
    struct sockbroker_error error;
    uint16_t port;
    sockbroker_socket sock = kit_bind_udp("::1", &port);

    (void)state;
    assert_int_equal(kit_deposit(w, "s", sock, 10, &error), SOCKBROKER_OK);
    net_close(&sock);
    fault_raw_start(&raw, b, "raw", 4);
    fault_raw_start(&other, b, "other", 4);
    uint64_t bad = fault_broker_status(b).bad_messages;
    assert_int_equal(begin_withdraw(&raw, "s"), SOCKBROKER_OK);
    struct sb_hello hello = deposits_hello_of(&raw);
    uint64_t id = hello.grant_id;
    assert_false(settle(&raw, id, SB_VERDICT_ACK)); /* it was not fetched */
    assert_int_equal(kit_try_withdraw(w, "s", &error), SOCKBROKER_BUSY);
    assert_int_equal(sb_link_fetch(b->dir, raw.client, &hello, KIT_WAIT_MS, &sock, NULL), SOCKBROKER_OK);
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
    net_close(&sock);
    sockbroker_worker_close(w);
    fault_raw_close(&other);
    deposits_finish(b, &raw);
}

static void deposit_given_back_is_free_for_others(void **state)
{
    struct kit_broker *b = deposits_start(NULL);
    struct sockbroker_worker *w = kit_asker_open(b, "w");
    struct fault_raw raw;
    struct sockbroker_error error;
    struct sockbroker_conn conn;
    uint16_t port;
    sockbroker_socket sock = kit_bind_udp("::1", &port);

    (void)state;
    assert_int_equal(kit_deposit(w, "s", sock, 10, &error), SOCKBROKER_OK);
    net_close(&sock);
    fault_raw_start(&raw, b, "raw", 4);
    for (unsigned fetched = 0; fetched < 2; fetched++) {
        assert_int_equal(begin_withdraw(&raw, "s"), SOCKBROKER_OK);
        struct sb_hello hello = deposits_hello_of(&raw);
        if (fetched)
            assert_int_equal(sb_link_fetch(b->dir, raw.client, &hello, KIT_WAIT_MS, &sock, NULL), SOCKBROKER_OK);
        assert_int_equal(kit_try_withdraw(w, "s", &error), SOCKBROKER_BUSY);
        assert_false(settle(&raw, hello.grant_id, SB_VERDICT_NACK_UNUSABLE));
        assert_false(settle(&raw, hello.grant_id, SB_VERDICT_ACK)); /* too late */
    }
    net_close(&sock);
    kit_withdraw(w, "s", 10, &conn);
    net_close(&conn.sock);
    sockbroker_worker_close(w);
    deposits_finish(b, &raw);
}

/* Nobody comes for it within attach_ms. */
static void taker_that_never_comes_loses_its_place(void **state)
{
    struct kit_broker *b = deposits_start("attach_ms=200");
    struct sockbroker_worker *w = kit_asker_open(b, "w");
    struct fault_raw raw;
    struct sockbroker_error error;
    struct sockbroker_conn conn;
    struct sb_deposit_status d;
    uint16_t port;
    sockbroker_socket sock = kit_bind_udp("::1", &port);

    (void)state;
    assert_int_equal(kit_deposit(w, "s", sock, 10, &error), SOCKBROKER_OK);
    net_close(&sock);
    fault_raw_start(&raw, b, "raw", 4);
    assert_int_equal(begin_withdraw(&raw, "s"), SOCKBROKER_OK);
    struct sb_hello hello = deposits_hello_of(&raw);
    kit_until(kit_find_deposit(b, "s", &d) && !d.taken_by[0]);
    assert_int_equal(sb_link_fetch(b->dir, raw.client, &hello, KIT_WAIT_MS, &sock, NULL), SOCKBROKER_NOT_FOUND);
    kit_withdraw(w, "s", 10, &conn);
    net_close(&conn.sock);
    sockbroker_worker_close(w);
    deposits_finish(b, &raw);
}

static void requests_under_way_are_limited_for_each_worker(void **state)
{
    struct kit_broker *b = deposits_start(NULL);
    struct fault_raw raw;
    char name[16];

    (void)state;
    fault_raw_start(&raw, b, "raw", 4);
    for (unsigned i = 0; i < 64; i++) {
        format_text(name, sizeof(name), "n%u", i);
        assert_int_equal(deposits_announce(&raw, name, SB_STATE_MAX), SOCKBROKER_OK);
    }
    assert_int_equal(deposits_announce(&raw, "one-more", 0), SOCKBROKER_BUSY);
    deposits_check_works(b);
    fault_raw_close(&raw);
    kit_broker_wait_worker(b, "raw", "gone");
    fault_raw_start(&raw, b, "raw", 4);
    assert_int_equal(deposits_announce(&raw, "n0", 0), SOCKBROKER_OK);
    deposits_finish(b, &raw);
}

/* Both were announced while the name was free, and room for one. */
static void first_socket_to_come_gets_the_place(void **state)
{
    struct kit_broker *b = deposits_start("max_deposits=1");
    struct fault_raw raw;
    struct sockbroker_error error;
    uint16_t port;
    sockbroker_socket sock = kit_bind_udp("::1", &port);
    struct sb_hello hellos[3];

    (void)state;
    fault_raw_start(&raw, b, "raw", 4);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(deposits_announce(&raw, i < 2 ? "same" : "another", 0), SOCKBROKER_OK);
        hellos[i] = deposits_hello_of(&raw);
    }
    assert_int_equal(sb_link_leave(b->dir, raw.client, &hellos[1], KIT_WAIT_MS, sock, &error), SOCKBROKER_OK);
    assert_int_equal(sb_link_leave(b->dir, raw.client, &hellos[0], KIT_WAIT_MS, sock, &error), SOCKBROKER_NAME_TAKEN);
    assert_int_equal(sb_link_leave(b->dir, raw.client, &hellos[2], KIT_WAIT_MS, sock, &error), SOCKBROKER_BUSY);
    net_close(&sock);
    kit_wait_deposits(b, 1);
    assert_int_equal(begin_withdraw(&raw, "same"), SOCKBROKER_OK);
    struct sb_hello hello = deposits_hello_of(&raw);
    assert_int_equal(sb_link_fetch(b->dir, raw.client, &hello, KIT_WAIT_MS, &sock, NULL), SOCKBROKER_OK);
    assert_true(settle(&raw, hello.grant_id, SB_VERDICT_ACK));
    net_close(&sock);
    deposits_finish(b, &raw);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(token_of_a_deposit_must_be_right_and_is_good_once, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(token_is_good_for_the_process_that_asked_only, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(state_comes_in_order_and_not_too_much, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(socket_that_comes_before_its_state_is_refused, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(state_is_read_by_its_taker_only, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(settling_what_one_does_not_have_changes_nothing, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(deposit_given_back_is_free_for_others, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(taker_that_never_comes_loses_its_place, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(requests_under_way_are_limited_for_each_worker, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(first_socket_to_come_gets_the_place, kit_setup, kit_teardown),
    };

    return kit_main(tests, argc, argv);
}
