/* control_kit.h: what the tests of faults of the control protocol have in common. control_kit.c. */
#ifndef SB_TESTS_CONTROL_KIT_H
#define SB_TESTS_CONTROL_KIT_H

#include "tests/support/fault.h"

/* setting may be NULL. */
struct kit_broker *control_start(const char *endpoint, const char *setting);
/* It is ready. */
struct kit_process *control_start_worker(struct kit_broker *b, const char *name);
/* Everything still works, for a worker that was there (NULL: none was) and one that comes. */
void control_finish(struct kit_broker *b, struct kit_process *w);

/* A request for the status. */
size_t control_pack_status(uint8_t *buf, size_t room);
/* Each file of tests/data/wire whose name begins so. Returns how many. */
unsigned control_for_each_input(const char *prefix, void (*body)(void *arg, const uint8_t *data, size_t len, const char *name),
                                void *arg);

/* A raw worker that has not shown its token yet. */
void control_attach_raw(struct fault_raw *r, struct kit_broker *b, const char *name);
/* The token of a session, shown by another process. user: NULL, or whose process. */
struct kit_process *control_show_token(struct kit_broker *b, const struct fault_raw *raw, const char *user);

#endif
