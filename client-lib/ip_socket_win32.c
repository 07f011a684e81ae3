#include "client-lib/ip_socket.h"

#include "proto/socket.h"

sockbroker_socket sb_ip_socket(enum sockbroker_family family, enum sockbroker_socket_type type)
{
    bool is_datagram = type == SOCKBROKER_DATAGRAM;
    SOCKET sock =
        WSASocketW(family == SOCKBROKER_IPV6 ? AF_INET6 : AF_INET, is_datagram ? SOCK_DGRAM : SOCK_STREAM,
                   is_datagram ? IPPROTO_UDP : IPPROTO_TCP, NULL, 0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);

    if (sock != INVALID_SOCKET && sb_socket_set_nonblocking(sock, true))
        sb_socket_close(&sock);
    return sock;
}
