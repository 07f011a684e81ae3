/* kit_process.h: what the kit's own files know of its processes. */
#ifndef SB_TESTS_SUPPORT_KIT_PROCESS_H
#define SB_TESTS_SUPPORT_KIT_PROCESS_H

#include "tests/support/kit.h"

/* All that are not freed. */
struct kit_process *kit_processes(void);

/* Kills, reaps and frees all; returns how many there were. Their logs go to stderr. */
unsigned kit_process_clear(void);

/* Frees the brokers of a test that failed, with their directories. After kit_process_clear(). */
void kit_broker_clear(void);

/* ---- what the systems do differently: kit_process_posix.c, kit_process_win32.c ---- */

/* Sets pid, in, out and handle; leaves pid negative when there is no process. */
void kit_process_launch(struct kit_process *p, const char *program, const struct kit_start *how);

/* Reads what is there of all processes; waits at most so long until there is something. */
void kit_process_take_logs(int wait_ms);
/* Where it goes, with room for at least 4000 bytes, and how many came. */
char *kit_process_log_room(struct kit_process *p, size_t *room_out);
void kit_process_log_grew(struct kit_process *p, size_t n);

/* All of it, at once. */
bool kit_process_write(struct kit_process *p, const char *text, size_t len);
/* To a process's input: waits until some of it went. Returns how much, 0 when nobody reads it. Any thread. */
size_t kit_process_write_some(int in, const void *bytes, size_t len);
/* An end of a pipe: leaves -1, and does nothing to -1. Any thread. */
void kit_process_close_end(int *end);
/* True once it has ended: sets exit_code. */
bool kit_process_reap(struct kit_process *p);
/* Its handle. */
void kit_process_close(struct kit_process *p);

/* Has the test children that it did not wait for? */
bool kit_process_has_children(void);

/* ---- what else differs: kit_system_posix.c, kit_system_win32.c ---- */

bool kit_make_folder(char *path, size_t room);                 /* new, of ours alone */
bool kit_remove_folder(const char *path);                      /* with all that is in it */
bool kit_make_file(const char *name, char *path, size_t room); /* new, empty; the name is part of its own */

#endif
