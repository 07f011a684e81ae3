/* takeover.h: another process takes the broker's place, and neither clients nor workers notice.
 *
 * The old broker starts the new one with one end of a SOCK_SEQPACKET pair, and says (proto/sockbroker.proto, "takeover"):
 *
 *   old  Hello, with the lock of the runtime directory, and all listening and UDP sockets: copies, it goes on serving
 *   new  Hello: it speaks the same version, has read its configuration, has opened what the old one does not have, and listens
 *        under private names
 *   old  stops serving; Begin and the state: endpoints, sessions, what workers have, groups, connections, deposits
 *   new  READY: it has built everything and has touched nothing
 *   old  GO
 *   new  publishes its names; THERE
 *   old  LEFT: from here on the new one serves; the old one answers whoever asked, and ends
 *
 * Until LEFT the old one can go on as if nothing had been: when the new one fails, ends or is late, it is killed, and the names
 * are put back. When the old one dies or hangs the new one kills it and goes on with what it has got by then. The last message
 * of each side leaves a moment in which only the other is there: that is a crash of a broker as at any other time.
 *
 * Places where tests stop either side: takeover_old_1 to _9 and takeover_new_1 to _9, see takeover_give.c and takeover_take.c.
 */
#ifndef SB_BROKER_TAKEOVER_H
#define SB_BROKER_TAKEOVER_H

#include "broker/broker.h"
#include "proto/channel.h"

struct sb_giving; /* the old one's side */
struct sb_taking; /* the new one's */

/* ---- the old one ---- */

/* Begins. call (may be NULL: a signal asked) is answered at the end; on success this process ends. BUSY at once when one is
 * under way. */
void sb_giving_begin(struct sb_broker *b, const struct sb_upgrade *request, struct sb_call *call);

void sb_giving_tick(struct sb_broker *b, uint64_t now_ms);

/* While one is under way a stop and a reload wait for its end: true, it is noted. A second stop does not wait. */
bool sb_giving_holds_stop(struct sb_broker *b);
bool sb_giving_holds_reload(struct sb_broker *b);

/* The broker stops now. */
void sb_giving_cancel(struct sb_broker *b);

/* ---- the new one ---- */

/* NULL when this process was started as any other. */
sockbroker_status sb_taking_open(struct sb_taking **taking_out, struct sockbroker_error *error_out);

/* The sockets, which go to b->inherited, and the claim on the runtime directory. */
sockbroker_status sb_taking_offer(struct sb_broker *b, struct sockbroker_error *error_out);

/* Everything else; the caller then publishes its names. */
sockbroker_status sb_taking_state(struct sb_broker *b, struct sockbroker_error *error_out);

/* The names are published: waits until the other one has left. */
sockbroker_status sb_taking_finish(struct sb_broker *b, struct sockbroker_error *error_out);

/* Sees to it that the other one ends. */
void sb_taking_tick(struct sb_broker *b, uint64_t now_ms);

/* Says why and ends the process at once, without a hand on anything that is still the other's. */
void sb_taking_fail(struct sb_taking *t, const struct sockbroker_error *error);

#endif
