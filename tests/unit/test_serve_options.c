/* What serve_options.h promises: what may be written on the command line, and which of several sayings counts. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "broker/command.h"
#include "broker/serve_options.h"
#include "tests/support/format.h"

/* ---- support ---- */

/* main.c's, which is not in the library. */
int sb_command_misuse(const char *command, const char *format, ...)
{
    va_list args;

    fprintf(stderr, "sockbroker %s: ", command);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    return SB_EXIT_USAGE;
}

#define ARGS_MAX 80

/* Splits at blanks; what goes to stderr is read back into said_out (may be NULL). */
static bool read_line(const char *line, struct sb_serve_options *o, char *said_out, size_t said_size)
{
    static char text[8192];
    static char command[] = "serve";
    static char *argv[ARGS_MAX * 2 + 2]; /* the options point into it */
    int argc = 1;
    char *save = NULL;
    int ends[2], saved = dup(STDERR_FILENO);

    format_text(text, sizeof(text), "%s", line);
    memset(argv, 0, sizeof(argv));
    argv[0] = command;
    for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save))
        argv[argc++] = word;
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    fflush(stderr);
    dup2(ends[1], STDERR_FILENO);
    optind = 0; /* glibc: begin anew */
    bool understood = sb_serve_options_read("serve", argc, argv, o);
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
    if (said_out) {
        ssize_t n = read(ends[0], said_out, said_size - 1);
        said_out[n > 0 ? n : 0] = '\0';
    }
    close(ends[0]);
    close(ends[1]);
    return understood;
}

static void assert_read(const char *line, struct sb_serve_options *o)
{
    char said[512];

    bool understood = read_line(line, o, said, sizeof(said));
    assert_string_equal(said, "");
    assert_true(understood);
}

static const char *write_config(const char *text)
{
    const char *path = unit_path("config");
    FILE *f = fopen(path, "we");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    return path;
}

/* ---- tests ---- */

static void options_are_taken_in_order_long_or_short(void **state)
{
    struct sb_serve_options o;

    (void)state;
    assert_read("--endpoint a=[::]:1 --config F --set drain_ms=5 -e b=[::]:2 --dir D --set attach_ms=200", &o);
    assert_int_equal(o.n_endpoints, 2);
    assert_string_equal(o.endpoints[0], "a=[::]:1");
    assert_string_equal(o.endpoints[1], "b=[::]:2");
    assert_string_equal(o.config_path, "F");
    assert_string_equal(o.dir, "D");
    assert_int_equal(o.n_settings, 2);
    assert_string_equal(o.settings[1], "attach_ms=200");
    assert_false(o.help);
    assert_read("-c F -d D", &o);
    assert_string_equal(o.config_path, "F");
    assert_int_equal(o.n_endpoints, 0);
    assert_read("--help", &o); /* needs nothing to serve */
    assert_true(o.help);
    assert_read("--endpoint=a=[::]:1", &o);
    assert_string_equal(o.endpoints[0], "a=[::]:1");
}

static void a_wrong_line_says_what_is_wrong(void **state)
{
    static const struct {
        const char *line, *word;
    } rows[] = {
        { "", "nothing to serve" },
        { "--dir D", "nothing to serve" },
        { "--set a=b", "nothing to serve" },
        { "-e a=[::]:1 more", "\"more\"" },
        { "--endpoint", "--endpoint" },
        { "--wrong", "--wrong" },
        { "-x", "x" },
        { "--spawn 2 -- cmd", "nothing to serve" },
        { "-e a=[::]:1 --spawn", "--spawn" },
        { "-e a=[::]:1 cmd --spawn 2", "stands after --" },
        { "-e a=[::]:1 --help=yes", "help" },
    };

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct sb_serve_options o;
        char said[512];

        assert_false(read_line(rows[i].line, &o, said, sizeof(said)));
        if (!strstr(said, rows[i].word))
            print_error("\"%s\": \"%s\"\n", rows[i].line, said);
        assert_non_null(strstr(said, rows[i].word));
        assert_non_null(strstr(said, "sockbroker serve: "));
    }
}

static void a_command_stands_after_two_dashes_with_options_of_its_own(void **state)
{
    struct sb_serve_options o;

    (void)state;
    assert_read("-e a=[::]:1 --spawn 3 -- worker --spawn 4 -- -d", &o);
    assert_string_equal(o.spawn, "3");
    assert_null(o.dir);
    assert_int_equal(o.n_command, 5);
    assert_string_equal(o.command[0], "worker");
    assert_string_equal(o.command[1], "--spawn");
    assert_string_equal(o.command[3], "--");
    assert_read("-e a=[::]:1 --", &o);
    assert_int_equal(o.n_command, 0);
}

static void a_command_becomes_a_group_of_every_endpoint(void **state)
{
    static const char *const command[] = { "worker", "--fast", "" };
    struct sb_serve_options o = { .spawn = "2", .command = command, .n_command = 3 };
    struct sockbroker_error error;
    struct sb_config config;

    (void)state;
    o.endpoints[o.n_endpoints++] = "web=127.0.0.1:3";
    o.settings[o.n_settings++] = "ready_ms=700";
    o.settings[o.n_settings++] = "drain_ms=800";
    assert_status(SOCKBROKER_OK, sb_serve_options_load(&o, &config, &error));
    assert_int_equal(config.n_groups, 1);
    const struct sb_group_config *g = sb_config_find_group(&config, "workers");
    assert_non_null(g);
    assert_int_equal(g->spawn, 2);
    assert_int_equal(g->ready_ms, 700);
    assert_int_equal(g->drain_ms, 800);
    assert_int_equal(g->command.n, 3);
    assert_string_equal(g->command.texts[2], "");
    assert_int_equal(g->endpoints.n, 0);
    sb_config_deinit(&config);
    o.n_command = 0;
    assert_status(SOCKBROKER_INVALID, sb_serve_options_load(&o, &config, &error));
    assert_non_null(strstr(error.text, "command"));
    sb_config_deinit(&config);
}

static void lists_are_full_at_their_limit(void **state)
{
    static const struct {
        const char *option;
        int max;
    } rows[] = { { " -e a=[::]:1", SB_ENDPOINT_OPTIONS_MAX }, { " --set drain_ms=1", SB_SET_OPTIONS_MAX } };

    (void)state;
    for (size_t r = 0; r < UNIT_COUNT(rows); r++) {
        char line[8192] = "-c F";
        char said[512];
        struct sb_serve_options o;

        for (int i = 0; i < rows[r].max; i++)
            strcat(line, rows[r].option);
        assert_read(line, &o);
        strcat(line, rows[r].option);
        assert_false(read_line(line, &o, said, sizeof(said)));
        assert_non_null(strstr(said, "more than"));
    }
}

static void the_command_line_goes_over_the_file(void **state)
{
    struct sb_serve_options o = { 0 };
    struct sockbroker_error error;
    struct sb_config config;

    (void)state;
    o.config_path = write_config("drain_ms = 1\nattach_ms = 300\ndir = /from/file\n"
                                 "endpoint web { address = 127.0.0.1:1 }\nendpoint api { address = 127.0.0.1:2 }\n");
    o.settings[o.n_settings++] = "drain_ms=2";
    o.settings[o.n_settings++] = "dir=/from/set";
    o.endpoints[o.n_endpoints++] = "web=127.0.0.1:3";
    o.endpoints[o.n_endpoints++] = "new=127.0.0.1:4";
    o.dir = "/from/option";
    sockbroker_status st = sb_serve_options_load(&o, &config, &error);
    if (st)
        print_error("%s\n", error.text);
    assert_status(SOCKBROKER_OK, st);
    assert_int_equal(config.drain_ms, 2);
    assert_int_equal(config.attach_ms, 300);
    assert_string_equal(config.dir, "/from/option");
    assert_int_equal(config.n_endpoints, 3);
    assert_int_equal(sb_config_find(&config, "web")->addresses[0].port, 3);
    assert_int_equal(sb_config_find(&config, "api")->addresses[0].port, 2);
    assert_int_equal(sb_config_find(&config, "new")->addresses[0].port, 4);
    sb_config_deinit(&config);
}

static void plus_joins_the_items_of_a_list(void **state)
{
    struct sb_serve_options o = { .settings = { "connect_allow=10.0.0.0/8:443+[2001:db8::/32]:80-90+::1", "dir=/a+b" },
                                  .n_settings = 2,
                                  .endpoints = { "a=127.0.0.1:1" },
                                  .n_endpoints = 1 };
    struct sockbroker_error error;
    struct sb_config config;

    (void)state;
    assert_status(SOCKBROKER_OK, sb_serve_options_load(&o, &config, &error));
    assert_int_equal(config.connect_allow.n, 3);
    assert_int_equal(config.connect_allow.rules[1].last_port, 90);
    assert_string_equal(config.dir, "/a+b");
    sb_config_deinit(&config);
}

static void what_cannot_be_loaded_is_named_and_can_be_thrown_away(void **state)
{
    static const struct {
        const char *setting, *endpoint, *dir, *word;
    } rows[] = {
        { "drain_ms", "a=127.0.0.1:1", NULL, "KEY=VALUE" },
        { "=5", "a=127.0.0.1:1", NULL, "KEY=VALUE" },
        { "0123456789012345678901234567890123456789012345678901234567890123=1", "a=127.0.0.1:1", NULL, "is not a known key" },
        { "drain_ms=", "a=127.0.0.1:1", NULL, "drain_ms" },
        { "drain_ms=x", "a=127.0.0.1:1", NULL, "drain_ms" },
        { "drain_ms=1+2", "a=127.0.0.1:1", NULL, "drain_ms" }, /* "+" joins items of lists only */
        { "connect_allow=", "a=127.0.0.1:1", NULL, "connect_allow has an empty value" },
        { "connect_allow=10.0.0.0/8++::1", "a=127.0.0.1:1", NULL, "connect_allow has an empty value" },
        { "address_policy=::/0 40 1+::/0 1 1", "a=127.0.0.1:1", NULL, "address_policy: policy table, entry 2" },
        { "no_such_key=1", "a=127.0.0.1:1", NULL, "no_such_key" },
        { "policy=round-robin", "a=127.0.0.1:1", NULL, "policy" }, /* of an endpoint */
        { NULL, "a", NULL, "a" },
        { NULL, "a=127.0.0.1", NULL, "127.0.0.1" },
        { NULL, "a=127.0.0.1:1,policy=none", NULL, "policy" },
        { NULL, NULL, NULL, "endpoint" }, /* nothing to serve */
    };

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct sb_serve_options o = { 0 };
        struct sockbroker_error error;
        struct sb_config config;

        if (rows[i].setting)
            o.settings[o.n_settings++] = rows[i].setting;
        if (rows[i].endpoint)
            o.endpoints[o.n_endpoints++] = rows[i].endpoint;
        o.dir = rows[i].dir;
        assert_status(SOCKBROKER_INVALID, sb_serve_options_load(&o, &config, &error));
        if (!strstr(error.text, rows[i].word))
            print_error("\"%s\" is not in \"%s\"\n", rows[i].word, error.text);
        assert_non_null(strstr(error.text, rows[i].word));
        sb_config_deinit(&config);
    }
}

static void a_file_that_is_not_there_is_named(void **state)
{
    struct sb_serve_options o = { .config_path = "/nonexistent/file" };
    struct sockbroker_error error;
    struct sb_config config;

    (void)state;
    assert_status(SOCKBROKER_NOT_FOUND, sb_serve_options_load(&o, &config, &error));
    assert_non_null(strstr(error.text, "/nonexistent/file"));
    sb_config_deinit(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(options_are_taken_in_order_long_or_short),
        UNIT_TEST(a_wrong_line_says_what_is_wrong),
        UNIT_TEST(a_command_stands_after_two_dashes_with_options_of_its_own),
        UNIT_TEST(a_command_becomes_a_group_of_every_endpoint),
        UNIT_TEST(lists_are_full_at_their_limit),
        UNIT_TEST(the_command_line_goes_over_the_file),
        UNIT_TEST(plus_joins_the_items_of_a_list),
        UNIT_TEST(what_cannot_be_loaded_is_named_and_can_be_thrown_away),
        UNIT_TEST(a_file_that_is_not_there_is_named),
    };

    return cmocka_run_group_tests_name("serve_options", tests, NULL, NULL);
}
