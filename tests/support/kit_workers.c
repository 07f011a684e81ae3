#include <stdio.h>
#include <string.h>

#include "tests/support/kit_process.h"

struct kit_process *kit_worker_launch(struct kit_broker *b, const char *name, const char *mode, const struct kit_start *more)
{
    struct kit_start with = { .args = { "--dir", b->dir, "--name", name, "--mode", mode } };
    size_t n = 6;

    for (size_t i = 0; more && i < KIT_ARGS_MAX - n && more->args[i]; i++)
        with.args[6 + i] = more->args[i];
    if (more) {
        memcpy(with.env, more->env, sizeof(with.env));
        with.nofile = more->nofile;
    }
    return kit_process_start(name, SB_WORKER_EXE, &with);
}

struct kit_process *kit_worker_start(struct kit_broker *b, const char *name, const char *mode, const struct kit_start *more)
{
    struct kit_process *w = kit_worker_launch(b, name, mode, more);

    kit_process_wait_log(w, "ready\n");
    return w;
}

void kit_worker_stop(struct kit_process *w)
{
    kit_process_tell(w, "stop");
    int code = kit_process_wait(w);
    if (code)
        kit_fail("worker %s ended with %d", w->title, code);
    kit_process_free(w);
}

struct sockbroker_worker *kit_worker_open(struct kit_broker *b, const char *name, const char *endpoints)
{
    struct sockbroker_worker_options options = SOCKBROKER_WORKER_OPTIONS_INIT;
    struct sockbroker_worker *w = NULL;
    struct sockbroker_error error = { .text = "" };

    options.dir = b->dir;
    options.endpoints = endpoints;
    options.name = name;
    options.attach_timeout_ms = KIT_WAIT_MS;
    if (sockbroker_worker_open(&options, &w, &error))
        kit_fail("worker %s: %s", name, error.text);
    return w;
}
