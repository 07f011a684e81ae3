#include "broker/keeper_core.h"

#include <winsock2.h>
#include <ws2tcpip.h>

#include <windows.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "broker/command.h"
#include "broker/command_line_win32.h"
#include "broker/inherited_handles_win32.h"
#include "broker/keeper_letter_win32.h"
#include "broker/service_win32.h"
#include "broker/signals_win32.h"
#include "proto/oserr.h"
#include "proto/socket.h"

#define KILLED 137 /* as shells say it */
#define N_TOLD 2   /* stop, reload: enum sb_signal */

struct keeper {
    struct sb_keeper core;
    HANDLE job;                  /* the brokers' life is tied to ours, their workers' is not */
    HANDLE heard[N_TOLD];        /* what we are told */
    HANDLE passed[N_TOLD];       /* what the broker hears */
    WSAEVENT spoke;              /* the broker has said something */
    HANDLE process;              /* NULL: no broker runs */
    sockbroker_socket their_end; /* kept as long as the process: what it said last stays readable */
    bool had_broker;
};

/* It has the log's thread, which alone waits for the reader of stderr. */
bool sb_keeper_can_log(void)
{
    return true;
}

/* ---- what is made for a broker before it runs ---- */

/* Names after the process, so that nothing that is said to it early gets lost. */
static bool open_events(HANDLE events[N_TOLD], DWORD pid)
{
    static const enum sb_signal what[N_TOLD] = { SB_SIGNAL_STOP, SB_SIGNAL_RELOAD };
    wchar_t name[SB_SIGNAL_NAME_MAX];

    for (size_t i = 0; i < N_TOLD; i++) {
        events[i] = CreateEventW(NULL, FALSE, FALSE, sb_signal_event_name(pid, what[i], name));
        if (!events[i] || GetLastError() == ERROR_ALREADY_EXISTS) /* somebody's trap */
            return false;
    }
    return true;
}

static void close_events(HANDLE events[N_TOLD])
{
    for (size_t i = 0; i < N_TOLD; i++) {
        if (events[i])
            CloseHandle(events[i]);
        events[i] = NULL;
    }
}

static bool open_pair(struct keeper *k, sockbroker_socket *ours_out)
{
    uv_os_sock_t ends[2];
    DWORD on = 1;

    if (uv_socketpair(SOCK_STREAM, 0, ends, UV_NONBLOCK_PIPE, UV_NONBLOCK_PIPE)) /* overlapped, that is */
        return false;
    *ours_out = ends[0];
    k->their_end = ends[1];
    for (size_t i = 0; i < 2; i++)
        setsockopt(ends[i], IPPROTO_TCP, TCP_NODELAY, (const char *)&on, sizeof(on));
    return WSAEventSelect(ends[0], k->spoke, FD_READ | FD_CLOSE) == 0; /* non-blocking from here on */
}

static bool fill_letter(const struct keeper *k, struct sb_keeper_letter *letter, const PROCESS_INFORMATION *made)
{
    HANDLE us = GetCurrentProcess();
    const wchar_t *service = sb_service_name();

    letter->is_next = k->had_broker;
    if (service)
        _snwprintf(letter->service, SB_SERVICE_NAME_MAX, L"%ls", service);
    return !WSADuplicateSocketW(k->their_end, made->dwProcessId, &letter->info) &&
           DuplicateHandle(us, us, made->hProcess, &letter->keeper,
                           PROCESS_DUP_HANDLE | PROCESS_QUERY_LIMITED_INFORMATION | SYNCHRONIZE, FALSE, 0);
}

/* ---- the start ---- */

static sockbroker_status make_line(const struct sb_keeper_options *options, wchar_t **line_out)
{
    size_t n = 0;

    while (options->argv[n])
        n++;
    return sb_command_line_make((const char *const *)options->argv, n, line_out);
}

/* Suspended. It shares our console, where its lines may go, but not the console's Ctrl-C. Without a console it shall not get
 * one. */
static bool create(const struct keeper *k, HANDLE memory, PROCESS_INFORMATION *made_out)
{
    struct sb_inherited_handles handles = { 0 };
    wchar_t path[32768];
    wchar_t *line = NULL;
    char number[24];
    DWORD one;
    DWORD flags = CREATE_SUSPENDED | EXTENDED_STARTUPINFO_PRESENT |
                  (GetConsoleProcessList(&one, 1) ? CREATE_NEW_PROCESS_GROUP : DETACHED_PROCESS);
    bool made = false;

    snprintf(number, sizeof(number), "%llu", (unsigned long long)(uintptr_t)memory);
    if (GetModuleFileNameW(NULL, path, 32768) && !make_line(k->core.options, &line) &&
        sb_inherited_handles_open(&handles, true, memory) && !_putenv_s(SB_KEEPER_VARIABLE, number)) {
        STARTUPINFOEXW how = sb_inherited_handles_use(&handles);

        made = CreateProcessW(path, line, NULL, NULL, TRUE, flags, NULL, NULL, &how.StartupInfo, made_out);
        _putenv_s(SB_KEEPER_VARIABLE, "");
    }
    sb_inherited_handles_close(&handles);
    free(line);
    return made;
}

/* Until the last step it does nothing, and nobody misses it. */
static bool launch(struct keeper *k, struct sb_keeper_letter *letter, HANDLE memory, DWORD *pid_out)
{
    PROCESS_INFORMATION made;

    if (!create(k, memory, &made))
        return false;
    bool runs = AssignProcessToJobObject(k->job, made.hProcess) && open_events(k->passed, made.dwProcessId) &&
                fill_letter(k, letter, &made) && ResumeThread(made.hThread) != (DWORD)-1;
    if (!runs) {
        DWORD code = GetLastError();

        TerminateProcess(made.hProcess, KILLED);
        CloseHandle(made.hProcess);
        close_events(k->passed);
        SetLastError(code);
    } else {
        k->process = made.hProcess;
        *pid_out = made.dwProcessId;
    }
    CloseHandle(made.hThread);
    return runs;
}

static void start_broker(struct keeper *k)
{
    sockbroker_socket ours = SOCKBROKER_SOCKET_NONE;
    HANDLE memory = NULL;
    struct sb_keeper_letter *letter = sb_keeper_letter_make(&memory);
    DWORD pid = 0;
    char text[96], cause[160];

    if (letter && open_pair(k, &ours) && launch(k, letter, memory, &pid)) {
        sb_keeper_begin(&k->core, &ours, (sockbroker_socket)k->process);
        sb_keeper_note(SB_LOG_INFO, "broker_started", "pid=%lu kept=%zu", pid, sb_keeper_items_count(k->core.items));
        k->had_broker = true;
    } else {
        snprintf(cause, sizeof(cause), "it could not be started: %s", sb_oserr_text((int)GetLastError(), text, sizeof(text)));
        sb_socket_close(&ours);
        sb_socket_close(&k->their_end);
        sb_keeper_failed(&k->core, cause, SB_EXIT_FAILED);
    }
    if (letter)
        UnmapViewOfFile(letter);
    if (memory)
        CloseHandle(memory);
}

/* ---- the end ---- */

static void on_end(struct keeper *k)
{
    DWORD code = KILLED;
    char cause[64];

    GetExitCodeProcess(k->process, &code);
    bool is_documented = (code & 0xff000000u) == SB_KEEPER_DOCUMENTED && (code & 0xffffffu) <= SB_EXIT_NO_BROKER;
    if (is_documented)
        snprintf(cause, sizeof(cause), "it ended with code %lu", code &= 0xffffffu);
    else
        snprintf(cause, sizeof(cause), code >= 0xc0000000u ? "exception 0x%08lx" : "it was ended with code %lu", code);
    sb_keeper_leave(&k->core);
    sb_socket_close(&k->their_end);
    CloseHandle(k->process);
    k->process = NULL;
    close_events(k->passed);
    sb_keeper_ended(&k->core, is_documented, cause, is_documented ? (int)code : KILLED);
}

/* ---- what it hears ---- */

static void on_word(void *arg, const struct sb_keeper_packet *p)
{
    (void)arg;
    if (p->word == SB_KEEPER_READY)
        sb_service_tell(SB_SERVICE_RUNNING);
    else if (p->word == SB_KEEPER_BARRIER && p->passenger != SOCKBROKER_SOCKET_NONE)
        SetEvent((HANDLE)p->passenger);
    else if (p->word == SB_KEEPER_FOLLOW)
        sb_keeper_note(SB_LOG_ERROR, "not_followed", "cause=\"no broker takes over from another on Windows\"");
}

static void pass_on(struct keeper *k, enum sb_signal what)
{
    if (what == SB_SIGNAL_STOP)
        k->core.is_stopping = true;
    if (k->process)
        SetEvent(k->passed[what]);
    else if (what == SB_SIGNAL_STOP)
        sb_keeper_end(&k->core, SB_EXIT_OK); /* between two brokers */
}

/* The console's handler runs on a thread of its own; the event is all that it may touch. */
static HANDLE console_stop;

static BOOL WINAPI on_console(DWORD event)
{
    SetEvent(console_stop);
    if (event != CTRL_C_EVENT && event != CTRL_BREAK_EVENT)
        Sleep(INFINITE); /* the console is being closed: who returns has ended */
    return TRUE;
}

/* ---- the loop ---- */

static void run(struct keeper *k)
{
    while (!k->core.is_over) {
        HANDLE all[] = { k->heard[SB_SIGNAL_STOP], k->heard[SB_SIGNAL_RELOAD], k->spoke, k->process };
        WSANETWORKEVENTS events;

        if (sb_keeper_is_due(&k->core)) {
            start_broker(k);
            continue;
        }
        if (k->core.handing_over)
            sb_keeper_hand_over(&k->core);
        int wait_ms = sb_keeper_wait_ms(&k->core, k->core.handing_over); /* nothing tells when there is room again */
        DWORD which = WaitForMultipleObjects(k->process ? 4 : 3, all, FALSE, wait_ms < 0 ? INFINITE : (DWORD)wait_ms);
        if (which == WAIT_OBJECT_0 + SB_SIGNAL_STOP)
            pass_on(k, SB_SIGNAL_STOP);
        if (which == WAIT_OBJECT_0 + SB_SIGNAL_RELOAD)
            pass_on(k, SB_SIGNAL_RELOAD);
        if (k->core.channel != SOCKBROKER_SOCKET_NONE)
            WSAEnumNetworkEvents(k->core.channel, k->spoke, &events);
        else
            WSAResetEvent(k->spoke);
        sb_keeper_listen(&k->core);
        if (which == WAIT_OBJECT_0 + 3)
            on_end(k);
    }
}

/* ---- start ---- */

static bool open_job(struct keeper *k)
{
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits = { .BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE |
                                                                                        JOB_OBJECT_LIMIT_SILENT_BREAKAWAY_OK };

    k->job = CreateJobObjectW(NULL, NULL);
    return k->job && SetInformationJobObject(k->job, JobObjectExtendedLimitInformation, &limits, sizeof(limits));
}

static void close_all(struct keeper *k)
{
    sb_keeper_items_clear(&k->core.items);
    if (k->spoke)
        WSACloseEvent(k->spoke);
    if (k->job)
        CloseHandle(k->job);
    if (console_stop)
        SetConsoleCtrlHandler(on_console, FALSE);
    close_events(k->heard);
    sb_log_close();
}

int sb_keeper_run(const struct sb_keeper_options *options)
{
    struct keeper k = { .their_end = SOCKBROKER_SOCKET_NONE };
    char text[96];

    sb_keeper_init(&k.core, options, on_word, &k);
    sb_log_open(options->log_level);
    k.spoke = WSACreateEvent();
    if (!k.spoke || !open_job(&k) || !open_events(k.heard, GetCurrentProcessId())) {
        sb_keeper_note(SB_LOG_ERROR, "keeper_failed", "cause=\"%s\"", sb_oserr_text((int)GetLastError(), text, sizeof(text)));
        close_all(&k);
        return SB_EXIT_FAILED;
    }
    console_stop = k.heard[SB_SIGNAL_STOP];
    SetConsoleCtrlHandler(on_console, TRUE);
    run(&k);
    close_all(&k);
    return k.core.exit_code;
}
