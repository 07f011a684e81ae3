/* wire_status.c: a page of the broker's status, for the command line. */
#include "proto/wire_table.h"
#include "sockbroker.pb-c.h"

static const struct sb_wire_field histogram_fields[] = {
    SB_WIRE_ARRAY(struct sb_histogram, buckets),
    SB_WIRE_ANY(struct sb_histogram, sum_us),
};

const struct sb_wire_message sb_wire_histogram = {
    SB_WIRE_MESSAGE(sb__histogram__descriptor, histogram_fields),
};

static const struct sb_wire_field endpoint_fields[] = {
    SB_WIRE_NAME(struct sb_endpoint_status, name, 1),
    SB_WIRE_CHILDREN(struct sb_endpoint_status, addresses, n_addresses, 0, &sb_wire_address),
    SB_WIRE_TEXT(struct sb_endpoint_status, mode),
    SB_WIRE_TEXT(struct sb_endpoint_status, policy),
    SB_WIRE_TEXT(struct sb_endpoint_status, family),
    SB_WIRE_TEXT(struct sb_endpoint_status, carrier),
    SB_WIRE_TEXT(struct sb_endpoint_status, state),
    SB_WIRE_ANY(struct sb_endpoint_status, counters.accepted),
    SB_WIRE_ANY(struct sb_endpoint_status, counters.leased),
    SB_WIRE_ANY(struct sb_endpoint_status, counters.acked),
    SB_WIRE_ANY(struct sb_endpoint_status, counters.nacked),
    SB_WIRE_ANY(struct sb_endpoint_status, counters.withdrawn),
    SB_WIRE_ANY(struct sb_endpoint_status, counters.released),
    SB_WIRE_ANY(struct sb_endpoint_status, counters.in_doubt),
    SB_WIRE_ANY(struct sb_endpoint_status, counters.refused),
    SB_WIRE_ANY(struct sb_endpoint_status, counters.denied),
    SB_WIRE_ANY(struct sb_endpoint_status, counters.accept_errors),
    SB_WIRE_ANY(struct sb_endpoint_status, counters.held),
    SB_WIRE_ANY(struct sb_endpoint_status, counters.held_max),
    SB_WIRE_CHILD(struct sb_endpoint_status, counters.accept_to_lease, &sb_wire_histogram),
    SB_WIRE_CHILD(struct sb_endpoint_status, counters.lease_to_ack, &sb_wire_histogram),
    SB_WIRE_TEXT(struct sb_endpoint_status, protocol),
    SB_WIRE_ANY(struct sb_endpoint_status, counters.granted),
    SB_WIRE_ANY(struct sb_endpoint_status, counters.repaired),
    SB_WIRE_ANY(struct sb_endpoint_status, slots),
};

static const struct sb_wire_message endpoint_message = {
    SB_WIRE_MESSAGE(sb__endpoint_status__descriptor, endpoint_fields),
};

static const struct sb_wire_field session_fields[] = {
    SB_WIRE_ID(struct sb_session_status, id),
    SB_WIRE_NAME(struct sb_session_status, name, 1),
    SB_WIRE_ANY(struct sb_session_status, generation),
    SB_WIRE_ANY(struct sb_session_status, pid),
    SB_WIRE_ANY(struct sb_session_status, uid),
    SB_WIRE_ANY(struct sb_session_status, gid),
    SB_WIRE_TEXT(struct sb_session_status, state),
    SB_WIRE_ANY(struct sb_session_status, open),
    SB_WIRE_ANY(struct sb_session_status, unacked),
    SB_WIRE_ANY(struct sb_session_status, served),
    SB_WIRE_ANY(struct sb_session_status, weight),
    SB_WIRE_ANY(struct sb_session_status, window),
    SB_WIRE_NAMES(struct sb_session_status, endpoints, n_endpoints, 0),
    SB_WIRE_ANY(struct sb_session_status, attached_ms),
};

static const struct sb_wire_message session_message = {
    SB_WIRE_MESSAGE(sb__session_status__descriptor, session_fields),
};

static const struct sb_wire_field deposit_fields[] = {
    SB_WIRE_NAME(struct sb_deposit_status, name, 1),
    SB_WIRE_NAME(struct sb_deposit_status, owner, 1),
    SB_WIRE_ANY(struct sb_deposit_status, uid),
    SB_WIRE_TEXT(struct sb_deposit_status, kind),
    SB_WIRE_OPTIONAL(struct sb_deposit_status, local, local.family, &sb_wire_address),
    SB_WIRE_OPTIONAL(struct sb_deposit_status, peer, peer.family, &sb_wire_address),
    SB_WIRE_NUMBER(struct sb_deposit_status, state_len, 0, SB_STATE_MAX),
    SB_WIRE_ANY(struct sb_deposit_status, age_ms),
    SB_WIRE_ANY(struct sb_deposit_status, expires_ms),
    SB_WIRE_NAME(struct sb_deposit_status, taken_by, 0),
};

static const struct sb_wire_message deposit_message = {
    SB_WIRE_MESSAGE(sb__deposit_status__descriptor, deposit_fields),
};

static const struct sb_wire_field broker_fields[] = {
    SB_WIRE_TEXT(struct sb_broker_status, version),          SB_WIRE_ANY(struct sb_broker_status, pid),
    SB_WIRE_ANY(struct sb_broker_status, uptime_ms),         SB_WIRE_TEXT(struct sb_broker_status, state),
    SB_WIRE_ANY(struct sb_broker_status, n_endpoints),       SB_WIRE_ANY(struct sb_broker_status, n_sessions),
    SB_WIRE_ANY(struct sb_broker_status, bad_messages),      SB_WIRE_ANY(struct sb_broker_status, busy_refusals),
    SB_WIRE_ANY(struct sb_broker_status, log_lines_dropped), SB_WIRE_ANY(struct sb_broker_status, descriptors_used),
    SB_WIRE_ANY(struct sb_broker_status, descriptors_max),   SB_WIRE_ANY(struct sb_broker_status, listener_repairs),
    SB_WIRE_ANY(struct sb_broker_status, n_deposits),        SB_WIRE_ANY(struct sb_broker_status, grants),
    SB_WIRE_ANY(struct sb_broker_status, deposits_expired),  SB_WIRE_ANY(struct sb_broker_status, connects_failed),
};

static const struct sb_wire_message broker_message = {
    SB_WIRE_MESSAGE(sb__broker_status__descriptor, broker_fields),
};

static const struct sb_wire_field page_fields[] = {
    SB_WIRE_CHILD(struct sb_status_page, broker, &broker_message),
    SB_WIRE_CHILDREN(struct sb_status_page, endpoints, n_endpoints, 0, &endpoint_message),
    SB_WIRE_CHILDREN(struct sb_status_page, sessions, n_sessions, 0, &session_message),
    SB_WIRE_ANY(struct sb_status_page, next_endpoint),
    SB_WIRE_ANY(struct sb_status_page, next_session),
    SB_WIRE_CHILDREN(struct sb_status_page, deposits, n_deposits, 0, &deposit_message),
    SB_WIRE_ANY(struct sb_status_page, next_deposit),
};

const struct sb_wire_message sb_wire_status_page = { SB_WIRE_MESSAGE(sb__status_page__descriptor, page_fields) };

/* ---- groups ---- */

static const struct sb_wire_field group_fields[] = {
    SB_WIRE_NAME(struct sb_group_status, name, 1), SB_WIRE_TEXT(struct sb_group_status, command),
    SB_WIRE_ANY(struct sb_group_status, wanted),   SB_WIRE_ANY(struct sb_group_status, generation),
    SB_WIRE_TEXT(struct sb_group_status, failure),
};

static const struct sb_wire_message group_message = { SB_WIRE_MESSAGE(sb__group_status__descriptor, group_fields) };

static const struct sb_wire_field generation_fields[] = {
    SB_WIRE_NAME(struct sb_generation_status, group, 1), SB_WIRE_ID(struct sb_generation_status, generation),
    SB_WIRE_TEXT(struct sb_generation_status, state),    SB_WIRE_ANY(struct sb_generation_status, workers),
    SB_WIRE_ANY(struct sb_generation_status, ready),     SB_WIRE_ANY(struct sb_generation_status, open),
    SB_WIRE_ANY(struct sb_generation_status, since_ms),
};

static const struct sb_wire_message generation_message = {
    SB_WIRE_MESSAGE(sb__generation_status__descriptor, generation_fields),
};

static const struct sb_wire_field slot_fields[] = {
    SB_WIRE_NAME(struct sb_slot_status, group, 1),  SB_WIRE_ID(struct sb_slot_status, generation),
    SB_WIRE_NAME(struct sb_slot_status, worker, 1), SB_WIRE_ANY(struct sb_slot_status, pid),
    SB_WIRE_TEXT(struct sb_slot_status, state),     SB_WIRE_ANY(struct sb_slot_status, restarts),
    SB_WIRE_ANY(struct sb_slot_status, since_ms),
};

static const struct sb_wire_message slot_message = { SB_WIRE_MESSAGE(sb__slot_status__descriptor, slot_fields) };

static const struct sb_wire_field groups_page_fields[] = {
    SB_WIRE_CHILDREN(struct sb_groups_page, groups, n_groups, 0, &group_message),
    SB_WIRE_CHILDREN(struct sb_groups_page, generations, n_generations, 0, &generation_message),
    SB_WIRE_CHILDREN(struct sb_groups_page, slots, n_slots, 0, &slot_message),
    SB_WIRE_ANY(struct sb_groups_page, next_group),
    SB_WIRE_ANY(struct sb_groups_page, next_generation),
    SB_WIRE_ANY(struct sb_groups_page, next_slot),
};

const struct sb_wire_message sb_wire_groups_page = { SB_WIRE_MESSAGE(sb__groups_page__descriptor, groups_page_fields) };
