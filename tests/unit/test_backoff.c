/* When a worker that ended may start again (broker/backoff.h). */
#include "tests/unit/unit.h"

#include "broker/backoff.h"

static const struct sb_backoff_limits limits = { 100, 5, 60000 };

static uint32_t must_delay(struct sb_backoff *b, const struct sb_backoff_limits *l, uint64_t now_ms, uint64_t up_ms,
                           uint32_t random)
{
    uint32_t delay_ms = 0;

    assert_true(sb_backoff_next(b, l, now_ms, up_ms, random, &delay_ms));
    return delay_ms;
}

static void the_delay_doubles_up_to_32_times_the_first(void **state)
{
    static const uint32_t expected[] = { 100, 200, 400, 800, 1600, 3200, 3200, 3200 };
    const struct sb_backoff_limits many = { 100, 100, 60000 };
    struct sb_backoff b = { 0 };

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(expected); i++)
        assert_int_equal(must_delay(&b, &many, 1000, 0, 0), expected[i]);
}

static void the_jitter_takes_off_a_half_at_the_most(void **state)
{
    uint32_t least = UINT32_MAX, most = 0;

    (void)state;
    for (uint32_t random = 0; random < 1000; random++) {
        struct sb_backoff b = { 0 };
        uint32_t delay_ms = must_delay(&b, &limits, 1000, 0, random * 2654435761u);

        least = delay_ms < least ? delay_ms : least;
        most = delay_ms > most ? delay_ms : most;
    }
    assert_int_equal(least, 50);
    assert_int_equal(most, 100);
}

static void who_was_steady_begins_with_the_first_delay(void **state)
{
    struct sb_backoff b = { 0 };

    (void)state;
    must_delay(&b, &limits, 1000, 0, 0);
    assert_int_equal(must_delay(&b, &limits, 2000, SB_BACKOFF_STEADY_MS - 1, 0), 200);
    assert_int_equal(must_delay(&b, &limits, 20000, SB_BACKOFF_STEADY_MS, 0), 100);
    assert_int_equal(must_delay(&b, &limits, 21000, 0, 0), 200);
}

static void one_restart_too_many_within_the_window_is_refused(void **state)
{
    struct sb_backoff b = { 0 };
    uint32_t delay_ms = 77;

    (void)state;
    for (uint64_t i = 0; i < 5; i++)
        must_delay(&b, &limits, 1000 + i, 0, 0);
    assert_false(sb_backoff_next(&b, &limits, 1000 + 59999, 0, 0, &delay_ms));
    assert_int_equal(delay_ms, 77);
    must_delay(&b, &limits, 1000 + 60000, 0, 0); /* the first of them is forgotten, the others are not */
    assert_false(sb_backoff_next(&b, &limits, 1000 + 60000, 0, 0, &delay_ms));
    must_delay(&b, &limits, 1001 + 60000, 0, 0);
}

static void a_limit_of_0_allows_none_and_of_100_allows_100(void **state)
{
    const struct sb_backoff_limits none = { 100, 0, 60000 }, hundred = { 100, SB_BACKOFF_RESTARTS_MAX, 60000 };
    struct sb_backoff b = { 0 };
    uint32_t delay_ms;

    (void)state;
    assert_false(sb_backoff_next(&b, &none, 1, 0, 0, &delay_ms));
    for (unsigned round = 0; round < 3; round++) { /* around the ring more than once */
        for (uint64_t i = 0; i < SB_BACKOFF_RESTARTS_MAX; i++)
            must_delay(&b, &hundred, round * 60100u + i, 0, 0);
        assert_false(sb_backoff_next(&b, &hundred, round * 60100u + 100, 0, 0, &delay_ms));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(the_delay_doubles_up_to_32_times_the_first),     UNIT_TEST(the_jitter_takes_off_a_half_at_the_most),
        UNIT_TEST(who_was_steady_begins_with_the_first_delay),     UNIT_TEST(one_restart_too_many_within_the_window_is_refused),
        UNIT_TEST(a_limit_of_0_allows_none_and_of_100_allows_100),
    };

    return cmocka_run_group_tests_name("backoff", tests, NULL, NULL);
}
