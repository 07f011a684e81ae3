/* udp_endpoints_kit.h: what the tests of UDP endpoints have in common; the sample is their worker. udp_endpoints_kit.c; whom to
 * ask is in udp_hosts_posix.c and udp_hosts_win32.c. */
#ifndef SB_TESTS_UDP_ENDPOINTS_KIT_H
#define SB_TESTS_UDP_ENDPOINTS_KIT_H

#include "tests/support/kit_udp.h"

#define KILLED 137

/* Addresses of this machine, one of them IPv6: an answer must come from the one that was asked. */
extern const char *const udp_hosts[];
extern const unsigned udp_n_hosts;
/* Datagrams: under way at a time, and in all. */
extern const unsigned udp_window, udp_many;

struct kit_broker *udp_start(const char *endpoint);
struct kit_process *udp_launch_echo(struct kit_broker *b, const char *name);
void udp_wait_granted(struct kit_broker *b, uint64_t n);
/* With all its sockets. */
struct kit_process *udp_start_echo(struct kit_broker *b, const char *name, uint64_t n_sockets);
/* Asks it to end: exit code 0. */
void udp_stop_echo(struct kit_process *w);
void udp_drain(struct kit_broker *b, const char *name);
/* Nothing is left of the workers, nothing had to be repaired. */
void udp_finish(struct kit_broker *b);

/* Clients for all hosts, the same number of each. */
void udp_open_clients(struct kit_udp *u, struct kit_broker *b, unsigned total);
void udp_run_all(struct kit_broker *b, unsigned total);

/* ---- what is promised of every kind of endpoint ---- */

/* Each of many datagrams, by so many workers. */
void udp_answer_all(const char *endpoint, unsigned n_workers);
/* The same of an endpoint of n sockets on one port. */
void udp_answer_on_many(const char *endpoint, unsigned n, unsigned n_slots);
/* Workers end in every way, and what came meanwhile waits for the next one. */
void udp_replace_workers(const char *endpoint);
/* The new one comes before the old one goes, and clients go on all the time. */
void udp_drain_under_load(const char *endpoint);

#endif
