/* config_keys.h: the one table of keys, for config_*.c only. */
#ifndef SB_BROKER_CONFIG_KEYS_H
#define SB_BROKER_CONFIG_KEYS_H

#include "broker/config.h"

struct sb_key; /* one row */

enum sb_key_scope {
    SB_KEY_GLOBAL,   /* its struct is sb_config */
    SB_KEY_ENDPOINT, /* its struct is sb_endpoint_config */
    SB_KEY_GROUP,    /* its struct is sb_group_config */
    SB_KEY_SCOPES,
};

#define SB_KEYS_MAX 32 /* of one scope */

size_t sb_key_count(enum sb_key_scope scope);
const struct sb_key *sb_key_at(enum sb_key_scope scope, size_t i);
size_t sb_key_index(enum sb_key_scope scope, const struct sb_key *key);
const char *sb_key_name(const struct sb_key *key);
bool sb_key_is_list(const struct sb_key *key);

/* The row; NULL with INVALID in error: the key that was meant, or where it belongs. */
const struct sb_key *sb_key_find(enum sb_key_scope scope, const char *name, struct sockbroker_error *error_out);

/* One value into the struct of the key's scope; the first one clears a list. OK, INVALID, NO_MEMORY; the error text
 * begins with the key. A scalar takes one value only. */
sockbroker_status sb_key_put(const struct sb_key *key, void *target, const char *value, bool first,
                             struct sockbroker_error *error_out);

/* Moves the endpoint into the configuration, in place of one with the same name. OK: *endpoint is empty; INVALID: too
 * many; NO_MEMORY. */
sockbroker_status sb_config_take_endpoint(struct sb_config *config, struct sb_endpoint_config *endpoint,
                                          struct sockbroker_error *error_out);

/* Moves the group to the end of the configuration. OK: *group is empty; INVALID: too many, or there is one of its name;
 * NO_MEMORY. */
sockbroker_status sb_config_take_group(struct sb_config *config, struct sb_group_config *group,
                                       struct sockbroker_error *error_out);
sockbroker_status sb_group_config_set_name(struct sb_group_config *group, const char *name, size_t len,
                                           struct sockbroker_error *error_out);

/* A copy of the text at the end of the list. OK, INVALID (too many), NO_MEMORY; the error text begins with the key. */
sockbroker_status sb_text_list_add(const char *key, struct sb_text_list *list, const char *text,
                                   struct sockbroker_error *error_out);
void sb_text_list_clear(struct sb_text_list *list);

/* Gives the name to the endpoint. OK, INVALID. */
sockbroker_status sb_endpoint_config_set_name(struct sb_endpoint_config *endpoint, const char *name, size_t len,
                                              struct sockbroker_error *error_out);

/* Puts a place ("web.conf:4: ") before the text of an error. NULL is allowed. */
void sb_config_error_at(struct sockbroker_error *error, const char *place);

#endif
