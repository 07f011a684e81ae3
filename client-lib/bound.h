/* bound.h: what listening sockets and datagram sockets have in common: a family, an address, and the dual-stack promise.
 *
 * IPV6_V6ONLY is set before bind each time and read back, whatever the system's default is (net.ipv6.bindv6only on Linux, on
 * Windows always on).
 */
#ifndef SB_CLIENT_BOUND_H
#define SB_CLIENT_BOUND_H

#include "sockbroker/socket.h"

struct sb_bound_request {
    struct sockbroker_addr addr;
    bool dual; /* [::] takes IPv4 too */
    enum sockbroker_socket_type type;
};

/* A TCP or UDP socket for the request, not bound yet, as in ip_socket.h. sock_out is yours.
 * OK, UNSUPPORTED (the system lacks the family), NO_DESCRIPTORS and others. */
sockbroker_status sb_bound_create(const struct sb_bound_request *request, sockbroker_socket *sock_out,
                                  struct sockbroker_error *error_out);

/* Binds it. addr_out: where it really is (the port when 0 was asked).
 * OK, ADDRESS_IN_USE, ADDRESS_NOT_AVAILABLE, PERMISSION and others. */
sockbroker_status sb_bound_bind(const struct sb_bound_request *request, sockbroker_socket sock,
                                struct sockbroker_addr *addr_out, struct sockbroker_error *error_out);

/* For a dual request on a system without IPv6: turns it into one for 0.0.0.0 with the same port, and answers true. */
bool sb_bound_fall_back(struct sb_bound_request *request);

/* "OPERATION ADDRESS (UDP, IPv6 and IPv4): CODE. CURE". Returns the status of the code. */
sockbroker_status sb_bound_failed(const struct sb_bound_request *request, const char *operation, int os_code,
                                  struct sockbroker_error *error_out);

/* Does the system have this family at all? Only its plain "no" counts: being short of descriptors is no answer. */
bool sb_bound_has(enum sockbroker_family family);

/* Does this socket take IPv4 through IPv6? False for IPv4 sockets. */
bool sb_bound_is_dual(sockbroker_socket sock);

/* ---- what the codes of the system mean for these sockets: bound_posix.c, bound_win32.c ---- */

/* cure_out: NULL when there is none to tell. */
sockbroker_status sb_bound_judge(enum sockbroker_socket_type type, int os_code, const char **cure_out);

/* There is no such family. */
bool sb_bound_is_no_family(int os_code);

#endif
