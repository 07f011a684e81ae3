/* What status_print.h promises: the status as text and as JSON, with every key in the manual. */
#include "tests/unit/unit.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/status_print.h"
#include "tests/support/format.h"

/* ---- a report with one of everything ---- */

static const struct sockbroker_addr server = { .family = SOCKBROKER_IPV4, .port = 80, .ip = { 192, 0, 2, 1 } };
static const struct sockbroker_addr client = { .family = SOCKBROKER_IPV6, .port = 4711, .ip = { [15] = 1 } };

static struct sb_endpoint_status endpoint = {
    .name = "web",
    .n_addresses = 1,
    .mode = "shard",
    .policy = "round-robin",
    .family = "dual",
    .carrier = "direct",
    .state = "listening",
    .counters = { .accepted = 11, .granted = 12, .repaired = 13 },
    .protocol = "tcp",
    .slots = 14,
};
static struct sb_session_status session = { .id = UINT64_MAX, .name = "w1", .state = "ready", .n_endpoints = 1 };
static struct sb_deposit_status deposits[] = {
    { "first", "w1", 1000, "connection", { 0 }, { 0 }, 65536, 21, 22, "w2" },
    { "second", "w1", UINT32_MAX, "listening", { 0 }, { 0 }, 0, 31, 32, "" },
};

static struct sb_group_status group = { "web", "worker --fast", 2, 3, "it was late" };
static struct sb_generation_status generations[] = {
    { "web", 2, "leaving", 1, 0, 51, 52 },
    { "web", 3, "serving", 2, 2, 53, 54 },
    { "other", 9, "serving", 0, 0, 0, 0 },
};
static struct sb_slot_status slot = { "web", 3, "web-3-1", 4711, "given-up", 61, 62 };

static struct sb_status_report whole_report(void)
{
    struct sb_status_report r = {
        .broker = { .version = "1",
                    .state = "serving",
                    .n_deposits = 41,
                    .grants = 42,
                    .deposits_expired = 43,
                    .connects_failed = 44 },
        .endpoints = &endpoint,
        .n_endpoints = 1,
        .sessions = &session,
        .n_sessions = 1,
        .deposits = deposits,
        .n_deposits = UNIT_COUNT(deposits),
        .groups = &group,
        .n_groups = 1,
        .generations = generations,
        .n_generations = UNIT_COUNT(generations),
        .slots = &slot,
        .n_slots = 1,
    };

    endpoint.addresses[0] = server;
    strcpy(session.endpoints[0], "web");
    deposits[0].local = server;
    deposits[0].peer = client;
    deposits[1].local = server;
    return r;
}

typedef bool printer(const struct sb_status_report *report, FILE *to);

/* To be freed. */
static char *printed(printer *print, const struct sb_status_report *r)
{
    FILE *to = tmpfile();

    assert_non_null(to);
    assert_true(print(r, to));
    long len = ftell(to);
    char *text = calloc(1, (size_t)len + 1);
    rewind(to);
    assert_int_equal(fread(text, 1, (size_t)len, to), len);
    assert_int_equal(fclose(to), 0);
    return text;
}

/* ---- JSON ---- */

static json_t *parsed(const struct sb_status_report *r)
{
    char *text = printed(sb_status_print_json, r);
    json_t *all = json_loads(text, JSON_REJECT_DUPLICATES, NULL);

    assert_non_null(all);
    free(text);
    return all;
}

static void assert_number(const json_t *object, const char *key, json_int_t expected)
{
    const json_t *value = json_object_get(object, key);

    assert_true(json_is_integer(value));
    assert_int_equal(json_integer_value(value), expected);
}

static void assert_text(const json_t *object, const char *key, const char *expected)
{
    const json_t *value = json_object_get(object, key);

    assert_true(json_is_string(value));
    assert_string_equal(json_string_value(value), expected);
}

static void json_has_every_value_of_a_deposit(void **state)
{
    struct sb_status_report r = whole_report();
    json_t *all = parsed(&r);
    const json_t *list = json_object_get(all, "deposits");
    const json_t *first = json_array_get(list, 0);

    (void)state;
    assert_int_equal(json_array_size(list), 2);
    assert_int_equal(json_object_size(first), 10);
    assert_text(first, "name", "first");
    assert_text(first, "owner", "w1");
    assert_number(first, "uid", 1000);
    assert_text(first, "kind", "connection");
    assert_text(first, "local", "192.0.2.1:80");
    assert_text(first, "peer", "[::1]:4711");
    assert_number(first, "state_len", 65536);
    assert_number(first, "age_ms", 21);
    assert_number(first, "expires_ms", 22);
    assert_text(first, "taken_by", "w2");
    json_decref(all);
}

static void json_puts_generations_and_workers_into_their_group(void **state)
{
    struct sb_status_report r = whole_report();
    json_t *all = parsed(&r);
    const json_t *list = json_object_get(all, "groups"), *g = json_array_get(list, 0);
    const json_t *old = json_array_get(json_object_get(g, "generations"), 0);
    const json_t *worker = json_array_get(json_object_get(g, "workers"), 0);

    (void)state;
    assert_int_equal(json_array_size(list), 1);
    assert_text(g, "name", "web");
    assert_text(g, "command", "worker --fast");
    assert_number(g, "wanted", 2);
    assert_number(g, "generation", 3);
    assert_text(g, "failure", "it was late");
    assert_int_equal(json_array_size(json_object_get(g, "generations")), 2);
    assert_number(old, "generation", 2);
    assert_text(old, "state", "leaving");
    assert_number(old, "open", 51);
    assert_number(old, "since_ms", 52);
    assert_text(worker, "worker", "web-3-1");
    assert_number(worker, "pid", 4711);
    assert_text(worker, "state", "given-up");
    assert_number(worker, "restarts", 61);
    json_decref(all);
}

static void json_says_nobody_and_no_address_with_empty_texts(void **state)
{
    struct sb_status_report r = whole_report();
    json_t *all = parsed(&r);
    const json_t *second = json_array_get(json_object_get(all, "deposits"), 1);

    (void)state;
    assert_text(second, "peer", "");
    assert_text(second, "taken_by", "");
    assert_number(second, "uid", UINT32_MAX);
    json_decref(all);
}

static void json_has_what_was_given_on_request(void **state)
{
    struct sb_status_report r = whole_report();
    json_t *all = parsed(&r);
    const json_t *web = json_array_get(json_object_get(all, "endpoints"), 0);
    const json_t *broker = json_object_get(all, "broker");

    (void)state;
    assert_number(broker, "n_deposits", 41);
    assert_number(broker, "grants", 42);
    assert_number(broker, "deposits_expired", 43);
    assert_number(broker, "connects_failed", 44);
    assert_text(web, "protocol", "tcp");
    assert_number(web, "slots", 14);
    assert_number(json_object_get(web, "counters"), "granted", 12);
    assert_number(json_object_get(web, "counters"), "repaired", 13);
    assert_text(json_array_get(json_object_get(all, "sessions"), 0), "id", "18446744073709551615");
    json_decref(all);
}

static void json_of_an_empty_broker_has_empty_lists(void **state)
{
    struct sb_status_report r = { .n_endpoints = 0 };
    json_t *all = parsed(&r);

    (void)state;
    assert_number(all, "schema", SB_STATUS_SCHEMA);
    assert_int_equal(json_array_size(json_object_get(all, "endpoints")), 0);
    assert_int_equal(json_array_size(json_object_get(all, "sessions")), 0);
    assert_true(json_is_array(json_object_get(all, "deposits")));
    assert_int_equal(json_array_size(json_object_get(all, "deposits")), 0);
    json_decref(all);
}

static void assert_in_manual(const char *manual, const char *key)
{
    const char *const forms[] = { "`%s`", "`%s[]`", "`endpoints[].%s`", "`.%s`" };
    char form[96];

    for (size_t i = 0; i < UNIT_COUNT(forms); i++) {
        format_text(form, sizeof(form), forms[i], key);
        if (strstr(manual, form))
            return;
    }
    fail_msg("broker/README.md does not explain \"%s\"", key);
}

static void assert_keys_in_manual(const char *manual, json_t *value)
{
    const char *key;
    json_t *child;
    size_t i;

    json_array_foreach(value, i, child) assert_keys_in_manual(manual, child);
    json_object_foreach(value, key, child)
    {
        assert_in_manual(manual, key);
        if (strcmp(key, "below") != 0) /* the buckets are explained as a row */
            assert_keys_in_manual(manual, child);
    }
}

static void every_key_is_in_the_manual(void **state)
{
    static char manual[64 * 1024];
    struct sb_status_report r = whole_report();
    json_t *all = parsed(&r);
    FILE *file = fopen("broker/README.md", "r");

    (void)state;
    assert_non_null(file);
    assert_in_range(fread(manual, 1, sizeof(manual) - 1, file), 1, sizeof(manual) - 2);
    fclose(file);
    assert_keys_in_manual(manual, all);
    json_decref(all);
}

/* ---- text ---- */

static void text_shows_who_still_holds_connections_and_who_was_given_up(void **state)
{
    struct sb_status_report r = whole_report();
    char *text = printed(sb_status_print_text, &r);

    (void)state;
    assert_non_null(strstr(text, "group web  wanted 2  command worker --fast\n  the last reload failed: it was late\n"));
    assert_non_null(strstr(text, "  generation 2  leaving for 0.1 s  workers 1  ready 0  open 51\n"));
    assert_non_null(strstr(text, "web-3-1 "));
    assert_non_null(strstr(text, "given-up for 0.1 s  restarts 61\n"));
    assert_null(strstr(text, "generation 9")); /* of no group that is there */
    free(text);
}

/* The line that begins with `name`, cut off behind. */
static char *line_of(char *text, const char *name)
{
    char begin[32];

    format_text(begin, sizeof(begin), "\n%s ", name);
    char *at = strstr(text, begin);
    assert_non_null(at);
    at[1 + strcspn(at + 1, "\n")] = '\0';
    return at + 1;
}

/* Splits the line; returns how many. */
static size_t columns_of(char *line, const char *columns[], size_t n_max)
{
    size_t n = 0;

    for (char *word = strtok(line, " "); word; word = strtok(NULL, " ")) {
        assert_true(n < n_max);
        columns[n++] = word;
    }
    return n;
}

static void assert_row(const char *name, const char *const expected[10])
{
    struct sb_status_report r = whole_report();
    char *text = printed(sb_status_print_text, &r);
    const char *columns[16];

    assert_int_equal(columns_of(line_of(text, name), columns, UNIT_COUNT(columns)), 10);
    for (size_t i = 0; i < 10; i++)
        assert_string_equal(columns[i], expected[i]);
    free(text);
}

static void text_has_a_row_of_ten_columns_for_each_deposit(void **state)
{
    static const char *const first[] = { "first",      "w1",    "1000", "connection", "192.0.2.1:80",
                                         "[::1]:4711", "65536", "21",   "22",         "w2" };
    static const char *const second[] = {
        "second", "w1", "4294967295", "listening", "192.0.2.1:80", "-", "0", "31", "32", "-"
    };

    (void)state;
    assert_row("first", first);
    assert_row("second", second);
}

static void text_has_no_table_without_deposits(void **state)
{
    struct sb_status_report r = whole_report();
    char *text;

    (void)state;
    r.n_deposits = 0;
    text = printed(sb_status_print_text, &r);
    assert_null(strstr(text, "taken by"));
    free(text);
}

static void text_tells_the_endpoint_and_the_counts(void **state)
{
    struct sb_status_report r = whole_report();
    char *text = printed(sb_status_print_text, &r);

    (void)state;
    assert_non_null(strstr(text, "endpoint web  192.0.2.1:80  tcp shard round-robin dual direct 14 slots  listening\n"));
    assert_non_null(strstr(text, "  granted 12  repaired 13\n"));
    assert_non_null(strstr(text, "\ngrants 42  connects failed 44  deposits 41 (expired 43)\n"));
    free(text);
    endpoint.slots = 0;
    text = printed(sb_status_print_text, &r);
    endpoint.slots = 14;
    assert_non_null(strstr(text, "dual direct  listening\n"));
    free(text);
}

/* ---- both ---- */

static void a_file_that_takes_nothing_is_told(void **state)
{
    static printer *const printers[] = { sb_status_print_text, sb_status_print_json };
    struct sb_status_report r = whole_report();

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(printers); i++) {
        FILE *to = fopen(SB_TEST_DATA "/config/accept_smallest.conf", "r");

        assert_non_null(to);
        setbuf(to, NULL);
        assert_false(printers[i](&r, to));
        fclose(to);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(json_has_every_value_of_a_deposit),
        UNIT_TEST(json_puts_generations_and_workers_into_their_group),
        UNIT_TEST(text_shows_who_still_holds_connections_and_who_was_given_up),
        UNIT_TEST(json_says_nobody_and_no_address_with_empty_texts),
        UNIT_TEST(json_has_what_was_given_on_request),
        UNIT_TEST(json_of_an_empty_broker_has_empty_lists),
        UNIT_TEST(every_key_is_in_the_manual),
        UNIT_TEST(text_has_a_row_of_ten_columns_for_each_deposit),
        UNIT_TEST(text_has_no_table_without_deposits),
        UNIT_TEST(text_tells_the_endpoint_and_the_counts),
        UNIT_TEST(a_file_that_takes_nothing_is_told),
    };

    return cmocka_run_group_tests_name("status_print", tests, NULL, NULL);
}
