/* outbound.h: connections to somewhere, made for a worker that asks: who may, to where, and how the socket gets to it.
 *
 * connect_deny is looked at first. The broker's own user and root may go everywhere else, or, with connect_allow, there only;
 * users in connect_uid only there. A source port below 1024 is for root.
 */
#ifndef SB_BROKER_OUTBOUND_H
#define SB_BROKER_OUTBOUND_H

#include "broker/broker.h"
#include "broker/connector.h"
#include "proto/channel.h"

struct sb_outbound;
struct sb_session;

/* OK, NO_MEMORY. */
sockbroker_status sb_outbounds_open(struct sb_broker *b);
void sb_outbounds_close(struct sb_broker *b); /* all that are under way end */

/* May workers of this user ask at all? */
bool sb_outbound_admits(const struct sb_broker *b, uint32_t uid);

/* A worker asks for one; the call is answered when the race is over. */
void sb_outbound_begin(struct sb_session *s, const struct sb_connect_message *request, struct sb_call *call);

/* Its worker has ended. */
void sb_outbounds_end(struct sb_session *s);

/* Whoever asked may have gone. */
void sb_outbounds_tick(struct sb_broker *b);

#endif
