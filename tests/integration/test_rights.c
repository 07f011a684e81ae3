/* Who may be a worker, as far as Windows is another matter: one whose process the broker may not use (F114) is told so when it
 * attaches, and the next one with the right is served; accounts that are admitted later. */
#include "tests/support/kit.h"

#include <winsock2.h>

#include <windows.h>

#include <aclapi.h>
#include <sddl.h>

#include <string.h>

#define ALL L"D:(A;;GA;;;WD)"
#define LOOK_AND_WAIT L"D:(A;;0x101000;;;WD)" /* PROCESS_QUERY_LIMITED_INFORMATION, SYNCHRONIZE */

static void let_others(const wchar_t *rules)
{
    PSECURITY_DESCRIPTOR descriptor = NULL;
    BOOL is_there, is_default;
    PACL list = NULL;

    assert_true(ConvertStringSecurityDescriptorToSecurityDescriptorW(rules, SDDL_REVISION_1, &descriptor, NULL));
    assert_true(GetSecurityDescriptorDacl(descriptor, &is_there, &list, &is_default));
    assert_int_equal(SetSecurityInfo(GetCurrentProcess(), SE_KERNEL_OBJECT, DACL_SECURITY_INFORMATION, NULL, NULL, list, NULL),
                     0);
    LocalFree(descriptor);
}

static void without_the_right_to_give_it_sockets_there_is_no_worker(void **state)
{
    struct kit_broker *b = kit_broker_start(&(struct kit_start){ .args = { "--endpoint", "web=[::]:0" } });
    struct sockbroker_worker_options options = SOCKBROKER_WORKER_OPTIONS_INIT;
    struct sockbroker_worker *worker = NULL;
    struct sockbroker_error error;

    (void)state;
    options.dir = b->dir;
    options.endpoints = "web";
    options.name = "w";
    let_others(LOOK_AND_WAIT);
    sockbroker_status st = sockbroker_worker_open(&options, &worker, &error);
    let_others(ALL);
    assert_int_equal(st, SOCKBROKER_PERMISSION);
    assert_non_null(strstr(error.text, "may not open the worker's process"));
    assert_null(worker);
    assert_int_equal(sockbroker_worker_open(&options, &worker, &error), SOCKBROKER_OK); /* under the same name */
    sockbroker_worker_close(worker);
    kit_broker_stop(b);
}

/* The rules of the pipe are made at the start. */
static void who_is_admitted_later_waits_for_a_restart(void **state)
{
    struct kit_config c;

    (void)state;
    kit_config_open(&c, "endpoint web { address = \"[::]:0\" }\n");
    struct kit_broker *b = kit_broker_start(&(struct kit_start){ .args = { "--config", c.path } });
    kit_broker_reload(b, "event=reloaded");
    assert_false(kit_process_has_log(b->process, "event=needs_restart"));
    kit_config_write(&c, "endpoint web {\n address = \"[::]:0\"\n allow_uid = S-1-5-19\n}\n");
    kit_broker_reload(b, "event=reloaded");
    assert_true(kit_process_has_log(b->process, "event=needs_restart keys=\"allow_uid"));
    kit_broker_stop(b);
    kit_config_close(&c);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_the_right_to_give_it_sockets_there_is_no_worker, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(who_is_admitted_later_waits_for_a_restart, kit_setup, kit_teardown),
    };

    return kit_main(tests, argc, argv);
}
