/* netif.h: the network interfaces of this machine, as the system knows them. netif_posix.c, netif_win32.c. */
#ifndef SB_CLIENT_LIB_NETIF_H
#define SB_CLIENT_LIB_NETIF_H

#include <stdint.h>

/* The index of the interface of exactly that name, never 0. 0 means no: with *os_code_out 0 there is no such
 * interface, else the system could not say (no descriptor left, for one). */
uint32_t sb_netif_index(const char *name, int *os_code_out);

#endif
