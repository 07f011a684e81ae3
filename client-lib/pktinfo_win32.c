#include "client-lib/pktinfo.h"

#include <stddef.h>

#include "client-lib/sysnet.h"

const char *sb_pktinfo_set(sockbroker_socket sock, enum sockbroker_family family)
{
    DWORD on = 1;

    if (family == SOCKBROKER_IPV6)
        return setsockopt(sock, IPPROTO_IPV6, IPV6_PKTINFO, (const char *)&on, sizeof(on)) ? "IPV6_PKTINFO on" : NULL;
    return setsockopt(sock, IPPROTO_IP, IP_PKTINFO, (const char *)&on, sizeof(on)) ? "IP_PKTINFO on" : NULL;
}
