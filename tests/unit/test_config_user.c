/* Workers of another user in a configuration (broker/config.h): POSIX alone. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "broker/config.h"
#include "broker/ids.h"

static void a_copy_has_a_user_of_its_own(void **state)
{
    static const char text[] = "endpoint web { address = 127.0.0.1:80 }\ngroup g { command = x\n user = 0 }\n";
    struct sb_config c;
    struct sb_group_config copy;
    struct sockbroker_error error;

    (void)state;
    sb_config_init(&c);
    const char *path = unit_path("config");
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_status(SOCKBROKER_OK, sb_config_read_file(&c, path, &error));
    assert_status(SOCKBROKER_OK, sb_config_complete(&c, &error));
    assert_status(SOCKBROKER_OK, sb_group_config_copy(&c.groups[0], &copy));
    sb_config_deinit(&c);
    assert_int_equal(copy.user->uid, 0);
    assert_true(copy.user->n_groups > 0);
    sb_group_config_deinit(&copy);
    sb_group_config_deinit(&copy);
}

static void another_user_needs_a_directory_that_lets_it_in(void **state)
{
    static const char text[] =
        "endpoint web { address = 127.0.0.1:80\n allow_uid = nobody }\ngroup g { command = x\n user = nobody }\n";
    struct sb_config c;
    struct sockbroker_error error;
    const char *mode = "0711";

    (void)state;
    sb_config_init(&c);
    const char *path = unit_path("config");
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_status(SOCKBROKER_OK, sb_config_read_file(&c, path, &error));
    assert_status(SOCKBROKER_OK, sb_config_complete(&c, &error));
    assert_status(SOCKBROKER_INVALID, sb_config_check(&c, &error));
    assert_non_null(strstr(error.text, "dir_mode = 0711"));
    assert_status(SOCKBROKER_OK, sb_config_set_global(&c, "dir_mode", &mode, 1, &error));
    assert_status(SOCKBROKER_OK, sb_config_check(&c, &error));
    sb_config_deinit(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(a_copy_has_a_user_of_its_own),
        UNIT_TEST(another_user_needs_a_directory_that_lets_it_in),
    };

    return cmocka_run_group_tests_name("config_user", tests, NULL, NULL);
}
