#include "client-lib/host.h"

#include <stdlib.h>

#include "client-lib/route.h"
#include "client-lib/sysnet.h"
#include "proto/oserr.h"

#include <iphlpapi.h>

#define FIRST_ROOM 16384 /* as the system's manual advises */
#define TRIES 4          /* addresses may come between the question for the room and the answer */

/* Windows has no Mobile IPv6: no address is a home address. */
static bool read_entry(const IP_ADAPTER_ADDRESSES *adapter, const IP_ADAPTER_UNICAST_ADDRESS *entry,
                       struct sb_host_address *out)
{
    static const struct sb_host_address none;

    *out = none;
    if (sockbroker_addr_from_sockaddr(entry->Address.lpSockaddr, (size_t)entry->Address.iSockaddrLength, &out->addr))
        return false;
    out->addr.port = 0;
    out->prefix_bits = entry->OnLinkPrefixLength;
    out->interface_index = out->addr.family == SOCKBROKER_IPV6 ? adapter->Ipv6IfIndex : adapter->IfIndex;
    out->deprecated = entry->DadState == IpDadStateDeprecated;
    out->temporary = out->addr.family == SOCKBROKER_IPV6 && entry->SuffixOrigin == IpSuffixOriginRandom;
    out->encapsulated = adapter->IfType == IF_TYPE_TUNNEL;
    return true;
}

static size_t count(const IP_ADAPTER_ADDRESSES *all)
{
    size_t n = 0;

    for (const IP_ADAPTER_ADDRESSES *a = all; a; a = a->Next) {
        for (const IP_ADAPTER_UNICAST_ADDRESS *u = a->FirstUnicastAddress; u; u = u->Next)
            n++;
    }
    return n;
}

static bool take_all(struct sb_host *host, const IP_ADAPTER_ADDRESSES *all)
{
    host->addresses = calloc(count(all) + 1, sizeof(*host->addresses)); /* calloc(0) may be NULL */
    if (!host->addresses)
        return false;
    for (const IP_ADAPTER_ADDRESSES *a = all; a; a = a->Next) {
        for (const IP_ADAPTER_UNICAST_ADDRESS *u = a->FirstUnicastAddress; u; u = u->Next)
            host->n_addresses += read_entry(a, u, &host->addresses[host->n_addresses]);
    }
    return true;
}

/* all_out is for free(), and NULL when this machine has no address at all. */
static ULONG ask(IP_ADAPTER_ADDRESSES **all_out)
{
    ULONG size = FIRST_ROOM;
    ULONG code = ERROR_BUFFER_OVERFLOW;

    for (unsigned i = 0; i < TRIES && code == ERROR_BUFFER_OVERFLOW; i++) {
        IP_ADAPTER_ADDRESSES *all = malloc(size);

        if (!all)
            return ERROR_NOT_ENOUGH_MEMORY;
        code = GetAdaptersAddresses(
            AF_UNSPEC, GAA_FLAG_SKIP_ANYCAST | GAA_FLAG_SKIP_MULTICAST | GAA_FLAG_SKIP_DNS_SERVER | GAA_FLAG_SKIP_FRIENDLY_NAME,
            NULL, all, &size);
        if (code)
            free(all);
        else
            *all_out = all;
    }
    return code == ERROR_NO_DATA ? 0 : code;
}

sockbroker_status sb_host_open(struct sb_host *host_out, struct sockbroker_error *error_out)
{
    struct sb_host host = { NULL, 0, sb_route_find_source };
    IP_ADAPTER_ADDRESSES *all = NULL;
    ULONG code = ask(&all);

    if (!code && !take_all(&host, all))
        code = ERROR_NOT_ENOUGH_MEMORY;
    free(all);
    if (code)
        return sb_oserr_set(error_out, (int)code, "reading the addresses of this machine", "try again");
    *host_out = host;
    return SOCKBROKER_OK;
}

void sb_host_close(struct sb_host *host)
{
    free(host->addresses);
    host->addresses = NULL;
    host->n_addresses = 0;
}
