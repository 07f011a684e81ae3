/* The load of test_delivery can see losses: without a broker, a worker that is killed loses what waits in its queue. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/format.h"
#include "tests/support/kit.h"

#define N_WORKERS 4

/* Length of the longest queue of a listening socket on that port, as /proc/net/tcp6 tells it. */
static unsigned longest_queue(uint16_t port)
{
    char line[512];
    unsigned longest = 0;
    FILE *f = fopen("/proc/net/tcp6", "re");

    while (f && fgets(line, sizeof(line), f)) {
        unsigned own_port, state, queue;

        if (sscanf(line, " %*d: %*32[0-9A-F]:%x %*32[0-9A-F]:%*x %x %*x:%x", &own_port, &state, &queue) == 3 &&
            own_port == port && state == 0x0A && queue > longest)
            longest = queue;
    }
    if (f)
        fclose(f);
    return longest;
}

static void naive_hand_over_loses_connections(void **state)
{
    enum { CONCURRENCY = 64 };
    struct kit_process *w[N_WORKERS];
    char port[8] = "0";
    struct kit_load_result r;

    (void)state;
    for (unsigned i = 0; i < N_WORKERS; i++) {
        w[i] = kit_process_start("naive", SB_NAIVE_EXE, &(struct kit_start){ .args = { port } });
        format_text(port, sizeof(port), "%u", (unsigned)strtoul(kit_process_wait_log(w[i], "ready ") + 6, NULL, 10));
    }
    kit_process_stop(w[0]);
    struct kit_load *load = kit_load_start(
        &(struct kit_load_options){ .port = (uint16_t)strtoul(port, NULL, 10), .total = 4000, .concurrency = CONCURRENCY });
    kit_until(longest_queue((uint16_t)strtoul(port, NULL, 10)) >=
              CONCURRENCY / 2); /* only the stopped one's can be that long for long */
    kit_process_kill(w[0]);
    kit_load_finish(load, &r);
    kit_load_print("naive", &r);
    assert_true(r.reset >= CONCURRENCY / 4);
    assert_int_equal(r.answered + r.reset + r.empty + r.refused, 4000);
    for (unsigned i = 1; i < N_WORKERS; i++)
        kit_process_kill(w[i]);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(naive_hand_over_loses_connections, kit_setup, kit_teardown),
    };

    return kit_main(tests, argc, argv);
}
