#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/clock.h"
#include "proto/thread.h"
#include "tests/support/kit_process.h"
#include "tests/support/net.h"

static unsigned fds_before;

uint64_t kit_now_ms(void)
{
    return sb_clock_ms();
}

unsigned kit_scale(void)
{
    const char *text = getenv("SOCKBROKER_TEST_SCALE");
    unsigned scale = text ? (unsigned)strtoul(text, NULL, 10) : 1;

    return scale ? scale : 1;
}

void kit_filter(int argc, char **argv)
{
    net_start();
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
}

/* nng opens what it keeps for ever when it is first used. */
static void warm_up(void)
{
    struct sb_client *client;
    struct sockbroker_error error;
    static bool done;

    if (done)
        return;
    done = true;
    if (sb_ask_open("/nonexistent/sockbroker", &client, &error) == SOCKBROKER_OK)
        sb_client_close(client);
}

int kit_setup(void **state)
{
    (void)state;
    warm_up();
    fds_before = kit_count_fds((int)sb_process_id());
    return 0;
}

static int check_descriptors(void)
{
    uint64_t end_ms = kit_now_ms() + 5000; /* nng closes some on its own threads */
    unsigned n;

    while ((n = kit_count_fds((int)sb_process_id())) > fds_before && kit_now_ms() < end_ms)
        kit_pause(5);
    if (n <= fds_before) /* fewer: nng had not tidied up yet after the one before */
        return 0;
    fprintf(stderr, "the test began with %u descriptors and ended with %u\n", fds_before, n);
    return -1;
}

int kit_teardown(void **state)
{
    unsigned n_left = kit_process_clear();
    bool children = kit_process_has_children();

    (void)state;
    kit_broker_clear();
    if (n_left)
        fprintf(stderr, "the test left %u processes\n", n_left);
    if (children)
        fprintf(stderr, "the test left a child that the kit does not know\n");
    if (n_left) /* it failed before its end; its descriptors are no news */
        return -1;
    return check_descriptors() || children ? -1 : 0;
}
