/* udp_faults_kit.h: what the tests of faults around UDP endpoints have in common: a worker that does what workers must not, and
 * how to see that its socket is mended. udp_faults_kit.c; what can be done to a socket is in udp_tricks_posix.c and
 * udp_tricks_win32.c. The sample is the honest worker (udp_endpoints_kit.h). */
#ifndef SB_TESTS_UDP_FAULTS_KIT_H
#define SB_TESTS_UDP_FAULTS_KIT_H

#include "tests/integration/udp_endpoints_kit.h"

#define UDP_SHARED "echo=[::]:0,protocol=udp,mode=share"

/* For configuration files. */
#define UDP_WEB "endpoint web { address = \"[::]:0\" }\n"
#define UDP_ECHO(more) "endpoint echo { address = \"[::]:0\" protocol = udp mode = share " more "}\n"

/* All of these addresses are answered, each as itself. hosts: up to NULL. */
void udp_check_answers_at(uint16_t port, const char *const *hosts);
#define udp_check_answers(b, ...) udp_check_answers_at(kit_broker_port((b), "echo"), (const char *const[]){ __VA_ARGS__, NULL })
/* All that there are (udp_hosts). */
void udp_check_serves(struct kit_broker *b);

/* Nothing is left of the workers. */
void udp_end(struct kit_broker *b);

/* ---- refusals ---- */

/* A broker that shall have an endpoint (more: "mode=share") on [::] and a port that is taken on that host says so and ends. */
void udp_check_taken(const char *host, const char *more);

struct udp_refusal {
    const char *endpoint, *says;
};
/* Before anything is bound. */
void udp_check_refused(const struct udp_refusal *r);

/* ---- a worker inside the test ---- */

struct udp_rogue {
    struct sockbroker_worker *worker;
    sockbroker_socket sock;
};

/* With the first socket of "echo". */
void udp_rogue_open(struct udp_rogue *r, struct kit_broker *b, const char *name);
void udp_rogue_close(struct udp_rogue *r);
void udp_rogue_must_hear_drain(struct udp_rogue *r);

/* ---- what it can do to the socket ---- */

void udp_set_option(sockbroker_socket sock, int level, int name, int value);
int udp_option_of(sockbroker_socket sock, int level, int name);

void udp_connect_to_ipv4(sockbroker_socket sock);
void udp_connect_to_ipv6(sockbroker_socket sock);
bool udp_is_unconnected(sockbroker_socket sock);

/* On an endpoint with receive_buffer=1048576. */
struct udp_trick {
    const char *cause; /* as the broker names it */
    void (*play)(sockbroker_socket sock);
    bool (*is_mended)(sockbroker_socket sock);
};
extern const struct udp_trick udp_tricks[]; /* what changes options comes first */
extern const unsigned udp_n_tricks;
/* The endpoint "echo", shared, on a port on which all of them can be mended. more: "", ",receive_buffer=1048576". */
struct kit_broker *udp_start_for_tricks(const char *more);

/* Arguments of shutdown() that cannot be undone and are noticed; the last one is for both directions. */
extern const int udp_ways_to_shut[];
extern const unsigned udp_n_ways_to_shut;
/* In both directions. */
void udp_shut(sockbroker_socket sock);

#endif
