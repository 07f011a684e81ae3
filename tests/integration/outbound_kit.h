/* outbound_kit.h: a network with nothing but lo and a hosts file of its own, so that nobody is asked outside; servers in it; a
 * worker inside the test that asks for connections to them. */
#ifndef SB_TESTS_INTEGRATION_OUTBOUND_KIT_H
#define SB_TESTS_INTEGRATION_OUTBOUND_KIT_H

#include "sockbroker/request.h"
#include "tests/support/kit.h"

#define PORT 4000u /* of all servers */
#define WEB "--endpoint", "web=[::]:0"

/* ---- the place ---- */

/* The setup of the group, once for all tests: the way back is closed while a worker's threads share the files. */
int enter(void **state);
/* Skips the test where that was not allowed. */
void need_place(void);

/* ---- servers ---- */

struct sockbroker_addr address_of(const char *ip, uint16_t port);
int listen_at(const char *ip, int backlog);
int accept_at(sockbroker_socket listener);

/* Its queue is full: the system drops each SYN. */
struct hole {
    sockbroker_socket sock, filler;
};
void open_hole(struct hole *h, const char *ip);
void close_hole(struct hole *h);

/* ---- the broker and a worker inside the test ---- */

struct scene {
    struct kit_broker *b;
    struct sockbroker_worker *worker;
    struct sockbroker_conn conn;
    struct sockbroker_attempt attempts[SOCKBROKER_ATTEMPTS_MAX];
    size_t n_attempts;
    struct sockbroker_error error;
};

void open_scene(struct scene *s, const struct kit_start *how);
void open_plain_scene(struct scene *s);
/* One setting, "KEY=VALUE". */
void open_scene_with(struct scene *s, const char *setting);
/* The broker has as many descriptors as at first. */
void close_scene(struct scene *s);

sockbroker_status ask(struct scene *s, const struct sockbroker_connect_options *options);
sockbroker_status ask_host(struct scene *s, const char *host);
/* source: NULL for any. */
sockbroker_status ask_addresses(struct scene *s, const char *const *ips, const char *source);
#define ask_for(s, source, ...) ask_addresses((s), (const char *const[]){ __VA_ARGS__, NULL }, (source))

/* ---- what must be; else the test ends ---- */

void must(struct scene *s, sockbroker_status expected, sockbroker_status got);
void must_say(const char *text, const char *piece);
void must_be(const struct sockbroker_addr *addr, const char *ip);
/* The connection is what it is said to be, and a server is at its other end. Closes it. */
void must_be_connected(struct scene *s, sockbroker_socket listener, const char *local, const char *peer);

#endif
