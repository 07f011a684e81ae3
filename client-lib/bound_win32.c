#include "client-lib/bound.h"

#include <stddef.h>

#include "proto/oserr.h"

static const char *cure_of(enum sockbroker_socket_type type, int code)
{
    bool is_datagram = type == SOCKBROKER_DATAGRAM;

    switch (code) {
    case WSAEADDRINUSE:
        return is_datagram ? "stop what is bound there (netstat -ano -p udp shows it) or choose another port"
                           : "stop what listens there (netstat -ano -p tcp shows it) or choose another port";
    case WSAEACCES:
        return is_datagram
                   ? "another program has the port for itself (netstat -ano -p udp shows it), or Windows reserves it (netsh "
                     "interface ipv4 show excludedportrange protocol=udp); choose another port"
                   : "another program has the port for itself (netstat -ano -p tcp shows it), or Windows reserves it (netsh "
                     "interface ipv4 show excludedportrange protocol=tcp); choose another port";
    case WSAEADDRNOTAVAIL:
        return "use an address of this machine (ipconfig shows them), or [::] for all";
    case WSAEAFNOSUPPORT:
        return "Windows has this address family turned off; use the other one";
    default: /* any other error explains itself */
        return NULL;
    }
}

/* Windows has no ports for the privileged: "access denied" says that somebody holds the port with SO_EXCLUSIVEADDRUSE. */
sockbroker_status sb_bound_judge(enum sockbroker_socket_type type, int os_code, const char **cure_out)
{
    *cure_out = cure_of(type, os_code);
    return os_code == WSAEACCES ? SOCKBROKER_ADDRESS_IN_USE : sb_oserr_status(os_code);
}

bool sb_bound_is_no_family(int os_code)
{
    return os_code == WSAEAFNOSUPPORT;
}
