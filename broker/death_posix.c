#include "broker/death.h"

#include <stdlib.h>

struct sb_death {
    uv_poll_t poll; /* on the pidfd */
    void (*on_death)(void *arg);
    void (*forgotten)(void *arg);
    void *arg;
};

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct sb_death *d = poll->data;

    (void)status;
    (void)events;
    d->on_death(d->arg);
}

sockbroker_status sb_death_watch(uv_loop_t *loop, sockbroker_socket handle, void (*on_death)(void *arg), void *arg,
                                 struct sb_death **death_out)
{
    struct sb_death *d = calloc(1, sizeof(*d));

    if (!d || uv_poll_init_socket(loop, &d->poll, handle)) {
        free(d);
        return SOCKBROKER_NO_MEMORY;
    }
    d->on_death = on_death;
    d->arg = arg;
    d->poll.data = d;
    uv_poll_start(&d->poll, UV_READABLE, on_readable);
    *death_out = d;
    return SOCKBROKER_OK;
}

static void on_closed(uv_handle_t *handle)
{
    struct sb_death *d = handle->data;

    if (d->forgotten)
        d->forgotten(d->arg);
    free(d);
}

/* Leaves epoll at once, so the descriptor may close. */
void sb_death_forget(struct sb_death *d, void (*forgotten)(void *arg))
{
    d->forgotten = forgotten;
    uv_close((uv_handle_t *)&d->poll, on_closed);
}
