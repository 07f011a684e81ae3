#include <errno.h>

#include "client-lib/udp_batch.h"
#include "proto/oserr.h"

bool sb_udp_error_is_final(int os_code)
{
    return os_code == EBADF || os_code == ENOTSOCK || os_code == EPIPE;
}

sockbroker_status sb_udp_error_status(int os_code)
{
    switch (os_code) {
    case EMSGSIZE:
        return SOCKBROKER_INVALID;
    case EINVAL: /* Linux, over IPv6, to a source it does not have; over IPv4 it says ENETUNREACH to both */
    case ENODEV:
        return SOCKBROKER_ADDRESS_NOT_AVAILABLE;
    case ECONNREFUSED: /* no broker is meant here */
        return SOCKBROKER_SYSTEM;
    default: /* the same as everywhere */
        return sb_oserr_status(os_code);
    }
}

const char *sb_udp_error_cure(int os_code)
{
    switch (os_code) {
    case EMSGSIZE:
        return "send less in one datagram";
    case EINVAL:
    case ENODEV:
        return "send from an address of this machine (ip addr shows them) that is on the interface given, or from FAMILY_NONE";
    case ENETUNREACH:
    case EHOSTUNREACH:
        return "this machine has no way there, or not the source address (ip route get PEER from LOCAL shows it)";
    case EPERM:
    case EACCES:
        return "a firewall rule forbids it (nft list ruleset shows them), or it is a broadcast without SO_BROADCAST";
    default: /* any other error explains itself */
        return NULL;
    }
}
