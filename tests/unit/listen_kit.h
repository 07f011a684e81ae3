/* listen_kit.h: what the tests of listen.h have in common. */
#ifndef SB_TESTS_LISTEN_KIT_H
#define SB_TESTS_LISTEN_KIT_H

#include "client-lib/listen.h"
#include "tests/unit/unit.h"

struct listen_opened {
    sockbroker_socket sock;
    struct sockbroker_addr at;
    enum sb_listen_note note;
    struct sockbroker_error error;
};

struct sb_listen_request listen_request(const char *text, bool dual);
sockbroker_status listen_open_at(const char *text, bool dual, struct listen_opened *o);

/* Does the listener take a client that connects to ip? */
bool listen_serves(const struct listen_opened *o, const char *ip);

/* Each request serves the families it names, and no others. */
void listen_serve_as_asked(void *arg);

#endif
