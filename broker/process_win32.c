#include "broker/process.h"

#include <winsock2.h>

#include <shellapi.h>
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
