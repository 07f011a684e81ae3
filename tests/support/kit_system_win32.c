#include <stdlib.h>

#include "tests/support/kit_keeper.h"
#include "tests/support/kit_process.h"
#include "tests/support/system_win32.h"

#include <iphlpapi.h>

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

void kit_broker_wait_idle_after_first_use(struct kit_broker *b)
{
    b->idle_fds = kit_count_fds(b->process->pid);
    b->idle_may_fall = true;
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

/* All that listen, of that family; NULL when the system does not say. Yours to free. */
static void *list_listeners(int family)
{
    DWORD len = 0;
    void *table = NULL;

    while (GetExtendedTcpTable(table, &len, FALSE, (ULONG)family, TCP_TABLE_OWNER_PID_LISTENER, 0) ==
           ERROR_INSUFFICIENT_BUFFER) {
        free(table);
        len += 1024; /* for those that come meanwhile */
        table = malloc(len);
        if (!table)
            return NULL;
    }
    return table;
}

static bool has_ipv4(const MIB_TCPTABLE_OWNER_PID *t, uint16_t port)
{
    for (DWORD i = 0; t && i < t->dwNumEntries; i++) {
        if (ntohs((uint16_t)t->table[i].dwLocalPort) == port)
            return true;
    }
    return false;
}

static bool has_ipv6(const MIB_TCP6TABLE_OWNER_PID *t, uint16_t port)
{
    for (DWORD i = 0; t && i < t->dwNumEntries; i++) {
        if (ntohs((uint16_t)t->table[i].dwLocalPort) == port)
            return true;
    }
    return false;
}

unsigned long kit_listener_number(int family, uint16_t port)
{
    void *table = list_listeners(family);
    bool found = family == AF_INET ? has_ipv4(table, port) : has_ipv6(table, port);

    free(table);
    return found;
}
