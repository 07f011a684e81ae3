#include <winsock2.h>
#include <windows.h>

#include "tests/integration/supervise_kit.h"

#define KILLED 137

const char how_struck[] = "how=\"exited with 137\"";
const bool can_ask = false; /* a process without a console hears nothing but the drain */

/* All that the test starts, and what those start, is in the job of the kit, and ends with it. */
void supervise_take_orphans(void)
{
}

void supervise_end_orphans(void)
{
}

void supervise_wait_orphan(uint32_t pid)
{
    HANDLE process = OpenProcess(SYNCHRONIZE, FALSE, pid);

    if (process && WaitForSingleObject(process, KIT_WAIT_MS) != WAIT_OBJECT_0)
        kit_fail("process %u does not end", pid);
    if (process)
        CloseHandle(process);
}

void strike(uint32_t pid)
{
    HANDLE process = OpenProcess(PROCESS_TERMINATE, FALSE, pid);

    if (!process || !TerminateProcess(process, KILLED))
        kit_fail("process %u cannot be ended: error %lu", pid, GetLastError());
    CloseHandle(process);
}
