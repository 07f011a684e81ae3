#include "broker/accept.h"

#include <winsock2.h>
#include <ws2tcpip.h>

#include "proto/failpoint.h"
#include "proto/socket.h"
#include "sockbroker/addr.h"

enum sb_accept_result sb_accept_judge(int os_code)
{
    switch (os_code) {
    case WSAEWOULDBLOCK:
        return SB_ACCEPT_EMPTY;
    case WSAEINTR:
    case WSAECONNRESET: /* it went before it was taken */
    case WSAECONNABORTED:
    case WSAENETDOWN:
    case WSAENETRESET:
    case WSAETIMEDOUT:
        return SB_ACCEPT_RETRY;
    case WSAEMFILE:
    case WSAENOBUFS:
    case WSA_NOT_ENOUGH_MEMORY:
        return SB_ACCEPT_PAUSE;
    case WSAEINVAL: /* it does not listen */
    case WSAENOTSOCK:
    case WSAEOPNOTSUPP:
    case WSAEFAULT:
        return SB_ACCEPT_BROKEN;
    default: /* the list above is that of accept()'s page */
        return SB_ACCEPT_UNKNOWN;
    }
}

/* It comes inheritable, and in the listener's mode. No completion port ever learns of it, for a socket has one at most and for
 * good, and that is the worker's to choose. */
static sockbroker_status arrange(SOCKET sock, bool blocking)
{
    SetHandleInformation((HANDLE)sock, HANDLE_FLAG_INHERIT, 0);
    return sb_socket_set_nonblocking(sock, !blocking);
}

enum sb_accept_result sb_accept(sockbroker_socket listener, bool blocking, sockbroker_socket *sock_out,
                                struct sockbroker_addr *peer_out, int *os_code_out)
{
    struct sockaddr_storage sa;
    int len = sizeof(sa);
    int injected = sb_failpoint("accept");
    SOCKET sock = injected ? INVALID_SOCKET : accept(listener, (struct sockaddr *)&sa, &len);

    if (sock == INVALID_SOCKET) {
        *os_code_out = injected ? injected : WSAGetLastError();
        return sb_accept_judge(*os_code_out);
    }
    if (arrange(sock, blocking)) {
        *os_code_out = WSAGetLastError();
        closesocket(sock);
        return SB_ACCEPT_RETRY;
    }
    sockbroker_addr_from_sockaddr((struct sockaddr *)&sa, (unsigned)len, peer_out);
    sockbroker_addr_normalise(peer_out);
    *sock_out = sock;
    return SB_ACCEPT_OK;
}

void sb_accept_local(sockbroker_socket sock, struct sockbroker_addr *local_out)
{
    static const struct sockbroker_addr none;
    struct sockaddr_storage sa;
    int len = sizeof(sa);

    *local_out = none;
    if (getsockname(sock, (struct sockaddr *)&sa, &len) == 0 &&
        !sockbroker_addr_from_sockaddr((struct sockaddr *)&sa, (unsigned)len, local_out))
        sockbroker_addr_normalise(local_out);
}
