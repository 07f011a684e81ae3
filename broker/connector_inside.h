/* connector_inside.h: what the files connector*.c share, and nobody else needs. */
#ifndef SB_BROKER_CONNECTOR_INSIDE_H
#define SB_BROKER_CONNECTOR_INSIDE_H

#include "broker/connector.h"

/* The socket of one attempt. */
struct sb_runner {
    uv_poll_t poll;
    sockbroker_socket sock;
    struct sb_connect *connect;
};

enum { SB_FOR_IPV6, SB_FOR_IPV4, SB_FAMILIES };

struct sb_connect {
    struct sb_connector *connector;
    struct sb_connect_request request;
    struct sb_connect_calls calls;
    struct sb_race race;
    uint64_t started_ms;
    uv_timer_t timer;
    unsigned n_handles;                     /* the timer and the polls that the loop still has; the memory goes with the last */
    struct sb_runner runners[SB_RACE_MAX];  /* by number of the attempt */
    struct sb_lookup *lookups[SB_FAMILIES]; /* NULL: none, or it has answered */
    struct sb_lookup_answer answers[SB_FAMILIES];
    bool has_answer[SB_FAMILIES];
    struct sockbroker_addr local, peer; /* of the winner */
    struct sb_connect *prev, *next;
};

static inline uint64_t sb_connect_now_ms(const struct sb_connect *c)
{
    return c->connector->now_ms();
}

/* Addresses have come: into the race with those that are allowed and can be reached, the others are turned away. Their ports do
 * not count. */
void sb_connect_take_in(struct sb_connect *c, const struct sockbroker_addr *addresses, size_t n);

#endif
