/* shard_guard.h: how the packets of shard_probe.h are dropped by the socket they reach, and counted by it, so that neither the
 * worker nor anybody else sees them.
 *
 * TCP: they are sent with a TTL of 1, and for a while the sockets want 2 (IP_MINTTL, IPV6_MINHOPCOUNT: RFC 5082); a
 * client's packets arrive with more, unless their TTL was about to run out. UDP has no such option; there a packet filter drops
 * them by their source. For TCP a filter needs CAP_NET_ADMIN (seen on Linux 6.18.44).
 */
#ifndef SB_BROKER_SHARD_GUARD_H
#define SB_BROKER_SHARD_GUARD_H

#include "broker/shard_group.h"

#define SB_SHARD_PROBE_TTL 1

struct sb_steer_probes;

struct sb_shard_guard { /* what was there before */
    int min_ttl[SB_STEER_SLOTS_MAX];
    int min_hops[SB_STEER_SLOTS_MAX];
};

/* From here on probes are dropped: all of them (TCP), or those that are expected (UDP). Where a socket does not let us, its
 * count does not grow. */
void sb_shard_guard_open(const struct sb_shard_group *g, struct sb_shard_guard *guard_out);
void sb_shard_guard_expect(const struct sb_shard_group *g, const struct sb_steer_probes *probes);

/* Puts the options back; a packet filter that was there before is gone. */
void sb_shard_guard_close(const struct sb_shard_group *g, const struct sb_shard_guard *guard);

/* How many packets the socket has dropped in its life, for whatever reason; wraps. */
uint32_t sb_shard_guard_drops(sockbroker_socket sock);

#endif
