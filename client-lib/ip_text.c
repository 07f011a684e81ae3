#include "client-lib/ip_text.h"

bool sb_ip_looks_like_ipv6(const char *text, size_t len)
{
    for (size_t i = 0; i < len && text[i] != '.'; i++)
        if (text[i] == ':')
            return true;
    return false;
}

const char *sb_ip_read(const char *text, size_t len, struct sockbroker_addr *addr_out)
{
    struct sockbroker_addr addr = { .family = SOCKBROKER_IPV4 };
    const char *why;

    if (len == 0)
        return "the address is missing, write one like 192.0.2.1 or 2001:db8::1";
    if (sb_ip_looks_like_ipv6(text, len))
        addr.family = SOCKBROKER_IPV6;
    why = addr.family == SOCKBROKER_IPV6 ? sb_ipv6_read(text, len, addr.ip) : sb_ipv4_read(text, len, addr.ip);
    if (!why)
        *addr_out = addr;
    return why;
}
