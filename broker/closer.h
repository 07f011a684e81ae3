/* closer.h: closes the broker's copy of a connection without ever waiting.
 *
 * close() of the last copy of a socket waits as long as SO_LINGER says, non-blocking or not, and whoever had the socket may
 * have set that. The broker's copy is the last one when the worker was quick. So a socket that lingers is closed by a thread of
 * libuv's pool.
 */
#ifndef SB_BROKER_CLOSER_H
#define SB_BROKER_CLOSER_H

#include "broker/broker.h"

/* Takes the socket. Counted in b->n_closing while a thread is at it. */
void sb_closer_close(struct sb_broker *b, sockbroker_socket *sock);

#endif
