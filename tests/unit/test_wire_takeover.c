/* The messages of a takeover there and back, and every way to break one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "proto/wire_slot.h"
#include "proto/wire_takeover.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define FLIP_ALL_MAX 1024u /* beyond it every 31st bit: longer messages only repeat their fields */

static struct sb_takeover first, second;
static uint8_t packed[SB_MESSAGE_MAX], again[SB_MESSAGE_MAX];

/* ---- samples ---- */

static void name_max(char *out)
{
    memset(out, 'n', SOCKBROKER_NAME_MAX);
}

static void address_max(struct sockbroker_addr *a)
{
    a->family = SOCKBROKER_IPV6;
    a->port = UINT16_MAX;
    a->scope_id = UINT32_MAX;
    memset(a->ip, 0xfe, sizeof(a->ip));
}

static void record_max(struct sb_record *r)
{
    r->info.lease_id = r->info.accept_time_ns = UINT64_MAX;
    r->info.socket_family = SOCKBROKER_IPV6;
    r->info.type = SOCKBROKER_STREAM;
    r->info.protocol = 6;
    r->info.nonblocking = true;
    address_max(&r->info.peer);
    address_max(&r->info.local);
    name_max(r->info.endpoint);
}

static void hello_old(struct sb_takeover *m)
{
    m->kind = SB_TAKEOVER_HELLO;
    m->as.hello.version = UINT32_MAX;
    memset(m->as.hello.release, 'r', SB_WORD_MAX);
    m->as.hello.pid = UINT32_MAX;
    memset(m->as.hello.dir, '/', SB_TAKEOVER_DIR_MAX);
    m->as.hello.n_records = m->as.hello.soft_limit = m->as.hello.hard_limit = UINT64_MAX;
}

static void hello_with_keeper(struct sb_takeover *m)
{
    hello_old(m);
    m->as.hello.has_keeper = true;
}

static void hello_new(struct sb_takeover *m)
{
    m->kind = SB_TAKEOVER_HELLO;
    m->as.hello.version = 1;
}

static void socket_max(struct sb_takeover *m)
{
    m->kind = SB_TAKEOVER_SOCKET;
    name_max(m->as.socket.endpoint);
    m->as.socket.is_shard = true;
    m->as.socket.slot = SB_TAKEOVER_SLOTS_MAX - 1;
}

static void begin_max(struct sb_takeover *m)
{
    m->kind = SB_TAKEOVER_BEGIN;
    memset(&m->as.begin, 0xff, sizeof(m->as.begin));
}

static void begin_min(struct sb_takeover *m)
{
    m->kind = SB_TAKEOVER_BEGIN;
}

static void endpoint_max(struct sb_takeover *m)
{
    struct sb_takeover_endpoint *e = &m->as.endpoint;

    m->kind = SB_TAKEOVER_ENDPOINT;
    name_max(e->name);
    memset(e->counts, 0xff, sizeof(e->counts));
    memset(&e->accept_to_lease, 0xff, sizeof(e->accept_to_lease));
    memset(&e->lease_to_ack, 0xff, sizeof(e->lease_to_ack));
    e->policy = 4;
    e->mode = 3;
    e->carrier = SB_CARRIER_MESSAGE;
    e->window = SB_WINDOW_MAX;
    e->overload = 2;
    e->withdraw_after_ms = e->ack_timeout_ms = e->hold_ms = e->hold_max = UINT32_MAX;
    e->kill_stuck = e->is_closing = e->paused = true;
    e->resumed_ms = UINT64_MAX;
}

static void shard_max(struct sb_takeover *m)
{
    struct sb_takeover_shard *s = &m->as.shard;

    m->kind = SB_TAKEOVER_SHARD;
    name_max(s->endpoint);
    address_max(&s->address);
    s->n_slots = s->n_weights = s->n_steered = SB_TAKEOVER_SLOTS_MAX;
    memset(s->positions, 0xff, sizeof(s->positions));
    memset(s->weights, 0xff, sizeof(s->weights));
    memset(s->steered, 0xff, sizeof(s->steered));
    s->policy = 3;
    s->fallback = SB_TAKEOVER_SLOTS_MAX - 1;
    s->unsure = true;
}

static void shard_min(struct sb_takeover *m)
{
    struct sb_takeover_shard *s = &m->as.shard;

    m->kind = SB_TAKEOVER_SHARD;
    s->endpoint[0] = 'w';
    s->address.family = SOCKBROKER_IPV4;
    s->n_slots = s->n_weights = s->n_steered = 1;
    s->policy = 1;
}

static void session_min(struct sb_takeover *m)
{
    struct sb_takeover_session *s = &m->as.session;

    m->kind = SB_TAKEOVER_SESSION;
    s->key.id = 1;
    s->name[0] = 'w';
    s->weight = 1;
    s->carrier = SB_CARRIER_DIRECT;
    s->state = 1;
}

static void session_max(struct sb_takeover *m)
{
    struct sb_takeover_session *s = &m->as.session;

    m->kind = SB_TAKEOVER_SESSION;
    memset(s, 0xff, offsetof(struct sb_takeover_session, token_spent));
    s->token_spent = s->has_pair = s->has_ring = s->uses_ring = s->blocked = s->kill_sent = true;
    name_max(s->name);
    s->generation = s->n_open = s->n_served = s->probe = s->heard_ms = s->attached_ms = s->draining_ms = UINT64_MAX;
    s->weight = SB_WEIGHT_MAX;
    s->window = SB_WINDOW_MAX;
    s->carrier = SB_CARRIER_MESSAGE;
    s->state = 6;
    s->pid = s->uid = s->gid = s->ring_taken = s->n_acked = UINT32_MAX;
    memset(s->acked, 0xff, sizeof(s->acked));
    s->n_places = SB_ENDPOINTS_PER_WORKER_MAX;
    for (uint32_t i = 0; i < s->n_places; i++) {
        name_max(s->places[i].endpoint);
        s->places[i].n_open = UINT64_MAX;
    }
}

static void holding_max(struct sb_takeover *m)
{
    struct sb_takeover_holding *h = &m->as.holding;

    m->kind = SB_TAKEOVER_HOLDING;
    h->session_id = UINT64_MAX;
    name_max(h->endpoint);
    address_max(&h->address);
    h->is_shard = h->has_it = true;
    h->slot = SB_TAKEOVER_SLOTS_MAX - 1;
}

static void connections_max(struct sb_takeover *m)
{
    struct sb_takeover_connections *c = &m->as.connections;

    m->kind = SB_TAKEOVER_CONNECTIONS;
    c->n = SB_TAKEOVER_CONNECTIONS_MAX;
    for (uint32_t i = 0; i < c->n; i++) {
        c->at[i].session_id = c->at[i].lease_id = c->at[i].leased_ns = UINT64_MAX;
        record_max(&c->at[i].record);
    }
}

static void connection_held(struct sb_takeover *m)
{
    m->kind = SB_TAKEOVER_CONNECTIONS;
    m->as.connections.n = 1;
    record_max(&m->as.connections.at[0].record);
}

static void deposit_max(struct sb_takeover *m)
{
    struct sb_takeover_deposit *d = &m->as.deposit;

    m->kind = SB_TAKEOVER_DEPOSIT;
    name_max(d->name);
    name_max(d->owner);
    d->lifetime_ms = SB_LIFETIME_MS_MAX;
    d->state_len = SB_STATE_MAX;
    d->n_allow_uids = SB_ALLOW_UIDS_MAX;
    memset(d->allow_uids, 0xff, sizeof(d->allow_uids));
    d->uid = UINT32_MAX;
    d->since_ms = UINT64_MAX;
    record_max(&d->record);
}

static void state_max(struct sb_takeover *m)
{
    m->kind = SB_TAKEOVER_STATE;
    m->as.state.offset = SB_STATE_MAX;
    m->as.state.chunk_len = SB_CHUNK_MAX;
    memset(m->as.state.chunk, 0xff, SB_CHUNK_MAX);
}

static void group_max(struct sb_takeover *m)
{
    struct sb_takeover_group *g = &m->as.group;

    m->kind = SB_TAKEOVER_GROUP;
    name_max(g->name);
    g->wanted = g->configured = SB_GROUP_WORKERS_MAX;
    g->last_number = UINT64_MAX;
    memset(g->failure, 'x', SB_FAILURE_TEXT_MAX);
    g->leaves = true;
}

static void generation_max(struct sb_takeover *m)
{
    m->kind = SB_TAKEOVER_GENERATION;
    m->as.generation = (struct sb_takeover_generation){ .number = UINT64_MAX, .serves = true, .since_ms = UINT64_MAX };
}

static void slot_min(struct sb_takeover *m)
{
    m->kind = SB_TAKEOVER_SLOT;
    m->as.slot.number = m->as.slot.state = 1;
}

static void slot_max(struct sb_takeover *m)
{
    struct sb_takeover_slot *s = &m->as.slot;

    m->kind = SB_TAKEOVER_SLOT;
    s->number = s->restarts = s->pid = s->delay_ms = UINT32_MAX;
    s->state = 8;
    s->since_ms = s->start_at_ms = UINT64_MAX;
    s->leaves = s->drained_by_hand = true;
    s->n_restarted = SB_TAKEOVER_RESTARTS;
    memset(s->restarted_ms, 0xff, sizeof(s->restarted_ms));
}

static void kept_max(struct sb_takeover *m)
{
    m->kind = SB_TAKEOVER_KEPT;
    memset(m->as.kept.label, 'l', SB_TAKEOVER_LABEL_MAX);
    m->as.kept.number = UINT64_MAX;
}

static void step_ready(struct sb_takeover *m)
{
    m->kind = SB_TAKEOVER_STEP;
    m->as.step = SB_STEP_READY;
}

static void step_left(struct sb_takeover *m)
{
    m->kind = SB_TAKEOVER_STEP;
    m->as.step = SB_STEP_LEFT;
}

static void failed_max(struct sb_takeover *m)
{
    m->kind = SB_TAKEOVER_FAILED;
    m->as.failed.status = SOCKBROKER_SYSTEM;
    memset(m->as.failed.text, 'x', SB_FAILURE_TEXT_MAX);
}

static const struct sample {
    void (*make)(struct sb_takeover *m);
    uint32_t n_descriptors;
} samples[] = {
    { hello_old, 1 },      { hello_new, 0 },       { socket_max, 1 },      { begin_min, 0 },         { begin_max, 0 },
    { endpoint_max, 0 },   { shard_min, 0 },       { shard_max, 0 },       { session_min, 0 },       { session_max, 4 },
    { holding_max, 0 },    { connections_max, 4 }, { connection_held, 1 }, { deposit_max, 1 },       { state_max, 0 },
    { step_ready, 0 },     { step_left, 0 },       { failed_max, 0 },      { hello_with_keeper, 2 }, { group_max, 0 },
    { generation_max, 0 }, { slot_min, 0 },        { slot_max, 1 },        { kept_max, 0 },
};

static void make(const struct sample *s, struct sb_takeover *m)
{
    memset(m, 0, sizeof(*m));
    s->make(m);
}

static size_t pack_sample(const struct sample *s)
{
    size_t len = 0;

    make(s, &first);
    assert_int_equal(sb_wire_pack_takeover(&first, packed, sizeof(packed), &len), SOCKBROKER_OK);
    return len;
}

/* ---- tests ---- */

static void every_message_comes_back_as_it_was(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(samples); i++) {
        size_t len = pack_sample(&samples[i]);

        memset(&second, 0, sizeof(second));
        assert_int_equal(sb_wire_unpack_takeover(packed, len, &second, NULL), SOCKBROKER_OK);
        assert_memory_equal(&first, &second, sizeof(first));
        assert_int_equal(sb_takeover_descriptors(&second), samples[i].n_descriptors);
    }
}

/* What is taken can be packed, and is the same again; what is refused leaves nothing. */
static bool is_judged_well(size_t len)
{
    static const struct sb_takeover none;
    struct sockbroker_error error = { SOCKBROKER_OK, 0, "" };
    size_t again_len;

    memset(&first, 0, sizeof(first));
    memset(&second, 0, sizeof(second));
    if (sb_wire_unpack_takeover(packed, len, &first, &error))
        return !memcmp(&first, &none, sizeof(none)) && error.status == SOCKBROKER_BAD_MESSAGE && error.text[0];
    return !sb_wire_pack_takeover(&first, again, sizeof(again), &again_len) &&
           !sb_wire_unpack_takeover(again, again_len, &second, NULL) && !memcmp(&first, &second, sizeof(first)) &&
           sb_takeover_descriptors(&first) <= SB_TAKEOVER_DESCRIPTORS_MAX;
}

static void no_truncation_passes_for_the_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(samples); i++) {
        size_t len = pack_sample(&samples[i]);

        for (size_t cut = 0; cut < len; cut++)
            assert_true(is_judged_well(cut));
    }
}

static void no_flipped_bit_breaks_anything(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(samples); i++) {
        size_t len = pack_sample(&samples[i]);

        for (size_t bit = 0; bit < 8 * len; bit += len <= FLIP_ALL_MAX ? 1 : 31) {
            packed[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_true(is_judged_well(len));
            packed[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
}

static void rows_match_fields(const struct sb_wire_message *table)
{
    assert_int_equal(table->n_fields, table->descriptor->n_fields);
    for (size_t i = 0; i < table->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &table->descriptor->fields[i];

        assert_int_equal(field->id, i + 1);
        if (!table->fields[i].child)
            continue;
        assert_ptr_equal(field->descriptor, table->fields[i].child->descriptor);
        rows_match_fields(table->fields[i].child);
    }
}

static void tables_match_the_proto_file(void **state)
{
    (void)state;
    rows_match_fields(&sb_wire_takeover);
}

static void assert_refused(void (*make_it)(struct sb_takeover *), void (*spoil)(struct sb_takeover *))
{
    size_t len;

    memset(&first, 0, sizeof(first));
    make_it(&first);
    spoil(&first);
    assert_int_equal(sb_wire_pack_takeover(&first, packed, sizeof(packed), &len), SOCKBROKER_INVALID);
}

static void ring_without_pair(struct sb_takeover *m)
{
    m->as.session.has_pair = false;
}

static void state_7(struct sb_takeover *m)
{
    m->as.session.state = 7;
}

static void slot_gone(struct sb_takeover *m)
{
    m->as.slot.state = 9;
}

static void generation_0(struct sb_takeover *m)
{
    m->as.generation.number = 0;
}

static void fewer_weights(struct sb_takeover *m)
{
    m->as.shard.n_weights--;
}

static void fallback_beyond(struct sb_takeover *m)
{
    m->as.shard.fallback = m->as.shard.n_slots;
}

static void lease_of_nobody(struct sb_takeover *m)
{
    m->as.connections.at[0].session_id = 0;
}

static void five_connections(struct sb_takeover *m)
{
    m->as.connections.n = 5;
}

static void step_0(struct sb_takeover *m)
{
    m->as.step = 0;
}

static void step_5(struct sb_takeover *m)
{
    m->as.step = 5;
}

static void version_0(struct sb_takeover *m)
{
    m->as.hello.version = 0;
}

static void slot_256(struct sb_takeover *m)
{
    m->as.socket.slot = 256;
}

static void no_name(struct sb_takeover *m)
{
    memset(m->as.endpoint.name, 0, sizeof(m->as.endpoint.name));
}

static void kind_0(struct sb_takeover *m)
{
    m->kind = 0;
}

static void what_breaks_a_rule_is_not_sent(void **state)
{
    (void)state;
    assert_refused(session_max, ring_without_pair);
    assert_refused(session_max, state_7);
    assert_refused(slot_max, slot_gone);
    assert_refused(generation_max, generation_0);
    assert_refused(shard_max, fewer_weights);
    assert_refused(shard_max, fallback_beyond);
    assert_refused(connections_max, lease_of_nobody);
    assert_refused(connections_max, five_connections);
    assert_refused(step_left, step_0);
    assert_refused(step_left, step_5);
    assert_refused(hello_new, version_0);
    assert_refused(socket_max, slot_256);
    assert_refused(endpoint_max, no_name);
    assert_refused(begin_max, kind_0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_comes_back_as_it_was), cmocka_unit_test(tables_match_the_proto_file),
        cmocka_unit_test(no_truncation_passes_for_the_whole), cmocka_unit_test(no_flipped_bit_breaks_anything),
        cmocka_unit_test(what_breaks_a_rule_is_not_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
