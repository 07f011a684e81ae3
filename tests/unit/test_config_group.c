/* Groups of workers in a configuration (broker/config.h, config_group.c): completed, copied. What a file may say is in
 * tests/data/config. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "broker/config.h"

static void read_config(struct sb_config *config, const char *text)
{
    const char *path = unit_path("config");
    struct sockbroker_error error;
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    sb_config_init(config);
    sockbroker_status st = sb_config_read_file(config, path, &error);
    remove(path);
    if (!st)
        st = sb_config_complete(config, &error);
    if (!st)
        st = sb_config_check(config, &error);
    if (st)
        fail_msg("%s", error.text);
}

static void numbers_come_from_the_group_then_the_top_level_then_the_manual(void **state)
{
    struct sb_config c;
    const struct sb_group_config *g;

    (void)state;
    read_config(&c, "endpoint web { address = 127.0.0.1:80 }\nready_ms = 500\ndrain_ms = 600\nrestart_max = 7\n"
                    "group own { command = x\n ready_ms = 100\n drain_ms = 200\n spawn = 3 }\ngroup top { command = x }\n");
    g = sb_config_find_group(&c, "own");
    assert_int_equal(g->ready_ms, 100);
    assert_int_equal(g->drain_ms, 200);
    assert_int_equal(g->spawn, 3);
    assert_int_equal(g->restart_max, 7);
    g = sb_config_find_group(&c, "top");
    assert_int_equal(g->ready_ms, 500);
    assert_int_equal(g->drain_ms, 600);
    assert_int_equal(g->spawn, 1);
    assert_int_equal(g->term_ms, 10000);
    assert_int_equal(g->restart_delay_ms, 200);
    assert_int_equal(g->restart_window_ms, 60000);
    assert_null(sb_config_find_group(&c, "none"));
    sb_config_deinit(&c);
}

static void a_command_makes_a_group_where_it_stands(void **state)
{
    struct sb_config c;

    (void)state;
    read_config(&c,
                "command = {top, one}\nendpoint web { address = 127.0.0.1:80\n command = worker\n spawn = 2\n env = 'A=1' }\n"
                "endpoint api { address = 127.0.0.1:81 }\n");
    assert_int_equal(c.n_groups, 2);
    const struct sb_group_config *top = sb_config_find_group(&c, "workers"), *web = sb_config_find_group(&c, "web");
    assert_string_equal(top->command.texts[1], "one");
    assert_int_equal(top->endpoints.n, 0);
    assert_string_equal(web->command.texts[0], "worker");
    assert_int_equal(web->spawn, 2);
    assert_int_equal(web->endpoints.n, 1);
    assert_string_equal(web->endpoints.texts[0], "web");
    assert_string_equal(web->env.texts[0], "A=1");
    sb_config_deinit(&c);
}

static void a_copy_shares_nothing(void **state)
{
    struct sb_config c;
    struct sb_group_config copy;

    (void)state;
    read_config(&c, "endpoint web { address = 127.0.0.1:80 }\n"
                    "group g { command = {a, b}\n env = {'A=1', 'B=2'}\n endpoints = web\n spawn = 9 }\n");
    assert_status(SOCKBROKER_OK, sb_group_config_copy(&c.groups[0], &copy));
    sb_config_deinit(&c);
    assert_string_equal(copy.name, "g");
    assert_int_equal(copy.spawn, 9);
    assert_int_equal(copy.command.n, 2);
    assert_string_equal(copy.command.texts[1], "b");
    assert_string_equal(copy.env.texts[1], "B=2");
    assert_string_equal(copy.endpoints.texts[0], "web");
    assert_null(copy.user);
    sb_group_config_deinit(&copy);
    sb_group_config_deinit(&copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(numbers_come_from_the_group_then_the_top_level_then_the_manual),
        UNIT_TEST(a_command_makes_a_group_where_it_stands),
        UNIT_TEST(a_copy_shares_nothing),
    };

    return cmocka_run_group_tests_name("config_group", tests, NULL, NULL);
}
