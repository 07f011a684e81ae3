#include "client-lib/pktinfo.h"

#include <stddef.h>

#include "client-lib/bound.h"
#include "proto/failpoint.h"
#include "proto/oserr.h"

static const char *turn_on_ipv4(sockbroker_socket sock)
{
    int injected = sb_failpoint("pktinfo4");

    if (!injected)
        return sb_pktinfo_set(sock, SOCKBROKER_IPV4);
    sb_oserr_set_last(injected);
    return "IP_PKTINFO on";
}

const char *sb_pktinfo_turn_on(sockbroker_socket sock, enum sockbroker_family family, bool dual, bool *no_ipv4_out)
{
    const char *operation = family == SOCKBROKER_IPV6 ? sb_pktinfo_set(sock, SOCKBROKER_IPV6) : NULL;
    bool no_ipv4 = false;

    if (operation)
        return operation;
    if (family == SOCKBROKER_IPV4 || dual)
        operation = turn_on_ipv4(sock);
    if (operation) {
        int code = sb_oserr_last();

        no_ipv4 = dual && !sb_bound_has(SOCKBROKER_IPV4);
        sb_oserr_set_last(code);
    }
    if (operation && !no_ipv4)
        return operation;
    *no_ipv4_out = no_ipv4;
    return NULL;
}
