/* takeover_send.h: all that a broker has, as messages to the next one. */
#ifndef SB_BROKER_TAKEOVER_SEND_H
#define SB_BROKER_TAKEOVER_SEND_H

#include "broker/broker.h"
#include "broker/takeover_link.h"

/* Hello and the sockets. */
sockbroker_status sb_takeover_send_offer(struct sb_broker *b, sockbroker_socket channel, uint64_t until_ms);

/* Differs when a socket that was offered is not the one that is in use now. */
uint64_t sb_takeover_fingerprint(const struct sb_broker *b);

/* Begin and the state. */
sockbroker_status sb_takeover_send_state(struct sb_broker *b, sockbroker_socket channel, uint64_t until_ms);

#endif
