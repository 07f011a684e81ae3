#include "client-lib/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/error.h"
#include "proto/thread.h"

#define DEFAULT_TIMEOUT_MS 5000

static sockbroker_status take_name(const char *what, const char *text, size_t len, char out[SOCKBROKER_NAME_MAX + 1],
                                   struct sockbroker_error *error)
{
    char quoted[SB_QUOTE_MAX];

    if (!sb_name_is_valid(text, len))
        return sb_error_set(error, SOCKBROKER_INVALID, 0, "%s \"%s\" is not a name: use 1 to %d of A-Z a-z 0-9 . _ -", what,
                            sb_quote(text, len, quoted, sizeof(quoted)), SOCKBROKER_NAME_MAX);
    memcpy(out, text, len);
    out[len] = '\0';
    return SOCKBROKER_OK;
}

static const char *or_environment(const char *given, const char *variable)
{
    return given && given[0] ? given : getenv(variable);
}

static sockbroker_status read_name(const char *given, char out[SOCKBROKER_NAME_MAX + 1], struct sockbroker_error *error)
{
    const char *name = or_environment(given, "SOCKBROKER_NAME");

    if (name && name[0])
        return take_name("name", name, strlen(name), out, error);
    snprintf(out, SOCKBROKER_NAME_MAX + 1, "worker-%u", sb_process_id());
    return SOCKBROKER_OK;
}

static bool is_listed(const struct sb_attach *a, const char *name)
{
    for (uint32_t i = 0; i < a->n_endpoints; i++) {
        if (!strcmp(a->endpoints[i], name))
            return true;
    }
    return false;
}

static sockbroker_status add_endpoint(struct sb_attach *a, const char *text, size_t len, struct sockbroker_error *error)
{
    if (a->n_endpoints == SB_ENDPOINTS_PER_WORKER_MAX)
        return sb_error_set(error, SOCKBROKER_INVALID, 0, "endpoints: more than %u; open a second worker for the rest",
                            SB_ENDPOINTS_PER_WORKER_MAX);
    sockbroker_status st = take_name("endpoint", text, len, a->endpoints[a->n_endpoints], error);
    if (st)
        return st;
    if (is_listed(a, a->endpoints[a->n_endpoints]))
        return sb_error_set(error, SOCKBROKER_INVALID, 0, "endpoints: \"%s\" is named twice", a->endpoints[a->n_endpoints]);
    a->n_endpoints++;
    return SOCKBROKER_OK;
}

static sockbroker_status read_endpoints(const char *given, struct sb_attach *a, struct sockbroker_error *error)
{
    const char *text = or_environment(given, "SOCKBROKER_ENDPOINT");
    sockbroker_status st = SOCKBROKER_OK;

    if (given && !given[0])
        return SOCKBROKER_OK;
    if (!text || !text[0])
        return sb_error_set(error, SOCKBROKER_INVALID, 0, "endpoints: none is named; set the option or SOCKBROKER_ENDPOINT");
    for (;;) {
        size_t len = strcspn(text, ",");

        st = add_endpoint(a, text, len, error);
        if (st || !text[len])
            return st;
        text += len + 1;
    }
}

static sockbroker_status read_generation(uint64_t given, uint64_t *out, struct sockbroker_error *error)
{
    const char *text = getenv("SOCKBROKER_GENERATION");
    char quoted[SB_QUOTE_MAX];
    char *end;

    *out = given;
    if (given || !text || !text[0])
        return SOCKBROKER_OK;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || errno)
        return sb_error_set(error, SOCKBROKER_INVALID, 0, "SOCKBROKER_GENERATION \"%s\" is not a number: use 0 to 2^64-1",
                            sb_quote(text, strlen(text), quoted, sizeof(quoted)));
    *out = number;
    return SOCKBROKER_OK;
}

static sockbroker_status read_numbers(const struct sockbroker_worker_options *o, struct sb_attach *a,
                                      struct sockbroker_error *error)
{
    if (o->weight > SB_WEIGHT_MAX)
        return sb_error_set(error, SOCKBROKER_INVALID, 0, "weight %u: use 1 to %u", o->weight, SB_WEIGHT_MAX);
    if (o->window > SB_WINDOW_MAX)
        return sb_error_set(error, SOCKBROKER_INVALID, 0, "window %u: use 1 to %u", o->window, SB_WINDOW_MAX);
    if (o->attach_timeout_ms < 0)
        return sb_error_set(error, SOCKBROKER_INVALID, 0, "attach_timeout_ms %d: use 1 or more", o->attach_timeout_ms);
    a->version_min = a->version_max = SB_PROTOCOL_VERSION;
    a->weight = o->weight ? o->weight : 1;
    a->window = o->window;
    return read_generation(o->generation, &a->generation, error);
}

sockbroker_status sb_options_read(const struct sockbroker_worker_options *options, struct sb_attach *attach_out,
                                  char dir_out[SB_RUNDIR_MAX], int *attach_timeout_ms_out, struct sockbroker_error *error_out)
{
    static const struct sb_attach none;

    if (options->size != sizeof(*options))
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0,
                            "options.size is %zu, not %zu: begin with SOCKBROKER_WORKER_OPTIONS_INIT", options->size,
                            sizeof(*options));
    *attach_out = none;
    *attach_timeout_ms_out = options->attach_timeout_ms ? options->attach_timeout_ms : DEFAULT_TIMEOUT_MS;
    sockbroker_status st = read_numbers(options, attach_out, error_out);
    if (!st)
        st = read_name(options->name, attach_out->name, error_out);
    if (!st)
        st = read_endpoints(options->endpoints, attach_out, error_out);
    return st ? st : sb_rundir_find(options->dir, dir_out, error_out);
}
