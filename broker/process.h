/* process.h: what this process may do: its user and its descriptors. */
#ifndef SB_BROKER_PROCESS_H
#define SB_BROKER_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sockbroker/status.h"

/* A peer that is gone shall be an error of the call, not a signal. */
void sb_process_ignore_sigpipe(void);

/* The broker's own effective user, or root: those who could do anything to it anyway. */
bool sb_process_is_own_user(uint32_t uid);

/* Is there a process of that number now? It may be another one than yesterday. */
bool sb_process_exists(uint32_t pid);

/* Raises the soft descriptor limit to the hard one, and the hard one to `wanted` where that is permitted.
 * limit_out: what is in force now. */
void sb_process_raise_descriptors(uint64_t wanted, uint64_t *limit_out);

/* Gives this process the limit that it began with, for a program to be started. Safe between fork() and exec(). */
void sb_process_restore_descriptors(void);

/* A keeper starts the broker with its signals blocked; call it once they are heard. */
void sb_process_unblock_signals(void);

/* The limits as they were before the first raise, soft and hard; 0: nobody has raised them. A broker that takes over sets those
 * of the first one. */
void sb_process_first_descriptors(uint64_t *soft_out, uint64_t *hard_out);
void sb_process_set_first_descriptors(uint64_t soft, uint64_t hard);

/* The absolute path of a file that is there. False: it is not, or the path has no room. */
bool sb_process_full_path(const char *path, char *full_out, size_t room);

/* The signal to upgrade would end a broker that does not know it. */
void sb_process_ignore_upgrade(void);

/* The words of the command line as UTF-8; what main() was given, where it is that already. False: no memory. */
bool sb_process_take_arguments(int *argc, char ***argv);

/* Shown by ps and pgrep for this process, whatever the path by which it was started. */
void sb_process_set_name(const char *name);

#endif
