/* wire_reply.c: what the broker answers. */
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

static const struct sb_wire_field reply_fields[] = {
    SB_WIRE_CHILD(struct sb_reply, as.failure, &failure_message),
    SB_WIRE_CHILD(struct sb_reply, as.attached, &attached_message),
    SB_WIRE_CHILD(struct sb_reply, as.told, &told_message),
    SB_WIRE_CHILD(struct sb_reply, as.settled, &settled_message),
    SB_WIRE_CHILD(struct sb_reply, as.done_count, &done_message),
    SB_WIRE_CHILD(struct sb_reply, as.status, &sb_wire_status_page),
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
