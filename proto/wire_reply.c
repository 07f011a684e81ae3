/* wire_reply.c: what the broker answers. */
#include "proto/error.h"
#include "proto/wire_codec.h"
#include "sockbroker.pb-c.h"

#define HEARTBEAT_MS_MIN 100u
#define HEARTBEAT_MS_MAX 3600000u
#define FINISH_WITHIN_MS_MAX 1000u

static const struct sb_wire_field failure_fields[] = {
    SB_WIRE_NUMBER(struct sb_failure, status, SOCKBROKER_OK + 1, SOCKBROKER_STATUS_COUNT - 1),
    SB_WIRE_TEXT(struct sb_failure, text),
};

static const struct sb_wire_message failure_message = { SB_WIRE_MESSAGE(sb__failure__descriptor, failure_fields) };

static const struct sb_wire_field attached_fields[] = {
    SB_WIRE_ID(struct sb_attached, version),
    SB_WIRE_CHILD(struct sb_attached, session, &sb_wire_session_key),
    SB_WIRE_BYTES(struct sb_attached, token, SB_SECRET_LEN),
    SB_WIRE_NUMBER(struct sb_attached, carrier, SB_CARRIER_DIRECT, SB_CARRIER_MESSAGE),
    SB_WIRE_NUMBER(struct sb_attached, heartbeat_ms, HEARTBEAT_MS_MIN, HEARTBEAT_MS_MAX),
    SB_WIRE_NUMBER(struct sb_attached, finish_within_ms, 0, FINISH_WITHIN_MS_MAX),
};

static const struct sb_wire_message attached_message = { SB_WIRE_MESSAGE(sb__attached__descriptor, attached_fields) };

static const struct sb_wire_field handoff_fields[] = {
    { .child = &sb_wire_socket_info },
};

static const struct sb_wire_message handoff_message = { SB_WIRE_MESSAGE(sb__handoff__descriptor, handoff_fields) };

static const struct sb_wire_field told_fields[] = {
    SB_WIRE_ANY(struct sb_told, drain),
    SB_WIRE_ANY(struct sb_told, stopping),
    SB_WIRE_CHILDREN(struct sb_told, handoffs, n_handoffs, 0, &handoff_message),
};

static const struct sb_wire_message told_message = { SB_WIRE_MESSAGE(sb__told__descriptor, told_fields) };

static const struct sb_wire_field settled_fields[] = {
    SB_WIRE_LIST(struct sb_settled, kept, n_kept, 0, 0),
};

static const struct sb_wire_message settled_message = { SB_WIRE_MESSAGE(sb__settled__descriptor, settled_fields) };

static const struct sb_wire_field done_fields[] = {
    { .size = SB_WIRE_SIZE(struct sb_reply, as.done_count), .max = UINT64_MAX },
};

static const struct sb_wire_message done_message = { SB_WIRE_MESSAGE(sb__done__descriptor, done_fields) };

/* ---- Granted, State ---- */

static const struct sb_wire_field attempt_fields[] = {
    SB_WIRE_CHILD(struct sb_attempt_message, destination, &sb_wire_address),
    SB_WIRE_OPTIONAL(struct sb_attempt_message, source, source.family, &sb_wire_address),
    SB_WIRE_ANY(struct sb_attempt_message, started),
    SB_WIRE_ANY(struct sb_attempt_message, started_ms),
    SB_WIRE_ANY(struct sb_attempt_message, ended_ms),
    SB_WIRE_NUMBER(struct sb_attempt_message, status, SOCKBROKER_OK, SOCKBROKER_STATUS_COUNT - 1),
    SB_WIRE_TEXT(struct sb_attempt_message, text),
};

static const struct sb_wire_message attempt_message = { SB_WIRE_MESSAGE(sb__attempt__descriptor, attempt_fields) };

static sockbroker_status check_granted(const void *message, struct sockbroker_error *error)
{
    const Sb__Granted *granted = message;

    if (granted->status == SOCKBROKER_OK && !granted->grant_id)
        return sb_error_set(error, SOCKBROKER_BAD_MESSAGE, 0, "Granted.grant_id is 0 without a failure");
    if (granted->status != SOCKBROKER_OK && granted->info)
        return sb_error_set(error, SOCKBROKER_BAD_MESSAGE, 0, "Granted.info is there with a failure");
    return SOCKBROKER_OK;
}

static const struct sb_wire_field granted_fields[] = {
    SB_WIRE_NUMBER(struct sb_granted, status, SOCKBROKER_OK, SOCKBROKER_STATUS_COUNT - 1),
    SB_WIRE_TEXT(struct sb_granted, text),
    SB_WIRE_ANY(struct sb_granted, grant_id),
    SB_WIRE_BYTES(struct sb_granted, token, SB_SECRET_LEN),
    SB_WIRE_OPTIONAL(struct sb_granted, record, has_record, &sb_wire_socket_info),
    SB_WIRE_NUMBER(struct sb_granted, n_sockets, 0, SB_ADDRESSES_PER_ENDPOINT_MAX),
    SB_WIRE_NUMBER(struct sb_granted, state_len, 0, SB_STATE_MAX),
    SB_WIRE_CHILDREN(struct sb_granted, attempts, n_attempts, 0, &attempt_message),
};

static const struct sb_wire_message granted_message = {
    SB_WIRE_MESSAGE(sb__granted__descriptor, granted_fields),
    .check = check_granted,
};

static const struct sb_wire_field state_fields[] = {
    SB_WIRE_BLOB(struct sb_state, chunk, chunk_len),
};

static const struct sb_wire_message state_message = { SB_WIRE_MESSAGE(sb__state__descriptor, state_fields) };

/* ---- Handed ---- */

static sockbroker_status check_handed(const void *message, struct sockbroker_error *error)
{
    const Sb__Handed *handed = message;

    if (handed->info && handed->status != SOCKBROKER_OK)
        return sb_error_set(error, SOCKBROKER_BAD_MESSAGE, 0, "Handed.info is there with a failure");
    if (handed->info && !handed->info->protocol_info.len)
        return sb_error_set(error, SOCKBROKER_BAD_MESSAGE, 0, "Handed.info has no protocol_info");
    return SOCKBROKER_OK;
}

static const struct sb_wire_field handed_fields[] = {
    SB_WIRE_NUMBER(struct sb_handed, status, SOCKBROKER_OK, SOCKBROKER_STATUS_COUNT - 1),
    SB_WIRE_TEXT(struct sb_handed, text),
    SB_WIRE_OPTIONAL(struct sb_handed, record, has_record, &sb_wire_socket_info),
};

static const struct sb_wire_message handed_message = {
    SB_WIRE_MESSAGE(sb__handed__descriptor, handed_fields),
    .check = check_handed,
};

/* ---- Outcome ---- */

static const struct sb_wire_field outcome_fields[] = {
    SB_WIRE_TEXT(struct sb_outcome, text),
};

static const struct sb_wire_message outcome_message = { SB_WIRE_MESSAGE(sb__outcome__descriptor, outcome_fields) };

static const struct sb_wire_field upgraded_fields[] = {
    SB_WIRE_TEXT(struct sb_upgraded, text),
};

static const struct sb_wire_message upgraded_message = { SB_WIRE_MESSAGE(sb__upgraded__descriptor, upgraded_fields) };

static const struct sb_wire_field reply_fields[] = {
    SB_WIRE_CHILD(struct sb_reply, as.failure, &failure_message),
    SB_WIRE_CHILD(struct sb_reply, as.attached, &attached_message),
    SB_WIRE_CHILD(struct sb_reply, as.told, &told_message),
    SB_WIRE_CHILD(struct sb_reply, as.settled, &settled_message),
    SB_WIRE_CHILD(struct sb_reply, as.done_count, &done_message),
    SB_WIRE_CHILD(struct sb_reply, as.status, &sb_wire_status_page),
    SB_WIRE_CHILD(struct sb_reply, as.granted, &granted_message),
    SB_WIRE_CHILD(struct sb_reply, as.state, &state_message),
    SB_WIRE_CHILD(struct sb_reply, as.handed, &handed_message),
    SB_WIRE_CHILD(struct sb_reply, as.outcome, &outcome_message),
    SB_WIRE_CHILD(struct sb_reply, as.groups, &sb_wire_groups_page),
    SB_WIRE_CHILD(struct sb_reply, as.upgraded, &upgraded_message),
};

const struct sb_wire_message sb_wire_reply = {
    SB_WIRE_MESSAGE(sb__reply__descriptor, reply_fields),
    .packed_max = SB_MESSAGE_MAX,
    .is_oneof = true,
};

sockbroker_status sb_wire_pack_reply(const struct sb_reply *reply, uint8_t *buf, size_t cap, size_t *len_out)
{
    return sb_wire_pack_message(&sb_wire_reply, reply, buf, cap, len_out);
}

sockbroker_status sb_wire_unpack_reply(const uint8_t *data, size_t len, struct sb_reply *reply_out,
                                       struct sockbroker_error *error_out)
{
    return sb_wire_unpack_message(&sb_wire_reply, data, len, reply_out, error_out);
}
