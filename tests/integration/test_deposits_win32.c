/* Deposits, as far as Windows is another matter. */
#include <string.h>

#include "tests/support/kit_deposit.h"
#include "tests/support/net.h"

/* Accounts have no numbers there: one that a worker made up would be somebody in the broker. */
static void numbers_of_accounts_are_refused(void **state)
{
    static const uint32_t uids[] = { 1000 };
    struct kit_broker *b = kit_broker_start(&(struct kit_start){ .args = { "--endpoint", "web=[::]:0" } });
    struct sockbroker_worker *w = kit_asker_open(b, "w");
    struct sockbroker_deposit deposit = SOCKBROKER_DEPOSIT_INIT;
    struct sockbroker_error error;
    uint16_t port;

    (void)state;
    deposit.name = "n";
    deposit.sock = kit_bind_udp("::1", &port);
    deposit.allow_uids = uids;
    deposit.n_allow_uids = 1;
    assert_int_equal(sockbroker_worker_deposit(w, &deposit, &error), SOCKBROKER_UNSUPPORTED);
    assert_non_null(strstr(error.text, "allow_uids: "));
    deposit.n_allow_uids = 0;
    assert_int_equal(sockbroker_worker_deposit(w, &deposit, &error), SOCKBROKER_OK);
    net_close(&deposit.sock);
    sockbroker_worker_close(w);
    kit_broker_stop(b);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(numbers_of_accounts_are_refused, kit_setup, kit_teardown),
    };

    return kit_main(tests, argc, argv);
}
