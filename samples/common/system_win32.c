#include "system.h"

#include <process.h>
#include <stdio.h>
#include <stdlib.h>

#include <windows.h>

#include <shellapi.h>

/* ---- text ---- */

static char *to_utf8(const wchar_t *text)
{
    int size = WideCharToMultiByte(CP_UTF8, 0, text, -1, NULL, 0, NULL, NULL);
    char *utf8 = malloc((size_t)size + 1);

    if (utf8)
        WideCharToMultiByte(CP_UTF8, 0, text, -1, utf8, size, NULL, NULL);
    return utf8;
}

/* The copies last as long as the program. When there is no memory for them, main()'s own are used. */
void system_read_arguments(int *argc, char ***argv)
{
    int n;
    wchar_t **wide = CommandLineToArgvW(GetCommandLineW(), &n);
    char **utf8 = wide ? calloc((size_t)n + 1, sizeof(*utf8)) : NULL;
    bool whole = utf8 != NULL;

    for (int i = 0; whole && i < n; i++) {
        utf8[i] = to_utf8(wide[i]);
        whole = utf8[i] != NULL;
    }
    LocalFree(wide);
    if (!whole)
        return;
    *argc = n;
    *argv = utf8;
}

unsigned long system_process_id(void)
{
    return GetCurrentProcessId();
}

void system_pause(unsigned ms)
{
    Sleep(ms);
}

/* ---- threads ---- */

struct thread {
    HANDLE handle;
    unsigned place;
    void (*run)(unsigned thread);
};

static unsigned __stdcall begin(void *arg)
{
    struct thread *t = arg;

    t->run(t->place);
    return 0;
}

void system_run_threads(unsigned n, void (*run)(unsigned thread))
{
    struct thread *threads = calloc(n, sizeof(*threads));

    for (unsigned i = 0; i < n; i++) {
        if (threads) {
            threads[i] = (struct thread){ .place = i, .run = run };
            threads[i].handle = (HANDLE)_beginthreadex(NULL, 0, begin, &threads[i], 0, NULL);
        }
        if (!threads || !threads[i].handle) {
            fprintf(stderr, "thread %u: out of memory\n", i + 1);
            exit(EXIT_FAILURE);
        }
    }
    for (unsigned i = 0; i < n; i++) {
        WaitForSingleObject(threads[i].handle, INFINITE);
        CloseHandle(threads[i].handle);
    }
    free(threads);
}

/* ---- the console ---- */

static SRWLOCK lock = SRWLOCK_INIT;
static struct sockbroker_worker *watched;
static unsigned n_stops;

void system_ignore_broken_pipes(void)
{
    /* they are errors here, not signals */
}

/* The system calls this in a thread of its own. When a console closes, its programs end as soon as this returns; so it does not
 * return, and the program ends when main() does, or after the seconds that Windows leaves it. */
static BOOL WINAPI stop(DWORD event)
{
    AcquireSRWLockExclusive(&lock);
    unsigned n_before = n_stops++;
    if (watched)
        sockbroker_worker_stop(watched);
    ReleaseSRWLockExclusive(&lock);
    if (event != CTRL_C_EVENT && event != CTRL_BREAK_EVENT)
        Sleep(INFINITE);
    return n_before == 0; /* FALSE: ends the program */
}

void system_hold_stops(void)
{
    SetConsoleCtrlHandler(stop, TRUE);
}

bool system_watch_stops(struct sockbroker_worker *worker)
{
    AcquireSRWLockExclusive(&lock);
    watched = worker;
    if (n_stops)
        sockbroker_worker_stop(worker);
    ReleaseSRWLockExclusive(&lock);
    return true;
}

void system_forget_stops(void)
{
    AcquireSRWLockExclusive(&lock);
    watched = NULL;
    ReleaseSRWLockExclusive(&lock);
}
