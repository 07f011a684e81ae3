/* kit_sockaddr.h: addresses for the clients of the kit. */
#ifndef SB_TESTS_SUPPORT_KIT_SOCKADDR_H
#define SB_TESTS_SUPPORT_KIT_SOCKADDR_H

#include <stdint.h>
#include <sys/socket.h>

/* Length, or 0 when host is no IP address. */
socklen_t kit_sockaddr(const char *host, uint16_t port, struct sockaddr_storage *out);

/* The port on our side, 0 when there is none. */
uint16_t kit_own_port(int sock);

#endif
