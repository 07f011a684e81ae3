/* custody.h: what must outlive this process lies in other hands too: the keeper's, or the service manager's descriptor store.
 *
 * Kept are the listening and UDP sockets of all endpoints, deposits with their state, and for each worker that uses one of the
 * sockets itself its process handle, so that the next broker knows whose slot it is; and what the operator asked for. At the
 * start all of it comes back. A thing is a label and a descriptor (keeper_link.h):
 *
 *     listener/ENDPOINT/NUMBER/SLOT    SLOT: "-", or the place in a shard
 *     holder/NUMBER/WORKER/PID         of the listener with that number
 *     deposit/NUMBER/socket, deposit/NUMBER/state
 *     paused/ENDPOINT, wanted/GROUP/N/CONFIGURED    what the operator asked for (wishes.h); the descriptor means nothing
 *     given/NAME/N                     came with the start of the keeper; elsewhere the NAME alone
 *
 * NUMBER is the socket's own in the kernel (the inode of sockfs), on Windows made of its addresses: the same in every process
 * that has the socket.
 */
#ifndef SB_BROKER_CUSTODY_H
#define SB_BROKER_CUSTODY_H

#include "broker/broker.h"

struct sb_custody;
struct sb_listener;
struct sb_session;

/* Before any socket is opened: takes back what there is. Listening and UDP sockets that an endpoint of the configuration asks
 * for go into b->inherited, the others are closed everywhere, so that their addresses are free; deposits go where they belong.
 * OK, also when nobody keeps anything; NO_MEMORY; INVALID (what was given makes no sense); TIMEOUT (the keeper is silent). */
sockbroker_status sb_custody_open(struct sb_broker *b, struct sockbroker_error *error_out);

/* For a process that takes over from a running broker: channel is that one's sb_custody_channel() (moves in on OK), and the
 * keeper follows this process from now on; until the other one has ended it goes back to that one when this one ends. NONE:
 * there is no keeper. Of what is kept nothing changes before sb_custody_ready(), which drops what it does not name.
 * OK, NO_MEMORY, TIMEOUT, CLOSED (there is no keeper any more, or it does not take this process for the broker). */
sockbroker_status sb_custody_join(struct sb_broker *b, sockbroker_socket *channel);

/* What the service manager's store has, which does not forget by itself what the next broker does not name: the old one tells
 * it (nothing when the custodian is another; ends at the first failure, which is the answer), the new one takes it in. The
 * store stays the custodian even if the new configuration says otherwise. restore: OK, NO_MEMORY. */
typedef sockbroker_status (*sb_custody_teller)(void *arg, const char *label, uint64_t number);
sockbroker_status sb_custody_tell(const struct sb_broker *b, sb_custody_teller tell, void *arg);
sockbroker_status sb_custody_restore(struct sb_broker *b, const char *label, uint64_t number);

/* Our end of the pair to the keeper, lent; NONE when there is no keeper. */
sockbroker_socket sb_custody_channel(const struct sb_broker *b);

/* Listeners, holders or deposits are not what they were: sb_custody_sync() looks at them. */
void sb_custody_note(struct sb_broker *b);
void sb_custody_sync(struct sb_broker *b);

/* A worker has got a socket. */
struct sb_holder;
void sb_custody_keep_holder(const struct sb_holder *h);

/* What was given and not taken is closed, the rest is named, and the keeper knows that this broker serves. */
void sb_custody_ready(struct sb_broker *b);

/* Before a list of listeners closes, which is no endpoint's any more: unless another endpoint has the same socket, nobody else
 * holds them any more when this comes back, or 100 ms have passed. */
void sb_custody_release(struct sb_broker *b, struct sb_listener *list);

/* Did a living worker use this socket under the broker before, and has not attached since? */
bool sb_custody_is_claimed(const struct sb_broker *b, sockbroker_socket sock);

/* Its process is known now: it gets back what it used under the broker before. */
void sb_custody_welcome(struct sb_session *s);

/* Workers that ended before they came back; what could not be told. */
void sb_custody_tick(struct sb_broker *b);

/* One thing more, or one less. keep: may be repeated, and is when the custodian was busy. */
void sb_custody_keep(struct sb_custody *c, const char *label, sockbroker_socket sock);
void sb_custody_drop(struct sb_custody *c, const char *label);
bool sb_custody_is_kept(const struct sb_broker *b); /* by anybody */
bool sb_custody_has(struct sb_custody *c, const char *label);

void sb_custody_close(struct sb_broker *b);

#endif
