#include <stdio.h>

#include "tests/support/kit_keeper.h"
#include "tests/support/kit_process.h"
#include "tests/support/system_win32.h"

bool kit_make_folder(char *path, size_t room)
{
    return system_make_folder("sbkit", path, room);
}

bool kit_remove_folder(const char *path)
{
    return system_remove_tree(path);
}

bool kit_make_file(const char *name, char *path, size_t room)
{
    return system_make_file(name, path, room);
}

unsigned kit_count_fds(int pid)
{
    return system_count_handles((DWORD)pid);
}

bool kit_kill_pid(int pid)
{
    HANDLE process = OpenProcess(PROCESS_TERMINATE, FALSE, (DWORD)pid);
    bool done = process && TerminateProcess(process, 1); /* as most do: it is one of the broker's own codes */

    if (process)
        CloseHandle(process);
    return done;
}

/* Somebody's handle may keep the number of a process that has ended. */
bool kit_is_gone(int pid)
{
    HANDLE process = OpenProcess(SYNCHRONIZE, FALSE, (DWORD)pid);
    bool gone = !process || WaitForSingleObject(process, 0) == WAIT_OBJECT_0;

    if (process)
        CloseHandle(process);
    return gone;
}
