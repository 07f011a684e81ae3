/* datagram.h: UDP sockets that keep the dual-stack promise, and tell which address each datagram was sent to (pktinfo.h).
 *
 * SO_REUSEADDR is never set: on UDP it would let other processes of any user take over the port. SO_REUSEPORT is set only
 * for the members of a group that belongs to one owner.
 */
#ifndef SB_CLIENT_DATAGRAM_H
#define SB_CLIENT_DATAGRAM_H

#include "sockbroker/socket.h"

struct sb_datagram_request {
    struct sockbroker_addr addr;
    bool dual;               /* [::] takes IPv4 too */
    bool reuseport;          /* one of a group on the same address */
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
 * so it needs to be replaced. An unbound socket is bound to any port by this: mend it before. */
bool sb_datagram_is_on(sockbroker_socket sock);

/* Undoes a connect(), after which the socket takes from one peer alone. What waits in its queue stays.
 *   addr       where it was bound; a socket that was disconnected has lost a port that the system chose, and is bound again
 *   cause_out  "connected", "unbound"; NULL when all was well
 * OK; ADDRESS_IN_USE when another has the port meanwhile, and others. */
sockbroker_status sb_datagram_mend(sockbroker_socket sock, const struct sockbroker_addr *addr, const char **cause_out);

/* Bytes of its queue, as in a request; 0: the system's default for new sockets. */
void sb_datagram_set_receive_buffer(sockbroker_socket sock, uint32_t bytes);

#endif
