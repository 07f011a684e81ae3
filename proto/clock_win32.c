#include "proto/clock.h"

#include <windows.h>

uint64_t sb_clock_ns(void)
{
    LARGE_INTEGER count, frequency;

    QueryPerformanceFrequency(&frequency); /* the same from boot to boot; neither call can fail since Windows XP */
    QueryPerformanceCounter(&count);
    uint64_t n = (uint64_t)count.QuadPart;
    uint64_t per_second = (uint64_t)frequency.QuadPart;
    return n / per_second * 1000000000u + n % per_second * 1000000000u / per_second;
}
