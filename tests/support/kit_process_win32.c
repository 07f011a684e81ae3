#include "tests/support/kit_process.h"

#include <winsock2.h>
#include <windows.h>
#include <winternl.h>

#include <fcntl.h>
#include <io.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/signals_win32.h"

#define PIPE_ROOM (1u << 20)
#define WRITE_MOST 65536
#define LOOK_MS 2 /* a pipe cannot be waited for together with others */
#define KILLED 137
#define STARTS 3

/* ---- start ---- */

/* One argument as the run-time library of the program takes it apart: backslashes count only before a quotation mark. */
static void append_argument(char *line, size_t room, const char *argument)
{
    size_t at = strlen(line);
    size_t n_backslashes = 0;

    if (at + 2 * strlen(argument) + 4 > room)
        kit_fail("too many arguments");
    if (at)
        line[at++] = ' ';
    line[at++] = '"';
    for (const char *c = argument;; c++) {
        if (*c == '"' || !*c) {
            for (; n_backslashes; n_backslashes--)
                line[at++] = '\\';
        }
        if (!*c)
            break;
        if (*c == '"')
            line[at++] = '\\';
        n_backslashes = *c == '\\' ? n_backslashes + 1 : 0;
        line[at++] = *c;
    }
    line[at++] = '"';
    line[at] = '\0';
}

static void make_command_line(const char *program, const struct kit_start *how, char *line, size_t room)
{
    line[0] = '\0';
    append_argument(line, room, program);
    for (size_t i = 0; how && i < KIT_ARGS_MAX && how->args[i]; i++)
        append_argument(line, room, how->args[i]);
}

static size_t append_variable(char *block, size_t at, size_t room, const char *variable)
{
    size_t len = strlen(variable) + 1;

    if (at + len + 1 > room)
        kit_fail("too large an environment");
    memcpy(block + at, variable, len);
    return at + len;
}

/* What a child shall find: the test's own environment without SOCKBROKER_*, and `more`. */
static void make_environment(const struct kit_start *how, char *block, size_t room)
{
    size_t at = 0;

    for (char **v = _environ; *v; v++) {
        if (strncmp(*v, "SOCKBROKER_", 11))
            at = append_variable(block, at, room, *v);
    }
    for (size_t i = 0; how && i < KIT_ENV_MAX && how->env[i]; i++)
        at = append_variable(block, at, room, how->env[i]);
    block[at] = block[at + 1] = '\0';
}

/* Ends when the last handle of the job is closed, and that is this process's. */
static HANDLE family(void)
{
    static HANDLE job;
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits = { .BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE };

    if (!job) {
        job = CreateJobObjectW(NULL, NULL);
        SetInformationJobObject(job, JobObjectExtendedLimitInformation, &limits, sizeof(limits));
    }
    return job;
}

struct ends {
    HANDLE theirs;
    HANDLE ours;
};

static struct ends open_pipe(bool they_read)
{
    struct ends e;
    BOOL good = they_read ? CreatePipe(&e.theirs, &e.ours, NULL, PIPE_ROOM) : CreatePipe(&e.ours, &e.theirs, NULL, PIPE_ROOM);

    if (!good || !SetHandleInformation(e.theirs, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT))
        kit_fail("no pipe: error %lu", GetLastError());
    return e;
}

/* Wine loses one start in some thousands before the program's first step, whatever the program is, and says so with an error
 * that has no other use here. */
static bool start(const char *program, char *line, DWORD flags, char *environment, STARTUPINFOA *how,
                  PROCESS_INFORMATION *made_out)
{
    for (int i = 0; i < STARTS; i++) {
        if (CreateProcessA(program, line, NULL, NULL, TRUE, flags, environment, NULL, how, made_out))
            return true;
        if (GetLastError() != ERROR_INTERNAL_ERROR)
            return false;
    }
    return false;
}

/* Only the two handles are inherited. */
static bool create(const char *program, char *line, char *environment, bool console, HANDLE in, HANDLE out,
                   PROCESS_INFORMATION *made_out)
{
    HANDLE handles[] = { in, out };
    STARTUPINFOEXA how = { .StartupInfo = { .cb = sizeof(how),
                                            .dwFlags = STARTF_USESTDHANDLES,
                                            .hStdInput = in,
                                            .hStdOutput = out,
                                            .hStdError = out } };
    DWORD flags = EXTENDED_STARTUPINFO_PRESENT | (console ? CREATE_NO_WINDOW : DETACHED_PROCESS);
    SIZE_T size = 0;

    InitializeProcThreadAttributeList(NULL, 1, 0, &size);
    how.lpAttributeList = malloc(size);
    bool good = how.lpAttributeList && InitializeProcThreadAttributeList(how.lpAttributeList, 1, 0, &size) &&
                UpdateProcThreadAttribute(how.lpAttributeList, 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, handles, sizeof(handles),
                                          NULL, NULL) &&
                start(program, line, flags, environment, &how.StartupInfo, made_out);
    free(how.lpAttributeList);
    return good;
}

void kit_process_launch(struct kit_process *p, const char *program, const struct kit_start *how)
{
    static char line[32768], environment[65536];
    struct ends in = open_pipe(true), out = open_pipe(false);
    PROCESS_INFORMATION made;

    make_command_line(program, how, line, sizeof(line));
    make_environment(how, environment, sizeof(environment));
    if (create(program, line, environment, how && how->console, in.theirs, out.theirs, &made)) {
        AssignProcessToJobObject(family(), made.hProcess);
        CloseHandle(made.hThread);
        p->pid = (int)made.dwProcessId;
        p->handle = made.hProcess;
    } else {
        fprintf(stderr, "%s: error %lu\n", program, GetLastError());
    }
    CloseHandle(in.theirs);
    CloseHandle(out.theirs);
    p->in = _open_osfhandle((intptr_t)in.ours, _O_BINARY);
    p->out = _open_osfhandle((intptr_t)out.ours, _O_BINARY | _O_RDONLY);
}

/* ---- logs ---- */

/* Lines end in CR LF here. */
static size_t drop_returns(char *text, size_t n)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++) {
        if (text[i] != '\r')
            text[kept++] = text[i];
    }
    return kept;
}

/* What is there; closes it at its end. True when something came. */
static bool read_log(struct kit_process *p)
{
    HANDLE pipe = (HANDLE)_get_osfhandle(p->out);
    bool any = false;
    DWORD there = 0;

    while (PeekNamedPipe(pipe, NULL, 0, NULL, &there, NULL)) {
        size_t room;
        char *into = kit_process_log_room(p, &room);
        DWORD n = 0;

        if (!there)
            return any;
        if (!ReadFile(pipe, into, there < room ? there : (DWORD)room, &n, NULL))
            break;
        kit_process_log_grew(p, p->no_text ? n : drop_returns(into, n));
        any = true;
    }
    kit_process_close_end(&p->out);
    return any;
}

void kit_process_take_logs(int wait_ms)
{
    uint64_t end_ms = kit_now_ms() + (uint64_t)wait_ms;

    for (;;) {
        bool any = false;

        for (struct kit_process *p = kit_processes(); p; p = p->next)
            any |= p->out >= 0 && read_log(p);
        if (any || kit_now_ms() >= end_ms)
            return;
        Sleep(LOOK_MS);
    }
}

/* ---- life and end ---- */

bool kit_process_write(struct kit_process *p, const char *text, size_t len)
{
    return _write(p->in, text, (unsigned)len) == (int)len;
}

size_t kit_process_write_some(int in, const void *bytes, size_t len)
{
    int n = _write(in, bytes, len < WRITE_MOST ? (unsigned)len : WRITE_MOST);

    return n < 0 ? 0 : (size_t)n;
}

void kit_process_close_end(int *end)
{
    if (*end >= 0)
        _close(*end);
    *end = -1;
}

static BOOL WINAPI not_for_us(DWORD event)
{
    (void)event;
    return TRUE;
}

/* All that share its console get it: the process alone, and this one while it is attached. */
void kit_process_ask_end(struct kit_process *p)
{
    static bool prepared;

    if (!prepared)
        prepared = SetConsoleCtrlHandler(not_for_us, TRUE);
    FreeConsole();
    if (!AttachConsole((DWORD)p->pid) || !GenerateConsoleCtrlEvent(CTRL_C_EVENT, 0))
        kit_fail("%s cannot be asked to end: error %lu", p->title, GetLastError());
    FreeConsole();
}

void kit_process_ask_reload(struct kit_process *p)
{
    if (!sb_signal_send((DWORD)p->pid, SB_SIGNAL_RELOAD))
        kit_fail("%s cannot be asked to reload: error %lu", p->title, GetLastError());
}

void kit_process_strike(struct kit_process *p)
{
    if (p->pid)
        TerminateProcess(p->handle, KILLED);
}

/* No public function stops a process; these two have been there since Windows XP. */
typedef NTSTATUS(NTAPI *process_call)(HANDLE process);

static void call_ntdll(const struct kit_process *p, const char *name)
{
    FARPROC found = GetProcAddress(GetModuleHandleW(L"ntdll.dll"), name);
    process_call call;

    memcpy(&call, &found, sizeof(call));
    if (!call || call(p->handle))
        kit_fail("%s failed for %s", name, p->title);
}

void kit_process_halt(struct kit_process *p)
{
    call_ntdll(p, "NtSuspendProcess");
}

/* It was when halt returned. */
void kit_process_wait_stopped(struct kit_process *p)
{
    if (!p->pid)
        kit_fail("%s did not stop but end", p->title);
}

void kit_process_go_on(struct kit_process *p)
{
    call_ntdll(p, "NtResumeProcess");
}

bool kit_process_reap(struct kit_process *p)
{
    DWORD code = 0;

    if (WaitForSingleObject(p->handle, 0) != WAIT_OBJECT_0)
        return false;
    GetExitCodeProcess(p->handle, &code);
    p->exit_code = (int)code;
    return true;
}

void kit_process_close(struct kit_process *p)
{
    if (p->handle)
        CloseHandle(p->handle);
}

bool kit_process_has_children(void)
{
    return false;
}
