#include "broker/signals.h"

#include <signal.h>
#include <stdlib.h>

static const struct {
    int number;
    enum sb_signal what;
    const char *name;
} known[] = {
    { SIGTERM, SB_SIGNAL_STOP, "SIGTERM" },
    { SIGINT, SB_SIGNAL_STOP, "SIGINT" },
    { SIGQUIT, SB_SIGNAL_STOP, "SIGQUIT" },
    { SIGHUP, SB_SIGNAL_RELOAD, "SIGHUP" },
    { SIGUSR2, SB_SIGNAL_UPGRADE, "SIGUSR2" },
};

#define N_KNOWN (sizeof(known) / sizeof(known[0]))

struct sb_signals {
    uv_signal_t handles[N_KNOWN];
    size_t n_open;
    void (*on_signal)(void *arg, enum sb_signal what, const char *how);
    void *arg;
};

static void on_signal(uv_signal_t *handle, int number)
{
    struct sb_signals *s = handle->data;
    size_t i = (size_t)(handle - s->handles);

    (void)number;
    s->on_signal(s->arg, known[i].what, known[i].name);
}

sockbroker_status sb_signals_open(uv_loop_t *loop, void (*on_heard)(void *arg, enum sb_signal what, const char *how), void *arg,
                                  struct sb_signals **signals_out)
{
    struct sb_signals *s = calloc(1, sizeof(*s));

    if (!s)
        return SOCKBROKER_NO_MEMORY;
    s->on_signal = on_heard;
    s->arg = arg;
    for (size_t i = 0; i < N_KNOWN; i++) {
        uv_signal_init(loop, &s->handles[i]);
        s->handles[i].data = s;
        uv_signal_start(&s->handles[i], on_signal, known[i].number);
        s->n_open++;
    }
    *signals_out = s;
    return SOCKBROKER_OK;
}

static void on_closed(uv_handle_t *handle)
{
    struct sb_signals *s = handle->data;

    if (--s->n_open == 0)
        free(s);
}

void sb_signals_close(struct sb_signals *s)
{
    for (size_t i = 0; s && i < N_KNOWN; i++)
        uv_close((uv_handle_t *)&s->handles[i], on_closed);
}
