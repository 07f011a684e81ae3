/* fault_raw.h: a worker that speaks the protocol by itself and can do anything wrong; see fault_raw_worker.c for the same in a
 * process of its own.
 *
 * Uses the client calls of proto/ for what is right, and the bare pair, on POSIX, for what is not. Nothing here ends a test.
 */
#ifndef SB_TESTS_SUPPORT_FAULT_RAW_H
#define SB_TESTS_SUPPORT_FAULT_RAW_H

#include "proto/channel.h"
#include "proto/xfer.h"

struct fault_raw {
    struct sb_client *client;
    struct sb_attached attached; /* the session's key, its token, carrier */
    sockbroker_socket end;       /* of the pair; Windows: the broker's process */
    struct sb_reply reply;       /* room for answers */
};
#define FAULT_RAW_NONE                                                                                                         \
    {                                                                                                                          \
        .end = SOCKBROKER_SOCKET_NONE                                                                                          \
    }

/* Fills an Attach as the library would. */
void fault_raw_fill(struct sb_attach *attach, const char *name, const char *endpoint, unsigned window);

/* Each step of an honest worker. Attach connects when that has not been done, and answers with what the broker said; error_out
 * may be NULL. */
sockbroker_status fault_raw_connect(struct fault_raw *r, const char *dir, struct sockbroker_error *error_out);
sockbroker_status fault_raw_attach(struct fault_raw *r, const char *dir, const struct sb_attach *attach,
                                   struct sockbroker_error *error_out);
sockbroker_status fault_raw_hello(struct fault_raw *r, const char *dir, struct sockbroker_error *error_out);
sockbroker_status fault_raw_park(struct fault_raw *r);

/* All three: from here on connections come. */
sockbroker_status fault_raw_open(struct fault_raw *r, const char *dir, const char *name, unsigned window,
                                 struct sockbroker_error *error_out);

/* Over the control channel, for carrier = message. kept_out: what the broker says. */
sockbroker_status fault_raw_settle(struct fault_raw *r, uint64_t lease_id, enum sb_verdict verdict, bool *kept_out);

/* Any request, as this session says its key stands in it already; the answer is in r->reply. error_out may be NULL. */
sockbroker_status fault_raw_ask(struct fault_raw *r, const struct sb_request *request, enum sb_reply_kind expect,
                                struct sockbroker_error *error_out);

/* Detaches, if the session lives, and closes everything. */
void fault_raw_close(struct fault_raw *r);

/* ---- the pair, POSIX alone: fault_raw_pair_posix.c ---- */

/* Waits for the next packet. TIMEOUT when none comes in ms. */
sockbroker_status fault_raw_take(struct fault_raw *r, int ms, struct sb_delivery *delivery_out, sockbroker_socket *sock_out);

/* The lease id of the next packet, which stays where it is. 0: none. */
uint64_t fault_raw_peek(struct fault_raw *r);

sockbroker_status fault_raw_report(struct fault_raw *r, uint64_t lease_id, enum sb_verdict verdict);

/* Waits until the broker has closed its end. False when it does not within ms. */
bool fault_raw_is_dismissed(struct fault_raw *r, int ms);

#endif
