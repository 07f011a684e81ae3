#include "proto/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/oserr.h"

sockbroker_status sb_socket_prepare(void)
{
    return SOCKBROKER_OK;
}

void sb_socket_close(sockbroker_socket *sock)
{
    int saved = errno;

    if (*sock >= 0)
        close(*sock); /* EINTR: Linux has freed the number already; a second close would hit another's */
    *sock = SOCKBROKER_SOCKET_NONE;
    errno = saved;
}

void sb_socket_reset(sockbroker_socket *sock)
{
    struct linger now = { .l_onoff = 1, .l_linger = 0 };

    if (*sock >= 0)
        setsockopt(*sock, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    sb_socket_close(sock);
}

bool sb_socket_lingers(sockbroker_socket sock)
{
    struct linger linger = { 0, 0 };
    socklen_t len = sizeof(linger);

    return getsockopt(sock, SOL_SOCKET, SO_LINGER, &linger, &len) == 0 && linger.l_onoff && linger.l_linger;
}

sockbroker_status sb_socket_duplicate(sockbroker_socket sock, sockbroker_socket *sock_out)
{
    int copy = fcntl(sock, F_DUPFD_CLOEXEC, 3);

    if (copy < 0)
        return sb_oserr_status(errno);
    *sock_out = copy;
    return SOCKBROKER_OK;
}

bool sb_socket_is_datagram(sockbroker_socket sock)
{
    int type = 0;
    socklen_t len = sizeof(type);

    return getsockopt(sock, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_DGRAM;
}

uint64_t sb_socket_identity(sockbroker_socket sock)
{
    struct stat facts;

    return fstat(sock, &facts) ? 0 : (uint64_t)facts.st_ino;
}

bool sb_socket_is_nonblocking(sockbroker_socket sock)
{
    int flags = fcntl(sock, F_GETFL);

    return flags >= 0 && (flags & O_NONBLOCK);
}

sockbroker_status sb_socket_set_nonblocking(sockbroker_socket sock, bool nonblocking)
{
    int on = nonblocking;

    return ioctl(sock, FIONBIO, &on) ? sb_oserr_status(errno) : SOCKBROKER_OK;
}
