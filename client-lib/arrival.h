/* arrival.h: how a connection comes out of the pair, and with carrier = message out of its two halves.
 */
#ifndef SB_CLIENT_ARRIVAL_H
#define SB_CLIENT_ARRIVAL_H

#include "client-lib/worker_state.h"

/* What there is now, as sockbroker_worker_next() answers; AGAIN: nothing, and something may come.
 * wait: it may wait in the pair if that is all there is to watch; sb_worker_set_state() ends it. */
sockbroker_status sb_arrival_take(struct sockbroker_worker *w, bool wait, struct sockbroker_conn *conn_out);

#endif
