/* The broker as a service of Windows: installed, started, asked, stopped, removed. */
#include <string.h>

#include <winsock2.h>
#include <windows.h>

#include "tests/support/format.h"
#include "tests/support/kit.h"

static char name[48]; /* of the service and of its runtime directory: each run has its own */

static int order(const char *verb, char output[1024])
{
    return kit_run((const char *const[]){ "service", verb, "--name", name, NULL }, output, 1024);
}

static int install(const char *endpoint, char output[1024])
{
    return kit_run((const char *const[]){ "service", "install", "--name", name, "--account", "LocalSystem", "--dir", name,
                                          "--endpoint", endpoint, NULL },
                   output, 1024);
}

static int look(char output[1024])
{
    return kit_run((const char *const[]){ "status", "--dir", name, NULL }, output, 1024);
}

/* It must do so, or the test shows what it said. */
static void must(const char *verb)
{
    char output[1024];

    if (order(verb, output))
        kit_fail("service %s: %s", verb, output);
}

static int setup(void **state)
{
    char output[1024];

    format_text(name, sizeof(name), "sbkit-service-%lu", GetCurrentProcessId());
    if (kit_setup(state))
        return -1;
    return install("web=[::]:0", output);
}

/* Also of a test that failed. */
static int teardown(void **state)
{
    char output[1024];

    order("stop", output);
    order("uninstall", output);
    return kit_teardown(state);
}

static void a_service_serves_until_it_is_stopped(void **state)
{
    char output[1024];

    (void)state;
    for (unsigned i = 0; i < 2; i++) { /* it can be started again */
        must("start");
        assert_int_equal(look(output), 0);
        assert_non_null(strstr(output, "endpoint web"));
        must("stop");
        assert_int_equal(look(output), 3);
    }
}

static void what_is_wrong_with_a_service_is_said(void **state)
{
    char output[1024];

    (void)state;
    assert_int_equal(install("web=[::]:0", output), 1);
    assert_non_null(strstr(output, "uninstall it, or choose another --name"));
    assert_int_equal(install("web=nowhere", output), 2);
    must("uninstall");
    assert_int_equal(order("start", output), 1);
    assert_non_null(strstr(output, "install it, or give its --name"));
    assert_int_equal(order("dance", output), 2);
}

/* "uninstall" of one that runs ends it first. */
static void a_running_service_can_be_removed(void **state)
{
    char output[1024];

    (void)state;
    must("start");
    must("uninstall");
    kit_until(look(output) == 3);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(a_service_serves_until_it_is_stopped),
        TEST(what_is_wrong_with_a_service_is_said),
        TEST(a_running_service_can_be_removed),
    };

    return kit_main(tests, argc, argv);
}
