/* deposit_inside.h: what one deposit is, for deposit.c and for the takeover, which gives it to the next broker.
 */
#ifndef SB_BROKER_DEPOSIT_INSIDE_H
#define SB_BROKER_DEPOSIT_INSIDE_H

#include "broker/deposit.h"
#include "proto/wire_takeover.h"

struct sb_kept {
    struct sb_broker *broker;
    struct sb_deposit asked; /* name, lifetime, state_len, allow_uids */
    char owner[SOCKBROKER_NAME_MAX + 1];
    uint32_t uid;
    uint8_t *state;
    uint32_t n_received; /* of state */
    sockbroker_socket sock;
    uint64_t number; /* of its labels in custody; 0: nobody has kept it yet */
    struct sockbroker_socket_info info;
    uint64_t since_ms;
    struct sb_grant *taker; /* the worker that is taking it; NULL: nobody */
    struct sb_kept *prev, *next;
};

/* One of an earlier broker, with room for its state; NULL: out of memory, or the name is taken. sock moves in. */
struct sb_kept *sb_deposit_restore(struct sb_broker *b, const struct sb_takeover_deposit *record, sockbroker_socket *sock);

#endif
