#include "broker/log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "broker/log_limit.h"
#include "broker/log_sink.h"
#include "proto/clock.h"
#include "proto/error.h"
#include "proto/printf.h"

#define LINES_MAX 1024u /* 0.5 MiB */
#define CLOSE_WAIT_NS UINT64_C(200000000)
#define LOOK_AGAIN_NS UINT64_C(250000000) /* while suppressed lines wait to be reported */

struct line {
    size_t len;
    uint64_t reports; /* how many dropped lines it tells of */
    char text[SB_LOG_LINE_MAX + 1];
};

/* What the thread and the callers share, under `mutex`. */
struct writer {
    uv_thread_t thread;
    uv_cond_t changed;
    struct line lines[LINES_MAX]; /* a ring */
    uint64_t n_queued;            /* ever */
    uint64_t n_taken;             /* ever; the rest is in the ring */
    uint64_t n_dropped;           /* not yet told */
    uint64_t tell_at;             /* tell it once that many lines are taken: there is the gap */
    struct sb_log_limits limits;
    bool stopping;
    bool done;                /* the thread has nothing more to do */
    struct writer *next_left; /* in the list of those left behind */
};

static uv_once_t once = UV_ONCE_INIT;
static uv_mutex_t mutex; /* never destroyed: an abandoned thread may still come back */
static struct writer *writer;
static struct writer *left_behind; /* their threads hang in write(), or did */
static enum sb_log_level log_level = SB_LOG_INFO;
static bool is_journal;
static bool is_stuck; /* the last writer was abandoned: a line written directly would hang too */
static uint64_t n_dropped_ever;

static void make_mutex(void)
{
    if (uv_mutex_init(&mutex))
        abort(); /* glibc and Windows never fail here */
    is_journal = sb_log_sink_is_journal();
}

static void lock(void)
{
    uv_once(&once, make_mutex);
    uv_mutex_lock(&mutex);
}

static void unlock(void)
{
    uv_mutex_unlock(&mutex);
}

/* ---- one line ---- */

static void begin_line(struct line *line, enum sb_log_level level, const char *event)
{
    char stamp[SB_LOG_STAMP_MAX];
    int len;

    if (is_journal) {
        len = snprintf(line->text, SB_LOG_LINE_MAX, "<%d>event=%s ", (int)level, event);
    } else {
        sb_log_sink_stamp(stamp);
        len = snprintf(line->text, SB_LOG_LINE_MAX, "%s level=%s event=%s ", stamp, sb_log_level_name(level), event);
    }
    line->len = len < 0 ? 0 : (size_t)len;
    line->reports = 0;
}

static void add_rest(struct line *line, const char *format, va_list args)
{
    int len;

    if (line->len >= SB_LOG_LINE_MAX)
        return;
    len = vsnprintf(line->text + line->len, SB_LOG_LINE_MAX - line->len, format, args);
    line->len += len < 0 ? 0 : (size_t)len;
}

/* Cuts, ends with one newline, and lets nothing through that would look like another line. */
static void end_line(struct line *line)
{
    if (line->len > SB_LOG_LINE_MAX - 1) {
        line->len = SB_LOG_LINE_MAX - 1;
        memcpy(line->text + line->len - 3, "...", 3);
    }
    while (line->len > 0 && line->text[line->len - 1] == ' ')
        line->len--;
    for (size_t i = 0; i < line->len; i++)
        if ((unsigned char)line->text[i] < 0x20 || line->text[i] == 0x7f)
            line->text[i] = '?';
    line->text[line->len++] = '\n';
}

static void make_line(struct line *line, enum sb_log_level level, const char *event, const char *format, ...) SB_PRINTF(4, 5);

static void make_line(struct line *line, enum sb_log_level level, const char *event, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    begin_line(line, level, event);
    add_rest(line, format, args);
    end_line(line);
    va_end(args);
}

/* ---- the writer's thread; `mutex` is held but while it writes ---- */

static bool take_gap_report(struct writer *w, struct line *line)
{
    if (w->n_dropped == 0 || w->n_taken < w->tell_at)
        return false;
    make_line(line, SB_LOG_WARNING, "log_lines_dropped", "count=%" PRIu64 " total=%" PRIu64, w->n_dropped, n_dropped_ever);
    line->reports = w->n_dropped;
    w->n_dropped = 0;
    return true;
}

static bool take_queued(struct writer *w, struct line *line)
{
    const struct line *from = &w->lines[w->n_taken % LINES_MAX];

    if (w->n_taken == w->n_queued)
        return false;
    line->len = from->len;
    line->reports = 0;
    memcpy(line->text, from->text, from->len);
    w->n_taken++;
    return true;
}

static bool take_limit_report(struct writer *w, struct line *line)
{
    struct sb_log_event *event = sb_log_limit_due(&w->limits, sb_clock_ns(), w->stopping);

    if (!event)
        return false;
    make_line(line, event->level, event->name, "suppressed=%" PRIu64, event->suppressed);
    sb_log_limit_reported(event);
    return true;
}

static bool next_line(struct writer *w, struct line *line)
{
    for (;;) {
        if (take_gap_report(w, line) || take_queued(w, line) || take_limit_report(w, line))
            return true;
        if (w->stopping)
            return false;
        if (sb_log_limit_is_pending(&w->limits))
            uv_cond_timedwait(&w->changed, &mutex, LOOK_AGAIN_NS);
        else
            uv_cond_wait(&w->changed, &mutex);
    }
}

/* The sink refused it. The next line tries to tell, not this moment: a full disk would make this a busy loop. */
static void count_lost(struct writer *w, const struct line *line)
{
    n_dropped_ever += line->reports ? 0 : 1;
    w->n_dropped += line->reports ? line->reports : 1;
    w->tell_at = w->n_taken + 1;
}

static void write_lines(void *arg)
{
    struct writer *w = arg;
    struct line line;
    bool ok;

    sb_log_sink_thread_begin();
    lock();
    while (next_line(w, &line)) {
        unlock();
        ok = sb_log_sink_write(line.text, line.len);
        lock();
        if (!ok)
            count_lost(w, &line);
    }
    w->done = true;
    uv_cond_broadcast(&w->changed);
    unlock();
}

/* ---- callers ---- */

static sockbroker_status start(struct writer **writer_out)
{
    struct writer *w = calloc(1, sizeof(*w));

    if (!w)
        return SOCKBROKER_NO_MEMORY;
    if (uv_cond_init(&w->changed)) {
        free(w);
        return SOCKBROKER_NO_MEMORY;
    }
    if (uv_thread_create(&w->thread, write_lines, w)) {
        uv_cond_destroy(&w->changed);
        free(w);
        return SOCKBROKER_SYSTEM;
    }
    *writer_out = w;
    return SOCKBROKER_OK;
}

/* The thread is past its last unlock(), or about to be. */
static void join(struct writer *w)
{
    uv_thread_join(&w->thread);
    uv_cond_destroy(&w->changed);
    free(w);
}

/* Those whose reader came back since. */
static void join_left_behind(void)
{
    struct writer *still_left = NULL, *next, *done = NULL;

    lock();
    for (struct writer *w = left_behind; w; w = next) {
        struct writer **list = w->done ? &done : &still_left;

        next = w->next_left;
        w->next_left = *list;
        *list = w;
    }
    left_behind = still_left;
    unlock();
    for (; done; done = next) {
        next = done->next_left;
        join(done);
    }
}

sockbroker_status sb_log_open(enum sb_log_level level)
{
    sockbroker_status st = SOCKBROKER_OK;

    join_left_behind();
    lock();
    log_level = level;
    is_journal = sb_log_sink_is_journal();
    is_stuck = false;
    if (!writer)
        st = start(&writer);
    unlock();
    return st;
}

void sb_log_set_level(enum sb_log_level level)
{
    lock();
    log_level = level;
    unlock();
}

static bool wait_until_done(struct writer *w)
{
    uint64_t end_ns = sb_clock_ns() + CLOSE_WAIT_NS;

    w->stopping = true;
    uv_cond_broadcast(&w->changed);
    for (uint64_t now_ns = sb_clock_ns(); !w->done && now_ns < end_ns; now_ns = sb_clock_ns())
        uv_cond_timedwait(&w->changed, &mutex, end_ns - now_ns);
    return w->done;
}

/* The thread hangs in write(). It holds no lock; when it comes back it finds nothing to do, else the end of the process
 * ends it. */
static void abandon(struct writer *w)
{
    n_dropped_ever += w->n_queued - w->n_taken;
    w->n_taken = w->n_queued;
    w->n_dropped = 0;
    w->limits.n_events = 0;
    w->next_left = left_behind;
    left_behind = w;
    is_stuck = true;
}

void sb_log_close(void)
{
    struct writer *w;
    bool done = false;

    lock();
    w = writer;
    if (w) {
        done = wait_until_done(w);
        if (!done)
            abandon(w);
        writer = NULL;
    }
    unlock();
    if (done)
        join(w);
}

static bool admit(enum sb_log_level level, const char *event)
{
    bool yes;

    lock();
    yes = level <= log_level && (!writer || sb_log_limit_admit(&writer->limits, event, level, sb_clock_ns()));
    unlock();
    return yes;
}

static void drop(void)
{
    n_dropped_ever++;
    if (writer && writer->n_dropped++ == 0)
        writer->tell_at = writer->n_queued;
}

static void queue(struct writer *w, const struct line *line)
{
    struct line *place = &w->lines[w->n_queued % LINES_MAX];

    place->len = line->len;
    memcpy(place->text, line->text, line->len);
    w->n_queued++;
    uv_cond_broadcast(&w->changed);
}

static void hand_over(const struct line *line)
{
    bool direct;

    lock();
    direct = !writer && !is_stuck;
    if (writer && writer->n_queued - writer->n_taken < LINES_MAX)
        queue(writer, line);
    else if (!direct)
        drop();
    unlock();
    if (direct)
        sb_log_sink_write(line->text, line->len);
}

void sb_log(enum sb_log_level level, const char *event, const char *format, ...)
{
    struct line line;
    va_list args;

    if (!admit(level, event))
        return;
    va_start(args, format);
    begin_line(&line, level, event);
    add_rest(&line, format, args);
    end_line(&line);
    va_end(args);
    hand_over(&line);
}

uint64_t sb_log_lines_dropped(void)
{
    uint64_t n;

    lock();
    n = n_dropped_ever;
    unlock();
    return n;
}
