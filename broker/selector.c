#include "broker/selector.h"

#include <stdlib.h>
#include <string.h>

#define NOT_IN_HEAP SIZE_MAX

/* Shares are counted in these, so that keys stay whole numbers: 2520 * 400, divisible by every weight up to 10 and by all the
 * round ones. A worker's virtual time grows by SCALE / weight each turn (stride scheduling). */
#define SCALE 1008000u

/* Points of a worker of weight 1; weights above RING_WEIGHT_MAX are cut there. 128 points spread the load to about 9 %. */
#define RING_POINTS 128u
#define RING_WEIGHT_MAX 16u

void sb_selector_init(struct sb_selector *s, enum sb_policy policy)
{
    static const struct sb_selector none;

    *s = none;
    s->policy = policy;
}

void sb_selector_deinit(struct sb_selector *s)
{
    free(s->heap);
    free(s->ring);
    sb_selector_init(s, s->policy);
}

/* ---- heap: the smallest key first; among equals the one that waited longest ---- */

static bool is_before(const struct sb_member *a, const struct sb_member *b)
{
    return a->key != b->key ? a->key < b->key : a->turn < b->turn;
}

static void put_at(struct sb_selector *s, size_t i, struct sb_member *m)
{
    s->heap[i] = m;
    m->heap_at = i;
}

static void sift_up(struct sb_selector *s, struct sb_member *m)
{
    size_t i = m->heap_at;

    for (; i > 0 && is_before(m, s->heap[(i - 1) / 2]); i = (i - 1) / 2)
        put_at(s, i, s->heap[(i - 1) / 2]);
    put_at(s, i, m);
}

static void sift_down(struct sb_selector *s, struct sb_member *m)
{
    size_t i = m->heap_at;

    for (;;) {
        size_t child = 2 * i + 1;

        if (child + 1 < s->n_heap && is_before(s->heap[child + 1], s->heap[child]))
            child++;
        if (child >= s->n_heap || !is_before(s->heap[child], m))
            break;
        put_at(s, i, s->heap[child]);
        i = child;
    }
    put_at(s, i, m);
}

static void heap_fix(struct sb_selector *s, struct sb_member *m)
{
    sift_up(s, m);
    sift_down(s, m);
}

static void heap_insert(struct sb_selector *s, struct sb_member *m)
{
    put_at(s, s->n_heap++, m);
    sift_up(s, m);
}

static void heap_remove(struct sb_selector *s, struct sb_member *m)
{
    struct sb_member *last = s->heap[--s->n_heap];

    if (last != m) {
        put_at(s, m->heap_at, last);
        heap_fix(s, last);
    }
    m->heap_at = NOT_IN_HEAP;
}

static void compute_key(struct sb_selector *s, struct sb_member *m)
{
    switch (s->policy) {
    case SB_POLICY_LEAST_CONNECTIONS:
        m->key = m->n_open * SCALE / m->weight;
        break;
    case SB_POLICY_LEAST_PENDING:
        m->key = m->n_pending * SCALE / m->weight;
        break;
    case SB_POLICY_ROUND_ROBIN: /* the key is its virtual time; who was away does not get its missed turns */
        if (m->key < s->virtual_time)
            m->key = s->virtual_time;
        break;
    case SB_POLICY_SOURCE_HASH:
        m->key = 0;
        break;
    }
}

/* ---- ring ---- */

/* FNV-1a, 64 bit (draft-eastlake-fnv), then a finaliser, for its last bytes move only the low bits. */
static uint64_t mix(uint64_t h)
{
    h ^= h >> 33;
    h *= 0xff51afd7ed558ccdu;
    h ^= h >> 33;
    h *= 0xc4ceb9fe1a85ec53u;
    return h ^ h >> 33;
}

uint64_t sb_selector_hash(const void *bytes, size_t len)
{
    const uint8_t *b = bytes;
    uint64_t h = 14695981039346656037u;

    for (size_t i = 0; i < len; i++)
        h = (h ^ b[i]) * 1099511628211u;
    return mix(h);
}

static int compare_points(const void *a, const void *b)
{
    const struct sb_ring_point *p = a;
    const struct sb_ring_point *q = b;

    return p->at < q->at ? -1 : p->at > q->at;
}

static size_t n_points_of(const struct sb_member *m)
{
    return RING_POINTS * (m->weight < RING_WEIGHT_MAX ? m->weight : RING_WEIGHT_MAX);
}

static sockbroker_status ring_reserve(struct sb_selector *s, size_t n)
{
    if (n <= s->ring_room)
        return SOCKBROKER_OK;
    struct sb_ring_point *ring = realloc(s->ring, 2 * n * sizeof(*ring));
    if (!ring)
        return SOCKBROKER_NO_MEMORY;
    s->ring = ring;
    s->ring_room = 2 * n;
    return SOCKBROKER_OK;
}

/* Merges `n` sorted points into the sorted ring from behind. */
static void ring_merge(struct sb_selector *s, const struct sb_ring_point *points, size_t n)
{
    size_t old = s->n_ring;
    size_t at = old + n;

    s->n_ring = at;
    while (n) {
        if (old && s->ring[old - 1].at > points[n - 1].at)
            s->ring[--at] = s->ring[--old];
        else
            s->ring[--at] = points[--n];
    }
}

static sockbroker_status ring_add(struct sb_selector *s, struct sb_member *m)
{
    struct sb_ring_point points[RING_POINTS * RING_WEIGHT_MAX];
    size_t n = n_points_of(m);
    sockbroker_status st = ring_reserve(s, s->n_ring + n);

    if (st)
        return st;
    for (size_t i = 0; i < n; i++) {
        points[i].at = mix(m->name_hash + i * 0x9e3779b97f4a7c15u);
        points[i].member = m;
    }
    qsort(points, n, sizeof(points[0]), compare_points);
    ring_merge(s, points, n);
    return SOCKBROKER_OK;
}

static void ring_remove(struct sb_selector *s, const struct sb_member *m)
{
    size_t kept = 0;

    for (size_t i = 0; i < s->n_ring; i++) {
        if (s->ring[i].member != m)
            s->ring[kept++] = s->ring[i];
    }
    s->n_ring = kept;
}

/* The first point at or after the hash; its member, or the next eligible one on the way round. */
static struct sb_member *ring_choose(const struct sb_selector *s, uint64_t hash)
{
    size_t low = 0;
    size_t high = s->n_ring;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (s->ring[middle].at < hash)
            low = middle + 1;
        else
            high = middle;
    }
    for (size_t i = 0; i < s->n_ring; i++) {
        struct sb_member *m = s->ring[(low + i) % s->n_ring].member;

        if (m->eligible)
            return m;
    }
    return NULL;
}

/* ---- members ---- */

static sockbroker_status heap_reserve(struct sb_selector *s, size_t n)
{
    if (n <= s->heap_room)
        return SOCKBROKER_OK;
    struct sb_member **heap = realloc(s->heap, 2 * n * sizeof(struct sb_member *));
    if (!heap)
        return SOCKBROKER_NO_MEMORY;
    s->heap = heap;
    s->heap_room = 2 * n;
    return SOCKBROKER_OK;
}

sockbroker_status sb_selector_add(struct sb_selector *s, struct sb_member *m)
{
    sockbroker_status st = heap_reserve(s, s->n_members + 1);

    if (!st && s->policy == SB_POLICY_SOURCE_HASH)
        st = ring_add(s, m);
    if (st)
        return st;
    m->eligible = false;
    m->heap_at = NOT_IN_HEAP;
    m->key = 0;
    m->turn = ++s->n_turns;
    s->n_members++;
    return SOCKBROKER_OK;
}

void sb_selector_remove(struct sb_selector *s, struct sb_member *m)
{
    sb_selector_set_eligible(s, m, false);
    if (s->policy == SB_POLICY_SOURCE_HASH)
        ring_remove(s, m);
    s->n_members--;
}

void sb_selector_set_eligible(struct sb_selector *s, struct sb_member *m, bool eligible)
{
    if (m->eligible == eligible)
        return;
    m->eligible = eligible;
    if (eligible) {
        compute_key(s, m);
        heap_insert(s, m);
    } else {
        heap_remove(s, m);
    }
}

void sb_selector_update(struct sb_selector *s, struct sb_member *m)
{
    if (!m->eligible)
        return;
    compute_key(s, m);
    heap_fix(s, m);
}

bool sb_selector_needs_counts(const struct sb_selector *s)
{
    return s->policy == SB_POLICY_LEAST_CONNECTIONS || s->policy == SB_POLICY_LEAST_PENDING;
}

bool sb_selector_has_any(const struct sb_selector *s)
{
    return s->n_heap > 0;
}

struct sb_member *sb_selector_choose(struct sb_selector *s, uint64_t hash)
{
    struct sb_member *m = s->n_heap == 0 ? NULL : s->policy == SB_POLICY_SOURCE_HASH ? ring_choose(s, hash) : s->heap[0];

    if (!m)
        return NULL;
    m->turn = ++s->n_turns;
    if (s->policy == SB_POLICY_ROUND_ROBIN) {
        s->virtual_time = m->key;
        m->key += SCALE / m->weight;
    }
    heap_fix(s, m);
    return m;
}
