#include "client_target.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

bool target_parse(const char *address, int port, struct target *target_out)
{
    struct sockaddr_in *in4 = (struct sockaddr_in *)&target_out->addr;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&target_out->addr;

    memset(&target_out->addr, 0, sizeof target_out->addr);
    if (inet_pton(AF_INET, address, &in4->sin_addr) == 1) {
        in4->sin_family = AF_INET;
        in4->sin_port = htons((uint16_t)port);
        target_out->addr_len = sizeof *in4;
        return true;
    }
    if (inet_pton(AF_INET6, address, &in6->sin6_addr) == 1) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons((uint16_t)port);
        target_out->addr_len = sizeof *in6;
        return true;
    }
    return false;
}

void reset_close(int sock)
{
    struct linger at_once = { .l_onoff = 1, .l_linger = 0 };

    if (sock < 0)
        return;
    setsockopt(sock, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(sock);
}
