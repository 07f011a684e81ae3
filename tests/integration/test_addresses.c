/* `sockbroker addresses`: what it shows of the addresses of a private hosts file, and how it fails. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "tests/support/fault.h"
#include "tests/support/format.h"

#define OUTPUT 8192
#define HOSTS "127.0.0.1 many.test\n2001:db8::1 many.test\n::1 many.test\n"

/* ---- support ---- */

struct file {
    char path[40];
};

static void open_file(struct file *f, const char *text)
{
    format_text(f->path, sizeof(f->path), "/tmp/sbkit-addresses-XXXXXX");
    int fd = mkstemp(f->path);

    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        kit_fail("%s cannot be written", f->path);
    close(fd);
}

static void close_file(struct file *f)
{
    unlink(f->path);
}

/* Where the test, and what it starts, runs: a network with nothing but lo, and files of its own. */
struct place {
    int network; /* to go back to */
    int files;
    int folder;
};

/* skip()s when that is not allowed. */
static void enter(struct place *p)
{
    struct file hosts;

    p->network = fault_net_enter();
    p->files = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    p->folder = open(".", O_PATH | O_CLOEXEC);
    if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) {
        close(p->files);
        close(p->folder);
        fault_net_leave(&p->network);
        skip();
    }
    open_file(&hosts, HOSTS);
    if (mount(hosts.path, "/etc/hosts", NULL, MS_BIND, NULL))
        kit_fail("/etc/hosts: %s", strerror(errno));
    close_file(&hosts);
}

static void leave(struct place *p)
{
    if (setns(p->files, CLONE_NEWNS) || fchdir(p->folder))
        kit_fail("no way back: %s", strerror(errno));
    close(p->files);
    close(p->folder);
    fault_net_leave(&p->network);
}

/* The command with these arguments; both streams are in the output. */
static int run(const char *const *args, char output[OUTPUT])
{
    const char *all[8] = { "addresses" };

    for (size_t i = 0; i < 6 && args[i]; i++)
        all[i + 1] = args[i];
    return kit_run(all, output, OUTPUT);
}

static void must_say(const char *output, const char *text)
{
    if (!strstr(output, text))
        kit_fail("\"%s\" is not in: %s", text, output);
}

/* One blank for many. */
static void squeeze(char *text)
{
    char *to = text;

    for (const char *from = text; *from; from++) {
        if (*from != ' ' || to == text || to[-1] != ' ')
            *to++ = *from;
    }
    *to = '\0';
}

/* ---- what it shows ---- */

static void pairs_are_shown_in_order_with_rules_and_reasons(void **state)
{
    char output[OUTPUT];
    struct place place;

    (void)state;
    enter(&place);
    assert_int_equal(run((const char *const[]){ "many.test", NULL }, output), 0);
    squeeze(output);
    assert_string_equal(output, "order destination source precedence label scope before the next by\n"
                                " 1 ::1 ::1 50 0 link-local rule 6, prefer higher precedence\n"
                                " 2 127.0.0.1 127.0.0.1 35 4 link-local rule 1, avoid unusable destinations\n"
                                " - 2001:db8::1 - 40 1 global dropped: no route, ENETUNREACH (Network is unreachable)\n");
    leave(&place);
}

static void a_policy_file_replaces_the_table(void **state)
{
    char output[OUTPUT];
    struct place place;
    struct file table;

    (void)state;
    enter(&place);
    open_file(&table, "# IPv4 first\n\n::/0 40 1\r\n  ::ffff:0:0/96  100 4 # as in RFC 6724, 10.3");
    assert_int_equal(run((const char *const[]){ "many.test", "--policy", table.path, NULL }, output), 0);
    squeeze(output);
    must_say(output, " 1 127.0.0.1 127.0.0.1 100 4 link-local rule 6, prefer higher precedence\n 2 ::1 ::1 40 1 link-local ");
    close_file(&table);
    leave(&place);
}

static void json_has_the_documented_shape(void **state)
{
    char output[OUTPUT];
    struct place place;
    json_error_t error;
    const char *destination, *source, *scope, *source_scope, *text, *reason, *system_error;
    int schema, precedence, label, source_label, bits, rule, flags[4];

    (void)state;
    enter(&place);
    assert_int_equal(run((const char *const[]){ "many.test", "--json", NULL }, output), 0);
    leave(&place);
    json_t *all = json_loads(output, 0, &error);
    if (!all)
        kit_fail("%s: %s", error.text, output);
    /* "!": no other keys than these. */
    assert_int_equal(
        json_unpack_ex(all, &error, 0,
                       "{s:i, s:s, s:[{s:s, s:s, s:i, s:i, s:i, s:s, s:s, s:i, s:b, s:b, s:b, s:b, s:i, s:s !}, {}!]"
                       ", s:[{s:s, s:i, s:i, s:s, s:s, s:s !}!] !}",
                       "schema", &schema, "host", &text, "pairs", "destination", &destination, "source", &source, "precedence",
                       &precedence, "label", &label, "source_label", &source_label, "scope", &scope, "source_scope",
                       &source_scope, "common_bits", &bits, "deprecated", &flags[0], "home", &flags[1], "care_of", &flags[2],
                       "encapsulated", &flags[3], "rule", &rule, "rule_text", &reason, "dropped", "destination", &destination,
                       "precedence", &precedence, "label", &label, "scope", &scope, "reason", &reason, "system", &system_error),
        0);
    assert_int_equal(schema, 1);
    assert_string_equal(text, "many.test");
    assert_int_equal(bits, 128);
    assert_int_equal(rule, 6);
    assert_string_equal(source, "::1");
    for (size_t i = 0; i < 4; i++)
        assert_false(flags[i]);
    assert_string_equal(source_scope, "link-local");
    assert_string_equal(destination, "2001:db8::1"); /* the dropped one, from here on */
    assert_int_equal(precedence, 40);
    assert_string_equal(scope, "global");
    assert_string_equal(reason, "no route");
    must_say(system_error, "ENETUNREACH");
    json_t *last = json_array_get(json_object_get(all, "pairs"), 1);
    assert_string_equal(json_string_value(json_object_get(last, "destination")), "127.0.0.1");
    assert_int_equal(json_integer_value(json_object_get(last, "rule")), 1); /* before the dropped one */
    json_decref(all);
}

static void an_address_is_a_host_too(void **state)
{
    char output[OUTPUT];

    (void)state;
    assert_int_equal(run((const char *const[]){ "127.0.0.1", "--dir", "/nowhere", NULL }, output), 0);
    squeeze(output);
    must_say(output, "\n 1 127.0.0.1 127.0.0.1 35 4 link-local -\n");
    assert_int_equal(run((const char *const[]){ "::ffff:127.0.0.1", NULL }, output), 0);
    squeeze(output);
    must_say(output, "\n 1 127.0.0.1 127.0.0.1 35 4 link-local -\n");
}

/* ---- the table ---- */

#define IPV4_FIRST "address_policy = { \"::/0 40 1\", \"::ffff:0:0/96 100 4\" }\n"
#define ENDPOINT "endpoint web { address = [::]:80 }\n"

static void a_configuration_replaces_the_table(void **state)
{
    char output[OUTPUT];
    struct place place;
    struct file config;

    (void)state;
    enter(&place);
    open_file(&config, IPV4_FIRST ENDPOINT);
    assert_int_equal(run((const char *const[]){ "many.test", "--config", config.path, NULL }, output), 0);
    squeeze(output);
    must_say(output, " 1 127.0.0.1 127.0.0.1 100 4 link-local rule 6, prefer higher precedence\n 2 ::1 ::1 40 1 link-local ");
    close_file(&config);
    open_file(&config, ENDPOINT); /* nothing of it: the default */
    assert_int_equal(run((const char *const[]){ "many.test", "--config", config.path, NULL }, output), 0);
    squeeze(output);
    must_say(output, " 1 ::1 ::1 50 0 link-local rule 6, prefer higher precedence\n");
    close_file(&config);
    leave(&place);
}

/* RFC 6724, 2.1 */
static void the_default_table_is_shown(void **state)
{
    char output[OUTPUT];

    (void)state;
    assert_int_equal(run((const char *const[]){ "--show-policy", NULL }, output), 0);
    assert_string_equal(output, "# prefix precedence label\n"
                                "::1/128 50 0\n"
                                "::/0 40 1\n"
                                "0.0.0.0/0 35 4\n"
                                "2002::/16 30 2\n"
                                "2001::/32 5 5\n"
                                "fc00::/7 3 13\n"
                                "::/96 1 3\n"
                                "fec0::/10 1 11\n"
                                "3ffe::/16 1 12\n");
}

static void the_table_of_a_file_is_shown_and_what_is_shown_is_read(void **state)
{
    static const char expected[] = "# prefix precedence label\n::/0 40 1\n0.0.0.0/0 100 4\n";
    char output[OUTPUT], again[OUTPUT];
    struct file config, table;

    (void)state;
    open_file(&config, IPV4_FIRST ENDPOINT);
    assert_int_equal(run((const char *const[]){ "--show-policy", "--config", config.path, NULL }, output), 0);
    assert_string_equal(output, expected);
    open_file(&table, output);
    assert_int_equal(run((const char *const[]){ "--show-policy", "--policy", table.path, NULL }, again), 0);
    assert_string_equal(again, expected);
    close_file(&table);
    close_file(&config);
}

static void the_table_as_json_has_the_documented_shape(void **state)
{
    char output[OUTPUT];
    json_error_t error;
    const char *prefix;
    int schema, precedence, label;
    struct file table;

    (void)state;
    open_file(&table, "10.0.0.0/8 4294967295 7\n");
    assert_int_equal(run((const char *const[]){ "--show-policy", "--json", "--policy", table.path, NULL }, output), 0);
    close_file(&table);
    json_t *all = json_loads(output, 0, &error);
    if (!all)
        kit_fail("%s: %s", error.text, output);
    json_int_t large;
    assert_int_equal(json_unpack_ex(all, &error, 0, "{s:i, s:[{s:s, s:I, s:i !}!] !}", "schema", &schema, "policies", "prefix",
                                    &prefix, "precedence", &large, "label", &label),
                     0);
    assert_int_equal(schema, 1);
    assert_string_equal(prefix, "10.0.0.0/8");
    assert_true(large == 4294967295);
    assert_int_equal(label, 7);
    json_decref(all);

    assert_int_equal(run((const char *const[]){ "--show-policy", "--json", NULL }, output), 0);
    all = json_loads(output, 0, &error);
    assert_int_equal(json_array_size(json_object_get(all, "policies")), 9);
    json_t *first = json_array_get(json_object_get(all, "policies"), 0);
    assert_int_equal(json_unpack(first, "{s:s, s:i, s:i !}", "prefix", &prefix, "precedence", &precedence, "label", &label), 0);
    assert_string_equal(prefix, "::1/128");
    assert_int_equal(precedence, 50);
    json_decref(all);
}

static void a_configuration_without_a_usable_table_is_refused(void **state)
{
    static const char *const cases[][2] = {
        { "address_policy = { \"::/0 40 1\", \"::/0 41 1\" }\n" ENDPOINT,
          "address_policy: policy table, entry 2: ::/0 is there already as entry 1; keep one of them" },
        { "\naddress_policy = \"::/0 40\"\n" ENDPOINT, ":2: address_policy: policy \"::/0 40\": it does not have three words" },
        { "address_polic = \"::/0 40 1\"\n", "did you mean address_policy?" },
    };
    char output[OUTPUT];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct file config;

        open_file(&config, cases[i][0]);
        assert_int_equal(run((const char *const[]){ "::1", "--config", config.path, NULL }, output), 2);
        must_say(output, cases[i][1]);
        assert_int_equal(run((const char *const[]){ "--show-policy", "--config", config.path, NULL }, output), 2);
        must_say(output, cases[i][1]);
        close_file(&config);
    }
    assert_int_equal(run((const char *const[]){ "--show-policy", "--config", "/nonexistent/file", NULL }, output), 1);
    must_say(output, "/nonexistent/file");
}

/* ---- how it fails ---- */

static void a_name_without_an_address_is_exit_1(void **state)
{
    char output[OUTPUT];
    struct place place;

    (void)state;
    enter(&place); /* so that nobody is asked outside */
    assert_int_equal(run((const char *const[]){ "other.test", NULL }, output), 1);
    must_say(output, "sockbroker addresses: host \"other.test\": ");
    leave(&place);
}

static void wrong_usage_is_exit_2(void **state)
{
    static const struct {
        const char *args[6];
        const char *says;
    } cases[] = {
        { { "--show-policy", "::1" }, "--show-policy takes no host" },
        { { "::1", "--config", "a", "--policy", "b" }, "give --config or --policy, not both" },
        { { NULL }, "name one host; see sockbroker addresses --help" },
        { { "a.test", "b.test" }, "name one host" },
        { { "::1", "--nonsense" }, "wrong option" },
        { { "0.0.0.0" }, "it names no machine; for this one write 127.0.0.1 or ::1" },
    };
    char output[OUTPUT];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(run(cases[i].args, output), 2);
        must_say(output, cases[i].says);
    }
    assert_int_equal(run((const char *const[]){ "--help", NULL }, output), 0);
    must_say(output, "usage: sockbroker addresses HOST");
}

static void a_wrong_table_is_refused_with_its_line(void **state)
{
    static const char *const cases[][2] = {
        { "::/0 40 1\n::/0 40\n", ":2: policy \"::/0 40\": it does not have three words; write prefix" },
        { "::/0 40 1\n\n::/0 41 1\n", ":3: policy table, entry 2: ::/0 is there already as entry 1; keep one of them" },
        { "# nothing\n", ": policy table: it has 0 entries; give 1 to 128" },
    };
    char output[OUTPUT], many[4096] = "";

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct file table;

        open_file(&table, cases[i][0]);
        assert_int_equal(run((const char *const[]){ "::1", "--policy", table.path, NULL }, output), 2);
        must_say(output, table.path);
        must_say(output, cases[i][1]);
        close_file(&table);
    }
    for (unsigned i = 0; i <= SOCKBROKER_POLICIES_MAX; i++)
        format_text(many + strlen(many), sizeof(many) - strlen(many), "10.0.0.%u 1 1\n", i);
    struct file table;
    open_file(&table, many);
    assert_int_equal(run((const char *const[]){ "::1", "--policy", table.path, NULL }, output), 2);
    must_say(output, ":129: more than 128 entries");
    close_file(&table);
    assert_int_equal(run((const char *const[]){ "::1", "--policy", table.path, NULL }, output), 1);
    must_say(output, "there is no such file; check the path");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(pairs_are_shown_in_order_with_rules_and_reasons),
        TEST(a_policy_file_replaces_the_table),
        TEST(json_has_the_documented_shape),
        TEST(a_configuration_replaces_the_table),
        TEST(the_default_table_is_shown),
        TEST(the_table_of_a_file_is_shown_and_what_is_shown_is_read),
        TEST(the_table_as_json_has_the_documented_shape),
        TEST(a_configuration_without_a_usable_table_is_refused),
        TEST(an_address_is_a_host_too),
        TEST(a_name_without_an_address_is_exit_1),
        TEST(wrong_usage_is_exit_2),
        TEST(a_wrong_table_is_refused_with_its_line),
    };

    return kit_main(tests, argc, argv);
}
