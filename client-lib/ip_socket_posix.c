#include "client-lib/ip_socket.h"

#include <netinet/in.h>
#include <sys/socket.h>

sockbroker_socket sb_ip_socket(enum sockbroker_family family, enum sockbroker_socket_type type)
{
    bool is_datagram = type == SOCKBROKER_DATAGRAM;

    return socket(family == SOCKBROKER_IPV6 ? AF_INET6 : AF_INET,
                  (is_datagram ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC,
                  is_datagram ? IPPROTO_UDP : IPPROTO_TCP);
}
