/* What oserr.h promises of the codes of POSIX: a failed system call says what, why and what to do. */
#include "tests/unit/unit.h"

#include <errno.h>

#include "proto/error.h"
#include "proto/oserr.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(every_system_error_has_its_status_and_all_others_are_system),
        UNIT_TEST(a_system_error_is_told_by_name_and_text),
        UNIT_TEST(a_failed_call_says_what_why_and_what_to_do),
    };

    return cmocka_run_group_tests_name("oserr", tests, NULL, NULL);
}
