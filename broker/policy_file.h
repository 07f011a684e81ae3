/* policy_file.h: a policy table (sockbroker/select.h) in a file, one entry on each line. */
#ifndef SB_BROKER_POLICY_FILE_H
#define SB_BROKER_POLICY_FILE_H

#include "sockbroker/select.h"

/* Lines as sockbroker_policy_parse() reads them; empty lines, and what follows "#", do not count. The table replaces the
 * default one whole. OK; INVALID with file and line; NOT_FOUND, PERMISSION, NO_MEMORY, SYSTEM. */
sockbroker_status sb_policy_file_read(const char *path, struct sockbroker_policy policies_out[SOCKBROKER_POLICIES_MAX],
                                      size_t *n_policies_out, struct sockbroker_error *error_out);

#endif
