/* zone.h: the part after "%" in fe80::1%eth0 (RFC 4007, section 11). */
#ifndef SB_CLIENT_LIB_ZONE_H
#define SB_CLIENT_LIB_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sockbroker/socket.h"

/* Whether an interface index says anything about this address: fe80::/10 and multicast of interface-local or
 * link-local scope (ffx1::/16, ffx2::/16), the addresses for which Linux looks at sin6_scope_id. */
bool sb_zone_applies(const struct sockbroker_addr *addr);

/* Reads a zone: an interface index 1..4294967295, which need not exist now, or the name of an interface that does.
 * NULL when scope_out was written, else what is wrong, as in ip_text.h. os_code_out is always written. */
const char *sb_zone_read(const char *text, size_t len, uint32_t *scope_out, int *os_code_out);

#endif
