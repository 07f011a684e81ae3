#include <unistd.h>

#include "proto/thread.h"

uint32_t sb_process_id(void)
{
    return (uint32_t)getpid();
}
