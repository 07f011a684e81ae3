#include "broker/ticker.h"

#include <stdlib.h>

struct sb_ticker {
    uv_timer_t timer;
    void (*on_tick)(void *arg);
    void *arg;
};

static void on_timer(uv_timer_t *timer)
{
    struct sb_ticker *t = timer->data;

    t->on_tick(t->arg);
}

sockbroker_status sb_ticker_open(uv_loop_t *loop, void (*on_tick)(void *arg), void *arg, struct sb_ticker **ticker_out)
{
    struct sb_ticker *t = calloc(1, sizeof(*t));

    if (!t)
        return SOCKBROKER_NO_MEMORY;
    uv_timer_init(loop, &t->timer);
    t->timer.data = t;
    t->on_tick = on_tick;
    t->arg = arg;
    *ticker_out = t;
    return SOCKBROKER_OK;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void sb_ticker_close(struct sb_ticker *t)
{
    if (t)
        uv_close((uv_handle_t *)&t->timer, on_closed);
}

void sb_ticker_set(struct sb_ticker *t, uint32_t first_ms, uint32_t every_ms)
{
    if (!first_ms) {
        uv_timer_stop(&t->timer);
        return;
    }
    uv_update_time(t->timer.loop); /* the loop's own may be old by now */
    uv_timer_start(&t->timer, on_timer, first_ms, every_ms);
}
