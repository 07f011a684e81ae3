#include "broker/spawn.h"

#include <winsock2.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/command_line_win32.h"
#include "broker/inherited_handles_win32.h"
#include "proto/error.h"
#include "proto/failpoint.h"
#include "proto/oserr.h"
#include "broker/text_win32.h"

#define KILLED 137 /* as shells say it */

/* All that the child needs, made before it is there. */
struct plan {
    const char *program;
    wchar_t *path; /* of the file */
    wchar_t *line;
    wchar_t *environment;
    struct sb_inherited_handles handles;
    HANDLE job;
};

static void clear_plan(struct plan *p)
{
    sb_inherited_handles_close(&p->handles);
    if (p->job)
        CloseHandle(p->job);
    free(p->path);
    free(p->line);
    free(p->environment);
}

static sockbroker_status fail(const struct plan *p, const char *what, int os_code, struct sockbroker_error *error)
{
    char text[320];

    snprintf(text, sizeof(text), "%s: %s", p->program, what);
    return sb_oserr_set(error, os_code, text, NULL);
}

/* ---- the program ---- */

static bool has_folder(const wchar_t *program)
{
    return wcspbrk(program, L"\\/:") != NULL;
}

/* Not in the folder where the broker happens to run, as the system would do. */
static wchar_t *find_in_path(const wchar_t *program)
{
    DWORD len = GetEnvironmentVariableW(L"PATH", NULL, 0);
    wchar_t *folders = len ? malloc(len * sizeof(*folders)) : NULL;
    wchar_t *path = NULL;

    if (!folders || !GetEnvironmentVariableW(L"PATH", folders, len)) {
        free(folders);
        return NULL;
    }
    len = SearchPathW(folders, program, L".exe", 0, NULL, NULL);
    if (len)
        path = malloc(len * sizeof(*path));
    if (path)
        SearchPathW(folders, program, L".exe", len, path, NULL);
    free(folders);
    return path;
}

static sockbroker_status find_program(struct plan *p, struct sockbroker_error *error)
{
    wchar_t *program = NULL;
    sockbroker_status st = sb_text_widen(p->program, &program);

    if (st)
        return sb_error_set(error, st, 0, "%s: %s", p->program, sockbroker_status_text(st));
    if (has_folder(program)) {
        p->path = program;
        return SOCKBROKER_OK;
    }
    p->path = find_in_path(program);
    free(program);
    return p->path ? SOCKBROKER_OK
                   : sb_error_set(error, SOCKBROKER_NOT_FOUND, ERROR_FILE_NOT_FOUND,
                                  "%s: there is no such program in PATH; write its whole path", p->program);
}

/* ---- the environment ---- */

static size_t name_len(const wchar_t *variable)
{
    return wcscspn(variable + 1, L"=") + 1; /* the hidden ones begin with = */
}

static int compare_names(const void *a, const void *b)
{
    const wchar_t *const *x = a;
    const wchar_t *const *y = b;

    return CompareStringOrdinal(*x, (int)name_len(*x), *y, (int)name_len(*y), TRUE) - CSTR_EQUAL;
}

/* Names that differ in the case of letters only are the same here, and the later one counts. */
static size_t drop_repeated(wchar_t **variables, size_t n)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++) {
        bool again = false;

        for (size_t k = i + 1; k < n && !again; k++)
            again = !compare_names(&variables[i], &variables[k]);
        if (again)
            free(variables[i]);
        else
            variables[kept++] = variables[i];
    }
    return kept;
}

/* One after the other, sorted, with an empty one at the end. */
static wchar_t *join(wchar_t *const *variables, size_t n)
{
    size_t len = 2;

    for (size_t i = 0; i < n; i++)
        len += wcslen(variables[i]) + 1;
    wchar_t *block = calloc(len, sizeof(*block));
    for (size_t i = 0, at = 0; block && i < n; i++) {
        size_t size = wcslen(variables[i]) + 1;

        memcpy(block + at, variables[i], size * sizeof(*block));
        at += size;
    }
    return block;
}

static sockbroker_status make_environment(struct plan *p, const struct sb_text_list *list, struct sockbroker_error *error)
{
    wchar_t **variables = calloc(list->n + 1, sizeof(*variables));
    sockbroker_status st = variables ? SOCKBROKER_OK : SOCKBROKER_NO_MEMORY;
    size_t n = 0;

    while (!st && n < list->n) {
        st = sb_text_widen(list->texts[n], &variables[n]);
        n += !st;
    }
    if (!st) {
        n = drop_repeated(variables, n);
        qsort(variables, n, sizeof(*variables), compare_names);
        p->environment = join(variables, n);
        st = p->environment ? SOCKBROKER_OK : SOCKBROKER_NO_MEMORY;
    }
    while (n)
        free(variables[--n]);
    free(variables);
    return st ? sb_error_set(error, st, 0, "%s: its environment: %s", p->program, sockbroker_status_text(st)) : SOCKBROKER_OK;
}

/* ---- the start ---- */

static sockbroker_status arrange_handles(struct plan *p, sockbroker_socket mark, struct sockbroker_error *error)
{
    p->job = CreateJobObjectW(NULL, NULL);
    if (p->job && sb_inherited_handles_open(&p->handles, false, mark == SOCKBROKER_SOCKET_NONE ? NULL : (HANDLE)mark))
        return SOCKBROKER_OK;
    return fail(p, "its handles", (int)GetLastError(), error);
}

/* It waits until it is in its job: what it starts shall be there too. It has no console, for Ctrl-C is for the broker. */
static bool create(const struct plan *p, PROCESS_INFORMATION *made_out)
{
    DWORD flags = CREATE_SUSPENDED | CREATE_UNICODE_ENVIRONMENT | EXTENDED_STARTUPINFO_PRESENT | DETACHED_PROCESS;
    STARTUPINFOEXW how = sb_inherited_handles_use(&p->handles);

    return CreateProcessW(p->path, p->line, NULL, NULL, TRUE, flags, p->environment, NULL, &how.StartupInfo, made_out);
}

static sockbroker_status start(struct plan *p, struct sb_child *child_out, struct sockbroker_error *error)
{
    PROCESS_INFORMATION made;
    int os_code = sb_failpoint("spawn");

    if (os_code)
        return fail(p, "not started", os_code, error);
    if (!create(p, &made))
        return fail(p, "could not be started", (int)GetLastError(), error);
    if (!AssignProcessToJobObject(p->job, made.hProcess) || ResumeThread(made.hThread) == (DWORD)-1) {
        os_code = (int)GetLastError();
        TerminateProcess(made.hProcess, KILLED);
        CloseHandle(made.hThread);
        CloseHandle(made.hProcess);
        return fail(p, "its job", os_code, error);
    }
    CloseHandle(made.hThread);
    *child_out = (struct sb_child){ .pid = made.dwProcessId,
                                    .handle = (sockbroker_socket)made.hProcess,
                                    .trouble = SOCKBROKER_SOCKET_NONE,
                                    .group = (sockbroker_socket)p->job };
    p->job = NULL;
    return SOCKBROKER_OK;
}

sockbroker_status sb_spawn(const struct sb_spawn_request *r, struct sb_child *child_out, struct sockbroker_error *error_out)
{
    struct plan p = { .program = r->command->texts[0] };
    sockbroker_status st = find_program(&p, error_out);

    if (!st && r->user)
        st = sb_error_set(error_out, SOCKBROKER_UNSUPPORTED, 0,
                          "%s: workers run as the broker's own account here; leave user out", p.program);
    if (!st && sb_command_line_make((const char *const *)r->command->texts, r->command->n, &p.line))
        st = sb_error_set(error_out, SOCKBROKER_INVALID, 0, "%s: the command is not UTF-8, or too long", p.program);
    if (!st)
        st = make_environment(&p, r->environment, error_out);
    if (!st)
        st = arrange_handles(&p, r->mark, error_out);
    if (!st)
        st = start(&p, child_out, error_out);
    clear_plan(&p);
    return st;
}

/* ---- life and end ---- */

static HANDLE process_of(const struct sb_child *c)
{
    return (HANDLE)c->handle;
}

static HANDLE job_of(const struct sb_child *c)
{
    return c->group == SOCKBROKER_SOCKET_NONE ? NULL : (HANDLE)c->group;
}

sockbroker_status sb_child_adopt(uint32_t pid, sockbroker_socket handle, struct sb_child *child_out)
{
    HANDLE us = GetCurrentProcess();
    HANDLE own;

    if (!DuplicateHandle(us, (HANDLE)handle, us, &own, 0, FALSE, DUPLICATE_SAME_ACCESS))
        return sb_oserr_status((int)GetLastError());
    *child_out = (struct sb_child){ pid, (sockbroker_socket)own, SOCKBROKER_SOCKET_NONE, SOCKBROKER_SOCKET_NONE, true };
    return SOCKBROKER_OK;
}

bool sb_child_has(const struct sb_child *c, uint32_t pid)
{
    BOOL is_in = FALSE;

    if (!c->pid || pid == c->pid || !job_of(c))
        return c->pid && pid == c->pid;
    HANDLE process = OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, FALSE, pid);
    if (!process)
        return false;
    if (!IsProcessInJob(process, job_of(c), &is_in))
        is_in = FALSE;
    CloseHandle(process);
    return is_in;
}

static void kill_all(const struct sb_child *c)
{
    if (job_of(c))
        TerminateJobObject(job_of(c), KILLED);
    else
        TerminateProcess(process_of(c), KILLED);
}

/* It has been told to drain; nothing else can be said to a process without a console. */
void sb_child_end(const struct sb_child *c, bool at_once)
{
    if (c->pid && at_once)
        kill_all(c);
}

static void tell_end(const struct sb_child *c, char how_out[SB_CHILD_END_MAX])
{
    DWORD code = 0;

    if (!GetExitCodeProcess(process_of(c), &code) || code == STILL_ACTIVE)
        snprintf(how_out, SB_CHILD_END_MAX, "ended in a way that nobody saw");
    else if (code >= 0xc0000000u)
        snprintf(how_out, SB_CHILD_END_MAX, "was ended by exception 0x%08lx", code);
    else
        snprintf(how_out, SB_CHILD_END_MAX, "exited with %lu", code);
}

void sb_child_bury(struct sb_child *c, char how_out[SB_CHILD_END_MAX])
{
    tell_end(c, how_out);
    if (job_of(c)) {
        TerminateJobObject(job_of(c), KILLED);
        CloseHandle(job_of(c));
    }
    CloseHandle(process_of(c));
    *c = (struct sb_child)SB_CHILD_NONE;
}

bool sb_child_wait(const struct sb_child *c, int timeout_ms)
{
    return WaitForSingleObject(process_of(c), timeout_ms < 0 ? INFINITE : (DWORD)timeout_ms) == WAIT_OBJECT_0;
}
