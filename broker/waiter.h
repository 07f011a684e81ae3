/* waiter.h: callers of `sockbroker drain --wait`: answered when the workers they drained have gone or hold nothing. */
#ifndef SB_BROKER_WAITER_H
#define SB_BROKER_WAITER_H

#include "broker/broker.h"

/* Drains what the request names. The call is answered at once, or with `wait` when it is done. */
void sb_waiter_drain(struct sb_broker *b, const struct sb_drain *drain, struct sb_call *call);

/* After a session ended or let go of a connection. */
void sb_waiters_check(struct sb_broker *b);

/* Lets go of callers that have gone themselves. */
void sb_waiters_tick(struct sb_broker *b);

/* The broker stops: all are answered. */
void sb_waiters_end(struct sb_broker *b);

#endif
