#include <winsock2.h>
#include <windows.h>

#include "tests/support/fault.h"

static double ms_of(const FILETIME *t)
{
    return (double)((uint64_t)t->dwHighDateTime << 32 | t->dwLowDateTime) / 1e4;
}

double fault_cpu_ms(int pid)
{
    FILETIME created, ended, in_system, in_process;
    HANDLE process = OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, FALSE, (DWORD)pid);

    if (!process || !GetProcessTimes(process, &created, &ended, &in_system, &in_process))
        kit_fail("no processor time of %d", pid);
    CloseHandle(process);
    return ms_of(&in_system) + ms_of(&in_process);
}
