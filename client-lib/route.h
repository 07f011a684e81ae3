/* route.h: which source the system gives to a socket for a destination. route_posix.c, route_win32.c. */
#ifndef SB_CLIENT_LIB_ROUTE_H
#define SB_CLIENT_LIB_ROUTE_H

#include "client-lib/host.h"

/* find_source() of struct sb_host, of the machine that this runs on. No packet is sent. */
sockbroker_status sb_route_find_source(const struct sb_host *host, const struct sockbroker_addr *destination,
                                       const struct sb_host_wish *wish, struct sockbroker_addr *source_out,
                                       enum sockbroker_unusable *unusable_out, int *os_code_out);

#endif
