/* attach.h: decides whether a worker may attach, and makes its session. The worker then shows its token at the handoff
 * socket (greeting.h).
 */
#ifndef SB_BROKER_ATTACH_H
#define SB_BROKER_ATTACH_H

#include "broker/broker.h"

void sb_attach(struct sb_broker *b, const struct sb_attach *attach, struct sb_call *call);

#endif
