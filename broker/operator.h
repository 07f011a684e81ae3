/* operator.h: what the command line changes in a running broker: reload, scale, pause. */
#ifndef SB_BROKER_OPERATOR_H
#define SB_BROKER_OPERATOR_H

#include "broker/broker.h"

/* A request of one of these kinds. For the broker's own user and root; others are refused. */
void sb_operator_serve(struct sb_broker *b, const struct sb_request *request, struct sb_call *call);

#endif
