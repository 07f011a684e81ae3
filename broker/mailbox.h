/* mailbox.h: the pairs of all workers, and when their reports are read.
 *
 * An ack need not wake the broker: it wakes for connections anyway, and reads all reports first each time. But while the
 * broker's copy is open, a client does not see the close of a worker that was quick. So when nothing else woke it for
 * SB_MAILBOX_LATE_MS while reports lay there, reports wake it for the next SB_MAILBOX_EAGER_MS.
 * Measured (tests/bench): a wake-up for each ack costs about a third of what the broker spends on a connection.
 */
#ifndef SB_BROKER_MAILBOX_H
#define SB_BROKER_MAILBOX_H

#include "broker/broker.h"

#define SB_MAILBOX_LATE_MS 2
#define SB_MAILBOX_EAGER_MS 100

struct sb_mailbox;

sockbroker_status sb_mailbox_open(struct sb_broker *b, struct sb_mailbox **mailbox_out);
void sb_mailbox_close(struct sb_mailbox *m); /* NULL is allowed; frees when the loop lets go */

/* The broker's end of a session's pair. OK, NO_MEMORY. */
sockbroker_status sb_mailbox_add(struct sb_mailbox *m, struct sb_session *s);
void sb_mailbox_remove(struct sb_mailbox *m, struct sb_session *s); /* before the descriptor is closed */

/* Also tell when the pair takes packets again. */
void sb_mailbox_want_writable(struct sb_mailbox *m, struct sb_session *s, bool wanted);

/* It has leases to settle now, or none any more. */
void sb_mailbox_expect(struct sb_mailbox *m, struct sb_session *s, bool expected);

/* Takes what has come, by rings and by packets. */
void sb_mailbox_collect(struct sb_mailbox *m);

#endif
