#include "client-lib/bound.h"

#include <errno.h>
#include <stddef.h>

#include "proto/oserr.h"

static const char *cure_of(enum sockbroker_socket_type type, int code)
{
    switch (code) {
    case EADDRINUSE:
        return type == SOCKBROKER_DATAGRAM ? "stop what is bound there (ss -lunp shows it) or choose another port"
                                           : "stop what listens there (ss -ltnp shows it) or choose another port";
    case EADDRNOTAVAIL:
        return "use an address of this machine (ip addr shows them), or [::] for all";
    case EACCES:
    case EPERM:
        return "ports below 1024 need CAP_NET_BIND_SERVICE";
    case EAFNOSUPPORT:
        return "the kernel lacks this address family; use the other one";
    default: /* any other error explains itself */
        return NULL;
    }
}

sockbroker_status sb_bound_judge(enum sockbroker_socket_type type, int os_code, const char **cure_out)
{
    *cure_out = cure_of(type, os_code);
    return sb_oserr_status(os_code);
}

bool sb_bound_is_no_family(int os_code)
{
    return os_code == EAFNOSUPPORT;
}
