/* What keeper_pair.h promises on Windows: whole packets, and passengers of every kind. Both ends are in this process. */
#include "broker/keeper_pair.h"

#include <winsock2.h>

#include <windows.h>

#include <string.h>
#include <uv.h>

#include "broker/sealed.h"
#include "proto/socket.h"
#include "tests/unit/unit.h"

#define US ((sockbroker_socket)GetCurrentProcess())
#define NONE SOCKBROKER_SOCKET_NONE

static void open_pair(sockbroker_socket ends[2])
{
    assert_int_equal(uv_socketpair(SOCK_STREAM, 0, ends, UV_NONBLOCK_PIPE, UV_NONBLOCK_PIPE), 0);
    for (unsigned i = 0; i < 2; i++)
        assert_status(SOCKBROKER_OK, sb_socket_set_nonblocking(ends[i], true));
}

static void close_pair(sockbroker_socket ends[2])
{
    sb_socket_close(&ends[0]);
    sb_socket_close(&ends[1]);
}

/* Waits for one. */
static sockbroker_socket receive(sockbroker_socket end, const char *text)
{
    uint8_t buf[64];
    size_t len = 0;
    sockbroker_socket passenger = NONE;

    assert_true(sb_keeper_pair_wait(end, false, UNIT_PATIENCE_MS));
    assert_status(SOCKBROKER_OK, sb_keeper_pair_receive(end, buf, sizeof(buf), &len, &passenger));
    assert_int_equal(len, strlen(text));
    assert_memory_equal(buf, text, len);
    return passenger;
}

static void deliver(sockbroker_socket end, const char *text, sockbroker_socket passenger)
{
    assert_status(SOCKBROKER_OK, sb_keeper_pair_send(end, US, (const uint8_t *)text, strlen(text), passenger));
}

static void packets_come_whole_and_in_order(void **state)
{
    sockbroker_socket ends[2], passenger = NONE;
    uint8_t buf[8];
    size_t len;

    (void)state;
    open_pair(ends);
    assert_status(SOCKBROKER_AGAIN, sb_keeper_pair_receive(ends[1], buf, sizeof(buf), &len, &passenger));
    deliver(ends[0], "one", NONE);
    deliver(ends[0], "", NONE);
    deliver(ends[0], "three", NONE);
    assert_true(receive(ends[1], "one") == NONE);
    assert_true(receive(ends[1], "") == NONE);
    sb_socket_close(&ends[0]);
    assert_true(receive(ends[1], "three") == NONE); /* its sender has gone */
    assert_true(sb_keeper_pair_wait(ends[1], false, UNIT_PATIENCE_MS));
    assert_status(SOCKBROKER_CLOSED, sb_keeper_pair_receive(ends[1], buf, sizeof(buf), &len, &passenger));
    close_pair(ends);
}

static void part_of_a_packet_is_none(void **state)
{
    sockbroker_socket ends[2], passenger = NONE;
    static const uint8_t packet[] = { 6, 0, 0, 0, 'h', 'i' };
    static const uint8_t nonsense[] = { 2, 0, 9, 0 };
    uint8_t buf[8];
    size_t len;

    (void)state;
    open_pair(ends);
    for (unsigned i = 0; i < sizeof(packet); i++) {
        assert_status(SOCKBROKER_AGAIN, sb_keeper_pair_receive(ends[1], buf, sizeof(buf), &len, &passenger));
        assert_int_equal(send(ends[0], (const char *)&packet[i], 1, 0), 1);
        assert_true(sb_keeper_pair_wait(ends[1], false, UNIT_PATIENCE_MS));
    }
    assert_true(receive(ends[1], "hi") == NONE);
    assert_int_equal(send(ends[0], (const char *)nonsense, sizeof(nonsense), 0), sizeof(nonsense));
    assert_true(sb_keeper_pair_wait(ends[1], false, UNIT_PATIENCE_MS));
    assert_status(SOCKBROKER_CLOSED, sb_keeper_pair_receive(ends[1], buf, sizeof(buf), &len, &passenger));
    close_pair(ends);
}

static void sockets_go_with_it(void **state)
{
    sockbroker_socket ends[2], sock = unit_socket(AF_INET, SOCK_DGRAM);
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) }, there = at;
    int len = sizeof(there);

    (void)state;
    assert_int_equal(bind(sock, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(getsockname(sock, (struct sockaddr *)&at, &len), 0);
    open_pair(ends);
    deliver(ends[0], "sock", sock);
    sb_socket_close(&sock);
    sock = receive(ends[1], "sock");
    assert_true(sock != NONE);
    assert_int_equal(getsockname(sock, (struct sockaddr *)&there, &len), 0);
    assert_int_equal(there.sin_port, at.sin_port);
    sb_socket_close(&sock);
    close_pair(ends);
}

static void memory_and_processes_go_with_it(void **state)
{
    sockbroker_socket ends[2], memory = NONE;
    HANDLE process = OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION | SYNCHRONIZE, FALSE, GetCurrentProcessId());
    char text[6];

    (void)state;
    open_pair(ends);
    assert_status(SOCKBROKER_OK, sb_sealed_write("abc", 3, "def", 3, &memory));
    deliver(ends[0], "m", memory);
    deliver(ends[0], "p", (sockbroker_socket)process);
    sb_socket_close(&memory);
    CloseHandle(process);
    memory = receive(ends[1], "m");
    assert_true(sb_sealed_read(memory, 0, text, 6));
    assert_memory_equal(text, "abcdef", 6);
    assert_false(sb_sealed_read(memory, 1, text, 6));
    sb_socket_close(&memory);
    process = (HANDLE)receive(ends[1], "p");
    assert_int_equal(GetProcessId(process), GetCurrentProcessId());
    CloseHandle(process);
    close_pair(ends);
}

/* No passenger is made that could not be sent: it would stay in the other process. */
static void full_pair_takes_no_passenger(void **state)
{
    static const uint8_t filling[512];
    sockbroker_socket ends[2], memory = NONE;
    sockbroker_status st;
    DWORD before = 0;

    (void)state;
    open_pair(ends);
    assert_status(SOCKBROKER_OK, sb_sealed_write("abc", 3, NULL, 0, &memory));
    do
        st = sb_keeper_pair_send(ends[0], US, filling, sizeof(filling), NONE);
    while (!st);
    assert_status(SOCKBROKER_AGAIN, st);
    before = (DWORD)unit_count_descriptors();
    for (unsigned i = 0; i < 10; i++)
        assert_status(SOCKBROKER_AGAIN, sb_keeper_pair_send(ends[0], US, (const uint8_t *)"m", 1, memory));
    assert_int_equal(unit_count_descriptors(), before);
    sb_socket_close(&memory);
    close_pair(ends);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(packets_come_whole_and_in_order), UNIT_TEST(part_of_a_packet_is_none),     UNIT_TEST(sockets_go_with_it),
        UNIT_TEST(memory_and_processes_go_with_it), UNIT_TEST(full_pair_takes_no_passenger),
    };

    sb_socket_prepare();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
