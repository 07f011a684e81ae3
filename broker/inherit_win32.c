#include "broker/inherit_look.h"

#include "client-lib/bound.h"
#include "client-lib/sysnet.h"
#include "sockbroker/addr.h"

static int option(sockbroker_socket sock, int level, int name)
{
    int value = 0;
    int len = sizeof(value);

    return getsockopt(sock, level, name, (char *)&value, &len) ? 0 : value;
}

const char *sb_inherit_look(sockbroker_socket sock, struct sb_inherited *s)
{
    struct sockaddr_storage sa;
    int len = sizeof(sa);
    int type = option(sock, SOL_SOCKET, SO_TYPE);

    if (getsockname(sock, (struct sockaddr *)&sa, &len))
        return "it is no bound socket";
    if (sockbroker_addr_from_sockaddr((struct sockaddr *)&sa, (size_t)len, &s->addr))
        return "it is neither IPv4 nor IPv6";
    if (type == SOCK_STREAM && !option(sock, SOL_SOCKET, SO_ACCEPTCONN))
        return "it does not listen";
    if ((type != SOCK_STREAM && type != SOCK_DGRAM) || !s->addr.port)
        return "it is neither a listening TCP nor a bound UDP socket";
    s->protocol = type == SOCK_STREAM ? SB_PROTOCOL_TCP : SB_PROTOCOL_UDP;
    s->dual = sb_bound_is_dual(sock);
    return NULL;
}
