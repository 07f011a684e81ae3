/* ids.h: the number of a user or group that was given by name. */
#ifndef SB_BROKER_IDS_H
#define SB_BROKER_IDS_H

#include <stdint.h>

#include "sockbroker/status.h"

/* Asks the system's user database. OK; NOT_FOUND; SYSTEM or NO_MEMORY: the database did not answer, its errno goes to
 * *os_code_out. For the loop thread only. */
sockbroker_status sb_ids_user(const char *name, uint32_t *uid_out, int *os_code_out);
sockbroker_status sb_ids_group(const char *name, uint32_t *gid_out, int *os_code_out);

#endif
