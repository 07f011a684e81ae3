/* udp_batch.h: many datagrams at once, with as few system calls as there can be. The caller has checked n
 * (1..SOCKBROKER_UDP_BATCH_MAX) and the pointers. */
#ifndef SB_CLIENT_UDP_BATCH_H
#define SB_CLIENT_UDP_BATCH_H

#include "sockbroker/udp.h"

/* Before the first of them. Windows: makes the socket non-blocking, for a call that does not wait is not to be had otherwise,
 * and keeps what ICMP says of one peer (SIO_UDP_CONNRESET, SIO_UDP_NETRESET) from the others. OK, or what the system says. */
sockbroker_status sb_udp_batch_prepare(sockbroker_socket sock);

/* Both as in udp.h. */
sockbroker_status sb_udp_batch_receive(const struct sockbroker_udp *udp, struct sockbroker_datagram *batch, size_t n,
                                       size_t *n_out);
sockbroker_status sb_udp_batch_send(const struct sockbroker_udp *udp, struct sockbroker_datagram *batch, size_t n,
                                    size_t *n_done_out);

/* The error ICMP left on a socket is told once, by whatever call comes next, and has nothing to do with that call. So what
 * fails is tried again, and the last answer is its own. */
#define SB_UDP_TRIES 4

/* The socket or the call is wrong, not a datagram: trying again is of no use. */
bool sb_udp_error_is_final(int os_code);

/* Of one datagram that could not be sent. cure: NULL when there is none to tell. */
sockbroker_status sb_udp_error_status(int os_code);
const char *sb_udp_error_cure(int os_code);

#endif
