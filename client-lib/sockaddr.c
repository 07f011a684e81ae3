#include "sockbroker/addr.h"

#include <string.h>

#include "client-lib/sysnet.h"
#include "client-lib/zone.h"

/* Everything is copied: the caller's bytes may be unaligned, and of another type than struct sockaddr. */

static void from_ipv4(const struct sockaddr_in *in, struct sockbroker_addr *addr_out)
{
    struct sockbroker_addr addr = { .family = SOCKBROKER_IPV4, .port = ntohs(in->sin_port) };

    memcpy(addr.ip, &in->sin_addr, 4);
    *addr_out = addr;
}

static void from_ipv6(const struct sockaddr_in6 *in6, struct sockbroker_addr *addr_out)
{
    struct sockbroker_addr addr = { .family = SOCKBROKER_IPV6, .port = ntohs(in6->sin6_port) };

    memcpy(addr.ip, &in6->sin6_addr, 16);
    if (sb_zone_applies(&addr))
        addr.scope_id = (uint32_t)in6->sin6_scope_id;
    *addr_out = addr;
}

static int family_of(const struct sockaddr *sa, size_t sa_len)
{
    struct sockaddr head;
    size_t needed = offsetof(struct sockaddr, sa_family) + sizeof(head.sa_family);

    if (!sa || sa_len < needed)
        return AF_UNSPEC;
    memcpy(&head, sa, needed);
    return head.sa_family;
}

sockbroker_status sockbroker_addr_from_sockaddr(const struct sockaddr *sa, size_t sa_len, struct sockbroker_addr *addr_out)
{
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    int family = family_of(sa, sa_len);

    if (family == AF_INET && sa_len >= sizeof(in)) {
        memcpy(&in, sa, sizeof(in));
        from_ipv4(&in, addr_out);
        return SOCKBROKER_OK;
    }
    if (family == AF_INET6 && sa_len >= sizeof(in6)) {
        memcpy(&in6, sa, sizeof(in6));
        from_ipv6(&in6, addr_out);
        return SOCKBROKER_OK;
    }
    return SOCKBROKER_INVALID;
}

static size_t fill(struct sockaddr_storage *sa_out, const void *sa, size_t sa_len)
{
    memset(sa_out, 0, sizeof(*sa_out));
    memcpy(sa_out, sa, sa_len);
    return sa_len;
}

size_t sockbroker_addr_to_sockaddr(const struct sockbroker_addr *addr, struct sockaddr_storage *sa_out)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(addr->port) };
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(addr->port) };

    if (addr->family == SOCKBROKER_IPV4) {
        memcpy(&in.sin_addr, addr->ip, 4);
        return fill(sa_out, &in, sizeof(in));
    }
    if (addr->family == SOCKBROKER_IPV6) {
        memcpy(&in6.sin6_addr, addr->ip, 16);
        in6.sin6_scope_id = addr->scope_id;
        return fill(sa_out, &in6, sizeof(in6));
    }
    return 0;
}
