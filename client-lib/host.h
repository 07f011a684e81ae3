/* host.h: what this machine knows about its own addresses, and the way to others. host_posix.c, host_win32.c; tests fill in
 * their own.
 */
#ifndef SB_CLIENT_LIB_HOST_H
#define SB_CLIENT_LIB_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sockbroker/select.h"

/* One address of an interface. */
struct sb_host_address {
    struct sockbroker_addr addr; /* port 0; a link-local one has its zone */
    unsigned prefix_bits;        /* 0..32 or 0..128 */
    uint32_t interface_index;    /* 0: not known */
    bool deprecated;             /* RFC 4862 */
    bool temporary;              /* RFC 8981 */
    bool home;                   /* RFC 6275; it may be care_of at the same time */
    bool care_of;
    bool encapsulated; /* the interface is a tunnel (RFC 6724, section 6, rule 7) */
};

/* Which of the machine's addresses a new socket would be given, besides the destination. */
struct sb_host_wish {
    const struct sockbroker_addr *source; /* must be this one; NULL: the system chooses */
    bool prefer_public;
    bool prefer_care_of;
};

struct sb_host {
    struct sb_host_address *addresses;
    size_t n_addresses;

    /* The source that a socket to this destination would have. A destination that cannot be reached is an answer too: OK, with
     * *unusable_out set and the system's code in *os_code_out; source_out is then untouched. A failure says that the system
     * could not be asked: NO_DESCRIPTORS, NO_MEMORY, SYSTEM. */
    sockbroker_status (*find_source)(const struct sb_host *host, const struct sockbroker_addr *destination,
                                     const struct sb_host_wish *wish, struct sockbroker_addr *source_out,
                                     enum sockbroker_unusable *unusable_out, int *os_code_out);
};

/* The machine that this runs on, as it is now. OK, NO_DESCRIPTORS, NO_MEMORY, SYSTEM. */
sockbroker_status sb_host_open(struct sb_host *host_out, struct sockbroker_error *error_out);
void sb_host_close(struct sb_host *host);

/* What is known about an address, whether it is listed or not (127.0.0.2 is not, and can be used). An unlisted one is its own
 * prefix. deprecated is false for those that RFC 6724 sections 3.2 to 3.4 call preferred. */
struct sb_host_address sb_host_describe(const struct sb_host *host, const struct sockbroker_addr *addr);

/* The only interface with a link-local address (fe80::/10) in the list, 0 when there is none, SB_HOST_ZONES when there are
 * several. address NULL: any; else with exactly this one, whatever its zone. */
#define SB_HOST_ZONES UINT32_MAX
uint32_t sb_host_zone(const struct sb_host *host, const struct sockbroker_addr *address);

#endif
