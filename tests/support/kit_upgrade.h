/* kit_upgrade.h: a broker whose process is replaced, for the tests of that. */
#ifndef SB_TESTS_SUPPORT_KIT_UPGRADE_H
#define SB_TESTS_SUPPORT_KIT_UPGRADE_H

#include <sys/types.h>

#include "tests/support/kit.h"

#define KIT_UPGRADE_ARGS_MAX 6

/* Fixtures instead of kit_setup and kit_teardown: a process whose parent has ended becomes the test's child; the teardown kills
 * those that are left, and fails if there are any. */
int kit_upgrade_setup(void **state);
int kit_upgrade_teardown(void **state);

/* Runs `sockbroker upgrade ARGS... --dir DIR` (args ends with NULL, may be NULL). The exit code; output as kit_run(). */
int kit_upgrade_run(struct kit_broker *b, const char *const *args, char *output, size_t output_room);

/* The same in the background. */
struct kit_process *kit_upgrade_start(struct kit_broker *b, const char *const *args);

/* An upgrade that must succeed; b goes on with the new process. */
void kit_upgrade(struct kit_broker *b);

/* Waits for the end of the broker's process, which must be `code`, and goes on with the one that is there now. */
void kit_upgrade_follow(struct kit_broker *b, int code);

/* Who answers status; waits while nobody does. */
pid_t kit_upgrade_pid(struct kit_broker *b);

/* The process that the n-th upgrade (from 1) has started, by the broker's log. */
pid_t kit_upgrade_heir(struct kit_broker *b, unsigned n);

#endif
