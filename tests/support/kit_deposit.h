/* kit_deposit.h: what the tests of deposits need beyond kit.h: sockets of every kind, workers that only ask, deposits in the
 * status, and movers (kit_mover.h). Everything here ends the test when it goes wrong itself. */
#ifndef SB_TESTS_SUPPORT_KIT_DEPOSIT_H
#define SB_TESTS_SUPPORT_KIT_DEPOSIT_H

#include "tests/support/kit.h"
#include "tests/support/kit_mover.h"

/* ---- sockets; host is "127.0.0.1" or "::1" ---- */

/* Both blocking and close-on-exec. */
sockbroker_socket kit_listen(const char *host, uint16_t *port_out);
sockbroker_socket kit_bind_udp(const char *host, uint16_t *port_out);
/* Waits for one. */
sockbroker_socket kit_accept(sockbroker_socket listener);
/* A connection: ends[0] is the client's end, ends[1] the server's. */
void kit_open_stream(const char *host, sockbroker_socket ends[2]);
void kit_send(sockbroker_socket sock, const char *text);
/* The text comes next, whole. */
void kit_expect(sockbroker_socket sock, const char *text);
/* The end comes next, in whatever way. Closes it. */
void kit_expect_end(sockbroker_socket *sock);
/* The other side of a connection has neither sent nor ended. */
bool kit_is_open(sockbroker_socket sock);

/* ---- deposits ---- */

/* A worker in the test that serves nothing and asks. */
struct sockbroker_worker *kit_asker_open(struct kit_broker *b, const char *name);

/* With state number 1 of kit_state.h; lifetime an hour. The socket stays the caller's. */
sockbroker_status kit_deposit(struct sockbroker_worker *w, const char *name, sockbroker_socket sock, size_t state_len,
                              struct sockbroker_error *error_out);
/* Takes it out, checks its state (number 1). */
void kit_withdraw(struct sockbroker_worker *w, const char *name, size_t state_len, struct sockbroker_conn *conn_out);
/* What a withdrawal answers that shall not work. */
sockbroker_status kit_try_withdraw(struct sockbroker_worker *w, const char *name, struct sockbroker_error *error_out);

/* False when it is not in the status. */
bool kit_find_deposit(struct kit_broker *b, const char *name, struct sb_deposit_status *deposit_out);
/* Until there are so many. */
void kit_wait_deposits(struct kit_broker *b, unsigned n);

/* ---- movers ---- */

/* Ready for orders. more may be NULL. */
struct kit_process *kit_mover_start(struct kit_broker *b, const char *name, const struct kit_start *more);
struct kit_process *kit_mover_launch(struct kit_broker *b, const char *name, const struct kit_start *more);
/* An order, and the text with which its answer begins. Returns the answer's rest. */
const char *kit_mover_ask(struct kit_process *m, const char *order, const char *answer);
/* Connects to the listener; returns the test's end of the connection. */
sockbroker_socket kit_mover_connect(struct kit_process *m, const char *host, sockbroker_socket listener, uint16_t port);
/* "leave", exit code 0 asserted, freed. */
void kit_mover_stop(struct kit_process *m);

#endif
