/* shard_member.h: one socket of a shard group: how it is opened, whether it is still what it was, how that is mended. */
#ifndef SB_BROKER_SHARD_MEMBER_H
#define SB_BROKER_SHARD_MEMBER_H

#include "broker/shard_group.h"

/* The first of a group gets the address for itself and lets others in afterwards. addr_out: as bound. */
sockbroker_status sb_shard_member_found(const struct sb_shard_request *as, sockbroker_socket *sock_out,
                                        struct sockbroker_addr *addr_out, enum sb_listen_note *note_out,
                                        struct sockbroker_error *error_out);

/* A further one; as->addr has the port. */
sockbroker_status sb_shard_member_join(const struct sb_shard_request *as, sockbroker_socket *sock_out,
                                       struct sockbroker_error *error_out);

/* Where this machine itself reaches the group: its address, or the loopback address for a wildcard. */
void sb_shard_member_reach(const struct sb_shard_request *as, struct sockbroker_addr *addr_out);

/* Does it still listen (TCP); is it neither shut down nor connected nor unbound (UDP)? */
bool sb_shard_member_is_on(const struct sb_shard_request *as, sockbroker_socket sock);

/* Sets again what anybody who holds the socket may have changed. Errors show later, where they matter. */
void sb_shard_member_reassert(const struct sb_shard_request *as, sockbroker_socket sock);

/* TCP: listens again. False when that is not possible. */
bool sb_shard_member_revive(const struct sb_shard_request *as, sockbroker_socket sock);

/* UDP: makes a socket that somebody else may hold for long harmless, so that it neither gets what is meant for the group nor
 * has new members join it instead of the group. To be done with all such sockets before any is replaced. */
void sb_shard_member_dismiss(const struct sb_shard_request *as, sockbroker_socket sock);

#endif
