/* What secret.h promises. (That the comparison takes the same time for all is seen in its source, not here.) */
#include "tests/unit/unit.h"

#include <string.h>

#include "proto/secret.h"

static void bytes_are_filled_to_the_last_and_differ_each_time(void **state)
{
    static const size_t lens[] = { 1, 4, 31, 32, 33, 64, 255, 256 };

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(lens); i++) {
        uint8_t seen[257] = { 0 };

        for (int round = 0; round < 64; round++) { /* a byte that is 0 in all of them: one in 2^512 */
            uint8_t bytes[257] = { 0 };

            assert_status(SOCKBROKER_OK, sb_secret_fill(bytes, lens[i]));
            for (size_t k = 0; k < sizeof(bytes); k++)
                seen[k] |= bytes[k];
        }
        for (size_t k = 0; k < sizeof(seen); k++)
            assert_int_equal(seen[k] != 0, k < lens[i]);
    }
}

static void two_secrets_are_never_the_same(void **state)
{
    enum { N = 500 };
    static uint8_t secrets[N][32];

    (void)state;
    for (size_t i = 0; i < N; i++) {
        assert_status(SOCKBROKER_OK, sb_secret_fill(secrets[i], sizeof(secrets[i])));
        for (size_t k = 0; k < i; k++)
            assert_false(sb_secret_equal(secrets[i], secrets[k], sizeof(secrets[i])));
    }
}

static void nothing_is_filled_when_nothing_is_asked(void **state)
{
    uint8_t byte = 7;

    (void)state;
    assert_status(SOCKBROKER_OK, sb_secret_fill(&byte, 0));
    assert_int_equal(byte, 7);
}

static void one_bit_makes_the_difference_wherever_it_is(void **state)
{
    uint8_t a[32], b[32];

    (void)state;
    assert_status(SOCKBROKER_OK, sb_secret_fill(a, sizeof(a)));
    memcpy(b, a, sizeof(b));
    assert_true(sb_secret_equal(a, b, sizeof(a)));
    for (size_t bit = 0; bit < 8 * sizeof(a); bit++) {
        b[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(sb_secret_equal(a, b, sizeof(a)));
        assert_int_equal(sb_secret_equal(a, b, bit / 8), true); /* and only where it is */
        b[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_true(sb_secret_equal(a, b, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(bytes_are_filled_to_the_last_and_differ_each_time),
        UNIT_TEST(two_secrets_are_never_the_same),
        UNIT_TEST(nothing_is_filled_when_nothing_is_asked),
        UNIT_TEST(one_bit_makes_the_difference_wherever_it_is),
    };

    return cmocka_run_group_tests_name("secret", tests, NULL, NULL);
}
