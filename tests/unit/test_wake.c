/* The bell that a waiting thread and an event loop hear: wake.h. */
#include "tests/unit/unit.h"

#include "client-lib/wake.h"
#include "proto/clock.h"
#include "proto/thread.h"

static void it_is_readable_from_ring_to_quiet(void **state)
{
    struct sb_wake w;

    (void)state;
    assert_status(SOCKBROKER_OK, sb_wake_open(&w));
    assert_false(unit_is_readable(w.set));
    for (int i = 0; i < 1000; i++) {
        sb_wake_ring(&w);
        assert_true(unit_wait_readable(w.set));
        assert_true(unit_is_readable(w.set)); /* looking does not end it */
        sb_wake_quiet(&w);
        assert_false(unit_is_readable(w.set));
    }
    sb_wake_close(&w);
    assert_true(w.set == SOCKBROKER_SOCKET_NONE && w.bell == SOCKBROKER_SOCKET_NONE);
    sb_wake_close(&w);
}

/* It may be on its way still when it is taken back: then it must not come later. */
static void a_ring_that_nobody_heard_is_taken_back(void **state)
{
    struct sb_wake w;

    (void)state;
    assert_status(SOCKBROKER_OK, sb_wake_open(&w));
    for (int i = 0; i < 1000; i++) {
        sb_wake_ring(&w);
        sb_wake_quiet(&w);
        assert_status(SOCKBROKER_TIMEOUT, sb_wake_wait(&w, 0));
    }
    sb_wake_close(&w);
}

static void waiting_ends_with_the_bell_or_the_time(void **state)
{
    struct sb_wake w;

    (void)state;
    assert_status(SOCKBROKER_OK, sb_wake_open(&w));
    uint64_t before_ns = sb_clock_ns();
    assert_status(SOCKBROKER_TIMEOUT, sb_wake_wait(&w, 50));
    assert_true(sb_clock_ns() - before_ns > 25 * 1000000u); /* systems round */
    sb_wake_ring(&w);
    assert_status(SOCKBROKER_OK, sb_wake_wait(&w, UNIT_PATIENCE_MS));
    assert_status(SOCKBROKER_OK, sb_wake_wait(&w, -1)); /* rings until it is quiet, and for all */
    sb_wake_close(&w);
}

static void ring(void *wake)
{
    sb_wake_ring(wake);
}

static void another_thread_can_ring(void **state)
{
    struct sb_thread *thread;
    struct sb_wake w;

    (void)state;
    assert_status(SOCKBROKER_OK, sb_wake_open(&w));
    assert_status(SOCKBROKER_OK, sb_thread_create(ring, &w, &thread));
    assert_status(SOCKBROKER_OK, sb_wake_wait(&w, UNIT_PATIENCE_MS));
    sb_thread_join(thread);
    sb_wake_close(&w);
}

static void do_nothing(void *arg)
{
    (void)arg;
}

/* nng, which makes the threads, opens descriptors of its own with the first, and keeps them. */
static int start_threads(void **state)
{
    struct sb_thread *thread;

    (void)state;
    if (sb_thread_create(do_nothing, NULL, &thread))
        return -1;
    sb_thread_join(thread);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(it_is_readable_from_ring_to_quiet),
        UNIT_TEST(a_ring_that_nobody_heard_is_taken_back),
        UNIT_TEST(waiting_ends_with_the_bell_or_the_time),
        UNIT_TEST(another_thread_can_ring),
    };

    return cmocka_run_group_tests_name("wake", tests, start_threads, NULL);
}
