/* shard_probe.h: which position each socket of a group has in the kernel, found out by trying.
 *
 * The broker sends packets to the group itself, a SYN or an empty datagram from a port of its own for each position, and the
 * program sends the one for position k to position k. There the socket drops it (shard_guard.h) and counts it
 * (SO_MEMINFO): whose count grows has the position. So neither a worker nor a client sees anything of it. Everybody else
 * goes on being steered by the plan. Noise (other drops of a socket at the same time) shows in that two passes differ.
 */
#ifndef SB_BROKER_SHARD_PROBE_H
#define SB_BROKER_SHARD_PROBE_H

#include "broker/shard_group.h"

struct sb_steer_probes;

/* positions_out: of each slot, NOWHERE when it is not found in the group. The program that runs afterwards is one with probes
 * that nobody sends any more: attach the ordinary one. OK; AGAIN: too much noise, or no packet arrives; others from the system.
 */
sockbroker_status sb_shard_probe(const struct sb_shard_group *g, const struct sb_steer_plan *plan, uint16_t *positions_out,
                                 struct sockbroker_error *error_out);

/* Attaches a program to the group, through a socket that is in it. probes may be NULL. OK; CLOSED: no socket is in it. */
sockbroker_status sb_shard_attach(const struct sb_shard_group *g, const struct sb_steer_plan *plan,
                                  const struct sb_steer_probes *probes, struct sockbroker_error *error_out);

/* Attaches it through this socket, which is on. False when the kernel says that it is in no group at all. */
bool sb_shard_attach_through(const struct sb_shard_group *g, size_t slot, const struct sb_steer_plan *plan);

#endif
