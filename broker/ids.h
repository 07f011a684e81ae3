/* ids.h: the number of a user or group that was given by name. ids_posix.c, ids_win32.c. */
#ifndef SB_BROKER_IDS_H
#define SB_BROKER_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sockbroker/status.h"

#define SB_ACCOUNT_GROUPS_MAX 64u

/* Who a process is to run as. */
struct sb_account {
    uint32_t uid;
    uint32_t gid;
    char name[64];
    char home[256];
    size_t n_groups;
    uint32_t groups[SB_ACCOUNT_GROUPS_MAX]; /* all it belongs to, gid among them */
};

/* The account of a name, or of a number in decimal. OK; NOT_FOUND; UNSUPPORTED (it is in more groups than fit, or its name or
 * home is too long); SYSTEM, NO_MEMORY. */
sockbroker_status sb_ids_account(const char *text, struct sb_account *account_out, int *os_code_out);

/* Do accounts have numbers of their own, which may be written in a configuration? POSIX: yes. Windows: no; there an account is
 * given by its name, or by its security identifier (S-1-...), and its number is good in this process only. */
bool sb_ids_has_numbers(void);

/* Asks the system's user database. OK; NOT_FOUND; SYSTEM or NO_MEMORY: the database did not answer, its errno goes to
 * *os_code_out. For the loop thread only. */
sockbroker_status sb_ids_user(const char *name, uint32_t *uid_out, int *os_code_out);
sockbroker_status sb_ids_group(const char *name, uint32_t *gid_out, int *os_code_out);

#endif
