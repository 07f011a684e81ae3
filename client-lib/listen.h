/* listen.h: listening sockets that keep the dual-stack promise, whatever the system's defaults are.
 *
 * IPV6_V6ONLY is set before bind each time and read back. POSIX: SO_REUSEADDR lets a restart bind at once; SO_REUSEPORT is set
 * only for the members of a group that belongs to one owner: it lets other processes of the same user take a share.
 * Windows: SO_EXCLUSIVEADDRUSE, as otherwise any process could bind there too and take the connections; a restart can bind at
 * once without more.
 */
#ifndef SB_CLIENT_LISTEN_H
#define SB_CLIENT_LISTEN_H

#include "sockbroker/socket.h"

struct sb_listen_request {
    struct sockbroker_addr addr;
    bool dual; /* [::] takes IPv4 too */
    uint32_t backlog;
    bool reuseport; /* one of a group on the same address; Windows: UNSUPPORTED */
};

enum sb_listen_note {
    SB_LISTEN_AS_ASKED = 0,
    SB_LISTEN_NO_IPV6, /* the system has no IPv6: 0.0.0.0 instead of a dual [::] */
};

/* Opens, binds and listens: TCP, non-blocking, close-on-exec. addr_out: where it really is (the port when 0 was asked).
 * OK; ADDRESS_IN_USE, ADDRESS_NOT_AVAILABLE, PERMISSION, UNSUPPORTED and others, with family and address in the error. */
sockbroker_status sb_listen_open(const struct sb_listen_request *request, sockbroker_socket *sock_out,
                                 struct sockbroker_addr *addr_out, enum sb_listen_note *note_out,
                                 struct sockbroker_error *error_out);

/* Listens again on a socket that somebody has shut down, or changes its backlog. at: where it was bound; Linux takes a port
 * back that it had chosen itself (for port 0) when the socket is shut down. Windows shuts no listening socket down, and leaves
 * the backlog as it was. */
sockbroker_status sb_listen_again(sockbroker_socket sock, const struct sockbroker_addr *at, uint32_t backlog);

/* False when the socket does not listen any more (SO_ACCEPTCONN). */
bool sb_listen_is_on(sockbroker_socket sock);

/* How many connections wait in its queue. Windows tells only whether there are any: 0 or 1. */
uint32_t sb_listen_queue(sockbroker_socket sock);

/* Is IPv6 there at all, and does it have any address? Both false on a system without it; the second also when it is
 * switched off by sysctl. */
bool sb_listen_has_ipv6(void);
bool sb_listen_has_ipv6_address(void);

/* ---- of the system: listen_posix.c, listen_win32.c ---- */

/* Before bind: who else may bind there. NULL, or what failed, and sb_oserr_last() says why. */
const char *sb_listen_claim(sockbroker_socket sock, bool reuseport);

/* The socket is bound already. */
bool sb_listen_is_bound_code(int os_code);

#endif
