/* order.h: which of two destinations, each with its source, comes first: RFC 6724, section 6. */
#ifndef SB_CLIENT_LIB_ORDER_H
#define SB_CLIENT_LIB_ORDER_H

#include "sockbroker/select.h"

/* The number of the rule, 1 to 9, that prefers a; below 0, of the one that prefers b; 0: none does. */
int sb_order_compare(const struct sockbroker_pair *a, const struct sockbroker_pair *b);

/* Sorts the pairs, which stand in the order in which their destinations were given, and sets the rule of each. */
void sb_order_sort(struct sockbroker_pair *pairs, size_t n_pairs);

#endif
