#include <stddef.h>

#include "client-lib/udp_batch.h"
#include "proto/oserr.h"

bool sb_udp_error_is_final(int os_code)
{
    return os_code == WSAENOTSOCK || os_code == WSAESHUTDOWN || os_code == WSANOTINITIALISED;
}

sockbroker_status sb_udp_error_status(int os_code)
{
    switch (os_code) {
    case WSAEMSGSIZE:
        return SOCKBROKER_INVALID;
    case WSAEINVAL: /* of a source or an interface that this machine does not have */
        return SOCKBROKER_ADDRESS_NOT_AVAILABLE;
    case WSAECONNREFUSED: /* no broker is meant here */
        return SOCKBROKER_SYSTEM;
    default: /* the same as everywhere */
        return sb_oserr_status(os_code);
    }
}

const char *sb_udp_error_cure(int os_code)
{
    switch (os_code) {
    case WSAEMSGSIZE:
        return "send less in one datagram";
    case WSAEINVAL:
    case WSAEADDRNOTAVAIL:
        return "send from an address of this machine (ipconfig shows them) that is on the interface given, or from FAMILY_NONE";
    case WSAENETUNREACH:
    case WSAEHOSTUNREACH:
        return "this machine has no way there (route print shows its ways)";
    case WSAEACCES:
        return "a firewall rule forbids it, or it is a broadcast without SO_BROADCAST";
    default: /* any other error explains itself */
        return NULL;
    }
}
