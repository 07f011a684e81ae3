/* keeper_pair.h: packets, each with at most one passenger, between a keeper and the broker that it started.
 *
 * POSIX: a SOCK_SEQPACKET pair; the passenger is a descriptor (SCM_RIGHTS).
 * Windows: two connected sockets of 127.0.0.1, made in one process. The passenger is a socket (WSADuplicateSocketW) or another
 * handle (DuplicateHandle), which the receiving process has from the sending on.
 *
 * A packet comes whole or not at all, and what was sent is read also when its sender is dead. What the pair holds is some
 * hundred packets.
 */
#ifndef SB_BROKER_KEEPER_PAIR_H
#define SB_BROKER_KEEPER_PAIR_H

#include <stddef.h>

#include "sockbroker/socket.h"

/* Neither waits; peer and results are those of keeper_link.h, cap is large enough for what is sent there. */
sockbroker_status sb_keeper_pair_send(sockbroker_socket end, sockbroker_socket peer, const uint8_t *data, size_t len,
                                      sockbroker_socket passenger);
sockbroker_status sb_keeper_pair_receive(sockbroker_socket end, uint8_t *buf, size_t cap, size_t *len_out,
                                         sockbroker_socket *passenger_out);

/* Until there is something to receive, or room to send; or the other side has gone. False: not within that time. */
bool sb_keeper_pair_wait(sockbroker_socket end, bool to_send, int timeout_ms);

#endif
