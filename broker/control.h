/* control.h: answers what comes over the control channel.
 */
#ifndef SB_BROKER_CONTROL_H
#define SB_BROKER_CONTROL_H

#include "broker/broker.h"

/* Answers all requests that wait. On the loop thread. */
void sb_control_serve(struct sb_broker *b);

/* Answers with a Failure; text says what was wrong and what to do. */
void sb_control_fail(struct sb_call *call, sockbroker_status status, const char *text);

#endif
