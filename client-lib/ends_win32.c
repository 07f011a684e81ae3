#include "client-lib/ends.h"

#include "client-lib/sysnet.h"
#include "proto/socket.h"
#include "sockbroker/addr.h"

void sb_ends_wait_writable(sockbroker_socket end, bool writable, int timeout_ms)
{
    (void)writable; /* nothing is written to a process */
    WaitForSingleObject((HANDLE)end, (DWORD)timeout_ms);
}

void sb_ends_shut(sockbroker_socket end)
{
    (void)end;
}

bool sb_ends_is_open(sockbroker_socket end)
{
    return end != SOCKBROKER_SOCKET_NONE && WaitForSingleObject((HANDLE)end, 0) == WAIT_TIMEOUT;
}

bool sb_ends_may_hold(sockbroker_socket end)
{
    (void)end;
    return false;
}

static void fill_address(sockbroker_socket sock, int(WSAAPI *ask)(SOCKET, struct sockaddr *, int *),
                         struct sockbroker_addr *addr_out)
{
    struct sockaddr_storage sa;
    int len = sizeof(sa);

    if (ask(sock, (struct sockaddr *)&sa, &len) == 0 &&
        !sockbroker_addr_from_sockaddr((struct sockaddr *)&sa, (size_t)len, addr_out))
        sockbroker_addr_normalise(addr_out);
}

static bool is_listening(sockbroker_socket sock)
{
    DWORD on = 0;
    int len = sizeof(on);

    return getsockopt(sock, SOL_SOCKET, SO_ACCEPTCONN, (char *)&on, &len) == 0 && on;
}

void sb_ends_describe(sockbroker_socket sock, struct sockbroker_socket_info *info_out)
{
    static const struct sockbroker_socket_info none;
    WSAPROTOCOL_INFOW protocol;
    int len = sizeof(protocol);

    *info_out = none;
    if (getsockopt(sock, SOL_SOCKET, SO_PROTOCOL_INFOW, (char *)&protocol, &len) ||
        (protocol.iAddressFamily != AF_INET && protocol.iAddressFamily != AF_INET6))
        return;
    info_out->socket_family = protocol.iAddressFamily == AF_INET6 ? SOCKBROKER_IPV6 : SOCKBROKER_IPV4;
    info_out->nonblocking = sb_socket_is_nonblocking(sock);
    info_out->listening = is_listening(sock);
    info_out->type = protocol.iSocketType == SOCK_DGRAM ? SOCKBROKER_DATAGRAM : SOCKBROKER_STREAM;
    info_out->protocol = (uint32_t)protocol.iProtocol;
    fill_address(sock, getpeername, &info_out->peer);
    fill_address(sock, getsockname, &info_out->local);
}
