#include "proto/thread.h"

#include <stdlib.h>

#include <nng/nng.h>
#include <nng/supplemental/util/platform.h>

struct sb_lock {
    nng_mtx *mtx;
    nng_cv *cv;
};

sockbroker_status sb_lock_create(struct sb_lock **lock_out)
{
    struct sb_lock *l = calloc(1, sizeof(*l));

    if (!l || nng_mtx_alloc(&l->mtx) || nng_cv_alloc(&l->cv, l->mtx)) {
        sb_lock_destroy(l);
        return SOCKBROKER_NO_MEMORY;
    }
    *lock_out = l;
    return SOCKBROKER_OK;
}

void sb_lock_destroy(struct sb_lock *l)
{
    if (!l)
        return;
    if (l->cv)
        nng_cv_free(l->cv);
    if (l->mtx)
        nng_mtx_free(l->mtx);
    free(l);
}

void sb_lock_take(struct sb_lock *l)
{
    nng_mtx_lock(l->mtx);
}

void sb_lock_drop(struct sb_lock *l)
{
    nng_mtx_unlock(l->mtx);
}

void sb_lock_wait(struct sb_lock *l, int64_t timeout_ms)
{
    if (timeout_ms < 0)
        nng_cv_wait(l->cv);
    else
        nng_cv_until(l->cv, nng_clock() + (nng_time)timeout_ms);
}

void sb_lock_wake(struct sb_lock *l)
{
    nng_cv_wake(l->cv);
}

sockbroker_status sb_thread_create(void (*run)(void *), void *arg, struct sb_thread **thread_out)
{
    return nng_thread_create((nng_thread **)thread_out, run, arg) ? SOCKBROKER_NO_MEMORY : SOCKBROKER_OK;
}

void sb_thread_join(struct sb_thread *thread)
{
    if (thread)
        nng_thread_destroy((nng_thread *)thread);
}
