/* kit_load_tally.h: sorts what became of each connection. */
#ifndef SB_TESTS_SUPPORT_KIT_LOAD_TALLY_H
#define SB_TESTS_SUPPORT_KIT_LOAD_TALLY_H

#include "tests/support/kit.h"

struct kit_tally {
    struct kit_load_result result;
    uint64_t *leases; /* of those answered */
    size_t n_leases;
};

/* What one client has at its end. */
struct kit_client_end {
    bool is_ipv6;
    uint16_t port;
    const char *echo; /* what it sent, without newline; NULL: nothing */
    const char *text; /* what it got, NUL-terminated */
    size_t len;
    unsigned took_ms;
};

void kit_tally_ended(struct kit_tally *t, const struct kit_client_end *end);

/* A lease id that came twice makes its second answer a wrong one. */
void kit_tally_check_leases(struct kit_tally *t);

#endif
