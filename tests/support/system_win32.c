#include "tests/support/system_win32.h"

#include <winternl.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- handles ---- */

/* Answered by Wine too, which counts no handles in GetProcessHandleCount(). */
#define EXTENDED_HANDLES ((SYSTEM_INFORMATION_CLASS)64)
#define TOO_SMALL ((NTSTATUS)0xC0000004)

struct handle_entry {
    void *object;
    ULONG_PTR pid;
    ULONG_PTR handle;
    ULONG access;
    USHORT trace;
    USHORT type;
    ULONG attributes;
    ULONG reserved;
};

struct handle_list {
    ULONG_PTR n;
    ULONG_PTR reserved;
    struct handle_entry entries[1];
};

static struct handle_list *list_handles(void)
{
    ULONG room = 1u << 18;
    NTSTATUS st = TOO_SMALL;
    struct handle_list *list = NULL;

    while (st == TOO_SMALL) {
        free(list);
        room *= 2;
        list = malloc(room);
        if (!list)
            abort();
        st = NtQuerySystemInformation(EXTENDED_HANDLES, list, room, NULL);
    }
    if (st)
        abort();
    return list;
}

/* The number that this system has for the type: that of a file which we open. */
static USHORT type_of_files(void)
{
    HANDLE file = CreateFileA("NUL", GENERIC_READ, 0, NULL, OPEN_EXISTING, 0, NULL);
    struct handle_list *list = list_handles();
    USHORT type = 0;

    for (ULONG_PTR i = 0; i < list->n; i++) {
        if (list->entries[i].pid == GetCurrentProcessId() && (HANDLE)list->entries[i].handle == file)
            type = list->entries[i].type;
    }
    CloseHandle(file);
    free(list);
    return type;
}

unsigned system_count_handles(DWORD pid)
{
    static USHORT type;
    unsigned n = 0;

    if (!type)
        type = type_of_files();
    struct handle_list *list = list_handles();
    for (ULONG_PTR i = 0; i < list->n; i++)
        n += list->entries[i].pid == pid && list->entries[i].type == type;
    free(list);
    return n;
}

unsigned system_count_sockets(void)
{
    struct handle_list *list = list_handles();
    unsigned n = 0;

    for (ULONG_PTR i = 0; i < list->n; i++) {
        int type;
        int len = sizeof(type);

        if (list->entries[i].pid == GetCurrentProcessId())
            n += getsockopt((SOCKET)list->entries[i].handle, SOL_SOCKET, SO_TYPE, (char *)&type, &len) == 0;
    }
    free(list);
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
    snprintf(path_out, room, "%s%s-%lu-%u", temporary, name, GetCurrentProcessId(), number++);
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

    snprintf(entry, sizeof(entry), "%s/*", path);
    HANDLE search = FindFirstFileA(entry, &found);
    bool more = search != INVALID_HANDLE_VALUE;
    for (; more; more = FindNextFileA(search, &found)) {
        if (!strcmp(found.cFileName, ".") || !strcmp(found.cFileName, ".."))
            continue;
        snprintf(entry, sizeof(entry), "%s/%s", path, found.cFileName);
        if (found.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY)
            system_remove_tree(entry);
        else
            DeleteFileA(entry);
    }
    if (search != INVALID_HANDLE_VALUE)
        FindClose(search);
    return RemoveDirectoryA(path);
}
