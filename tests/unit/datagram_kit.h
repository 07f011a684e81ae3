/* datagram_kit.h: what the tests of datagram.h have in common. */
#ifndef SB_TESTS_DATAGRAM_KIT_H
#define SB_TESTS_DATAGRAM_KIT_H

#include "client-lib/datagram.h"
#include "tests/unit/unit.h"

struct datagram_opened {
    sockbroker_socket sock;
    struct sb_datagram_facts facts;
    struct sockbroker_error error;
};

struct sb_datagram_request datagram_request(const char *text, bool dual);
sockbroker_status datagram_open_at(const char *text, bool dual, struct datagram_opened *o);

/* Does a datagram to ip arrive? */
bool datagram_serves(const struct datagram_opened *o, const char *ip);

/* Each request serves the families it names, and no others. */
void datagram_serve_as_asked(void *arg);

/* mapped: ip is IPv4 and the socket is not. */
void datagram_connect_to_discard(sockbroker_socket sock, const char *ip, bool mapped);

#endif
