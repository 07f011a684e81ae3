/* kit_udp.h: clients that send datagrams to an echo worker and expect each one back, once, from the address they asked.
 *
 * Never more are under way than fit the kernel's queues, so on loopback none is lost. What else may happen to a datagram (one
 * answer too many, other bytes, an answer from elsewhere or to another client) ends the test at once.
 */
#ifndef SB_TESTS_SUPPORT_KIT_UDP_H
#define SB_TESTS_SUPPORT_KIT_UDP_H

#include "sockbroker/addr.h"
#include "tests/support/kit.h"

#define KIT_UDP_HOSTS_MAX 16
#define KIT_UDP_CLIENTS_MAX 64
#define KIT_UDP_WINDOW 96 /* small datagrams; the default queue of a socket holds more than 200 */

struct kit_udp_options {
    uint16_t port;
    const char *hosts[KIT_UDP_HOSTS_MAX]; /* addresses to ask; client number i asks number i, and so on round */
    unsigned n_clients;                   /* each has a socket, and so a port, of its own; 0: one for each host */
    unsigned total;                       /* most datagrams of all runs */
    unsigned window;                      /* most under way; 0: KIT_UDP_WINDOW */
};

struct kit_udp_client {
    sockbroker_socket sock;
    bool is_ipv6;
    char asked[SOCKBROKER_ADDR_TEXT_MAX]; /* where its answers come from: address and port */
};

struct kit_udp {
    struct kit_udp_options options;
    struct kit_udp_client clients[KIT_UDP_CLIENTS_MAX];
    struct kit_udp_number *numbers; /* what became of each */
    unsigned n_sendings;            /* repetitions count */
    unsigned last_answered;         /* the sending that it was */
    unsigned n_sent;                /* numbers; a repetition is none */
    unsigned n_answered;
    unsigned n_repeated;
    unsigned n_ipv4, n_ipv6; /* of those answered */
};

void kit_udp_open(struct kit_udp *u, const struct kit_udp_options *options);
/* Ends the test when answers are still due, or one is there that nobody expects. */
void kit_udp_close(struct kit_udp *u);

/* Sends n more, no matter who listens; at most a window may be under way. */
void kit_udp_send(struct kit_udp *u, unsigned n);

/* Until every answer is there. */
void kit_udp_collect(struct kit_udp *u);

/* Until the last one that was sent has its answer. */
void kit_udp_collect_last(struct kit_udp *u);

/* n more, and all answers, with a full window all the time. */
void kit_udp_run(struct kit_udp *u, unsigned n);

/* Sends again what is taken for lost, because the answer to a later sending is there: for one worker on one socket, which
 * answers in order. Each of these may be answered twice. Returns how many. */
unsigned kit_udp_repeat_lost(struct kit_udp *u);

#endif
