/* limits.h: how many workers and connections the descriptors of this process allow.
 *
 * Each worker costs four (two ends of its pair, its process handle, its control connection), and two more if the broker starts
 * it, each listening socket one, each connection one; 288 are kept for everything else, so that control works when connections
 * have taken all the rest. Rings (one each) come out of the connections' share, at most half of it.
 */
#ifndef SB_BROKER_LIMITS_H
#define SB_BROKER_LIMITS_H

#include "broker/broker.h"

/* Raises the process's limit and sets max_sessions and max_connections. INVALID with the numbers when it cannot work. */
sockbroker_status sb_limits_set(struct sb_broker *b, struct sockbroker_error *error_out);

#endif
