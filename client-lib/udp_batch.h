/* udp_batch.h: one system call for many datagrams. The caller has checked n (1..SOCKBROKER_UDP_BATCH_MAX) and the pointers. */
#ifndef SB_CLIENT_UDP_BATCH_H
#define SB_CLIENT_UDP_BATCH_H

#include "sockbroker/udp.h"

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
