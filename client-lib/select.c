#include "sockbroker/select.h"

#include <stdlib.h>

#include "client-lib/pairs.h"
#include "proto/error.h"

sockbroker_status sockbroker_select_pairs(const struct sockbroker_addr *destinations, size_t n_destinations,
                                          const struct sockbroker_select_options *options, struct sockbroker_pair *pairs_out,
                                          size_t *n_pairs_out, struct sockbroker_error *error_out)
{
    static const struct sockbroker_select_options defaults = SOCKBROKER_SELECT_OPTIONS_INIT;
    struct sb_host host;
    sockbroker_status st;

    if (!options)
        options = &defaults;
    st = sb_pairs_check(destinations, n_destinations, options, error_out);
    if (st)
        return st;
    st = sb_host_open(&host, error_out);
    if (st)
        return st;
    st = sb_pairs_make(&host, destinations, n_destinations, options, pairs_out, n_pairs_out, error_out);
    sb_host_close(&host);
    return st;
}

sockbroker_status sockbroker_select_sort(struct sockbroker_addr *destinations, size_t *n_destinations,
                                         const struct sockbroker_select_options *options, struct sockbroker_error *error_out)
{
    size_t n = *n_destinations;
    struct sockbroker_pair *pairs = calloc(n && n <= SOCKBROKER_PAIRS_MAX ? n : 1, sizeof(*pairs));
    sockbroker_status st;

    if (!pairs)
        return sb_error_set(error_out, SOCKBROKER_NO_MEMORY, 0, "no memory for %zu destinations", n);
    st = sockbroker_select_pairs(destinations, n, options, pairs, &n, error_out);
    for (size_t i = 0; i < n && !st; i++)
        destinations[i] = pairs[i].destination;
    if (!st)
        *n_destinations = n;
    free(pairs);
    return st;
}
