/* candidates.h: the sources that a caller allows, and the choice among them for one destination. */
#ifndef SB_CLIENT_LIB_CANDIDATES_H
#define SB_CLIENT_LIB_CANDIDATES_H

#include "client-lib/source.h"

struct sb_candidates {
    struct sb_source *sources;
    bool *tried; /* scratch of a choice */
    size_t n;
};

/* Looks up what is known about options->sources; with none of these the result is empty.
 * OK, NO_MEMORY, INVALID: a link-local source without a zone that several interfaces have. */
sockbroker_status sb_candidates_init(struct sb_candidates *candidates_out, const struct sb_host *host,
                                     const struct sockbroker_select_options *options, struct sockbroker_error *error_out);
void sb_candidates_deinit(struct sb_candidates *candidates);

/* As sb_host_zone(). */
uint32_t sb_candidates_zone(const struct sb_candidates *candidates);

/* The best, by RFC 6724 section 5, of those that a socket to the destination can have. Results as of find_source(). */
sockbroker_status sb_candidates_choose(struct sb_candidates *candidates, const struct sb_host *host,
                                       const struct sb_source_goal *goal, struct sockbroker_addr *source_out,
                                       enum sockbroker_unusable *unusable_out, int *os_code_out);

#endif
