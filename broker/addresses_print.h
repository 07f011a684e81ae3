/* addresses_print.h: sorted pairs as text for people and as JSON for programs (schema 1, broker/README.md). */
#ifndef SB_BROKER_ADDRESSES_PRINT_H
#define SB_BROKER_ADDRESSES_PRINT_H

#include <stdio.h>

#include "sockbroker/select.h"

#define SB_ADDRESSES_SCHEMA 1

/* The pairs are as sockbroker_select_pairs() sorts them, with the unusable ones at the end. */
struct sb_addresses {
    const char *host;
    struct sockbroker_pair *pairs;
    size_t n_pairs;
};

/* False when memory or the output failed. */
bool sb_addresses_print_text(const struct sb_addresses *addresses, FILE *to);
bool sb_addresses_print_json(const struct sb_addresses *addresses, FILE *to);

#endif
