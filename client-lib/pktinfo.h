/* pktinfo.h: has the system tell for each datagram which address it was sent to (RFC 3542, section 6.2; its IPv4 twin is the
 * system's own). */
#ifndef SB_CLIENT_PKTINFO_H
#define SB_CLIENT_PKTINFO_H

#include "sockbroker/socket.h"

/* Turns on IPV6_RECVPKTINFO (Windows: IPV6_PKTINFO) on an IPv6 socket, IP_PKTINFO on an IPv4 one, and both on a dual one. A
 * system without IPv4 may refuse the second there: that is no failure, and no_ipv4_out says so.
 * NULL when no_ipv4_out was written, else the operation that failed; sb_oserr_last() has its code. */
const char *sb_pktinfo_turn_on(sockbroker_socket sock, enum sockbroker_family family, bool dual, bool *no_ipv4_out);

/* ---- of the system: pktinfo_posix.c, pktinfo_win32.c ---- */

/* The option of one family. NULL, or its name, and sb_oserr_last() says why not. */
const char *sb_pktinfo_set(sockbroker_socket sock, enum sockbroker_family family);

#endif
