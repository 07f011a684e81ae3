#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "proto/thread.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static atomic_uint epoch;

static void count_fork(void)
{
    atomic_fetch_add_explicit(&epoch, 1, memory_order_relaxed);
}

static void watch_forks(void)
{
    atomic_store(&epoch, 1);
    pthread_atfork(NULL, NULL, count_fork);
}

unsigned sb_process_epoch(void)
{
    pthread_once(&once, watch_forks);
    return atomic_load_explicit(&epoch, memory_order_relaxed);
}

uint32_t sb_process_id(void)
{
    return (uint32_t)getpid();
}
