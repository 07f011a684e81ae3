/* fault.h: what the tests of faults need beyond kit.h. Everything here ends the test when it goes wrong itself. */
#ifndef SB_TESTS_SUPPORT_FAULT_H
#define SB_TESTS_SUPPORT_FAULT_H

#include "tests/support/fault_raw.h"
#include "tests/support/kit.h"

#ifdef SB_FAILPOINTS
#define fault_need_failpoints() ((void)0)
#else
#define fault_need_failpoints() skip()
#endif

/* Sanitizers slow everything down; for the few checks that have a number of their own. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FAULT_SLOWNESS 5
#else
#define FAULT_SLOWNESS 1
#endif

/* Processor time a process has used so far, all threads. */
double fault_cpu_ms(int pid);

/* Ends the test when the process uses more than `most` (times FAULT_SLOWNESS) of one processor while ms pass. */
void fault_check_idle(int pid, unsigned ms, double most);

/* The last words of a process: waits for its end, asserts 0, frees it, and checks that it said the text. */
void fault_worker_said(struct kit_process *p, const char *text);

/* ---- raw ---- */

/* A raw worker inside the test, ready. */
void fault_raw_start(struct fault_raw *r, struct kit_broker *b, const char *name, unsigned window);

/* Another process, of that user (NULL: ours), that shows the token: says "hello gave NAME". */
struct kit_process *fault_show_token(struct kit_broker *b, const struct sb_hello *hello, const char *user);
/* One that asks for the drain of a worker: says "drain gave NAME". */
struct kit_process *fault_ask_drain(struct kit_broker *b, const char *worker, const char *user);

/* Two digits for each byte, and a NUL. */
void fault_write_hex(const uint8_t *bytes, size_t len, char *text_out);

/* POSIX alone, as the next two. tests/support/fault_raw_worker.c, attached and ready for orders. */
struct kit_process *fault_worker_start(struct kit_broker *b, const char *name, unsigned window);
/* With any arguments after DIR, up to the first NULL; waits for nothing. */
struct kit_process *fault_worker_launch(struct kit_broker *b, const char *const *args);
/* The next packet of a raw worker inside the test, which must come. */
uint64_t fault_raw_must_take(struct fault_raw *r, sockbroker_socket *sock_out);

/* ---- connections ---- */

/* The client sees the end: true when it is a reset, false when it is an orderly one. Closes it. Ends the test when bytes come.
 */
bool fault_ends_reset(sockbroker_socket *sock);
/* n clients, all connected. */
void fault_connect_many(uint16_t port, sockbroker_socket *socks, unsigned n);
/* Each gets its one answer; closes them. Returns how many worker `name` gave. */
unsigned fault_answers_by(sockbroker_socket *socks, unsigned n, const char *name);
/* Everything works: n connections, all answered. */
void fault_check_serves(struct kit_broker *b, unsigned n);

/* One worker, ready; and its end and the broker's, with nothing left. */
struct kit_process *fault_start_worker(struct kit_broker *b);
void fault_finish(struct kit_broker *b, struct kit_process *w);
/* Does a client that comes from there (NULL: anywhere) get its answer? */
bool fault_is_served(struct kit_broker *b, const char *from, const char *to);

/* ---- waits ---- */

void fault_wait_unacked(struct kit_broker *b, const char *worker, uint64_t n);
void fault_wait_held(struct kit_broker *b, uint64_t n);
/* Connections the broker has descriptors of. */
void fault_wait_connections(struct kit_broker *b, uint64_t n);
struct sb_broker_status fault_broker_status(struct kit_broker *b);

/* ---- the control channel, byte by byte: fault_ipc.c ---- */

/* A connection to the control socket or pipe, on which nothing has been said. */
sockbroker_socket fault_call(struct kit_broker *b);
void fault_hang_up(sockbroker_socket *line);
/* All of it; false when the broker has closed. */
bool fault_say(sockbroker_socket line, const void *bytes, size_t len);
/* What comes next: how many bytes; 0: the end; -1: nothing within ms. */
long fault_hear(sockbroker_socket line, void *bytes, size_t room, unsigned ms);
/* Ends the test when the broker is silent; false at the end. */
bool fault_hear_all(sockbroker_socket line, uint8_t *buf, size_t len);
/* Waits for the broker to close it; what comes before is dropped. Hangs up. False when it stays open for ms. */
bool fault_is_closed(sockbroker_socket *line, unsigned ms);

/* How often a test may call and leave at once. */
extern const unsigned fault_n_visits;

#define FAULT_SP_GREETING 8
extern const uint8_t fault_sp_req[FAULT_SP_GREETING]; /* what an nng REQ says first */

/* A call with both greetings exchanged: frames may follow. */
sockbroker_socket fault_ipc_open(struct kit_broker *b);
/* The head of a frame, whatever its body. Returns 9. */
size_t fault_ipc_head(uint64_t len, uint8_t out[9]);
/* A whole frame with a request: an id that nng takes, then the bytes. False when the broker has closed. */
bool fault_ipc_send(sockbroker_socket line, const void *body, size_t len);
/* The reply's protobuf bytes. False at the end of the stream. */
bool fault_ipc_receive(sockbroker_socket line, uint8_t *buf, size_t room, size_t *len_out);

/* POSIX alone, as what follows. A connected AF_UNIX socket: file is "control" (stream) or "handoff" (seqpacket). */
int fault_knock(struct kit_broker *b, const char *file);

/* ---- a network of its own ---- */

/* The test's thread, and what it starts from here on, moves to a new network with lo up; skip()s when that is not allowed.
 * leave: back. In between, sysctls of the network are its own. */
int fault_net_enter(void);
void fault_net_leave(int *before);
void fault_sysctl(const char *path, const char *value);

#endif
