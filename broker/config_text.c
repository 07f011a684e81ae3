/* The text of --endpoint: NAME=ADDRESS[+ADDRESS...][,key=value[+value...]]... and of --set: key=value[+value...] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/config_keys.h"
#include "proto/error.h"

#define USAGE "write NAME=ADDRESS[+ADDRESS][,key=value...], such as web=[::]:8080,policy=least-connections"

/* Cuts the text at the first separator; returns what follows, NULL after the last piece. */
static char *cut(char *text, char separator)
{
    char *at = strchr(text, separator);

    if (at)
        *at++ = '\0';
    return at;
}

static sockbroker_status put_items(void *target, const struct sb_key *key, char *items, struct sockbroker_error *error_out)
{
    sockbroker_status st = SOCKBROKER_OK;
    bool first = true;

    for (char *next; !st && items; items = next, first = false) {
        next = cut(items, '+');
        st = items[0] ? sb_key_put(key, target, items, first, error_out)
                      : sb_error_set(error_out, SOCKBROKER_INVALID, 0, "%s has an empty value; give one, or leave it out",
                                     sb_key_name(key));
    }
    return st;
}

/* `items` follow the first "=" of the text; a key may stand there once. */
static sockbroker_status put_key(struct sb_endpoint_config *endpoint, const char *name, char *items, bool seen[SB_KEYS_MAX],
                                 struct sockbroker_error *error_out)
{
    const struct sb_key *key = sb_key_find(SB_KEY_ENDPOINT, name, error_out);

    if (!key)
        return SOCKBROKER_INVALID;
    if (seen[sb_key_index(SB_KEY_ENDPOINT, key)])
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0, "%s is given twice; join its values with +", name);
    seen[sb_key_index(SB_KEY_ENDPOINT, key)] = true;
    if (!items)
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0, "%s has no value; write %s=VALUE", name, name);
    return put_items(endpoint, key, items, error_out);
}

/* Everything after the name. */
static sockbroker_status put_all(struct sb_endpoint_config *endpoint, char *addresses, struct sockbroker_error *error_out)
{
    char *rest = cut(addresses, ',');
    bool seen[SB_KEYS_MAX] = { false };
    sockbroker_status st = put_key(endpoint, "address", addresses, seen, error_out);

    for (char *next; !st && rest; rest = next) {
        next = cut(rest, ',');
        if (!rest[0])
            return sb_error_set(error_out, SOCKBROKER_INVALID, 0, "there is nothing after a comma; " USAGE);
        char *items = cut(rest, '=');
        st = put_key(endpoint, rest, items, seen, error_out);
    }
    return st;
}

static sockbroker_status read_text(struct sb_endpoint_config *endpoint, char *text, struct sockbroker_error *error_out)
{
    char quoted[SB_QUOTE_MAX], place[SB_QUOTE_MAX + 16];
    char *addresses = cut(text, '=');
    sockbroker_status st;

    if (!addresses)
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0, "--endpoint %s: there is no address; " USAGE,
                            sb_quote(text, strlen(text), quoted, sizeof(quoted)));
    st = sb_endpoint_config_set_name(endpoint, text, strlen(text), error_out);
    if (!st)
        st = put_all(endpoint, addresses, error_out);
    snprintf(place, sizeof(place), "--endpoint %s: ", sb_quote(text, strlen(text), quoted, sizeof(quoted)));
    if (st)
        sb_config_error_at(error_out, place);
    return st;
}

sockbroker_status sb_config_add_endpoint(struct sb_config *config, const char *text, struct sockbroker_error *error_out)
{
    struct sb_endpoint_config endpoint;
    size_t size = strlen(text) + 1;
    char *copy = malloc(size);
    sockbroker_status st;

    if (!copy)
        return sb_error_set(error_out, SOCKBROKER_NO_MEMORY, 0, "no memory for --endpoint");
    memcpy(copy, text, size);
    sb_endpoint_config_init(&endpoint);
    st = read_text(&endpoint, copy, error_out);
    if (!st)
        st = sb_config_take_endpoint(config, &endpoint, error_out);
    sb_endpoint_config_deinit(&endpoint);
    free(copy);
    return st;
}

static sockbroker_status put_setting(struct sb_config *config, char *name, struct sockbroker_error *error_out)
{
    char *items = cut(name, '=');
    const struct sb_key *key = sb_key_find(SB_KEY_GLOBAL, name, error_out);

    if (!key)
        return SOCKBROKER_INVALID;
    return sb_key_is_list(key) ? put_items(config, key, items, error_out) : sb_key_put(key, config, items, true, error_out);
}

sockbroker_status sb_config_add_setting(struct sb_config *config, const char *text, struct sockbroker_error *error_out)
{
    char quoted[SB_QUOTE_MAX];
    const char *equals = strchr(text, '=');

    if (!equals || equals == text)
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0, "--set \"%s\": write KEY=VALUE",
                            sb_quote(text, strlen(text), quoted, sizeof(quoted)));
    size_t size = strlen(text) + 1;
    char *copy = malloc(size);
    if (!copy)
        return sb_error_set(error_out, SOCKBROKER_NO_MEMORY, 0, "no memory for --set");
    memcpy(copy, text, size);
    sockbroker_status st = put_setting(config, copy, error_out);
    free(copy);
    return st;
}
