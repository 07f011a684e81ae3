/* What listen.h promises on Windows alone. */
#include "tests/unit/listen_kit.h"

#include <string.h>

#include "proto/socket.h"

static void listening_sockets_are_exclusive_and_not_inherited(void **state)
{
    struct listen_opened o;
    DWORD flags = HANDLE_FLAG_INHERIT;

    (void)state;
    assert_status(SOCKBROKER_OK, listen_open_at("127.0.0.1:0", false, &o));
    assert_int_equal(unit_option(o.sock, SOL_SOCKET, SO_EXCLUSIVEADDRUSE), 1);
    assert_true(GetHandleInformation((HANDLE)o.sock, &flags));
    assert_int_equal(flags & HANDLE_FLAG_INHERIT, 0);
    sb_socket_close(&o.sock);
}

/* Who sets SO_REUSEADDR would get in without the other option. */
static void nobody_can_bind_beside_a_listening_socket(void **state)
{
    struct listen_opened o;
    struct sockaddr_storage sa;
    BOOL on = TRUE;

    (void)state;
    assert_status(SOCKBROKER_OK, listen_open_at("127.0.0.1:0", false, &o));
    sockbroker_socket thief = unit_socket(AF_INET, SOCK_STREAM);
    assert_int_equal(setsockopt(thief, SOL_SOCKET, SO_REUSEADDR, (const char *)&on, sizeof(on)), 0);
    int len = (int)unit_address("127.0.0.1", o.at.port, &sa);
    assert_int_equal(bind(thief, (struct sockaddr *)&sa, len), SOCKET_ERROR);
    assert_int_equal(WSAGetLastError(), WSAEACCES);
    sb_socket_close(&thief);
    sb_socket_close(&o.sock);
}

static void a_group_on_one_address_is_refused(void **state)
{
    struct sb_listen_request r = listen_request("127.0.0.1:0", false);
    struct listen_opened o = { .sock = SOCKBROKER_SOCKET_NONE };

    (void)state;
    r.reuseport = true;
    assert_status(SOCKBROKER_UNSUPPORTED, sb_listen_open(&r, &o.sock, &o.at, &o.note, &o.error));
    assert_non_null(strstr(o.error.text, "mode=share"));
    assert_true(o.sock == SOCKBROKER_SOCKET_NONE);
}

/* On POSIX any holder of a copy can. */
static void a_listening_socket_cannot_be_shut_down(void **state)
{
    struct listen_opened o;

    (void)state;
    assert_status(SOCKBROKER_OK, listen_open_at("127.0.0.1:0", false, &o));
    assert_int_equal(shutdown(o.sock, SD_BOTH), SOCKET_ERROR);
    assert_true(sb_listen_is_on(o.sock));
    assert_true(listen_serves(&o, "127.0.0.1"));
    assert_status(SOCKBROKER_OK, sb_listen_again(o.sock, &o.at, 32));
    assert_true(listen_serves(&o, "127.0.0.1"));
    sb_socket_close(&o.sock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(listening_sockets_are_exclusive_and_not_inherited),
        UNIT_TEST(nobody_can_bind_beside_a_listening_socket),
        UNIT_TEST(a_group_on_one_address_is_refused),
        UNIT_TEST(a_listening_socket_cannot_be_shut_down),
    };

    return cmocka_run_group_tests_name("listen_win32", tests, NULL, NULL);
}
