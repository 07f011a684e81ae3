#include "broker/death.h"

#include <stdlib.h>

struct sb_death {
    uv_async_t ended;
    HANDLE wait;
    void (*on_death)(void *arg);
    void (*forgotten)(void *arg);
    void *arg;
};

/* On a thread of the system's pool. */
static VOID CALLBACK on_signalled(PVOID context, BOOLEAN timed_out)
{
    struct sb_death *d = context;

    (void)timed_out;
    uv_async_send(&d->ended);
}

static void on_ended(uv_async_t *async)
{
    struct sb_death *d = async->data;

    d->on_death(d->arg);
}

static void on_closed(uv_handle_t *handle)
{
    struct sb_death *d = handle->data;

    if (d->forgotten)
        d->forgotten(d->arg);
    free(d);
}

sockbroker_status sb_death_watch(uv_loop_t *loop, sockbroker_socket handle, void (*on_death)(void *arg), void *arg,
                                 struct sb_death **death_out)
{
    struct sb_death *d = calloc(1, sizeof(*d));

    if (!d || uv_async_init(loop, &d->ended, on_ended)) {
        free(d);
        return SOCKBROKER_NO_MEMORY;
    }
    d->on_death = on_death;
    d->arg = arg;
    d->ended.data = d;
    if (!RegisterWaitForSingleObject(&d->wait, (HANDLE)handle, on_signalled, d, INFINITE, WT_EXECUTEONLYONCE)) {
        uv_close((uv_handle_t *)&d->ended, on_closed);
        return SOCKBROKER_NO_MEMORY;
    }
    *death_out = d;
    return SOCKBROKER_OK;
}

/* Waits for on_signalled(), which is short, if it is running: then nobody uses `ended` or the handle any more. */
void sb_death_forget(struct sb_death *d, void (*forgotten)(void *arg))
{
    d->forgotten = forgotten;
    UnregisterWaitEx(d->wait, INVALID_HANDLE_VALUE);
    uv_close((uv_handle_t *)&d->ended, on_closed);
}
