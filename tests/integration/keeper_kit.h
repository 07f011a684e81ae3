/* keeper_kit.h: what the tests of the keeper share. */
#ifndef SB_TESTS_INTEGRATION_KEEPER_KIT_H
#define SB_TESTS_INTEGRATION_KEEPER_KIT_H

#include "tests/support/kit_keeper.h"

/* Until the keeper holds that many things. */
void keeper_wait_kept(struct kit_broker *b, unsigned n);

/* The endpoint's only socket. */
int keeper_fetch(struct sockbroker_worker *w, const char *endpoint);

/* Over both families. */
void keeper_connect_many(uint16_t port, int *socks, unsigned n);

void keeper_send_datagram(const char *to, uint16_t port);
/* How many datagrams wait; takes them. */
unsigned keeper_receive_all(int sock);

#endif
