/* What steer.h and steer_program.h promise: shares are exact, a client keeps its slot, and the program says what the plan
 * says. The program runs in a small machine of its own here, on packets that are an IP header and two ports. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "broker/steer_program.h"
#include "sockbroker/addr.h"

/* ---- a machine for classic BPF (Documentation/networking/filter.rst): what our programs use of it ---- */

struct packet {
    struct sockbroker_addr source; /* with its port */
    uint32_t random;
};

static uint32_t load_header(const struct packet *p, uint32_t at, unsigned n_bytes)
{
    uint8_t header[44] = { 0 };
    bool ipv6 = p->source.family == SOCKBROKER_IPV6;
    size_t ports = ipv6 ? 40 : 20;
    uint32_t value = 0;

    header[0] = ipv6 ? 0x60 : 0x45;
    memcpy(header + (ipv6 ? 8 : 12), p->source.ip, ipv6 ? 16 : 4);
    header[ports] = (uint8_t)(p->source.port >> 8);
    header[ports + 1] = (uint8_t)p->source.port;
    assert_in_range(at, 0, sizeof(header) - n_bytes);
    while (n_bytes--)
        value = value << 8 | header[at++];
    return value;
}

static uint32_t load(const struct packet *p, uint32_t k, unsigned n_bytes)
{
    if (k == (uint32_t)(SKF_AD_OFF + SKF_AD_RANDOM))
        return p->random;
    return load_header(p, k - (uint32_t)SKF_NET_OFF, n_bytes);
}

static uint32_t n_steps; /* of the last run */

static uint32_t run(const struct sb_steer_program *program, const struct packet *p)
{
    uint32_t a = 0, x = 0, memory[BPF_MEMWORDS] = { 0 };
    size_t at = 0;

    for (n_steps = 0;; n_steps++) {
        assert_in_range(at, 0, program->n - 1);
        struct sock_filter c = program->code[at++];

        switch (c.code) {
        case BPF_RET | BPF_K:
            return c.k;
        case BPF_LD | BPF_W | BPF_ABS:
            a = load(p, c.k, 4);
            break;
        case BPF_LD | BPF_H | BPF_ABS:
            a = load(p, c.k, 2);
            break;
        case BPF_LD | BPF_B | BPF_ABS:
            a = load(p, c.k, 1);
            break;
        case BPF_LDX | BPF_MEM:
            x = memory[c.k];
            break;
        case BPF_ST:
            memory[c.k] = a;
            break;
        case BPF_MISC | BPF_TAX:
            x = a;
            break;
        case BPF_ALU | BPF_MUL | BPF_K:
            a *= c.k;
            break;
        case BPF_ALU | BPF_MOD | BPF_K:
            a %= c.k;
            break;
        case BPF_ALU | BPF_RSH | BPF_K:
            a >>= c.k;
            break;
        case BPF_ALU | BPF_XOR | BPF_X:
            a ^= x;
            break;
        case BPF_JMP | BPF_JA:
            at += c.k;
            break;
        case BPF_JMP | BPF_JEQ | BPF_K:
            at += a == c.k ? c.jt : c.jf;
            break;
        case BPF_JMP | BPF_JGE | BPF_K:
            at += a >= c.k ? c.jt : c.jf;
            break;
        default:
            fail_msg("instruction %zu: %#x", at - 1, c.code);
        }
    }
}

/* ---- plans and programs ---- */

struct steered {
    uint32_t weights[SB_STEER_SLOTS_MAX];
    uint16_t positions[SB_STEER_SLOTS_MAX];
    struct sb_steering how;
    struct sb_steer_plan plan;
    struct sb_steer_program program;
};

static void steer(struct steered *s, enum sb_steer_policy policy, size_t n_slots, const struct sb_steer_probes *probes)
{
    s->how = (struct sb_steering){ policy, s->weights, n_slots, 0 };
    sb_steer_plan_make(&s->how, &s->plan);
    sb_steer_program_make(&s->plan, s->positions, probes, &s->program);
}

/* Position and slot differ, so that one is not taken for the other. */
static void even_weights(struct steered *s, size_t n_slots)
{
    for (size_t i = 0; i < n_slots; i++) {
        s->weights[i] = 1;
        s->positions[i] = (uint16_t)(1000 + n_slots - i);
    }
}

static size_t slot_at(const struct steered *s, uint32_t position)
{
    for (size_t i = 0; i < s->how.n_slots; i++) {
        if (s->positions[i] == position)
            return i;
    }
    fail_msg("position %u belongs to no slot", position);
    return 0;
}

static size_t slot_of(const struct steered *s, const struct packet *p)
{
    return slot_at(s, run(&s->program, p));
}

static struct packet packet_of(const char *ip, uint32_t random)
{
    struct packet p = { .random = random };

    assert_status(SOCKBROKER_OK, sockbroker_addr_parse_ip(ip, &p.source, NULL));
    p.source.port = 4711;
    return p;
}

static struct packet ipv4_client(uint32_t n)
{
    struct packet p = packet_of("10.0.0.0", 0);

    p.source.ip[1] = (uint8_t)(n >> 16);
    p.source.ip[2] = (uint8_t)(n >> 8);
    p.source.ip[3] = (uint8_t)n;
    return p;
}

/* As hosts of one network, and as networks with the same host number: different words of the address change. */
static struct packet ipv6_client(uint32_t n)
{
    struct packet p = packet_of("2001:db8::1", 0);
    unsigned at = n & 1 ? 6 : 14;

    p.source.ip[at] = (uint8_t)(n >> 9);
    p.source.ip[at + 1] = (uint8_t)(n >> 1);
    return p;
}

static struct packet (*const clients[])(uint32_t) = { ipv4_client, ipv6_client };

/* ---- even, weighted ---- */

/* Every number that can be drawn, once: the shares are exact. */
static void assert_shares(struct steered *s, const uint32_t *expected)
{
    uint32_t got[SB_STEER_SLOTS_MAX] = { 0 };
    struct packet p = packet_of("192.0.2.1", 0);

    for (p.random = 0; p.random < s->plan.total; p.random++) {
        size_t slot = slot_of(s, &p);

        got[slot]++;
        assert_int_equal(sb_steer_slot_at(&s->plan, p.random), slot);
    }
    assert_memory_equal(got, expected, s->how.n_slots * sizeof(got[0]));
}

static void even_gives_every_live_slot_the_same(void **state)
{
    static const size_t sizes[] = { 1, 2, 3, 8, 100, 255, 256 };
    static struct steered s;

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(sizes); i++) {
        uint32_t expected[SB_STEER_SLOTS_MAX];

        even_weights(&s, sizes[i]);
        for (size_t slot = 0; slot < sizes[i]; slot++) {
            s.weights[slot] = slot % 3 == 1 ? 0 : 7 * (uint32_t)slot + 1;
            expected[slot] = s.weights[slot] ? 1 : 0;
        }
        steer(&s, SB_STEER_EVEN, sizes[i], NULL);
        assert_shares(&s, expected);
    }
}

static void weighted_gives_each_slot_its_weight(void **state)
{
    static const size_t sizes[] = { 1, 2, 5, 8, 256 };
    static struct steered s;

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(sizes); i++) {
        even_weights(&s, sizes[i]);
        for (size_t slot = 0; slot < sizes[i]; slot++)
            s.weights[slot] = slot % 5 == 3 ? 0 : slot % 7 == 0 ? SB_STEER_WEIGHT_MAX : (uint32_t)slot;
        steer(&s, SB_STEER_WEIGHTED, sizes[i], NULL);
        if (sizes[i] > 1)
            assert_shares(&s, s.weights);
        else
            assert_int_equal(s.program.n, 1);
    }
}

static void a_large_random_number_is_brought_into_range(void **state)
{
    static struct steered s;
    struct packet p = packet_of("192.0.2.1", UINT32_MAX);

    (void)state;
    even_weights(&s, 10);
    steer(&s, SB_STEER_EVEN, 10, NULL);
    assert_int_equal(slot_of(&s, &p), UINT32_MAX % 10);
}

static void without_a_live_slot_everything_goes_to_the_fallback(void **state)
{
    static struct steered s;

    (void)state;
    even_weights(&s, 9);
    memset(s.weights, 0, sizeof(s.weights));
    for (unsigned policy = SB_STEER_EVEN; policy <= SB_STEER_SOURCE_HASH; policy++) {
        struct packet p = packet_of("2001:db8::7", 12345);

        s.how = (struct sb_steering){ policy, s.weights, 9, 5 };
        sb_steer_plan_make(&s.how, &s.plan);
        sb_steer_program_make(&s.plan, s.positions, NULL, &s.program);
        assert_int_equal(slot_of(&s, &p), 5);
        assert_int_equal(sb_steer_slot_of(&s.plan, &p.source), 5);
    }
}

/* ---- source-hash ---- */

static void the_program_hashes_as_the_plan_says(void **state)
{
    static struct steered s;

    (void)state;
    even_weights(&s, 37);
    steer(&s, SB_STEER_SOURCE_HASH, 37, NULL);
    for (size_t kind = 0; kind < UNIT_COUNT(clients); kind++) {
        for (uint32_t n = 0; n < 2000; n++) {
            struct packet p = clients[kind](n);

            assert_int_equal(slot_of(&s, &p), sb_steer_slot_of(&s.plan, &p.source));
        }
    }
}

static void port_and_mapping_make_no_difference(void **state)
{
    static struct steered s;

    (void)state;
    even_weights(&s, 64);
    steer(&s, SB_STEER_SOURCE_HASH, 64, NULL);
    for (uint32_t n = 0; n < 500; n++) {
        struct packet p = ipv4_client(n);
        struct sockbroker_addr mapped = p.source;
        size_t slot = slot_of(&s, &p);

        p.source.port = (uint16_t)n;
        assert_int_equal(slot_of(&s, &p), slot);
        sockbroker_addr_map(&mapped);
        assert_int_equal(sb_steer_slot_of(&s.plan, &mapped), slot);
    }
}

static void neighbours_spread_over_all_slots(void **state)
{
    enum { N_SLOTS = 8, N_CLIENTS = 8192 };
    static struct steered s;

    (void)state;
    even_weights(&s, N_SLOTS);
    steer(&s, SB_STEER_SOURCE_HASH, N_SLOTS, NULL);
    for (size_t kind = 0; kind < UNIT_COUNT(clients); kind++) {
        unsigned got[N_SLOTS] = { 0 };

        for (uint32_t n = 0; n < N_CLIENTS; n++) {
            struct packet p = clients[kind](n);

            got[slot_of(&s, &p)]++;
        }
        for (size_t i = 0; i < N_SLOTS; i++)
            assert_in_range(got[i], N_CLIENTS / N_SLOTS * 7 / 10, N_CLIENTS / N_SLOTS * 13 / 10);
    }
}

static void a_slot_that_leaves_moves_only_its_own_clients(void **state)
{
    enum { N_SLOTS = 8, N_CLIENTS = 2000 };
    static struct steered before, after;
    unsigned n_moved = 0;

    (void)state;
    even_weights(&before, N_SLOTS);
    even_weights(&after, N_SLOTS);
    after.weights[3] = 0;
    steer(&before, SB_STEER_SOURCE_HASH, N_SLOTS, NULL);
    steer(&after, SB_STEER_SOURCE_HASH, N_SLOTS, NULL);
    for (uint32_t n = 0; n < N_CLIENTS; n++) {
        struct packet p = clients[n % 2](n);
        size_t old = slot_of(&before, &p), new = slot_of(&after, &p);

        assert_int_not_equal(new, 3);
        if (old == 3)
            n_moved++;
        else
            assert_int_equal(new, old);
    }
    assert_in_range(n_moved, N_CLIENTS / N_SLOTS / 2, N_CLIENTS / N_SLOTS * 2);
}

static void a_slot_that_is_added_takes_from_all_and_moves_nothing_else(void **state)
{
    static struct steered before, after;

    (void)state;
    even_weights(&before, 8);
    even_weights(&after, 9);
    steer(&before, SB_STEER_SOURCE_HASH, 8, NULL);
    steer(&after, SB_STEER_SOURCE_HASH, 9, NULL);
    for (uint32_t n = 0; n < 2000; n++) {
        struct packet p = ipv4_client(n);
        size_t new = slot_of(&after, &p);

        assert_true(new == 8 || new == slot_of(&before, &p));
    }
}

static void source_hash_heeds_weights_up_to_16(void **state)
{
    static struct steered s;
    unsigned got[4] = { 0 };

    (void)state;
    even_weights(&s, 4);
    s.weights[1] = 4;
    s.weights[2] = 16;
    s.weights[3] = 1000;
    steer(&s, SB_STEER_SOURCE_HASH, 4, NULL);
    for (uint32_t n = 0; n < SB_STEER_BUCKETS; n++)
        got[sb_steer_slot_at(&s.plan, n)]++;
    assert_true(got[0] && got[0] < got[1] && got[1] < got[2]);
    assert_in_range(got[3], got[2] * 7 / 10, got[2] * 13 / 10); /* 16 too */
}

/* The worst case of length: 512 buckets of which no two neighbours have the same slot. */
static void the_longest_program_fits(void **state)
{
    static struct steered s;
    static struct sb_steer_probes probes = { .n = SB_STEER_PROBES_MAX };
    struct packet p = packet_of("::1", 0);

    (void)state;
    probes.source = p.source;
    even_weights(&s, 256);
    s.plan = (struct sb_steer_plan){ .policy = SB_STEER_SOURCE_HASH, .total = SB_STEER_BUCKETS, .n_shares = SB_STEER_BUCKETS };
    s.how.n_slots = 256;
    for (uint32_t i = 0; i < SB_STEER_BUCKETS; i++)
        s.plan.shares[i] = (struct sb_steer_share){ i + 1, (uint16_t)(i % 256) };
    sb_steer_program_make(&s.plan, s.positions, &probes, &s.program);
    assert_in_range(s.program.n, SB_STEER_BUCKETS * 2, SB_STEER_CODE_MAX);
    for (uint32_t n = 0; n < 4000; n++) {
        p = clients[n % 2](n);
        assert_int_equal(slot_of(&s, &p), sb_steer_slot_of(&s.plan, &p.source));
        assert_in_range(n_steps, 9, 60); /* not one after the other */
    }
}

/* ---- probes ---- */

static struct sb_steer_probes some_probes(const char *ip, size_t n)
{
    struct sb_steer_probes probes = { .n = n, .first = 64 };

    assert_status(SOCKBROKER_OK, sockbroker_addr_parse_ip(ip, &probes.source, NULL));
    for (size_t i = 0; i < n; i++)
        probes.ports[i] = (uint16_t)(40000 + 3 * i);
    return probes;
}

static void probes_go_where_they_are_sent_and_nobody_else_does(void **state)
{
    static const char *const sources[] = { "127.0.0.1", "::1", "fe80::1" };
    static struct steered s;

    (void)state;
    even_weights(&s, 5);
    for (size_t i = 0; i < UNIT_COUNT(sources); i++) {
        struct sb_steer_probes probes = some_probes(sources[i], SB_STEER_PROBES_MAX);
        struct packet probe = packet_of(sources[i], 2);

        steer(&s, SB_STEER_EVEN, 5, &probes);
        for (size_t k = 0; k < probes.n; k++) {
            struct packet others[] = { probe, packet_of("127.0.0.2", 2), packet_of("fe80::2", 2), packet_of("7f00:1::", 2) };

            probe.source.port = others[1].source.port = others[2].source.port = others[3].source.port = probes.ports[k];
            others[0].source.port = (uint16_t)(probes.ports[k] + 1);
            assert_int_equal(run(&s.program, &probe), 64 + k);
            for (size_t other = 0; other < UNIT_COUNT(others); other++)
                assert_int_equal(slot_of(&s, &others[other]), 2);
        }
    }
}

static void the_filter_drops_probes_and_lets_the_rest_pass(void **state)
{
    static const char *const sources[] = { "127.0.0.1", "::1" };
    static struct sb_steer_program filter;

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(sources); i++) {
        struct sb_steer_probes probes = some_probes(sources[i], 7);
        struct packet p = packet_of(sources[i], 0), other = packet_of(sources[1 - i], 0);

        sb_steer_program_make_filter(&probes, &filter);
        for (uint32_t port = 39990; port < 40030; port++) {
            bool is_probe = port >= 40000 && port <= 40018 && (port - 40000) % 3 == 0;

            p.source.port = other.source.port = (uint16_t)port;
            assert_int_equal(run(&filter, &p), is_probe ? 0 : UINT32_MAX);
            assert_int_equal(run(&filter, &other), UINT32_MAX);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(even_gives_every_live_slot_the_same),
        UNIT_TEST(weighted_gives_each_slot_its_weight),
        UNIT_TEST(a_large_random_number_is_brought_into_range),
        UNIT_TEST(without_a_live_slot_everything_goes_to_the_fallback),
        UNIT_TEST(the_program_hashes_as_the_plan_says),
        UNIT_TEST(port_and_mapping_make_no_difference),
        UNIT_TEST(neighbours_spread_over_all_slots),
        UNIT_TEST(a_slot_that_leaves_moves_only_its_own_clients),
        UNIT_TEST(a_slot_that_is_added_takes_from_all_and_moves_nothing_else),
        UNIT_TEST(source_hash_heeds_weights_up_to_16),
        UNIT_TEST(the_longest_program_fits),
        UNIT_TEST(probes_go_where_they_are_sent_and_nobody_else_does),
        UNIT_TEST(the_filter_drops_probes_and_lets_the_rest_pass),
    };

    return cmocka_run_group_tests_name("steer", tests, NULL, NULL);
}
