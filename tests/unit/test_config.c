/* What config.h promises: defaults, keys, the file, --endpoint, the rules between endpoints, copies.
 *
 * Inputs as files: tests/data/config; $SB_TEST_DATA may name another tests/data. accept_*: read and checked. reject_*: the
 * reader refuses, its first line is "# expect: LINE: PIECE OF THE TEXT". check_*: read, then sb_config_check() refuses, its
 * first line is "# expect: PIECE OF THE TEXT". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/config.h"
#include "tests/support/format.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- support ---- */

static int count_descriptors(void)
{
    int n = 0;

    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) != -1;
    return n;
}

static int setup(void **state)
{
    static int before;

    before = count_descriptors();
    *state = &before;
    return 0;
}

static int teardown(void **state)
{
    const int *before = *state;

    return count_descriptors() == *before ? 0 : -1;
}

static void assert_begins(const char *text, const char *begin)
{
    if (strncmp(text, begin, strlen(begin)) != 0)
        fail_msg("\"%s\" does not begin with \"%s\"", text, begin);
}

static void assert_holds(const char *text, const char *piece)
{
    if (!strstr(text, piece))
        fail_msg("\"%s\" does not hold \"%s\"", text, piece);
}

static void must(sockbroker_status st, const struct sockbroker_error *error)
{
    if (st)
        fail_msg("status %d: %s", (int)st, error->text);
}

/* A file of our own under /tmp; the caller removes it. */
static void write_file(char path_out[32], const char *text, size_t len)
{
    int file;

    strcpy(path_out, "/tmp/sb_config_XXXXXX");
    file = mkstemp(path_out);
    assert_true(file >= 0);
    assert_int_equal(write(file, text, len), (ssize_t)len);
    close(file);
}

static sockbroker_status read_text(struct sb_config *config, const char *text, struct sockbroker_error *error)
{
    char path[32];
    sockbroker_status st;

    write_file(path, text, strlen(text));
    sb_config_init(config);
    st = sb_config_read_file(config, path, error);
    unlink(path);
    return st;
}

static void must_add(struct sb_config *config, const char *text)
{
    struct sockbroker_error error;

    must(sb_config_add_endpoint(config, text, &error), &error);
}

/* What the refused text of --endpoint is answered. */
static void refused(const char *text, const char *piece)
{
    struct sockbroker_error error = { .status = SOCKBROKER_OK };
    struct sb_config config;

    sb_config_init(&config);
    assert_int_equal(sb_config_add_endpoint(&config, text, &error), SOCKBROKER_INVALID);
    assert_int_equal(error.status, SOCKBROKER_INVALID);
    assert_begins(error.text, "--endpoint ");
    assert_holds(error.text, piece);
    assert_int_equal(config.n_endpoints, 0);
    assert_int_equal(sb_config_add_endpoint(&config, text, NULL), SOCKBROKER_INVALID);
    sb_config_deinit(&config);
}

/* ---- the files of tests/data/config ---- */

typedef void file_test(const char *path, struct sb_config *config);

static void first_line(const char *path, char *line, int size)
{
    FILE *file = fopen(path, "r");

    assert_non_null(file);
    assert_non_null(fgets(line, size, file));
    line[strcspn(line, "\n")] = '\0';
    fclose(file);
    assert_begins(line, "# expect: ");
    memmove(line, line + 10, strlen(line + 10) + 1);
}

static sockbroker_status judge(struct sb_config *config, struct sockbroker_error *error)
{
    sockbroker_status st = sb_config_complete(config, error);

    return st ? st : sb_config_check(config, error);
}

static void accepted_file(const char *path, struct sb_config *config)
{
    struct sockbroker_error error;

    must(sb_config_read_file(config, path, &error), &error);
    must(judge(config, &error), &error);
    assert_true(config->n_endpoints > 0);
}

static void rejected_file(const char *path, struct sb_config *config)
{
    struct sockbroker_error error = { .status = SOCKBROKER_OK };
    char expect[256], place[512], *piece;

    first_line(path, expect, sizeof(expect));
    piece = strstr(expect, ": ");
    assert_non_null(piece);
    *piece = '\0';
    format_text(place, sizeof(place), "%s:%s: ", path, expect);
    assert_int_equal(sb_config_read_file(config, path, &error), SOCKBROKER_INVALID);
    assert_int_equal(error.status, SOCKBROKER_INVALID);
    assert_begins(error.text, place);
    assert_holds(error.text + strlen(place), piece + 2);
}

static void unchecked_file(const char *path, struct sb_config *config)
{
    struct sockbroker_error error = { .status = SOCKBROKER_OK };
    char expect[256];

    first_line(path, expect, sizeof(expect));
    must(sb_config_read_file(config, path, &error), &error);
    assert_int_equal(judge(config, &error), SOCKBROKER_INVALID);
    assert_holds(error.text, expect);
    assert_int_equal(judge(config, NULL), SOCKBROKER_INVALID);
}

static int walk(const char *dir_path, const char *prefix, file_test *test)
{
    DIR *dir = opendir(dir_path);
    struct sb_config config;
    char path[512];
    int n = 0;

    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
            continue;
        format_text(path, sizeof(path), "%s/%s", dir_path, entry->d_name);
        sb_config_init(&config);
        test(path, &config);
        sb_config_deinit(&config);
        n++;
    }
    closedir(dir);
    return n;
}

static int walk_data(const char *prefix, file_test *test)
{
    const char *data = getenv("SB_TEST_DATA");
    char dir_path[256];

    format_text(dir_path, sizeof(dir_path), "%s/config", data ? data : "tests/data");
    return walk(dir_path, prefix, test);
}

static void accept_files_are_read(void **state)
{
    (void)state;
    assert_true(walk_data("accept_", accepted_file) >= 13);
}

static void reject_files_are_refused_with_their_line(void **state)
{
    (void)state;
    assert_true(walk_data("reject_", rejected_file) >= 100);
}

static void check_files_break_a_rule_between_keys(void **state)
{
    (void)state;
    assert_true(walk_data("check_", unchecked_file) >= 20);
}

/* A refused text must leave nothing behind in libconfuse's lexer. */
static void file_is_read_well_after_a_refused_one(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        walk_data("reject_", rejected_file);
        walk_data("accept_", accepted_file);
    }
}

/* ---- defaults ---- */

static void defaults_are_as_documented(void **state)
{
    struct sb_config config;

    (void)state;
    memset(&config, 0xa5, sizeof(config));
    sb_config_init(&config);
    assert_string_equal(config.dir, "");
    assert_int_equal(config.dir_mode, 0700);
    assert_int_equal(config.drain_ms, 30000);
    assert_int_equal(config.attach_ms, 5000);
    assert_int_equal(config.heartbeat_ms, 5000);
    assert_int_equal(config.max_sessions, 4096);
    assert_int_equal(config.max_sessions_per_uid, 4096);
    assert_int_equal(config.max_deposits, 1024);
    assert_int_equal(config.max_connections, 0);
    assert_int_equal(config.messages_per_second, 1000);
    assert_int_equal(config.log_level, SB_LOG_INFO);
    assert_int_equal(config.n_endpoints, 0);
    sb_config_deinit(&config);
    sb_config_deinit(&config);
}

static void endpoint_defaults_are_as_documented(void **state)
{
    struct sb_config config;
    const struct sb_endpoint_config *web;

    (void)state;
    sb_config_init(&config);
    must_add(&config, "web=[::]:8080");
    web = sb_config_find(&config, "web");
    assert_non_null(web);
    assert_null(sb_config_find(&config, "we"));
    assert_string_equal(sb_family_choice_name(web->family), "dual");
    assert_string_equal(sb_mode_name(web->mode), "handoff");
    assert_string_equal(sb_policy_name(web->policy), "round-robin");
    assert_string_equal(sb_carrier_name(web->carrier), "direct");
    assert_string_equal(sb_overload_name(web->overload), "hold");
    assert_int_equal(web->window, 16);
    assert_int_equal(web->backlog, 4096);
    assert_int_equal(web->hold_ms, 30000);
    assert_int_equal(web->hold_max, 1024);
    assert_int_equal(web->withdraw_after_ms, 1000);
    assert_int_equal(web->ack_timeout_ms, 10000);
    assert_true(web->blocking && web->kill_stuck);
    assert_int_equal(web->allow_uid.n + web->allow_gid.n + web->allow.n + web->deny.n, 0);
    sb_config_deinit(&config);
}

static void words_outside_the_enum_are_unknown(void **state)
{
    (void)state;
    assert_string_equal(sb_policy_name((enum sb_policy)99), "unknown");
    assert_string_equal(sb_mode_name((enum sb_mode)0), "unknown");
    assert_string_equal(sb_log_level_name(SB_LOG_DEBUG), "debug");
    assert_string_equal(sb_log_level_name((enum sb_log_level)0), "unknown");
}

/* ---- keys ---- */

static sockbroker_status set_one(struct sb_config *config, const char *key, const char *value, struct sockbroker_error *error)
{
    return sb_config_set_global(config, key, &value, 1, error);
}

static void numbers_reach_their_bounds_and_no_further(void **state)
{
    static const struct {
        const char *key, *low, *high, *below, *above;
    } keys[] = {
        { "drain_ms", "0", "3600000", "-1", "3600001" },          { "attach_ms", "100", "60000", "99", "60001" },
        { "heartbeat_ms", "100", "3600000", "99", "3600001" },    { "max_sessions", "1", "100000", "0", "100001" },
        { "max_sessions_per_uid", "1", "100000", "0", "100001" }, { "max_deposits", "0", "100000", "-1", "100001" },
        { "max_connections", "0", "10000000", "-0", "10000001" }, { "messages_per_second", "10", "1000000", "9", "1000001" },
    };
    struct sockbroker_error error;
    struct sb_config config;

    (void)state;
    sb_config_init(&config);
    for (size_t i = 0; i < COUNT(keys); i++) {
        must(set_one(&config, keys[i].key, keys[i].low, &error), &error);
        must(set_one(&config, keys[i].key, keys[i].high, &error), &error);
        assert_int_equal(set_one(&config, keys[i].key, keys[i].below, &error), SOCKBROKER_INVALID);
        assert_begins(error.text, keys[i].key);
        assert_int_equal(set_one(&config, keys[i].key, keys[i].above, &error), SOCKBROKER_INVALID);
        assert_begins(error.text, keys[i].key);
    }
    assert_int_equal(config.drain_ms, 3600000);
    sb_config_deinit(&config);
}

static void every_form_of_a_flag_is_read(void **state)
{
    static const char *const forms[] = { "no", "yes", "false", "true", "off", "on" };
    struct sb_endpoint_config endpoint;
    struct sockbroker_error error;

    (void)state;
    sb_endpoint_config_init(&endpoint);
    for (size_t i = 0; i < COUNT(forms); i++) {
        must(sb_config_set_endpoint(&endpoint, "blocking", &forms[i], 1, &error), &error);
        assert_int_equal(endpoint.blocking, i % 2 == 1);
    }
    sb_endpoint_config_deinit(&endpoint);
}

static void directory_mode_is_one_of_five(void **state)
{
    static const struct {
        const char *text;
        uint32_t mode;
    } modes[] = { { "0700", 0700 }, { "0710", 0710 }, { "0750", 0750 }, { "0711", 0711 }, { "755", 0755 } };
    struct sockbroker_error error;
    struct sb_config config;

    (void)state;
    sb_config_init(&config);
    for (size_t i = 0; i < COUNT(modes); i++) {
        must(set_one(&config, "dir_mode", modes[i].text, &error), &error);
        assert_int_equal(config.dir_mode, modes[i].mode);
    }
    assert_int_equal(set_one(&config, "dir_mode", "0770", &error), SOCKBROKER_INVALID);
    sb_config_deinit(&config);
}

static void paths_of_107_108_and_255_bytes_are_kept_whole(void **state)
{
    static const size_t lens[] = { 107, 108, 255 };
    struct sockbroker_error error;
    struct sb_config config;
    char path[300];

    (void)state;
    sb_config_init(&config);
    for (size_t i = 0; i < COUNT(lens); i++) {
        memset(path, 'x', sizeof(path));
        path[0] = '/';
        path[lens[i]] = '\0';
        must(set_one(&config, "dir", path, &error), &error);
        assert_string_equal(config.dir, path);
    }
    sb_config_deinit(&config);
}

static void user_numbers_are_unsigned(void **state)
{
    static const char *const ids[] = { "0", "2147483647", "2147483648", "4294967294", "root" };
    static const uint32_t expected[] = { 0, 2147483647u, 2147483648u, 4294967294u, 0 };
    struct sb_endpoint_config endpoint;
    struct sockbroker_error error;

    (void)state;
    sb_endpoint_config_init(&endpoint);
    must(sb_config_set_endpoint(&endpoint, "allow_uid", ids, COUNT(ids), &error), &error);
    must(sb_config_set_endpoint(&endpoint, "allow_gid", ids, COUNT(ids), &error), &error);
    assert_int_equal(endpoint.allow_uid.n, COUNT(ids));
    assert_int_equal(endpoint.allow_gid.n, COUNT(ids));
    assert_memory_equal(endpoint.allow_uid.ids, expected, sizeof(expected));
    assert_memory_equal(endpoint.allow_gid.ids, expected, sizeof(expected));
    sb_endpoint_config_deinit(&endpoint);
}

static void list_replaces_the_one_before(void **state)
{
    static const char *const first[] = { "10.0.0.0/8", "::1/128" }, *const second[] = { "192.0.2.1" };
    struct sb_endpoint_config endpoint;
    struct sockbroker_error error;

    (void)state;
    sb_endpoint_config_init(&endpoint);
    must(sb_config_set_endpoint(&endpoint, "allow", first, 2, &error), &error);
    assert_int_equal(endpoint.allow.n, 2);
    must(sb_config_set_endpoint(&endpoint, "allow", second, 1, &error), &error);
    assert_int_equal(endpoint.allow.n, 1);
    assert_int_equal(endpoint.allow.prefixes[0].bits, 32);
    sb_endpoint_config_deinit(&endpoint);
}

static void lists_have_a_longest_length(void **state)
{
    const char *items[SB_LIST_ITEMS_MAX + 1];
    struct sb_endpoint_config endpoint;
    struct sockbroker_error error;

    (void)state;
    sb_endpoint_config_init(&endpoint);
    for (size_t i = 0; i < COUNT(items); i++)
        items[i] = "10.0.0.1";
    must(sb_config_set_endpoint(&endpoint, "deny", items, SB_LIST_ITEMS_MAX, &error), &error);
    assert_int_equal(sb_config_set_endpoint(&endpoint, "deny", items, COUNT(items), &error), SOCKBROKER_INVALID);
    assert_begins(error.text, "deny has more than 4096 items");
    sb_endpoint_config_deinit(&endpoint);
}

static void destinations_and_policies_are_read(void **state)
{
    static const char text[] = "connect_allow = { 10.0.0.0/8, \"192.0.2.0/24:443\", \"[2001:db8::/32]:8000-8099\" }\n"
                               "connect_deny = \"[::1]:22\"\n"
                               "connect_uid = { 0, 4294967294 }\n"
                               "address_policy = { \"::/0 40 1\", \"0.0.0.0/0 100 4\" }\n"
                               "endpoint web { address = [::]:80 }\n";
    struct sockbroker_error error;
    struct sb_config config;

    (void)state;
    must(read_text(&config, text, &error), &error);
    must(sb_config_check(&config, &error), &error);
    assert_int_equal(config.connect_allow.n, 3);
    assert_int_equal(config.connect_allow.rules[0].first_port, 1);
    assert_int_equal(config.connect_allow.rules[0].last_port, 65535);
    assert_int_equal(config.connect_allow.rules[2].first_port, 8000);
    assert_int_equal(config.connect_allow.rules[2].last_port, 8099);
    assert_int_equal(config.connect_deny.n, 1);
    assert_int_equal(config.connect_deny.rules[0].first_port, 22);
    assert_int_equal(config.connect_uid.n, 2);
    assert_int_equal(config.connect_uid.ids[1], 4294967294u);
    assert_int_equal(config.address_policy.n, 2);
    assert_int_equal(config.address_policy.policies[1].precedence, 100);
    assert_int_equal(config.address_policy.policies[1].label, 4);
    sb_config_deinit(&config);
}

static void wrong_destinations_and_policies_are_named(void **state)
{
    static const struct {
        const char *key, *value, *says;
    } rows[] = {
        { "connect_allow", "10.0.0.0/8:0", "connect_allow: \"10.0.0.0/8:0\" has no port or range of ports" },
        { "connect_deny", "10.0.0.1/8", "connect_deny: prefix \"10.0.0.1/8\"" },
        { "connect_allow", "example.org:443", "connect_allow: prefix \"example.org\"" },
        { "connect_uid", "-1", "connect_uid" },
        { "connect_uid", "nobody-at-all", "connect_uid" },
        { "address_policy", "::/0 40", "address_policy: policy \"::/0 40\": it does not have three words" },
        { "address_policy", "::/0 -1 1", "address_policy: policy" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct sockbroker_error error;
        struct sb_config config;

        sb_config_init(&config);
        assert_int_equal(set_one(&config, rows[i].key, rows[i].value, &error), SOCKBROKER_INVALID);
        assert_begins(error.text, rows[i].says);
        sb_config_deinit(&config);
    }
}

/* A table that no sorting could use would be found out by the first worker that asks for a connection. */
static void policy_table_is_judged_whole(void **state)
{
    const char *many[SOCKBROKER_POLICIES_MAX + 1];
    static char texts[SOCKBROKER_POLICIES_MAX + 1][32];
    static const char *const twice[] = { "::/0 40 1", "0.0.0.0/0 35 4", "::/0 41 1" };
    struct sockbroker_error error;
    struct sb_config config;

    (void)state;
    sb_config_init(&config);
    must_add(&config, "web=[::]:80");
    must(sb_config_check(&config, &error), &error); /* none: the default table */
    must(sb_config_set_global(&config, "address_policy", twice, 3, &error), &error);
    assert_int_equal(sb_config_check(&config, &error), SOCKBROKER_INVALID);
    assert_string_equal(error.text,
                        "address_policy: policy table, entry 3: ::/0 is there already as entry 1; keep one of them");
    must(sb_config_set_global(&config, "address_policy", twice, 2, &error), &error);
    must(sb_config_check(&config, &error), &error);
    for (size_t i = 0; i < COUNT(many); i++) {
        format_text(texts[i], sizeof(texts[i]), "10.0.0.%zu 1 1", i);
        many[i] = texts[i];
    }
    must(sb_config_set_global(&config, "address_policy", many, SOCKBROKER_POLICIES_MAX, &error), &error);
    must(sb_config_check(&config, &error), &error);
    must(sb_config_set_global(&config, "address_policy", many, COUNT(many), &error), &error);
    assert_int_equal(sb_config_check(&config, &error), SOCKBROKER_INVALID);
    assert_holds(error.text, "it has 129 entries; give 1 to 128");
    sb_config_deinit(&config);
}

static void key_without_a_value_is_refused(void **state)
{
    struct sockbroker_error error;
    struct sb_config config;

    (void)state;
    sb_config_init(&config);
    assert_int_equal(sb_config_set_global(&config, "dir", NULL, 0, &error), SOCKBROKER_INVALID);
    assert_begins(error.text, "dir has no value");
    sb_config_deinit(&config);
}

static void foreign_text_is_made_printable(void **state)
{
    struct sockbroker_error error;
    struct sb_config config;

    (void)state;
    sb_config_init(&config);
    assert_int_equal(set_one(&config, "log_level", "a\nb\x1b[2J\"\xff", &error), SOCKBROKER_INVALID);
    assert_holds(error.text, "\"a\\x0ab\\x1b[2J\\x22\\xff\" is not known");
    assert_int_equal(set_one(&config, "a\nb", "1", &error), SOCKBROKER_INVALID);
    assert_begins(error.text, "a\\x0ab is not a known key");
    assert_int_equal(set_one(&config, "dir", "/a\nb", &error), SOCKBROKER_INVALID);
    assert_holds(error.text, "control character");
    sb_config_deinit(&config);
}

/* ---- --endpoint ---- */

static void endpoint_text_is_read_whole(void **state)
{
    struct sb_config config;
    const struct sb_endpoint_config *web;
    char text[SOCKBROKER_ADDR_TEXT_MAX];

    (void)state;
    sb_config_init(&config);
    must_add(&config, "web=[::]:8080+192.0.2.1:80,policy=least-connections,allow=10.0.0.0/8+::1/128,blocking=no");
    web = sb_config_find(&config, "web");
    assert_int_equal(web->n_addresses, 2);
    assert_string_equal(sockbroker_addr_format(&web->addresses[0], text), "[::]:8080");
    assert_string_equal(sockbroker_addr_format(&web->addresses[1], text), "192.0.2.1:80");
    assert_int_equal(web->policy, SB_POLICY_LEAST_CONNECTIONS);
    assert_int_equal(web->allow.n, 2);
    assert_false(web->blocking);
    sb_config_deinit(&config);
}

static void endpoint_text_with_a_fault_is_refused(void **state)
{
    static const struct {
        const char *text, *piece;
    } texts[] = {
        { "", "there is no address; write NAME=ADDRESS" },
        { "web", "there is no address" },
        { "web=", "address has an empty value" },
        { "=[::]:80", "\"\" cannot be the name" },
        { "a/b=[::]:80", "\"a/b\" cannot be the name" },
        { "a\nb=[::]:80", "--endpoint a\\x0ab: " },
        { "..=[::]:80", "cannot be the name" },
        { "web=[::]:80,", "there is nothing after a comma" },
        { "web=[::]:80,,window=1", "there is nothing after a comma" },
        { "web=[::]:80+", "address has an empty value" },
        { "web=+[::]:80", "address has an empty value" },
        { "web=[::]:80,window", "window has no value; write window=VALUE" },
        { "web=[::]:80,window=", "window has an empty value" },
        { "web=[::]:80,window=1+2", "window takes one value only" },
        { "web=[::]:80,window=1=2", "not a plain decimal" },
        { "web=[::]:80,window=1,window=2", "window is given twice" },
        { "web=[::]:80,address=[::]:81", "address is given twice" },
        { "web=[::]:80,polcy=x", "did you mean policy?" },
        { "web=[::]:80,=x", "is not a known key" },
        { "web=[::]:80,dir=/x", "is not for one endpoint" },
        { "web=[::]:80,mode=shared", "is not known; use handoff, share or shard" },
        { "web=[::]:65536", "address: " },
        { "web=80", "address: " },
        { "web=[::]:80,allow_uid=-1", "not the number of a user" },
        { "web=[::]:80,allow=10.0.0.1/8", "allow: " },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++)
        refused(texts[i].text, texts[i].piece);
}

static void endpoint_text_replaces_the_endpoint_of_the_file(void **state)
{
    struct sockbroker_error error;
    struct sb_config config;

    (void)state;
    must(read_text(&config,
                   "endpoint web { address = [::]:80 window = 3 allow = 10.0.0.0/8 }\n"
                   "endpoint api { address = [::]:81 }\n",
                   &error),
         &error);
    must_add(&config, "web=127.0.0.1:90");
    assert_int_equal(config.n_endpoints, 2);
    assert_int_equal(sb_config_find(&config, "web")->window, 16);
    assert_int_equal(sb_config_find(&config, "web")->allow.n, 0);
    assert_int_equal(sb_config_find(&config, "web")->addresses[0].port, 90);
    must(sb_config_check(&config, &error), &error);
    sb_config_deinit(&config);
}

static void names_of_1_and_63_letters_are_taken(void **state)
{
    struct sb_config config;
    char text[80];

    (void)state;
    sb_config_init(&config);
    must_add(&config, "a=[::]:80");
    memset(text, 'x', sizeof(text));
    strcpy(text + 63, "=[::]:81");
    must_add(&config, text);
    memset(text, 'x', sizeof(text));
    strcpy(text + 64, "=[::]:81");
    refused(text, "cannot be the name");
    sb_config_deinit(&config);
}

static void endpoints_have_a_greatest_number(void **state)
{
    struct sockbroker_error error;
    struct sb_config config;
    char text[32];

    (void)state;
    sb_config_init(&config);
    for (unsigned i = 0; i < SB_ENDPOINTS_MAX; i++) {
        format_text(text, sizeof(text), "e%u=[::]:%u", i, i + 1);
        must_add(&config, text);
    }
    must(sb_config_check(&config, &error), &error);
    assert_int_equal(sb_config_add_endpoint(&config, "more=[::]:9999", &error), SOCKBROKER_INVALID);
    assert_holds(error.text, "more than 1024 endpoints");
    must_add(&config, "e5=[::]:9999");
    sb_config_deinit(&config);
}

/* ---- files that are no configuration ---- */

static void refused_path(const char *path, sockbroker_status st, const char *piece)
{
    struct sockbroker_error error = { .status = SOCKBROKER_OK };
    struct sb_config config;

    sb_config_init(&config);
    assert_int_equal(sb_config_read_file(&config, path, &error), st);
    assert_int_equal(error.status, st);
    assert_begins(error.text, path);
    assert_holds(error.text, piece);
    assert_int_equal(sb_config_read_file(&config, path, NULL), st);
    sb_config_deinit(&config);
}

static void directories_devices_and_missing_files_are_refused(void **state)
{
    (void)state;
    refused_path("/", SOCKBROKER_INVALID, "not a regular file");
    refused_path("/dev/null", SOCKBROKER_INVALID, "not a regular file");
    refused_path("/dev/zero", SOCKBROKER_INVALID, "not a regular file");
    refused_path("/nonexistent/web.conf", SOCKBROKER_NOT_FOUND, "no such file");
    refused_path("/dev/null/web.conf", SOCKBROKER_NOT_FOUND, "not a directory");
}

static void fifo_without_a_writer_is_refused_at_once(void **state)
{
    char path[32];

    (void)state;
    write_file(path, "", 0);
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    refused_path(path, SOCKBROKER_INVALID, "not a regular file");
    unlink(path);
}

static void symbolic_links_in_a_circle_are_refused(void **state)
{
    char path[32];

    (void)state;
    write_file(path, "", 0);
    unlink(path);
    assert_int_equal(symlink(path, path), 0);
    refused_path(path, SOCKBROKER_INVALID, "go round in a circle");
    unlink(path);
}

/* Root may read everything, so a child gives that up first. */
static int read_as_nobody(const char *path)
{
    struct sockbroker_error error = { .status = SOCKBROKER_OK };
    struct sb_config config;

    if (geteuid() == 0 && setuid(65534))
        return 2;
    sb_config_init(&config);
    return sb_config_read_file(&config, path, &error) == SOCKBROKER_PERMISSION && error.os_code != 0 ? 0 : 1;
}

static void unreadable_file_is_a_matter_of_permission(void **state)
{
    char path[32];
    int result;
    pid_t child;

    (void)state;
    write_file(path, "", 0);
    assert_int_equal(chmod(path, 0), 0);
    child = fork();
    if (child == 0)
        _exit(read_as_nobody(path));
    assert_int_equal(waitpid(child, &result, 0), child);
    unlink(path);
    assert_int_equal(result, 0);
}

static void file_of_one_mebibyte_is_read_and_a_longer_one_refused(void **state)
{
    static const char begin[] = "endpoint web { address = [::]:80 }\n";
    size_t len = 1024 * 1024;
    struct sockbroker_error error;
    struct sb_config config;
    char path[32], *text = malloc(len + 1);

    (void)state;
    assert_non_null(text);
    memset(text, '\n', len + 1);
    memcpy(text, begin, sizeof(begin) - 1);
    write_file(path, text, len);
    sb_config_init(&config);
    must(sb_config_read_file(&config, path, &error), &error);
    sb_config_deinit(&config);
    unlink(path);
    write_file(path, text, len + 1);
    refused_path(path, SOCKBROKER_INVALID, "more than 1 MiB");
    unlink(path);
    free(text);
}

static void empty_file_holds_no_endpoint(void **state)
{
    struct sockbroker_error error;
    struct sb_config config;

    (void)state;
    must(read_text(&config, "", &error), &error);
    assert_int_equal(sb_config_check(&config, &error), SOCKBROKER_INVALID);
    assert_begins(error.text, "there is no endpoint");
    sb_config_deinit(&config);
}

/* Each shorter text is read or refused, and never kept as if it were whole. */
static void cut_file_never_passes_for_a_whole_one(void **state)
{
    static const char whole[] = "drain_ms = 5\nendpoint web {\n address = { \"[::]:80\" } # x\n allow = { 10.0.0.0/8 }\n}";
    struct sockbroker_error error;
    struct sb_config config;
    char text[sizeof(whole)];

    (void)state;
    for (size_t len = 0; len + 1 < sizeof(whole); len++) {
        memcpy(text, whole, len);
        text[len] = '\0';
        if (read_text(&config, text, &error) == SOCKBROKER_OK)
            assert_int_equal(config.n_endpoints, 0);
        sb_config_deinit(&config);
    }
    must(read_text(&config, whole, &error), &error);
    assert_int_equal(config.n_endpoints, 1);
    sb_config_deinit(&config);
}

/* What libconfuse says goes into the error, not to stderr. */
static void reader_prints_nothing(void **state)
{
    struct sockbroker_error error;
    struct sb_config config;
    char path[32];
    struct stat st;
    int keep = dup(2), file;

    (void)state;
    write_file(path, "", 0);
    file = open(path, O_WRONLY);
    dup2(file, 2);
    close(file);
    read_text(&config, "drain_ms 5 = {", &error);
    sb_config_deinit(&config);
    read_text(&config, "endpoint { polcy } = 3", &error);
    sb_config_deinit(&config);
    read_text(&config, "polcy = 3", &error);
    sb_config_deinit(&config);
    fflush(stderr);
    dup2(keep, 2);
    close(keep);
    assert_int_equal(stat(path, &st), 0);
    unlink(path);
    assert_int_equal(st.st_size, 0);
}

/* ---- copies ---- */

static void copy_shares_nothing(void **state)
{
    struct sb_config config;
    struct sb_endpoint_config copy;

    (void)state;
    sb_config_init(&config);
    must_add(&config, "web=[::]:80,allow=10.0.0.0/8,deny=10.1.0.0/16,allow_uid=1+2+3,allow_gid=4");
    assert_int_equal(sb_endpoint_config_copy(&config.endpoints[0], &copy), SOCKBROKER_OK);
    sb_config_deinit(&config);
    assert_string_equal(copy.name, "web");
    assert_int_equal(copy.allow_uid.n, 3);
    assert_int_equal(copy.allow_uid.ids[2], 3);
    assert_int_equal(copy.allow_gid.ids[0], 4);
    assert_int_equal(copy.allow.prefixes[0].bits, 8);
    assert_int_equal(copy.deny.prefixes[0].bits, 16);
    sb_endpoint_config_deinit(&copy);
}

static void copy_of_empty_lists_is_empty(void **state)
{
    struct sb_endpoint_config from, copy;

    (void)state;
    sb_endpoint_config_init(&from);
    assert_int_equal(sb_endpoint_config_copy(&from, &copy), SOCKBROKER_OK);
    assert_null(copy.allow.prefixes);
    assert_null(copy.allow_uid.ids);
    sb_endpoint_config_deinit(&copy);
}

static bool same_sockets(const char *a, const char *b)
{
    struct sb_config config;
    bool same;

    sb_config_init(&config);
    must_add(&config, a);
    must_add(&config, b);
    same = sb_endpoint_config_same_sockets(&config.endpoints[0], &config.endpoints[1]);
    assert_int_equal(same, sb_endpoint_config_same_sockets(&config.endpoints[1], &config.endpoints[0]));
    sb_config_deinit(&config);
    return same;
}

static void same_sockets_means_addresses_and_family(void **state)
{
    (void)state;
    assert_true(same_sockets("a=[::]:80", "b=[::]:80,backlog=5,policy=source-hash,allow=10.0.0.0/8"));
    assert_true(same_sockets("a=[::1]:80+127.0.0.1:80", "b=127.0.0.1:80+[::1]:80"));
    assert_true(same_sockets("a=127.0.0.1:80", "b=127.0.0.1:80,family=ipv4"));
    assert_true(same_sockets("a=[::]:80", "b=[::]:80,mode=share")); /* only who accepts differs */
    assert_false(same_sockets("a=[::]:80", "b=[::]:80,mode=shard"));
    assert_false(same_sockets("a=[::]:80,mode=shard", "b=[::]:80,mode=share"));
    assert_false(same_sockets("a=[::]:80,mode=shard", "b=[::]:80,mode=shard,slots=3"));
    assert_true(same_sockets("a=[::]:80,slots=2", "b=[::]:80,slots=3")); /* of no use there */
    assert_false(same_sockets("a=[::]:80", "b=[::]:80,family=ipv6"));
    assert_false(same_sockets("a=[::]:80", "b=[::]:80,family=split"));
    assert_false(same_sockets("a=[::]:80", "b=[::]:81"));
    assert_false(same_sockets("a=[::]:80", "b=[::]:80+[::1]:81"));
    assert_false(same_sockets("a=127.0.0.1:80", "b=[::1]:80"));
    assert_true(same_sockets("a=[::]:0+[::1]:0", "b=[::1]:0+[::]:0"));
    assert_false(same_sockets("a=[::]:0+[::]:0+[::1]:0", "b=[::]:0+[::1]:0+[::1]:0"));
}

static void check_finds_two_endpoints_of_one_name(void **state)
{
    struct sockbroker_error error;
    struct sb_config config;

    (void)state;
    sb_config_init(&config);
    must_add(&config, "a=[::]:80");
    must_add(&config, "b=[::]:81");
    strcpy(config.endpoints[1].name, "a");
    assert_int_equal(sb_config_check(&config, &error), SOCKBROKER_INVALID);
    assert_holds(error.text, "endpoint a is there twice");
    strcpy(config.endpoints[1].name, "");
    assert_int_equal(sb_config_check(&config, &error), SOCKBROKER_INVALID);
    assert_holds(error.text, "no valid name");
    sb_config_deinit(&config);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(accept_files_are_read),
        TEST(reject_files_are_refused_with_their_line),
        TEST(check_files_break_a_rule_between_keys),
        TEST(file_is_read_well_after_a_refused_one),
        TEST(defaults_are_as_documented),
        TEST(endpoint_defaults_are_as_documented),
        TEST(words_outside_the_enum_are_unknown),
        TEST(numbers_reach_their_bounds_and_no_further),
        TEST(every_form_of_a_flag_is_read),
        TEST(directory_mode_is_one_of_five),
        TEST(paths_of_107_108_and_255_bytes_are_kept_whole),
        TEST(user_numbers_are_unsigned),
        TEST(list_replaces_the_one_before),
        TEST(lists_have_a_longest_length),
        TEST(destinations_and_policies_are_read),
        TEST(wrong_destinations_and_policies_are_named),
        TEST(policy_table_is_judged_whole),
        TEST(key_without_a_value_is_refused),
        TEST(foreign_text_is_made_printable),
        TEST(endpoint_text_is_read_whole),
        TEST(endpoint_text_with_a_fault_is_refused),
        TEST(endpoint_text_replaces_the_endpoint_of_the_file),
        TEST(names_of_1_and_63_letters_are_taken),
        TEST(endpoints_have_a_greatest_number),
        TEST(directories_devices_and_missing_files_are_refused),
        TEST(fifo_without_a_writer_is_refused_at_once),
        TEST(symbolic_links_in_a_circle_are_refused),
        TEST(unreadable_file_is_a_matter_of_permission),
        TEST(file_of_one_mebibyte_is_read_and_a_longer_one_refused),
        TEST(empty_file_holds_no_endpoint),
        TEST(cut_file_never_passes_for_a_whole_one),
        TEST(reader_prints_nothing),
        TEST(copy_shares_nothing),
        TEST(copy_of_empty_lists_is_empty),
        TEST(same_sockets_means_addresses_and_family),
        TEST(check_finds_two_endpoints_of_one_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
