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

#endif
