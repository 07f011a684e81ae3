/* greeting.h: the handoff socket. A worker that attached over the control channel shows its token here and gets its end of
 * the pair; the kernel tells which process it is.
 *
 * Tokens are good once. What is not a good Hello in time is closed; of too many strangers at the door one leaves by lot.
 * On Windows the same comes as a Hand over the control channel, whose pipe tells the process.
 */
#ifndef SB_BROKER_GREETING_H
#define SB_BROKER_GREETING_H

#include "broker/broker.h"
#include "proto/peer.h"

sockbroker_status sb_greeter_open(struct sb_broker *b, struct sb_greeter **greeter_out, struct sockbroker_error *error_out);
void sb_greeter_close(struct sb_greeter *g); /* NULL is allowed */

/* Somebody shows the token of an Attached. OK: it is the process that attached, and the first time. NOT_FOUND, REFUSED: that
 * has been counted and logged. */
sockbroker_status sb_greeting_claim(struct sb_broker *b, const struct sb_hello *hello, const struct sb_peer *peer,
                                    struct sb_session **session_out);

/* Counts and logs a Hello that is not good. Returns status. */
sockbroker_status sb_greeting_refuse(struct sb_broker *b, sockbroker_status status, const struct sb_peer *peer,
                                     const char *cause);

/* Drops those who have been at the door for too long. */
void sb_greeter_tick(struct sb_greeter *g, uint64_t now_ms);

/* Answers a Hand. POSIX: refused. */
void sb_greeting_hand(struct sb_broker *b, const struct sb_hand *hand, struct sb_call *call);

#endif
