#include "tests/integration/connect_kit.h"

#include "tests/support/format.h"
#include "tests/support/kit_deposit.h"
#include "tests/support/net.h"

static void warm_up(struct kit_broker *b)
{
    uint16_t port;
    sockbroker_socket listener = kit_listen("127.0.0.1", &port);
    struct kit_process *p = connect_kit_run(b, "127.0.0.1", port, NULL, NULL);
    sockbroker_socket peer = kit_accept(listener);

    kit_process_end_input(p);
    net_close(&peer);
    net_close(&listener);
    connect_kit_check_exit(p, 0);
    kit_broker_wait_ready(b, 0);
    kit_broker_wait_idle_after_first_use(b);
}

struct kit_broker *connect_kit_start(void)
{
    struct kit_broker *b = kit_broker_start(&(struct kit_start){ .args = { "--endpoint", "web=[::]:0" } });

    warm_up(b);
    return b;
}

void connect_kit_finish(struct kit_broker *b)
{
    kit_broker_wait_ready(b, 0);
    kit_broker_wait_idle_fds(b);
    kit_broker_stop(b);
}

struct kit_process *connect_kit_run(const struct kit_broker *b, const char *host, uint16_t port, const char *more,
                                    const char *value)
{
    char number[8];
    const char *const args[] = { "connect", host, number, "--dir", b->dir, more, value, NULL };

    format_text(number, sizeof(number), "%u", port);
    return kit_run_start(args);
}

void connect_kit_check_exit(struct kit_process *p, int code)
{
    int got = kit_process_wait(p);

    if (got != code)
        kit_fail("exit code %d instead of %d", got, code);
    kit_process_free(p);
}
