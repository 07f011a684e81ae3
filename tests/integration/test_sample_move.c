/* samples/move_connection: one conversation with two processes. */
#include <stdio.h>
#include <string.h>

#include "tests/support/kit_deposit.h"

static struct kit_process *start_sample(struct kit_broker *b, const char *role, const char *name)
{
    struct kit_start how = { .args = { "--endpoint", "count", "--dir", b->dir, "--role", role, "--name", name } };
    struct kit_process *p = kit_process_start(name, SB_SAMPLE_EXE, &how);

    kit_process_wait_log(p, "ready\n");
    return p;
}

static void wait_end(struct kit_process *p)
{
    assert_int_equal(kit_process_wait(p), 0);
    kit_process_free(p);
}

static void client_sees_one_unbroken_conversation(void **state)
{
    static const char *const hosts[] = { "127.0.0.1", "::1" };
    struct kit_broker *b = kit_broker_start(&(struct kit_start){ .args = { "--endpoint", "count=[::]:0" } });

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct kit_process *first = start_sample(b, "first", "one");
        sockbroker_socket client = kit_connect(NULL, hosts[i], kit_broker_port(b, "count"));

        kit_send(client, "a\nb\n");
        kit_expect(client, "one 1: a\none 2: b\n");
        kit_send(client, "c\nd\ne"); /* more than the first takes */
        kit_expect(client, "one 3: c\n");
        wait_end(first);
        struct kit_process *second = start_sample(b, "second", "two");
        kit_expect(client, "two 4: d\n");
        kit_send(client, "e\n");
        kit_expect(client, "two 5: ee\n");
        kit_close(&client);
        wait_end(second);
    }
    kit_wait_deposits(b, 0);
    kit_broker_wait_ready(b, 0);
    kit_broker_wait_idle_fds(b);
    kit_broker_stop(b);
}

/* Asks until there is something. New clients are not its business. */
static void second_may_be_there_first(void **state)
{
    struct kit_broker *b = kit_broker_start(&(struct kit_start){ .args = { "--endpoint", "count=[::]:0" } });
    struct kit_process *second = start_sample(b, "second", "two");
    struct kit_process *first = start_sample(b, "first", "one");
    sockbroker_socket client = kit_connect(NULL, "::1", kit_broker_port(b, "count"));

    (void)state;
    kit_send(client, "a\nb\nc\nd\n");
    kit_expect(client, "one 1: a\none 2: b\none 3: c\ntwo 4: d\n");
    wait_end(first);
    kit_close(&client);
    wait_end(second);
    kit_broker_stop(b);
}

static void wrong_role_is_refused(void **state)
{
    struct kit_process *p = kit_process_start("sample", SB_SAMPLE_EXE, &(struct kit_start){ .args = { "--role", "third" } });

    (void)state;
    kit_process_wait_log(p, "--role third");
    assert_int_equal(kit_process_wait(p), 2);
    kit_process_free(p);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(client_sees_one_unbroken_conversation, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(second_may_be_there_first, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(wrong_role_is_refused, kit_setup, kit_teardown),
    };

    return kit_main(tests, argc, argv);
}
