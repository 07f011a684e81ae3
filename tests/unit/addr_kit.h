/* addr_kit.h: the same random numbers and addresses in each run, for test_addr*.c. */
#ifndef SB_TESTS_UNIT_ADDR_KIT_H
#define SB_TESTS_UNIT_ADDR_KIT_H

#include <stddef.h>
#include <stdint.h>

#include "sockbroker/addr.h"

uint64_t addr_next_random(void); /* xorshift64*, Vigna 2014 */
unsigned addr_pick(size_t n);    /* 0..n-1 */
struct sockbroker_addr addr_random(void);

#endif
