/* datagram.h: UDP sockets that keep the dual-stack promise, and tell which address each datagram was sent to (pktinfo.h).
 *
 * SO_REUSEADDR is never set: on UDP it would let other processes of any user take over the port. SO_REUSEPORT is set only
 * for the members of a group that belongs to one owner. Windows: SO_EXCLUSIVEADDRUSE, so that nobody else can set it either.
 */
#ifndef SB_CLIENT_DATAGRAM_H
#define SB_CLIENT_DATAGRAM_H

#include "sockbroker/socket.h"

struct sb_datagram_request {
    struct sockbroker_addr addr;
    bool dual;               /* [::] takes IPv4 too */
    bool reuseport;          /* one of a group on the same address; Windows: UNSUPPORTED */
    uint32_t receive_buffer; /* bytes (SO_RCVBUF); 0: the system's default */
};

enum sb_datagram_note {
    SB_DATAGRAM_AS_ASKED = 0,
    SB_DATAGRAM_NO_IPV6, /* the system has no IPv6: 0.0.0.0 instead of a dual [::] */
    SB_DATAGRAM_NO_IPV4, /* the system has no IPv4: the dual [::] serves IPv6 alone */
};

struct sb_datagram_facts {
    struct sockbroker_addr addr; /* where it really is (the port when 0 was asked) */
    enum sb_datagram_note note;
    uint32_t receive_buffer; /* bytes in the measure of the request; less than was asked where the system has a limit
                                (net.core.rmem_max, without CAP_NET_ADMIN) */
};

/* Opens and binds: UDP, non-blocking, close-on-exec. sock_out is yours.
 * OK; ADDRESS_IN_USE, ADDRESS_NOT_AVAILABLE, PERMISSION, UNSUPPORTED and others, with family and address in the error. */
sockbroker_status sb_datagram_open(const struct sb_datagram_request *request, sockbroker_socket *sock_out,
                                   struct sb_datagram_facts *facts_out, struct sockbroker_error *error_out);

/* False when somebody who holds the socket has shut it down, in whichever direction, and for NONE. On Linux what arrives can
 * still be received, but every wait returns at once, or every send fails (EPIPE), for all who hold it; nothing opens it again,
 * so it needs to be replaced. An unbound socket is bound to any port by this: mend it before. Windows may not tell that sending
 * was shut down. */
bool sb_datagram_is_on(sockbroker_socket sock);

/* Undoes a connect(), after which the socket takes from one peer alone. What waits in its queue stays; on Windows the connect()
 * itself may have dropped it.
 *   addr       where it was bound; a socket that was disconnected has lost a port that the system chose, and is bound again
 *   cause_out  "connected", "unbound"; NULL when all was well
 * OK; ADDRESS_IN_USE when another has the port meanwhile, and others. */
sockbroker_status sb_datagram_mend(sockbroker_socket sock, const struct sockbroker_addr *addr, const char **cause_out);

/* Bytes of its queue, as in a request; 0: the system's default for new sockets. */
void sb_datagram_set_receive_buffer(sockbroker_socket sock, uint32_t bytes);

/* ---- of the system: datagram_posix.c, datagram_win32.c ---- */

/* Before bind: who else may bind there, and that what ICMP says of one peer does not stop the others. NULL, or what failed, and
 * sb_oserr_last() says why. */
const char *sb_datagram_claim(sockbroker_socket sock, bool reuseport);

/* The measure is that of a request. The system gives what it allows; how much that is shows afterwards. */
void sb_datagram_ask_buffer(sockbroker_socket sock, uint32_t bytes);
uint32_t sb_datagram_buffer(sockbroker_socket sock);

/* Undoes a connect(). */
void sb_datagram_disconnect(sockbroker_socket sock, enum sockbroker_family family);

bool sb_datagram_is_shut_for_receiving(sockbroker_socket sock);

/* A send to `to`, of which nothing reaches anybody, fails because of a shutdown. False also when the system does not tell;
 * then told_out is whether another address need not be tried. */
bool sb_datagram_is_shut_for_sending(sockbroker_socket sock, const struct sockbroker_addr *to, bool *told_out);

#endif
