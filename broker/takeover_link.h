/* takeover_link.h: how the messages of a takeover (proto/wire_takeover.h) travel, and how the new broker is started.
 */
#ifndef SB_BROKER_TAKEOVER_LINK_H
#define SB_BROKER_TAKEOVER_LINK_H

#include "proto/peer.h"
#include "proto/wire_takeover.h"

/* In the environment of the new one: the number of its end of the pair. */
#define SB_TAKEOVER_VARIABLE "SOCKBROKER_TAKEOVER"

/* One packet with the descriptors that belong to it (lent; as many as sb_takeover_descriptors() says). Waits for room until
 * until_ms (monotonic; 0: not at all).
 * OK, TIMEOUT, CLOSED, INVALID (it breaks its own rules), and the system's failures. */
sockbroker_status sb_takeover_send(sockbroker_socket channel, const struct sb_takeover *message, const sockbroker_socket *socks,
                                   uint64_t until_ms);

/* The next packet. socks_out: SB_TAKEOVER_DESCRIPTORS_MAX, those that did not come are NONE; yours, close-on-exec.
 * OK, TIMEOUT, CLOSED, BAD_MESSAGE, NO_DESCRIPTORS, and the system's failures. */
sockbroker_status sb_takeover_receive(sockbroker_socket channel, uint64_t until_ms, struct sb_takeover *message_out,
                                      sockbroker_socket *socks_out, struct sockbroker_error *error_out);

void sb_takeover_close_socks(sockbroker_socket *socks);

/* The pair; both ends close-on-exec. */
sockbroker_status sb_takeover_open_pair(sockbroker_socket ends_out[2]);

/* The other process as the kernel knows it, and whether it may do this: the same user. OK, CLOSED, REFUSED. */
sockbroker_status sb_takeover_peer(sockbroker_socket channel, struct sb_peer *peer_out);

/* The end that was left in the environment, which forgets it; NONE when there is none. From here on this process does not die
 * with the one that started it. */
sockbroker_socket sb_takeover_inherited_end(void);

#define SB_BINARY_ROOM (SB_BINARY_MAX + 1)

/* The file that this program was started from, as its path leads now: to another one when it was replaced. */
sockbroker_status sb_takeover_own_binary(char path_out[SB_BINARY_ROOM], struct sockbroker_error *error_out);

/* Starts binary with args (args[0] is its first argument; ends with NULL), our environment and our standard input and outputs,
 * the end (lent), and no other descriptor. dies_with_us: until it calls sb_takeover_inherited_end().
 * peer_out.handle is yours. OK; NOT_FOUND, PERMISSION and others, with error. */
sockbroker_status sb_takeover_spawn(const char *binary, char *const *args, sockbroker_socket end, bool dies_with_us,
                                    struct sb_peer *peer_out, struct sockbroker_error *error_out);

/* Waits at most wait_ms for its end. True when it has ended. */
bool sb_takeover_wait_end(const struct sb_peer *peer, uint32_t wait_ms);

/* Kills what sb_takeover_spawn() has started unless it ends by itself within wait_ms, and says how it ended: "ended with exit
 * code 1". Returns text_out. */
const char *sb_takeover_reap(const struct sb_peer *peer, uint32_t wait_ms, char *text_out, size_t text_size);

#endif
