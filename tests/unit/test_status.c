/* What status.h, error.h and oserr.h promise: every answer has a name and a sentence. The codes of one system:
 * test_oserr_posix.c, test_oserr_win32.c. */
#include "tests/unit/unit.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "proto/error.h"
#include "proto/oserr.h"

static bool is_name(const char *text)
{
    return text[0] && text[strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_")] == '\0';
}

static void every_status_has_a_name_and_a_text_of_its_own(void **state)
{
    (void)state;
    for (int i = 0; i < SOCKBROKER_STATUS_COUNT; i++) {
        const char *name = sockbroker_status_name((sockbroker_status)i);
        const char *text = sockbroker_status_text((sockbroker_status)i);

        assert_true(is_name(name));
        assert_string_not_equal(name, "UNKNOWN");
        assert_true(text[0] && strlen(text) < 64);
        for (int k = 0; k < i; k++) {
            assert_string_not_equal(name, sockbroker_status_name((sockbroker_status)k));
            assert_string_not_equal(text, sockbroker_status_text((sockbroker_status)k));
        }
    }
    assert_string_equal(sockbroker_status_name(SOCKBROKER_ADDRESS_IN_USE), "ADDRESS_IN_USE");
    assert_string_equal(sockbroker_status_text(SOCKBROKER_ADDRESS_IN_USE), "the address is in use");
}

static void what_is_no_status_is_unknown(void **state)
{
    static const int values[] = { SOCKBROKER_STATUS_COUNT, SOCKBROKER_STATUS_COUNT + 1, -1, INT_MAX, INT_MIN, 1000 };

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(values); i++) {
        assert_string_equal(sockbroker_status_name((sockbroker_status)values[i]), "UNKNOWN");
        assert_string_equal(sockbroker_status_text((sockbroker_status)values[i]), "unknown status");
    }
}

static void no_system_error_is_taken_for_success(void **state)
{
    (void)state;
    for (int code = 1; code < 16384; code++)
        assert_true(sb_oserr_status(code) != SOCKBROKER_OK);
}

/* ---- errors ---- */

static void an_error_is_cut_to_fit_and_always_ended(void **state)
{
    struct sockbroker_error error;
    char text[2 * SOCKBROKER_ERROR_TEXT_MAX];

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    memset(&error, 0xff, sizeof(error));
    assert_status(SOCKBROKER_BUSY, sb_error_set(&error, SOCKBROKER_BUSY, 5, "%s", text));
    assert_int_equal(error.os_code, 5);
    assert_int_equal(strlen(error.text), SOCKBROKER_ERROR_TEXT_MAX - 1);
    assert_status(SOCKBROKER_BUSY, sb_error_set(NULL, SOCKBROKER_BUSY, 5, "%s", text));
}

static void foreign_text_is_made_fit_to_print(void **state)
{
    static const struct {
        const char *text;
        size_t len, room;
        const char *expected;
    } rows[] = {
        { "plain", 5, 96, "plain" },
        { "", 0, 96, "" },
        { "a\nb", 3, 96, "a\\x0ab" },
        { "a\0b", 3, 96, "a\\x00b" },
        { "\x1b[2J", 4, 96, "\\x1b[2J" },
        { "\"\\", 2, 96, "\\x22\\x5c" },
        { "\x7f\x80\xff", 3, 96, "\\x7f\\x80\\xff" },
        { "~ !", 3, 96, "~ !" },
        { "12345678", 8, 9, "12345678" },
        { "12345678", 8, 8, "1234..." },
        { "12345678", 8, 4, "..." },
        { "12345678", 8, 1, "" },
        { "\n\n", 2, 9, "\\x0a\\x0a" },
        { "\n\n", 2, 8, "\\x0a..." },
        { "\n", 1, 4, "..." },
        { "\n", 1, 5, "\\x0a" },
    };

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        char out[100];

        memset(out, '#', sizeof(out));
        assert_ptr_equal(sb_quote(rows[i].text, rows[i].len, out, rows[i].room), out);
        assert_string_equal(out, rows[i].expected);
        assert_true(strlen(out) < rows[i].room);
        assert_int_equal(out[rows[i].room], '#');
    }
    assert_null(sb_quote("x", 1, NULL, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(every_status_has_a_name_and_a_text_of_its_own),
        UNIT_TEST(what_is_no_status_is_unknown),
        UNIT_TEST(no_system_error_is_taken_for_success),
        UNIT_TEST(an_error_is_cut_to_fit_and_always_ended),
        UNIT_TEST(foreign_text_is_made_fit_to_print),
    };

    return cmocka_run_group_tests_name("status", tests, NULL, NULL);
}
