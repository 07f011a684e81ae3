/* `sockbroker connect`, what is true on POSIX alone, or cannot be seen on Wine. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/integration/connect_kit.h"
#include "tests/support/format.h"
#include "tests/support/kit_deposit.h"
#include "tests/support/net.h"

static void reset_of_the_peer_is_a_failure(void **state)
{
    struct kit_broker *b = connect_kit_start();
    uint16_t port;
    sockbroker_socket listener = kit_listen("::1", &port);
    struct kit_process *p = connect_kit_run(b, "::1", port, NULL, NULL);
    sockbroker_socket peer = kit_accept(listener);

    (void)state;
    kit_send(peer, "made");
    kit_process_wait_log(p, "made"); /* so it is not the broker that is told */
    kit_close(&peer);
    kit_process_wait_log(p, "sockbroker connect: the connection: ECONNRESET");
    connect_kit_check_exit(p, 1);
    net_close(&listener);
    connect_kit_finish(b);
}

/* Its reader has gone: seen before anything is written, too. */
static void output_that_nobody_reads_ends_it_at_once(void **state)
{
    struct kit_broker *b = connect_kit_start();
    uint16_t port;
    sockbroker_socket listener = kit_listen("::1", &port);
    char script[768];

    (void)state;
    format_text(script, sizeof(script), "(%s connect ::1 %u --dir %s </dev/zero; echo exit $? >&2) | head -c 5 >&2",
                SB_BROKER_EXE, port, b->dir);
    struct kit_process *p = kit_process_start("pipeline", "/bin/sh",
                                              &(struct kit_start){ .args = { "-c", script }, .env = { "PATH=/usr/bin:/bin" } });
    sockbroker_socket peer = kit_accept(listener);
    kit_send(peer, "12345");
    kit_process_wait_log(p, "12345");
    kit_process_wait_log(p, "sockbroker connect: standard output: its reader has closed it\n");
    kit_process_wait_log(p, "exit 1\n");
    connect_kit_check_exit(p, 0);
    kit_close(&peer);
    net_close(&listener);
    connect_kit_finish(b);
}

/* A directory without anything in it; that of a broker which has gone: test_connect.c. */
static void without_a_broker_the_exit_code_is_3(void **state)
{
    char dir[] = "/tmp/sbconnect-XXXXXX", output[512];
    const char *const args[] = { "connect", "::1", "80", "--dir", dir, NULL };

    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(kit_run(args, output, sizeof(output)), 3);
    assert_non_null(strstr(output, dir));
    assert_int_equal(rmdir(dir), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reset_of_the_peer_is_a_failure, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(output_that_nobody_reads_ends_it_at_once, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(without_a_broker_the_exit_code_is_3, kit_setup, kit_teardown),
    };

    return kit_main(tests, argc, argv);
}
