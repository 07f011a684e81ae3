#include "sockbroker/select.h"

/* RFC 6724, section 3.2. */
static unsigned scope_of_ipv4(const struct sockbroker_addr *addr)
{
    enum sockbroker_addr_class class_ = sockbroker_addr_classify(addr);

    if (class_ == SOCKBROKER_CLASS_LINK_LOCAL || class_ == SOCKBROKER_CLASS_LOOPBACK)
        return SOCKBROKER_SCOPE_LINK_LOCAL;
    return SOCKBROKER_SCOPE_GLOBAL;
}

/* Sections 3.1, 3.3 and 3.4. */
static unsigned scope_of_ipv6(const struct sockbroker_addr *addr)
{
    enum sockbroker_addr_class class_ = sockbroker_addr_classify(addr);

    if (class_ == SOCKBROKER_CLASS_MULTICAST)
        return addr->ip[1] & 0x0fu;
    if (class_ == SOCKBROKER_CLASS_LINK_LOCAL || class_ == SOCKBROKER_CLASS_LOOPBACK)
        return SOCKBROKER_SCOPE_LINK_LOCAL;
    if (addr->ip[0] == 0xfe && (addr->ip[1] & 0xc0) == 0xc0)
        return SOCKBROKER_SCOPE_SITE_LOCAL;
    return SOCKBROKER_SCOPE_GLOBAL;
}

unsigned sockbroker_scope_of(const struct sockbroker_addr *addr)
{
    struct sockbroker_addr plain = *addr;

    sockbroker_addr_normalise(&plain);
    return plain.family == SOCKBROKER_IPV4 ? scope_of_ipv4(&plain) : scope_of_ipv6(&plain);
}

const char *sockbroker_scope_name(unsigned scope)
{
    switch (scope) {
    case SOCKBROKER_SCOPE_INTERFACE_LOCAL:
        return "interface-local";
    case SOCKBROKER_SCOPE_LINK_LOCAL:
        return "link-local";
    case SOCKBROKER_SCOPE_ADMIN_LOCAL:
        return "admin-local";
    case SOCKBROKER_SCOPE_SITE_LOCAL:
        return "site-local";
    case SOCKBROKER_SCOPE_ORGANISATION_LOCAL:
        return "organisation-local";
    case SOCKBROKER_SCOPE_GLOBAL:
        return "global";
    default: /* RFC 4291 section 2.7 gives the others no name */
        return "unassigned";
    }
}
