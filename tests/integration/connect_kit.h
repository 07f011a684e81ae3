/* connect_kit.h: `sockbroker connect` as a process, and a broker for it. */
#ifndef SB_TESTS_INTEGRATION_CONNECT_KIT_H
#define SB_TESTS_INTEGRATION_CONNECT_KIT_H

#include "tests/support/kit.h"

/* It has made a connection already: what comes after the first must leave nothing open. */
struct kit_broker *connect_kit_start(void);
/* Asserts that nothing was left. */
void connect_kit_finish(struct kit_broker *b);

/* more, value: a further argument or two, or NULL. */
struct kit_process *connect_kit_run(const struct kit_broker *b, const char *host, uint16_t port, const char *more,
                                    const char *value);
/* Waits for its end, and frees it. */
void connect_kit_check_exit(struct kit_process *p, int code);

#endif
