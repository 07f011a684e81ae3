#include "broker/signals_win32.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/keeper.h"
#include "broker/log.h"
#include "proto/oserr.h"

/* libuv's names for the events of a console. The handler of the last one never returns, so that there is time to end. */
static const struct {
    int number;
    const char *name;
} console[] = {
    { SIGINT, "Ctrl-C" },
    { SIGBREAK, "Ctrl-Break" },
    { SIGHUP, "the console was closed" },
};

#define N_CONSOLE (sizeof(console) / sizeof(console[0]))
#define N_EVENTS 2 /* stop, reload */

struct event {
    struct sb_signals *signals;
    enum sb_signal what;
    HANDLE event;
    HANDLE wait;
    uv_async_t heard;
};

struct sb_signals {
    uv_signal_t console[N_CONSOLE];
    struct event events[N_EVENTS];
    size_t n_open;
    void (*on_signal)(void *arg, enum sb_signal what, const char *how);
    void *arg;
};

const wchar_t *sb_signal_event_name(DWORD pid, enum sb_signal what, wchar_t name_out[SB_SIGNAL_NAME_MAX])
{
    _snwprintf(name_out, SB_SIGNAL_NAME_MAX, L"Global\\sockbroker-%lu-%ls", pid, what == SB_SIGNAL_STOP ? L"stop" : L"reload");
    return name_out;
}

bool sb_signal_send(DWORD pid, enum sb_signal what)
{
    wchar_t name[SB_SIGNAL_NAME_MAX];
    HANDLE event = OpenEventW(EVENT_MODIFY_STATE, FALSE, sb_signal_event_name(pid, what, name));
    bool done = event && SetEvent(event);

    if (event)
        CloseHandle(event);
    return done;
}

/* ---- the console ---- */

static void on_console(uv_signal_t *handle, int number)
{
    struct sb_signals *s = handle->data;
    size_t i = (size_t)(handle - s->console);

    (void)number;
    if (!sb_keeper_is_ours()) /* it hears that too, and passes it on */
        s->on_signal(s->arg, SB_SIGNAL_STOP, console[i].name);
}

static void watch_console(struct sb_signals *s, uv_loop_t *loop)
{
    for (size_t i = 0; i < N_CONSOLE; i++) {
        uv_signal_init(loop, &s->console[i]);
        s->console[i].data = s;
        uv_signal_start(&s->console[i], on_console, console[i].number);
        s->n_open++;
    }
}

/* ---- the events ---- */

/* On a thread of the system's pool. */
static VOID CALLBACK on_set(PVOID context, BOOLEAN timed_out)
{
    struct event *e = context;

    (void)timed_out;
    uv_async_send(&e->heard);
}

static void on_heard(uv_async_t *async)
{
    struct event *e = async->data;

    e->signals->on_signal(e->signals->arg, e->what, e->what == SB_SIGNAL_STOP ? "stop event" : "reload event");
}

/* One that is there already is the keeper's, or somebody's trap. */
static bool create(struct event *e)
{
    wchar_t name[SB_SIGNAL_NAME_MAX];
    char text[96];

    e->event = CreateEventW(NULL, FALSE, FALSE, sb_signal_event_name(GetCurrentProcessId(), e->what, name));
    if (e->event && (GetLastError() != ERROR_ALREADY_EXISTS || sb_keeper_is_ours()))
        return true;
    sb_log(SB_LOG_WARNING, "not_told_by_event", "event=%ls cause=\"%s\"", name,
           sb_oserr_text((int)GetLastError(), text, sizeof(text)));
    if (e->event)
        CloseHandle(e->event);
    e->event = NULL;
    return false;
}

static void watch_event(struct sb_signals *s, uv_loop_t *loop, struct event *e, enum sb_signal what)
{
    e->signals = s;
    e->what = what;
    uv_async_init(loop, &e->heard, on_heard);
    e->heard.data = e;
    s->n_open++;
    if (create(e) && !RegisterWaitForSingleObject(&e->wait, e->event, on_set, e, INFINITE, WT_EXECUTEDEFAULT))
        e->wait = NULL;
}

sockbroker_status sb_signals_open(uv_loop_t *loop, void (*on_signal)(void *arg, enum sb_signal what, const char *how),
                                  void *arg, struct sb_signals **signals_out)
{
    struct sb_signals *s = calloc(1, sizeof(*s));

    if (!s)
        return SOCKBROKER_NO_MEMORY;
    s->on_signal = on_signal;
    s->arg = arg;
    watch_console(s, loop);
    watch_event(s, loop, &s->events[0], SB_SIGNAL_STOP);
    watch_event(s, loop, &s->events[1], SB_SIGNAL_RELOAD);
    *signals_out = s;
    return SOCKBROKER_OK;
}

/* ---- the end ---- */

static void let_go(struct sb_signals *s)
{
    if (--s->n_open == 0)
        free(s);
}

static void on_console_closed(uv_handle_t *handle)
{
    let_go(handle->data);
}

static void on_event_closed(uv_handle_t *handle)
{
    struct event *e = handle->data;

    let_go(e->signals);
}

static void close_event(struct event *e)
{
    if (e->wait)
        UnregisterWaitEx(e->wait, INVALID_HANDLE_VALUE); /* waits for on_set() */
    if (e->event)
        CloseHandle(e->event);
    uv_close((uv_handle_t *)&e->heard, on_event_closed);
}

void sb_signals_close(struct sb_signals *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < N_CONSOLE; i++)
        uv_close((uv_handle_t *)&s->console[i], on_console_closed);
    for (size_t i = 0; i < N_EVENTS; i++)
        close_event(&s->events[i]);
}
