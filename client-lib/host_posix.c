#include "client-lib/host.h"

#include <errno.h>
#include <ifaddrs.h>
#include <inttypes.h>
#include <linux/if_addr.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "client-lib/route.h"
#include "proto/oserr.h"
#include "proto/socket.h"

/* ---- the list ---- */

/* Of the interface that bears the address; a label ("eth0:1") ends its name. getifaddrs() says nothing of an interface without
 * a hardware address, so that the system is asked. */
static bool read_interface(int sock, const char *label, struct sb_host_address *out)
{
    struct ifreq index = { .ifr_ifindex = 0 }, type = { .ifr_ifindex = 0 };
    size_t len = strcspn(label, ":");

    if (len >= sizeof(index.ifr_name))
        return false;
    memcpy(index.ifr_name, label, len);
    memcpy(type.ifr_name, label, len);
    if (ioctl(sock, SIOCGIFINDEX, &index) || ioctl(sock, SIOCGIFHWADDR, &type))
        return false; /* gone since */
    out->interface_index = (uint32_t)index.ifr_ifindex;
    out->encapsulated = type.ifr_hwaddr.sa_family == ARPHRD_TUNNEL || type.ifr_hwaddr.sa_family == ARPHRD_TUNNEL6 ||
                        type.ifr_hwaddr.sa_family == ARPHRD_SIT;
    return true;
}

static unsigned count_bits(const struct sockbroker_addr *mask)
{
    unsigned n = 0;

    while (n < 8 * sizeof(mask->ip) && mask->ip[n / 8] & 0x80u >> n % 8)
        n++;
    return n;
}

static size_t length_of(const struct sockaddr *sa)
{
    return sa->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

static bool read_entry(int sock, const struct ifaddrs *entry, struct sb_host_address *out)
{
    static const struct sb_host_address none;
    struct sockbroker_addr mask;

    *out = none;
    if (!entry->ifa_addr || !entry->ifa_netmask ||
        sockbroker_addr_from_sockaddr(entry->ifa_addr, length_of(entry->ifa_addr), &out->addr) ||
        sockbroker_addr_from_sockaddr(entry->ifa_netmask, length_of(entry->ifa_netmask), &mask))
        return false;
    out->prefix_bits = count_bits(&mask);
    return read_interface(sock, entry->ifa_name, out);
}

/* 0, or the system's code. */
static int take_all(struct sb_host *host, int sock, const struct ifaddrs *all)
{
    size_t n = 1; /* calloc(0) may be NULL */

    for (const struct ifaddrs *i = all; i; i = i->ifa_next)
        n++;
    host->addresses = calloc(n, sizeof(*host->addresses));
    if (!host->addresses)
        return ENOMEM;
    for (const struct ifaddrs *i = all; i; i = i->ifa_next)
        host->n_addresses += read_entry(sock, i, &host->addresses[host->n_addresses]);
    return 0;
}

static int read_list(struct sb_host *host)
{
    int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0); /* any will do, and this family is always there */
    struct ifaddrs *all = NULL;
    int os_code = sock < 0 || getifaddrs(&all) ? errno : 0;

    if (!os_code)
        os_code = take_all(host, sock, all);
    if (all)
        freeifaddrs(all);
    sb_socket_close(&sock);
    return os_code;
}

/* ---- flags, which getifaddrs() does not tell either ---- */

#define FLAGS_FILE "/proc/thread-self/net/if_inet6" /* a thread may have a network of its own */

static bool read_ip(const char hex[33], struct sockbroker_addr *addr_out)
{
    static const struct sockbroker_addr none = { .family = SOCKBROKER_IPV6 };

    *addr_out = none;
    for (size_t i = 0; i < sizeof(addr_out->ip); i++) {
        if (sscanf(hex + 2 * i, "%2" SCNx8, &addr_out->ip[i]) != 1)
            return false;
    }
    return true;
}

/* "fe80000000000000000000fffe000001 04 40 20 80     eth0": address, interface, prefix length, scope, flags, name. */
static void read_flags(struct sb_host *host, const char *line)
{
    char hex[33];
    unsigned index, flags;
    struct sockbroker_addr addr;

    if (sscanf(line, "%32[0-9a-f] %x %*x %*x %x", hex, &index, &flags) != 3 || !read_ip(hex, &addr))
        return;
    for (size_t i = 0; i < host->n_addresses; i++) {
        struct sb_host_address *a = &host->addresses[i];

        if (a->addr.family != SOCKBROKER_IPV6 || a->interface_index != index || memcmp(a->addr.ip, addr.ip, sizeof(addr.ip)))
            continue;
        a->deprecated = flags & IFA_F_DEPRECATED;
        a->temporary = flags & IFA_F_TEMPORARY;
        a->home = flags & IFA_F_HOMEADDRESS;
    }
}

/* Where there is a home address, the kernel takes every other for a care-of address; elsewhere there are neither. */
static void mark_care_of(struct sb_host *host)
{
    bool has_home = false;

    for (size_t i = 0; i < host->n_addresses; i++)
        has_home = has_home || host->addresses[i].home;
    for (size_t i = 0; i < host->n_addresses; i++) {
        struct sb_host_address *a = &host->addresses[i];

        a->care_of = has_home && a->addr.family == SOCKBROKER_IPV6 && !a->home;
    }
}

/* 0, or the system's code. Without the file (no IPv6, no /proc) nothing is deprecated and nothing is temporary. */
static int read_all_flags(struct sb_host *host)
{
    char line[128];
    FILE *f = fopen(FLAGS_FILE, "re");

    if (!f)
        return errno == ENOENT || errno == EACCES ? 0 : errno;
    while (fgets(line, sizeof(line), f))
        read_flags(host, line);
    fclose(f);
    mark_care_of(host);
    return 0;
}

/* ---- the whole ---- */

sockbroker_status sb_host_open(struct sb_host *host_out, struct sockbroker_error *error_out)
{
    struct sb_host host = { NULL, 0, sb_route_find_source };
    int os_code = read_list(&host);

    if (!os_code)
        os_code = read_all_flags(&host);
    if (os_code) {
        sb_host_close(&host);
        return sb_oserr_set(error_out, os_code, "reading the addresses of this machine", "try again");
    }
    *host_out = host;
    return SOCKBROKER_OK;
}

void sb_host_close(struct sb_host *host)
{
    free(host->addresses);
    host->addresses = NULL;
    host->n_addresses = 0;
}
