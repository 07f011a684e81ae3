#include "broker/process.h"

#include <winsock2.h>

#include <shellapi.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/sid_win32.h"
#include "broker/text_win32.h"

/* Here nothing is told by signals that could end a process. */
void sb_process_ignore_sigpipe(void)
{
}

void sb_process_unblock_signals(void)
{
}

void sb_process_ignore_upgrade(void)
{
}

/* Its name is that of its file. */
void sb_process_set_name(const char *name)
{
    (void)name;
}

bool sb_process_is_own_user(uint32_t uid)
{
    return uid == 0 || uid == sb_sid_own();
}

/* A handle of somebody else's may keep the number of a process that has ended. */
bool sb_process_exists(uint32_t pid)
{
    HANDLE process = OpenProcess(SYNCHRONIZE, FALSE, pid);

    if (!process)
        return GetLastError() != ERROR_INVALID_PARAMETER;
    bool runs = WaitForSingleObject(process, 0) == WAIT_TIMEOUT;
    CloseHandle(process);
    return runs;
}

/* The system has no limit of its own below 16 million. */
void sb_process_raise_descriptors(uint64_t wanted, uint64_t *limit_out)
{
    *limit_out = wanted;
}

void sb_process_restore_descriptors(void)
{
}

void sb_process_first_descriptors(uint64_t *soft_out, uint64_t *hard_out)
{
    *soft_out = *hard_out = 0;
}

void sb_process_set_first_descriptors(uint64_t soft, uint64_t hard)
{
    (void)soft;
    (void)hard;
}

bool sb_process_full_path(const char *path, char *full_out, size_t room)
{
    wchar_t *wide = NULL;
    wchar_t full[MAX_PATH];
    char *narrow = NULL;
    bool ok = sb_text_widen(path, &wide) == SOCKBROKER_OK &&
              GetFullPathNameW(wide, MAX_PATH, full, NULL) - 1u < MAX_PATH - 1u &&
              GetFileAttributesW(full) != INVALID_FILE_ATTRIBUTES && sb_text_narrow(full, &narrow) == SOCKBROKER_OK &&
              (size_t)snprintf(full_out, room, "%s", narrow) < room;

    free(wide);
    free(narrow);
    return ok;
}

/* main() has them in the code page of the system, which lacks most letters. */
bool sb_process_take_arguments(int *argc, char ***argv)
{
    int n = 0;
    wchar_t **wide = CommandLineToArgvW(GetCommandLineW(), &n);
    char **words = wide ? calloc((size_t)n + 1, sizeof(*words)) : NULL;
    bool ok = words != NULL;

    for (int i = 0; ok && i < n; i++)
        ok = sb_text_narrow(wide[i], &words[i]) == SOCKBROKER_OK;
    LocalFree(wide);
    if (!ok) /* the process ends */
        return false;
    *argc = n;
    *argv = words;
    return true;
}
