/* wire_request.c: what a worker or the command line asks of the broker. */
#include <string.h>

#include "proto/error.h"
#include "proto/wire_codec.h"
#include "sockbroker.pb-c.h"

/* ---- Attach ---- */

static sockbroker_status check_distinct(const Sb__Attach *attach, struct sockbroker_error *error)
{
    for (size_t i = 1; i < attach->n_endpoints; i++) {
        for (size_t j = 0; j < i; j++) {
            if (strcmp(attach->endpoints[i], attach->endpoints[j]) == 0)
                return sb_error_set(error, SOCKBROKER_BAD_MESSAGE, 0, "Attach.endpoints[%zu] is \"%s\", which is there already",
                                    i, attach->endpoints[i]);
        }
    }
    return SOCKBROKER_OK;
}

static sockbroker_status check_attach(const void *message, struct sockbroker_error *error)
{
    const Sb__Attach *attach = message;

    if (attach->version_max < attach->version_min)
        return sb_error_set(error, SOCKBROKER_BAD_MESSAGE, 0, "Attach.version_max is %u, less than version_min %u",
                            (unsigned)attach->version_max, (unsigned)attach->version_min);
    return check_distinct(attach, error);
}

static const struct sb_wire_field attach_fields[] = {
    SB_WIRE_ID(struct sb_attach, version_min),
    SB_WIRE_ANY(struct sb_attach, version_max),
    SB_WIRE_NAME(struct sb_attach, name, 1),
    SB_WIRE_ANY(struct sb_attach, generation),
    SB_WIRE_NUMBER(struct sb_attach, weight, 1, SB_WEIGHT_MAX),
    SB_WIRE_NUMBER(struct sb_attach, window, 0, SB_WINDOW_MAX),
    SB_WIRE_NAMES(struct sb_attach, endpoints, n_endpoints, 1),
    SB_WIRE_ANY(struct sb_attach, n_open),
    SB_WIRE_OPTIONAL(struct sb_attach, resume, has_resume, &sb_wire_session_key),
};

static const struct sb_wire_message attach_message = {
    SB_WIRE_MESSAGE(sb__attach__descriptor, attach_fields),
    .check = check_attach,
};

/* ---- Next, Settle, Detach, Status ---- */

static const struct sb_wire_field key_fields[] = {
    { .child = &sb_wire_session_key },
};

static const struct sb_wire_message next_message = { SB_WIRE_MESSAGE(sb__next__descriptor, key_fields) };
static const struct sb_wire_message detach_message = { SB_WIRE_MESSAGE(sb__detach__descriptor, key_fields) };

static const struct sb_wire_field settle_fields[] = {
    SB_WIRE_CHILD(struct sb_settle, session, &sb_wire_session_key),
    SB_WIRE_CHILDREN(struct sb_settle, results, n_results, 1, &sb_wire_result),
};

static const struct sb_wire_message settle_message = { SB_WIRE_MESSAGE(sb__settle__descriptor, settle_fields) };

static const struct sb_wire_field status_fields[] = {
    SB_WIRE_ANY(struct sb_status_request, first_endpoint),
    SB_WIRE_ANY(struct sb_status_request, first_session),
};

static const struct sb_wire_message status_message = { SB_WIRE_MESSAGE(sb__status__descriptor, status_fields) };

/* ---- Drain ---- */

static sockbroker_status check_drain(const void *message, struct sockbroker_error *error)
{
    const Sb__Drain *drain = message;
    const char *cause = NULL;

    if (!drain->by_generation && drain->worker[0] == '\0')
        cause = "Drain.worker is missing; without it by_generation must be set";
    else if (drain->by_generation && drain->worker[0] != '\0')
        cause = "Drain.worker is given together with by_generation";
    else if (!drain->by_generation && drain->generation != 0)
        cause = "Drain.generation is given without by_generation";
    return cause ? sb_error_set(error, SOCKBROKER_BAD_MESSAGE, 0, "%s", cause) : SOCKBROKER_OK;
}

static const struct sb_wire_field drain_fields[] = {
    SB_WIRE_NAME(struct sb_drain, worker, 0),
    SB_WIRE_ANY(struct sb_drain, by_generation),
    SB_WIRE_ANY(struct sb_drain, generation),
    SB_WIRE_ANY(struct sb_drain, wait),
};

static const struct sb_wire_message drain_message = {
    SB_WIRE_MESSAGE(sb__drain__descriptor, drain_fields),
    .check = check_drain,
};

/* ---- Request ---- */

static const struct sb_wire_field request_fields[] = {
    SB_WIRE_CHILD(struct sb_request, as.attach, &attach_message), SB_WIRE_CHILD(struct sb_request, as.next, &next_message),
    SB_WIRE_CHILD(struct sb_request, as.settle, &settle_message), SB_WIRE_CHILD(struct sb_request, as.detach, &detach_message),
    SB_WIRE_CHILD(struct sb_request, as.status, &status_message), SB_WIRE_CHILD(struct sb_request, as.drain, &drain_message),
};

const struct sb_wire_message sb_wire_request = {
    SB_WIRE_MESSAGE(sb__request__descriptor, request_fields),
    .packed_max = SB_MESSAGE_MAX,
    .is_oneof = true,
};

sockbroker_status sb_wire_pack_request(const struct sb_request *request, uint8_t *buf, size_t cap, size_t *len_out)
{
    return sb_wire_pack_message(&sb_wire_request, request, buf, cap, len_out);
}

sockbroker_status sb_wire_unpack_request(const uint8_t *data, size_t len, struct sb_request *request_out,
                                         struct sockbroker_error *error_out)
{
    return sb_wire_unpack_message(&sb_wire_request, data, len, request_out, error_out);
}
