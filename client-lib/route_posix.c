#include "client-lib/route.h"

#include <errno.h>
#include <netinet/in.h>
#include <linux/in6.h> /* after netinet/in.h, to which it then leaves what both have */
#include <sys/socket.h>

#include "proto/oserr.h"

sockbroker_status sb_route_judge(int os_code, enum sockbroker_unusable *unusable_out)
{
    switch (os_code) {
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
        return sb_oserr_status(os_code);
    case EAFNOSUPPORT:
        *unusable_out = SOCKBROKER_UNUSABLE_NO_FAMILY;
        return SOCKBROKER_OK;
    case EADDRNOTAVAIL:
        *unusable_out = SOCKBROKER_UNUSABLE_NO_SOURCE;
        return SOCKBROKER_OK;
    case EACCES:
    case EPERM:
        *unusable_out = SOCKBROKER_UNUSABLE_FORBIDDEN;
        return SOCKBROKER_OK;
    default: /* ENETUNREACH, EHOSTUNREACH, ENETDOWN, ENODEV; EINVAL of a black hole */
        *unusable_out = SOCKBROKER_UNUSABLE_NO_ROUTE;
        return SOCKBROKER_OK;
    }
}

int sb_route_no_source_code(void)
{
    return EADDRNOTAVAIL;
}

void sb_route_prefer(sockbroker_socket sock, const struct sb_host_wish *wish)
{
    int wanted = (wish->prefer_public ? IPV6_PREFER_SRC_PUBLIC : 0) | (wish->prefer_care_of ? IPV6_PREFER_SRC_COA : 0);

    if (wanted)
        setsockopt(sock, IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, &wanted, sizeof(wanted));
}
