#include "tests/support/kit_process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/thread.h"
#include "tests/support/format.h"

#define LOG_SHOWN 24000u /* bytes of each log when a test fails */

static struct kit_process *processes;

struct kit_process *kit_processes(void)
{
    return processes;
}

struct kit_process *kit_process_start(const char *title, const char *program, const struct kit_start *how)
{
    struct kit_process *p = calloc(1, sizeof(*p));

    if (!p)
        kit_fail("out of memory");
    format_text(p->title, sizeof(p->title), "%s", title);
    p->no_text = how && how->no_text;
    p->pid = -1;
    kit_process_launch(p, program, how);
    p->next = processes;
    processes = p;
    if (p->pid < 0) {
        p->pid = 0; /* nobody to wait for */
        kit_fail("%s did not start", program);
    }
    return p;
}

/* ---- logs ---- */

char *kit_process_log_room(struct kit_process *p, size_t *room_out)
{
    if (p->log_room - p->log_len < 4096) {
        size_t room = p->log_room ? 2 * p->log_room : 16384;
        char *grown = realloc(p->log, room);

        if (!grown)
            abort();
        p->log = grown;
        p->log_room = room;
        p->log[p->log_len] = '\0';
    }
    *room_out = p->log_room - p->log_len - 1;
    return p->log + p->log_len;
}

void kit_process_log_grew(struct kit_process *p, size_t n)
{
    p->log_len += n;
    p->log[p->log_len] = '\0';
}

void kit_pause(unsigned ms)
{
    kit_process_take_logs((int)ms);
}

static const char *find_log(struct kit_process *p, const char *text)
{
    return p->log ? strstr(p->log, text) : NULL;
}

bool kit_process_has_log(struct kit_process *p, const char *text)
{
    kit_process_take_logs(0);
    return find_log(p, text) != NULL;
}

unsigned kit_process_count_log(struct kit_process *p, const char *text)
{
    unsigned n = 0;

    kit_process_take_logs(0);
    for (const char *at = find_log(p, text); at; at = strstr(at + 1, text))
        n++;
    return n;
}

const char *kit_process_wait_log(struct kit_process *p, const char *text)
{
    uint64_t end_ms = kit_now_ms() + KIT_WAIT_MS;
    const char *found;

    while (!(found = find_log(p, text))) {
        if (kit_now_ms() > end_ms)
            kit_fail("%s did not say \"%s\"", p->title, text);
        if (p->out < 0)
            kit_fail("%s ended without saying \"%s\"", p->title, text);
        kit_process_take_logs(100);
    }
    return found;
}

static void show_log(const struct kit_process *p)
{
    size_t skip = p->log_len > LOG_SHOWN ? p->log_len - LOG_SHOWN : 0;

    fprintf(stderr, "---- %s (pid %d)%s\n%s", p->title, (int)p->pid, skip ? " ..." : "", p->log ? p->log + skip : "");
}

void kit_fail(const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    kit_process_take_logs(0);
    for (struct kit_process *p = processes; p; p = p->next)
        show_log(p);
    fprintf(stderr, "---- %s\n", text);
    fail_msg("%s", text);
    abort(); /* fail_msg() does not come back */
}

/* ---- life and end ---- */

void kit_process_tell(struct kit_process *p, const char *line)
{
    char text[128];
    size_t len = format_text(text, sizeof(text), "%s\n", line);

    if (!kit_process_write(p, text, len))
        kit_fail("%s does not listen", p->title);
}

void kit_process_end_input(struct kit_process *p)
{
    kit_process_close_end(&p->in);
}

void kit_process_end_output(struct kit_process *p)
{
    kit_process_close_end(&p->out);
}

/* The thread's until it is joined. */
struct kit_feed {
    struct sb_thread *thread;
    int in;
    const char *bytes;
    size_t len;
};

static void feed(void *arg)
{
    struct kit_feed *f = arg;
    size_t n = 1;

    for (size_t at = 0; n && at < f->len; at += n)
        n = kit_process_write_some(f->in, f->bytes + at, f->len - at);
    kit_process_close_end(&f->in);
}

void kit_process_feed(struct kit_process *p, const void *bytes, size_t len)
{
    struct kit_feed *f = calloc(1, sizeof(*f));

    if (!f)
        kit_fail("out of memory");
    *f = (struct kit_feed){ .in = p->in, .bytes = bytes, .len = len };
    if (sb_thread_create(feed, f, &f->thread)) {
        free(f);
        kit_fail("no thread for the input of %s", p->title);
    }
    p->in = -1;
    p->feed = f;
}

/* Its process has ended, so nothing keeps the thread in its pipe. */
static void end_feed(struct kit_process *p)
{
    if (p->feed)
        sb_thread_join(p->feed->thread);
    free(p->feed);
}

bool kit_process_is_over(struct kit_process *p)
{
    if (p->pid && kit_process_reap(p)) {
        p->pid = 0;
        kit_process_take_logs(0);
    }
    return !p->pid;
}

int kit_process_wait(struct kit_process *p)
{
    uint64_t end_ms = kit_now_ms() + KIT_WAIT_MS;

    while (!kit_process_is_over(p)) {
        if (kit_now_ms() > end_ms)
            kit_fail("%s does not end", p->title);
        kit_process_take_logs(5);
    }
    return p->exit_code;
}

void kit_process_stop(struct kit_process *p)
{
    kit_process_halt(p);
    kit_process_wait_stopped(p);
}

void kit_process_free(struct kit_process *p)
{
    struct kit_process **at = &processes;

    while (*at && *at != p)
        at = &(*at)->next;
    if (*at)
        *at = p->next;
    end_feed(p);
    kit_process_close_end(&p->in);
    kit_process_close_end(&p->out);
    kit_process_close(p);
    free(p->log);
    free(p);
}

void kit_process_kill(struct kit_process *p)
{
    kit_process_strike(p);
    kit_process_wait(p);
    kit_process_free(p);
}

unsigned kit_process_clear(void)
{
    unsigned n = 0;

    kit_process_take_logs(0);
    for (; processes; n++) {
        struct kit_process *p = processes;

        show_log(p);
        kit_process_strike(p);
        while (p->pid && !kit_process_reap(p))
            kit_process_take_logs(5);
        kit_process_free(p);
    }
    return n;
}

struct kit_process *kit_run_start(const char *const *args)
{
    struct kit_start how = { .args = { NULL } };

    for (size_t i = 0; i < KIT_ARGS_MAX - 1 && args[i]; i++)
        how.args[i] = args[i];
    return kit_process_start(args[0], SB_BROKER_EXE, &how);
}

int kit_run(const char *const *args, char *output, size_t output_room)
{
    struct kit_process *p = kit_run_start(args);
    int code = kit_process_wait(p);
    while (p->out >= 0)
        kit_process_take_logs(100);
    if (output)
        snprintf(output, output_room, "%s", p->log ? p->log : "");
    kit_process_free(p);
    return code;
}
