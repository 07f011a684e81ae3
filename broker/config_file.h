/* config_file.h: a configuration text that is in memory already, for config_*.c and tests. */
#ifndef SB_BROKER_CONFIG_FILE_H
#define SB_BROKER_CONFIG_FILE_H

#include <stddef.h>

#include "broker/config.h"

/* As sb_config_read_file(). `text` has len bytes and a NUL after them; it is changed. `path` is for errors only. */
sockbroker_status sb_config_read_text(struct sb_config *config, const char *path, char *text, size_t len,
                                      struct sockbroker_error *error_out);

#endif
