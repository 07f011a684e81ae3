/* config_load.h: a configuration file as text in memory, for config_*.c only. */
#ifndef SB_BROKER_CONFIG_LOAD_H
#define SB_BROKER_CONFIG_LOAD_H

#include <stddef.h>

#include "sockbroker/status.h"

#define SB_CONFIG_FILE_MAX (1024u * 1024u) /* bytes */

/* Never waits: a fifo or device is refused. *text_out ends with a NUL and is yours to free.
 * OK; INVALID: not a regular file, or too long; NOT_FOUND, PERMISSION, NO_MEMORY, SYSTEM. */
sockbroker_status sb_config_load(const char *path, char **text_out, size_t *len_out, struct sockbroker_error *error_out);

#endif
