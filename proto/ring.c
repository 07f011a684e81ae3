#include "proto/ring.h"

#include <stdatomic.h>

#include "proto/ring_page.h"

bool sb_ring_put(struct sb_ring *ring, const struct sb_result *results, uint32_t n_results)
{
    struct sb_ring_page *p = ring->page;

    if (!p)
        return false;
    uint32_t n_put = atomic_load_explicit(&p->n_put, memory_order_relaxed);
    uint32_t n_taken = atomic_load_explicit(&p->n_taken, memory_order_acquire);
    if (n_put - n_taken + n_results > SB_RING_ENTRIES)
        return false;
    for (uint32_t i = 0; i < n_results; i++) {
        struct sb_ring_entry *e = &p->entries[(n_put + i) % SB_RING_ENTRIES];

        atomic_store_explicit(&e->lease_id, results[i].lease_id, memory_order_relaxed);
        atomic_store_explicit(&e->verdict, (uint32_t)results[i].verdict, memory_order_relaxed);
    }
    atomic_store_explicit(&p->n_put, n_put + n_results, memory_order_seq_cst); /* before the look at the bell */
    return true;
}

bool sb_ring_bell_was_up(struct sb_ring *ring)
{
    return atomic_load_explicit(&ring->page->bell, memory_order_seq_cst) && atomic_exchange(&ring->page->bell, 0);
}

void sb_ring_raise_bell(struct sb_ring *ring)
{
    if (ring->page && !atomic_load_explicit(&ring->page->bell, memory_order_relaxed))
        atomic_store_explicit(&ring->page->bell, 1, memory_order_seq_cst); /* before the last look at n_put */
}

static bool take_entry(const struct sb_ring_entry *e, struct sb_result *result_out)
{
    uint32_t verdict = atomic_load_explicit(&e->verdict, memory_order_relaxed);

    result_out->lease_id = atomic_load_explicit(&e->lease_id, memory_order_relaxed);
    result_out->verdict = (enum sb_verdict)verdict;
    return result_out->lease_id && verdict >= SB_VERDICT_ACK && verdict <= SB_VERDICT_FINISHED;
}

sockbroker_status sb_ring_take(struct sb_ring *ring, struct sb_report *report_out)
{
    if (!ring->page)
        return SOCKBROKER_AGAIN;
    uint32_t n = atomic_load_explicit(&ring->page->n_put, memory_order_seq_cst) - ring->n_taken;
    if (n == 0)
        return SOCKBROKER_AGAIN;
    if (n > SB_RING_ENTRIES)
        return SOCKBROKER_BAD_MESSAGE;
    if (n > SB_RESULTS_MAX)
        n = SB_RESULTS_MAX;
    for (uint32_t i = 0; i < n; i++) {
        if (!take_entry(&ring->page->entries[(ring->n_taken + i) % SB_RING_ENTRIES], &report_out->results[i]))
            return SOCKBROKER_BAD_MESSAGE;
    }
    report_out->n_results = n;
    report_out->probe = 0;
    report_out->bell = false;
    ring->n_taken += n;
    atomic_store_explicit(&ring->page->n_taken, ring->n_taken, memory_order_release);
    return SOCKBROKER_OK;
}
