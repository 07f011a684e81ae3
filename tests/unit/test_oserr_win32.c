/* What oserr.h promises of the codes of Windows: a failed system call says what, why and what to do. */
#include "tests/unit/unit.h"

#include <string.h>

#include <winsock2.h>
#include <windows.h>

#include "proto/error.h"
#include "proto/oserr.h"
#include "tests/support/format.h"

static const struct {
    int code;
    sockbroker_status expected;
} translations[] = {
    { 0, SOCKBROKER_OK },
    { WSAEWOULDBLOCK, SOCKBROKER_AGAIN },
    { WSAEINTR, SOCKBROKER_AGAIN },
    { ERROR_IO_PENDING, SOCKBROKER_AGAIN },
    { WSAEMFILE, SOCKBROKER_NO_DESCRIPTORS },
    { ERROR_TOO_MANY_OPEN_FILES, SOCKBROKER_NO_DESCRIPTORS },
    { WSAENOBUFS, SOCKBROKER_NO_MEMORY },
    { ERROR_NOT_ENOUGH_MEMORY, SOCKBROKER_NO_MEMORY },
    { ERROR_OUTOFMEMORY, SOCKBROKER_NO_MEMORY },
    { ERROR_NO_SYSTEM_RESOURCES, SOCKBROKER_NO_MEMORY },
    { WSAEACCES, SOCKBROKER_PERMISSION },
    { ERROR_ACCESS_DENIED, SOCKBROKER_PERMISSION },
    { ERROR_PRIVILEGE_NOT_HELD, SOCKBROKER_PERMISSION },
    { WSAEADDRINUSE, SOCKBROKER_ADDRESS_IN_USE },
    { WSAEADDRNOTAVAIL, SOCKBROKER_ADDRESS_NOT_AVAILABLE },
    { WSAEAFNOSUPPORT, SOCKBROKER_UNSUPPORTED },
    { WSAEOPNOTSUPP, SOCKBROKER_UNSUPPORTED },
    { WSAEPROTONOSUPPORT, SOCKBROKER_UNSUPPORTED },
    { WSAESOCKTNOSUPPORT, SOCKBROKER_UNSUPPORTED },
    { ERROR_NOT_SUPPORTED, SOCKBROKER_UNSUPPORTED },
    { ERROR_CALL_NOT_IMPLEMENTED, SOCKBROKER_UNSUPPORTED },
    { WSAECONNRESET, SOCKBROKER_CLOSED },
    { WSAENOTCONN, SOCKBROKER_CLOSED },
    { WSAESHUTDOWN, SOCKBROKER_CLOSED },
    { ERROR_BROKEN_PIPE, SOCKBROKER_CLOSED },
    { ERROR_NO_DATA, SOCKBROKER_CLOSED },
    { WSAECONNREFUSED, SOCKBROKER_NO_BROKER },
    { ERROR_FILE_NOT_FOUND, SOCKBROKER_NO_BROKER },
    { WSAETIMEDOUT, SOCKBROKER_TIMEOUT },
    { ERROR_PIPE_BUSY, SOCKBROKER_BUSY },
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
    for (int code = -1; code < 16384; code++)
        assert_status(expected_of(code), sb_oserr_status(code));
}

/* The words are the system's; some are not there. */
static void a_system_error_is_told_by_name_and_text(void **state)
{
    char text[96];

    (void)state;
    assert_memory_equal(sb_oserr_text(WSAEMFILE, text, sizeof(text)), "WSAEMFILE (", 11);
    assert_int_equal(text[strlen(text) - 1], ')');
    assert_null(strpbrk(text, "\r\n"));
    assert_string_equal(sb_oserr_text(15999, text, sizeof(text)), "error 15999 (?)");
    assert_string_equal(sb_oserr_text(WSAEMFILE, text, 10), "WSAEMFILE");
    assert_string_equal(sb_oserr_text(WSAEMFILE, text, 1), "");
    SetLastError(ERROR_ARENA_TRASHED);
    assert_int_equal(sb_oserr_last(), ERROR_ARENA_TRASHED);
    sb_oserr_set_last(WSAEINTR);
    assert_int_equal(WSAGetLastError(), WSAEINTR);
}

static void a_failed_call_says_what_why_and_what_to_do(void **state)
{
    struct sockbroker_error error;
    char words[96], expected[192];

    (void)state;
    sb_oserr_text(WSAEACCES, words, sizeof(words));
    assert_status(SOCKBROKER_PERMISSION, sb_oserr_set(&error, WSAEACCES, "bind [::]:80", "ask an administrator"));
    assert_int_equal(error.status, SOCKBROKER_PERMISSION);
    assert_int_equal(error.os_code, WSAEACCES);
    format_text(expected, sizeof(expected), "bind [::]:80: %s. ask an administrator", words);
    assert_string_equal(error.text, expected);
    assert_status(SOCKBROKER_PERMISSION, sb_oserr_set(&error, WSAEACCES, "bind", NULL));
    format_text(expected, sizeof(expected), "bind: %s", words);
    assert_string_equal(error.text, expected);
    assert_status(SOCKBROKER_SYSTEM, sb_oserr_set(NULL, ERROR_CRC, "read", NULL));
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
