/* opening.h: the sockets that an endpoint asks for: which, whether they are there already (inherited, or another endpoint's
 * that gives them up), and opening the rest, all or none.
 */
#ifndef SB_BROKER_OPENING_H
#define SB_BROKER_OPENING_H

#include "broker/endpoint.h"
#include "client-lib/listen.h"

struct sb_inherited;

/* Makes the listeners of a configuration of the endpoint, with mode = shard its shards as well. next: the configuration to
 * come, which says what other endpoints give up. On a failure none is open. */
sockbroker_status sb_opening_listeners(struct sb_endpoint *e, const struct sb_endpoint_config *c, const struct sb_config *next,
                                       struct sb_listener **list_out, struct sockbroker_error *error_out);

/* Does this configuration ask for exactly this socket, under its name if it has one? */
bool sb_opening_asks_for(const struct sb_endpoint_config *config, const struct sb_inherited *socket);

/* After its listeners are closed. */
void sb_opening_close_shards(struct sb_endpoint *e);

/* The listener of any endpoint on just this socket; not of a shard. NULL when there is none. */
struct sb_listener *sb_opening_find(struct sb_broker *b, enum sb_protocol protocol, const struct sb_listen_request *request);

#endif
