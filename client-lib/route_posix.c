#include "client-lib/route.h"

#include <errno.h>
#include <netinet/in.h>
#include <linux/in6.h> /* after netinet/in.h, to which it then leaves what both have */
#include <sys/socket.h>

#include "proto/oserr.h"
#include "proto/socket.h"

#define DISCARD_PORT 9 /* RFC 863; nothing is sent, but some systems refuse port 0 */

/* Whether the call failed because of the destination, or because the system could not do it at all. */
static sockbroker_status judge(int os_code, enum sockbroker_unusable *unusable_out)
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

/* RFC 5014 preferences are only that: a system that does not know them is as good. 0, or the system's code. */
static int set_wish(int sock, const struct sockbroker_addr *destination, const struct sb_host_wish *wish)
{
    int wanted = (wish->prefer_public ? IPV6_PREFER_SRC_PUBLIC : 0) | (wish->prefer_care_of ? IPV6_PREFER_SRC_COA : 0);
    struct sockaddr_storage sa;
    size_t len;

    if (wanted && destination->family == SOCKBROKER_IPV6)
        setsockopt(sock, IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, &wanted, sizeof(wanted));
    if (!wish->source)
        return 0;
    len = sockbroker_addr_to_sockaddr(wish->source, &sa);
    return bind(sock, (struct sockaddr *)&sa, (socklen_t)len) ? errno : 0;
}

/* 0, or the system's code. connect() of a datagram socket looks up the route and the source, and sends nothing. */
static int ask(int sock, const struct sockbroker_addr *destination, struct sockbroker_addr *source_out)
{
    struct sockbroker_addr to = *destination;
    struct sockaddr_storage sa;
    socklen_t len;

    if (!to.port)
        to.port = DISCARD_PORT;
    len = (socklen_t)sockbroker_addr_to_sockaddr(&to, &sa);
    if (connect(sock, (struct sockaddr *)&sa, len))
        return errno;
    len = sizeof(sa);
    if (getsockname(sock, (struct sockaddr *)&sa, &len))
        return errno;
    if (sockbroker_addr_from_sockaddr((struct sockaddr *)&sa, len, source_out) ||
        sockbroker_addr_classify(source_out) == SOCKBROKER_CLASS_UNSPECIFIED) /* a route, but no address at all */
        return EADDRNOTAVAIL;
    source_out->port = 0;
    return 0;
}

sockbroker_status sb_route_find_source(const struct sb_host *host, const struct sockbroker_addr *destination,
                                       const struct sb_host_wish *wish, struct sockbroker_addr *source_out,
                                       enum sockbroker_unusable *unusable_out, int *os_code_out)
{
    int sock = socket(destination->family == SOCKBROKER_IPV6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockbroker_addr source;
    int os_code = sock < 0 ? errno : set_wish(sock, destination, wish);

    (void)host;
    if (!os_code)
        os_code = ask(sock, destination, &source);
    sb_socket_close(&sock);
    *os_code_out = os_code;
    if (os_code)
        return judge(os_code, unusable_out);
    *unusable_out = SOCKBROKER_USABLE;
    *source_out = source;
    return SOCKBROKER_OK;
}
