/* explain.h: what became of each destination of a connection, for people.
 */
#ifndef SB_BROKER_EXPLAIN_H
#define SB_BROKER_EXPLAIN_H

#include <stdio.h>

#include "sockbroker/sockbroker.h"

/* A table, a line for each, in the order in which they were to be tried (RFC 6724). Nothing for none. */
void sb_explain_print(const struct sockbroker_attempt *attempts, size_t n_attempts, FILE *to);

#endif
