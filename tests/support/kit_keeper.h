/* kit_keeper.h: brokers with a keeper, and their crashes. kit_broker's process is the keeper.
 */
#ifndef SB_TESTS_SUPPORT_KIT_KEEPER_H
#define SB_TESTS_SUPPORT_KIT_KEEPER_H

#include "tests/support/kit.h"

/* Every crash counts as the first one, and there is no end of them. */
#define KIT_KEEPER_AT_ONCE "--set", "keeper_window_ms=100", "--set", "keeper_restarts=100"

/* With one endpoint or two (NULL: one). */
struct kit_broker *kit_keeper_start(const char *endpoint, const char *more);

unsigned kit_keeper_count_ready(struct kit_broker *b);

/* The number behind the last "event=NAME pid="; waits for the first. */
int kit_keeper_last_pid(struct kit_broker *b, const char *event);
int kit_keeper_broker_pid(struct kit_broker *b); /* that the keeper started last */

/* kill -9; then also until the next one serves. */
void kit_keeper_kill_broker(struct kit_broker *b);
void kit_keeper_crash(struct kit_broker *b);

/* ---- of a process that need not be the test's child: kit_system_posix.c, kit_system_win32.c ---- */

bool kit_kill_pid(int pid);
bool kit_is_gone(int pid);

#endif
