#include "broker/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/config_keys.h"
#include "broker/config_system.h"
#include "broker/process.h"
#include "proto/error.h"

void sb_config_init(struct sb_config *config)
{
    *config = (struct sb_config){
        .dir_mode = 0700,
        .drain_ms = 30000,
        .attach_ms = 5000,
        .heartbeat_ms = 5000,
        .max_sessions = 4096,
        .max_sessions_per_uid = 4096,
        .max_deposits = 1024,
        .keeper = sb_config_system_keeper,
        .keeper_restarts = 10,
        .keeper_window_ms = 60000,
        .messages_per_second = 1000,
        .log_level = SB_LOG_INFO,
    };
    sb_group_config_init(&config->workers);
}

void sb_config_deinit(struct sb_config *config)
{
    for (size_t i = 0; i < config->n_endpoints; i++)
        sb_endpoint_config_deinit(&config->endpoints[i]);
    free(config->endpoints);
    free(config->connect_allow.rules);
    free(config->connect_deny.rules);
    free(config->connect_uid.ids);
    free(config->address_policy.policies);
    for (size_t i = 0; i < config->n_groups; i++)
        sb_group_config_deinit(&config->groups[i]);
    free(config->groups);
    sb_group_config_deinit(&config->workers);
    sb_config_init(config);
}

void sb_endpoint_config_init(struct sb_endpoint_config *endpoint)
{
    *endpoint = (struct sb_endpoint_config){
        .family = SB_FAMILY_DUAL,
        .protocol = SB_PROTOCOL_TCP,
        .mode = SB_MODE_HANDOFF,
        .slots = 16,
        .policy = SB_POLICY_ROUND_ROBIN,
        .carrier = sb_config_system_carrier,
        .window = 16,
        .backlog = 4096,
        .blocking = true,
        .overload = SB_OVERLOAD_HOLD,
        .hold_ms = 30000,
        .hold_max = 1024,
        .withdraw_after_ms = 1000,
        .ack_timeout_ms = sb_config_system_ack_timeout_ms,
        .kill_stuck = true,
    };
    sb_group_config_init(&endpoint->workers);
}

void sb_endpoint_config_deinit(struct sb_endpoint_config *endpoint)
{
    free(endpoint->allow_uid.ids);
    free(endpoint->allow_gid.ids);
    free(endpoint->allow.prefixes);
    free(endpoint->deny.prefixes);
    sb_group_config_deinit(&endpoint->workers);
    sb_endpoint_config_init(endpoint);
}

sockbroker_status sb_endpoint_config_set_name(struct sb_endpoint_config *endpoint, const char *name, size_t len,
                                              struct sockbroker_error *error_out)
{
    char quoted[SB_QUOTE_MAX];

    if (!sb_name_is_valid(name, len))
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0,
                            "\"%s\" cannot be the name of an endpoint; use 1 to %d of A-Z a-z 0-9 . _ -",
                            sb_quote(name, len, quoted, sizeof(quoted)), SOCKBROKER_NAME_MAX);
    memcpy(endpoint->name, name, len);
    endpoint->name[len] = '\0';
    return SOCKBROKER_OK;
}

static struct sb_endpoint_config *find(const struct sb_config *config, const char *name)
{
    for (size_t i = 0; i < config->n_endpoints; i++)
        if (strcmp(config->endpoints[i].name, name) == 0)
            return &config->endpoints[i];
    return NULL;
}

const struct sb_endpoint_config *sb_config_find(const struct sb_config *config, const char *name)
{
    return find(config, name);
}

/* Room for one more at the end, with its defaults set. */
static sockbroker_status add_place(struct sb_config *config, struct sb_endpoint_config **place_out,
                                   struct sockbroker_error *error_out)
{
    struct sb_endpoint_config *grown;

    if (config->n_endpoints >= SB_ENDPOINTS_MAX)
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0, "more than %u endpoints; give one endpoint several addresses",
                            SB_ENDPOINTS_MAX);
    grown = realloc(config->endpoints, (config->n_endpoints + 1) * sizeof(*grown));
    if (!grown)
        return sb_error_set(error_out, SOCKBROKER_NO_MEMORY, 0, "no memory for another endpoint");
    config->endpoints = grown;
    *place_out = &grown[config->n_endpoints++];
    sb_endpoint_config_init(*place_out);
    return SOCKBROKER_OK;
}

sockbroker_status sb_config_take_endpoint(struct sb_config *config, struct sb_endpoint_config *endpoint,
                                          struct sockbroker_error *error_out)
{
    struct sb_endpoint_config *place = find(config, endpoint->name);
    sockbroker_status st = place ? SOCKBROKER_OK : add_place(config, &place, error_out);

    if (st)
        return st;
    sb_endpoint_config_deinit(place);
    *place = *endpoint;
    sb_endpoint_config_init(endpoint);
    return SOCKBROKER_OK;
}

/* NULL when there is nothing to copy, or no memory: then *ok becomes false. */
static void *copy_items(const void *from, size_t n, size_t size, bool *ok)
{
    void *copy = n > 0 ? calloc(n, size) : NULL;

    if (copy)
        memcpy(copy, from, n * size);
    else if (n > 0)
        *ok = false;
    return copy;
}

sockbroker_status sb_endpoint_config_copy(const struct sb_endpoint_config *from, struct sb_endpoint_config *to_out)
{
    struct sb_endpoint_config copy = *from;
    bool ok = true;

    copy.allow_uid.ids = copy_items(from->allow_uid.ids, from->allow_uid.n, sizeof(uint32_t), &ok);
    copy.allow_gid.ids = copy_items(from->allow_gid.ids, from->allow_gid.n, sizeof(uint32_t), &ok);
    copy.allow.prefixes = copy_items(from->allow.prefixes, from->allow.n, sizeof(struct sockbroker_prefix), &ok);
    copy.deny.prefixes = copy_items(from->deny.prefixes, from->deny.n, sizeof(struct sockbroker_prefix), &ok);
    ok &= sb_group_config_copy(&from->workers, &copy.workers) == SOCKBROKER_OK;
    if (!ok) {
        sb_endpoint_config_deinit(&copy);
        return SOCKBROKER_NO_MEMORY;
    }
    *to_out = copy;
    return SOCKBROKER_OK;
}

bool sb_id_list_has(const struct sb_id_list *list, uint32_t id)
{
    for (size_t i = 0; i < list->n; i++) {
        if (list->ids[i] == id)
            return true;
    }
    return false;
}

static void append_ids(const struct sb_id_list *from, struct sb_id_list *to)
{
    if (from->n)
        memcpy(to->ids + to->n, from->ids, from->n * sizeof(*from->ids));
    to->n += from->n;
}

sockbroker_status sb_config_list_users(const struct sb_config *config, struct sb_id_list *users_out)
{
    struct sb_id_list users = { NULL, 0 };
    size_t n = config->connect_uid.n;

    for (size_t i = 0; i < config->n_endpoints; i++)
        n += config->endpoints[i].allow_uid.n;
    users.ids = malloc((n + 1) * sizeof(*users.ids));
    if (!users.ids)
        return SOCKBROKER_NO_MEMORY;
    append_ids(&config->connect_uid, &users);
    for (size_t i = 0; i < config->n_endpoints; i++)
        append_ids(&config->endpoints[i].allow_uid, &users);
    *users_out = users;
    return SOCKBROKER_OK;
}

bool sb_endpoint_config_admits(const struct sb_endpoint_config *endpoint, uint32_t uid, uint32_t gid)
{
    if (!endpoint->allow_uid.n && !endpoint->allow_gid.n)
        return sb_process_is_own_user(uid);
    return sb_id_list_has(&endpoint->allow_uid, uid) || sb_id_list_has(&endpoint->allow_gid, gid);
}

/* How often: with port 0, each time it is written asks for a port of its own. */
static size_t count_address(const struct sb_endpoint_config *endpoint, const struct sockbroker_addr *addr)
{
    size_t n = 0;

    for (size_t i = 0; i < endpoint->n_addresses; i++)
        n += sockbroker_addr_compare(&endpoint->addresses[i], addr) == 0;
    return n;
}

static bool has_ipv6_wildcard(const struct sb_endpoint_config *endpoint)
{
    for (size_t i = 0; i < endpoint->n_addresses; i++)
        if (endpoint->addresses[i].family == SOCKBROKER_IPV6 &&
            sockbroker_addr_classify(&endpoint->addresses[i]) == SOCKBROKER_CLASS_UNSPECIFIED)
            return true;
    return false;
}

/* The order is no matter, and the family matters to [::] alone. */
bool sb_endpoint_config_same_sockets(const struct sb_endpoint_config *a, const struct sb_endpoint_config *b)
{
    bool is_group = a->mode == SB_MODE_SHARD; /* handoff and share have the same, and differ in who accepts */

    if (a->n_addresses != b->n_addresses || a->protocol != b->protocol || is_group != (b->mode == SB_MODE_SHARD) ||
        (is_group && a->slots != b->slots))
        return false;
    for (size_t i = 0; i < a->n_addresses; i++)
        if (count_address(a, &a->addresses[i]) != count_address(b, &a->addresses[i]))
            return false;
    return a->family == b->family || !has_ipv6_wildcard(a);
}

void sb_config_error_at(struct sockbroker_error *error, const char *place)
{
    char text[SOCKBROKER_ERROR_TEXT_MAX];

    if (!error)
        return;
    memcpy(text, error->text, sizeof(text));
    sb_error_set(error, error->status, error->os_code, "%s%s", place, text);
}
