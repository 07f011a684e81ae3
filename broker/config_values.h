/* config_values.h: one value of one kind from text, for config_*.c only.
 *
 * Each puts OK and the value, or INVALID (or NO_MEMORY) and an error text that begins with the key, says what is wrong with
 * the value, and what to write instead.
 */
#ifndef SB_BROKER_CONFIG_VALUES_H
#define SB_BROKER_CONFIG_VALUES_H

#include "broker/config.h"
#include "broker/config_words.h"
#include "broker/ids.h"

/* Decimal; no sign, no unit, no leading zeros. The unit is taken from the end of the key (_ms). */
sockbroker_status sb_value_number(const char *key, const char *value, uint32_t min, uint32_t max, uint32_t *number_out,
                                  struct sockbroker_error *error_out);
sockbroker_status sb_value_word(const char *key, const char *value, const struct sb_word *words, int *number_out,
                                struct sockbroker_error *error_out);

/* The mode of the runtime directory: one of five. */
sockbroker_status sb_value_dir_mode(const char *key, const char *value, uint32_t *mode_out, struct sockbroker_error *error_out);
sockbroker_status sb_value_path(const char *key, const char *value, char *path_out, size_t path_size,
                                struct sockbroker_error *error_out);

typedef sockbroker_status sb_id_lookup(const char *name, uint32_t *id_out, int *os_code_out);

/* A number, 0..4294967294, or a name; what: "user". (uid_t)-1 means "do not change" to many calls, so it is nobody. */
sockbroker_status sb_value_id(const char *key, const char *value, const char *what, sb_id_lookup *lookup, uint32_t *id_out,
                              struct sockbroker_error *error_out);

/* NAME=VALUE, and not one of the names that the broker sets itself. OK, INVALID. */
sockbroker_status sb_value_variable(const char *key, const char *value, struct sockbroker_error *error_out);

/* The user that a worker runs as, by name or number. */
sockbroker_status sb_value_account(const char *key, const char *value, struct sb_account *account_out,
                                   struct sockbroker_error *error_out);

#endif
