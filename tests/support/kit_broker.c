#include <stdlib.h>
#include <string.h>

#include "tests/support/format.h"
#include "tests/support/kit_process.h"

static struct kit_broker *brokers;

static void choose_dir(struct kit_broker *b, const struct kit_start *how)
{
    b->owns_dir = !how->dir;
    format_text(b->dir, sizeof(b->dir), "%s", how->dir ? how->dir : "");
    if (b->owns_dir && !kit_make_folder(b->dir, sizeof(b->dir)))
        kit_fail("no directory for a broker");
}

static void launch(struct kit_broker *b, const struct kit_start *how)
{
    struct kit_start with = *how;
    size_t n = 0;

    memset(with.args, 0, sizeof(with.args));
    with.console = true;
    with.args[n++] = "serve";
    if (!how->keeper) {
        with.args[n++] = "--set";
        with.args[n++] = "keeper=no";
    }
    with.args[n++] = "--dir";
    with.args[n++] = b->dir;
    for (size_t i = 0; i < KIT_ARGS_MAX - 6 && how->args[i]; i++) /* they may end with a command */
        with.args[n++] = how->args[i];
    b->process = kit_process_start("broker", SB_BROKER_EXE, &with);
}

struct kit_broker *kit_broker_launch(const struct kit_start *how)
{
    struct kit_broker *b = calloc(1, sizeof(*b));

    if (!b)
        kit_fail("out of memory");
    b->next = brokers;
    brokers = b;
    choose_dir(b, how);
    launch(b, how);
    return b;
}

/* The first question makes nng in the broker open what it keeps, then it is idle. */
static void wait_ready(struct kit_broker *b, bool keeper)
{
    struct sb_status_report r;

    kit_process_wait_log(b->process, "event=ready");
    b->idle_fds = kit_count_fds(b->process->pid);
    kit_status(b, &r);
    sb_status_report_deinit(&r);
    if (!keeper) /* the keeper may be hearing yet what it shall keep */
        kit_broker_wait_idle_fds(b);
}

struct kit_broker *kit_broker_start(const struct kit_start *how)
{
    struct kit_broker *b = kit_broker_launch(how);

    wait_ready(b, how->keeper);
    return b;
}

uint16_t kit_broker_port(struct kit_broker *b, const char *endpoint)
{
    char text[128];
    const char *found = NULL;

    format_text(text, sizeof(text), "event=listening endpoint=%s address=", endpoint);
    kit_process_wait_log(b->process, text);
    for (const char *at = b->process->log; (at = strstr(at, text)); at++)
        found = at + strlen(text);
    const char *end = strchr(found, ' ');
    while (end && end > found && end[-1] != ':')
        end--;
    unsigned long port = end ? strtoul(end, NULL, 10) : 0;
    if (!port || port > 65535)
        kit_fail("no port in \"%.60s\"", found);
    return (uint16_t)port;
}

const char *kit_broker_wait_log(struct kit_broker *b, const char *text)
{
    return kit_process_wait_log(b->process, text);
}

void kit_broker_place(struct kit_broker *b, char *place_out)
{
    const char *found = kit_process_wait_log(b->process, "event=ready dir=") + strlen("event=ready dir=");

    format_text(place_out, sizeof(b->dir), "%.*s", (int)strcspn(found, " "), found);
}

static bool forget(struct kit_broker *b)
{
    struct kit_broker **at = &brokers;
    bool removed = !b->owns_dir || kit_remove_folder(b->dir);

    while (*at != b)
        at = &(*at)->next;
    *at = b->next;
    free(b);
    return removed;
}

void kit_broker_free(struct kit_broker *b)
{
    kit_process_free(b->process);
    if (!forget(b))
        kit_fail("a runtime directory could not be removed");
}

void kit_broker_clear(void)
{
    while (brokers)
        forget(brokers);
}

void kit_broker_stop(struct kit_broker *b)
{
    kit_process_ask_end(b->process);
    int code = kit_process_wait(b->process);
    if (code)
        kit_fail("the broker ended with %d", code);
    kit_broker_free(b);
}

void kit_broker_kill(struct kit_broker *b)
{
    kit_process_strike(b->process);
    kit_process_wait(b->process);
}

void kit_broker_revive(struct kit_broker *b, const struct kit_start *how)
{
    kit_process_wait(b->process);
    kit_process_free(b->process);
    launch(b, how);
    kit_process_wait_log(b->process, "event=ready"); /* no idle count: workers may be back before we look */
}

void kit_broker_wait_idle_fds(struct kit_broker *b)
{
    uint64_t end_ms = kit_now_ms() + KIT_WAIT_MS;
    unsigned n;

    while ((n = kit_count_fds(b->process->pid)) > b->idle_fds || (n < b->idle_fds && !b->idle_may_fall)) {
        if (kit_now_ms() > end_ms)
            kit_fail("the broker had %u descriptors and has %u", b->idle_fds, n);
        kit_pause(5);
    }
    b->idle_fds = n;
}
