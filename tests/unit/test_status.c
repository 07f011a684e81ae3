/* What status.h, error.h and oserr.h promise: every answer has a name and a sentence, and a failed system call says
 * what, why and what to do. */
#include "tests/unit/unit.h"

#include <errno.h>
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

/* ---- system errors ---- */

static const struct {
    int code;
    sockbroker_status expected;
} translations[] = {
    { 0, SOCKBROKER_OK },
    { EAGAIN, SOCKBROKER_AGAIN },
    { EINTR, SOCKBROKER_AGAIN },
    { EMFILE, SOCKBROKER_NO_DESCRIPTORS },
    { ENFILE, SOCKBROKER_NO_DESCRIPTORS },
    { ENOMEM, SOCKBROKER_NO_MEMORY },
    { ENOBUFS, SOCKBROKER_NO_MEMORY },
    { EACCES, SOCKBROKER_PERMISSION },
    { EPERM, SOCKBROKER_PERMISSION },
    { EADDRINUSE, SOCKBROKER_ADDRESS_IN_USE },
    { EADDRNOTAVAIL, SOCKBROKER_ADDRESS_NOT_AVAILABLE },
    { EAFNOSUPPORT, SOCKBROKER_UNSUPPORTED },
    { EOPNOTSUPP, SOCKBROKER_UNSUPPORTED },
    { EPROTONOSUPPORT, SOCKBROKER_UNSUPPORTED },
    { EPIPE, SOCKBROKER_CLOSED },
    { ECONNRESET, SOCKBROKER_CLOSED },
    { ENOTCONN, SOCKBROKER_CLOSED },
    { ECONNREFUSED, SOCKBROKER_NO_BROKER },
    { ENOENT, SOCKBROKER_NO_BROKER },
    { ETIMEDOUT, SOCKBROKER_TIMEOUT },
};

static sockbroker_status expected_of(int code)
{
    for (size_t i = 0; i < UNIT_COUNT(translations); i++) {
        if (translations[i].code == code)
            return translations[i].expected;
    }
    return SOCKBROKER_SYSTEM;
}

static void every_system_error_has_its_status_and_all_others_are_system(void **state)
{
    (void)state;
    for (int code = -1; code < 4096; code++)
        assert_status(expected_of(code), sb_oserr_status(code));
}

static void no_system_error_is_taken_for_success(void **state)
{
    (void)state;
    for (int code = 1; code < 4096; code++)
        assert_true(sb_oserr_status(code) != SOCKBROKER_OK);
}

static void a_system_error_is_told_by_name_and_text(void **state)
{
    char text[96];

    (void)state;
    assert_string_equal(sb_oserr_text(EMFILE, text, sizeof(text)), "EMFILE (Too many open files)");
    assert_string_equal(sb_oserr_text(4000, text, sizeof(text)), "unknown error (?)");
    assert_string_equal(sb_oserr_text(EMFILE, text, 7), "EMFILE");
    assert_string_equal(sb_oserr_text(EMFILE, text, 1), "");
    errno = EDOM;
    assert_int_equal(sb_oserr_last(), EDOM);
}

static void a_failed_call_says_what_why_and_what_to_do(void **state)
{
    struct sockbroker_error error;

    (void)state;
    assert_status(SOCKBROKER_PERMISSION, sb_oserr_set(&error, EACCES, "bind [::]:80", "ask root"));
    assert_int_equal(error.status, SOCKBROKER_PERMISSION);
    assert_int_equal(error.os_code, EACCES);
    assert_string_equal(error.text, "bind [::]:80: EACCES (Permission denied). ask root");
    assert_status(SOCKBROKER_PERMISSION, sb_oserr_set(&error, EACCES, "bind", NULL));
    assert_string_equal(error.text, "bind: EACCES (Permission denied)");
    assert_status(SOCKBROKER_SYSTEM, sb_oserr_set(NULL, EIO, "read", NULL));
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
        UNIT_TEST(every_system_error_has_its_status_and_all_others_are_system),
        UNIT_TEST(no_system_error_is_taken_for_success),
        UNIT_TEST(a_system_error_is_told_by_name_and_text),
        UNIT_TEST(a_failed_call_says_what_why_and_what_to_do),
        UNIT_TEST(an_error_is_cut_to_fit_and_always_ended),
        UNIT_TEST(foreign_text_is_made_fit_to_print),
    };

    return cmocka_run_group_tests_name("status", tests, NULL, NULL);
}
