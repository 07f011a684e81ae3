/* What options.h promises: what a program wrote is checked, what it left out comes from the environment or a default. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "client-lib/options.h"
#include "proto/thread.h"
#include "tests/support/format.h"

struct read {
    struct sb_attach attach;
    char dir[SB_RUNDIR_MAX];
    int timeout_ms;
    struct sockbroker_error error;
};

static sockbroker_status read_options(const struct sockbroker_worker_options *o, struct read *r)
{
    memset(r, 0, sizeof(*r));
    return sb_options_read(o, &r->attach, r->dir, &r->timeout_ms, &r->error);
}

static struct sockbroker_worker_options usual(void)
{
    struct sockbroker_worker_options o = SOCKBROKER_WORKER_OPTIONS_INIT;

    o.dir = "/tmp/dir";
    o.endpoints = "web";
    o.name = "w";
    return o;
}

static int forget_environment(void **state)
{
    unit_set_env("SOCKBROKER_DIR", NULL);
    unit_set_env("SOCKBROKER_ENDPOINT", NULL);
    unit_set_env("SOCKBROKER_NAME", NULL);
    unit_set_env("SOCKBROKER_GENERATION", NULL);
    return unit_setup(state);
}

/* What is made of it is told in rundir.h. */
static void assert_dir(const struct read *r, const char *given)
{
    char dir[SB_RUNDIR_MAX];

    assert_status(SOCKBROKER_OK, sb_rundir_find(given, dir, NULL));
    assert_string_equal(r->dir, dir);
}

static void assert_refused(const struct sockbroker_worker_options *o, const char *word)
{
    struct read r;

    assert_status(SOCKBROKER_INVALID, read_options(o, &r));
    if (!strstr(r.error.text, word))
        print_error("\"%s\" is not in \"%s\"\n", word, r.error.text);
    assert_non_null(strstr(r.error.text, word));
}

static void what_is_left_out_has_its_default(void **state)
{
    struct sockbroker_worker_options o = usual();
    char name[32];
    struct read r;

    (void)state;
    o.name = NULL;
    assert_status(SOCKBROKER_OK, read_options(&o, &r));
    format_text(name, sizeof(name), "worker-%u", sb_process_id());
    assert_string_equal(r.attach.name, name);
    assert_int_equal(r.attach.weight, 1);
    assert_int_equal(r.attach.window, 0);
    assert_int_equal(r.attach.generation, 0);
    assert_int_equal(r.attach.version_min, SB_PROTOCOL_VERSION);
    assert_int_equal(r.attach.version_max, SB_PROTOCOL_VERSION);
    assert_false(r.attach.has_resume);
    assert_int_equal(r.timeout_ms, 5000);
    assert_dir(&r, "/tmp/dir");
    o.endpoints = NULL;
    assert_refused(&o, "SOCKBROKER_ENDPOINT");
}

static void what_is_given_is_taken(void **state)
{
    struct sockbroker_worker_options o = usual();
    struct read r;

    (void)state;
    o.endpoints = "web,api.v2,-,_";
    o.generation = UINT64_MAX;
    o.weight = 1000;
    o.window = 1024;
    o.attach_timeout_ms = 1;
    assert_status(SOCKBROKER_OK, read_options(&o, &r));
    assert_int_equal(r.attach.n_endpoints, 4);
    assert_string_equal(r.attach.endpoints[0], "web");
    assert_string_equal(r.attach.endpoints[1], "api.v2");
    assert_string_equal(r.attach.endpoints[2], "-");
    assert_string_equal(r.attach.endpoints[3], "_");
    assert_true(r.attach.generation == UINT64_MAX);
    assert_int_equal(r.attach.weight, 1000);
    assert_int_equal(r.attach.window, 1024);
    assert_int_equal(r.timeout_ms, 1);
}

static void the_environment_fills_what_is_null_or_empty(void **state)
{
    struct sockbroker_worker_options o = usual();
    struct read r;

    (void)state;
    unit_set_env("SOCKBROKER_DIR", "/tmp/env");
    unit_set_env("SOCKBROKER_ENDPOINT", "a,b");
    unit_set_env("SOCKBROKER_NAME", "from-env");
    assert_status(SOCKBROKER_OK, read_options(&o, &r)); /* an option goes first */
    assert_string_equal(r.attach.name, "w");
    assert_string_equal(r.attach.endpoints[0], "web");
    assert_dir(&r, "/tmp/dir");
    o.dir = o.endpoints = o.name = NULL;
    for (int i = 0; i < 2; i++) {
        assert_status(SOCKBROKER_OK, read_options(&o, &r));
        assert_string_equal(r.attach.name, "from-env");
        assert_int_equal(r.attach.n_endpoints, 2);
        assert_string_equal(r.attach.endpoints[1], "b");
        assert_dir(&r, "/tmp/env");
        o.dir = o.name = "";
    }
    o.endpoints = ""; /* none at all: it only asks for sockets */
    assert_status(SOCKBROKER_OK, read_options(&o, &r));
    assert_int_equal(r.attach.n_endpoints, 0);
    o.endpoints = NULL;
    unit_set_env("SOCKBROKER_NAME", "no/name");
    assert_refused(&o, "no/name");
}

static void the_generation_of_the_environment_counts_when_none_is_given(void **state)
{
    static const char *const wrong[] = { "-1", "1x", " 1", "+1", "18446744073709551616" };
    struct sockbroker_worker_options o = usual();
    struct read r;

    (void)state;
    unit_set_env("SOCKBROKER_GENERATION", "18446744073709551615");
    assert_status(SOCKBROKER_OK, read_options(&o, &r));
    assert_true(r.attach.generation == UINT64_MAX);
    o.generation = 5;
    assert_status(SOCKBROKER_OK, read_options(&o, &r));
    assert_int_equal(r.attach.generation, 5);
    o.generation = 0;
    unit_set_env("SOCKBROKER_GENERATION", "");
    assert_status(SOCKBROKER_OK, read_options(&o, &r));
    assert_int_equal(r.attach.generation, 0);
    for (size_t i = 0; i < UNIT_COUNT(wrong); i++) {
        unit_set_env("SOCKBROKER_GENERATION", wrong[i]);
        assert_refused(&o, "SOCKBROKER_GENERATION");
    }
}

static void numbers_beyond_their_range_are_refused_by_name(void **state)
{
    struct sockbroker_worker_options o = usual();

    (void)state;
    o.weight = 1001;
    assert_refused(&o, "weight 1001");
    o = usual();
    o.window = 1025;
    assert_refused(&o, "window 1025");
    o = usual();
    o.weight = (unsigned)-1;
    assert_refused(&o, "weight");
    o = usual();
    o.attach_timeout_ms = -1;
    assert_refused(&o, "attach_timeout_ms -1");
}

static void names_are_refused_with_what_is_allowed(void **state)
{
    static const char *const bad[] = { "a b",      "a/b",
                                       "..",       ".",
                                       "a\nb",     "\x1b[2J",
                                       "\xc3\xa4", "0123456789012345678901234567890123456789012345678901234567890123" };
    struct sockbroker_worker_options o = usual();

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(bad); i++) {
        o = usual();
        o.name = bad[i];
        assert_refused(&o, "name \"");
        o = usual();
        o.endpoints = bad[i];
        assert_refused(&o, "endpoint \"");
    }
    o = usual();
    o.name = "012345678901234567890123456789012345678901234567890123456789012"; /* 63 */
    struct read r;
    assert_status(SOCKBROKER_OK, read_options(&o, &r));
}

static void lists_with_holes_or_doubles_are_refused(void **state)
{
    static const char *const bad[] = { ",", "web,", ",web", "web,,api", "web, api", "web;api" };
    struct sockbroker_worker_options o = usual();

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(bad); i++) {
        o.endpoints = bad[i];
        assert_refused(&o, "endpoint \"");
    }
    o.endpoints = "web,api,web";
    assert_refused(&o, "\"web\" is named twice");
}

static void thirty_two_endpoints_and_not_one_more(void **state)
{
    struct sockbroker_worker_options o = usual();
    char list[512] = "";
    struct read r;

    (void)state;
    for (int i = 0; i < 32; i++)
        format_text(list + strlen(list), sizeof(list) - strlen(list), "%se%d", i ? "," : "", i);
    o.endpoints = list;
    assert_status(SOCKBROKER_OK, read_options(&o, &r));
    assert_int_equal(r.attach.n_endpoints, 32);
    assert_string_equal(r.attach.endpoints[31], "e31");
    strcat(list, ",e32");
    assert_refused(&o, "more than 32");
}

static void a_struct_of_another_size_is_refused(void **state)
{
    static const size_t sizes[] = { 0, 1, sizeof(struct sockbroker_worker_options) - 8,
                                    sizeof(struct sockbroker_worker_options) + 8, SIZE_MAX };

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(sizes); i++) {
        struct sockbroker_worker_options o = usual();

        o.size = sizes[i];
        assert_refused(&o, "SOCKBROKER_WORKER_OPTIONS_INIT");
    }
}

static void a_directory_that_is_too_long_is_refused(void **state)
{
    struct sockbroker_worker_options o = usual();
    char dir[128] = "/", found[SB_RUNDIR_MAX];

    (void)state;
    memset(dir + 1, 'x', sizeof(dir) - 2);
    dir[sizeof(dir) - 1] = '\0';
    if (sb_rundir_find(dir, found, NULL) == SOCKBROKER_OK)
        skip(); /* a system that makes a name of it, of any length */
    o.dir = dir;
    assert_refused(&o, "runtime directory");
}

#define OPTIONS_TEST(f) cmocka_unit_test_setup_teardown(f, forget_environment, unit_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OPTIONS_TEST(what_is_left_out_has_its_default),
        OPTIONS_TEST(what_is_given_is_taken),
        OPTIONS_TEST(the_environment_fills_what_is_null_or_empty),
        OPTIONS_TEST(the_generation_of_the_environment_counts_when_none_is_given),
        OPTIONS_TEST(numbers_beyond_their_range_are_refused_by_name),
        OPTIONS_TEST(names_are_refused_with_what_is_allowed),
        OPTIONS_TEST(lists_with_holes_or_doubles_are_refused),
        OPTIONS_TEST(thirty_two_endpoints_and_not_one_more),
        OPTIONS_TEST(a_struct_of_another_size_is_refused),
        OPTIONS_TEST(a_directory_that_is_too_long_is_refused),
    };

    return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
