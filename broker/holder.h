/* holder.h: which workers have which of an endpoint's own sockets: to name who may have done something to one, and to know
 * whose slot it is.
 */
#ifndef SB_BROKER_HOLDER_H
#define SB_BROKER_HOLDER_H

#include <stddef.h>

#include "broker/broker.h"

struct sb_listener;
struct sb_session;

struct sb_holder {
    struct sb_session *session;
    struct sb_listener *listener;
    bool has_it;                                   /* fetched, not only granted */
    struct sb_holder *prev, *next;                 /* of the listener */
    struct sb_holder *session_prev, *session_next; /* of the session */
};

/* Once for each pair; again is OK. OK, NO_MEMORY. */
sockbroker_status sb_holder_add(struct sb_listener *l, struct sb_session *s);

/* NULL when it is none. */
struct sb_holder *sb_holder_find(struct sb_listener *l, const struct sb_session *s);

/* It never came for it. */
void sb_holder_remove(struct sb_holder *h);

/* The worker has ended, or the socket goes away. */
void sb_holders_forget_session(struct sb_session *s);
void sb_holders_forget_listener(struct sb_listener *l);

/* "web1", "one of web1, web2 ...", or who had it last, "web1, gone now"; "nobody". Returns out. */
const char *sb_holders_name(const struct sb_listener *l, char *out, size_t out_size);

#endif
