/* listener.h: one listening socket of an endpoint: accepts while there is room, rests when the system is short of
 * descriptors or memory, and mends itself when somebody shut the socket down.
 */
#ifndef SB_BROKER_LISTENER_H
#define SB_BROKER_LISTENER_H

#include "broker/endpoint.h"
#include "broker/guard.h"

struct sb_listener {
    struct sb_endpoint *endpoint;
    sockbroker_socket sock;    /* lent by the shard when it has one */
    struct sb_shard *shard;    /* mode = shard: the group it belongs to */
    size_t slot;               /* there */
    struct sb_holder *holders; /* workers that use it themselves */
    char last_holder[SOCKBROKER_NAME_MAX + 1];
    struct sb_guard guard;       /* how it was, for those that are shared */
    bool is_asked;               /* mode = shard: whether its worker is there */
    uint64_t queued_since_ms;    /* mode = shard: its queue has not been empty since; 0: it is */
    struct sockbroker_addr addr; /* as bound */
    bool dual;
    bool wildcard;           /* the local address of a connection must be asked for */
    bool is_datagram;        /* never accepts; the loop does not know it, for its socket may change */
    bool reading;            /* registered with the loop */
    unsigned batch;          /* how many to accept before looking at anything else */
    uint32_t pause_ms;       /* 0, or how long the last rest was */
    uint64_t resume_at_ms;   /* 0, or when it ends */
    uint64_t quiet_until_ms; /* no word about the next rests before */
    uv_poll_t poll;
    struct sb_listener *prev, *next;
};

/* sock moves in. OK, NO_MEMORY, SYSTEM. */
sockbroker_status sb_listener_create(struct sb_endpoint *e, sockbroker_socket *sock, const struct sockbroker_addr *addr,
                                     bool dual, struct sb_listener **listener_out);

/* Accepts what waits (`most` at the most), then closes. The memory goes when the loop lets go of it. */
void sb_listener_close(struct sb_listener *l, unsigned most);

/* Reads when its endpoint has room, else leaves it to the kernel's queue. */
void sb_listener_refresh(struct sb_listener *l);

/* Until the next refresh. Before its descriptor closes while others have the socket: epoll would go on telling of it. */
void sb_listener_pause(struct sb_listener *l);

/* Puts back what a worker has changed (guard.h), counts it and says who may have been it. */
void sb_listener_restore(struct sb_listener *l);

/* Ends a rest whose time has come; keeps a shared socket as it was. One that does not listen any more listens again, or
 * another one takes its place in the endpoint's list. */
void sb_listener_tick(struct sb_listener *l, uint64_t now_ms);

/* Puts back the options that a worker may have changed, and names who has the socket. */
void sb_listener_restore(struct sb_listener *l);

#endif
