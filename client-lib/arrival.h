/* arrival.h: how a connection comes out of the pair, and with carrier = message out of its two halves.
 */
#ifndef SB_CLIENT_ARRIVAL_H
#define SB_CLIENT_ARRIVAL_H

#include "client-lib/worker_state.h"

/* What there is now, as sockbroker_worker_next() answers; AGAIN: nothing, and something may come. */
sockbroker_status sb_arrival_take(struct sockbroker_worker *w, struct sockbroker_conn *conn_out);

#endif
