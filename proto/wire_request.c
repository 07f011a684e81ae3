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
    SB_WIRE_NAMES(struct sb_attach, endpoints, n_endpoints, 0),
    SB_WIRE_ANY(struct sb_attach, n_open),
    SB_WIRE_OPTIONAL(struct sb_attach, resume, has_resume, &sb_wire_session_key),
};

static const struct sb_wire_message attach_message = {
    SB_WIRE_MESSAGE(sb__attach__descriptor, attach_fields),
    .check = check_attach,
};

/* ---- Next, Settle, Detach, Status ---- */

static const struct sb_wire_field next_fields[] = {
    SB_WIRE_CHILD(struct sb_next, session, &sb_wire_session_key),
    SB_WIRE_ANY(struct sb_next, n_told),
};

static const struct sb_wire_message next_message = { SB_WIRE_MESSAGE(sb__next__descriptor, next_fields) };

static const struct sb_wire_field key_fields[] = {
    { .child = &sb_wire_session_key },
};

static const struct sb_wire_message detach_message = { SB_WIRE_MESSAGE(sb__detach__descriptor, key_fields) };

static const struct sb_wire_field settle_fields[] = {
    SB_WIRE_CHILD(struct sb_settle, session, &sb_wire_session_key),
    SB_WIRE_CHILDREN(struct sb_settle, results, n_results, 1, &sb_wire_result),
};

static const struct sb_wire_message settle_message = { SB_WIRE_MESSAGE(sb__settle__descriptor, settle_fields) };

static const struct sb_wire_field status_fields[] = {
    SB_WIRE_ANY(struct sb_status_request, first_endpoint),
    SB_WIRE_ANY(struct sb_status_request, first_session),
    SB_WIRE_ANY(struct sb_status_request, first_deposit),
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

/* ---- Share, Connect ---- */

static const struct sb_wire_field share_fields[] = {
    SB_WIRE_CHILD(struct sb_share, session, &sb_wire_session_key),
    SB_WIRE_NAME(struct sb_share, endpoint, 1),
    SB_WIRE_NUMBER(struct sb_share, index, 0, SB_ADDRESSES_PER_ENDPOINT_MAX - 1),
};

static const struct sb_wire_message share_message = { SB_WIRE_MESSAGE(sb__share__descriptor, share_fields) };

static sockbroker_status check_connect(const void *message, struct sockbroker_error *error)
{
    const Sb__Connect *connect = message;
    bool has_host = connect->host[0] != '\0';

    return has_host != (connect->n_addresses > 0)
               ? SOCKBROKER_OK
               : sb_error_set(error, SOCKBROKER_BAD_MESSAGE, 0, "Connect must have either host or addresses");
}

static const struct sb_wire_field connect_fields[] = {
    SB_WIRE_CHILD(struct sb_connect_message, session, &sb_wire_session_key),
    SB_WIRE_TEXT(struct sb_connect_message, host),
    SB_WIRE_CHILDREN(struct sb_connect_message, addresses, n_addresses, 0, &sb_wire_address),
    SB_WIRE_NUMBER(struct sb_connect_message, port, 1, UINT16_MAX),
    SB_WIRE_NUMBER(struct sb_connect_message, deadline_ms, 1, SB_CONNECT_MS_MAX),
    SB_WIRE_OPTIONAL(struct sb_connect_message, source, source.family, &sb_wire_address),
};

static const struct sb_wire_message connect_message = {
    SB_WIRE_MESSAGE(sb__connect__descriptor, connect_fields),
    .check = check_connect,
};

/* ---- Deposit, Withdraw ---- */

static const struct sb_wire_field deposit_fields[] = {
    SB_WIRE_CHILD(struct sb_deposit, session, &sb_wire_session_key),
    SB_WIRE_NAME(struct sb_deposit, name, 1),
    SB_WIRE_NUMBER(struct sb_deposit, lifetime_ms, 1, SB_LIFETIME_MS_MAX),
    SB_WIRE_NUMBER(struct sb_deposit, state_len, 0, SB_STATE_MAX),
    SB_WIRE_LIST(struct sb_deposit, allow_uids, n_allow_uids, 0, 0),
};

static const struct sb_wire_message deposit_message = { SB_WIRE_MESSAGE(sb__deposit__descriptor, deposit_fields) };

static sockbroker_status check_deposit_state(const void *message, struct sockbroker_error *error)
{
    const Sb__DepositState *state = message;

    if (!state->chunk.len)
        return sb_error_set(error, SOCKBROKER_BAD_MESSAGE, 0, "DepositState.chunk is empty");
    return SOCKBROKER_OK;
}

static const struct sb_wire_field deposit_state_fields[] = {
    SB_WIRE_CHILD(struct sb_deposit_state, session, &sb_wire_session_key),
    SB_WIRE_ID(struct sb_deposit_state, grant_id),
    SB_WIRE_NUMBER(struct sb_deposit_state, offset, 0, SB_STATE_MAX),
    SB_WIRE_BLOB(struct sb_deposit_state, chunk, chunk_len),
};

static const struct sb_wire_message deposit_state_message = {
    SB_WIRE_MESSAGE(sb__deposit_state__descriptor, deposit_state_fields),
    .check = check_deposit_state,
};

static const struct sb_wire_field withdraw_fields[] = {
    SB_WIRE_CHILD(struct sb_withdraw, session, &sb_wire_session_key),
    SB_WIRE_NAME(struct sb_withdraw, name, 1),
};

static const struct sb_wire_message withdraw_message = { SB_WIRE_MESSAGE(sb__withdraw__descriptor, withdraw_fields) };

static const struct sb_wire_field read_state_fields[] = {
    SB_WIRE_CHILD(struct sb_read_state, session, &sb_wire_session_key),
    SB_WIRE_ID(struct sb_read_state, grant_id),
    SB_WIRE_NUMBER(struct sb_read_state, offset, 0, SB_STATE_MAX),
};

static const struct sb_wire_message read_state_message = { SB_WIRE_MESSAGE(sb__read_state__descriptor, read_state_fields) };

/* ---- Hand ---- */

static sockbroker_status check_hand(const void *message, struct sockbroker_error *error)
{
    const Sb__Hand *hand = message;

    if (hand->protocol_info.len && !hand->hello->grant_id)
        return sb_error_set(error, SOCKBROKER_BAD_MESSAGE, 0, "Hand.protocol_info is there without hello.grant_id");
    return sb_wire_check_protocol_info("Hand", &hand->protocol_info, hand->protocol_info_layout, error);
}

static const struct sb_wire_field hand_fields[] = {
    SB_WIRE_CHILD(struct sb_hand, hello, &sb_wire_hello),
    SB_WIRE_BLOB(struct sb_hand, protocol_info, protocol_info_len),
    SB_WIRE_ANY(struct sb_hand, protocol_info_layout),
};

static const struct sb_wire_message hand_message = {
    SB_WIRE_MESSAGE(sb__hand__descriptor, hand_fields),
    .check = check_hand,
};

/* ---- Reload, Scale, Pause, Groups ---- */

static const struct sb_wire_field reload_fields[] = {
    SB_WIRE_NAME(struct sb_reload, group, 0),
};

static const struct sb_wire_message reload_message = { SB_WIRE_MESSAGE(sb__reload__descriptor, reload_fields) };

static const struct sb_wire_field scale_fields[] = {
    SB_WIRE_NAME(struct sb_scale, group, 1),
    SB_WIRE_NUMBER(struct sb_scale, wanted, 0, SB_GROUP_WORKERS_MAX),
};

static const struct sb_wire_message scale_message = { SB_WIRE_MESSAGE(sb__scale__descriptor, scale_fields) };

static const struct sb_wire_field pause_fields[] = {
    SB_WIRE_NAME(struct sb_pause, endpoint, 1),
    SB_WIRE_ANY(struct sb_pause, paused),
};

static const struct sb_wire_message pause_message = { SB_WIRE_MESSAGE(sb__pause__descriptor, pause_fields) };

static const struct sb_wire_field groups_fields[] = {
    SB_WIRE_ANY(struct sb_groups_request, first_group),
    SB_WIRE_ANY(struct sb_groups_request, first_generation),
    SB_WIRE_ANY(struct sb_groups_request, first_slot),
};

static const struct sb_wire_message groups_message = { SB_WIRE_MESSAGE(sb__groups__descriptor, groups_fields) };

/* ---- Upgrade ---- */

static sockbroker_status check_upgrade(const void *message, struct sockbroker_error *error)
{
    const Sb__Upgrade *upgrade = message;

    if (upgrade->binary[0] && upgrade->binary[0] != '/')
        return sb_error_set(error, SOCKBROKER_BAD_MESSAGE, 0, "Upgrade.binary is no absolute path");
    if (upgrade->timeout_ms && upgrade->timeout_ms < SB_UPGRADE_MS_MIN)
        return sb_error_set(error, SOCKBROKER_BAD_MESSAGE, 0, "Upgrade.timeout_ms is %u; it must be 0 or %u..%u",
                            (unsigned)upgrade->timeout_ms, SB_UPGRADE_MS_MIN, SB_UPGRADE_MS_MAX);
    return SOCKBROKER_OK;
}

static const struct sb_wire_field upgrade_fields[] = {
    SB_WIRE_TEXT(struct sb_upgrade, binary),
    SB_WIRE_NUMBER(struct sb_upgrade, timeout_ms, 0, SB_UPGRADE_MS_MAX),
};

static const struct sb_wire_message upgrade_message = {
    SB_WIRE_MESSAGE(sb__upgrade__descriptor, upgrade_fields),
    .check = check_upgrade,
};

/* ---- Request ---- */

static const struct sb_wire_field request_fields[] = {
    SB_WIRE_CHILD(struct sb_request, as.attach, &attach_message),
    SB_WIRE_CHILD(struct sb_request, as.next, &next_message),
    SB_WIRE_CHILD(struct sb_request, as.settle, &settle_message),
    SB_WIRE_CHILD(struct sb_request, as.detach, &detach_message),
    SB_WIRE_CHILD(struct sb_request, as.status, &status_message),
    SB_WIRE_CHILD(struct sb_request, as.drain, &drain_message),
    SB_WIRE_CHILD(struct sb_request, as.share, &share_message),
    SB_WIRE_CHILD(struct sb_request, as.connect, &connect_message),
    SB_WIRE_CHILD(struct sb_request, as.deposit, &deposit_message),
    SB_WIRE_CHILD(struct sb_request, as.deposit_state, &deposit_state_message),
    SB_WIRE_CHILD(struct sb_request, as.withdraw, &withdraw_message),
    SB_WIRE_CHILD(struct sb_request, as.read_state, &read_state_message),
    SB_WIRE_CHILD(struct sb_request, as.hand, &hand_message),
    SB_WIRE_CHILD(struct sb_request, as.reload, &reload_message),
    SB_WIRE_CHILD(struct sb_request, as.scale, &scale_message),
    SB_WIRE_CHILD(struct sb_request, as.pause, &pause_message),
    SB_WIRE_CHILD(struct sb_request, as.groups, &groups_message),
    SB_WIRE_CHILD(struct sb_request, as.upgrade, &upgrade_message),
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
