/* endpoint.h: a named place where the broker listens; its queue of connections that wait for a worker; its workers.
 */
#ifndef SB_BROKER_ENDPOINT_H
#define SB_BROKER_ENDPOINT_H

#include "broker/broker.h"
#include "broker/selector.h"
#include "proto/stamp.h"

struct sb_listener;

enum sb_endpoint_state {
    SB_ENDPOINT_LISTENING,
    SB_ENDPOINT_CLOSING, /* removed by a reload: nothing new; what it holds is still handed over, then it goes */
};

/* What a reload will make of it. */
struct sb_endpoint_change {
    struct sb_endpoint_config config;
    bool moves; /* other listening sockets; never those of a shard */
    struct sb_listener *listeners;
};

struct sb_endpoint {
    struct sb_broker *broker;
    struct sb_endpoint_config config;
    enum sb_endpoint_state state;
    struct sb_listener *listeners;     /* list; of a shard: those of all slots */
    struct sb_shard *shards;           /* list: mode = shard, one for each address */
    struct sb_endpoint_change *change; /* between prepare and commit */
    struct sb_selector selector;
    uint32_t n_ready;     /* workers that could take something, now or when their window opens */
    struct sb_conn *held; /* the oldest first */
    uint32_t n_conns;     /* held and leased */
    uint64_t closing_ms;  /* since when it is CLOSING */
    bool paused;          /* nothing is handed over, nothing refused */
    uint64_t resumed_ms;  /* 0: it was never paused */
    struct sb_endpoint_counters counters;
    struct sb_stamp stamps[2]; /* for IPv4 and for IPv6 clients */
    struct sb_endpoint *prev, *next;
};

/* Opens all its listening sockets or none; the same port everywhere for port 0. config is copied. A socket that the broker has
 * already, in exactly this form and for an endpoint that `next`, the configuration to come, does not want it for, is taken over
 * with its queue. */
sockbroker_status sb_endpoint_open(struct sb_broker *b, const struct sb_endpoint_config *config, const struct sb_config *next,
                                   struct sb_endpoint **endpoint_out, struct sockbroker_error *error_out);

/* One that does not listen any more, for what an earlier broker has left to hand over. It is appended to the broker's. */
sockbroker_status sb_endpoint_create_closing(struct sb_broker *b, const struct sb_endpoint_config *config,
                                             struct sb_endpoint **endpoint_out);

/* Takes over a changed configuration in two steps, so that a reload happens whole or not at all: prepare opens the listening
 * sockets that are new, commit cannot fail, cancel forgets. Sockets that stay keep their queue. commit: true when they changed.
 */
sockbroker_status sb_endpoint_prepare(struct sb_endpoint *e, const struct sb_endpoint_config *config,
                                      const struct sb_config *next, struct sockbroker_error *error_out);
bool sb_endpoint_commit(struct sb_endpoint *e);
void sb_endpoint_cancel(struct sb_endpoint *e);

/* Takes what the kernel has queued, then stops listening. */
void sb_endpoint_close_listeners(struct sb_endpoint *e);

/* Frees an endpoint without workers and leases; connections that still wait are reset and counted. */
void sb_endpoint_destroy(struct sb_endpoint *e);

/* One that was opened and never listened for anybody. */
void sb_endpoint_destroy_unused(struct sb_endpoint *e);

/* By command. One that is CLOSING goes on. */
void sb_endpoint_set_paused(struct sb_endpoint *e, bool paused);
bool sb_endpoint_is_paused(const struct sb_endpoint *e);

/* Does overload = refuse hold now? Not while it is paused, and for hold_ms after: what came meanwhile is its own doing. */
bool sb_endpoint_refuses(const struct sb_endpoint *e);

/* The one that listens; one that is CLOSING has given its name up. */
struct sb_endpoint *sb_endpoint_find(struct sb_broker *b, const char *name);
/* That one, else one on its way out. */
struct sb_endpoint *sb_endpoint_find_any(struct sb_broker *b, const char *name);

/* Is there room for one more: a free worker, or a place to wait? If not, the kernel's queue keeps it. */
bool sb_endpoint_has_room(const struct sb_endpoint *e);

/* May this client use the endpoint? addr is plain IPv4 where it was mapped. */
bool sb_endpoint_admits_client(const struct sb_endpoint *e, const struct sockbroker_addr *addr);

/* May this user's process serve the endpoint? */
bool sb_endpoint_admits_worker(const struct sb_endpoint *e, uint32_t uid, uint32_t gid);

/* "listening", "no-worker", "paused", "closing" */
const char *sb_endpoint_state_name(const struct sb_endpoint *e);

#endif
