#include <winsock2.h>
#include <windows.h>

#include "proto/rundir.h"
#include "tests/support/fault.h"
#include "tests/support/format.h"

static double ms_of(const FILETIME *t)
{
    return (double)((uint64_t)t->dwHighDateTime << 32 | t->dwLowDateTime) / 1e4;
}

double fault_cpu_ms(int pid)
{
    FILETIME created, ended, in_system, in_process;
    HANDLE process = OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, FALSE, (DWORD)pid);

    if (!process || !GetProcessTimes(process, &created, &ended, &in_system, &in_process))
        kit_fail("no processor time of %d", pid);
    CloseHandle(process);
    return ms_of(&in_system) + ms_of(&in_process);
}

/* ---- the broker's pipe ---- */

const unsigned fault_n_visits = 100; /* after each that leaves too early nng rests for a moment */

/* Between one caller and the next there may be no instance that is free, or none at all. */
static bool may_come(DWORD code)
{
    return code == ERROR_PIPE_BUSY || code == ERROR_FILE_NOT_FOUND;
}

sockbroker_socket fault_call(struct kit_broker *b)
{
    char dir[SB_RUNDIR_MAX], path[SB_PATH_MAX], name[SB_PATH_MAX + 16];
    uint64_t end_ms = kit_now_ms() + KIT_WAIT_MS;
    HANDLE pipe;

    if (sb_rundir_find(b->dir, dir, NULL))
        kit_fail("%s is no runtime directory", b->dir);
    format_text(name, sizeof(name), "\\\\.\\pipe\\%s", sb_rundir_path(dir, SB_RUNDIR_CONTROL, path));
    while ((pipe = CreateFileA(name, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING, FILE_FLAG_OVERLAPPED, NULL)) ==
           INVALID_HANDLE_VALUE) {
        if (!may_come(GetLastError()) || kit_now_ms() > end_ms)
            kit_fail("%s: error %lu", name, GetLastError());
        kit_pause(1);
    }
    return (sockbroker_socket)pipe;
}

/* Of a call that has begun: the bytes that it moved, 0 when the pipe has ended, -1 when it took longer than ms. */
static long finish(HANDLE pipe, BOOL begun, OVERLAPPED *call, unsigned ms)
{
    DWORD n = 0;
    bool in_time = true;

    if (begun || GetLastError() == ERROR_IO_PENDING) {
        in_time = WaitForSingleObject(call->hEvent, ms) == WAIT_OBJECT_0;
        if (!in_time)
            CancelIoEx(pipe, call);
        if (GetOverlappedResult(pipe, call, &n, TRUE))
            in_time = true;
        else
            n = 0;
    }
    CloseHandle(call->hEvent);
    return in_time ? (long)n : -1;
}

bool fault_say(sockbroker_socket line, const void *bytes, size_t len)
{
    OVERLAPPED call = { .hEvent = CreateEventW(NULL, TRUE, FALSE, NULL) };
    BOOL begun = WriteFile((HANDLE)line, bytes, (DWORD)len, NULL, &call);

    return finish((HANDLE)line, begun, &call, KIT_WAIT_MS) == (long)len;
}

long fault_hear(sockbroker_socket line, void *bytes, size_t room, unsigned ms)
{
    OVERLAPPED call = { .hEvent = CreateEventW(NULL, TRUE, FALSE, NULL) };
    BOOL begun = ReadFile((HANDLE)line, bytes, (DWORD)room, NULL, &call);

    return finish((HANDLE)line, begun, &call, ms);
}

void fault_hang_up(sockbroker_socket *line)
{
    if (*line != SOCKBROKER_SOCKET_NONE)
        CloseHandle((HANDLE)*line);
    *line = SOCKBROKER_SOCKET_NONE;
}
