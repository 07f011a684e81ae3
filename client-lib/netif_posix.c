#include "client-lib/netif.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>

uint32_t sb_netif_index(const char *name, int *os_code_out)
{
    uint32_t index;

    *os_code_out = 0;
    if (strlen(name) >= IF_NAMESIZE) /* musl would cut the name and find another interface */
        return 0;
    index = if_nametoindex(name);
    /* glibc says ENOENT, not EMFILE, when it gets no socket to ask with; in any case not ENODEV. */
    if (index == 0 && errno != ENODEV && errno != ENXIO)
        *os_code_out = errno;
    return index;
}
