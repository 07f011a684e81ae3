/* The ring: what one side puts the other takes, in order; a worker can write what it likes into it and harms only itself. */
#include "proto/ring.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "proto/ring_page.h"
#include "proto/socket.h"
#include "tests/unit/unit.h"

struct both {
    struct sb_ring broker, worker;
};

static struct both open_both(void)
{
    struct both b = { SB_RING_NONE, SB_RING_NONE };
    sockbroker_socket memory = SOCKBROKER_SOCKET_NONE;

    assert_status(SOCKBROKER_OK, sb_ring_create(&b.broker, &memory));
    assert_status(SOCKBROKER_OK, sb_ring_open(memory, &b.worker));
    sb_socket_close(&memory);
    return b;
}

static void close_both(struct both *b)
{
    sb_ring_close(&b->worker);
    sb_ring_close(&b->worker);
    sb_ring_close(&b->broker);
}

static bool put(struct both *b, uint64_t first_id, uint32_t n)
{
    struct sb_result results[SB_RING_ENTRIES + 1];

    for (uint32_t i = 0; i < n; i++) {
        results[i].lease_id = first_id + i;
        results[i].verdict = i % 2 ? SB_VERDICT_FINISHED : SB_VERDICT_ACK;
    }
    return sb_ring_put(&b->worker, results, n);
}

static void assert_takes(struct both *b, uint64_t first_id, uint32_t n)
{
    struct sb_report r;

    assert_status(SOCKBROKER_OK, sb_ring_take(&b->broker, &r));
    assert_int_equal(r.n_results, n);
    assert_true(!r.probe && !r.bell);
    for (uint32_t i = 0; i < n; i++)
        assert_true(r.results[i].lease_id == first_id + i);
}

static void assert_empty(struct both *b)
{
    struct sb_report r;

    assert_status(SOCKBROKER_AGAIN, sb_ring_take(&b->broker, &r));
}

static void results_come_out_in_order_for_ever(void **state)
{
    struct both b = open_both();
    uint64_t id = 1;

    (void)state;
    assert_empty(&b);
    for (uint32_t i = 0; i < 3 * SB_RING_ENTRIES; i++) { /* several times round */
        uint32_t n = 1 + i % 7;

        assert_true(put(&b, id, n));
        assert_takes(&b, id, n);
        assert_empty(&b);
        id += n;
    }
    close_both(&b);
}

static void the_counts_may_wrap(void **state)
{
    struct both b = open_both();

    (void)state;
    b.broker.n_taken = UINT32_MAX - 2;
    atomic_store(&b.broker.page->n_put, UINT32_MAX - 2);
    atomic_store(&b.broker.page->n_taken, UINT32_MAX - 2);
    assert_true(put(&b, 10, 5));
    assert_takes(&b, 10, 5);
    assert_true(put(&b, 20, 1));
    assert_takes(&b, 20, 1);
    close_both(&b);
}

static void a_full_ring_takes_all_or_nothing(void **state)
{
    struct both b = open_both();

    (void)state;
    assert_true(put(&b, 1, SB_RING_ENTRIES - 1));
    assert_false(put(&b, 1000, 2));
    assert_true(put(&b, SB_RING_ENTRIES, 1));
    assert_false(put(&b, 1000, 1));
    assert_takes(&b, 1, SB_RESULTS_MAX);
    assert_takes(&b, 1 + SB_RESULTS_MAX, SB_RING_ENTRIES - SB_RESULTS_MAX);
    assert_empty(&b);
    assert_true(put(&b, 7, 1));
    close_both(&b);
}

static void without_a_ring_nothing_is_put_or_taken(void **state)
{
    struct both b = { SB_RING_NONE, SB_RING_NONE };

    (void)state;
    assert_false(put(&b, 1, 1));
    assert_empty(&b);
    sb_ring_raise_bell(&b.broker);
    close_both(&b);
}

static void the_bell_is_heard_once(void **state)
{
    struct both b = open_both();

    (void)state;
    assert_false(sb_ring_bell_was_up(&b.worker));
    sb_ring_raise_bell(&b.broker);
    sb_ring_raise_bell(&b.broker);
    assert_true(sb_ring_bell_was_up(&b.worker));
    assert_false(sb_ring_bell_was_up(&b.worker));
    close_both(&b);
}

/* What a hostile worker may write. */
static void nonsense_is_refused(void **state)
{
    static const struct {
        uint32_t n_put;
        uint64_t lease_id;
        uint32_t verdict;
    } rows[] = {
        { SB_RING_ENTRIES + 1, 1, SB_VERDICT_ACK },
        { UINT32_MAX, 1, SB_VERDICT_ACK },
        { 1, 0, SB_VERDICT_ACK },
        { 1, 1, 0 },
        { 1, 1, SB_VERDICT_FINISHED + 1 },
        { 1, 1, UINT32_MAX },
    };

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct both b = open_both();
        struct sb_report r;

        atomic_store(&b.worker.page->entries[0].lease_id, rows[i].lease_id);
        atomic_store(&b.worker.page->entries[0].verdict, rows[i].verdict);
        atomic_store(&b.worker.page->n_put, rows[i].n_put);
        assert_status(SOCKBROKER_BAD_MESSAGE, sb_ring_take(&b.broker, &r));
        close_both(&b);
    }
}

static void a_worker_cannot_take_the_page_away(void **state)
{
    struct sb_ring ring = SB_RING_NONE;
    sockbroker_socket memory = SOCKBROKER_SOCKET_NONE;

    (void)state;
    assert_status(SOCKBROKER_OK, sb_ring_create(&ring, &memory));
    assert_true(ftruncate(memory, 0) < 0);
    assert_true(ftruncate(memory, 1 << 20) < 0);
    sb_socket_close(&memory);
    sb_ring_close(&ring);
}

static void only_a_sealed_page_of_the_right_size_is_opened(void **state)
{
    struct sb_ring ring = SB_RING_NONE;
    int unsealed = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int small = memfd_create("small", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int pipes[2];

    (void)state;
    assert_int_equal(ftruncate(unsealed, SB_RING_BYTES), 0);
    assert_int_equal(ftruncate(small, SB_RING_BYTES - 1), 0);
    assert_int_equal(fcntl(small, F_ADD_SEALS, F_SEAL_SHRINK), 0);
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    assert_status(SOCKBROKER_INVALID, sb_ring_open(unsealed, &ring));
    assert_status(SOCKBROKER_INVALID, sb_ring_open(small, &ring));
    assert_status(SOCKBROKER_INVALID, sb_ring_open(pipes[0], &ring));
    close(unsealed);
    close(small);
    close(pipes[0]);
    close(pipes[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(results_come_out_in_order_for_ever),
        UNIT_TEST(the_counts_may_wrap),
        UNIT_TEST(a_full_ring_takes_all_or_nothing),
        UNIT_TEST(without_a_ring_nothing_is_put_or_taken),
        UNIT_TEST(the_bell_is_heard_once),
        UNIT_TEST(nonsense_is_refused),
        UNIT_TEST(a_worker_cannot_take_the_page_away),
        UNIT_TEST(only_a_sealed_page_of_the_right_size_is_opened),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
