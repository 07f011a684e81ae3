/* supervise_kit.h: what the tests of workers that the broker starts itself have in common. supervise_kit.c; what differs
 * between systems is in supervise_kit_posix.c and supervise_kit_win32.c.
 *
 * A test that fails may leave workers behind, for they outlive their broker: the teardown ends them. One that passes leaves
 * nobody, which the teardown of the kit checks. */
#ifndef SB_TESTS_SUPERVISE_KIT_H
#define SB_TESTS_SUPERVISE_KIT_H

#include "tests/support/kit.h"

#define OUTPUT 4096
#define WORKER SB_WORKER_EXE, "--spawned", "--mode"
#define ENDS_AT_ONCE SB_WORKER_EXE, "--no-such-option"                                /* with 2 */
#define IS_NEVER_READY SB_WORKER_EXE, "--spawned", "--wait", "--dir", "/nobody/there" /* ends when it is asked to */

int supervise_setup(void **state);
int supervise_teardown(void **state);
#define TEST(f) cmocka_unit_test_setup_teardown(f, supervise_setup, supervise_teardown)

/* kit_broker_start() counts descriptors before there is a worker; here there is none such moment. */
struct kit_broker *start(const struct kit_start *how);

/* `sockbroker COMMAND --dir DIR FIRST SECOND`; its exit code. */
int run(struct kit_broker *b, char output[OUTPUT], const char *command, const char *first, const char *second);
void must_run(struct kit_broker *b, const char *command, const char *first, const char *second);

const struct sb_slot_status *find_slot(const struct sb_status_report *r, const char *worker);
struct sb_slot_status slot_now(struct kit_broker *b, const char *worker);
/* "gone": it is not listed any more. */
void wait_slot(struct kit_broker *b, const char *worker, const char *state);
void wait_generations(struct kit_broker *b, size_t n);
/* Until endpoint web holds as many connections. */
void wait_held(struct kit_broker *b, uint64_t n);

sockbroker_socket held_connection(struct kit_broker *b, struct kit_answer *a);
struct kit_answer ask(struct kit_broker *b);

/* ---- the pair ---- */

/* How the broker tells the end of a process that was struck. */
extern const char how_struck[];
/* Is there a SIGTERM? If not, who shall end is told to drain, and has term_ms to end by itself. */
extern const bool can_ask;

/* Who has no parent any more comes to the test. */
void supervise_take_orphans(void);
void supervise_end_orphans(void);
void supervise_wait_orphan(uint32_t pid);

void strike(uint32_t pid);

#endif
