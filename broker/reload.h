/* reload.h: brings the endpoints in line with a configuration, at start and at SIGHUP.
 */
#ifndef SB_BROKER_RELOAD_H
#define SB_BROKER_RELOAD_H

#include "broker/broker.h"

/* Opens what is new, changes what differs, takes away what is gone; nobody else is touched. The new sockets are all
 * opened first: if one cannot be, nothing has changed. */
sockbroker_status sb_reload_endpoints(struct sb_broker *b, const struct sb_config *config, struct sockbroker_error *error_out);

/* Frees endpoints that are CLOSING once their connections have been handed over, or drain_ms has passed. */
void sb_reload_tick(struct sb_broker *b, uint64_t now_ms);

#endif
