/* session_inside.h: what the three files of a session (session.c, session_lease.c, session_told.c) need of each other. */
#ifndef SB_BROKER_SESSION_INSIDE_H
#define SB_BROKER_SESSION_INSIDE_H

#include "broker/session.h"

/* Keeps the counts of ready and attaching workers, and its places in the selectors, in step. */
void sb_session_set_state(struct sb_session *s, enum sb_session_state state);

/* The lease leaves the session; what becomes of the connection is the caller's to say. */
void sb_session_remove_lease(struct sb_session *s, struct sb_conn *c, bool stays_open);

/* Into the broker's lists. OK, NO_MEMORY. */
sockbroker_status sb_session_enter(struct sb_session *s);

/* Out of its endpoints, and freed: one that was not entered. */
void sb_session_discard(struct sb_session *s);

/* The loop tells when its process, s->peer.handle, ends. OK, NO_MEMORY. */
sockbroker_status sb_session_watch_death(struct sb_session *s);

/* A connection that cannot be given to it just now goes to others. */
void sb_session_take_back(struct sb_session *s, struct sb_conn *c, const char *cause);

/* OK: there may be more; AGAIN: that was all; anything else: the session cannot go on. */
sockbroker_status sb_session_read_reports(struct sb_session *s);

#endif
