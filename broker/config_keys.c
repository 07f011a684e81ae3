#include "broker/config_keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/config_spelling.h"
#include "broker/config_values.h"
#include "broker/destination.h"
#include "broker/ids.h"
#include "proto/error.h"

typedef sockbroker_status setter(const struct sb_key *key, void *target, const char *value, struct sockbroker_error *error_out);
typedef void clearer(const struct sb_key *key, void *target);

struct sb_key {
    const char *name;
    setter *put;
    clearer *clear; /* lists have one */
    size_t offset;  /* of the field in the struct of the scope */
    uint32_t min, max;
    const struct sb_word *words;
};

static setter put_number, put_word, put_flag, put_dir, put_dir_mode, put_address, put_user, put_group, put_prefix,
    put_destination, put_policy;
static clearer clear_addresses, clear_list;
static setter put_text, put_variable, put_name, put_account;
static clearer clear_texts;

/* One row for each key, for the file and for the command line. */
#define GLOBAL(field) #field, .offset = offsetof(struct sb_config, field)
#define ENDPOINT(field) #field, .offset = offsetof(struct sb_endpoint_config, field)
#define GROUP(field) #field, .offset = offsetof(struct sb_group_config, field)
#define WORKERS(scope, field) #field, .offset = offsetof(struct scope, workers.field)
#define NUMBER(low, high) .put = put_number, .min = (low), .max = (high)
#define WORD(list) .put = put_word, .words = (list)

static const struct sb_key global_keys[] = {
    { GLOBAL(dir), .put = put_dir },
    { GLOBAL(dir_mode), .put = put_dir_mode },
    { GLOBAL(drain_ms), NUMBER(0, 3600000) },
    { GLOBAL(attach_ms), NUMBER(100, 60000) },
    { GLOBAL(heartbeat_ms), NUMBER(100, 3600000) },
    { GLOBAL(max_sessions), NUMBER(1, 100000) },
    { GLOBAL(max_sessions_per_uid), NUMBER(1, 100000) },
    { GLOBAL(max_deposits), NUMBER(0, 100000) },
    { GLOBAL(max_connections), NUMBER(0, 10000000) },
    { GLOBAL(keeper), WORD(sb_keeping_words) },
    { GLOBAL(keeper_restarts), NUMBER(0, 100) },
    { GLOBAL(keeper_window_ms), NUMBER(100, 3600000) },
    { GLOBAL(messages_per_second), NUMBER(10, 1000000) },
    { GLOBAL(connect_allow), .put = put_destination, .clear = clear_list },
    { GLOBAL(connect_deny), .put = put_destination, .clear = clear_list },
    { GLOBAL(connect_uid), .put = put_user, .clear = clear_list },
    { GLOBAL(address_policy), .put = put_policy, .clear = clear_list },
    { GLOBAL(log_level), WORD(sb_log_level_words) },
    { WORKERS(sb_config, command), .put = put_text, .clear = clear_texts },
    { WORKERS(sb_config, env), .put = put_variable, .clear = clear_texts },
    { WORKERS(sb_config, user), .put = put_account },
    { WORKERS(sb_config, spawn), NUMBER(0, SB_SLOTS_MAX) },
    { WORKERS(sb_config, ready_ms), NUMBER(100, 3600000) },
    { WORKERS(sb_config, term_ms), NUMBER(0, 3600000) },
    { WORKERS(sb_config, restart_delay_ms), NUMBER(10, 60000) },
    { WORKERS(sb_config, restart_max), NUMBER(0, 100) },
    { WORKERS(sb_config, restart_window_ms), NUMBER(1000, 3600000) },
};

static const struct sb_key endpoint_keys[] = {
    { "address", .put = put_address, .clear = clear_addresses },
    { ENDPOINT(family), WORD(sb_family_words) },
    { ENDPOINT(protocol), WORD(sb_protocol_words) },
    { ENDPOINT(mode), WORD(sb_mode_words) },
    { ENDPOINT(slots), NUMBER(1, 256) },
    { ENDPOINT(receive_buffer), NUMBER(0, 67108864) },
    { ENDPOINT(policy), WORD(sb_policy_words) },
    { ENDPOINT(carrier), WORD(sb_carrier_words) },
    { ENDPOINT(window), NUMBER(1, SB_WINDOW_MAX) },
    { ENDPOINT(backlog), NUMBER(1, 65535) },
    { ENDPOINT(blocking), .put = put_flag },
    { ENDPOINT(overload), WORD(sb_overload_words) },
    { ENDPOINT(hold_ms), NUMBER(0, 3600000) },
    { ENDPOINT(hold_max), NUMBER(0, 100000) },
    { ENDPOINT(withdraw_after_ms), NUMBER(10, 3600000) },
    { ENDPOINT(ack_timeout_ms), NUMBER(100, 3600000) },
    { ENDPOINT(kill_stuck), .put = put_flag },
    { ENDPOINT(drain_older), .put = put_flag },
    { ENDPOINT(allow_uid), .put = put_user, .clear = clear_list },
    { ENDPOINT(allow_gid), .put = put_group, .clear = clear_list },
    { ENDPOINT(allow), .put = put_prefix, .clear = clear_list },
    { ENDPOINT(deny), .put = put_prefix, .clear = clear_list },
    { WORKERS(sb_endpoint_config, command), .put = put_text, .clear = clear_texts },
    { WORKERS(sb_endpoint_config, env), .put = put_variable, .clear = clear_texts },
    { WORKERS(sb_endpoint_config, user), .put = put_account },
    { WORKERS(sb_endpoint_config, spawn), NUMBER(0, SB_SLOTS_MAX) },
};

static const struct sb_key group_keys[] = {
    { GROUP(command), .put = put_text, .clear = clear_texts },
    { GROUP(env), .put = put_variable, .clear = clear_texts },
    { GROUP(endpoints), .put = put_name, .clear = clear_texts },
    { GROUP(user), .put = put_account },
    { GROUP(spawn), NUMBER(0, SB_SLOTS_MAX) },
    { GROUP(ready_ms), NUMBER(100, 3600000) },
    { GROUP(drain_ms), NUMBER(0, 3600000) },
    { GROUP(term_ms), NUMBER(0, 3600000) },
    { GROUP(restart_delay_ms), NUMBER(10, 60000) },
    { GROUP(restart_max), NUMBER(0, 100) },
    { GROUP(restart_window_ms), NUMBER(1000, 3600000) },
};

static const struct {
    const struct sb_key *keys;
    size_t n;
} tables[SB_KEY_SCOPES] = {
    [SB_KEY_GLOBAL] = { global_keys, sizeof(global_keys) / sizeof(global_keys[0]) },
    [SB_KEY_ENDPOINT] = { endpoint_keys, sizeof(endpoint_keys) / sizeof(endpoint_keys[0]) },
    [SB_KEY_GROUP] = { group_keys, sizeof(group_keys) / sizeof(group_keys[0]) },
};

_Static_assert(sizeof(endpoint_keys) / sizeof(endpoint_keys[0]) <= SB_KEYS_MAX &&
                   sizeof(global_keys) / sizeof(global_keys[0]) <= SB_KEYS_MAX,
               "callers keep a mark for each key");

static void *field_of(const struct sb_key *key, void *target)
{
    return (char *)target + key->offset;
}

static sockbroker_status put_number(const struct sb_key *key, void *target, const char *value,
                                    struct sockbroker_error *error_out)
{
    return sb_value_number(key->name, value, key->min, key->max, field_of(key, target), error_out);
}

/* The words of every enum are stored through an int. */
_Static_assert(sizeof(enum sb_family_choice) == sizeof(int) && sizeof(enum sb_mode) == sizeof(int) &&
                   sizeof(enum sb_policy) == sizeof(int) && sizeof(enum sb_protocol) == sizeof(int) &&
                   sizeof(enum sb_carrier) == sizeof(int) && sizeof(enum sb_overload) == sizeof(int) &&
                   sizeof(enum sb_log_level) == sizeof(int) && sizeof(enum sb_keeping) == sizeof(int),
               "put_word() writes an int");

static sockbroker_status put_word(const struct sb_key *key, void *target, const char *value, struct sockbroker_error *error_out)
{
    int number;
    sockbroker_status st = sb_value_word(key->name, value, key->words, &number, error_out);

    if (!st)
        memcpy(field_of(key, target), &number, sizeof(number));
    return st;
}

static sockbroker_status put_flag(const struct sb_key *key, void *target, const char *value, struct sockbroker_error *error_out)
{
    int number;
    bool *flag = field_of(key, target);
    sockbroker_status st = sb_value_word(key->name, value, sb_flag_words, &number, error_out);

    if (!st)
        *flag = number != 0;
    return st;
}

static sockbroker_status put_dir(const struct sb_key *key, void *target, const char *value, struct sockbroker_error *error_out)
{
    struct sb_config *config = target;

    return sb_value_path(key->name, value, config->dir, sizeof(config->dir), error_out);
}

static sockbroker_status put_dir_mode(const struct sb_key *key, void *target, const char *value,
                                      struct sockbroker_error *error_out)
{
    return sb_value_dir_mode(key->name, value, field_of(key, target), error_out);
}

/* "address " before the text of an error that the parser of addresses wrote. */
static sockbroker_status name_key(const struct sb_key *key, sockbroker_status st, struct sockbroker_error *error_out)
{
    char place[32];

    snprintf(place, sizeof(place), "%s: ", key->name);
    if (st)
        sb_config_error_at(error_out, place);
    return st;
}

static sockbroker_status put_address(const struct sb_key *key, void *target, const char *value,
                                     struct sockbroker_error *error_out)
{
    struct sb_endpoint_config *endpoint = target;
    struct sockbroker_addr addr;
    sockbroker_status st = name_key(key, sockbroker_addr_parse(value, &addr, error_out), error_out);

    if (st)
        return st;
    if (endpoint->n_addresses == SB_ADDRESSES_PER_ENDPOINT_MAX)
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0, "%s has more than %u items; put the rest into another endpoint",
                            key->name, SB_ADDRESSES_PER_ENDPOINT_MAX);
    endpoint->addresses[endpoint->n_addresses++] = addr;
    return SOCKBROKER_OK;
}

/* Room for item n of a list. Grows at each power of two. */
static sockbroker_status grow(const char *key, void **items, size_t n, size_t size, struct sockbroker_error *error_out)
{
    void *grown;

    if (n >= SB_LIST_ITEMS_MAX)
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0, "%s has more than %u items; use wider ones", key,
                            SB_LIST_ITEMS_MAX);
    if ((n & (n - 1)) != 0)
        return SOCKBROKER_OK;
    grown = realloc(*items, (n ? n * 2 : 1) * size);
    if (!grown)
        return sb_error_set(error_out, SOCKBROKER_NO_MEMORY, 0, "%s: no memory for the list", key);
    *items = grown;
    return SOCKBROKER_OK;
}

sockbroker_status sb_text_list_add(const char *key, struct sb_text_list *list, const char *text,
                                   struct sockbroker_error *error_out)
{
    size_t size = strlen(text) + 1;
    char *copy = malloc(size);
    void *items = list->texts;
    sockbroker_status st = copy ? grow(key, &items, list->n, sizeof(*list->texts), error_out)
                                : sb_error_set(error_out, SOCKBROKER_NO_MEMORY, 0, "%s: no memory for the list", key);

    list->texts = items;
    if (st) {
        free(copy);
        return st;
    }
    memcpy(copy, text, size);
    list->texts[list->n++] = copy;
    return SOCKBROKER_OK;
}

void sb_text_list_clear(struct sb_text_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->texts[i]);
    free(list->texts);
    *list = (struct sb_text_list){ 0 };
}

static sockbroker_status add_id(const struct sb_key *key, struct sb_id_list *list, uint32_t id,
                                struct sockbroker_error *error_out)
{
    void *items = list->ids;
    sockbroker_status st = grow(key->name, &items, list->n, sizeof(*list->ids), error_out);

    list->ids = items;
    if (!st)
        list->ids[list->n++] = id;
    return st;
}

static sockbroker_status put_user(const struct sb_key *key, void *target, const char *value, struct sockbroker_error *error_out)
{
    uint32_t id;
    sockbroker_status st = sb_value_id(key->name, value, "user", sb_ids_user, &id, error_out);

    return st ? st : add_id(key, field_of(key, target), id, error_out);
}

static sockbroker_status put_group(const struct sb_key *key, void *target, const char *value,
                                   struct sockbroker_error *error_out)
{
    uint32_t id;
    sockbroker_status st = sb_value_id(key->name, value, "group", sb_ids_group, &id, error_out);

    return st ? st : add_id(key, field_of(key, target), id, error_out);
}

static sockbroker_status put_prefix(const struct sb_key *key, void *target, const char *value,
                                    struct sockbroker_error *error_out)
{
    struct sb_prefix_list *list = field_of(key, target);
    struct sockbroker_prefix prefix;
    void *items = list->prefixes;
    sockbroker_status st = name_key(key, sockbroker_prefix_parse(value, &prefix, error_out), error_out);

    if (!st)
        st = grow(key->name, &items, list->n, sizeof(prefix), error_out);
    list->prefixes = items;
    if (!st)
        list->prefixes[list->n++] = prefix;
    return st;
}

static sockbroker_status put_destination(const struct sb_key *key, void *target, const char *value,
                                         struct sockbroker_error *error_out)
{
    struct sb_destination_list *list = field_of(key, target);
    struct sb_destination_rule rule;
    void *items = list->rules;
    sockbroker_status st = name_key(key, sb_destination_rule_parse(value, &rule, error_out), error_out);

    if (!st)
        st = grow(key->name, &items, list->n, sizeof(rule), error_out);
    list->rules = items;
    if (!st)
        list->rules[list->n++] = rule;
    return st;
}

static sockbroker_status put_policy(const struct sb_key *key, void *target, const char *value,
                                    struct sockbroker_error *error_out)
{
    struct sb_policy_list *list = field_of(key, target);
    struct sockbroker_policy policy;
    void *items = list->policies;
    sockbroker_status st = name_key(key, sockbroker_policy_parse(value, &policy, error_out), error_out);

    if (!st)
        st = grow(key->name, &items, list->n, sizeof(policy), error_out);
    list->policies = items;
    if (!st)
        list->policies[list->n++] = policy;
    return st;
}

/* ---- of groups ---- */

static sockbroker_status put_text(const struct sb_key *key, void *target, const char *value, struct sockbroker_error *error_out)
{
    struct sb_text_list *list = field_of(key, target);

    if (!list->n && !value[0])
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0, "%s begins with an empty word; begin with the program",
                            key->name);
    return sb_text_list_add(key->name, list, value, error_out);
}

static sockbroker_status put_variable(const struct sb_key *key, void *target, const char *value,
                                      struct sockbroker_error *error_out)
{
    sockbroker_status st = sb_value_variable(key->name, value, error_out);

    return st ? st : sb_text_list_add(key->name, field_of(key, target), value, error_out);
}

static sockbroker_status put_name(const struct sb_key *key, void *target, const char *value, struct sockbroker_error *error_out)
{
    char quoted[SB_QUOTE_MAX];

    if (!sb_name_is_valid(value, strlen(value)))
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0, "%s \"%s\" is not the name of an endpoint; use one of this file",
                            key->name, sb_quote(value, strlen(value), quoted, sizeof(quoted)));
    return sb_text_list_add(key->name, field_of(key, target), value, error_out);
}

static sockbroker_status put_account(const struct sb_key *key, void *target, const char *value,
                                     struct sockbroker_error *error_out)
{
    struct sb_account **account = field_of(key, target);
    struct sb_account *found = calloc(1, sizeof(*found));
    sockbroker_status st = found ? sb_value_account(key->name, value, found, error_out)
                                 : sb_error_set(error_out, SOCKBROKER_NO_MEMORY, 0, "%s: no memory", key->name);

    if (st) {
        free(found);
        return st;
    }
    free(*account);
    *account = found;
    return SOCKBROKER_OK;
}

static void clear_texts(const struct sb_key *key, void *target)
{
    sb_text_list_clear(field_of(key, target));
}

/* ---- lists begin anew ---- */

static void clear_addresses(const struct sb_key *key, void *target)
{
    struct sb_endpoint_config *endpoint = target;

    (void)key;
    endpoint->n_addresses = 0;
    memset(endpoint->addresses, 0, sizeof(endpoint->addresses));
}

/* All lists begin with the pointer to their items, which own nothing; then comes the count. */
static void clear_list(const struct sb_key *key, void *target)
{
    void *list = field_of(key, target);
    void *items;

    memcpy(&items, list, sizeof(items));
    free(items);
    memset(list, 0, sizeof(struct sb_id_list));
}

_Static_assert(sizeof(struct sb_id_list) == sizeof(struct sb_prefix_list) &&
                   sizeof(struct sb_id_list) == sizeof(struct sb_destination_list) &&
                   sizeof(struct sb_id_list) == sizeof(struct sb_policy_list),
               "clear_list() knows one layout");

bool sb_key_is_list(const struct sb_key *key)
{
    return key->clear != NULL;
}

sockbroker_status sb_key_put(const struct sb_key *key, void *target, const char *value, bool first,
                             struct sockbroker_error *error_out)
{
    if (!first && !key->clear)
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0, "%s takes one value only; leave the others out", key->name);
    if (first && key->clear)
        key->clear(key, target);
    return key->put(key, target, value, error_out);
}

size_t sb_key_count(enum sb_key_scope scope)
{
    return tables[scope].n;
}

const struct sb_key *sb_key_at(enum sb_key_scope scope, size_t i)
{
    return &tables[scope].keys[i];
}

size_t sb_key_index(enum sb_key_scope scope, const struct sb_key *key)
{
    return (size_t)(key - tables[scope].keys);
}

const char *sb_key_name(const struct sb_key *key)
{
    return key->name;
}

static const struct sb_key *lookup(enum sb_key_scope scope, const char *name)
{
    for (size_t i = 0; i < tables[scope].n; i++)
        if (strcmp(tables[scope].keys[i].name, name) == 0)
            return &tables[scope].keys[i];
    return NULL;
}

static const char *nearest(enum sb_key_scope scope, const char *name)
{
    const char *best = NULL;
    size_t best_apart = 3; /* two wrong letters are a slip, three another word */

    for (size_t i = 0; i < tables[scope].n; i++) {
        size_t apart = sb_letters_apart(name, tables[scope].keys[i].name);

        if (apart < best_apart) {
            best = tables[scope].keys[i].name;
            best_apart = apart;
        }
    }
    return best;
}

static void list_keys(enum sb_key_scope scope, char *out, size_t out_size)
{
    size_t at = 0;

    out[0] = '\0';
    for (size_t i = 0; i < tables[scope].n && at < out_size; i++)
        at += (size_t)snprintf(out + at, out_size - at, "%s%s", i ? ", " : "", tables[scope].keys[i].name);
}

/* Where a key that does not belong here does; NULL when nowhere. */
static const char *other_place(enum sb_key_scope scope, const char *name)
{
    static const char *const from_global[] = { "%s belongs into an endpoint; move it there",
                                               "%s belongs into a group; move it there" };
    static const char *const from_block[] = { "%s is not for one endpoint; move it to the top level",
                                              "%s is not for one group; move it to the top level" };

    if (scope != SB_KEY_GLOBAL && lookup(SB_KEY_GLOBAL, name))
        return from_block[scope == SB_KEY_GROUP];
    if (scope != SB_KEY_ENDPOINT && lookup(SB_KEY_ENDPOINT, name))
        return from_global[0];
    return scope != SB_KEY_GROUP && lookup(SB_KEY_GROUP, name) ? from_global[1] : NULL;
}

const struct sb_key *sb_key_find(enum sb_key_scope scope, const char *name, struct sockbroker_error *error_out)
{
    const struct sb_key *key = lookup(scope, name);
    const char *elsewhere = key ? NULL : other_place(scope, name);
    char text[SB_QUOTE_MAX / 2], keys[320];

    if (key)
        return key;
    sb_quote(name, strlen(name), text, sizeof(text));
    list_keys(scope, keys, sizeof(keys));
    if (elsewhere)
        sb_error_set(error_out, SOCKBROKER_INVALID, 0, elsewhere, text);
    else if (nearest(scope, name))
        sb_error_set(error_out, SOCKBROKER_INVALID, 0, "%s is not a known key; did you mean %s?", text, nearest(scope, name));
    else
        sb_error_set(error_out, SOCKBROKER_INVALID, 0, "%s is not a known key; use %s", text, keys);
    return NULL;
}

static sockbroker_status set(enum sb_key_scope scope, void *target, const char *name, const char *const *values,
                             size_t n_values, struct sockbroker_error *error_out)
{
    const struct sb_key *key = sb_key_find(scope, name, error_out);
    sockbroker_status st = key ? SOCKBROKER_OK : SOCKBROKER_INVALID;

    if (key && n_values == 0)
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0, "%s has no value; give one or leave the key out", name);
    for (size_t i = 0; !st && i < n_values; i++)
        st = sb_key_put(key, target, values[i], i == 0, error_out);
    return st;
}

sockbroker_status sb_config_set_global(struct sb_config *config, const char *key, const char *const *values, size_t n_values,
                                       struct sockbroker_error *error_out)
{
    return set(SB_KEY_GLOBAL, config, key, values, n_values, error_out);
}

sockbroker_status sb_config_set_endpoint(struct sb_endpoint_config *endpoint, const char *key, const char *const *values,
                                         size_t n_values, struct sockbroker_error *error_out)
{
    return set(SB_KEY_ENDPOINT, endpoint, key, values, n_values, error_out);
}
