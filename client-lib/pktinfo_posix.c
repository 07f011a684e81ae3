#include "client-lib/pktinfo.h"

#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

#include "client-lib/bound.h"
#include "proto/failpoint.h"

static int turn_on(int sock, int level, int name)
{
    int injected = level == IPPROTO_IP ? sb_failpoint("pktinfo4") : 0;
    int on = 1;

    if (injected) {
        errno = injected;
        return -1;
    }
    return setsockopt(sock, level, name, &on, sizeof(on));
}

const char *sb_pktinfo_turn_on(sockbroker_socket sock, enum sockbroker_family family, bool dual, bool *no_ipv4_out)
{
    bool no_ipv4 = false;

    if (family == SOCKBROKER_IPV6 && turn_on(sock, IPPROTO_IPV6, IPV6_RECVPKTINFO))
        return "IPV6_RECVPKTINFO on";
    if ((family == SOCKBROKER_IPV4 || dual) && turn_on(sock, IPPROTO_IP, IP_PKTINFO)) {
        int code = errno;

        no_ipv4 = dual && !sb_bound_has(SOCKBROKER_IPV4);
        errno = code;
        if (!no_ipv4)
            return "IP_PKTINFO on";
    }
    *no_ipv4_out = no_ipv4;
    return NULL;
}
