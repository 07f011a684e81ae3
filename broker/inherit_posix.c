#include "broker/inherit_look.h"

#include <net/if.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

#include "sockbroker/addr.h"

static int option(sockbroker_socket sock, int level, int name, int otherwise)
{
    int value = otherwise;
    socklen_t len = sizeof(value);

    return getsockopt(sock, level, name, &value, &len) ? otherwise : value;
}

static bool is_bound_to_interface(sockbroker_socket sock)
{
    char name[IF_NAMESIZE] = "";
    socklen_t len = sizeof(name);

    return getsockopt(sock, SOL_SOCKET, SO_BINDTODEVICE, name, &len) == 0 && len > 0 && name[0];
}

const char *sb_inherit_look(sockbroker_socket sock, struct sb_inherited *s)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    int type = option(sock, SOL_SOCKET, SO_TYPE, 0);

    if (getsockname(sock, (struct sockaddr *)&sa, &len))
        return "it is no socket";
    if (sockbroker_addr_from_sockaddr((struct sockaddr *)&sa, len, &s->addr))
        return "it is neither IPv4 nor IPv6";
    if (type == SOCK_STREAM && !option(sock, SOL_SOCKET, SO_ACCEPTCONN, 0))
        return "it does not listen";
    if ((type != SOCK_STREAM && type != SOCK_DGRAM) || !s->addr.port)
        return "it is neither a listening TCP nor a bound UDP socket";
    if (is_bound_to_interface(sock))
        return "it is bound to an interface";
    s->protocol = type == SOCK_STREAM ? SB_PROTOCOL_TCP : SB_PROTOCOL_UDP;
    s->dual = s->addr.family == SOCKBROKER_IPV6 && !option(sock, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    return NULL;
}
