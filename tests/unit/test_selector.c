/* What selector.h promises: exact shares, nobody favoured for having been away, clients that stay with their worker.
 *
 * broker/selector.c is compiled into this program with -finstrument-functions, so that the work of a choice can be counted
 * in calls (its comparisons and moves are functions) and not in time. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "broker/selector.h"

#define SCALE 1008000u /* selector.c's: keys are compared with it below */

/* ---- counting ---- */

static uint64_t n_calls;

void __cyg_profile_func_enter(void *function, void *site);
void __cyg_profile_func_exit(void *function, void *site);

void __cyg_profile_func_enter(void *function, void *site)
{
    (void)function;
    (void)site;
    n_calls++;
}

void __cyg_profile_func_exit(void *function, void *site)
{
    (void)function;
    (void)site;
}

/* ---- support ---- */

struct house {
    struct sb_selector selector;
    struct sb_member *members;
    uint64_t *chosen; /* how often */
    size_t n;
};

static uint64_t name_hash(size_t i)
{
    return sb_selector_hash(&i, sizeof(i));
}

static void init_member(struct sb_member *m, uint32_t weight, uint64_t hash)
{
    memset(m, 0, sizeof(*m));
    m->weight = weight;
    m->name_hash = hash;
}

static void join(struct house *h, size_t i)
{
    assert_status(SOCKBROKER_OK, sb_selector_add(&h->selector, &h->members[i]));
    sb_selector_set_eligible(&h->selector, &h->members[i], true);
}

/* weights may be NULL: all 1. */
static void open_house(struct house *h, enum sb_policy policy, const uint32_t *weights, size_t n)
{
    sb_selector_init(&h->selector, policy);
    h->members = calloc(n, sizeof(*h->members));
    h->chosen = calloc(n, sizeof(*h->chosen));
    h->n = n;
    assert_true(h->members && h->chosen);
    for (size_t i = 0; i < n; i++) {
        init_member(&h->members[i], weights ? weights[i] : 1, name_hash(i));
        join(h, i);
    }
}

static void close_house(struct house *h)
{
    sb_selector_deinit(&h->selector);
    free(h->members);
    free(h->chosen);
}

static size_t choose(struct house *h)
{
    struct sb_member *m = sb_selector_choose(&h->selector, 0);

    assert_non_null(m);
    size_t i = (size_t)(m - h->members);
    assert_true(i < h->n);
    h->chosen[i]++;
    return i;
}

static void forget_counts(struct house *h)
{
    memset(h->chosen, 0, h->n * sizeof(*h->chosen));
}

/* Load as the broker counts it: at dispatch. */
static void add_load(struct house *h, size_t i, int change)
{
    struct sb_member *m = &h->members[i];

    if (h->selector.policy == SB_POLICY_LEAST_PENDING)
        m->n_pending += (uint64_t)change;
    else
        m->n_open += (uint64_t)change;
    sb_selector_update(&h->selector, m);
}

static size_t dispatch(struct house *h)
{
    size_t i = choose(h);

    add_load(h, i, 1);
    return i;
}

static uint64_t random_state;

static uint64_t next_random(void) /* xorshift64, Marsaglia 2003 */
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* ---- round robin ---- */

static void nobody_is_chosen_of_nobody(void **state)
{
    static const enum sb_policy policies[] = { SB_POLICY_ROUND_ROBIN, SB_POLICY_LEAST_CONNECTIONS, SB_POLICY_LEAST_PENDING,
                                               SB_POLICY_SOURCE_HASH };

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(policies); i++) {
        struct house h;

        open_house(&h, policies[i], NULL, 1);
        assert_true(sb_selector_has_any(&h.selector));
        sb_selector_set_eligible(&h.selector, &h.members[0], false);
        assert_false(sb_selector_has_any(&h.selector));
        assert_null(sb_selector_choose(&h.selector, 7));
        sb_selector_remove(&h.selector, &h.members[0]);
        assert_null(sb_selector_choose(&h.selector, 7));
        close_house(&h);
    }
}

static void round_robin_takes_turns_in_the_order_of_joining(void **state)
{
    struct house h;

    (void)state;
    open_house(&h, SB_POLICY_ROUND_ROBIN, NULL, 7);
    for (size_t i = 0; i < 700; i++)
        assert_int_equal(choose(&h), i % 7);
    close_house(&h);
}

static void every_prefix_of_round_robin_is_within_one_of_the_fair_share(void **state)
{
    static const size_t sizes[] = { 1, 2, 3, 5, 8, 13, 64, 100 };

    (void)state;
    for (size_t k = 0; k < UNIT_COUNT(sizes); k++) {
        struct house h;

        open_house(&h, SB_POLICY_ROUND_ROBIN, NULL, sizes[k]);
        for (size_t turn = 1; turn <= 20 * sizes[k]; turn++) {
            choose(&h);
            for (size_t i = 0; i < h.n; i++) {
                assert_true(h.chosen[i] * h.n + h.n > turn);
                assert_true(h.chosen[i] * h.n < turn + h.n);
            }
        }
        close_house(&h);
    }
}

static void weights_are_exact_over_every_full_cycle(void **state)
{
    static const struct {
        uint32_t weights[8];
        size_t n;
        uint64_t cycle; /* sum of the weights by their greatest common divisor */
        uint32_t divisor;
    } rows[] = {
        { { 1, 2, 4 }, 3, 7, 1 }, { { 4, 2, 1 }, 3, 7, 1 },          { { 1, 1, 1 }, 3, 3, 1 },
        { { 5, 5, 5 }, 3, 3, 5 }, { { 10, 20, 30, 40 }, 4, 10, 10 }, { { 1, 2, 3, 4, 5, 6, 7, 8 }, 8, 36, 1 },
        { { 9, 10 }, 2, 19, 1 },  { { 1, 1000 }, 2, 1001, 1 },       { { 100, 250, 500, 1000 }, 4, 37, 50 },
    };

    (void)state;
    for (size_t r = 0; r < UNIT_COUNT(rows); r++) {
        struct house h;

        open_house(&h, SB_POLICY_ROUND_ROBIN, rows[r].weights, rows[r].n);
        for (int cycle = 0; cycle < 50; cycle++) {
            forget_counts(&h);
            for (uint64_t turn = 0; turn < rows[r].cycle; turn++)
                choose(&h);
            for (size_t i = 0; i < h.n; i++)
                assert_int_equal(h.chosen[i], rows[r].weights[i] / rows[r].divisor);
        }
        close_house(&h);
    }
}

static void weighted_turns_are_spread_and_not_in_a_row(void **state)
{
    static const uint32_t weights[] = { 1, 2, 4 };
    static const char expected[] = "ABCCBCC";
    struct house h;

    (void)state;
    open_house(&h, SB_POLICY_ROUND_ROBIN, weights, 3);
    for (size_t turn = 0; turn < 70; turn++)
        assert_int_equal("ABC"[choose(&h)], expected[turn % 7]);
    close_house(&h);
}

static void assert_fair(const struct house *h, uint64_t share)
{
    for (size_t i = 0; i < h->n; i++) {
        assert_true(h->chosen[i] + 1 >= share);
        assert_true(h->chosen[i] <= share + 1);
    }
}

static void newcomer_gets_its_share_and_no_burst(void **state)
{
    struct house h;

    (void)state;
    open_house(&h, SB_POLICY_ROUND_ROBIN, NULL, 4);
    sb_selector_remove(&h.selector, &h.members[3]);
    for (int i = 0; i < 1000; i++)
        assert_true(choose(&h) < 3);
    join(&h, 3);
    forget_counts(&h);
    for (int i = 0; i < 40; i++)
        choose(&h);
    assert_fair(&h, 10);
    close_house(&h);
}

static void who_was_away_does_not_get_its_missed_turns(void **state)
{
    struct house h;

    (void)state;
    open_house(&h, SB_POLICY_ROUND_ROBIN, NULL, 4);
    choose(&h);
    sb_selector_set_eligible(&h.selector, &h.members[2], false);
    for (int i = 0; i < 3000; i++)
        assert_int_not_equal(choose(&h), 2);
    sb_selector_set_eligible(&h.selector, &h.members[2], true);
    forget_counts(&h);
    for (int i = 0; i < 40; i++)
        choose(&h);
    assert_fair(&h, 10);
    close_house(&h);
}

static void going_away_and_coming_back_each_turn_gains_nothing(void **state)
{
    struct house h;

    (void)state;
    open_house(&h, SB_POLICY_ROUND_ROBIN, NULL, 3);
    for (int i = 0; i < 300; i++) {
        choose(&h);
        sb_selector_set_eligible(&h.selector, &h.members[1], false);
        sb_selector_set_eligible(&h.selector, &h.members[1], true);
    }
    assert_fair(&h, 100);
    close_house(&h);
}

static void the_others_share_what_a_leaver_would_have_got(void **state)
{
    static const uint32_t weights[] = { 1, 2, 4 };
    struct house h;

    (void)state;
    open_house(&h, SB_POLICY_ROUND_ROBIN, weights, 3);
    for (int i = 0; i < 70; i++)
        choose(&h);
    sb_selector_remove(&h.selector, &h.members[1]);
    forget_counts(&h);
    for (int i = 0; i < 50; i++)
        choose(&h);
    assert_int_equal(h.chosen[0], 10);
    assert_int_equal(h.chosen[1], 0);
    assert_int_equal(h.chosen[2], 40);
    close_house(&h);
}

/* ---- least connections, least pending ---- */

static const enum sb_policy least[] = { SB_POLICY_LEAST_CONNECTIONS, SB_POLICY_LEAST_PENDING };

static void ties_go_to_the_one_that_was_idle_longest(void **state)
{
    (void)state;
    for (size_t p = 0; p < UNIT_COUNT(least); p++) {
        struct house h;

        open_house(&h, least[p], NULL, 4);
        for (size_t i = 0; i < 4; i++)
            assert_int_equal(dispatch(&h), i);
        add_load(&h, 2, -1); /* the order in which they get free does not count, the order of their last turns does */
        add_load(&h, 0, -1);
        add_load(&h, 3, -1);
        assert_int_equal(dispatch(&h), 0);
        assert_int_equal(dispatch(&h), 2);
        assert_int_equal(dispatch(&h), 3);
        assert_int_equal(dispatch(&h), 1);
        add_load(&h, 1, -1);
        for (int i = 0; i < 100; i++) { /* all have one now: one more at a time goes round in the same order */
            static const size_t order[] = { 0, 2, 3, 1 };
            size_t at = dispatch(&h);

            assert_int_equal(at, order[i % 4]);
            add_load(&h, at, -1);
        }
        close_house(&h);
    }
}

static void the_least_loaded_is_chosen(void **state)
{
    (void)state;
    for (size_t p = 0; p < UNIT_COUNT(least); p++) {
        struct house h;

        open_house(&h, least[p], NULL, 3);
        add_load(&h, 0, 5);
        add_load(&h, 1, 3);
        add_load(&h, 2, 4);
        assert_int_equal(dispatch(&h), 1);
        assert_int_equal(dispatch(&h), 2); /* 5 4 4: 2 was idle longer */
        assert_int_equal(dispatch(&h), 1); /* 5 4 5 */
        assert_int_equal(dispatch(&h), 0); /* 5 5 5: 0 was never chosen */
        close_house(&h);
    }
}

static void weights_divide_the_load_exactly(void **state)
{
    static const uint32_t weights[] = { 1, 2, 4 };

    (void)state;
    for (size_t p = 0; p < UNIT_COUNT(least); p++) {
        struct house h;

        open_house(&h, least[p], weights, 3);
        for (uint64_t cycle = 1; cycle <= 50; cycle++) {
            for (int i = 0; i < 7; i++)
                dispatch(&h);
            for (size_t i = 0; i < 3; i++)
                assert_int_equal(h.chosen[i], cycle * weights[i]);
        }
        close_house(&h);
    }
}

static void load_that_changed_while_away_counts_on_return(void **state)
{
    (void)state;
    for (size_t p = 0; p < UNIT_COUNT(least); p++) {
        struct house h;

        open_house(&h, least[p], NULL, 2);
        add_load(&h, 0, 1);
        add_load(&h, 1, 2);
        sb_selector_set_eligible(&h.selector, &h.members[0], false);
        add_load(&h, 0, 9);
        assert_int_equal(choose(&h), 1);
        sb_selector_set_eligible(&h.selector, &h.members[0], true);
        assert_int_equal(choose(&h), 1);
        add_load(&h, 0, -10);
        assert_int_equal(choose(&h), 0);
        close_house(&h);
    }
}

/* ---- source hash ---- */

#define N_KEYS 20000u

static uint64_t key_hash(uint32_t i)
{
    uint8_t ip[16] = { 10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i };

    return sb_selector_hash(ip, sizeof(ip));
}

/* map_out[i]: the name hash of the worker that client i gets. */
static void read_map(struct house *h, uint64_t *map_out)
{
    for (uint32_t i = 0; i < N_KEYS; i++) {
        struct sb_member *m = sb_selector_choose(&h->selector, key_hash(i));

        assert_non_null(m);
        map_out[i] = m->name_hash;
    }
}

static size_t count_moved_from(const uint64_t *before, const uint64_t *after, uint64_t owner)
{
    size_t n = 0;

    for (uint32_t i = 0; i < N_KEYS; i++) {
        if (before[i] == owner)
            assert_true(after[i] != owner);
        else
            assert_true(after[i] == before[i]);
        n += before[i] == owner;
    }
    return n;
}

static void a_client_stays_with_its_worker(void **state)
{
    static uint64_t first[N_KEYS], second[N_KEYS];
    struct house h;

    (void)state;
    open_house(&h, SB_POLICY_SOURCE_HASH, NULL, 16);
    read_map(&h, first);
    read_map(&h, second);
    assert_memory_equal(first, second, sizeof(first));
    close_house(&h);
}

static void a_worker_that_leaves_moves_only_its_own_clients(void **state)
{
    static uint64_t before[N_KEYS], without[N_KEYS], after[N_KEYS];
    struct house h;

    (void)state;
    open_house(&h, SB_POLICY_SOURCE_HASH, NULL, 16);
    read_map(&h, before);
    for (size_t gone = 0; gone < h.n; gone++) {
        struct sb_member again;

        sb_selector_remove(&h.selector, &h.members[gone]);
        read_map(&h, without);
        assert_true(count_moved_from(before, without, h.members[gone].name_hash) > 0);

        init_member(&again, 1, h.members[gone].name_hash); /* the same name, another process */
        assert_status(SOCKBROKER_OK, sb_selector_add(&h.selector, &again));
        sb_selector_set_eligible(&h.selector, &again, true);
        read_map(&h, after);
        assert_memory_equal(before, after, sizeof(before));
        sb_selector_remove(&h.selector, &again);
        join(&h, gone);
    }
    close_house(&h);
}

static void a_newcomer_takes_clients_and_moves_none_between_others(void **state)
{
    static uint64_t before[N_KEYS], after[N_KEYS];
    struct house h;
    struct sb_member extra;

    (void)state;
    open_house(&h, SB_POLICY_SOURCE_HASH, NULL, 16);
    read_map(&h, before);
    init_member(&extra, 1, name_hash(99));
    assert_status(SOCKBROKER_OK, sb_selector_add(&h.selector, &extra));
    sb_selector_set_eligible(&h.selector, &extra, true);
    read_map(&h, after);
    assert_true(count_moved_from(after, before, extra.name_hash) > 0);
    close_house(&h);
}

static void clients_of_a_busy_worker_spill_to_several_and_return(void **state)
{
    static uint64_t before[N_KEYS], during[N_KEYS], after[N_KEYS];
    struct house h;
    size_t n_spilled_to = 0;

    (void)state;
    open_house(&h, SB_POLICY_SOURCE_HASH, NULL, 16);
    read_map(&h, before);
    sb_selector_set_eligible(&h.selector, &h.members[5], false);
    read_map(&h, during);
    assert_true(count_moved_from(before, during, h.members[5].name_hash) > 0);
    for (size_t m = 0; m < h.n; m++) {
        bool got = false;

        for (uint32_t i = 0; i < N_KEYS; i++)
            got |= before[i] != during[i] && during[i] == h.members[m].name_hash;
        n_spilled_to += got;
    }
    assert_true(n_spilled_to >= 12); /* of 15: no neighbour carries it all */
    sb_selector_set_eligible(&h.selector, &h.members[5], true);
    read_map(&h, after);
    assert_memory_equal(before, after, sizeof(before));
    close_house(&h);
}

static void the_order_of_joining_does_not_matter_to_clients(void **state)
{
    static uint64_t forward[N_KEYS], backward[N_KEYS];
    struct house a, b;

    (void)state;
    open_house(&a, SB_POLICY_SOURCE_HASH, NULL, 16);
    open_house(&b, SB_POLICY_SOURCE_HASH, NULL, 16);
    for (size_t i = 0; i < b.n; i++)
        sb_selector_remove(&b.selector, &b.members[i]);
    for (size_t i = b.n; i-- > 0;)
        join(&b, i);
    read_map(&a, forward);
    read_map(&b, backward);
    assert_memory_equal(forward, backward, sizeof(forward));
    close_house(&a);
    close_house(&b);
}

/* 128 points give each a share with a deviation of about 1/sqrt(128) = 9 %; the outermost of 64 lies within 3 of those. */
static void sixty_four_workers_have_their_share_within_30_percent(void **state)
{
    enum { MEMBERS = 64, KEYS = 100000 };
    struct house h;

    (void)state;
    open_house(&h, SB_POLICY_SOURCE_HASH, NULL, MEMBERS);
    for (uint32_t i = 0; i < KEYS; i++)
        h.chosen[sb_selector_choose(&h.selector, key_hash(i)) - h.members]++;
    for (size_t i = 0; i < MEMBERS; i++) {
        assert_true(h.chosen[i] * MEMBERS * 10 > KEYS * 7);
        assert_true(h.chosen[i] * MEMBERS * 10 < KEYS * 13);
    }
    close_house(&h);
}

static void a_weight_of_four_takes_about_four_times_the_clients(void **state)
{
    enum { KEYS = 100000 };
    static const uint32_t weights[] = { 1, 4, 1, 4, 1, 4, 1, 4 };
    uint64_t light = 0, heavy = 0;
    struct house h;

    (void)state;
    open_house(&h, SB_POLICY_SOURCE_HASH, weights, UNIT_COUNT(weights));
    for (uint32_t i = 0; i < KEYS; i++)
        *(sb_selector_choose(&h.selector, key_hash(i))->weight == 1 ? &light : &heavy) += 1;
    assert_true(heavy > light * 34 / 10 && heavy < light * 46 / 10);
    close_house(&h);
}

static void neighbouring_addresses_are_spread(void **state)
{
    struct house h;

    (void)state;
    open_house(&h, SB_POLICY_SOURCE_HASH, NULL, 16);
    for (uint32_t i = 0; i < 256; i++) /* one /24 */
        h.chosen[sb_selector_choose(&h.selector, key_hash(i)) - h.members]++;
    for (size_t i = 0; i < h.n; i++)
        assert_true(h.chosen[i] >= 3 && h.chosen[i] <= 40); /* 16 each when ideal */
    close_house(&h);
}

/* ---- cost ---- */

static unsigned log2_above(size_t n)
{
    unsigned log2 = 0;

    while (((size_t)1 << log2) < n)
        log2++;
    return log2;
}

/* The dearest of many choices, each with the update that follows it. */
static uint64_t dearest_choice(enum sb_policy policy, size_t n)
{
    uint64_t dearest = 0;
    struct house h;

    open_house(&h, policy, NULL, n);
    random_state = 42;
    for (size_t i = 0; i < 3 * n; i++) {
        n_calls = 0;
        struct sb_member *m = sb_selector_choose(&h.selector, next_random());
        m->n_open += 1 + next_random() % 3;
        m->n_pending += 1 + next_random() % 3;
        sb_selector_update(&h.selector, m);
        if (n_calls > dearest)
            dearest = n_calls;
    }
    close_house(&h);
    return dearest;
}

/* A level of the heap costs two comparisons and one move; a choice and its update sift twice down and at most twice up. */
static void a_choice_costs_a_logarithm_of_the_workers(void **state)
{
    static const enum sb_policy policies[] = { SB_POLICY_ROUND_ROBIN, SB_POLICY_LEAST_CONNECTIONS, SB_POLICY_LEAST_PENDING };
    static const size_t sizes[] = { 10, 100, 1000, 10000 };

    (void)state;
    for (size_t p = 0; p < UNIT_COUNT(policies); p++) {
        for (size_t k = 0; k < UNIT_COUNT(sizes); k++) {
            uint64_t calls = dearest_choice(policies[p], sizes[k]);

            assert_true(calls > 0); /* else nothing was counted */
            assert_true(calls <= 8 * log2_above(sizes[k]) + 16);
        }
    }
}

static void a_choice_by_hash_does_not_look_at_every_worker(void **state)
{
    (void)state;
    assert_true(dearest_choice(SB_POLICY_SOURCE_HASH, 1000) <= 8 * log2_above(1000) + 16);
}

/* ---- invariants ---- */

static void check_heap(const struct house *h)
{
    const struct sb_selector *s = &h->selector;
    size_t n_eligible = 0;

    for (size_t i = 0; i < s->n_heap; i++) {
        const struct sb_member *m = s->heap[i];
        const struct sb_member *above = s->heap[i ? (i - 1) / 2 : 0];

        assert_true(m->heap_at == i && m->eligible);
        assert_true(above->key < m->key || (above->key == m->key && above->turn <= m->turn));
    }
    for (size_t i = 0; i < h->n; i++)
        n_eligible += h->members[i].eligible;
    assert_int_equal(n_eligible, s->n_heap);
}

static const struct sb_member *best_by_looking_at_all(const struct house *h)
{
    const struct sb_member *best = NULL;

    for (size_t i = 0; i < h->n; i++) {
        const struct sb_member *m = &h->members[i];

        if (m->eligible && (!best || m->key < best->key || (m->key == best->key && m->turn < best->turn)))
            best = m;
    }
    return best;
}

static void do_something(struct house *h, bool *is_in)
{
    size_t i = next_random() % h->n;
    struct sb_member *m = &h->members[i];
    uint64_t what = next_random() % 16;

    if (what == 0 && is_in[i]) {
        sb_selector_remove(&h->selector, m);
        is_in[i] = false;
    } else if (!is_in[i]) {
        init_member(m, 1 + (uint32_t)(next_random() % 1000), name_hash(i));
        assert_status(SOCKBROKER_OK, sb_selector_add(&h->selector, m));
        is_in[i] = true;
    } else if (what < 6) {
        sb_selector_set_eligible(&h->selector, m, next_random() & 1);
    } else if (what < 10) {
        m->n_open = next_random() % 50;
        m->n_pending = next_random() % 50;
        sb_selector_update(&h->selector, m);
    } else if (h->selector.policy == SB_POLICY_SOURCE_HASH) {
        m = sb_selector_choose(&h->selector, next_random());
        assert_true(m ? m->eligible : !sb_selector_has_any(&h->selector));
    } else {
        const struct sb_member *best = best_by_looking_at_all(h);

        assert_ptr_equal(sb_selector_choose(&h->selector, 0), best);
    }
}

static void check_ring(const struct house *h, const bool *is_in)
{
    const struct sb_selector *s = &h->selector;
    size_t n_points = 0;

    for (size_t i = 1; i < s->n_ring; i++)
        assert_true(s->ring[i - 1].at <= s->ring[i].at);
    for (size_t i = 0; i < h->n; i++)
        n_points += is_in[i] ? 128 * (h->members[i].weight < 16 ? h->members[i].weight : 16) : 0;
    assert_int_equal(n_points, s->n_ring);
}

static void order_holds_through_100000_random_steps(void **state)
{
    static const struct {
        enum sb_policy policy;
        int steps;
    } rows[] = { { SB_POLICY_ROUND_ROBIN, 100000 },
                 { SB_POLICY_LEAST_CONNECTIONS, 100000 },
                 { SB_POLICY_LEAST_PENDING, 100000 },
                 { SB_POLICY_SOURCE_HASH, 20000 } };

    (void)state;
    for (size_t r = 0; r < UNIT_COUNT(rows); r++) {
        bool is_in[40];
        struct house h;

        memset(is_in, true, sizeof(is_in));
        random_state = 0x5eed;
        open_house(&h, rows[r].policy, NULL, UNIT_COUNT(is_in));
        for (int step = 0; step < rows[r].steps; step++) {
            do_something(&h, is_in);
            if (step % 16 == 0)
                check_heap(&h);
            if (step % 1000 == 0 && rows[r].policy == SB_POLICY_SOURCE_HASH)
                check_ring(&h, is_in);
        }
        check_heap(&h);
        close_house(&h);
    }
}

static void keys_are_the_load_by_weight(void **state)
{
    static const uint32_t weights[] = { 1, 3, 1000 };
    struct house h;

    (void)state;
    open_house(&h, SB_POLICY_LEAST_CONNECTIONS, weights, 3);
    for (size_t i = 0; i < 3; i++) {
        add_load(&h, i, 6);
        assert_int_equal(h.members[i].key, 6 * SCALE / weights[i]);
    }
    h.members[0].n_open = 1u << 20; /* as many as there can be: no overflow */
    sb_selector_update(&h.selector, &h.members[0]);
    assert_true(h.members[0].key == (uint64_t)SCALE << 20);
    close_house(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(nobody_is_chosen_of_nobody),
        UNIT_TEST(round_robin_takes_turns_in_the_order_of_joining),
        UNIT_TEST(every_prefix_of_round_robin_is_within_one_of_the_fair_share),
        UNIT_TEST(weights_are_exact_over_every_full_cycle),
        UNIT_TEST(weighted_turns_are_spread_and_not_in_a_row),
        UNIT_TEST(newcomer_gets_its_share_and_no_burst),
        UNIT_TEST(who_was_away_does_not_get_its_missed_turns),
        UNIT_TEST(going_away_and_coming_back_each_turn_gains_nothing),
        UNIT_TEST(the_others_share_what_a_leaver_would_have_got),
        UNIT_TEST(ties_go_to_the_one_that_was_idle_longest),
        UNIT_TEST(the_least_loaded_is_chosen),
        UNIT_TEST(weights_divide_the_load_exactly),
        UNIT_TEST(load_that_changed_while_away_counts_on_return),
        UNIT_TEST(a_client_stays_with_its_worker),
        UNIT_TEST(a_worker_that_leaves_moves_only_its_own_clients),
        UNIT_TEST(a_newcomer_takes_clients_and_moves_none_between_others),
        UNIT_TEST(clients_of_a_busy_worker_spill_to_several_and_return),
        UNIT_TEST(the_order_of_joining_does_not_matter_to_clients),
        UNIT_TEST(sixty_four_workers_have_their_share_within_30_percent),
        UNIT_TEST(a_weight_of_four_takes_about_four_times_the_clients),
        UNIT_TEST(neighbouring_addresses_are_spread),
        UNIT_TEST(a_choice_costs_a_logarithm_of_the_workers),
        UNIT_TEST(a_choice_by_hash_does_not_look_at_every_worker),
        UNIT_TEST(order_holds_through_100000_random_steps),
        UNIT_TEST(keys_are_the_load_by_weight),
    };

    return cmocka_run_group_tests_name("selector", tests, NULL, NULL);
}
