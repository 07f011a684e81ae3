/* A socket inside its record (proto/xfer.h on Windows): what it opens, where, and everything it is refused for; and a process
 * that has ended, whose number is nobody else's while its handle is held. */
#include "tests/unit/unit.h"

#include <windows.h>

#include <aclapi.h>
#include <sddl.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/peer.h"
#include "proto/socket.h"
#include "proto/xfer.h"
#include "tests/support/format.h"

/* ---- a child: this program again, with a record in a file ---- */

struct child {
    HANDLE process;
    HANDLE go; /* it waits for that first */
    char name[64];
};

static void start_child(struct child *c, const char *verb)
{
    STARTUPINFOA how = { .cb = sizeof(how) };
    PROCESS_INFORMATION what;
    char self[MAX_PATH], line[2 * MAX_PATH];

    format_text(c->name, sizeof(c->name), "%s", unit_path(verb));
    c->go = CreateEventA(NULL, TRUE, FALSE, c->name);
    assert_non_null(c->go);
    assert_true(GetModuleFileNameA(NULL, self, sizeof(self)) < sizeof(self));
    format_text(line, sizeof(line), "\"%s\" %s %s", self, verb, c->name);
    assert_true(CreateProcessA(NULL, line, NULL, NULL, FALSE, DETACHED_PROCESS, NULL, NULL, &how, &what));
    CloseHandle(what.hThread);
    c->process = what.hProcess;
}

static DWORD finish_child(struct child *c)
{
    DWORD code = 0;

    SetEvent(c->go);
    assert_int_equal(WaitForSingleObject(c->process, UNIT_PATIENCE_MS), WAIT_OBJECT_0);
    assert_true(GetExitCodeProcess(c->process, &code));
    CloseHandle(c->go);
    return code;
}

static const char *file_of(const char *name, char *path_out, size_t size)
{
    char folder[MAX_PATH];

    GetTempPathA(sizeof(folder), folder);
    format_text(path_out, size, "%s%s", folder, name);
    return path_out;
}

static void leave_record(const struct child *c, const struct sb_record *record)
{
    char path[MAX_PATH];
    FILE *file = fopen(file_of(c->name, path, sizeof(path)), "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(record, sizeof(*record), 1, file), 1);
    assert_int_equal(fclose(file), 0);
}

/* In the child. */
static int open_and_greet(const char *name)
{
    HANDLE go = OpenEventA(SYNCHRONIZE, FALSE, name);
    struct sb_record record;
    sockbroker_socket sock;
    char path[MAX_PATH];

    if (!go || WaitForSingleObject(go, UNIT_PATIENCE_MS) != WAIT_OBJECT_0)
        return 2;
    FILE *file = fopen(file_of(name, path, sizeof(path)), "rb");
    bool read = file && fread(&record, sizeof(record), 1, file) == 1;
    if (file)
        fclose(file);
    remove(path);
    if (!read || sb_socket_prepare() || sb_xfer_open_record(&record, &sock))
        return 3;
    bool sent = send(sock, "child", 5, 0) == 5;
    sb_socket_close(&sock);
    return sent ? 0 : 4;
}

static int just_wait(const char *name)
{
    HANDLE go = OpenEventA(SYNCHRONIZE, FALSE, name);

    return go && WaitForSingleObject(go, UNIT_PATIENCE_MS) == WAIT_OBJECT_0 ? 0 : 2;
}

/* ---- records ---- */

static sockbroker_socket self(void)
{
    return (sockbroker_socket)GetCurrentProcess();
}

static void describe(struct sb_record *record, bool is_ipv6)
{
    memset(record, 0, sizeof(*record));
    record->info.lease_id = 1;
    record->info.socket_family = is_ipv6 ? SOCKBROKER_IPV6 : SOCKBROKER_IPV4;
    record->info.type = SOCKBROKER_STREAM;
    record->info.nonblocking = true;
}

static void fill(struct sb_record *record, sockbroker_socket process, sockbroker_socket sock, bool is_ipv6)
{
    int os_code = 0;

    describe(record, is_ipv6);
    assert_status(SOCKBROKER_OK, sb_xfer_fill_record(process, sock, record, &os_code));
    assert_int_equal(record->protocol_info_len, SB_PROTOCOL_INFO_MAX);
    assert_int_equal(record->protocol_info_layout, sizeof(void *));
}

static void expect(sockbroker_socket client, const char *text)
{
    char got[16] = "";
    int len = 0, n = 1;

    while (len < (int)strlen(text) && n > 0) {
        n = recv(client, got + len, (int)sizeof(got) - 1 - len, 0);
        len += n > 0 ? n : 0;
    }
    assert_string_equal(got, text);
}

static const char *const ips[] = { "127.0.0.1", "::1", "::ffff:127.0.0.1" };

/* ---- tests ---- */

static void a_record_opens_the_socket_it_was_made_of(void **state)
{
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(ips); i++) {
        sockbroker_socket copy = SOCKBROKER_SOCKET_NONE;
        struct sb_record record;
        struct unit_tcp t;
        DWORD flags = HANDLE_FLAG_INHERIT;
        char c;

        unit_tcp_open(&t, ips[i]);
        fill(&record, self(), t.server, i > 0);
        assert_status(SOCKBROKER_OK, sb_xfer_open_record(&record, &copy));
        sb_socket_close(&t.server);
        assert_true(GetHandleInformation((HANDLE)copy, &flags));
        assert_int_equal(flags & HANDLE_FLAG_INHERIT, 0);
        assert_int_equal(recv(copy, &c, 1, 0), -1);
        assert_int_equal(WSAGetLastError(), WSAEWOULDBLOCK); /* as the record says */
        assert_int_equal(send(copy, "here", 4, 0), 4);
        expect(t.client, "here");
        sb_socket_close(&copy);
        assert_int_equal(recv(t.client, &c, 1, 0), 0); /* nobody has it any more */
        unit_tcp_close(&t);
    }
}

static void another_process_opens_what_was_made_for_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(ips); i++) {
        struct child c;
        struct unit_tcp t;
        struct sb_record record;

        unit_tcp_open(&t, ips[i]);
        start_child(&c, "greet");
        fill(&record, (sockbroker_socket)c.process, t.server, i > 0);
        leave_record(&c, &record);
        assert_int_equal(finish_child(&c), 0);
        expect(t.client, "child");
        CloseHandle(c.process);
        unit_tcp_close(&t);
    }
}

/* F110: what was made and never opened goes with the process; ours serves on. */
static void an_unopened_copy_ends_with_its_process(void **state)
{
    struct sb_peer peer = SB_PEER_NONE;
    sockbroker_socket copy = SOCKBROKER_SOCKET_NONE;
    struct sb_record record;
    struct child c;
    struct unit_tcp t;
    char byte;

    (void)state;
    unit_tcp_open(&t, "127.0.0.1");
    start_child(&c, "wait");
    assert_status(SOCKBROKER_OK, sb_peer_open_pid(GetProcessId(c.process), &peer));
    fill(&record, peer.handle, t.server, false);
    assert_status(SOCKBROKER_OK, sb_peer_kill(&peer));
    finish_child(&c);
    assert_false(sb_peer_is_alive(&peer));
    fill(&record, self(), t.server, false); /* the next one gets it */
    assert_status(SOCKBROKER_OK, sb_xfer_open_record(&record, &copy));
    assert_int_equal(send(copy, "again", 5, 0), 5);
    expect(t.client, "again");
    sb_socket_close(&copy);
    sb_socket_close(&t.server);
    assert_int_equal(recv(t.client, &byte, 1, 0), 0); /* no copy is left anywhere */
    sb_peer_close(&peer);
    CloseHandle(c.process);
    unit_tcp_close(&t);
}

/* F112: the handle stands for the one that ended, whoever may get its number. */
static void nothing_is_made_for_a_process_that_has_ended(void **state)
{
    struct sb_peer peer = SB_PEER_NONE;
    struct sb_record record;
    struct child c;
    struct unit_tcp t;
    int os_code = 0;

    (void)state;
    unit_tcp_open(&t, "127.0.0.1");
    start_child(&c, "wait");
    assert_status(SOCKBROKER_OK, sb_peer_open_pid(GetProcessId(c.process), &peer));
    assert_true(sb_peer_is_alive(&peer));
    assert_int_equal(finish_child(&c), 0);
    assert_false(sb_peer_is_alive(&peer));
    assert_status(SOCKBROKER_CLOSED, sb_peer_kill(&peer));
    describe(&record, false);
    assert_status(SOCKBROKER_CLOSED, sb_xfer_fill_record(peer.handle, t.server, &record, &os_code));
    assert_int_equal(record.protocol_info_len, 0);
    assert_status(SOCKBROKER_CLOSED, sb_xfer_send(peer.handle, SB_CARRIER_MESSAGE, &record, t.server, NULL, &os_code));
    sb_peer_close(&peer);
    CloseHandle(c.process);
    unit_tcp_close(&t);
}

static void refused(const struct sb_record *record)
{
    sockbroker_socket sock = SOCKBROKER_SOCKET_NONE;
    int before = unit_count_descriptors();

    assert_status(SOCKBROKER_BAD_MESSAGE, sb_xfer_open_record(record, &sock));
    assert_true(sock == SOCKBROKER_SOCKET_NONE);
    assert_int_equal(unit_count_descriptors(), before);
}

/* A description of such sockets, as any process can get it. */
static void forget_copy(struct sb_record *record)
{
    WSAPROTOCOL_INFOW info;

    memcpy(&info, record->protocol_info, sizeof(info));
    info.dwServiceFlags2 = info.dwServiceFlags3 = info.dwServiceFlags4 = info.dwProviderReserved = 0;
    memcpy(record->protocol_info, &info, sizeof(info));
}

/* Where Windows itself notes the copy: nothing here may look for the place where Wine does. */
static void a_note_may_stand_where_windows_has_it(void **state)
{
    struct sb_record record;
    WSAPROTOCOL_INFOW info;
    sockbroker_socket sock;
    struct unit_tcp t;

    (void)state;
    unit_tcp_open(&t, "127.0.0.1");
    fill(&record, self(), t.server, false);
    assert_status(SOCKBROKER_OK, sb_xfer_open_record(&record, &sock));
    sb_socket_close(&sock);
    forget_copy(&record);
    memcpy(&info, record.protocol_info, sizeof(info));
    info.dwProviderReserved = 4;
    memcpy(record.protocol_info, &info, sizeof(info));
    assert_status(SOCKBROKER_OK, sb_xfer_open_record(&record, &sock)); /* Wine makes a new one of it */
    sb_socket_close(&sock);
    unit_tcp_close(&t);
}

/* F113, F115: only what a broker of this word size made, whole, and of the kind that the record says. */
static void what_no_broker_made_is_refused(void **state)
{
    struct sb_record good, bad;
    sockbroker_socket sock;
    struct unit_tcp t;

    (void)state;
    unit_tcp_open(&t, "127.0.0.1");
    fill(&good, self(), t.server, false);
    for (uint32_t len = 0; len < SB_PROTOCOL_INFO_MAX; len += len < 8 || len > 620 ? 1 : 31) {
        bad = good;
        bad.protocol_info_len = len;
        refused(&bad);
    }
    for (uint32_t layout = 0; layout < 17; layout++) {
        bad = good;
        bad.protocol_info_layout = layout;
        if (layout != sizeof(void *))
            refused(&bad);
    }
    bad = good;
    memset(bad.protocol_info, 0, sizeof(bad.protocol_info));
    refused(&bad);
    bad = good;
    forget_copy(&bad);
    refused(&bad);
    bad = good;
    bad.info.socket_family = SOCKBROKER_IPV6;
    refused(&bad);
    bad = good;
    bad.info.type = SOCKBROKER_DATAGRAM;
    refused(&bad);
    assert_status(SOCKBROKER_OK, sb_xfer_open_record(&good, &sock));
    sb_socket_close(&sock);
    unit_tcp_close(&t);
}

/* F115: a number that another process has made up may be that of any handle of ours, and is not closed for it. */
static void a_handle_that_is_no_socket_stays_open(void **state)
{
    HANDLE event = CreateEventW(NULL, TRUE, TRUE, NULL);
    struct sb_record record;
    WSAPROTOCOL_INFOW info;
    sockbroker_socket copy;
    struct unit_tcp t;

    (void)state;
    unit_tcp_open(&t, "127.0.0.1");
    fill(&record, self(), t.server, false);
    memcpy(&info, record.protocol_info, sizeof(info));
    assert_status(SOCKBROKER_OK, sb_xfer_open_record(&record, &copy));
    info.dwServiceFlags3 = (DWORD)(uintptr_t)event; /* where Wine has it; to Windows it says nothing */
    memcpy(record.protocol_info, &info, sizeof(info));
    refused(&record);
    assert_int_equal(WaitForSingleObject(event, 0), WAIT_OBJECT_0);
    CloseHandle(event);
    sb_socket_close(&copy);
    unit_tcp_close(&t);
}

/* F113: not as what it was. Wine does not look whose it is, so the number must be nothing here. */
static void a_record_for_another_process_opens_nothing(void **state)
{
    struct sb_record record;
    WSAPROTOCOL_INFOW info;
    struct child c;
    struct unit_tcp t;
    DWORD flags;

    (void)state;
    unit_tcp_open(&t, "127.0.0.1");
    start_child(&c, "wait");
    do { /* what it was given goes with it */
        fill(&record, (sockbroker_socket)c.process, t.server, false);
        memcpy(&info, record.protocol_info, sizeof(info));
    } while (GetHandleInformation((HANDLE)(uintptr_t)info.dwServiceFlags3, &flags));
    refused(&record);
    assert_int_equal(finish_child(&c), 0);
    CloseHandle(c.process);
    unit_tcp_close(&t);
}

/* ---- F114: a worker whose process the broker may not use ---- */

static void allow_others(HANDLE process, const wchar_t *rules)
{
    PSECURITY_DESCRIPTOR descriptor = NULL;
    BOOL is_there, is_default;
    PACL list = NULL;

    assert_true(ConvertStringSecurityDescriptorToSecurityDescriptorW(rules, SDDL_REVISION_1, &descriptor, NULL));
    assert_true(GetSecurityDescriptorDacl(descriptor, &is_there, &list, &is_default));
    assert_int_equal(SetSecurityInfo(process, SE_KERNEL_OBJECT, DACL_SECURITY_INFORMATION, NULL, NULL, list, NULL), 0);
    LocalFree(descriptor);
}

static void without_the_right_to_duplicate_there_is_no_worker(void **state)
{
    struct sb_peer peer = SB_PEER_NONE;
    sockbroker_socket watched = SOCKBROKER_SOCKET_NONE;
    struct sb_record record;
    struct child c;
    struct unit_tcp t;
    int os_code = 0;

    (void)state;
    unit_tcp_open(&t, "127.0.0.1");
    start_child(&c, "wait");
    allow_others(c.process, L"D:(A;;0x101000;;;WD)"); /* to look and to wait, no more */
    assert_status(SOCKBROKER_PERMISSION, sb_peer_open_pid(GetProcessId(c.process), &peer));
    assert_status(SOCKBROKER_OK, sb_peer_watch_pid(GetProcessId(c.process), &watched));
    describe(&record, false);
    assert_status(SOCKBROKER_PERMISSION, sb_xfer_fill_record(watched, t.server, &record, &os_code));
    assert_int_not_equal(os_code, 0);
    assert_int_equal(record.protocol_info_len, 0);
    sb_socket_close(&watched);
    assert_int_equal(finish_child(&c), 0);
    CloseHandle(c.process);
    unit_tcp_close(&t);
}

static void what_is_no_socket_is_not_given(void **state)
{
    sockbroker_socket event = (sockbroker_socket)CreateEventW(NULL, FALSE, FALSE, NULL);
    struct sb_record record;
    int os_code = 0;

    (void)state;
    describe(&record, false);
    assert_status(SOCKBROKER_SYSTEM, sb_xfer_fill_record(self(), event, &record, &os_code));
    assert_int_equal(os_code, WSAENOTSOCK);
    assert_int_equal(record.protocol_info_len, 0);
    sb_socket_close(&event); /* a handle is closed as one: the count tells */
}

static void there_is_no_pair(void **state)
{
    sockbroker_socket a, b;
    struct sb_delivery delivery;
    uint64_t lease_id;

    (void)state;
    assert_status(SOCKBROKER_UNSUPPORTED, sb_xfer_open_pair(&a, &b));
    assert_status(SOCKBROKER_AGAIN, sb_xfer_receive(self(), &delivery, &a));
    assert_status(SOCKBROKER_AGAIN, sb_xfer_withdraw(self(), &lease_id));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(a_record_opens_the_socket_it_was_made_of),
        UNIT_TEST(another_process_opens_what_was_made_for_it),
        UNIT_TEST(an_unopened_copy_ends_with_its_process),
        UNIT_TEST(nothing_is_made_for_a_process_that_has_ended),
        UNIT_TEST(what_no_broker_made_is_refused),
        UNIT_TEST(a_note_may_stand_where_windows_has_it),
        UNIT_TEST(a_handle_that_is_no_socket_stays_open),
        UNIT_TEST(a_record_for_another_process_opens_nothing),
        UNIT_TEST(without_the_right_to_duplicate_there_is_no_worker),
        UNIT_TEST(what_is_no_socket_is_not_given),
        UNIT_TEST(there_is_no_pair),
    };

    if (argc == 3 && !strcmp(argv[1], "greet"))
        return open_and_greet(argv[2]);
    if (argc == 3 && !strcmp(argv[1], "wait"))
        return just_wait(argv[2]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
