/* Accounts of Windows as numbers (proto/sid_win32.h), the runtime directory's name and claim (proto/rundir.h), the process
 * behind a number (proto/peer.h), and who may speak to whom by a pipe (proto/channel.h). */
#include "tests/unit/unit.h"

#include <windows.h>

#include <aclapi.h>
#include <sddl.h>

#include <string.h>

#include "proto/channel.h"
#include "proto/peer.h"
#include "proto/rundir.h"
#include "proto/sid_win32.h"
#include "tests/support/format.h"

/* ---- accounts ---- */

/* Runs first: somebody else's number is asked for before ours. */
static void our_own_number_is_that_of_our_next_process(void **state)
{
    uint32_t users, own;

    (void)state;
    assert_status(SOCKBROKER_OK, sb_sid_read("S-1-5-32-545", &users));
    own = sb_sid_own();
    assert_true(own == 1000 || own == 0); /* 0: a service */
    assert_int_not_equal(users, own);
}

static void system_and_administrators_are_0(void **state)
{
    static const char *const texts[] = { "S-1-5-18", "S-1-5-32-544", "SY", "BA" };
    char text[SB_SID_TEXT_MAX];
    uint32_t number;

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(texts); i++) {
        number = 77;
        assert_status(SOCKBROKER_OK, sb_sid_read(texts[i], &number));
        assert_int_equal(number, 0);
    }
    assert_string_equal(sb_sid_text(0, text), "S-1-5-18");
    assert_true(sb_sid_is_trusted(0));
}

static void an_account_keeps_its_number(void **state)
{
    char text[SB_SID_TEXT_MAX], name[SB_SID_TEXT_MAX];
    uint32_t own = sb_sid_own(), again, users, guests;

    (void)state;
    assert_int_not_equal(own, UINT32_MAX);
    assert_true(sb_sid_is_trusted(own));
    assert_status(SOCKBROKER_OK, sb_sid_read(sb_sid_text(own, text), &again));
    assert_int_equal(again, own);
    assert_status(SOCKBROKER_OK, sb_sid_read("S-1-5-32-545", &users));
    assert_status(SOCKBROKER_OK, sb_sid_read("S-1-5-32-546", &guests));
    assert_int_not_equal(users, guests);
    assert_false(sb_sid_is_trusted(users));
    assert_string_equal(sb_sid_text(guests, text), "S-1-5-32-546");
    assert_status(SOCKBROKER_OK, sb_sid_read("S-1-5-32-545", &again));
    assert_int_equal(again, users);
    assert_true(strlen(sb_sid_name(own, name, sizeof(name))) > 0);
}

static void what_is_no_account_has_no_number(void **state)
{
    static const char *const texts[] = { "", "S-1-", "nobody here has this name", "\xff\xfe" };
    char text[SB_SID_TEXT_MAX];
    uint32_t number = 77;

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(texts); i++)
        assert_status(SOCKBROKER_NOT_FOUND, sb_sid_read(texts[i], &number));
    assert_int_equal(number, 77);
    assert_string_equal(sb_sid_text(999, text), "?");
    assert_string_equal(sb_sid_text(UINT32_MAX, text), "?");
    assert_false(sb_sid_is_trusted(UINT32_MAX));
}

/* ---- processes ---- */

static void a_process_is_known_by_its_handle(void **state)
{
    struct sb_peer peer = SB_PEER_NONE;
    DWORD flags = HANDLE_FLAG_INHERIT;

    (void)state;
    assert_status(SOCKBROKER_OK, sb_peer_open_pid(GetCurrentProcessId(), &peer));
    assert_int_equal(peer.pid, GetCurrentProcessId());
    assert_int_equal(peer.uid, sb_sid_own());
    assert_true(sb_peer_is_alive(&peer));
    assert_true(GetHandleInformation((HANDLE)peer.handle, &flags));
    assert_int_equal(flags & HANDLE_FLAG_INHERIT, 0);
    sb_peer_close(&peer);
    sb_peer_close(&peer);
    assert_false(sb_peer_is_alive(&peer));
    assert_status(SOCKBROKER_CLOSED, sb_peer_open_pid(0x7ffffffc, &peer)); /* numbers are multiples of 4, and small */
}

/* ---- the runtime directory ---- */

static const char *find(const char *given, char dir_out[SB_RUNDIR_MAX])
{
    struct sockbroker_error error;

    assert_status(SOCKBROKER_OK, sb_rundir_find(given, dir_out, &error));
    return dir_out;
}

static void a_path_and_its_other_spellings_are_one_name(void **state)
{
    char one[SB_RUNDIR_MAX], two[SB_RUNDIR_MAX], path[SB_PATH_MAX];
    struct sockbroker_error error;

    (void)state;
    assert_string_equal(find("My.broker_1-a", one), "My.broker_1-a");
    assert_string_equal(sb_rundir_path(one, SB_RUNDIR_CONTROL, path), "My.broker_1-a-control");
    find("C:\\Run\\It", one);
    assert_string_equal(find("c:/run/it/", two), one);
    assert_string_equal(find("C:\\Run\\x\\..\\IT", two), one);
    assert_string_not_equal(find("C:\\Run\\Other", two), one);
    assert_status(SOCKBROKER_INVALID,
                  sb_rundir_find("a-name-of-more-than-64-bytes-is-refused-because-a-pipe-has-no-room", one, &error));
    assert_non_null(strstr(error.text, "64 is the most"));
    assert_status(SOCKBROKER_INVALID, sb_rundir_find("\xff\\x", one, &error));
}

static void without_a_name_the_environment_says(void **state)
{
    char dir[SB_RUNDIR_MAX];

    (void)state;
    SetEnvironmentVariableW(L"SOCKBROKER_DIR", L"from-the-environment");
    assert_string_equal(find(NULL, dir), "from-the-environment");
    assert_string_equal(find("", dir), "from-the-environment");
    assert_string_equal(find("given", dir), "given");
    SetEnvironmentVariableW(L"SOCKBROKER_DIR", NULL);
    assert_int_equal(strncmp(find(NULL, dir), "sockbroker", 10), 0);
}

static void only_one_broker_has_a_name(void **state)
{
    struct sb_rundir first = SB_RUNDIR_NONE, second = SB_RUNDIR_NONE;
    struct sockbroker_error error;

    (void)state;
    assert_status(SOCKBROKER_OK, sb_rundir_open(unit_path("dir"), 0700, &first, &error));
    assert_status(SOCKBROKER_BUSY, sb_rundir_open(first.dir, 0700, &second, &error));
    assert_non_null(strstr(error.text, "already running"));
    assert_status(SOCKBROKER_OK, sb_rundir_open(unit_path("other"), 0700, &second, &error));
    sb_rundir_close(&second);
    sb_rundir_close(&first);
    sb_rundir_close(&first);
    assert_status(SOCKBROKER_OK, sb_rundir_open(unit_path("dir"), 0700, &first, &error));
    sb_rundir_close(&first);
}

/* ---- the channel ---- */

static void note(void *arg)
{
    SetEvent((HANDLE)arg);
}

static void open_server(struct sb_server **server_out, HANDLE bell, const uint32_t *users, uint32_t n_users)
{
    struct sb_server_options options = { .max_calls = 16,
                                         .max_callers = 16,
                                         .introduce_ms = 60000,
                                         .messages_per_second = 1000,
                                         .users = users,
                                         .n_users = n_users,
                                         .wake = note,
                                         .arg = bell };
    struct sockbroker_error error;

    assert_status(SOCKBROKER_OK, sb_channel_prepare(&error));
    assert_status(SOCKBROKER_OK, sb_server_open(unit_path("control"), &options, server_out, &error));
}

/* Asks once and answers it; the call says who asked. */
static void talk(struct sb_server *server, HANDLE bell, HANDLE answered)
{
    static struct sb_request request;
    static struct sb_reply reply;
    struct sockbroker_error error;
    struct sb_client *client = NULL;
    struct sb_call *call;

    assert_status(SOCKBROKER_OK, sb_client_open(unit_path("control"), NULL, NULL, &client, &error));
    memset(&request, 0, sizeof(request));
    request.kind = SB_REQUEST_STATUS;
    assert_status(SOCKBROKER_OK, sb_client_park(client, &request, note, answered));
    while (!sb_server_take(server, &call, &request))
        assert_int_equal(WaitForSingleObject(bell, UNIT_PATIENCE_MS), WAIT_OBJECT_0);
    assert_int_equal(sb_call_pid(call), GetCurrentProcessId());
    assert_int_equal(sb_call_uid(call), sb_sid_own());
    assert_int_equal(sb_call_gid(call), 0);
    assert_false(sb_call_is_lost(call));
    memset(&reply, 0, sizeof(reply));
    reply.kind = SB_REPLY_DONE;
    reply.as.done_count = 7;
    sb_call_reply(call, &reply);
    assert_int_equal(WaitForSingleObject(answered, UNIT_PATIENCE_MS), WAIT_OBJECT_0);
    assert_status(SOCKBROKER_OK, sb_client_take(client, SB_REPLY_DONE, &reply, &error));
    assert_int_equal(reply.as.done_count, 7);
    sb_client_close(client);
}

static void the_pipe_tells_who_asks(void **state)
{
    HANDLE bell = CreateEventW(NULL, FALSE, FALSE, NULL), answered = CreateEventW(NULL, FALSE, FALSE, NULL);
    struct sb_server *server = NULL;
    uint32_t users[2] = { 0 };

    (void)state;
    assert_status(SOCKBROKER_OK, sb_sid_read("S-1-5-32-545", &users[1]));
    open_server(&server, bell, users, 2);
    talk(server, bell, answered);
    talk(server, bell, answered);
    sb_server_close(server);
    CloseHandle(bell);
    CloseHandle(answered);
}

static void nobody_there_is_no_broker(void **state)
{
    struct sb_client *client = NULL;
    struct sockbroker_error error;

    (void)state;
    assert_status(SOCKBROKER_NO_BROKER, sb_client_open(unit_path("nothing"), NULL, NULL, &client, &error));
    assert_non_null(strstr(error.text, "sockbroker serve"));
}

/* ---- somebody else serves the pipe (F118) ---- */

/* A process as we see one of another account: it cannot be asked who runs it. */
static void hide_process(bool hidden)
{
    const wchar_t *rules = hidden ? L"D:(D;;GA;;;WD)" : L"D:(A;;GA;;;WD)";
    PSECURITY_DESCRIPTOR descriptor = NULL;
    BOOL is_there, is_default;
    PACL list = NULL;

    assert_true(ConvertStringSecurityDescriptorToSecurityDescriptorW(rules, SDDL_REVISION_1, &descriptor, NULL));
    assert_true(GetSecurityDescriptorDacl(descriptor, &is_there, &list, &is_default));
    assert_int_equal(SetSecurityInfo(GetCurrentProcess(), SE_KERNEL_OBJECT, DACL_SECURITY_INFORMATION, NULL, NULL, list, NULL),
                     0);
    LocalFree(descriptor);
}

/* An instance of the pipe that greets as a broker does, and counts what else it hears until its client has gone. */
struct listener {
    HANDLE pipe, thread;
    DWORD n_heard;
};

static DWORD WINAPI greet_and_listen(LPVOID arg)
{
    static const char greeting[8] = { 0, 'S', 'P', 0, 0, 0x31, 0, 0 }; /* of a REP socket */
    struct listener *l = arg;
    char room[64];
    DWORD n;

    if (!ConnectNamedPipe(l->pipe, NULL) && GetLastError() != ERROR_PIPE_CONNECTED)
        return 1;
    WriteFile(l->pipe, greeting, sizeof(greeting), &n, NULL);
    while (ReadFile(l->pipe, room, sizeof(room), &n, NULL))
        l->n_heard += n;
    return 0;
}

static void open_listener(struct listener *l, const char *name, const wchar_t *rules)
{
    SECURITY_ATTRIBUTES security = { sizeof(security), NULL, FALSE };
    char path[128];

    assert_true(
        ConvertStringSecurityDescriptorToSecurityDescriptorW(rules, SDDL_REVISION_1, &security.lpSecurityDescriptor, NULL));
    format_text(path, sizeof(path), "\\\\.\\pipe\\%s", name);
    l->n_heard = 0;
    l->pipe = CreateNamedPipeA(path, PIPE_ACCESS_DUPLEX, PIPE_TYPE_BYTE | PIPE_WAIT, PIPE_UNLIMITED_INSTANCES, 4096, 4096, 0,
                               &security);
    assert_true(l->pipe != INVALID_HANDLE_VALUE);
    LocalFree(security.lpSecurityDescriptor);
    l->thread = CreateThread(NULL, 0, greet_and_listen, l, 0, NULL);
    assert_non_null(l->thread);
}

/* What it has heard. */
static DWORD close_listener(struct listener *l)
{
    assert_int_equal(WaitForSingleObject(l->thread, UNIT_PATIENCE_MS), WAIT_OBJECT_0);
    CloseHandle(l->thread);
    CloseHandle(l->pipe);
    return l->n_heard;
}

/* Two instances: one for the client, one by which it looks whose pipe it is. */
static sockbroker_status meet(const char *name, const wchar_t *rules, DWORD *n_heard_out, struct sockbroker_error *error)
{
    struct sb_client *client = NULL;
    struct listener l[2];

    for (size_t i = 0; i < 2; i++)
        open_listener(&l[i], name, rules);
    sockbroker_status st = sb_client_open(name, NULL, NULL, &client, error);
    sb_client_close(client);
    *n_heard_out = close_listener(&l[0]);
    *n_heard_out += close_listener(&l[1]);
    return st;
}

static void a_server_of_another_account_is_told_nothing(void **state)
{
    struct sockbroker_error error = { .status = SOCKBROKER_OK };
    DWORD n_heard;

    (void)state;
    assert_status(SOCKBROKER_OK, sb_channel_prepare(&error));
    hide_process(true);
    sockbroker_status foreign = meet(unit_path("foreign"), L"O:BGD:(A;;GA;;;WD)", &n_heard, &error);
    hide_process(false);
    assert_status(SOCKBROKER_UNSAFE_PATH, foreign);
    assert_non_null(strstr(error.text, "nothing was said to it"));
    assert_int_equal(n_heard, 8); /* its greeting, which is the same for all */
}

static void a_server_that_hides_is_known_by_the_owner_of_its_pipe(void **state)
{
    struct sockbroker_error error = { .status = SOCKBROKER_OK };
    DWORD n_heard;

    (void)state;
    assert_status(SOCKBROKER_OK, sb_channel_prepare(&error));
    hide_process(true);
    sockbroker_status own = meet(unit_path("own"), L"O:SYD:(A;;GA;;;WD)", &n_heard, &error);
    hide_process(false);
    assert_status(SOCKBROKER_OK, own);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(our_own_number_is_that_of_our_next_process),
        UNIT_TEST(system_and_administrators_are_0),
        UNIT_TEST(an_account_keeps_its_number),
        UNIT_TEST(what_is_no_account_has_no_number),
        UNIT_TEST(a_process_is_known_by_its_handle),
        UNIT_TEST(a_path_and_its_other_spellings_are_one_name),
        UNIT_TEST(without_a_name_the_environment_says),
        UNIT_TEST(only_one_broker_has_a_name),
        cmocka_unit_test(the_pipe_tells_who_asks), /* nng keeps handles of its own from its first use on */
        cmocka_unit_test(nobody_there_is_no_broker),
        cmocka_unit_test(a_server_of_another_account_is_told_nothing),
        cmocka_unit_test(a_server_that_hides_is_known_by_the_owner_of_its_pipe),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
