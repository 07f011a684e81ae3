#include "client-lib/route.h"

#include "proto/oserr.h"

sockbroker_status sb_route_judge(int os_code, enum sockbroker_unusable *unusable_out)
{
    switch (os_code) {
    case WSAEMFILE:
    case WSAENOBUFS:
    case WSA_NOT_ENOUGH_MEMORY:
    case WSANOTINITIALISED:
        return sb_oserr_status(os_code);
    case WSAEAFNOSUPPORT:
        *unusable_out = SOCKBROKER_UNUSABLE_NO_FAMILY;
        return SOCKBROKER_OK;
    case WSAEADDRNOTAVAIL:
        *unusable_out = SOCKBROKER_UNUSABLE_NO_SOURCE;
        return SOCKBROKER_OK;
    case WSAEACCES:
        *unusable_out = SOCKBROKER_UNUSABLE_FORBIDDEN;
        return SOCKBROKER_OK;
    default: /* WSAENETUNREACH, WSAEHOSTUNREACH, WSAENETDOWN */
        *unusable_out = SOCKBROKER_UNUSABLE_NO_ROUTE;
        return SOCKBROKER_OK;
    }
}

int sb_route_no_source_code(void)
{
    return WSAEADDRNOTAVAIL;
}

void sb_route_prefer(sockbroker_socket sock, const struct sb_host_wish *wish)
{
    (void)sock;
    (void)wish; /* Windows chooses sources by its own policy (netsh interface ipv6 set privacy) */
}
