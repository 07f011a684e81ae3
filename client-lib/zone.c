#include "client-lib/zone.h"

#include <string.h>

#include "client-lib/decimal.h"
#include "client-lib/netif.h"

#define NAME_MAX_LEN 63 /* more than any system has; the system's own limit comes on top */

bool sb_zone_applies(const struct sockbroker_addr *addr)
{
    unsigned multicast_scope = addr->ip[1] & 0x0fu;

    if (addr->family != SOCKBROKER_IPV6)
        return false;
    if (addr->ip[0] == 0xff)
        return multicast_scope == 1 || multicast_scope == 2;
    return addr->ip[0] == 0xfe && (addr->ip[1] & 0xc0) == 0x80;
}

/* What Linux allows in an interface name. It matters: asked for "lo:x" it cuts at the colon and answers for "lo". */
static bool is_name(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] <= ' ' || text[i] == 0x7f || strchr(":/%", text[i]))
            return false;
    return len > 0 && len <= NAME_MAX_LEN;
}

static const char *read_name(const char *text, size_t len, uint32_t *scope_out, int *os_code_out)
{
    char name[NAME_MAX_LEN + 1] = "";
    uint32_t index;

    if (!is_name(text, len))
        return "the zone after \"%\" is not an interface name, write it like fe80::1%eth0 or fe80::1%2";
    memcpy(name, text, len);
    index = sb_netif_index(name, os_code_out);
    if (*os_code_out)
        return "the system cannot look up the interface now, write its number, like fe80::1%2";
    if (index == 0)
        return "this machine has no interface of the name after \"%\", write one that it has, or its number, "
               "like fe80::1%2";
    *scope_out = index;
    return NULL;
}

const char *sb_zone_read(const char *text, size_t len, uint32_t *scope_out, int *os_code_out)
{
    uint32_t index;

    *os_code_out = 0;
    if (!sb_decimal_is_digits(text, len))
        return read_name(text, len, scope_out, os_code_out);
    if (!sb_decimal_read(text, len, UINT32_MAX, &index) || index == 0)
        return "the number of a zone is 1 to 4294967295 without leading zeros, write it like fe80::1%2";
    *scope_out = index;
    return NULL;
}
