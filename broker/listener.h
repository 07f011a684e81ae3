/* listener.h: one listening socket of an endpoint: accepts while there is room, rests when the system is short of
 * descriptors or memory, and mends itself when somebody shut the socket down.
 */
#ifndef SB_BROKER_LISTENER_H
#define SB_BROKER_LISTENER_H

#include "broker/endpoint.h"

struct sb_listener {
    struct sb_endpoint *endpoint;
    sockbroker_socket sock;
    struct sockbroker_addr addr; /* as bound */
    bool dual;
    bool wildcard;           /* the local address of a connection must be asked for */
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

/* Ends a rest whose time has come; repairs a socket that does not listen any more. */
void sb_listener_tick(struct sb_listener *l, uint64_t now_ms);

#endif
