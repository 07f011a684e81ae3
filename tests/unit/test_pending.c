/* What pending.h promises: the two halves of a connection find each other, whichever comes first, and never those of
 * another lease or session; and no socket is lost or closed twice. */
#include "tests/unit/unit.h"

#include <string.h>

#include "client-lib/pending.h"
#include "proto/socket.h"

/* ---- support ---- */

static const struct sb_pending none = SB_PENDING_NONE;

static sockbroker_socket any_socket(void)
{
    return unit_socket(AF_INET, SOCK_DGRAM);
}

static sockbroker_status add_record(struct sb_pending *p, uint64_t session_id, uint64_t lease_id, uint64_t now_ms)
{
    struct sockbroker_socket_info info;

    memset(&info, 0, sizeof(info));
    info.lease_id = lease_id;
    info.protocol = (uint32_t)lease_id;
    return sb_pending_add_record(p, session_id, &info, now_ms);
}

static sockbroker_status add_socket(struct sb_pending *p, uint64_t session_id, uint64_t lease_id, uint64_t now_ms)
{
    sockbroker_socket sock = any_socket();
    sockbroker_status st = sb_pending_add_socket(p, session_id, lease_id, sock, now_ms);

    if (st)
        sb_socket_close(&sock); /* not moved */
    return st;
}

static struct sb_pending_query query(enum sb_pending_kind kind)
{
    return (struct sb_pending_query){ kind, 0, 0, UINT64_MAX };
}

static uint64_t take(struct sb_pending *p, struct sb_pending_query q)
{
    struct sb_pending_entry e;

    assert_int_equal(sb_pending_has(p, &q), true);
    assert_true(sb_pending_take(p, &q, &e));
    sb_socket_close(&e.sock);
    return e.lease_id;
}

static void assert_none(struct sb_pending *p, struct sb_pending_query q)
{
    struct sb_pending_entry e;

    assert_false(sb_pending_has(p, &q));
    assert_false(sb_pending_take(p, &q, &e));
}

/* ---- tests ---- */

static void nothing_is_in_an_empty_table(void **state)
{
    struct sb_pending p = none;

    (void)state;
    for (int kind = SB_PENDING_COMPLETE; kind <= SB_PENDING_ANY; kind++)
        assert_none(&p, query((enum sb_pending_kind)kind));
    sb_pending_deinit(&p);
    sb_pending_deinit(&p);
}

static void halves_find_each_other_whichever_comes_first(void **state)
{
    (void)state;
    for (int record_first = 0; record_first <= 1; record_first++) {
        struct sb_pending p = none;
        struct sb_pending_entry e;
        struct sb_pending_query complete = query(SB_PENDING_COMPLETE);

        assert_status(SOCKBROKER_OK, record_first ? add_record(&p, 1, 7, 10) : add_socket(&p, 1, 7, 10));
        assert_none(&p, complete);
        assert_status(SOCKBROKER_OK, record_first ? add_socket(&p, 1, 7, 20) : add_record(&p, 1, 7, 20));
        assert_int_equal(p.n_used, 1);
        assert_true(sb_pending_take(&p, &complete, &e));
        assert_int_equal(e.session_id, 1);
        assert_int_equal(e.lease_id, 7);
        assert_int_equal(e.info.lease_id, 7);
        assert_int_equal(e.info.protocol, 7);
        assert_int_equal(e.since_ms, 10);
        assert_true(e.has_record && e.sock != SOCKBROKER_SOCKET_NONE);
        assert_int_equal(p.n_used, 0);
        assert_none(&p, query(SB_PENDING_ANY));
        sb_pending_deinit(&p);
        assert_true(unit_is_open(e.sock)); /* it is ours now */
        sb_socket_close(&e.sock);
    }
}

static void halves_of_other_leases_or_sessions_stay_apart(void **state)
{
    struct sb_pending p = none;

    (void)state;
    assert_status(SOCKBROKER_OK, add_record(&p, 1, 7, 0));
    assert_status(SOCKBROKER_OK, add_socket(&p, 1, 8, 0));
    assert_status(SOCKBROKER_OK, add_socket(&p, 2, 7, 0)); /* the next broker counts anew */
    assert_none(&p, query(SB_PENDING_COMPLETE));
    assert_int_equal(p.n_used, 3);
    assert_status(SOCKBROKER_OK, add_record(&p, 2, 7, 0));
    struct sb_pending_query q = query(SB_PENDING_COMPLETE);
    q.session_id = 1;
    assert_none(&p, q);
    q.session_id = 2;
    assert_int_equal(take(&p, q), 7);
    sb_pending_deinit(&p);
}

static void each_kind_is_what_it_says(void **state)
{
    /* leases: 1 complete, 2 a socket only, 3 a record only */
    static const struct {
        enum sb_pending_kind kind;
        bool holds[4];
    } rows[] = {
        { SB_PENDING_COMPLETE, { false, true, false, false } }, { SB_PENDING_WITH_SOCKET, { false, true, true, false } },
        { SB_PENDING_HALF, { false, false, true, true } },      { SB_PENDING_RECORD, { false, false, false, true } },
        { SB_PENDING_ANY, { false, true, true, true } },
    };

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct sb_pending p = none;
        bool seen[4] = { false };
        size_t n = 0;

        assert_status(SOCKBROKER_OK, add_record(&p, 5, 1, 0));
        assert_status(SOCKBROKER_OK, add_socket(&p, 5, 1, 0));
        assert_status(SOCKBROKER_OK, add_socket(&p, 5, 2, 0));
        assert_status(SOCKBROKER_OK, add_record(&p, 5, 3, 0));
        struct sb_pending_query q = query(rows[i].kind);
        for (; sb_pending_has(&p, &q); n++)
            seen[take(&p, q)] = true;
        assert_memory_equal(seen, rows[i].holds, sizeof(seen));
        assert_int_equal(p.n_used, 3 - n);
        sb_pending_deinit(&p);
    }
}

static void a_query_may_name_a_session_or_leave_one_out(void **state)
{
    struct sb_pending p = none;
    struct sb_pending_query only = query(SB_PENDING_ANY), others = query(SB_PENDING_ANY);

    (void)state;
    assert_status(SOCKBROKER_OK, add_socket(&p, 1, 11, 0));
    assert_status(SOCKBROKER_OK, add_socket(&p, 2, 22, 0));
    only.session_id = 2;
    others.except_id = 1;
    assert_int_equal(take(&p, only), 22);
    assert_none(&p, only);
    assert_none(&p, others);
    others.except_id = 2;
    assert_int_equal(take(&p, others), 11);
    sb_pending_deinit(&p);
}

static void a_half_is_late_by_the_time_of_the_first(void **state)
{
    struct sb_pending p = none;
    struct sb_pending_query q = query(SB_PENDING_HALF);

    (void)state;
    assert_status(SOCKBROKER_OK, add_record(&p, 1, 1, 1000));
    assert_status(SOCKBROKER_OK, add_record(&p, 1, 1, 5000)); /* told again: not a new start */
    q.not_after_ms = 999;
    assert_none(&p, q);
    q.not_after_ms = 1000;
    assert_int_equal(take(&p, q), 1);
    sb_pending_deinit(&p);
}

static void a_second_half_of_the_same_kind_replaces_the_first(void **state)
{
    struct sb_pending p = none;
    struct sb_pending_entry e;
    struct sb_pending_query any = query(SB_PENDING_ANY);
    sockbroker_socket first = any_socket(), second = any_socket();

    (void)state;
    assert_status(SOCKBROKER_OK, sb_pending_add_socket(&p, 1, 7, first, 0));
    assert_status(SOCKBROKER_OK, sb_pending_add_socket(&p, 1, 7, second, 0));
    assert_int_equal(p.n_used, 1);
    assert_false(unit_is_open(first));
    assert_true(sb_pending_take(&p, &any, &e));
    assert_true(e.sock == second);
    sb_socket_close(&e.sock);
    sb_pending_deinit(&p);
}

/* A table with room in front must not make those wait that stand behind it. */
static void who_came_first_is_taken_first(void **state)
{
    struct sb_pending p = none;
    uint64_t next = 1;

    (void)state;
    for (uint64_t lease_id = 1; lease_id <= 100; lease_id++) {
        assert_status(SOCKBROKER_OK, add_record(&p, 7, lease_id, 0));
        assert_status(SOCKBROKER_OK, add_socket(&p, 7, lease_id, 0));
        if (lease_id % 10) /* one more stays of each ten */
            assert_int_equal(take(&p, query(SB_PENDING_COMPLETE)), next++);
    }
    while (next <= 100)
        assert_int_equal(take(&p, query(SB_PENDING_COMPLETE)), next++);
    sb_pending_deinit(&p);
}

static void a_window_full_of_entries_fits_and_no_more(void **state)
{
    struct sb_pending p = none;

    (void)state;
    for (uint64_t i = 1; i <= SB_WINDOW_MAX; i++)
        assert_status(SOCKBROKER_OK, add_record(&p, 1, i, i));
    assert_status(SOCKBROKER_BUSY, add_record(&p, 1, SB_WINDOW_MAX + 1, 0));
    assert_status(SOCKBROKER_BUSY, add_socket(&p, 1, SB_WINDOW_MAX + 1, 0));
    assert_int_equal(p.n_used, SB_WINDOW_MAX);
    assert_status(SOCKBROKER_OK, add_socket(&p, 1, 500, 0)); /* the other half of one that is there */
    assert_int_equal(take(&p, query(SB_PENDING_COMPLETE)), 500);
    assert_status(SOCKBROKER_OK, add_record(&p, 1, SB_WINDOW_MAX + 1, 0));
    assert_status(SOCKBROKER_BUSY, add_record(&p, 1, SB_WINDOW_MAX + 2, 0));
    sb_pending_deinit(&p);
    assert_int_equal(p.n_used, 0);
}

static void deinit_closes_what_nobody_took(void **state)
{
    struct sb_pending p = none;

    (void)state;
    for (uint64_t i = 1; i <= 100; i++) {
        assert_status(SOCKBROKER_OK, add_socket(&p, 1, i, 0));
        if (i % 3 == 0)
            assert_status(SOCKBROKER_OK, add_record(&p, 1, i, 0));
    }
    for (int i = 0; i < 20; i++)
        take(&p, query(SB_PENDING_COMPLETE));
    sb_pending_deinit(&p); /* the runner then counts descriptors */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(nothing_is_in_an_empty_table),
        UNIT_TEST(halves_find_each_other_whichever_comes_first),
        UNIT_TEST(halves_of_other_leases_or_sessions_stay_apart),
        UNIT_TEST(each_kind_is_what_it_says),
        UNIT_TEST(a_query_may_name_a_session_or_leave_one_out),
        UNIT_TEST(a_half_is_late_by_the_time_of_the_first),
        UNIT_TEST(a_second_half_of_the_same_kind_replaces_the_first),
        UNIT_TEST(who_came_first_is_taken_first),
        UNIT_TEST(a_window_full_of_entries_fits_and_no_more),
        UNIT_TEST(deinit_closes_what_nobody_took),
    };

    return cmocka_run_group_tests_name("pending", tests, NULL, NULL);
}
