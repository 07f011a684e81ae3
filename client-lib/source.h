/* source.h: which of two source addresses is better for a destination: RFC 6724, section 5. */
#ifndef SB_CLIENT_LIB_SOURCE_H
#define SB_CLIENT_LIB_SOURCE_H

#include "client-lib/host.h"

struct sb_source {
    struct sb_host_address facts;
    unsigned scope;
    uint32_t label;
};

struct sb_source_goal {
    struct sockbroker_addr destination;
    unsigned scope;
    uint32_t label;
    uint32_t interface_index; /* that will be used to send to the destination; 0: not known */
    bool prefer_public;
    bool prefer_care_of;
};

/* The number of the rule, 1 to 8, that prefers a; below 0, of the one that prefers b; 0: none does. All are of one family. */
int sb_source_compare(const struct sb_source_goal *goal, const struct sb_source *a, const struct sb_source *b);

#endif
