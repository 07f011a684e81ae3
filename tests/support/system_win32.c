#include "tests/support/system_win32.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/format.h"

/* ---- handles ---- */

/* Each number is tried, for no question serves: Wine counts no handles in GetProcessHandleCount(), and its server crashes when
 * the handles of all processes are listed while one of them starts or ends. */
#define HANDLE_STEP 4 /* numbers are multiples of it */
#define GAP_MAX 1024  /* no handle has a number beyond so many that are free */

static bool is_file(HANDLE process, HANDLE theirs)
{
    HANDLE copy = NULL;
    bool file;

    if (!DuplicateHandle(process, theirs, GetCurrentProcess(), &copy, 0, FALSE, DUPLICATE_SAME_ACCESS))
        return false;
    file = GetFileType(copy) != FILE_TYPE_UNKNOWN;
    CloseHandle(copy);
    return file;
}

unsigned system_count_handles(DWORD pid)
{
    HANDLE process = OpenProcess(PROCESS_DUP_HANDLE, FALSE, pid);
    unsigned n = 0;

    if (!process)
        abort(); /* a count of nothing would be as good as any other */
    for (uintptr_t i = 1, last = 0; i <= last + GAP_MAX; i++) {
        if (is_file(process, (HANDLE)(i * HANDLE_STEP))) {
            last = i;
            n++;
        }
    }
    CloseHandle(process);
    return n;
}

/* ---- folders ---- */

static bool choose_path(const char *name, char *path_out, size_t room)
{
    static unsigned number;
    char temporary[MAX_PATH];

    if (!GetTempPathA(sizeof(temporary), temporary))
        return false;
    for (char *c = temporary; *c; c++)
        *c = *c == '\\' ? '/' : *c;
    format_text(path_out, room, "%s%s-%lu-%u", temporary, name, GetCurrentProcessId(), number++);
    return true;
}

bool system_make_folder(const char *name, char *path_out, size_t room)
{
    bool made = false;

    while (!made && choose_path(name, path_out, room)) {
        made = CreateDirectoryA(path_out, NULL);
        if (!made && GetLastError() != ERROR_ALREADY_EXISTS)
            break;
    }
    return made;
}

bool system_make_file(const char *name, char *path_out, size_t room)
{
    HANDLE file;

    if (!choose_path(name, path_out, room))
        return false;
    file = CreateFileA(path_out, GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, 0, NULL);
    if (file != INVALID_HANDLE_VALUE)
        CloseHandle(file);
    return file != INVALID_HANDLE_VALUE;
}

bool system_remove_tree(const char *path)
{
    char entry[2 * MAX_PATH];
    WIN32_FIND_DATAA found;

    format_text(entry, sizeof(entry), "%s/*", path);
    HANDLE search = FindFirstFileA(entry, &found);
    bool more = search != INVALID_HANDLE_VALUE;
    for (; more; more = FindNextFileA(search, &found)) {
        if (!strcmp(found.cFileName, ".") || !strcmp(found.cFileName, ".."))
            continue;
        format_text(entry, sizeof(entry), "%s/%s", path, found.cFileName);
        if (found.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY)
            system_remove_tree(entry);
        else
            DeleteFileA(entry);
    }
    if (search != INVALID_HANDLE_VALUE)
        FindClose(search);
    return RemoveDirectoryA(path);
}
