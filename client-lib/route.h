/* route.h: which source the system gives to a socket for a destination. */
#ifndef SB_CLIENT_LIB_ROUTE_H
#define SB_CLIENT_LIB_ROUTE_H

#include "client-lib/host.h"

/* find_source() of struct sb_host, of the machine that this runs on. No packet is sent. */
sockbroker_status sb_route_find_source(const struct sb_host *host, const struct sockbroker_addr *destination,
                                       const struct sb_host_wish *wish, struct sockbroker_addr *source_out,
                                       enum sockbroker_unusable *unusable_out, int *os_code_out);

/* ---- of the system: route_posix.c, route_win32.c ---- */

/* Why the system did not give one: because of the destination (OK, and unusable_out is set), or because it could not be asked.
 */
sockbroker_status sb_route_judge(int os_code, enum sockbroker_unusable *unusable_out);

/* The code of "there is no such address". */
int sb_route_no_source_code(void);

/* RFC 5014 preferences are only that: a system that does not know them, like Windows, is as good. */
void sb_route_prefer(sockbroker_socket sock, const struct sb_host_wish *wish);

#endif
