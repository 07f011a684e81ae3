#include "client-lib/udp_route.h"

#include "client-lib/zone.h"
#include "sockbroker/addr.h"

/* Not sockbroker_addr_classify(): it walks a table, and this is asked several times for each datagram. */
bool sb_udp_is_group(const struct sockbroker_addr *a)
{
    if (a->family == SOCKBROKER_IPV4)
        return (a->ip[0] & 0xf0) == 0xe0 || (a->ip[0] & a->ip[1] & a->ip[2] & a->ip[3]) == 0xff;
    return a->family == SOCKBROKER_IPV6 && a->ip[0] == 0xff;
}

/* Addresses that may be on several interfaces at once, or behind them: RFC 3927, section 3; RFC 4007, section 4. */
static bool needs_interface(const struct sockbroker_addr *a)
{
    if (a->family == SOCKBROKER_IPV4)
        return (a->ip[0] == 169 && a->ip[1] == 254) || sb_udp_is_group(a);
    return a->ip[0] >= 0xfe && (sb_udp_is_group(a) || sb_zone_applies(a));
}

static const char *refusal(const struct sockbroker_udp *udp, const struct sockbroker_datagram *d, const struct sb_udp_route *r)
{
    if (!d->data && d->len)
        return "data is NULL and len is not 0; let data point to the bytes";
    if (r->to.family != SOCKBROKER_IPV4 && r->to.family != SOCKBROKER_IPV6)
        return "there is no peer; say whom to send to";
    if (!r->to.port)
        return "the port of the peer is 0; say which port to send to";
    if (r->to.family == SOCKBROKER_IPV6 && udp->socket_family == SOCKBROKER_IPV4)
        return "the socket is an IPv4 one; use one on [::] for both families";
    if (r->ipv4 && udp->socket_family == SOCKBROKER_IPV6 && !udp->dual)
        return "the socket takes IPv6 only (IPV6_V6ONLY is on); use a dual-stack one, or one on 0.0.0.0";
    if (r->from.family != SOCKBROKER_FAMILY_NONE && r->from.family != r->to.family)
        return "local is not of the family of the peer; leave local as it was received, or FAMILY_NONE";
    return NULL;
}

const char *sb_udp_route_find(const struct sockbroker_udp *udp, const struct sockbroker_datagram *datagram,
                              struct sb_udp_route *route_out)
{
    struct sb_udp_route r = { datagram->peer, datagram->local, false, datagram->interface_index };

    sockbroker_addr_normalise(&r.to);
    sockbroker_addr_normalise(&r.from);
    r.ipv4 = r.to.family == SOCKBROKER_IPV4;
    const char *reason = refusal(udp, datagram, &r);
    if (reason)
        return reason;
    if (!r.interface_index)
        r.interface_index = r.from.scope_id;
    if (datagram->to_group || sb_udp_is_group(&r.from))
        r.from.family = SOCKBROKER_FAMILY_NONE;
    if (r.from.family && !needs_interface(&r.from) && !needs_interface(&r.to))
        r.interface_index = 0;
    if (udp->socket_family == SOCKBROKER_IPV6)
        sockbroker_addr_map(&r.to);
    *route_out = r;
    return NULL;
}
