/* session.h: the broker's side of one attached worker: its life, its pair, the leases on their way to it.
 */
#ifndef SB_BROKER_SESSION_H
#define SB_BROKER_SESSION_H

#include <uthash.h>

#include "broker/broker.h"
#include "broker/selector.h"
#include "proto/peer.h"
#include "proto/ring.h"
#include "proto/wire_takeover.h"
#include "proto/xfer.h"

enum sb_session_state {
    SB_SESSION_ATTACHING, /* attached by control, has not taken its end of the pair or not parked yet */
    SB_SESSION_STANDBY,   /* ready, and gets nothing until the generation before it drains */
    SB_SESSION_READY,
    SB_SESSION_STUCK,  /* left connections unread; they were withdrawn; comes back when it answers the probe */
    SB_SESSION_SILENT, /* has not parked for three heartbeats; comes back when it does */
    SB_SESSION_DRAINING,
    SB_SESSION_ENDED, /* only waits for the loop to let go of its handles */
};

#define SB_ACKS_REMEMBERED SB_TAKEOVER_ACKED

struct sb_death;

struct sb_place {
    struct sb_endpoint *endpoint; /* NULL once it is gone */
    struct sb_member member;
};

struct sb_session {
    struct sb_broker *broker;
    enum sb_session_state state;
    struct sb_session_key key;
    uint8_t token[SB_SECRET_LEN];
    bool token_spent;
    char name[SOCKBROKER_NAME_MAX + 1];
    uint64_t generation;
    uint32_t weight;
    uint32_t window;
    uint32_t asked_window; /* 0: as its endpoints say */
    enum sb_carrier carrier;
    struct sb_peer peer; /* ids from the control channel; the handle once it has said Hello */

    sockbroker_socket end;                            /* ours of the pair; without one, peer.handle */
    sockbroker_socket worker_end;                     /* a duplicate of the worker's, to read back what it left */
    bool in_mailbox;                                  /* end is watched there */
    struct sb_session *expected_prev, *expected_next; /* in the mailbox, while it has leases to settle */
    struct sb_ring ring;                              /* how it settles them; if it did not ask for one, by packets alone */
    sockbroker_socket ring_memory;                    /* of the ring, for the next broker */
    bool uses_ring;                                   /* something has come by it */
    struct sb_death *death;                           /* of peer.handle */
    bool blocked;                                     /* the pair is full: wait until it is writable */
    uint64_t rest_until_ms;                           /* after a nack, or while the system is short of something */

    struct sb_place *places; /* one for each endpoint it serves */
    uint32_t n_places;
    struct sb_conn *leases; /* the oldest first */
    uint32_t n_unacked;
    uint64_t n_open; /* leased or acked, and not reported finished */
    uint64_t n_served;

    struct sb_holder *holdings; /* sockets of endpoints that it uses itself */
    struct sb_grant *grants;    /* under way to it or from it */
    uint32_t n_grants;

    uint64_t acked[SB_ACKS_REMEMBERED];
    uint32_t n_acked;
    uint64_t acked_ms;      /* when it last acked a connection */
    struct sb_call *parked; /* its Next */
    uint32_t told_caller;   /* the connection by which it parks */
    uint64_t heard_ms;      /* when it last parked */
    uint64_t attached_ms;
    uint64_t draining_ms; /* when it was told to finish */
    uint64_t n_told;      /* Tolds sent; after a loss, those that came */
    bool drain_told;
    bool stopping_told;
    bool kill_sent;
    bool has_left;  /* in order: its application gets nothing more of what it was told */
    uint64_t probe; /* number of the outstanding probe, 0 = none */

    struct sb_slot *slot; /* of the worker that the broker started, NULL of others */

    struct sb_session *prev, *next;
    UT_hash_handle by_id;
    UT_hash_handle by_name;
};

/* A session for a worker whose request was found good. OK, NO_MEMORY, SYSTEM. */
sockbroker_status sb_session_create(struct sb_broker *b, const struct sb_attach *attach, const struct sb_peer *ids,
                                    struct sb_session **session_out);

/* One that the broker before had, in the state in which it was. socks: as sb_takeover_descriptors() counts them; they move in
 * on OK. OK, INVALID (its id or name is there already), NO_MEMORY, SYSTEM. */
sockbroker_status sb_session_restore(struct sb_broker *b, const struct sb_takeover_session *record, sockbroker_socket *socks);

/* A lease of its, likewise: conn has its id already. */
void sb_session_restore_lease(struct sb_session *s, struct sb_conn *conn);

struct sb_session *sb_session_find(struct sb_broker *b, uint64_t id);
struct sb_session *sb_session_find_name(struct sb_broker *b, const char *name);

/* Gives it its pair. handle (a process handle) moves in on OK; worker_end_out is lent: send it on, do not close it. */
sockbroker_status sb_session_connect(struct sb_session *s, sockbroker_socket *handle, bool wants_ring,
                                     sockbroker_socket *worker_end_out);

/* The same on a system without pairs: all goes through messages, and what was told cannot be taken back. */
sockbroker_status sb_session_connect_unpaired(struct sb_session *s, sockbroker_socket *handle);
bool sb_session_has_pair(const struct sb_session *s);

/* Lease a connection to it. OK; or BUSY: not now, choose another (the session has noted why). The connection is the
 * caller's on any but OK. */
sockbroker_status sb_session_lease(struct sb_session *s, struct sb_member *m, struct sb_conn *conn);

/* Does any of its endpoints choose by open connections? */
bool sb_session_needs_fresh_counts(const struct sb_session *s);

/* Its pair has something: reports to read, or room again. */
void sb_session_heard(struct sb_session *s, bool writable);

/* Takes what is in its ring. True when there was something. */
bool sb_session_look(struct sb_session *s);

/* What became of a lease, as the worker says. Ids that are not this session's are counted and ignored. True when the lease
 * was this session's and the verdict took effect. */
bool sb_session_settle(struct sb_session *s, const struct sb_result *result);

/* It parks a Next; the one before is answered. n_told: how many Tolds have come, by its count; the others are told again. */
void sb_session_park(struct sb_session *s, uint64_t n_told, struct sb_call *call);

/* Answers the parked Next with whatever there is to say; a heartbeat if `always`. */
void sb_session_tell(struct sb_session *s, bool always);

/* On standby no more. */
void sb_session_admit(struct sb_session *s);

/* Nothing new from now on. Told once. */
void sb_session_drain(struct sb_session *s);

/* Reads back what it has not read; gives that to others. Returns how many. */
uint32_t sb_session_withdraw(struct sb_session *s);

/* Asks whether it reads. mark_stuck: and gives it nothing until it answers; without a pair, until it has taken what it has. */
void sb_session_probe(struct sb_session *s);
void sb_session_mark_stuck(struct sb_session *s);
void sb_session_mark_silent(struct sb_session *s);

/* Notes what changed (state, window, blocking) in the selectors of its endpoints. */
void sb_session_refresh(struct sb_session *s);

/* After the configuration of its endpoints changed. */
void sb_session_update_window(struct sb_session *s);

/* Its place at an endpoint, NULL when it does not serve it. */
struct sb_member *sb_session_member(struct sb_session *s, const struct sb_endpoint *e);

/* Takes it off an endpoint that goes away; one that serves nothing any more is drained. */
void sb_session_leave(struct sb_session *s, struct sb_endpoint *e);

/* The same when the selector could not take it in again. */
void sb_session_lose_place(struct sb_session *s, struct sb_endpoint *e);

/* The end, whatever the cause: reports are read, unread connections go to others, for the rest the proof decides. */
void sb_session_end(struct sb_session *s, const char *cause);

/* "attaching", "ready", ... */
const char *sb_session_state_name(const struct sb_session *s);

#endif
