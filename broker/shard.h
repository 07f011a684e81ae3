/* shard.h: an endpoint with mode = shard: a group of sockets for each of its addresses, one socket for each worker slot.
 *
 * A worker has the same slot in all groups. New clients are steered to the slots of workers that are ready; what is in the
 * queue of any other slot, and all there is when no worker is ready, the broker accepts itself and hands over or holds, as with
 * mode = handoff: so nothing in a dead worker's queue is lost.
 */
#ifndef SB_BROKER_SHARD_H
#define SB_BROKER_SHARD_H

#include "broker/endpoint.h"
#include "broker/shard_group.h"

struct sb_listener;

struct sb_shard {
    struct sb_endpoint *endpoint;
    struct sb_shard_group group;
    struct sb_listener *slots[SB_STEER_SLOTS_MAX];
    uint32_t weights[SB_STEER_SLOTS_MAX]; /* as steered now */
    uint64_t audit_at_ms;
    bool is_failing; /* the last repair was not the end of it: the next one waits for its time */
    struct sb_shard *prev, *next;
};

/* Opens the group of one address and makes its listeners, which are appended. request.addr.port 0: any; `addr_out` says where.
 * The shard is yours: close it after its listeners. */
sockbroker_status sb_shard_open(struct sb_endpoint *e, const struct sb_endpoint_config *config,
                                const struct sb_listen_request *request, struct sb_shard **shard_out,
                                enum sb_listen_note *note_out, struct sockbroker_error *error_out);

/* What waits in queues is reset: accept it before. */
void sb_shard_close(struct sb_shard *shard);

uint32_t sb_shard_n_addresses(const struct sb_endpoint *e);

/* This worker's listener at an address: the one it has, or in a free slot. OK, BUSY. */
sockbroker_status sb_shard_choose(struct sb_endpoint *e, const struct sb_session *s, uint32_t index,
                                  struct sb_listener **listener_out, struct sockbroker_error *error_out);

/* Is there a worker that accepts from it, or will? If not, the broker does. */
bool sb_shard_is_live(const struct sb_listener *l);

/* Workers came, went, or changed their state: steers anew. */
void sb_shard_update(struct sb_endpoint *e);

/* Its configuration changed: policy, backlog. */
void sb_shard_reconfigure(struct sb_endpoint *e);

/* Repairs what workers have done to their sockets; finds those that do not accept any more. */
void sb_shard_tick(struct sb_endpoint *e, uint64_t now_ms);

#endif
