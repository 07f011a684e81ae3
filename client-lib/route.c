#include "client-lib/route.h"

#include "client-lib/ip_socket.h"
#include "client-lib/sysnet.h"
#include "proto/oserr.h"
#include "proto/socket.h"

#define DISCARD_PORT 9 /* RFC 863; nothing is sent, but some systems refuse port 0 */

/* 0, or the system's code. */
static int set_wish(sockbroker_socket sock, const struct sockbroker_addr *destination, const struct sb_host_wish *wish)
{
    struct sockaddr_storage sa;
    socklen_t len;

    if (destination->family == SOCKBROKER_IPV6)
        sb_route_prefer(sock, wish);
    if (!wish->source)
        return 0;
    len = (socklen_t)sockbroker_addr_to_sockaddr(wish->source, &sa);
    return bind(sock, (struct sockaddr *)&sa, len) ? sb_oserr_last() : 0;
}

/* 0, or the system's code. connect() of a datagram socket looks up the route and the source, and sends nothing. */
static int ask(sockbroker_socket sock, const struct sockbroker_addr *destination, struct sockbroker_addr *source_out)
{
    struct sockbroker_addr to = *destination;
    struct sockaddr_storage sa;
    socklen_t len;

    if (!to.port)
        to.port = DISCARD_PORT;
    len = (socklen_t)sockbroker_addr_to_sockaddr(&to, &sa);
    if (connect(sock, (struct sockaddr *)&sa, len))
        return sb_oserr_last();
    len = sizeof(sa);
    if (getsockname(sock, (struct sockaddr *)&sa, &len))
        return sb_oserr_last();
    if (sockbroker_addr_from_sockaddr((struct sockaddr *)&sa, (size_t)len, source_out) ||
        sockbroker_addr_classify(source_out) == SOCKBROKER_CLASS_UNSPECIFIED) /* a route, but no address at all */
        return sb_route_no_source_code();
    source_out->port = 0;
    return 0;
}

sockbroker_status sb_route_find_source(const struct sb_host *host, const struct sockbroker_addr *destination,
                                       const struct sb_host_wish *wish, struct sockbroker_addr *source_out,
                                       enum sockbroker_unusable *unusable_out, int *os_code_out)
{
    sockbroker_socket sock = sb_ip_socket(destination->family, SOCKBROKER_DATAGRAM);
    struct sockbroker_addr source;
    int os_code = sock == SOCKBROKER_SOCKET_NONE ? sb_oserr_last() : set_wish(sock, destination, wish);

    (void)host;
    if (!os_code)
        os_code = ask(sock, destination, &source);
    sb_socket_close(&sock);
    *os_code_out = os_code;
    if (os_code)
        return sb_route_judge(os_code, unusable_out);
    *unusable_out = SOCKBROKER_USABLE;
    *source_out = source;
    return SOCKBROKER_OK;
}
