/* wire_takeover.c: what one broker says to the next. */
#include "proto/wire_takeover.h"

#include "proto/error.h"
#include "proto/wire_codec.h"
#include "sockbroker.pb-c.h"

#define POLICIES 4u       /* enum sb_policy */
#define STEER_POLICIES 3u /* enum sb_steer_policy */
#define OVERLOADS 2u
#define STATES 6u
#define MODES 3u
#define SLOT_STATES 8u /* enum sb_slot_state but for the last */

/* ---- the beginning ---- */

static const struct sb_wire_field hello_fields[] = {
    SB_WIRE_ID(struct sb_takeover_hello, version),     SB_WIRE_TEXT(struct sb_takeover_hello, release),
    SB_WIRE_ANY(struct sb_takeover_hello, pid),        SB_WIRE_TEXT(struct sb_takeover_hello, dir),
    SB_WIRE_ANY(struct sb_takeover_hello, n_records),  SB_WIRE_ANY(struct sb_takeover_hello, has_keeper),
    SB_WIRE_ANY(struct sb_takeover_hello, soft_limit), SB_WIRE_ANY(struct sb_takeover_hello, hard_limit),
};

static const struct sb_wire_message hello_message = { SB_WIRE_MESSAGE(sb__takeover_hello__descriptor, hello_fields) };

static const struct sb_wire_field socket_fields[] = {
    SB_WIRE_NAME(struct sb_takeover_socket, endpoint, 1),
    SB_WIRE_ANY(struct sb_takeover_socket, is_shard),
    SB_WIRE_NUMBER(struct sb_takeover_socket, slot, 0, SB_TAKEOVER_SLOTS_MAX - 1),
};

static const struct sb_wire_message socket_message = { SB_WIRE_MESSAGE(sb__takeover_socket__descriptor, socket_fields) };

static const struct sb_wire_field begin_fields[] = {
    SB_WIRE_ANY(struct sb_takeover_begin, n_records),       SB_WIRE_ANY(struct sb_takeover_begin, lease_sequence),
    SB_WIRE_ANY(struct sb_takeover_begin, grants_made),     SB_WIRE_ANY(struct sb_takeover_begin, probes),
    SB_WIRE_ANY(struct sb_takeover_begin, started_ms),      SB_WIRE_ANY(struct sb_takeover_begin, bad_messages),
    SB_WIRE_ANY(struct sb_takeover_begin, busy_refusals),   SB_WIRE_ANY(struct sb_takeover_begin, listener_repairs),
    SB_WIRE_ANY(struct sb_takeover_begin, grants_given),    SB_WIRE_ANY(struct sb_takeover_begin, deposits_expired),
    SB_WIRE_ANY(struct sb_takeover_begin, connects_failed),
};

static const struct sb_wire_message begin_message = { SB_WIRE_MESSAGE(sb__takeover_begin__descriptor, begin_fields) };

/* ---- endpoints ---- */

static const struct sb_wire_field endpoint_fields[] = {
    SB_WIRE_NAME(struct sb_takeover_endpoint, name, 1),
    SB_WIRE_ARRAY(struct sb_takeover_endpoint, counts),
    SB_WIRE_CHILD(struct sb_takeover_endpoint, accept_to_lease, &sb_wire_histogram),
    SB_WIRE_CHILD(struct sb_takeover_endpoint, lease_to_ack, &sb_wire_histogram),
    SB_WIRE_NUMBER(struct sb_takeover_endpoint, policy, 1, POLICIES),
    SB_WIRE_NUMBER(struct sb_takeover_endpoint, carrier, SB_CARRIER_DIRECT, SB_CARRIER_MESSAGE),
    SB_WIRE_NUMBER(struct sb_takeover_endpoint, window, 1, SB_WINDOW_MAX),
    SB_WIRE_ANY(struct sb_takeover_endpoint, withdraw_after_ms),
    SB_WIRE_ANY(struct sb_takeover_endpoint, ack_timeout_ms),
    SB_WIRE_ANY(struct sb_takeover_endpoint, kill_stuck),
    SB_WIRE_NUMBER(struct sb_takeover_endpoint, overload, 1, OVERLOADS),
    SB_WIRE_ANY(struct sb_takeover_endpoint, hold_ms),
    SB_WIRE_ANY(struct sb_takeover_endpoint, hold_max),
    SB_WIRE_ANY(struct sb_takeover_endpoint, is_closing),
    SB_WIRE_NUMBER(struct sb_takeover_endpoint, mode, 1, MODES),
    SB_WIRE_ANY(struct sb_takeover_endpoint, paused),
    SB_WIRE_ANY(struct sb_takeover_endpoint, resumed_ms),
};

static const struct sb_wire_message endpoint_message = { SB_WIRE_MESSAGE(sb__takeover_endpoint__descriptor, endpoint_fields) };

static sockbroker_status check_shard(const void *message, struct sockbroker_error *error)
{
    const Sb__TakeoverShard *shard = message;

    if (shard->n_positions != shard->n_weights || shard->n_positions != shard->n_steered)
        return sb_error_set(error, SOCKBROKER_BAD_MESSAGE, 0, "TakeoverShard has %zu positions, %zu weights and %zu steered",
                            shard->n_positions, shard->n_weights, shard->n_steered);
    if (shard->fallback >= shard->n_positions)
        return sb_error_set(error, SOCKBROKER_BAD_MESSAGE, 0, "TakeoverShard.fallback is %u of %zu slots",
                            (unsigned)shard->fallback, shard->n_positions);
    return SOCKBROKER_OK;
}

static const struct sb_wire_field shard_fields[] = {
    SB_WIRE_NAME(struct sb_takeover_shard, endpoint, 1),
    SB_WIRE_CHILD(struct sb_takeover_shard, address, &sb_wire_address),
    SB_WIRE_LIST(struct sb_takeover_shard, positions, n_slots, 1, 0),
    SB_WIRE_LIST(struct sb_takeover_shard, weights, n_weights, 1, 0),
    SB_WIRE_LIST(struct sb_takeover_shard, steered, n_steered, 1, 0),
    SB_WIRE_NUMBER(struct sb_takeover_shard, policy, 1, STEER_POLICIES),
    SB_WIRE_ANY(struct sb_takeover_shard, fallback),
    SB_WIRE_ANY(struct sb_takeover_shard, unsure),
};

static const struct sb_wire_message shard_message = {
    SB_WIRE_MESSAGE(sb__takeover_shard__descriptor, shard_fields),
    .check = check_shard,
};

/* ---- sessions ---- */

static const struct sb_wire_field place_fields[] = {
    SB_WIRE_NAME(struct sb_takeover_place, endpoint, 1),
    SB_WIRE_ANY(struct sb_takeover_place, n_open),
};

static const struct sb_wire_message place_message = { SB_WIRE_MESSAGE(sb__takeover_place__descriptor, place_fields) };

static sockbroker_status check_session(const void *message, struct sockbroker_error *error)
{
    const Sb__TakeoverSession *session = message;

    if (session->has_ring && !session->has_pair)
        return sb_error_set(error, SOCKBROKER_BAD_MESSAGE, 0, "TakeoverSession.has_ring is set without has_pair");
    return SOCKBROKER_OK;
}

static const struct sb_wire_field session_fields[] = {
    SB_WIRE_CHILD(struct sb_takeover_session, key, &sb_wire_session_key),
    SB_WIRE_BYTES(struct sb_takeover_session, token, SB_SECRET_LEN),
    SB_WIRE_ANY(struct sb_takeover_session, token_spent),
    SB_WIRE_NAME(struct sb_takeover_session, name, 1),
    SB_WIRE_ANY(struct sb_takeover_session, generation),
    SB_WIRE_NUMBER(struct sb_takeover_session, weight, 1, SB_WEIGHT_MAX),
    SB_WIRE_NUMBER(struct sb_takeover_session, window, 0, SB_WINDOW_MAX),
    SB_WIRE_NUMBER(struct sb_takeover_session, carrier, SB_CARRIER_DIRECT, SB_CARRIER_MESSAGE),
    SB_WIRE_NUMBER(struct sb_takeover_session, state, 1, STATES),
    SB_WIRE_ANY(struct sb_takeover_session, pid),
    SB_WIRE_ANY(struct sb_takeover_session, uid),
    SB_WIRE_ANY(struct sb_takeover_session, gid),
    SB_WIRE_ANY(struct sb_takeover_session, has_pair),
    SB_WIRE_ANY(struct sb_takeover_session, has_ring),
    SB_WIRE_ANY(struct sb_takeover_session, uses_ring),
    SB_WIRE_ANY(struct sb_takeover_session, ring_taken),
    SB_WIRE_ANY(struct sb_takeover_session, blocked),
    SB_WIRE_ANY(struct sb_takeover_session, kill_sent),
    SB_WIRE_ANY(struct sb_takeover_session, n_open),
    SB_WIRE_ANY(struct sb_takeover_session, n_served),
    SB_WIRE_ANY(struct sb_takeover_session, probe),
    SB_WIRE_ANY(struct sb_takeover_session, heard_ms),
    SB_WIRE_ANY(struct sb_takeover_session, attached_ms),
    SB_WIRE_ANY(struct sb_takeover_session, draining_ms),
    SB_WIRE_ANY(struct sb_takeover_session, n_acked),
    SB_WIRE_ARRAY(struct sb_takeover_session, acked),
    SB_WIRE_CHILDREN(struct sb_takeover_session, places, n_places, 0, &place_message),
};

static const struct sb_wire_message session_message = {
    SB_WIRE_MESSAGE(sb__takeover_session__descriptor, session_fields),
    .check = check_session,
};

static const struct sb_wire_field holding_fields[] = {
    SB_WIRE_ID(struct sb_takeover_holding, session_id),
    SB_WIRE_NAME(struct sb_takeover_holding, endpoint, 1),
    SB_WIRE_CHILD(struct sb_takeover_holding, address, &sb_wire_address),
    SB_WIRE_ANY(struct sb_takeover_holding, is_shard),
    SB_WIRE_NUMBER(struct sb_takeover_holding, slot, 0, SB_TAKEOVER_SLOTS_MAX - 1),
    SB_WIRE_ANY(struct sb_takeover_holding, has_it),
};

static const struct sb_wire_message holding_message = { SB_WIRE_MESSAGE(sb__takeover_holding__descriptor, holding_fields) };

/* ---- connections and deposits ---- */

static sockbroker_status check_connection(const void *message, struct sockbroker_error *error)
{
    const Sb__TakeoverConnection *connection = message;

    if (!connection->session_id != !connection->lease_id)
        return sb_error_set(error, SOCKBROKER_BAD_MESSAGE, 0, "TakeoverConnection has a session or a lease, and not both");
    return SOCKBROKER_OK;
}

static const struct sb_wire_field connection_fields[] = {
    SB_WIRE_ANY(struct sb_takeover_connection, session_id),
    SB_WIRE_ANY(struct sb_takeover_connection, lease_id),
    SB_WIRE_ANY(struct sb_takeover_connection, leased_ns),
    SB_WIRE_CHILD(struct sb_takeover_connection, record, &sb_wire_socket_info),
};

static const struct sb_wire_message connection_message = {
    SB_WIRE_MESSAGE(sb__takeover_connection__descriptor, connection_fields),
    .check = check_connection,
};

static const struct sb_wire_field connections_fields[] = {
    SB_WIRE_CHILDREN(struct sb_takeover_connections, at, n, 1, &connection_message),
};

static const struct sb_wire_message connections_message = {
    SB_WIRE_MESSAGE(sb__takeover_connections__descriptor, connections_fields),
};

static const struct sb_wire_field deposit_fields[] = {
    SB_WIRE_NAME(struct sb_takeover_deposit, name, 1),
    SB_WIRE_NUMBER(struct sb_takeover_deposit, lifetime_ms, 1, SB_LIFETIME_MS_MAX),
    SB_WIRE_NUMBER(struct sb_takeover_deposit, state_len, 0, SB_STATE_MAX),
    SB_WIRE_LIST(struct sb_takeover_deposit, allow_uids, n_allow_uids, 0, 0),
    SB_WIRE_NAME(struct sb_takeover_deposit, owner, 1),
    SB_WIRE_ANY(struct sb_takeover_deposit, uid),
    SB_WIRE_ANY(struct sb_takeover_deposit, since_ms),
    SB_WIRE_CHILD(struct sb_takeover_deposit, record, &sb_wire_socket_info),
};

static const struct sb_wire_message deposit_message = { SB_WIRE_MESSAGE(sb__takeover_deposit__descriptor, deposit_fields) };

static const struct sb_wire_field state_fields[] = {
    SB_WIRE_NUMBER(struct sb_takeover_state, offset, 0, SB_STATE_MAX),
    SB_WIRE_BLOB(struct sb_takeover_state, chunk, chunk_len),
};

static const struct sb_wire_message state_message = { SB_WIRE_MESSAGE(sb__takeover_state__descriptor, state_fields) };

/* ---- workers of the broker's own ---- */

static const struct sb_wire_field group_fields[] = {
    SB_WIRE_NAME(struct sb_takeover_group, name, 1),
    SB_WIRE_NUMBER(struct sb_takeover_group, wanted, 0, SB_GROUP_WORKERS_MAX),
    SB_WIRE_NUMBER(struct sb_takeover_group, configured, 0, SB_GROUP_WORKERS_MAX),
    SB_WIRE_ANY(struct sb_takeover_group, last_number),
    SB_WIRE_TEXT(struct sb_takeover_group, failure),
    SB_WIRE_ANY(struct sb_takeover_group, leaves),
};

static const struct sb_wire_message group_message = { SB_WIRE_MESSAGE(sb__takeover_group__descriptor, group_fields) };

static const struct sb_wire_field generation_fields[] = {
    SB_WIRE_ID(struct sb_takeover_generation, number),
    SB_WIRE_ANY(struct sb_takeover_generation, serves),
    SB_WIRE_ANY(struct sb_takeover_generation, since_ms),
};

static const struct sb_wire_message generation_message = {
    SB_WIRE_MESSAGE(sb__takeover_generation__descriptor, generation_fields),
};

static const struct sb_wire_field slot_fields[] = {
    SB_WIRE_ID(struct sb_takeover_slot, number),    SB_WIRE_NUMBER(struct sb_takeover_slot, state, 1, SLOT_STATES),
    SB_WIRE_ANY(struct sb_takeover_slot, since_ms), SB_WIRE_ANY(struct sb_takeover_slot, start_at_ms),
    SB_WIRE_ANY(struct sb_takeover_slot, leaves),   SB_WIRE_ANY(struct sb_takeover_slot, drained_by_hand),
    SB_WIRE_ANY(struct sb_takeover_slot, restarts), SB_WIRE_ANY(struct sb_takeover_slot, pid),
    SB_WIRE_ANY(struct sb_takeover_slot, delay_ms), SB_WIRE_LIST(struct sb_takeover_slot, restarted_ms, n_restarted, 0, 0),
};

static const struct sb_wire_message slot_message = { SB_WIRE_MESSAGE(sb__takeover_slot__descriptor, slot_fields) };

/* ---- the service manager's store ---- */

static const struct sb_wire_field kept_fields[] = {
    SB_WIRE_TEXT(struct sb_takeover_kept, label),
    SB_WIRE_ANY(struct sb_takeover_kept, number),
};

static const struct sb_wire_message kept_message = { SB_WIRE_MESSAGE(sb__takeover_kept__descriptor, kept_fields) };

/* ---- steps ---- */

static const struct sb_wire_field step_fields[] = {
    { .size = SB_WIRE_SIZE(struct sb_takeover, as.step), .min = SB_STEP_READY, .max = SB_STEP_LEFT },
};

static const struct sb_wire_message step_message = { SB_WIRE_MESSAGE(sb__takeover_step__descriptor, step_fields) };

static const struct sb_wire_field failed_fields[] = {
    SB_WIRE_NUMBER(struct sb_failure, status, SOCKBROKER_OK + 1, SOCKBROKER_STATUS_COUNT - 1),
    SB_WIRE_TEXT(struct sb_failure, text),
};

static const struct sb_wire_message failed_message = { SB_WIRE_MESSAGE(sb__takeover_failed__descriptor, failed_fields) };

static const struct sb_wire_field takeover_fields[] = {
    SB_WIRE_CHILD(struct sb_takeover, as.hello, &hello_message),
    SB_WIRE_CHILD(struct sb_takeover, as.socket, &socket_message),
    SB_WIRE_CHILD(struct sb_takeover, as.begin, &begin_message),
    SB_WIRE_CHILD(struct sb_takeover, as.endpoint, &endpoint_message),
    SB_WIRE_CHILD(struct sb_takeover, as.shard, &shard_message),
    SB_WIRE_CHILD(struct sb_takeover, as.session, &session_message),
    SB_WIRE_CHILD(struct sb_takeover, as.holding, &holding_message),
    SB_WIRE_CHILD(struct sb_takeover, as.connections, &connections_message),
    SB_WIRE_CHILD(struct sb_takeover, as.deposit, &deposit_message),
    SB_WIRE_CHILD(struct sb_takeover, as.state, &state_message),
    SB_WIRE_CHILD(struct sb_takeover, as.step, &step_message),
    SB_WIRE_CHILD(struct sb_takeover, as.failed, &failed_message),
    SB_WIRE_CHILD(struct sb_takeover, as.group, &group_message),
    SB_WIRE_CHILD(struct sb_takeover, as.generation, &generation_message),
    SB_WIRE_CHILD(struct sb_takeover, as.slot, &slot_message),
    SB_WIRE_CHILD(struct sb_takeover, as.kept, &kept_message),
};

const struct sb_wire_message sb_wire_takeover = {
    SB_WIRE_MESSAGE(sb__takeover__descriptor, takeover_fields),
    .packed_max = SB_MESSAGE_MAX,
    .is_oneof = true,
};

sockbroker_status sb_wire_pack_takeover(const struct sb_takeover *takeover, uint8_t *buf, size_t cap, size_t *len_out)
{
    return sb_wire_pack_message(&sb_wire_takeover, takeover, buf, cap, len_out);
}

sockbroker_status sb_wire_unpack_takeover(const uint8_t *data, size_t len, struct sb_takeover *takeover_out,
                                          struct sockbroker_error *error_out)
{
    return sb_wire_unpack_message(&sb_wire_takeover, data, len, takeover_out, error_out);
}

uint32_t sb_takeover_descriptors(const struct sb_takeover *t)
{
    switch (t->kind) {
    case SB_TAKEOVER_HELLO:
        return t->as.hello.dir[0] ? 1u + t->as.hello.has_keeper : 0;
    case SB_TAKEOVER_SESSION:
        return (t->as.session.has_pair ? 3u : 0u) + t->as.session.has_ring;
    case SB_TAKEOVER_CONNECTIONS:
        return t->as.connections.n;
    case SB_TAKEOVER_SOCKET:
    case SB_TAKEOVER_DEPOSIT:
        return 1;
    case SB_TAKEOVER_SLOT:
        return t->as.slot.pid != 0;
    case SB_TAKEOVER_BEGIN:
    case SB_TAKEOVER_GROUP:
    case SB_TAKEOVER_GENERATION:
    case SB_TAKEOVER_KEPT:
    case SB_TAKEOVER_ENDPOINT:
    case SB_TAKEOVER_SHARD:
    case SB_TAKEOVER_HOLDING:
    case SB_TAKEOVER_STATE:
    case SB_TAKEOVER_STEP:
    case SB_TAKEOVER_FAILED:
        break;
    }
    return 0;
}
