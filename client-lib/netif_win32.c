#include "client-lib/netif.h"

#include "client-lib/sysnet.h"

#include <iphlpapi.h>

#define NAME_MAX_LEN 256 /* NDIS_IF_MAX_STRING_SIZE */

/* "ethernet_32769", which the system gives, or "Ethernet", which people see and may change. */
uint32_t sb_netif_index(const char *name, int *os_code_out)
{
    wchar_t wide[NAME_MAX_LEN + 1];
    NET_LUID luid;
    NET_IFINDEX index = if_nametoindex(name);

    *os_code_out = 0;
    if (index)
        return index;
    if (!MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, name, -1, wide, NAME_MAX_LEN + 1) ||
        ConvertInterfaceAliasToLuid(wide, &luid) || ConvertInterfaceLuidToIndex(&luid, &index))
        return 0;
    return index;
}
