#include "sockbroker/addr.h"

#include <string.h>

static const uint8_t mapped_prefix[12] = { [10] = 0xff, [11] = 0xff };

/* Asked several times for each datagram; calls from here to what the library shows could not be inlined. */
static bool is_mapped(const struct sockbroker_addr *addr)
{
    return addr->family == SOCKBROKER_IPV6 && memcmp(addr->ip, mapped_prefix, sizeof(mapped_prefix)) == 0;
}

bool sockbroker_addr_is_mapped(const struct sockbroker_addr *addr)
{
    return is_mapped(addr);
}

void sockbroker_addr_normalise(struct sockbroker_addr *addr)
{
    struct sockbroker_addr plain = { .family = SOCKBROKER_IPV4, .port = addr->port };

    if (!is_mapped(addr))
        return;
    memcpy(plain.ip, addr->ip + sizeof(mapped_prefix), 4);
    *addr = plain;
}

void sockbroker_addr_map(struct sockbroker_addr *addr)
{
    struct sockbroker_addr mapped = { .family = SOCKBROKER_IPV6, .port = addr->port };

    if (addr->family != SOCKBROKER_IPV4)
        return;
    memcpy(mapped.ip, mapped_prefix, sizeof(mapped_prefix));
    memcpy(mapped.ip + sizeof(mapped_prefix), addr->ip, 4);
    *addr = mapped;
}

static int order(uint32_t a, uint32_t b)
{
    return (a > b) - (a < b);
}

int sockbroker_addr_compare(const struct sockbroker_addr *a, const struct sockbroker_addr *b)
{
    int result = order((uint32_t)a->family, (uint32_t)b->family);

    if (!result)
        result = memcmp(a->ip, b->ip, sizeof(a->ip));
    if (!result)
        result = order(a->scope_id, b->scope_id);
    if (!result)
        result = order(a->port, b->port);
    return result;
}
