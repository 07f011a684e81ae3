/* deposit.h: sockets that workers leave here under a name, each with a state blob, and that workers take out.
 *
 * It comes in three steps (Deposit, DepositState, the socket itself) and exists from the last on, whole; it leaves in three
 * (Withdraw, ReadState and the socket, Settle) and is here until the last. A worker that dies on the way changes nothing.
 * Who may take it out: the user of the worker that left it, those it named, the broker's own user and root.
 */
#ifndef SB_BROKER_DEPOSIT_H
#define SB_BROKER_DEPOSIT_H

#include "broker/broker.h"
#include "proto/channel.h"

struct sb_session;

/* What a worker asks; each answers the call. */
void sb_deposit_begin(struct sb_session *s, const struct sb_deposit *request, struct sb_call *call);
void sb_deposit_append(struct sb_session *s, const struct sb_deposit_state *request, struct sb_call *call);
void sb_deposit_withdraw(struct sb_session *s, const struct sb_withdraw *request, struct sb_call *call);
void sb_deposit_read(struct sb_session *s, const struct sb_read_state *request, struct sb_call *call);

/* One that another process has kept for this broker: the socket (moves in when it is taken) and what deposit_memory.h wrote
 * (lent). What cannot go on is left alone; the log says why. */
void sb_deposit_adopt(struct sb_broker *b, sockbroker_socket *sock, sockbroker_socket memory);

/* Names all of them to whoever keeps them for the next broker. */
void sb_deposits_keep(struct sb_broker *b);

/* Closes what is too old; the log says so. */
void sb_deposits_tick(struct sb_broker *b, uint64_t now_ms);

void sb_deposits_fill(const struct sb_broker *b, const struct sb_status_request *request, struct sb_status_page *page);

/* The end of the broker: all are closed. */
void sb_deposits_close(struct sb_broker *b);

#endif
