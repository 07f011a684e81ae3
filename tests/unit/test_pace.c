/* What pace.h promises: at once, then more and more slowly, then no more. */
#include "broker/pace.h"
#include "tests/unit/unit.h"

#define MIDDLE 512 /* the random number that spreads nothing */

static void first_death_is_followed_at_once(void **state)
{
    struct sb_pace p = { .restarts = 10, .window_ms = 1000 };
    uint64_t delay_ms = 77;

    (void)state;
    assert_true(sb_pace_died(&p, 5000, 1023, &delay_ms));
    assert_int_equal(delay_ms, 0);
}

static void delays_double_up_to_the_longest(void **state)
{
    static const uint64_t expected[] = { 0, 100, 200, 400, 800, 1600, 3200, 5000, 5000 };
    struct sb_pace p = { .restarts = 100, .window_ms = 60000 };
    uint64_t delay_ms;

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(expected); i++) {
        assert_true(sb_pace_died(&p, 1000 + i, MIDDLE, &delay_ms));
        assert_int_equal(delay_ms, expected[i]);
    }
}

static uint64_t second_delay(uint32_t random)
{
    struct sb_pace p = { .restarts = 10, .window_ms = 60000 };
    uint64_t delay_ms = 0;

    sb_pace_died(&p, 0, random, &delay_ms);
    sb_pace_died(&p, 0, random, &delay_ms);
    return delay_ms;
}

static void delays_are_spread(void **state)
{
    (void)state;
    assert_int_equal(second_delay(0), 50);
    assert_int_equal(second_delay(UINT32_MAX), 149);
}

static void too_many_within_the_window_are_the_end(void **state)
{
    struct sb_pace p = { .restarts = 3, .window_ms = 1000 };
    uint64_t delay_ms;

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        assert_true(sb_pace_died(&p, i, MIDDLE, &delay_ms));
    assert_false(sb_pace_died(&p, 999, MIDDLE, &delay_ms));
}

static void deaths_long_ago_are_forgotten(void **state)
{
    struct sb_pace p = { .restarts = 3, .window_ms = 1000 };
    uint64_t delay_ms;

    (void)state;
    for (unsigned i = 0; i < 1000; i++)
        assert_true(sb_pace_died(&p, 334ull * i, MIDDLE, &delay_ms));
    assert_true(sb_pace_died(&p, 1000000, MIDDLE, &delay_ms));
    assert_int_equal(delay_ms, 0);
}

static void none_and_most_are_kept_to(void **state)
{
    struct sb_pace none = { .restarts = 0, .window_ms = 1000 };
    struct sb_pace most = { .restarts = UINT32_MAX, .window_ms = UINT32_MAX };
    uint64_t delay_ms;

    (void)state;
    assert_false(sb_pace_died(&none, 1, MIDDLE, &delay_ms));
    for (unsigned i = 0; i < SB_PACE_MOST; i++)
        assert_true(sb_pace_died(&most, i, MIDDLE, &delay_ms));
    assert_false(sb_pace_died(&most, SB_PACE_MOST, MIDDLE, &delay_ms));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(first_death_is_followed_at_once),
        UNIT_TEST(delays_double_up_to_the_longest),
        UNIT_TEST(delays_are_spread),
        UNIT_TEST(too_many_within_the_window_are_the_end),
        UNIT_TEST(deaths_long_ago_are_forgotten),
        UNIT_TEST(none_and_most_are_kept_to),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
