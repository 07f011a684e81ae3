#include <windows.h>

#include "proto/thread.h"

unsigned sb_process_epoch(void)
{
    return 1; /* no process here begins as the copy of another */
}

uint32_t sb_process_id(void)
{
    return GetCurrentProcessId();
}
