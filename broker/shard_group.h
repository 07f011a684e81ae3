/* shard_group.h: a group of sockets on one address (SO_REUSEPORT), one for each worker slot, between which the kernel divides
 * new clients by a program of ours (steer.h).
 *
 * TCP or UDP. The group keeps every socket for ever; a worker gets another descriptor of its slot's. So what waits in a slot's
 * queue outlives the worker: the owner takes connections out of it (sb_shard_group_take_queue), datagrams wait for the
 * slot's next worker. A slot of weight 0 gets nothing new.
 *
 * What Linux does (6.18), and what follows:
 *  - A socket's position in the group is the order of listen() for TCP, of bind() for UDP. The first one may be opened without
 *    SO_REUSEPORT and get it later; so an address that is taken is an error here, not a place in somebody else's group.
 *  - A TCP socket that is shut down leaves the group, the last one takes its position, and its queue is reset (moved to
 *    others with net.ipv4.tcp_migrate_req=1). Listening again it comes last. A UDP socket that is connected leaves likewise,
 *    and never comes back; disconnected after that it may take every datagram of the group, and new sockets join it instead.
 *  - Whoever holds one of the sockets can do that, in any order, or replace the program. Which socket has which position
 *    can therefore not be known from its state, only be tried: shard_probe.h.
 *  - The program goes when the last socket leaves. Attached through one that is shut down it reaches nobody, and keeps
 *    that one from ever listening again.
 *  - A position behind the last socket: the kernel divides by its own hash of addresses and ports.
 *
 * For one thread at a time. Trying the positions takes about 1 ms for 8 slots, 10 ms for 64 and 150 ms for 256 (measured on 2
 * cores); steering anew 0.2 ms for 8 and 1.5 ms for 256.
 */
#ifndef SB_BROKER_SHARD_GROUP_H
#define SB_BROKER_SHARD_GROUP_H

#include "broker/accept.h"
#include "broker/steer.h"
#include "client-lib/listen.h"

#define SB_SHARD_NOWHERE UINT16_MAX

struct sb_shard_request {
    struct sockbroker_addr addr; /* port 0: any, the same for all */
    bool dual;                   /* [::] takes IPv4 too */
    enum sockbroker_socket_type type;
    uint32_t backlog;        /* of each TCP listener */
    uint32_t receive_buffer; /* of each UDP socket in bytes; 0: the system's default */
    size_t n_slots;          /* 1..SB_STEER_SLOTS_MAX */
};

struct sb_shard_group {
    struct sb_shard_request as; /* as it is: with the real address, family and number of slots */
    sockbroker_socket socks[SB_STEER_SLOTS_MAX];
    uint16_t positions[SB_STEER_SLOTS_MAX]; /* in the kernel's group; NOWHERE: not in it */
    bool unsure;                            /* a repair could not learn them: the next one tries again */
    enum sb_steer_policy policy;
    uint32_t weights[SB_STEER_SLOTS_MAX];
    size_t fallback;
};

/* Opens all or none: non-blocking, close-on-exec, dual-stack as listen.h has it. Until sb_shard_group_steer() slot 0 gets
 * everything. OK; ADDRESS_IN_USE, ADDRESS_NOT_AVAILABLE, PERMISSION, NO_DESCRIPTORS, NO_MEMORY, UNSUPPORTED and others, with
 * family and address in the error. */
sockbroker_status sb_shard_group_open(const struct sb_shard_request *request, struct sb_shard_group *group_out,
                                      enum sb_listen_note *note_out, struct sockbroker_error *error_out);

/* Puts a group together again whose sockets came from somebody else, request->n_slots of them: NONE where there is none, which
 * gets another socket. They move in. request->addr and dual are what the sockets have. The positions are learnt and the
 * program attached as by an audit; where that fails, the next repair tries again. */
void sb_shard_group_adopt(const struct sb_shard_request *request, const sockbroker_socket *socks, const struct sb_steering *how,
                          struct sb_shard_group *group_out);

/* Likewise for the process that takes over from one which still serves: all sockets are there, and nothing is done to them,
 * they go on as they were steered. Their positions are not known until a repair has learnt them, or somebody who knows has set
 * them.
 */
void sb_shard_group_join(const struct sb_shard_request *as, sockbroker_socket *socks, struct sb_shard_group *group_out);

/* Resets what still waits in the queues: take them over first. */
void sb_shard_group_close(struct sb_shard_group *g);

/* More slots, up to n_slots in all, with weight 0. All or none; results as of open. Repair before: their positions are
 * taken to be the next ones. */
sockbroker_status sb_shard_group_grow(struct sb_shard_group *g, size_t n_slots, struct sockbroker_error *error_out);

/* Who gets new clients from now on: replaced at once, none is lost or waits. how->n_slots is the group's. A slot that is
 * out of the group is left out until it is repaired. OK; CLOSED when no slot is in the group (repair it); NO_MEMORY (the
 * program is too large for net.core.optmem_max), SYSTEM. The program in force remains on failure. */
sockbroker_status sb_shard_group_steer(struct sb_shard_group *g, const struct sb_steering *how,
                                       struct sockbroker_error *error_out);

/* The lent socket, to hand to a worker. */
sockbroker_socket sb_shard_group_socket(const struct sb_shard_group *g, size_t slot);

/* False when somebody shut it down (TCP), or connected it (UDP). */
bool sb_shard_group_is_on(const struct sb_shard_group *g, size_t slot);

enum sb_shard_repaired {
    SB_SHARD_AS_IT_WAS = 0,
    SB_SHARD_LISTENS_AGAIN, /* the same socket: the worker goes on with what it has */
    SB_SHARD_REPLACED,      /* another socket: the worker has to be given it */
    SB_SHARD_LOST,          /* out of the group: the next repair puts another socket in its place; take its queue before */
};

/* Finds out which slots are not on, repairs them, learns the positions anew and steers as before. Nothing that waits in the
 * queues of the others is touched. repaired_out: for each slot. Costs a few system calls for each slot when all is well.
 *   audit  also looks for what cannot be seen: tries every position, sets the options of all sockets that a worker may have
 *          changed (backlog, SO_REUSEPORT, O_NONBLOCK) and attaches the program again
 * OK; else some slot is LOST, or the positions could not be learnt and the old ones stay in use (AGAIN: too much noise or no
 * way to the address). Meanwhile a slot of weight 0 may get clients: look into its queue too.
 * UDP: a packet filter (SO_ATTACH_FILTER) that a worker may have put on its socket is gone afterwards. */
sockbroker_status sb_shard_group_repair(struct sb_shard_group *g, enum sb_shard_repaired *repaired_out,
                                        struct sockbroker_error *error_out);
sockbroker_status sb_shard_group_audit(struct sb_shard_group *g, enum sb_shard_repaired *repaired_out,
                                       struct sockbroker_error *error_out);

struct sb_shard_taken {
    sockbroker_socket sock; /* yours */
    struct sockbroker_addr peer;
};

/* TCP: takes connections that wait in a slot's queue, as sb_accept() does. Never blocks, whatever the worker did to the
 * socket's flags, unless a live worker accepts from it at the same time and has made it blocking. EMPTY: that was all; OK:
 * `room` were taken, there may be more; else why it ended, os_code_out with it. n_out is filled in each case. */
enum sb_accept_result sb_shard_group_take_queue(struct sb_shard_group *g, size_t slot, bool blocking,
                                                struct sb_shard_taken *taken_out, size_t room, size_t *n_out, int *os_code_out);

#endif
