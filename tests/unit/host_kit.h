/* host_kit.h: addresses of this machine as text, for test_host*.c. */
#ifndef SB_TESTS_UNIT_HOST_KIT_H
#define SB_TESTS_UNIT_HOST_KIT_H

#include "tests/unit/unit.h"

#include "client-lib/host.h"

#define HOST_LIST_MAX 16

size_t host_read_addrs(const char *const *texts, struct sockbroker_addr *list); /* as many as are before the NULL */
struct sockbroker_addr host_read_addr(const char *text);
void host_require_text(const struct sockbroker_addr *addr, const char *expected);

/* One destination, all defaults but that it is kept when unusable. */
struct sockbroker_pair host_pair_for(const char *destination);

/* To this destination nothing can be sent from an address that the machine does not have. */
void host_assert_no_source(const char *to, const char *from);

#endif
