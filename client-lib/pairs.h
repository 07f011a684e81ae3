/* pairs.h: sockbroker_select_pairs() for a given host. */
#ifndef SB_CLIENT_LIB_PAIRS_H
#define SB_CLIENT_LIB_PAIRS_H

#include "client-lib/host.h"

sockbroker_status sb_pairs_make(const struct sb_host *host, const struct sockbroker_addr *destinations, size_t n_destinations,
                                const struct sockbroker_select_options *options, struct sockbroker_pair *pairs_out,
                                size_t *n_pairs_out, struct sockbroker_error *error_out);

/* Whether the arguments can be used; see select.h. OK, INVALID. */
sockbroker_status sb_pairs_check(const struct sockbroker_addr *destinations, size_t n_destinations,
                                 const struct sockbroker_select_options *options, struct sockbroker_error *error_out);

#endif
