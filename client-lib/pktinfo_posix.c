#include "client-lib/pktinfo.h"

#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

const char *sb_pktinfo_set(sockbroker_socket sock, enum sockbroker_family family)
{
    int on = 1;

    if (family == SOCKBROKER_IPV6)
        return setsockopt(sock, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on)) ? "IPV6_RECVPKTINFO on" : NULL;
    return setsockopt(sock, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) ? "IP_PKTINFO on" : NULL;
}
