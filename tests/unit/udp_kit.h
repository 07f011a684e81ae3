/* udp_kit.h: what the tests of udp.h need: a server made of the library, and clients that are plain sockets. Nothing here waits
 * for time; what goes wrong ends the test, or the child it is in. */
#ifndef SB_TESTS_UDP_KIT_H
#define SB_TESTS_UDP_KIT_H

#include "sockbroker/addr.h"
#include "sockbroker/udp.h"
#include "tests/unit/unit.h"

#define UDP_BATCH SOCKBROKER_UDP_BATCH_MAX
#define UDP_ROOM 64

struct udp_server {
    sockbroker_socket sock;
    struct sockbroker_udp udp;
    struct sockbroker_datagram batch[UDP_BATCH];
    char bytes[UDP_BATCH][UDP_ROOM];
};

void udp_start(struct udp_server *s, const char *at, bool dual);
void udp_stop(struct udp_server *s);
/* Takes at most n of what is there; the first must come. Returns how many came, in s->batch. */
size_t udp_take(struct udp_server *s, size_t n);
/* Sends the first n of s->batch as they are; each must go. */
void udp_answer(struct udp_server *s, size_t n);

struct sockbroker_addr udp_address(const char *ip, uint16_t port);
bool udp_is_ip(const struct sockbroker_addr *a, const char *ip); /* and says what it is when not */
uint16_t udp_port(sockbroker_socket sock);
uint16_t udp_closed_port(const char *ip); /* on loopback, of the family of ip; nobody is there */

sockbroker_socket udp_client(const char *ip); /* of the family of ip, bound to nothing */
void udp_client_send(sockbroker_socket client, const char *ip, uint16_t port, const char *text);
/* Waits for an answer with this text. Returns where it came from. */
struct sockbroker_addr udp_client_hear(sockbroker_socket client, const char *text);
/* Nothing is there; loopback delivers before send() returns. */
bool udp_client_is_left_alone(sockbroker_socket client);

/* ---- POSIX alone ---- */

/* A question to ip, which is on lo, and its answer: everything that the library tells of it must be right, and the answer come
 * from ip. */
void udp_ask(struct udp_server *s, const char *ip);
/* The same for the addresses that every machine has, on dual-stack, IPv6-only and IPv4 sockets. */
void udp_ask_everywhere(void);

#endif
