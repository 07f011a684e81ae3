/* deposits_kit.h: what the tests of faulty deposits have in common: a broker, and requests of a raw worker one by one.
 * deposits_kit.c. */
#ifndef SB_TESTS_DEPOSITS_KIT_H
#define SB_TESTS_DEPOSITS_KIT_H

#include "tests/support/fault.h"

/* setting may be NULL. Nobody has to ask within the time of a test. */
struct kit_broker *deposits_start(const char *setting);
/* Nothing is left of the deposits, nor of the raw worker, if it is there yet. */
void deposits_finish(struct kit_broker *b, struct fault_raw *raw);

/* What the broker answers to a Deposit, and to bytes of its state (number 1 of kit_state.h). */
sockbroker_status deposits_announce(struct fault_raw *r, const char *name, uint32_t state_len);
sockbroker_status deposits_append(struct fault_raw *r, uint64_t grant_id, const char *name, uint32_t offset, uint32_t len);

/* What shows the token of the grant just given. */
struct sb_hello deposits_hello_of(const struct fault_raw *r);

/* A deposit "c" of an honest worker, and back again: all is as it should be. */
void deposits_check_works(struct kit_broker *b);

#endif
