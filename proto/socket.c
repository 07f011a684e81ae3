#include "proto/socket.h"

sockbroker_socket sb_socket_take(sockbroker_socket *sock)
{
    sockbroker_socket taken = *sock;

    *sock = SOCKBROKER_SOCKET_NONE;
    return taken;
}
