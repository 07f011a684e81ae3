#include "client-lib/host.h"

#include <string.h>

#define IPV4_BITS 32
#define IPV6_BITS 128

static bool has_ip(const struct sb_host_address *a, const struct sockbroker_addr *addr)
{
    return a->addr.family == addr->family && memcmp(a->addr.ip, addr->ip, sizeof(addr->ip)) == 0;
}

/* RFC 6724, sections 3.2 to 3.4. */
static bool is_always_preferred(const struct sockbroker_addr *addr)
{
    enum sockbroker_addr_class class_ = sockbroker_addr_classify(addr);

    return addr->family == SOCKBROKER_IPV4 || class_ == SOCKBROKER_CLASS_LOOPBACK || class_ == SOCKBROKER_CLASS_COMPATIBLE ||
           class_ == SOCKBROKER_CLASS_NAT64;
}

struct sb_host_address sb_host_describe(const struct sb_host *host, const struct sockbroker_addr *addr)
{
    struct sb_host_address found = { .addr = *addr };

    found.addr.port = 0;
    found.prefix_bits = addr->family == SOCKBROKER_IPV4 ? IPV4_BITS : IPV6_BITS;
    for (size_t i = 0; i < host->n_addresses; i++) {
        if (has_ip(&host->addresses[i], addr) && host->addresses[i].addr.scope_id == addr->scope_id) {
            found = host->addresses[i];
            break;
        }
    }
    if (is_always_preferred(addr))
        found.deprecated = false;
    return found;
}

static bool is_link_local(const struct sockbroker_addr *addr)
{
    return addr->family == SOCKBROKER_IPV6 && sockbroker_addr_classify(addr) == SOCKBROKER_CLASS_LINK_LOCAL;
}

uint32_t sb_host_zone(const struct sb_host *host, const struct sockbroker_addr *address)
{
    uint32_t zone = 0;

    for (size_t i = 0; i < host->n_addresses; i++) {
        const struct sb_host_address *a = &host->addresses[i];

        if (!is_link_local(&a->addr) || !a->interface_index || (address && !has_ip(a, address)))
            continue;
        if (zone && zone != a->interface_index)
            return SB_HOST_ZONES;
        zone = a->interface_index;
    }
    return zone;
}
