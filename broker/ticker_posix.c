#include "broker/ticker.h"

#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "proto/socket.h"

struct sb_ticker {
    int timer;
    uv_poll_t poll;
    void (*on_tick)(void *arg);
    void *arg;
};

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct sb_ticker *t = poll->data;
    uint64_t n;

    (void)status;
    (void)events;
    if (read(t->timer, &n, sizeof(n)) == sizeof(n)) /* else it was set anew meanwhile */
        t->on_tick(t->arg);
}

sockbroker_status sb_ticker_open(uv_loop_t *loop, void (*on_tick)(void *arg), void *arg, struct sb_ticker **ticker_out)
{
    struct sb_ticker *t = calloc(1, sizeof(*t));

    if (!t)
        return SOCKBROKER_NO_MEMORY;
    t->on_tick = on_tick;
    t->arg = arg;
    t->poll.data = t;
    t->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (t->timer < 0 || uv_poll_init_socket(loop, &t->poll, t->timer)) {
        sb_socket_close(&t->timer);
        free(t);
        return SOCKBROKER_NO_DESCRIPTORS;
    }
    uv_poll_start(&t->poll, UV_READABLE, on_readable);
    *ticker_out = t;
    return SOCKBROKER_OK;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void sb_ticker_close(struct sb_ticker *t)
{
    if (!t)
        return;
    uv_close((uv_handle_t *)&t->poll, on_closed);
    sb_socket_close(&t->timer);
}

static struct timespec from_ms(uint32_t ms)
{
    return (struct timespec){ .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };
}

void sb_ticker_set(struct sb_ticker *t, uint32_t first_ms, uint32_t every_ms)
{
    struct itimerspec when = { .it_value = from_ms(first_ms), .it_interval = from_ms(every_ms) };

    timerfd_settime(t->timer, 0, &when, NULL);
}
