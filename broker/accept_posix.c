#include "broker/accept.h"

#include <errno.h>
#include <sys/socket.h>

#include "proto/failpoint.h"
#include "sockbroker/addr.h"

enum sb_accept_result sb_accept_judge(int os_code)
{
    switch (os_code) {
    case EAGAIN:
        return SB_ACCEPT_EMPTY;
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
    case ETIMEDOUT:
    case EPERM:
        return SB_ACCEPT_RETRY;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        return SB_ACCEPT_PAUSE;
    case EBADF:
    case EINVAL: /* also: somebody shut the listening socket down */
    case ENOTSOCK:
    case EFAULT:
        return SB_ACCEPT_BROKEN;
    default: /* the list above is accept(2)'s */
        return SB_ACCEPT_UNKNOWN;
    }
}

enum sb_accept_result sb_accept(sockbroker_socket listener, bool blocking, sockbroker_socket *sock_out,
                                struct sockbroker_addr *peer_out, int *os_code_out)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    int injected = sb_failpoint("accept");
    int sock = injected ? -1 : accept4(listener, (struct sockaddr *)&sa, &len, SOCK_CLOEXEC | (blocking ? 0 : SOCK_NONBLOCK));

    if (sock < 0) {
        *os_code_out = injected ? injected : errno;
        return sb_accept_judge(*os_code_out);
    }
    sockbroker_addr_from_sockaddr((struct sockaddr *)&sa, len, peer_out);
    sockbroker_addr_normalise(peer_out);
    *sock_out = sock;
    return SB_ACCEPT_OK;
}

void sb_accept_local(sockbroker_socket sock, struct sockbroker_addr *local_out)
{
    static const struct sockbroker_addr none;
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);

    *local_out = none;
    if (getsockname(sock, (struct sockaddr *)&sa, &len) == 0 &&
        !sockbroker_addr_from_sockaddr((struct sockaddr *)&sa, len, local_out))
        sockbroker_addr_normalise(local_out);
}
