/* A stamp gives the same bytes, and reads the same values, as the full way through protobuf-c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/stamp.h"

static uint64_t seed = 20261123;

static uint64_t next_random(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return seed >> 11;
}

static void random_addr(struct sockbroker_addr *a, enum sockbroker_family family)
{
    memset(a, 0, sizeof(*a));
    a->family = family;
    a->port = (uint16_t)next_random();
    for (size_t i = 0; i < (family == SOCKBROKER_IPV4 ? 4u : 16u); i++)
        a->ip[i] = (uint8_t)(next_random() % 5 ? next_random() : 0);
}

static void random_info(struct sockbroker_socket_info *info)
{
    static const char *const names[] = { "web", "w", "a-much-longer-name.of-an-endpoint_with-all-it-may-have-in-it-123456" };

    memset(info, 0, sizeof(*info));
    info->lease_id = next_random() | 1u;
    info->accept_time_ns = next_random();
    info->socket_family = next_random() % 4 ? SOCKBROKER_IPV6 : SOCKBROKER_IPV4;
    info->type = SOCKBROKER_STREAM;
    info->protocol = 6;
    info->nonblocking = next_random() % 8 == 0;
    random_addr(&info->peer, next_random() % 2 ? SOCKBROKER_IPV4 : SOCKBROKER_IPV6);
    random_addr(&info->local, info->peer.family);
    if (next_random() % 16 == 0)
        info->peer.port = 0;
    if (next_random() % 16 == 0 && info->peer.family == SOCKBROKER_IPV6)
        info->peer.scope_id = 2;
    strncpy(info->endpoint, names[next_random() % 16 ? 0 : next_random() % 3], SOCKBROKER_NAME_MAX);
}

static size_t pack_whole(const struct sockbroker_socket_info *info, uint8_t *buf, size_t cap)
{
    struct sb_delivery d;
    size_t len = 0;

    memset(&d, 0, sizeof(d));
    d.kind = SB_DELIVERY_INFO;
    d.number = info->lease_id;
    d.record.info = *info;
    assert_int_equal(sb_wire_pack_delivery(&d, buf, cap, &len), SOCKBROKER_OK);
    return len;
}

static void stamped_bytes_are_those_of_protobuf(void **state)
{
    struct sb_stamp stamp = { .len = 0 };
    uint8_t fast[SB_PACKET_MAX], whole[SB_PACKET_MAX];
    struct sockbroker_socket_info info;
    size_t len, reused = 0;

    (void)state;
    for (int i = 0; i < 50000; i++) {
        uint16_t before = stamp.len;

        random_info(&info);
        assert_int_equal(sb_stamp_pack(&stamp, &info, fast, sizeof(fast), &len), SOCKBROKER_OK);
        assert_int_equal(len, pack_whole(&info, whole, sizeof(whole)));
        assert_memory_equal(fast, whole, len);
        reused += before && stamp.len == before;
    }
    assert_true(reused > 1000); /* or the test did not meet the fast way */
}

static void stamped_values_are_those_of_protobuf(void **state)
{
    struct sb_stamp stamp = { .len = 0 };
    struct sockbroker_socket_info info, got;
    uint8_t whole[SB_PACKET_MAX];
    struct sb_delivery d;
    size_t hits = 0;

    (void)state;
    for (int i = 0; i < 50000; i++) {
        random_info(&info);
        size_t len = pack_whole(&info, whole, sizeof(whole));

        memset(&got, 0xa5, sizeof(got));
        memset(&d, 0, sizeof(d));
        assert_int_equal(sb_wire_unpack_delivery(whole, len, &d, NULL), SOCKBROKER_OK);
        if (sb_stamp_unpack(&stamp, whole, len, &got)) {
            hits++;
            assert_int_equal(got.lease_id, d.record.info.lease_id);
            assert_int_equal(got.accept_time_ns, d.record.info.accept_time_ns);
            assert_int_equal(got.socket_family, d.record.info.socket_family);
            assert_int_equal(got.nonblocking, d.record.info.nonblocking);
            assert_int_equal(got.listening, d.record.info.listening);
            assert_int_equal(got.peer.port, d.record.info.peer.port);
            assert_int_equal(got.local.port, d.record.info.local.port);
            assert_memory_equal(got.peer.ip, d.record.info.peer.ip, 16);
            assert_memory_equal(got.local.ip, d.record.info.local.ip, 16);
            assert_string_equal(got.endpoint, d.record.info.endpoint);
        }
        sb_stamp_learn(&stamp, &info);
    }
    assert_true(hits > 1000);
}

/* Whatever the fast way takes, the full way takes too. */
static void a_changed_bit_is_never_taken_by_the_stamp_alone(void **state)
{
    struct sb_stamp stamp = { .len = 0 };
    struct sockbroker_socket_info info, got;
    uint8_t whole[SB_PACKET_MAX];
    struct sb_delivery d;

    (void)state;
    for (int round = 0; round < 200; round++) {
        random_info(&info);
        size_t len = pack_whole(&info, whole, sizeof(whole));

        sb_stamp_learn(&stamp, &info);
        for (size_t bit = 0; bit < 8 * len; bit++) {
            whole[bit / 8] ^= (uint8_t)(1u << bit % 8);
            if (sb_stamp_unpack(&stamp, whole, len, &got))
                assert_int_equal(sb_wire_unpack_delivery(whole, len, &d, NULL), SOCKBROKER_OK);
            whole[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
}

/* ---- listening sockets ---- */

static void usual_connection(struct sockbroker_socket_info *info, const char *endpoint)
{
    memset(info, 0, sizeof(*info));
    info->lease_id = info->accept_time_ns = 1;
    info->socket_family = SOCKBROKER_IPV4;
    info->type = SOCKBROKER_STREAM;
    info->protocol = 6;
    info->peer = (struct sockbroker_addr){ .family = SOCKBROKER_IPV4, .port = 1, .ip = { 192, 0, 2, 1 } };
    info->local = (struct sockbroker_addr){ .family = SOCKBROKER_IPV4, .port = 80, .ip = { 192, 0, 2, 2 } };
    strcpy(info->endpoint, endpoint);
}

static void a_listening_socket_is_no_connection_of_the_same_endpoint(void **state)
{
    struct sockbroker_socket_info connection, listening, got;
    uint8_t fast[SB_PACKET_MAX], whole[SB_PACKET_MAX];
    struct sb_stamp stamp = { .len = 0 };
    size_t len;

    (void)state;
    usual_connection(&connection, "web");
    sb_stamp_learn(&stamp, &connection);
    assert_true(stamp.len > 0);
    listening = connection;
    listening.listening = true;
    assert_int_equal(sb_stamp_pack(&stamp, &listening, fast, sizeof(fast), &len), SOCKBROKER_INVALID);
    memset(&listening.peer, 0, sizeof(listening.peer));
    assert_false(sb_stamp_unpack(&stamp, whole, pack_whole(&listening, whole, sizeof(whole)), &got));
    assert_int_equal(sb_stamp_pack(&stamp, &listening, fast, sizeof(fast), &len), SOCKBROKER_OK);
    assert_memory_equal(fast, whole, len);
    assert_int_equal(stamp.len, 0); /* without a peer there is nothing to stamp */
    assert_false(sb_stamp_unpack(&stamp, whole, len, &got));
}

/* Two letters of the name make room for the field that says it. */
static void a_listening_packet_as_long_as_that_of_a_connection_is_told_apart(void **state)
{
    static const uint8_t says_listening[] = { 0x60, 1 };
    struct sockbroker_socket_info info, got;
    struct sb_stamp stamp = { .len = 0 };
    uint8_t whole[SB_PACKET_MAX];
    struct sb_delivery d;
    size_t len;

    (void)state;
    usual_connection(&info, "webxx");
    sb_stamp_learn(&stamp, &info);
    usual_connection(&info, "web");
    len = pack_whole(&info, whole, sizeof(whole));
    memcpy(whole + len, says_listening, sizeof(says_listening));
    len += sizeof(says_listening);
    whole[1] = (uint8_t)(whole[1] + sizeof(says_listening));
    assert_int_equal(len, stamp.len);
    assert_false(sb_stamp_unpack(&stamp, whole, len, &got));
    assert_int_equal(sb_wire_unpack_delivery(whole, len, &d, NULL), SOCKBROKER_BAD_MESSAGE); /* it has a peer */
}

/* ---- reports ---- */

static void random_report(struct sb_report *r)
{
    memset(r, 0, sizeof(*r));
    r->n_results = (uint32_t)(1 + next_random() % (next_random() % 8 ? 2 : SB_RESULTS_MAX));
    for (uint32_t i = 0; i < r->n_results; i++) {
        r->results[i].lease_id = next_random() | 1u;
        r->results[i].verdict = (enum sb_verdict)(1 + next_random() % SB_VERDICT_FINISHED);
    }
}

static void a_report_is_what_protobuf_makes_of_it(void **state)
{
    uint8_t fast[SB_PACKET_MAX], whole[SB_PACKET_MAX];
    struct sb_report r, got;
    size_t fast_len, len;

    (void)state;
    for (int i = 0; i < 5000; i++) {
        random_report(&r);
        memset(&got, 0, sizeof(got));
        assert_int_equal(sb_wire_pack_report(&r, whole, sizeof(whole), &len), SOCKBROKER_OK);
        assert_true(sb_stamp_pack_report(&r, fast, sizeof(fast), &fast_len));
        assert_int_equal(fast_len, len);
        assert_memory_equal(fast, whole, len);
        assert_true(sb_stamp_unpack_report(whole, len, &got));
        assert_memory_equal(&got, &r, sizeof(r));
        assert_false(sb_stamp_unpack_report(whole, len - 1, &got));
        assert_false(sb_stamp_pack_report(&r, fast, len - 1, &fast_len));
    }
    r.probe = 1;
    assert_false(sb_stamp_pack_report(&r, fast, sizeof(fast), &fast_len));
}

static void a_bad_report_is_never_taken_the_short_way(void **state)
{
    uint8_t whole[SB_PACKET_MAX];
    struct sb_report r, got;
    size_t len;

    (void)state;
    for (int round = 0; round < 100; round++) {
        random_report(&r);
        assert_int_equal(sb_wire_pack_report(&r, whole, sizeof(whole), &len), SOCKBROKER_OK);
        for (size_t bit = 0; bit < 8 * len; bit++) {
            whole[bit / 8] ^= (uint8_t)(1u << bit % 8);
            if (sb_stamp_unpack_report(whole, len, &got))
                assert_int_equal(sb_wire_unpack_report(whole, len, &got, NULL), SOCKBROKER_OK);
            whole[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stamped_bytes_are_those_of_protobuf),
        cmocka_unit_test(stamped_values_are_those_of_protobuf),
        cmocka_unit_test(a_changed_bit_is_never_taken_by_the_stamp_alone),
        cmocka_unit_test(a_listening_socket_is_no_connection_of_the_same_endpoint),
        cmocka_unit_test(a_listening_packet_as_long_as_that_of_a_connection_is_told_apart),
        cmocka_unit_test(a_report_is_what_protobuf_makes_of_it),
        cmocka_unit_test(a_bad_report_is_never_taken_the_short_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
