/* dispatch.h: brings connections and workers together; what happens to a connection in every case is decided here.
 */
#ifndef SB_BROKER_DISPATCH_H
#define SB_BROKER_DISPATCH_H

#include "broker/broker.h"
#include "proto/wire_takeover.h"

struct sb_endpoint;
struct sb_session;

/* A fresh connection: to a worker, into the queue, or refused. sock moves in. */
void sb_dispatch_new(struct sb_endpoint *e, sockbroker_socket *sock, const struct sockbroker_socket_info *info);

/* One that the broker before had. session NULL: it waits. lease_id as it was. OK, INVALID, NO_MEMORY; sock moves in on OK. */
sockbroker_status sb_dispatch_restore(struct sb_endpoint *e, const struct sb_takeover_connection *record,
                                      struct sb_session *session, sockbroker_socket *sock);

/* A lease that ended without ack and whose connection is still good: to another worker, before all newer ones. */
void sb_dispatch_again(struct sb_conn *conn);

/* The worker has it: the broker lets go. */
void sb_dispatch_delivered(struct sb_conn *conn);

/* Nobody may have it any more: a dead worker may have touched it, or a live one broke the rules holding it. */
void sb_dispatch_in_doubt(struct sb_conn *conn, bool holder_is_dead);

/* Nobody came for it in time. */
void sb_dispatch_refuse(struct sb_conn *conn);

/* Gives waiting connections to free workers and lets listeners read or rest. Does nothing unless somebody noted that it
 * is needed. */
void sb_dispatch_pump(struct sb_broker *b);
void sb_dispatch_note(struct sb_broker *b);

#endif
