#include "client-lib/datagram.h"

#include <limits.h>
#include <mswsock.h>
#include <stddef.h>

#include "client-lib/sysnet.h"
#include "client-lib/udp_batch.h"
#include "proto/oserr.h"
#include "sockbroker/addr.h"

const char *sb_datagram_claim(sockbroker_socket sock, bool reuseport)
{
    int on = 1;

    if (reuseport) {
        sb_oserr_set_last(WSAEOPNOTSUPP);
        return "sharing of the port (mode=share gives all workers one socket instead) on";
    }
    if (setsockopt(sock, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, (const char *)&on, sizeof(on)))
        return "SO_EXCLUSIVEADDRUSE on";
    return sb_udp_batch_prepare(sock) ? "SIO_UDP_CONNRESET on" : NULL;
}

void sb_datagram_ask_buffer(sockbroker_socket sock, uint32_t bytes)
{
    int wanted = bytes > INT_MAX ? INT_MAX : (int)bytes;

    setsockopt(sock, SOL_SOCKET, SO_RCVBUF, (const char *)&wanted, sizeof(wanted));
}

uint32_t sb_datagram_buffer(sockbroker_socket sock)
{
    int bytes = 0;
    int len = sizeof(bytes);

    getsockopt(sock, SOL_SOCKET, SO_RCVBUF, (char *)&bytes, &len);
    return (uint32_t)bytes;
}

/* For Windows the address must be zeros, whatever the family (its page on connect()). On Wine a name of the socket's own family
 * makes it look unconnected, but leaves it bound to the address from which it would have sent: so first one without a family.
 */
void sb_datagram_disconnect(sockbroker_socket sock, enum sockbroker_family family)
{
    struct sockbroker_addr nobody = { .family = family };
    struct sockaddr_storage none = { .ss_family = AF_UNSPEC };
    struct sockaddr_storage unspecified;
    int len = (int)sockbroker_addr_to_sockaddr(&nobody, &unspecified);

    if (connect(sock, (struct sockaddr *)&none, len))
        connect(sock, (struct sockaddr *)&unspecified, len);
}

/* Windows has no event for it, and recv() would wait on a socket that somebody made blocking. This call does not, and with
 * MSG_PEEK what it meets stays where it is. The event's lowest bit keeps it out of a completion port that a holder has. */
bool sb_datagram_is_shut_for_receiving(sockbroker_socket sock)
{
    WSAOVERLAPPED call = { .Offset = 0 };
    HANDLE done = WSACreateEvent();
    WSABUF nothing = { 0, NULL };
    DWORD n, flags = MSG_PEEK;
    bool is_shut = false;

    if (done == WSA_INVALID_EVENT)
        return false;
    call.hEvent = (HANDLE)((uintptr_t)done | 1u);
    if (WSARecvFrom(sock, &nothing, 1, &n, &flags, NULL, NULL, &call, NULL)) {
        int code = WSAGetLastError();

        is_shut = code == WSAESHUTDOWN || code == WSAENOTSOCK;
        if (code == WSA_IO_PENDING) {
            CancelIoEx((HANDLE)sock, &call);
            WaitForSingleObject(done, INFINITE);
        }
    }
    WSACloseEvent(done);
    return is_shut;
}

/* The data cannot be read, so that nothing is ever sent; a system that finds this first says nothing of the shutdown. */
bool sb_datagram_is_shut_for_sending(sockbroker_socket sock, const struct sockbroker_addr *to, bool *told_out)
{
    struct sockaddr_storage sa;
    int len = (int)sockbroker_addr_to_sockaddr(to, &sa);
    int n = sendto(sock, (const char *)(uintptr_t)1, 1, 0, (struct sockaddr *)&sa, len);

    *told_out = n < 0 && WSAGetLastError() == WSAEFAULT;
    return n < 0 && WSAGetLastError() == WSAESHUTDOWN;
}
