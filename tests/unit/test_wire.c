/* test_wire.c: every message there and back, and every way to break one.
 *
 * tests/data/wire holds the small cases as files, in the form the fuzz harness reads: a byte for the kind, then the
 * message. `test_wire --write` writes them anew; do so only when a message changed on purpose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/wire_codec.h"
#include "proto/wire_slot.h"
#include "tests/fuzz/wire_kinds.h"
#include "tests/support/format.h"

#define FILE_MAX 1400u /* a case longer than this is not kept as a file */

#define FLIP_ALL_MAX 4096u /* beyond it messages only repeat the fields of shorter ones: every 31st bit is flipped */

struct bytes {
    uint8_t at[160 * 1024];
    size_t len;
};

static void put(struct bytes *b, const void *data, size_t len)
{
    assert_true(len <= sizeof(b->at) - b->len);
    if (len > 0)
        memcpy(b->at + b->len, data, len);
    b->len += len;
}

static void put_varint(struct bytes *b, uint64_t value)
{
    for (; value > 0x7f; value >>= 7)
        put(b, &(uint8_t){ (uint8_t)(value | 0x80) }, 1);
    put(b, &(uint8_t){ (uint8_t)value }, 1);
}

/* ---- samples: each message at its least and at its most ---- */

static void text_max(char *out, size_t size, unsigned number)
{
    memset(out, 'x', size - 1);
    out[size - 1] = '\0';
    out[0] = (char)('A' + number % 26);
    out[1] = (char)('a' + number / 26);
}

static void address_min(struct sockbroker_addr *addr)
{
    addr->family = SOCKBROKER_IPV4;
}

static void address_max(struct sockbroker_addr *addr)
{
    addr->family = SOCKBROKER_IPV6;
    addr->port = UINT16_MAX;
    addr->scope_id = UINT32_MAX;
    memset(addr->ip, 0xfe, sizeof(addr->ip));
}

static void key_max(struct sb_session_key *key)
{
    key->id = UINT64_MAX;
    memset(key->secret, 0xff, sizeof(key->secret));
}

static void record_min(struct sb_record *record)
{
    record->info.lease_id = 1;
    record->info.socket_family = SOCKBROKER_IPV4;
    record->info.type = SOCKBROKER_DATAGRAM;
    address_min(&record->info.local);
    strcpy(record->info.endpoint, "w");
}

static void record_max(struct sb_record *record)
{
    record->info.lease_id = UINT64_MAX;
    record->info.accept_time_ns = UINT64_MAX;
    record->info.socket_family = SOCKBROKER_IPV6;
    record->info.type = SOCKBROKER_STREAM;
    record->info.protocol = 255;
    record->info.nonblocking = true;
    address_max(&record->info.peer);
    address_max(&record->info.local);
    text_max(record->info.endpoint, sizeof(record->info.endpoint), 0);
    record->protocol_info_layout = 8;
    record->protocol_info_len = SB_PROTOCOL_INFO_MAX;
    memset(record->protocol_info, 0xa5, SB_PROTOCOL_INFO_MAX);
}

static void results_max(struct sb_result *results)
{
    for (unsigned i = 0; i < SB_RESULTS_MAX; i++) {
        results[i].lease_id = UINT64_MAX;
        results[i].verdict = SB_VERDICT_FINISHED;
    }
}

static void endpoints_max(char (*endpoints)[SOCKBROKER_NAME_MAX + 1])
{
    for (unsigned i = 0; i < SB_ENDPOINTS_PER_WORKER_MAX; i++)
        text_max(endpoints[i], sizeof(endpoints[i]), i);
}

static void attach_min(union wire_any *m)
{
    struct sb_attach *attach = &m->request.as.attach;

    m->request.kind = SB_REQUEST_ATTACH;
    attach->version_min = attach->version_max = 1;
    strcpy(attach->name, "a");
    attach->weight = 1;
    attach->n_endpoints = 1;
    strcpy(attach->endpoints[0], "w");
}

static void attach_only_asks(union wire_any *m)
{
    attach_min(m);
    m->request.as.attach.n_endpoints = 0;
    m->request.as.attach.endpoints[0][0] = '\0';
}

static void attach_max(union wire_any *m)
{
    struct sb_attach *attach = &m->request.as.attach;

    m->request.kind = SB_REQUEST_ATTACH;
    attach->version_min = attach->version_max = UINT32_MAX;
    text_max(attach->name, sizeof(attach->name), 0);
    attach->generation = attach->n_open = UINT64_MAX;
    attach->weight = SB_WEIGHT_MAX;
    attach->window = SB_WINDOW_MAX;
    attach->n_endpoints = SB_ENDPOINTS_PER_WORKER_MAX;
    endpoints_max(attach->endpoints);
    attach->has_resume = true;
    key_max(&attach->resume);
}

static void next_min(union wire_any *m)
{
    m->request.kind = SB_REQUEST_NEXT;
    m->request.as.next.session.id = 1;
}

static void next_max(union wire_any *m)
{
    m->request.kind = SB_REQUEST_NEXT;
    key_max(&m->request.as.next.session);
    m->request.as.next.n_told = UINT64_MAX;
}

static void settle_min(union wire_any *m)
{
    m->request.kind = SB_REQUEST_SETTLE;
    m->request.as.settle.session.id = 1;
    m->request.as.settle.n_results = 1;
    m->request.as.settle.results[0].lease_id = 1; /* one by one: an assignment brings its padding along */
    m->request.as.settle.results[0].verdict = SB_VERDICT_ACK;
}

static void settle_max(union wire_any *m)
{
    m->request.kind = SB_REQUEST_SETTLE;
    key_max(&m->request.as.settle.session);
    m->request.as.settle.n_results = SB_RESULTS_MAX;
    results_max(m->request.as.settle.results);
}

static void detach_min(union wire_any *m)
{
    m->request.kind = SB_REQUEST_DETACH;
    m->request.as.detach.id = 1;
}

static void detach_max(union wire_any *m)
{
    m->request.kind = SB_REQUEST_DETACH;
    key_max(&m->request.as.detach);
}

static void status_min(union wire_any *m)
{
    m->request.kind = SB_REQUEST_STATUS;
}

static void status_max(union wire_any *m)
{
    m->request.kind = SB_REQUEST_STATUS;
    m->request.as.status = (struct sb_status_request){ UINT32_MAX, UINT32_MAX, UINT32_MAX };
}

static void drain_min(union wire_any *m)
{
    m->request.kind = SB_REQUEST_DRAIN;
    m->request.as.drain.by_generation = true;
}

static void drain_max(union wire_any *m)
{
    m->request.kind = SB_REQUEST_DRAIN;
    text_max(m->request.as.drain.worker, sizeof(m->request.as.drain.worker), 0);
    m->request.as.drain.wait = true;
}

static void drain_generation_max(union wire_any *m)
{
    drain_min(m);
    m->request.as.drain.generation = UINT64_MAX;
    m->request.as.drain.wait = true;
}

static void share_min(union wire_any *m)
{
    m->request.kind = SB_REQUEST_SHARE;
    m->request.as.share.session.id = 1;
    strcpy(m->request.as.share.endpoint, "w");
}

static void share_max(union wire_any *m)
{
    m->request.kind = SB_REQUEST_SHARE;
    key_max(&m->request.as.share.session);
    text_max(m->request.as.share.endpoint, sizeof(m->request.as.share.endpoint), 0);
    m->request.as.share.index = SB_ADDRESSES_PER_ENDPOINT_MAX - 1;
}

static void connect_min(union wire_any *m)
{
    m->request.kind = SB_REQUEST_CONNECT;
    m->request.as.connect.session.id = 1;
    m->request.as.connect.n_addresses = 1;
    address_min(&m->request.as.connect.addresses[0]);
    m->request.as.connect.port = 1;
    m->request.as.connect.deadline_ms = 1;
}

static void connect_addresses_max(union wire_any *m)
{
    m->request.kind = SB_REQUEST_CONNECT;
    key_max(&m->request.as.connect.session);
    m->request.as.connect.port = UINT16_MAX;
    m->request.as.connect.n_addresses = SB_DESTINATIONS_MAX;
    for (unsigned i = 0; i < SB_DESTINATIONS_MAX; i++)
        address_max(&m->request.as.connect.addresses[i]);
    m->request.as.connect.deadline_ms = SB_CONNECT_MS_MAX;
    address_max(&m->request.as.connect.source);
}

static void connect_host_max(union wire_any *m)
{
    m->request.kind = SB_REQUEST_CONNECT;
    key_max(&m->request.as.connect.session);
    text_max(m->request.as.connect.host, sizeof(m->request.as.connect.host), 0);
    m->request.as.connect.port = UINT16_MAX;
    m->request.as.connect.deadline_ms = SB_CONNECT_MS_MAX;
    address_max(&m->request.as.connect.source);
}

static void deposit_min(union wire_any *m)
{
    m->request.kind = SB_REQUEST_DEPOSIT;
    m->request.as.deposit.session.id = 1;
    strcpy(m->request.as.deposit.name, "d");
    m->request.as.deposit.lifetime_ms = 1;
}

static void deposit_max(union wire_any *m)
{
    struct sb_deposit *deposit = &m->request.as.deposit;

    m->request.kind = SB_REQUEST_DEPOSIT;
    key_max(&deposit->session);
    text_max(deposit->name, sizeof(deposit->name), 0);
    deposit->lifetime_ms = SB_LIFETIME_MS_MAX;
    deposit->state_len = SB_STATE_MAX;
    deposit->n_allow_uids = SB_ALLOW_UIDS_MAX;
    memset(deposit->allow_uids, 0xff, sizeof(deposit->allow_uids));
}

static void deposit_state_min(union wire_any *m)
{
    m->request.kind = SB_REQUEST_DEPOSIT_STATE;
    m->request.as.deposit_state.session.id = 1;
    m->request.as.deposit_state.grant_id = 1;
    m->request.as.deposit_state.chunk_len = 1;
}

static void deposit_state_max(union wire_any *m)
{
    struct sb_deposit_state *part = &m->request.as.deposit_state;

    m->request.kind = SB_REQUEST_DEPOSIT_STATE;
    key_max(&part->session);
    part->grant_id = UINT64_MAX;
    part->offset = SB_STATE_MAX;
    part->chunk_len = SB_CHUNK_MAX;
    memset(part->chunk, 0xa5, sizeof(part->chunk));
}

static void withdraw_min(union wire_any *m)
{
    m->request.kind = SB_REQUEST_WITHDRAW;
    m->request.as.withdraw.session.id = 1;
    strcpy(m->request.as.withdraw.name, "d");
}

static void withdraw_max(union wire_any *m)
{
    m->request.kind = SB_REQUEST_WITHDRAW;
    key_max(&m->request.as.withdraw.session);
    text_max(m->request.as.withdraw.name, sizeof(m->request.as.withdraw.name), 0);
}

static void read_state_min(union wire_any *m)
{
    m->request.kind = SB_REQUEST_READ_STATE;
    m->request.as.read_state.session.id = 1;
    m->request.as.read_state.grant_id = 1;
}

static void read_state_max(union wire_any *m)
{
    m->request.kind = SB_REQUEST_READ_STATE;
    key_max(&m->request.as.read_state.session);
    m->request.as.read_state.grant_id = UINT64_MAX;
    m->request.as.read_state.offset = SB_STATE_MAX;
}

static void hand_min(union wire_any *m)
{
    m->request.kind = SB_REQUEST_HAND;
    m->request.as.hand.hello.session_id = 1;
}

static void hand_max(union wire_any *m)
{
    struct sb_hand *hand = &m->request.as.hand;

    m->request.kind = SB_REQUEST_HAND;
    hand->hello.session_id = hand->hello.grant_id = UINT64_MAX;
    memset(hand->hello.token, 0xff, SB_SECRET_LEN);
    hand->hello.ring = true;
    hand->protocol_info_layout = 8;
    hand->protocol_info_len = SB_PROTOCOL_INFO_MAX;
    memset(hand->protocol_info, 0xa5, SB_PROTOCOL_INFO_MAX);
}

static void reload_all(union wire_any *m)
{
    m->request.kind = SB_REQUEST_RELOAD;
}

static void reload_max(union wire_any *m)
{
    m->request.kind = SB_REQUEST_RELOAD;
    text_max(m->request.as.reload.group, sizeof(m->request.as.reload.group), 0);
}

static void scale_min(union wire_any *m)
{
    m->request.kind = SB_REQUEST_SCALE;
    strcpy(m->request.as.scale.group, "g");
}

static void scale_max(union wire_any *m)
{
    m->request.kind = SB_REQUEST_SCALE;
    text_max(m->request.as.scale.group, sizeof(m->request.as.scale.group), 0);
    m->request.as.scale.wanted = SB_GROUP_WORKERS_MAX;
}

static void pause_min(union wire_any *m)
{
    m->request.kind = SB_REQUEST_PAUSE;
    strcpy(m->request.as.pause.endpoint, "w");
}

static void pause_max(union wire_any *m)
{
    m->request.kind = SB_REQUEST_PAUSE;
    text_max(m->request.as.pause.endpoint, sizeof(m->request.as.pause.endpoint), 0);
    m->request.as.pause.paused = true;
}

static void groups_min(union wire_any *m)
{
    m->request.kind = SB_REQUEST_GROUPS;
}

static void groups_max(union wire_any *m)
{
    m->request.kind = SB_REQUEST_GROUPS;
    m->request.as.groups = (struct sb_groups_request){ UINT32_MAX, UINT32_MAX, UINT32_MAX };
}

static void upgrade_min(union wire_any *m)
{
    m->request.kind = SB_REQUEST_UPGRADE;
}

static void upgrade_max(union wire_any *m)
{
    m->request.kind = SB_REQUEST_UPGRADE;
    text_max(m->request.as.upgrade.binary, sizeof(m->request.as.upgrade.binary), 0);
    m->request.as.upgrade.binary[0] = '/';
    m->request.as.upgrade.timeout_ms = SB_UPGRADE_MS_MAX;
}

static void upgraded_max(union wire_any *m)
{
    m->reply.kind = SB_REPLY_UPGRADED;
    memset(m->reply.as.upgraded.text, 'x', SB_FAILURE_TEXT_MAX);
}

static void failure_min(union wire_any *m)
{
    m->reply.kind = SB_REPLY_FAILURE;
    m->reply.as.failure.status = SOCKBROKER_AGAIN;
}

static void failure_max(union wire_any *m)
{
    m->reply.kind = SB_REPLY_FAILURE;
    m->reply.as.failure.status = SOCKBROKER_SYSTEM;
    memset(m->reply.as.failure.text, 'x', SB_FAILURE_TEXT_MAX);
    memcpy(m->reply.as.failure.text, "\xc2\x80\xe0\xa0\x80\xed\x9f\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 16);
}

static void attached_min(union wire_any *m)
{
    m->reply.kind = SB_REPLY_ATTACHED;
    m->reply.as.attached.version = 1;
    m->reply.as.attached.session.id = 1;
    m->reply.as.attached.carrier = SB_CARRIER_DIRECT;
    m->reply.as.attached.heartbeat_ms = 100;
    m->reply.as.attached.finish_within_ms = 0;
}

static void attached_max(union wire_any *m)
{
    m->reply.kind = SB_REPLY_ATTACHED;
    m->reply.as.attached.version = UINT32_MAX;
    key_max(&m->reply.as.attached.session);
    memset(m->reply.as.attached.token, 0xff, SB_SECRET_LEN);
    m->reply.as.attached.carrier = SB_CARRIER_MESSAGE;
    m->reply.as.attached.heartbeat_ms = 3600000;
    m->reply.as.attached.finish_within_ms = 1000;
}

static void told_min(union wire_any *m)
{
    m->reply.kind = SB_REPLY_TOLD;
}

static void told_max(union wire_any *m)
{
    m->reply.kind = SB_REPLY_TOLD;
    m->reply.as.told.drain = m->reply.as.told.stopping = true;
    m->reply.as.told.n_handoffs = SB_HANDOFFS_MAX;
    for (unsigned i = 0; i < SB_HANDOFFS_MAX; i++)
        record_max(&m->reply.as.told.handoffs[i]);
}

static void told_one(union wire_any *m)
{
    told_min(m);
    m->reply.as.told.n_handoffs = 1;
    record_max(&m->reply.as.told.handoffs[0]);
}

static void settled_min(union wire_any *m)
{
    m->reply.kind = SB_REPLY_SETTLED;
}

static void settled_max(union wire_any *m)
{
    m->reply.kind = SB_REPLY_SETTLED;
    m->reply.as.settled.n_kept = SB_RESULTS_MAX;
    for (unsigned i = 0; i < SB_RESULTS_MAX; i++)
        m->reply.as.settled.kept[i] = i % 2;
}

static void done_min(union wire_any *m)
{
    m->reply.kind = SB_REPLY_DONE;
}

static void done_max(union wire_any *m)
{
    m->reply.kind = SB_REPLY_DONE;
    m->reply.as.done_count = UINT64_MAX;
}

static void attempt_min(struct sb_attempt_message *attempt)
{
    address_min(&attempt->destination);
}

static void attempt_max(struct sb_attempt_message *attempt)
{
    address_max(&attempt->destination);
    address_max(&attempt->source);
    attempt->started = true;
    attempt->started_ms = attempt->ended_ms = UINT32_MAX;
    attempt->status = SOCKBROKER_STATUS_COUNT - 1;
    text_max(attempt->text, sizeof(attempt->text), 0);
}

static void attempts_max(struct sb_granted *granted)
{
    granted->n_attempts = SB_DESTINATIONS_MAX;
    for (unsigned i = 0; i < SB_DESTINATIONS_MAX; i++)
        attempt_max(&granted->attempts[i]);
}

static void granted_min(union wire_any *m)
{
    m->reply.kind = SB_REPLY_GRANTED;
    m->reply.as.granted.grant_id = 1;
}

static void granted_max(union wire_any *m)
{
    struct sb_granted *granted = &m->reply.as.granted;

    m->reply.kind = SB_REPLY_GRANTED;
    memset(granted->text, 'x', SB_FAILURE_TEXT_MAX);
    granted->grant_id = UINT64_MAX;
    memset(granted->token, 0xff, SB_SECRET_LEN);
    granted->has_record = true;
    record_max(&granted->record);
    granted->n_sockets = SB_ADDRESSES_PER_ENDPOINT_MAX;
    granted->state_len = SB_STATE_MAX;
    attempts_max(granted);
}

static void granted_listening(union wire_any *m)
{
    granted_min(m);
    m->reply.as.granted.has_record = true;
    record_min(&m->reply.as.granted.record);
    m->reply.as.granted.record.info.type = SOCKBROKER_STREAM;
    m->reply.as.granted.record.info.listening = true;
    m->reply.as.granted.n_sockets = 1;
}

static void granted_outbound(union wire_any *m)
{
    granted_min(m);
    m->reply.as.granted.has_record = true;
    record_max(&m->reply.as.granted.record);
    memset(m->reply.as.granted.record.info.endpoint, 0, SOCKBROKER_NAME_MAX);
    m->reply.as.granted.n_attempts = 1;
    attempt_min(&m->reply.as.granted.attempts[0]);
}

static void granted_refused(union wire_any *m)
{
    m->reply.kind = SB_REPLY_GRANTED;
    m->reply.as.granted.status = SOCKBROKER_REFUSED;
}

static void granted_failed_max(union wire_any *m)
{
    m->reply.kind = SB_REPLY_GRANTED;
    m->reply.as.granted.status = SOCKBROKER_STATUS_COUNT - 1;
    memset(m->reply.as.granted.text, 'x', SB_FAILURE_TEXT_MAX);
    attempts_max(&m->reply.as.granted);
}

static void handed_min(union wire_any *m)
{
    m->reply.kind = SB_REPLY_HANDED;
}

static void handed_max(union wire_any *m)
{
    m->reply.kind = SB_REPLY_HANDED;
    memset(m->reply.as.handed.text, 'x', SB_FAILURE_TEXT_MAX);
    m->reply.as.handed.has_record = true;
    record_max(&m->reply.as.handed.record);
}

static void handed_refused(union wire_any *m)
{
    handed_min(m);
    m->reply.as.handed.status = SOCKBROKER_STATUS_COUNT - 1;
    strcpy(m->reply.as.handed.text, "no");
}

static void state_end(union wire_any *m)
{
    m->reply.kind = SB_REPLY_STATE;
}

static void state_one(union wire_any *m)
{
    state_end(m);
    m->reply.as.state.chunk_len = 1;
}

static void state_max(union wire_any *m)
{
    state_end(m);
    m->reply.as.state.chunk_len = SB_CHUNK_MAX;
    memset(m->reply.as.state.chunk, 0xa5, SB_CHUNK_MAX);
}

static void endpoint_status_min(struct sb_endpoint_status *endpoint)
{
    strcpy(endpoint->name, "w");
}

static void endpoint_status_max(struct sb_endpoint_status *endpoint)
{
    text_max(endpoint->name, sizeof(endpoint->name), 0);
    endpoint->n_addresses = SB_ADDRESSES_PER_ENDPOINT_MAX;
    for (unsigned i = 0; i < SB_ADDRESSES_PER_ENDPOINT_MAX; i++)
        address_max(&endpoint->addresses[i]);
    text_max(endpoint->mode, sizeof(endpoint->mode), 1);
    text_max(endpoint->policy, sizeof(endpoint->policy), 2);
    text_max(endpoint->family, sizeof(endpoint->family), 3);
    text_max(endpoint->carrier, sizeof(endpoint->carrier), 4);
    text_max(endpoint->state, sizeof(endpoint->state), 5);
    memset(&endpoint->counters, 0xff, sizeof(endpoint->counters)); /* uint64_t throughout */
    text_max(endpoint->protocol, sizeof(endpoint->protocol), 6);
    endpoint->slots = UINT32_MAX;
}

static void session_status_min(struct sb_session_status *session)
{
    session->id = 1;
    strcpy(session->name, "a");
}

static void session_status_max(struct sb_session_status *session)
{
    session->id = session->generation = session->attached_ms = UINT64_MAX;
    session->open = session->unacked = session->served = UINT64_MAX;
    session->pid = session->uid = session->gid = session->weight = session->window = UINT32_MAX;
    text_max(session->name, sizeof(session->name), 0);
    text_max(session->state, sizeof(session->state), 1);
    session->n_endpoints = SB_ENDPOINTS_PER_WORKER_MAX;
    endpoints_max(session->endpoints);
}

static void deposit_status_min(struct sb_deposit_status *deposit)
{
    strcpy(deposit->name, "d");
    strcpy(deposit->owner, "a");
}

static void deposit_status_max(struct sb_deposit_status *deposit)
{
    text_max(deposit->name, sizeof(deposit->name), 0);
    text_max(deposit->owner, sizeof(deposit->owner), 1);
    deposit->uid = UINT32_MAX;
    text_max(deposit->kind, sizeof(deposit->kind), 2);
    address_max(&deposit->local);
    address_max(&deposit->peer);
    deposit->state_len = SB_STATE_MAX;
    deposit->age_ms = deposit->expires_ms = UINT64_MAX;
    text_max(deposit->taken_by, sizeof(deposit->taken_by), 3);
}

static void broker_status_max(struct sb_broker_status *broker)
{
    text_max(broker->version, sizeof(broker->version), 0);
    text_max(broker->state, sizeof(broker->state), 1);
    broker->pid = UINT32_MAX;
    broker->uptime_ms = broker->n_endpoints = broker->n_sessions = broker->bad_messages = UINT64_MAX;
    broker->busy_refusals = broker->log_lines_dropped = broker->listener_repairs = UINT64_MAX;
    broker->descriptors_used = broker->descriptors_max = UINT64_MAX;
    broker->n_deposits = broker->grants = broker->deposits_expired = broker->connects_failed = UINT64_MAX;
}

static void page_empty(union wire_any *m)
{
    m->reply.kind = SB_REPLY_STATUS;
}

static void page_min(union wire_any *m)
{
    struct sb_status_page *page = &m->reply.as.status;

    m->reply.kind = SB_REPLY_STATUS;
    page->n_endpoints = page->n_sessions = page->n_deposits = 1;
    endpoint_status_min(&page->endpoints[0]);
    session_status_min(&page->sessions[0]);
    deposit_status_min(&page->deposits[0]);
}

static void page_one(union wire_any *m)
{
    struct sb_status_page *page = &m->reply.as.status;

    page_min(m);
    broker_status_max(&page->broker);
    endpoint_status_max(&page->endpoints[0]);
    session_status_max(&page->sessions[0]);
    deposit_status_max(&page->deposits[0]);
}

static void page_max(union wire_any *m)
{
    struct sb_status_page *page = &m->reply.as.status;

    m->reply.kind = SB_REPLY_STATUS;
    broker_status_max(&page->broker);
    page->n_endpoints = SB_PAGE_ENDPOINTS;
    page->n_sessions = SB_PAGE_SESSIONS;
    page->n_deposits = SB_PAGE_DEPOSITS;
    page->next_endpoint = page->next_session = page->next_deposit = UINT32_MAX;
    for (unsigned i = 0; i < SB_PAGE_ENDPOINTS; i++)
        endpoint_status_max(&page->endpoints[i]);
    for (unsigned i = 0; i < SB_PAGE_SESSIONS; i++)
        session_status_max(&page->sessions[i]);
    for (unsigned i = 0; i < SB_PAGE_DEPOSITS; i++)
        deposit_status_max(&page->deposits[i]);
}

static void outcome_empty(union wire_any *m)
{
    m->reply.kind = SB_REPLY_OUTCOME;
}

static void outcome_max(union wire_any *m)
{
    m->reply.kind = SB_REPLY_OUTCOME;
    memset(m->reply.as.outcome.text, 'x', SB_OUTCOME_TEXT_MAX);
}

static void groups_page_empty(union wire_any *m)
{
    m->reply.kind = SB_REPLY_GROUPS;
}

static void groups_page_min(union wire_any *m)
{
    struct sb_groups_page *page = &m->reply.as.groups;

    groups_page_empty(m);
    page->n_groups = page->n_generations = page->n_slots = 1;
    strcpy(page->groups[0].name, "g");
    strcpy(page->generations[0].group, "g");
    page->generations[0].generation = 1;
    strcpy(page->slots[0].group, "g");
    page->slots[0].generation = 1;
    strcpy(page->slots[0].worker, "g-1-1");
}

static void group_status_max(struct sb_group_status *group)
{
    text_max(group->name, sizeof(group->name), 0);
    memset(group->command, 'x', SB_COMMAND_TEXT_MAX);
    group->wanted = UINT32_MAX;
    group->generation = UINT64_MAX;
    memset(group->failure, 'x', SB_FAILURE_TEXT_MAX);
}

static void generation_status_max(struct sb_generation_status *generation)
{
    text_max(generation->group, sizeof(generation->group), 0);
    text_max(generation->state, sizeof(generation->state), 1);
    generation->generation = generation->open = generation->since_ms = UINT64_MAX;
    generation->workers = generation->ready = UINT32_MAX;
}

static void slot_status_max(struct sb_slot_status *slot)
{
    text_max(slot->group, sizeof(slot->group), 0);
    text_max(slot->worker, sizeof(slot->worker), 1);
    text_max(slot->state, sizeof(slot->state), 2);
    slot->generation = slot->since_ms = UINT64_MAX;
    slot->pid = slot->restarts = UINT32_MAX;
}

static void groups_page_max(union wire_any *m)
{
    struct sb_groups_page *page = &m->reply.as.groups;

    groups_page_empty(m);
    page->n_groups = SB_PAGE_GROUPS;
    page->n_generations = SB_PAGE_GENERATIONS;
    page->n_slots = SB_PAGE_SLOTS;
    page->next_group = page->next_generation = page->next_slot = UINT32_MAX;
    for (unsigned i = 0; i < SB_PAGE_GROUPS; i++)
        group_status_max(&page->groups[i]);
    for (unsigned i = 0; i < SB_PAGE_GENERATIONS; i++)
        generation_status_max(&page->generations[i]);
    for (unsigned i = 0; i < SB_PAGE_SLOTS; i++)
        slot_status_max(&page->slots[i]);
}

static void hello_min(union wire_any *m)
{
    m->hello.session_id = 1;
}

static void hello_max(union wire_any *m)
{
    m->hello.session_id = UINT64_MAX;
    memset(m->hello.token, 0xff, SB_SECRET_LEN);
    m->hello.ring = true;
    m->hello.grant_id = UINT64_MAX;
}

static void welcome_min(union wire_any *m)
{
    m->welcome.status = SOCKBROKER_OK;
}

static void welcome_max(union wire_any *m)
{
    m->welcome.status = SOCKBROKER_SYSTEM;
    memset(m->welcome.text, 'x', SB_FAILURE_TEXT_MAX);
}

static void info_min(union wire_any *m)
{
    m->delivery.kind = SB_DELIVERY_INFO;
    m->delivery.number = 1;
    record_min(&m->delivery.record);
}

static void info_max(union wire_any *m)
{
    m->delivery.kind = SB_DELIVERY_INFO;
    m->delivery.number = UINT64_MAX;
    record_max(&m->delivery.record);
}

static void lease_min(union wire_any *m)
{
    m->delivery.kind = SB_DELIVERY_LEASE;
    m->delivery.number = 1;
}

static void probe_max(union wire_any *m)
{
    m->delivery.kind = SB_DELIVERY_PROBE;
    m->delivery.number = UINT64_MAX;
}

static void ring_max(union wire_any *m)
{
    m->delivery.kind = SB_DELIVERY_RING;
    m->delivery.number = UINT64_MAX;
}

static void report_min(union wire_any *m)
{
    m->report.n_results = 0;
}

static void report_max(union wire_any *m)
{
    m->report.n_results = SB_RESULTS_MAX;
    results_max(m->report.results);
    m->report.probe = UINT64_MAX;
    m->report.bell = true;
}

struct sample {
    const char *name;
    int kind;
    void (*make)(union wire_any *m);
};

#define SAMPLE(kind, make)                                                                                                     \
    {                                                                                                                          \
#make, kind, make                                                                                                      \
    }

static const struct sample samples[] = {
    SAMPLE(REQUEST, attach_min),
    SAMPLE(REQUEST, attach_only_asks),
    SAMPLE(REQUEST, attach_max),
    SAMPLE(REQUEST, next_min),
    SAMPLE(REQUEST, next_max),
    SAMPLE(REQUEST, settle_min),
    SAMPLE(REQUEST, settle_max),
    SAMPLE(REQUEST, detach_min),
    SAMPLE(REQUEST, detach_max),
    SAMPLE(REQUEST, status_min),
    SAMPLE(REQUEST, status_max),
    SAMPLE(REQUEST, drain_min),
    SAMPLE(REQUEST, drain_max),
    SAMPLE(REQUEST, drain_generation_max),
    SAMPLE(REQUEST, share_min),
    SAMPLE(REQUEST, share_max),
    SAMPLE(REQUEST, connect_min),
    SAMPLE(REQUEST, connect_addresses_max),
    SAMPLE(REQUEST, connect_host_max),
    SAMPLE(REQUEST, deposit_min),
    SAMPLE(REQUEST, deposit_max),
    SAMPLE(REQUEST, deposit_state_min),
    SAMPLE(REQUEST, deposit_state_max),
    SAMPLE(REQUEST, withdraw_min),
    SAMPLE(REQUEST, withdraw_max),
    SAMPLE(REQUEST, read_state_min),
    SAMPLE(REQUEST, hand_min),
    SAMPLE(REQUEST, hand_max),
    SAMPLE(REQUEST, read_state_max),
    SAMPLE(REQUEST, reload_all),
    SAMPLE(REQUEST, reload_max),
    SAMPLE(REQUEST, scale_min),
    SAMPLE(REQUEST, scale_max),
    SAMPLE(REQUEST, pause_min),
    SAMPLE(REQUEST, pause_max),
    SAMPLE(REQUEST, groups_min),
    SAMPLE(REQUEST, groups_max),
    SAMPLE(REQUEST, upgrade_min),
    SAMPLE(REQUEST, upgrade_max),
    SAMPLE(REPLY, failure_min),
    SAMPLE(REPLY, failure_max),
    SAMPLE(REPLY, attached_min),
    SAMPLE(REPLY, attached_max),
    SAMPLE(REPLY, told_min),
    SAMPLE(REPLY, told_one),
    SAMPLE(REPLY, told_max),
    SAMPLE(REPLY, settled_min),
    SAMPLE(REPLY, settled_max),
    SAMPLE(REPLY, done_min),
    SAMPLE(REPLY, done_max),
    SAMPLE(REPLY, page_empty),
    SAMPLE(REPLY, page_min),
    SAMPLE(REPLY, page_one),
    SAMPLE(REPLY, page_max),
    SAMPLE(REPLY, granted_min),
    SAMPLE(REPLY, granted_max),
    SAMPLE(REPLY, granted_listening),
    SAMPLE(REPLY, granted_outbound),
    SAMPLE(REPLY, granted_refused),
    SAMPLE(REPLY, granted_failed_max),
    SAMPLE(REPLY, handed_min),
    SAMPLE(REPLY, handed_max),
    SAMPLE(REPLY, handed_refused),
    SAMPLE(REPLY, state_end),
    SAMPLE(REPLY, state_one),
    SAMPLE(REPLY, state_max),
    SAMPLE(REPLY, outcome_empty),
    SAMPLE(REPLY, outcome_max),
    SAMPLE(REPLY, groups_page_empty),
    SAMPLE(REPLY, groups_page_min),
    SAMPLE(REPLY, groups_page_max),
    SAMPLE(REPLY, upgraded_max),
    SAMPLE(HELLO, hello_min),
    SAMPLE(HELLO, hello_max),
    SAMPLE(WELCOME, welcome_min),
    SAMPLE(WELCOME, welcome_max),
    SAMPLE(DELIVERY, info_min),
    SAMPLE(DELIVERY, info_max),
    SAMPLE(DELIVERY, lease_min),
    SAMPLE(DELIVERY, probe_max),
    SAMPLE(DELIVERY, ring_max),
    SAMPLE(REPORT, report_min),
    SAMPLE(REPORT, report_max),
};

#define N_SAMPLES SB_WIRE_COUNT(samples)

static const struct sample *sample_named(const char *name)
{
    for (size_t i = 0; i < N_SAMPLES; i++) {
        if (strcmp(samples[i].name, name) == 0)
            return &samples[i];
    }
    fail_msg("no sample %s", name);
    return NULL;
}

static const struct wire_kind *kind_of(const struct sample *sample)
{
    return &wire_kinds[sample->kind];
}

static void make(const struct sample *sample, union wire_any *m)
{
    memset(m, 0, sizeof(*m));
    sample->make(m);
}

static void pack_sample(const struct sample *sample, struct bytes *b)
{
    static union wire_any m;

    make(sample, &m);
    if (kind_of(sample)->pack(&m, b->at, sizeof(b->at), &b->len))
        fail_msg("%s does not pack", sample->name);
}

/* ---- cases in bytes: a sample with something added, or bytes alone ---- */

struct raw_case {
    const char *name;
    int kind;
    const char *sample; /* NULL: `added` is the whole message. Else it goes to the end of the sample, inside its body */
    const char *added;
    size_t added_len;
    size_t times;     /* that `added` is repeated, 0 counts as 1 */
    const char *text; /* how the error begins; NULL: accepted */
};

#define ADD(s) .added = (s), .added_len = sizeof(s) - 1
#define KEY30 "012345678901234567890123456789"

static const struct raw_case raw_cases[] = {
    /* what protobuf says of any message */
    { "nothing", REQUEST, NULL, ADD(""), 0, "Request.body is missing" },
    { "reply_nothing", REPLY, NULL, ADD(""), 0, "Reply.body is missing" },
    { "delivery_nothing", DELIVERY, NULL, ADD(""), 0, "Delivery.body is missing" },
    { "hello_nothing", HELLO, NULL, ADD(""), 0, "Hello.session_id is 0" },
    { "report_nothing", REPORT, NULL, ADD(""), 0, NULL },
    { "two_bodies", REQUEST, NULL, ADD("\x2a\0\x32\0"), 0, "Request.drain is a second body" },
    { "same_body_twice", REQUEST, NULL, ADD("\x2a\0\x2a\0"), 0, "Request.status is a second body" },
    { "two_numbers", DELIVERY, NULL, ADD("\x11\1\0\0\0\0\0\0\0\x19\1\0\0\0\0\0\0\0"), 0, "Delivery.probe is a second body" },
    { "unknown_body", REQUEST, NULL, ADD("\x72\0"), 0, "Request.body is missing" },
    { "reply_unknown_body", REPLY, NULL, ADD("\x52\0"), 0, "Reply.body is missing" },
    { "unknown_fields", REPORT, "report_min", ADD("\x78\1\x7a\1x\x7d\1\2\3\4\x79\1\2\3\4\5\6\7\x08"), 0, NULL },
    { "unknown_4k", REQUEST, "status_min", ADD("\x78\1"), 4096, "Request of 8195 bytes has more fields" },
    { "unknown_32k", REQUEST, "status_min", ADD("\x78\1"), 32768, "Request has 65540 bytes; it must have at most 16384" },
    { "unknown_only_8k", REQUEST, NULL, ADD("\x78\1"), 8192, "Request of 16384 bytes has more fields" },
    { "unknown_only_1k", REPORT, NULL, ADD("\x78\1"), 1024, "Report of 2048 bytes has more fields" },
    { "empty_children_1k", REPORT, NULL, ADD("\x0a\0"), 1024, "Report of 2048 bytes has more fields" },
    { "empty_children_32k", REPLY, "told_min", ADD("\x1a\0"), 32768, "Reply has 65540 bytes" },
    { "empty_children_4k", REPLY, "told_min", ADD("\x1a\0"), 4096, "Reply of 8195 bytes has more fields" },
    { "endless_varint", REPORT, NULL, ADD("\x78\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\1"), 0, "Report is no protobuf" },
    { "unterminated_varint", REPORT, NULL, ADD("\x78\xff"), 0, "Report is no protobuf message at byte 2 of 2" },
    { "overfull_varint", REPORT, NULL, ADD("\x78\xff\xff\xff\xff\xff\xff\xff\xff\xff\2"), 0, "Report is no protobuf" },
    { "overlong_varint", REQUEST, "status_min", ADD("\x08\x81\x80\x80\x80\x80\x80\x80\x80\x80\0"), 0, NULL },
    { "field_0", REPORT, NULL, ADD("\0\1"), 0, "Report is no protobuf" },
    { "field_0_overlong", REPORT, NULL, ADD("\x80\0\1"), 0, "Report is no protobuf" },
    { "field_highest", REPORT, NULL, ADD("\xf8\xff\xff\xff\x0f\1"), 0, NULL },
    { "field_beyond_highest", REPORT, NULL, ADD("\x80\x80\x80\x80\x10\1"), 0, "Report is no protobuf" },
    { "group", REPORT, NULL, ADD("\x7b\x7c"), 0, "Report is no protobuf" },
    { "wire_type_7", REPORT, NULL, ADD("\x7f\1"), 0, "Report is no protobuf" },
    { "wire_type_of_fixed", HELLO, "hello_min", ADD("\x08\1"), 0, "Hello.session_id has the wrong wire type 0" },
    { "wire_type_of_bytes", HELLO, "hello_min", ADD("\x10\1"), 0, "Hello.token has the wrong wire type 0" },
    { "wire_type_of_bool", REPLY, "told_min", ADD("\x0d\1\0\0\0"), 0, "Told.drain has the wrong wire type 5" },
    { "wire_type_of_child", REPLY, NULL, ADD("\x08\1"), 0, "Reply.failure has the wrong wire type 0" },
    { "length_beyond_end", REPORT, NULL, ADD("\x7a\2x"), 0, "Report is no protobuf" },
    { "length_huge", REPORT, NULL, ADD("\x7a\xff\xff\xff\xff\x0fx"), 0, "Report is no protobuf" },
    { "scalar_64_times", REPORT, NULL, ADD("\x11\1\0\0\0\0\0\0\0"), 64, NULL },
    { "duplicate_scalar", REQUEST, "attach_max", ADD("\x28\7"), 0, NULL },
    { "duplicate_text", REQUEST, "attach_max", ADD("\x1a\1x"), 0, NULL },
    { "duplicate_child", REQUEST, "next_max", ADD("\x0a\x09\x09\5\0\0\0\0\0\0\0"), 0, NULL },
    { "64_bits_in_32", REQUEST, "attach_min", ADD("\x28\x81\x80\x80\x80\x10"), 0, "Attach.weight is 4294967297; it has" },
    { "negative_enum", REPLY, "attached_min", ADD("\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\1"), 0,
      "Attached.carrier is 18446744073709551615; it has 32 bits" },
    /* a list of numbers, one by one and in one piece */
    { "uids_one_by_one", REQUEST, "deposit_min", ADD("\x28\1\x28\2"), 0, NULL },
    { "uids_in_one_piece", REQUEST, "deposit_min", ADD("\x2a\x06\1\xff\xff\xff\xff\x0f"), 0, NULL },
    { "uids_overlong", REQUEST, "deposit_min", ADD("\x2a\x0a\x81\x80\x80\x80\x80\x80\x80\x80\x80\0"), 0, NULL },
    { "uid_of_33_bits", REQUEST, "deposit_min", ADD("\x28\x80\x80\x80\x80\x10"), 0,
      "Deposit.allow_uids is 4294967296; it has 32 bits" },
    { "uids_of_33_bits", REQUEST, "deposit_min", ADD("\x2a\x06\1\x80\x80\x80\x80\x10"), 0,
      "Deposit.allow_uids is 4294967296; it has 32 bits" },
    { "uids_overfull", REQUEST, "deposit_min", ADD("\x2a\x0a\x81\x80\x80\x80\x80\x80\x80\x80\x80\2"), 0,
      "Deposit.allow_uids is no list of numbers" },
    { "uids_unterminated", REQUEST, "deposit_min", ADD("\x2a\2\1\x80"), 0, "Deposit.allow_uids is no list of numbers" },
    { "uids_wire_type", REQUEST, "deposit_min", ADD("\x2d\1\0\0\0"), 0, "Deposit.allow_uids has the wrong wire type 5" },
    /* what our structs cannot say */
    { "name_with_nul", REQUEST, "attach_min", ADD("\x1a\3a\0b"), 0, "Attach.name contains a NUL" },
    { "endpoint_with_nul", REQUEST, "attach_min", ADD("\x3a\2v\0"), 0, "Attach.endpoints contains a NUL" },
    { "text_with_nul", WELCOME, "welcome_min", ADD("\x12\1\0"), 0, "Welcome.text contains a NUL" },
    { "name_64", REQUEST, "attach_min", ADD("\x1a\x40" KEY30 KEY30 "0123"), 0, "Attach.name has more than 63 bytes: \"01" },
    { "text_384", WELCOME, "welcome_min",
      ADD("\x12\x80\3" KEY30 KEY30 KEY30 KEY30 KEY30 KEY30 KEY30 KEY30 KEY30 KEY30 KEY30 KEY30 "012345678901234567890123"), 0,
      "Welcome.text has more than 383 bytes" },
    { "secret_31", REQUEST, "next_min", ADD("\x0a\x2a\x09\1\0\0\0\0\0\0\0\x12\x1f" KEY30 "x"), 0,
      "SessionKey.secret has 31 bytes; it must have 32..32" },
    { "token_33", HELLO, "hello_min", ADD("\x12\x21" KEY30 "xyz"), 0, "Hello.token has 33 bytes; it must have 32..32" },
    { "token_empty", REPLY, "attached_min", ADD("\x1a\0"), 0, "Attached.token has 0 bytes" },
    { "next_without_session", REQUEST, NULL, ADD("\x12\0"), 0, "Next.session is missing" },
    { "settle_without_session", REQUEST, NULL, ADD("\x1a\0"), 0, "Settle.session is missing" },
    { "detach_without_session", REQUEST, NULL, ADD("\x22\0"), 0, "Detach.session is missing" },
    { "share_without_session", REQUEST, NULL, ADD("\x3a\0"), 0, "Share.session is missing" },
    { "connect_without_session", REQUEST, NULL, ADD("\x42\0"), 0, "Connect.session is missing" },
    { "deposit_without_session", REQUEST, NULL, ADD("\x4a\0"), 0, "Deposit.session is missing" },
    { "deposit_state_without_session", REQUEST, NULL, ADD("\x52\0"), 0, "DepositState.session is missing" },
    { "withdraw_without_session", REQUEST, NULL, ADD("\x5a\0"), 0, "Withdraw.session is missing" },
    { "read_state_without_session", REQUEST, NULL, ADD("\x62\0"), 0, "ReadState.session is missing" },
    { "share_endpoint_64", REQUEST, "share_min", ADD("\x12\x40" KEY30 KEY30 "0123"), 0,
      "Share.endpoint has more than 63 bytes" },
    { "deposit_name_with_nul", REQUEST, "deposit_min", ADD("\x12\3a\0b"), 0, "Deposit.name contains a NUL" },
    { "withdraw_name_64", REQUEST, "withdraw_min", ADD("\x12\x40" KEY30 KEY30 "0123"), 0,
      "Withdraw.name has more than 63 bytes" },
    { "host_256", REQUEST, "connect_host_max",
      ADD("\x12\x80\2" KEY30 KEY30 KEY30 KEY30 KEY30 KEY30 KEY30 KEY30 "0123456789012345"), 0,
      "Connect.host has more than 255 bytes" },
    { "host_with_nul", REQUEST, "connect_host_max", ADD("\x12\3a\0b"), 0, "Connect.host contains a NUL" },
    { "destinations_17", REQUEST, "connect_addresses_max", ADD("\x1a\x06\x0a\4zzzz"), 0,
      "Connect.addresses has 17 entries; it must have 0..16" },
    { "uids_9", REQUEST, "deposit_max", ADD("\x28\1"), 0, "Deposit.allow_uids has 9 entries; it must have 0..8" },
    { "granted_token_empty", REPLY, "granted_min", ADD("\x22\0"), 0, "Granted.token has 0 bytes; it must have 32..32" },
    { "granted_token_missing", REPLY, NULL, ADD("\x3a\x09\x19\1\0\0\0\0\0\0\0"), 0, "Granted.token has 0 bytes" },
    { "attempts_17", REPLY, "granted_max", ADD("\x42\x08\x0a\x06\x0a\4zzzz"), 0,
      "Granted.attempts has 17 entries; it must have 0..16" },
    { "attempt_without_destination", REPLY, "granted_min", ADD("\x42\0"), 0, "Attempt.destination is missing" },
    { "attempt_text_96", REPLY, "granted_min", ADD("\x42\x6a\x0a\x06\x0a\4zzzz\x3a\x60" KEY30 KEY30 KEY30 "012345"), 0,
      "Attempt.text has more than 95 bytes" },
    { "attached_without_session", REPLY, NULL, ADD("\x12\2\x08\1"), 0, "Attached.session is missing" },
    { "handoff_without_info", REPLY, "told_min", ADD("\x1a\0"), 0, "Handoff.info is missing" },
    { "page_without_broker", REPLY, NULL, ADD("\x32\0"), 0, "StatusPage.broker is missing" },
    { "info_without_local", DELIVERY, NULL, ADD("\x0a\x10\x09\1\0\0\0\0\0\0\0\x18\4\x20\2\x4a\1w"), 0,
      "SocketInfo.local is missing" },
    { "ip_5", DELIVERY, "info_min",
      ADD("\x42\7\x0a\5"
          "12345"),
      0, "Address.ip has 5 bytes; it must have 4 or 16" },
    { "ip_3", DELIVERY, "info_min",
      ADD("\x42\5\x0a\3"
          "123"),
      0, "Address.ip has 3 bytes; it must have 4..16" },
    { "ip_17", DELIVERY, "info_min",
      ADD("\x42\x13\x0a\x11"
          "12345678901234567"),
      0, "Address.ip has 17 bytes" },
    { "port_65536", DELIVERY, "info_min", ADD("\x42\5\x15\0\0\1\0"), 0, "Address.port is 65536; it must be 0..65535" },
    { "results_65", REPORT, "report_max", ADD("\x0a\x0b\x09\1\0\0\0\0\0\0\0\x10\1"), 0,
      "Report.results has 65 entries; it must have 0..64" },
    { "settle_65", REQUEST, "settle_max", ADD("\x12\x0b\x09\1\0\0\0\0\0\0\0\x10\1"), 0, "Settle.results has 65 entries" },
    { "kept_65", REPLY, "settled_max", ADD("\x08\1"), 0, "Settled.kept has 65 entries" },
    { "endpoints_33", REQUEST, "attach_max", ADD("\x3a\1v"), 0, "Attach.endpoints has 33 entries; it must have 0..32" },
    { "handoffs_13", REPLY, "told_max", ADD("\x1a\0"), 0, "Told.handoffs has 13 entries; it must have 0..12" },
    { "page_endpoints_5", REPLY, "page_max", ADD("\x12\0"), 0, "StatusPage.endpoints has 5 entries" },
    { "page_sessions_5", REPLY, "page_max", ADD("\x1a\0"), 0, "StatusPage.sessions has 5 entries" },
    { "page_deposits_5", REPLY, "page_max", ADD("\x32\0"), 0, "StatusPage.deposits has 5 entries" },
    { "endpoint_without_histogram", REPLY, "page_empty", ADD("\x12\3\x0a\1w"), 0, "EndpointStatus.accept_to_lease is missing" },
    { "buckets_7", REPLY, "page_empty", ADD("\x12\x0f\x0a\1w\xa2\1\x09\x0a\7\0\0\0\0\0\0\0"), 0,
      "Histogram.buckets has 7 entries; it must have 8..8" },
    { "addresses_17", REPLY, "page_empty",
      ADD("\x12\x6b"
          "\x12\4\x0a\2zz"
          "\x12\4\x0a\2zz"
          "\x12\4\x0a\2zz"
          "\x12\4\x0a\2zz"
          "\x12\4\x0a\2zz"
          "\x12\4\x0a\2zz"
          "\x12\4\x0a\2zz"
          "\x12\4\x0a\2zz"
          "\x12\4\x0a\2zz"
          "\x12\4\x0a\2zz"
          "\x12\4\x0a\2zz"
          "\x12\4\x0a\2zz"
          "\x12\4\x0a\2zz"
          "\x12\4\x0a\2zz"
          "\x12\4\x0a\2zz"
          "\x12\4\x0a\2zz"
          "\x12\4\x0a\2zz"
          "\x0a\3web"),
      0, "EndpointStatus.addresses has 17 entries" },
};

#define N_RAW_CASES SB_WIRE_COUNT(raw_cases)

/* Skips the tag and length of the one body. */
static size_t body_at(const struct bytes *b)
{
    size_t at = 1;

    while (b->at[at] & 0x80)
        at++;
    return at + 1;
}

static void add(struct bytes *b, const struct raw_case *c)
{
    size_t times = c->times ? c->times : 1;

    while (times-- > 0)
        put(b, c->added, c->added_len);
}

/* The sample's body with the addition at its end, in an outer message of the same tag. */
static void add_to_body(struct bytes *b, const struct raw_case *c)
{
    static struct bytes body;
    size_t at = body_at(b);

    body.len = 0;
    put(&body, b->at + at, b->len - at);
    add(&body, c);
    b->len = 1;
    put_varint(b, body.len);
    put(b, body.at, body.len);
}

static void build_raw(const struct raw_case *c, struct bytes *b)
{
    b->len = 0;
    if (c->sample)
        pack_sample(sample_named(c->sample), b);
    if (c->sample && wire_kinds[c->kind].table->is_oneof)
        add_to_body(b, c);
    else
        add(b, c);
}

/* ---- cases in our structs: a sample with one member changed ---- */

struct struct_case {
    const char *name;
    const char *sample;
    size_t at;
    size_t size;
    uint64_t value;
    const char *text; /* how the error of unpacking begins; NULL: cannot be built at all */
};

#define SET(member, value) offsetof(union wire_any, member), sizeof(((union wire_any *)0)->member), (value)

static const struct struct_case struct_cases[] = {
    { "request_kind_0", "status_min", SET(request.kind, 0), NULL },
    { "request_kind_14", "status_min", SET(request.kind, 14), NULL },
    { "version_0", "attach_min", SET(request.as.attach.version_min, 0), "Attach.version_min is 0" },
    { "version_order", "attach_max", SET(request.as.attach.version_max, 3),
      "Attach.version_max is 3, less than version_min 4294967295" },
    { "name_empty", "attach_max", SET(request.as.attach.name[0], 0), "Attach.name is \"\"; it must be 1..63 of" },
    { "name_slash", "attach_max", SET(request.as.attach.name[2], '/'), "Attach.name is \"Aa/x" },
    { "name_newline", "attach_max", SET(request.as.attach.name[2], '\n'), "Attach.name is \"Aa\\x0ax" },
    { "name_escape", "attach_max", SET(request.as.attach.name[0], 0x1b), "Attach.name is \"\\x1ba" },
    { "name_high", "attach_max", SET(request.as.attach.name[0], 0xff), "Attach.name is \"\\xffa" },
    { "name_dot", "attach_min", SET(request.as.attach.name[0], '.'), "Attach.name is \".\"; it must" },
    { "name_unterminated", "attach_max", SET(request.as.attach.name[63], 'x'), NULL },
    { "weight_0", "attach_max", SET(request.as.attach.weight, 0), "Attach.weight is 0; it must be 1..1000" },
    { "weight_1001", "attach_max", SET(request.as.attach.weight, 1001), "Attach.weight is 1001; it must be 1..1000" },
    { "window_1025", "attach_max", SET(request.as.attach.window, 1025), "Attach.window is 1025; it must be 0..1024" },
    { "endpoints_huge", "attach_min", SET(request.as.attach.n_endpoints, UINT32_MAX), NULL },
    { "endpoint_empty", "attach_max", SET(request.as.attach.endpoints[2][0], 0), "Attach.endpoints[2] is \"\"" },
    { "resume_id_0", "attach_max", SET(request.as.attach.resume.id, 0), "SessionKey.id is 0; it must not be" },
    { "next_id_0", "next_min", SET(request.as.next.session.id, 0), "SessionKey.id is 0" },
    { "detach_id_0", "detach_min", SET(request.as.detach.id, 0), "SessionKey.id is 0" },
    { "settle_0", "settle_min", SET(request.as.settle.n_results, 0), "Settle.results has 0 entries; it must have 1..64" },
    { "settle_lease_0", "settle_max", SET(request.as.settle.results[9].lease_id, 0), "Result.lease_id is 0" },
    { "verdict_0", "settle_max", SET(request.as.settle.results[9].verdict, 0), "Result.verdict is 0; it must be 1..5" },
    { "verdict_6", "settle_max", SET(request.as.settle.results[9].verdict, 6), "Result.verdict is 6; it must be 1..5" },
    { "drain_nobody", "drain_max", SET(request.as.drain.worker[0], 0), "Drain.worker is missing" },
    { "drain_both", "drain_max", SET(request.as.drain.by_generation, 1), "Drain.worker is given together" },
    { "drain_generation", "drain_max", SET(request.as.drain.generation, 1), "Drain.generation is given without" },
    { "drain_name", "drain_max", SET(request.as.drain.worker[0], ' '), "Drain.worker is \" axx" },
    { "share_id_0", "share_min", SET(request.as.share.session.id, 0), "SessionKey.id is 0" },
    { "share_endpoint_empty", "share_min", SET(request.as.share.endpoint[0], 0),
      "Share.endpoint is \"\"; it must be 1..63 of" },
    { "share_endpoint_slash", "share_max", SET(request.as.share.endpoint[2], '/'), "Share.endpoint is \"Aa/x" },
    { "share_index_16", "share_max", SET(request.as.share.index, 16), "Share.index is 16; it must be 0..15" },
    { "connect_id_0", "connect_min", SET(request.as.connect.session.id, 0), "SessionKey.id is 0" },
    { "connect_nowhere", "connect_min", SET(request.as.connect.n_addresses, 0), "Connect must have either host or addresses" },
    { "connect_both", "connect_host_max", SET(request.as.connect.n_addresses, 1), NULL },
    { "connect_host_both", "connect_addresses_max", SET(request.as.connect.host[0], 'h'),
      "Connect must have either host or addresses" },
    { "connect_host_bytes", "connect_host_max", SET(request.as.connect.host[9], 0xff), "Connect.host is not UTF-8" },
    { "connect_port_0", "connect_host_max", SET(request.as.connect.port, 0), "Connect.port is 0; it must be 1..65535" },
    { "connect_port_65536", "connect_host_max", SET(request.as.connect.port, 65536), "Connect.port is 65536; it must be " },
    { "connect_destination_none", "connect_min", SET(request.as.connect.addresses[0].family, 0), NULL },
    { "connect_destinations_huge", "connect_addresses_max", SET(request.as.connect.n_addresses, 17), NULL },
    { "connect_source_scope", "connect_addresses_max", SET(request.as.connect.source.family, SOCKBROKER_IPV4),
      "Address.scope_id is set for an IPv4" },
    { "deadline_0", "connect_min", SET(request.as.connect.deadline_ms, 0), "Connect.deadline_ms is 0; it must be 1..600000" },
    { "deadline_600001", "connect_min", SET(request.as.connect.deadline_ms, 600001),
      "Connect.deadline_ms is 600001; it must be 1..600000" },
    { "deposit_id_0", "deposit_min", SET(request.as.deposit.session.id, 0), "SessionKey.id is 0" },
    { "deposit_name_empty", "deposit_min", SET(request.as.deposit.name[0], 0), "Deposit.name is \"\"; it must be 1..63 of" },
    { "deposit_name_slash", "deposit_max", SET(request.as.deposit.name[2], '/'), "Deposit.name is \"Aa/x" },
    { "lifetime_0", "deposit_min", SET(request.as.deposit.lifetime_ms, 0), "Deposit.lifetime_ms is 0; it must be 1..86400000" },
    { "lifetime_86400001", "deposit_min", SET(request.as.deposit.lifetime_ms, 86400001),
      "Deposit.lifetime_ms is 86400001; it must be 1..86400000" },
    { "state_len_65537", "deposit_max", SET(request.as.deposit.state_len, 65537),
      "Deposit.state_len is 65537; it must be 0..65536" },
    { "uids_huge", "deposit_max", SET(request.as.deposit.n_allow_uids, UINT32_MAX), NULL },
    { "deposit_state_id_0", "deposit_state_min", SET(request.as.deposit_state.session.id, 0), "SessionKey.id is 0" },
    { "deposit_state_grant_0", "deposit_state_min", SET(request.as.deposit_state.grant_id, 0), "DepositState.grant_id is 0" },
    { "offset_65537", "deposit_state_min", SET(request.as.deposit_state.offset, 65537),
      "DepositState.offset is 65537; it must be 0..65536" },
    { "chunk_0", "deposit_state_min", SET(request.as.deposit_state.chunk_len, 0), "DepositState.chunk is empty" },
    { "chunk_8193", "deposit_state_max", SET(request.as.deposit_state.chunk_len, 8193), "DepositState.chunk has 8193 bytes" },
    { "withdraw_id_0", "withdraw_min", SET(request.as.withdraw.session.id, 0), "SessionKey.id is 0" },
    { "withdraw_name_empty", "withdraw_min", SET(request.as.withdraw.name[0], 0), "Withdraw.name is \"\"; it must be 1..63" },
    { "withdraw_name_dot", "withdraw_min", SET(request.as.withdraw.name[0], '.'), "Withdraw.name is \".\"; it must" },
    { "upgrade_relative", "upgrade_max", SET(request.as.upgrade.binary[0], 'x'), "Upgrade.binary is no absolute path" },
    { "upgrade_timeout_99", "upgrade_min", SET(request.as.upgrade.timeout_ms, 99),
      "Upgrade.timeout_ms is 99; it must be 0 or" },
    { "upgrade_timeout_max", "upgrade_max", SET(request.as.upgrade.timeout_ms, SB_UPGRADE_MS_MAX + 1),
      "Upgrade.timeout_ms is" },
    { "read_state_id_0", "read_state_min", SET(request.as.read_state.session.id, 0), "SessionKey.id is 0" },
    { "read_state_grant_0", "read_state_min", SET(request.as.read_state.grant_id, 0), "ReadState.grant_id is 0" },
    { "read_state_offset", "read_state_min", SET(request.as.read_state.offset, 65537),
      "ReadState.offset is 65537; it must be 0..65536" },
    { "hand_id_0", "hand_min", SET(request.as.hand.hello.session_id, 0), "Hello.session_id is 0" },
    { "hand_blob_short", "hand_max", SET(request.as.hand.protocol_info_len, 627),
      "Hand.protocol_info has 627 bytes; it must have 0 or 628" },
    { "hand_layout_0", "hand_max", SET(request.as.hand.protocol_info_layout, 0),
      "Hand.protocol_info_layout is 0; it must be 4 or 8 with" },
    { "hand_layout_8", "hand_min", SET(request.as.hand.protocol_info_layout, 8),
      "Hand.protocol_info_layout is 8; it must be 0 without" },
    { "hand_blob_for_nothing", "hand_max", SET(request.as.hand.hello.grant_id, 0),
      "Hand.protocol_info is there without hello.grant_id" },
    { "request_kind_14", "next_min", SET(request.kind, 14), NULL }, /* between those that are there */
    { "request_kind_19", "next_min", SET(request.kind, 19), NULL },
    { "request_kind_24", "next_min", SET(request.kind, 24), NULL },
    { "reload_group_slash", "reload_max", SET(request.as.reload.group[2], '/'), "Reload.group is \"Aa/x" },
    { "scale_group_empty", "scale_min", SET(request.as.scale.group[0], 0), "Scale.group is \"\"; it must be 1..63" },
    { "scale_wanted_1025", "scale_max", SET(request.as.scale.wanted, 1025), "Scale.wanted is 1025; it must be 0..1024" },
    { "pause_endpoint_empty", "pause_min", SET(request.as.pause.endpoint[0], 0), "Pause.endpoint is \"\"; it must be 1..63" },
    { "reply_kind_19", "told_min", SET(reply.kind, 19), NULL },
    { "reply_kind_22", "told_min", SET(reply.kind, 22), NULL },
    { "outcome_text", "outcome_max", SET(reply.as.outcome.text[7], 0xfe), "Outcome.text is not UTF-8" },
    { "groups_page_name", "groups_page_min", SET(reply.as.groups.groups[0].name[0], 0), "GroupStatus.name is \"\"" },
    { "groups_page_command", "groups_page_max", SET(reply.as.groups.groups[3].command[254], 0xc3),
      "GroupStatus.command is not UTF-8" },
    { "groups_page_failure", "groups_page_max", SET(reply.as.groups.groups[3].failure[0], 0xff),
      "GroupStatus.failure is not UTF-8" },
    { "groups_page_generation_0", "groups_page_min", SET(reply.as.groups.generations[0].generation, 0),
      "GenerationStatus.generation is 0" },
    { "groups_page_generation_group", "groups_page_max", SET(reply.as.groups.generations[7].group[9], ':'),
      "GenerationStatus.group is" },
    { "groups_page_slot_worker", "groups_page_min", SET(reply.as.groups.slots[0].worker[0], 0), "SlotStatus.worker is \"\"" },
    { "groups_page_slot_generation_0", "groups_page_max", SET(reply.as.groups.slots[15].generation, 0),
      "SlotStatus.generation is 0" },
    { "groups_page_groups_huge", "groups_page_max", SET(reply.as.groups.n_groups, SB_PAGE_GROUPS + 1), NULL },
    { "groups_page_generations_huge", "groups_page_max", SET(reply.as.groups.n_generations, SB_PAGE_GENERATIONS + 1), NULL },
    { "groups_page_slots_huge", "groups_page_max", SET(reply.as.groups.n_slots, SB_PAGE_SLOTS + 1), NULL },
    { "reply_kind_0", "told_min", SET(reply.kind, 0), NULL },
    { "reply_kind_10", "told_min", SET(reply.kind, 10), NULL },
    { "handed_unknown", "handed_min", SET(reply.as.handed.status, SOCKBROKER_STATUS_COUNT), "Handed.status is 22" },
    { "handed_text", "handed_max", SET(reply.as.handed.text[9], 0xff), "Handed.text is not UTF-8" },
    { "handed_both", "handed_max", SET(reply.as.handed.status, 1), "Handed.info is there with a failure" },
    { "handed_layout", "handed_max", SET(reply.as.handed.record.protocol_info_layout, 2),
      "SocketInfo.protocol_info_layout is 2" },
    { "failure_ok", "failure_min", SET(reply.as.failure.status, 0), "Failure.status is 0; it must be 1.." },
    { "failure_unknown", "failure_min", SET(reply.as.failure.status, SOCKBROKER_STATUS_COUNT), "Failure.status is 22" },
    { "failure_text_bare_continuation", "failure_max", SET(reply.as.failure.text[0], 0x80), "Failure.text is not UTF-8" },
    { "failure_text_overlong_2", "failure_max", SET(reply.as.failure.text[0], 0xc1), "Failure.text is not UTF-8" },
    { "failure_text_overlong_3", "failure_max", SET(reply.as.failure.text[3], 0x9f), "Failure.text is not UTF-8" },
    { "failure_text_surrogate", "failure_max", SET(reply.as.failure.text[6], 0xa0), "Failure.text is not UTF-8" },
    { "failure_text_overlong_4", "failure_max", SET(reply.as.failure.text[9], 0x8f), "Failure.text is not UTF-8" },
    { "failure_text_beyond", "failure_max", SET(reply.as.failure.text[13], 0x90), "Failure.text is not UTF-8" },
    { "failure_text_cut", "failure_max", SET(reply.as.failure.text[382], 0xc3), "Failure.text is not UTF-8" },
    { "failure_text_unterminated", "failure_max", SET(reply.as.failure.text[383], 'x'), NULL },
    { "attached_version_0", "attached_min", SET(reply.as.attached.version, 0), "Attached.version is 0" },
    { "attached_id_0", "attached_min", SET(reply.as.attached.session.id, 0), "SessionKey.id is 0" },
    { "carrier_0", "attached_min", SET(reply.as.attached.carrier, 0), "Attached.carrier is 0; it must be 1..2" },
    { "carrier_3", "attached_min", SET(reply.as.attached.carrier, 3), "Attached.carrier is 3; it must be 1..2" },
    { "finish_within_high", "attached_max", SET(reply.as.attached.finish_within_ms, 1001),
      "Attached.finish_within_ms is 1001; it must be 0..1000" },
    { "heartbeat_99", "attached_min", SET(reply.as.attached.heartbeat_ms, 99), "Attached.heartbeat_ms is 99; it must be" },
    { "heartbeat_high", "attached_max", SET(reply.as.attached.heartbeat_ms, 3600001), "Attached.heartbeat_ms is 3600001" },
    { "handoffs_huge", "told_max", SET(reply.as.told.n_handoffs, 13), NULL },
    { "handoff_lease_0", "told_max", SET(reply.as.told.handoffs[11].info.lease_id, 0), "SocketInfo.lease_id is 0" },
    { "kept_huge", "settled_max", SET(reply.as.settled.n_kept, 65), NULL },
    { "page_endpoint_name", "page_min", SET(reply.as.status.endpoints[0].name[0], 0), "EndpointStatus.name is \"\"" },
    { "page_word", "page_max", SET(reply.as.status.endpoints[3].policy[5], 0xff), "EndpointStatus.policy is not UTF-8" },
    { "page_word_long", "page_max", SET(reply.as.status.endpoints[3].mode[23], 'x'), NULL },
    { "page_session_0", "page_max", SET(reply.as.status.sessions[3].id, 0), "SessionStatus.id is 0" },
    { "page_session_name", "page_max", SET(reply.as.status.sessions[3].name[9], ':'), "SessionStatus.name is" },
    { "page_session_endpoint", "page_max", SET(reply.as.status.sessions[0].endpoints[31][9], ':'),
      "SessionStatus.endpoints[31] is" },
    { "page_state", "page_max", SET(reply.as.status.broker.state[0], 0xff), "BrokerStatus.state is not UTF-8" },
    { "page_protocol", "page_max", SET(reply.as.status.endpoints[3].protocol[0], 0xff),
      "EndpointStatus.protocol is not UTF-8" },
    { "page_deposit_name", "page_min", SET(reply.as.status.deposits[0].name[0], 0), "DepositStatus.name is \"\"" },
    { "page_deposit_owner", "page_min", SET(reply.as.status.deposits[0].owner[0], 0), "DepositStatus.owner is \"\"" },
    { "page_deposit_kind", "page_max", SET(reply.as.status.deposits[3].kind[0], 0xff), "DepositStatus.kind is not UTF-8" },
    { "page_deposit_state_len", "page_min", SET(reply.as.status.deposits[0].state_len, 65537),
      "DepositStatus.state_len is 65537; it must be 0..65536" },
    { "page_deposit_taken_by", "page_max", SET(reply.as.status.deposits[3].taken_by[9], ' '), "DepositStatus.taken_by is" },
    { "page_deposits_huge", "page_max", SET(reply.as.status.n_deposits, SB_PAGE_DEPOSITS + 1), NULL },
    { "granted_unknown", "granted_refused", SET(reply.as.granted.status, SOCKBROKER_STATUS_COUNT),
      "Granted.status is 22; it must be 0.." },
    { "granted_text", "granted_failed_max", SET(reply.as.granted.text[7], 0xfe), "Granted.text is not UTF-8" },
    { "granted_id_0", "granted_min", SET(reply.as.granted.grant_id, 0), "Granted.grant_id is 0 without a failure" },
    { "granted_failure_with_info", "granted_listening", SET(reply.as.granted.status, SOCKBROKER_REFUSED),
      "Granted.info is there with a failure" },
    { "granted_record_lease_0", "granted_max", SET(reply.as.granted.record.info.lease_id, 0), "SocketInfo.lease_id is 0" },
    { "granted_stream_alone", "granted_listening", SET(reply.as.granted.record.info.listening, 0),
      "SocketInfo.peer is missing" },
    { "granted_sockets_17", "granted_max", SET(reply.as.granted.n_sockets, 17), "Granted.n_sockets is 17; it must be 0..16" },
    { "granted_state_len", "granted_max", SET(reply.as.granted.state_len, 65537),
      "Granted.state_len is 65537; it must be 0..65536" },
    { "granted_attempts_huge", "granted_max", SET(reply.as.granted.n_attempts, 17), NULL },
    { "attempt_destination_none", "granted_max", SET(reply.as.granted.attempts[15].destination.family, 0), NULL },
    { "attempt_unknown", "granted_outbound", SET(reply.as.granted.attempts[0].status, SOCKBROKER_STATUS_COUNT),
      "Attempt.status is 22; it must be 0.." },
    { "attempt_text", "granted_max", SET(reply.as.granted.attempts[15].text[94], 0xc3), "Attempt.text is not UTF-8" },
    { "state_8193", "state_max", SET(reply.as.state.chunk_len, 8193), "State.chunk has 8193 bytes; it must have 0..8192" },
    { "hello_id_0", "hello_min", SET(hello.session_id, 0), "Hello.session_id is 0" },
    { "welcome_unknown", "welcome_min", SET(welcome.status, SOCKBROKER_STATUS_COUNT), "Welcome.status is 22; it must be 0.." },
    { "welcome_text", "welcome_max", SET(welcome.text[7], 0xfe), "Welcome.text is not UTF-8" },
    { "delivery_kind_5", "info_min", SET(delivery.kind, 5), NULL },
    { "delivery_ring_0", "ring_max", SET(delivery.number, 0), "Delivery.ring is 0" },
    { "delivery_lease_0", "lease_min", SET(delivery.number, 0), "Delivery.lease_id is 0" },
    { "delivery_probe_0", "probe_max", SET(delivery.number, 0), "Delivery.probe is 0" },
    { "delivery_numbers_differ", "info_min", SET(delivery.number, 2), NULL },
    { "socket_family_5", "info_min", SET(delivery.record.info.socket_family, 5), "SocketInfo.socket_family is 5; it must" },
    { "socket_type_0", "info_min", SET(delivery.record.info.type, 0), "SocketInfo.type is 0; it must be 1..2" },
    { "socket_type_3", "info_min", SET(delivery.record.info.type, 3), "SocketInfo.type is 3; it must be 1..2" },
    { "protocol_256", "info_min", SET(delivery.record.info.protocol, 256), "SocketInfo.protocol is 256; it must be 0..255" },
    { "stream_without_peer", "info_min", SET(delivery.record.info.type, 1), "SocketInfo.peer is missing" },
    { "listening_with_peer", "info_max", SET(delivery.record.info.listening, 1),
      "SocketInfo.listening is set for a socket that cannot listen" },
    { "listening_datagram", "info_min", SET(delivery.record.info.listening, 1),
      "SocketInfo.listening is set for a socket that cannot listen" },
    { "peer_family_5", "info_max", SET(delivery.record.info.peer.family, 5), NULL },
    { "local_none", "info_max", SET(delivery.record.info.local.family, 0), NULL },
    { "ipv4_with_scope", "info_min", SET(delivery.record.info.local.scope_id, 1), "Address.scope_id is set for an IPv4" },
    { "endpoint_slash", "info_max", SET(delivery.record.info.endpoint[2], '/'), "SocketInfo.endpoint is \"Aa/x" },
    { "protocol_info_627", "info_max", SET(delivery.record.protocol_info_len, 627),
      "SocketInfo.protocol_info has 627 bytes; it must have 0 or 628" },
    { "protocol_info_629", "info_max", SET(delivery.record.protocol_info_len, 629), NULL },
    { "layout_5", "info_max", SET(delivery.record.protocol_info_layout, 5), "SocketInfo.protocol_info_layout is 5; it must" },
    { "layout_without_info", "info_min", SET(delivery.record.protocol_info_layout, 8),
      "SocketInfo.protocol_info_layout is 8; it must be 0 without" },
    { "report_results_huge", "report_max", SET(report.n_results, UINT32_MAX), NULL },
    { "report_lease_0", "report_max", SET(report.results[63].lease_id, 0), "Result.lease_id is 0" },
};

#define N_STRUCT_CASES SB_WIRE_COUNT(struct_cases)

/* Packs whatever the struct says, right or wrong. */
static void pack_unchecked(const struct sb_wire_message *table, const union wire_any *m, struct bytes *b)
{
    static _Alignas(SB_ARENA_ALIGN) unsigned char memory[SB_WIRE_MESSAGE_SCRATCH];
    struct sb_arena arena;
    ProtobufCMessage *message;

    sb_arena_init(&arena, memory, sizeof(memory));
    message = sb_wire_build(table, m, &arena);
    assert_non_null(message);
    b->len = protobuf_c_message_pack(message, b->at);
}

static void build_struct(const struct struct_case *c, union wire_any *m)
{
    make(sample_named(c->sample), m);
    sb_wire_store((char *)m + c->at, c->size, c->value);
}

/* ---- tests ---- */

static struct bytes message;

static void expect_refused(const char *name, const struct wire_kind *kind, const char *text)
{
    struct sockbroker_error error;
    enum wire_verdict verdict = wire_try(kind, message.at, message.len, &error);

    if (verdict != WIRE_REFUSED)
        fail_msg("%s: verdict %d, should be refused", name, (int)verdict);
    if (text && strncmp(error.text, text, strlen(text)) != 0)
        fail_msg("%s: \"%s\" should begin with \"%s\"", name, error.text, text);
}

static void every_message_comes_back_as_it_was(void **state)
{
    static union wire_any sent;
    static union wire_any got;
    struct sockbroker_error error;

    (void)state;
    for (size_t i = 0; i < N_SAMPLES; i++) {
        const struct wire_kind *kind = kind_of(&samples[i]);

        make(&samples[i], &sent);
        memset(&got, 0, sizeof(got));
        pack_sample(&samples[i], &message);
        assert_true(message.len <= kind->table->packed_max);
        if (kind->unpack(message.at, message.len, &got, &error))
            fail_msg("%s: %s", samples[i].name, error.text);
        assert_memory_equal(&sent, &got, sizeof(sent));
    }
}

static void too_small_a_buffer_is_refused(void **state)
{
    static union wire_any m;

    (void)state;
    for (size_t i = 0; i < N_SAMPLES; i++) {
        size_t len = 7;

        make(&samples[i], &m);
        pack_sample(&samples[i], &message);
        if (message.len == 0)
            continue;
        assert_int_equal(kind_of(&samples[i])->pack(&m, message.at, message.len - 1, &len), SOCKBROKER_INVALID);
        assert_int_equal(len, 7);
        assert_int_equal(kind_of(&samples[i])->pack(&m, message.at, message.len, &len), SOCKBROKER_OK);
        assert_int_equal(len, message.len);
    }
}

static void unpacking_writes_what_was_said_and_no_more(void **state)
{
    static union wire_any got;

    (void)state;
    memset(&got, 0x5a, sizeof(got));
    pack_sample(sample_named("info_min"), &message);
    assert_int_equal(sb_wire_unpack_delivery(message.at, message.len, &got.delivery, NULL), SOCKBROKER_OK);
    assert_int_equal(got.delivery.number, 1);
    assert_int_equal(got.delivery.record.info.peer.family, SOCKBROKER_FAMILY_NONE);
    assert_int_equal(got.delivery.record.info.peer.port, 0);
    assert_int_equal(got.delivery.record.info.local.ip[15], 0);
    assert_string_equal(got.delivery.record.info.endpoint, "w");
    assert_int_equal(got.delivery.record.protocol_info_len, 0);
    assert_int_equal(got.delivery.record.protocol_info[0], 0x5a);
}

static void empty_message_needs_no_address(void **state)
{
    static union wire_any got;

    (void)state;
    assert_int_equal(sb_wire_unpack_report(NULL, 0, &got.report, NULL), SOCKBROKER_OK);
    assert_int_equal(sb_wire_unpack_request(NULL, 0, &got.request, NULL), SOCKBROKER_BAD_MESSAGE);
}

static void mapped_address_is_refused(void **state)
{
    static union wire_any m;

    (void)state;
    make(sample_named("info_max"), &m);
    memcpy(m.delivery.record.info.peer.ip, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\1", 16);
    assert_int_equal(sb_wire_pack_delivery(&m.delivery, message.at, sizeof(message.at), &message.len), SOCKBROKER_INVALID);
    pack_unchecked(&sb_wire_delivery, &m, &message);
    expect_refused("mapped", &wire_kinds[DELIVERY], "Address.ip is an IPv4-mapped IPv6 address");
}

static void same_endpoint_twice_is_refused(void **state)
{
    static union wire_any m;

    (void)state;
    make(sample_named("attach_max"), &m);
    memcpy(m.request.as.attach.endpoints[31], m.request.as.attach.endpoints[4], SOCKBROKER_NAME_MAX + 1);
    assert_int_equal(sb_wire_pack_request(&m.request, message.at, sizeof(message.at), &message.len), SOCKBROKER_INVALID);
    pack_unchecked(&sb_wire_request, &m, &message);
    expect_refused("twice", &wire_kinds[REQUEST], "Attach.endpoints[31] is \"Eaxx");
}

static void every_broken_rule_is_named(void **state)
{
    static union wire_any m;

    (void)state;
    for (size_t i = 0; i < N_STRUCT_CASES; i++) {
        const struct struct_case *c = &struct_cases[i];
        const struct wire_kind *kind = kind_of(sample_named(c->sample));

        build_struct(c, &m);
        if (kind->pack(&m, message.at, sizeof(message.at), &message.len) != SOCKBROKER_INVALID)
            fail_msg("%s packs", c->name);
        if (!c->text)
            continue;
        pack_unchecked(kind->table, &m, &message);
        expect_refused(c->name, kind, c->text);
    }
}

static void bytes_are_judged_as_protobuf_says(void **state)
{
    struct sockbroker_error error;

    (void)state;
    for (size_t i = 0; i < N_RAW_CASES; i++) {
        const struct raw_case *c = &raw_cases[i];

        build_raw(c, &message);
        if (c->text)
            expect_refused(c->name, &wire_kinds[c->kind], c->text);
        else if (wire_try(&wire_kinds[c->kind], message.at, message.len, &error) != WIRE_ACCEPTED)
            fail_msg("%s: %s", c->name, error.text);
    }
}

static void the_last_of_two_values_counts(void **state)
{
    static const char added[] = "\x28\7\x1a\1x"; /* weight, name */
    static const struct raw_case both = { "both", REQUEST, "attach_max", ADD(added), 0, NULL };
    static struct sb_request request;

    (void)state;
    build_raw(&both, &message);
    assert_int_equal(sb_wire_unpack_request(message.at, message.len, &request, NULL), SOCKBROKER_OK);
    assert_int_equal(request.as.attach.weight, 7);
    assert_string_equal(request.as.attach.name, "x");
}

/* In memory of exactly its size, so that a sanitizer sees a byte read too far. */
static void try_exactly(const struct sample *sample, const uint8_t *data, size_t len, const char *how, size_t where)
{
    struct sockbroker_error error;
    uint8_t *exact = malloc(len ? len : 1);
    enum wire_verdict verdict;

    assert_non_null(exact);
    memcpy(exact, data, len);
    verdict = wire_try(kind_of(sample), exact, len, &error);
    free(exact);
    if (verdict == WIRE_BROKEN)
        fail_msg("%s, %s %zu: accepted, yet does not come back", sample->name, how, where);
}

static void every_truncation_is_survived(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_SAMPLES; i++) {
        pack_sample(&samples[i], &message);
        size_t step = message.len <= FLIP_ALL_MAX ? 1 : 13;
        for (size_t len = 0; len < message.len; len += step)
            try_exactly(&samples[i], message.at, len, "cut to", len);
    }
}

static void every_flipped_bit_is_survived(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_SAMPLES; i++) {
        size_t step;

        pack_sample(&samples[i], &message);
        step = message.len <= FLIP_ALL_MAX ? 1 : 31;
        for (size_t bit = 0; bit < message.len * 8; bit += step) {
            message.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
            try_exactly(&samples[i], message.at, message.len, "flipped bit", bit);
            message.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
}

/* The least memory that does, found by giving ever more; `with` must fail cleanly below it. */
static size_t least_memory(bool (*with)(const struct sample *sample, struct sb_arena *arena), const struct sample *sample)
{
    for (size_t size = 0; size <= SB_WIRE_MESSAGE_SCRATCH; size += SB_ARENA_ALIGN) {
        struct sb_arena arena;
        void *memory = malloc(size ? size : 1);
        bool is_enough;

        assert_non_null(memory);
        sb_arena_init(&arena, memory, size);
        is_enough = with(sample, &arena);
        free(memory);
        assert_true(is_enough != arena.is_exhausted);
        if (is_enough)
            return size;
    }
    fail_msg("%s does not fit", sample->name);
    return 0;
}

static bool unpacks_with(const struct sample *sample, struct sb_arena *arena)
{
    return protobuf_c_message_unpack(kind_of(sample)->table->descriptor, &arena->allocator, message.len, message.at);
}

static bool builds_with(const struct sample *sample, struct sb_arena *arena)
{
    static union wire_any m;

    make(sample, &m);
    return sb_wire_build(kind_of(sample)->table, &m, arena);
}

static void too_little_memory_is_a_clean_failure(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_SAMPLES; i++) {
        bool is_packet = kind_of(&samples[i])->table->packed_max == SB_PACKET_MAX;
        size_t scratch = is_packet ? SB_WIRE_PACKET_SCRATCH : SB_WIRE_MESSAGE_SCRATCH;

        pack_sample(&samples[i], &message);
        assert_true(least_memory(unpacks_with, &samples[i]) <= scratch / 2);
        assert_true(least_memory(builds_with, &samples[i]) <= scratch / 2);
    }
}

/* Every row. Our enums are the numbers of the fields of a oneof, so a row must be found by its number. */
static void rows_match_fields(const struct sb_wire_message *table)
{
    assert_int_equal(table->n_fields, table->descriptor->n_fields);
    for (size_t i = 0; i < table->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &table->descriptor->fields[i];

        assert_int_equal(sb_wire_row(table, field->id), i);
        assert_true(table->is_oneof || field->id == i + 1);
        assert_int_equal(field->type == PROTOBUF_C_TYPE_MESSAGE, table->fields[i].child != NULL);
        if (!table->fields[i].child)
            continue;
        assert_ptr_equal(field->descriptor, table->fields[i].child->descriptor);
        rows_match_fields(table->fields[i].child);
    }
}

static void tables_match_the_proto_file(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_WIRE_KINDS; i++)
        rows_match_fields(wire_kinds[i].table);
}

static void names_are_judged(void **state)
{
    static const char longest[] = "0123456789012345678901234567890123456789012345678901234567890123";
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";

    (void)state;
    assert_true(sb_name_is_valid("a", 1));
    assert_true(sb_name_is_valid("...", 3));
    assert_true(sb_name_is_valid(".a", 2));
    assert_true(sb_name_is_valid("AZaz09._-", 9));
    assert_true(sb_name_is_valid(longest, 63));
    assert_false(sb_name_is_valid(longest, 64));
    assert_false(sb_name_is_valid("", 0));
    assert_false(sb_name_is_valid(".", 1));
    assert_false(sb_name_is_valid("..", 2));
    assert_false(sb_name_is_valid("a\0", 2));
    for (int c = 0; c < 256; c++)
        assert_int_equal(sb_name_is_valid((const char[]){ (char)c }, 1), c != 0 && strchr(allowed, c) != NULL);
}

/* ---- files ---- */

static void file_name(char *out, size_t size, bool is_accepted, int kind, const char *name)
{
    size_t folder_len = strlen(__FILE__) - strlen("unit/test_wire.c");

    format_text(out, size, "%.*sdata/wire/%s_%s_%s", (int)folder_len, __FILE__, is_accepted ? "accept" : "reject",
                wire_kinds[kind].name, name);
}

static void write_file(const char *path, int kind)
{
    FILE *file = fopen(path, "wb");

    if (!file || fputc(kind, file) == EOF || fwrite(message.at, 1, message.len, file) != message.len || fclose(file))
        fail_msg("cannot write %s", path);
}

static void check_file(const char *path, bool is_accepted)
{
    static uint8_t data[FILE_MAX + 1];
    struct sockbroker_error error;
    FILE *file = fopen(path, "rb");
    size_t len;

    if (!file)
        fail_msg("cannot read %s", path);
    len = fread(data, 1, sizeof(data), file);
    fclose(file);
    assert_true(len > 0 && data[0] < N_WIRE_KINDS);
    if (wire_try(&wire_kinds[data[0]], data + 1, len - 1, &error) != (is_accepted ? WIRE_ACCEPTED : WIRE_REFUSED))
        fail_msg("%s is judged wrongly: %s", path, error.text);
}

/* `message` holds the case. */
static void visit(bool write, bool is_accepted, int kind, const char *name)
{
    char path[1024];

    if (message.len > FILE_MAX)
        return;
    file_name(path, sizeof(path), is_accepted, kind, name);
    if (write)
        write_file(path, kind);
    else
        check_file(path, is_accepted);
}

static void visit_files(bool write)
{
    static union wire_any m;

    for (size_t i = 0; i < N_SAMPLES; i++) {
        pack_sample(&samples[i], &message);
        visit(write, true, samples[i].kind, samples[i].name);
    }
    for (size_t i = 0; i < N_RAW_CASES; i++) {
        build_raw(&raw_cases[i], &message);
        visit(write, !raw_cases[i].text, raw_cases[i].kind, raw_cases[i].name);
    }
    for (size_t i = 0; i < N_STRUCT_CASES; i++) {
        const struct sample *sample = sample_named(struct_cases[i].sample);

        if (!struct_cases[i].text)
            continue;
        build_struct(&struct_cases[i], &m);
        pack_unchecked(kind_of(sample)->table, &m, &message);
        visit(write, false, sample->kind, struct_cases[i].name);
    }
}

static void kept_files_are_judged_as_before(void **state)
{
    (void)state;
    visit_files(false);
}

static void write_files(void **state)
{
    (void)state;
    visit_files(true);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest writing[] = { cmocka_unit_test(write_files) };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_comes_back_as_it_was),
        cmocka_unit_test(too_small_a_buffer_is_refused),
        cmocka_unit_test(unpacking_writes_what_was_said_and_no_more),
        cmocka_unit_test(empty_message_needs_no_address),
        cmocka_unit_test(mapped_address_is_refused),
        cmocka_unit_test(same_endpoint_twice_is_refused),
        cmocka_unit_test(every_broken_rule_is_named),
        cmocka_unit_test(bytes_are_judged_as_protobuf_says),
        cmocka_unit_test(the_last_of_two_values_counts),
        cmocka_unit_test(every_truncation_is_survived),
        cmocka_unit_test(every_flipped_bit_is_survived),
        cmocka_unit_test(too_little_memory_is_a_clean_failure),
        cmocka_unit_test(tables_match_the_proto_file),
        cmocka_unit_test(names_are_judged),
        cmocka_unit_test(kept_files_are_judged_as_before),
    };

    if (argc == 2 && strcmp(argv[1], "--write") == 0)
        return cmocka_run_group_tests(writing, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
