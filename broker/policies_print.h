/* policies_print.h: a policy table of address selection as text, which --policy reads again, and as JSON (schema 1,
 * broker/README.md). */
#ifndef SB_BROKER_POLICIES_PRINT_H
#define SB_BROKER_POLICIES_PRINT_H

#include <stdio.h>

#include "sockbroker/select.h"

#define SB_POLICIES_SCHEMA 1

/* False when memory or the output failed. */
bool sb_policies_print_text(const struct sockbroker_policy *policies, size_t n_policies, FILE *to);
bool sb_policies_print_json(const struct sockbroker_policy *policies, size_t n_policies, FILE *to);

#endif
