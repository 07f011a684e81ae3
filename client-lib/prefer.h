/* prefer.h: what the rules for sources (RFC 6724, section 5) and those for destinations (section 6) have in common.
 *
 * Each tells which of a and b is preferred: above 0 for a, below 0 for b, 0 for neither.
 */
#ifndef SB_CLIENT_LIB_PREFER_H
#define SB_CLIENT_LIB_PREFER_H

#include <stdbool.h>
#include <stdint.h>

#include "sockbroker/socket.h"

int sb_prefer_true(bool a, bool b);
int sb_prefer_more(uint32_t a, uint32_t b);

struct sb_mobility {
    bool home;
    bool care_of;
};

/* Both at once before anything else, and home alone before care-of alone. */
int sb_prefer_home(struct sb_mobility a, struct sb_mobility b);

/* CommonPrefixLen(source, destination) of section 2.2: never more than the source's prefix. They are of one family. */
unsigned sb_common_bits(const struct sockbroker_addr *source, unsigned prefix_bits, const struct sockbroker_addr *destination);

#endif
