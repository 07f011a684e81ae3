/* share_kit.h: what the tests of sockets that workers accept on have in common. share_kit.c. */
#ifndef SB_TESTS_SHARE_KIT_H
#define SB_TESTS_SHARE_KIT_H

#include "tests/support/fault.h"

#define QUEUE 20

struct kit_broker *share_start(const char *endpoint);
/* It accepts, and is ready. */
struct kit_process *share_start_worker(struct kit_broker *b, const char *name);
/* Nothing is left of the workers. */
void share_finish(struct kit_broker *b);

/* ---- what is promised of both modes ---- */

/* An endpoint of two sockets opens both or none; one of them is taken at first. */
void share_check_all_or_nothing(const char *mode, int taken_family);
/* Nobody who was let in leaves without an answer; what came between the last accept() and the close the kernel resets. */
void share_check_removal(const char *mode);
/* The sample greets. */
void share_check_sample(const char *endpoint);
/* A hundred workers that are killed leave no descriptor behind. */
void share_check_no_leak(const char *endpoint);

#endif
