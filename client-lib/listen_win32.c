#include "client-lib/listen.h"

#include <stddef.h>

#include "client-lib/sysnet.h"
#include "proto/oserr.h"

const char *sb_listen_claim(sockbroker_socket sock, bool reuseport)
{
    int on = 1;

    if (reuseport) {
        sb_oserr_set_last(WSAEOPNOTSUPP);
        return "sharing of the port (mode=share gives all workers one socket instead) on";
    }
    return setsockopt(sock, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, (const char *)&on, sizeof(on)) ? "SO_EXCLUSIVEADDRUSE on" : NULL;
}

bool sb_listen_is_bound_code(int os_code)
{
    return os_code == WSAEINVAL;
}

uint32_t sb_listen_queue(sockbroker_socket sock)
{
    WSAPOLLFD p = { .fd = sock, .events = POLLRDNORM };

    return WSAPoll(&p, 1, 0) > 0 && (p.revents & POLLRDNORM) ? 1 : 0;
}
