#include <stdio.h>

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
