/* supervise.h: the groups of this broker: their processes are started and buried here, their sessions admitted and drained.
 *
 * A worker belongs to a slot when its process is the one that the broker started for it, or in the group that this one leads: a
 * shell may stand between them. When the process that the broker started ends, what is left of its group is killed.
 */
#ifndef SB_BROKER_SUPERVISE_H
#define SB_BROKER_SUPERVISE_H

#include "broker/broker.h"
#include "broker/group.h"
#include "proto/wire_takeover.h"

struct sb_session;

/* OK, NO_MEMORY. */
sockbroker_status sb_supervise_open(struct sb_broker *b, struct sockbroker_error *error_out);

/* Once workers find the broker: starts the groups of the configuration, at once or when those of a broker that crashed had the
 * time to come back. */
void sb_supervise_start(struct sb_broker *b);

/* Kills what is left, and waits for its end. NULL supervisor is allowed. */
void sb_supervise_close(struct sb_broker *b);

void sb_supervise_tick(struct sb_broker *b, uint64_t now_ms);

/* ---- sessions ---- */

/* It has been made: finds its slot. */
void sb_supervise_attached(struct sb_session *s);
bool sb_supervise_is_on_standby(const struct sb_session *s);
void sb_supervise_ready(struct sb_session *s);
/* By the command line. */
void sb_supervise_drained(struct sb_session *s);

/* ---- commands ---- */

/* New generations of the groups; the call is answered when all of them serve or have failed. */
void sb_supervise_reload(struct sb_broker *b, const struct sb_reload *reload, struct sb_call *call);
void sb_supervise_scale(struct sb_broker *b, const struct sb_scale *scale, struct sb_call *call);

/* The configuration was read again: groups that are new start, those that are gone leave, the others get a new generation. */
void sb_supervise_apply(struct sb_broker *b, const struct sb_config *config);

/* Are generations being replaced? If so, and `again`, the broker reloads anew when that is over. */
bool sb_supervise_is_rolling(struct sb_broker *b, bool again);

/* Workers of a broker that crashed are waited for; without their places they would not end with this one. True: the broker
 * stops when they have these. Asked again it does not hold, and those that are there have places. */
bool sb_supervise_holds_stop(struct sb_broker *b);

/* The broker will stop: nobody is started any more. */
void sb_supervise_rest(struct sb_broker *b);

/* The broker stops: workers drain (their time counts from since_ms) and end. True when none is left. */
bool sb_supervise_stop(struct sb_broker *b, uint64_t since_ms, uint64_t now_ms);

/* ---- taking over ---- */

/* What the broker before had, in this order. handle: of the slot's process, lent. OK, NO_MEMORY, NO_DESCRIPTORS, SYSTEM; then
 * nothing of it all may be used. */
sockbroker_status sb_supervise_restore_group(struct sb_broker *b, const struct sb_takeover_group *record,
                                             struct sb_group **group_out);
sockbroker_status sb_supervise_restore_generation(struct sb_group *g, const struct sb_takeover_generation *record,
                                                  struct sb_generation **generation_out);
sockbroker_status sb_supervise_restore_slot(struct sb_generation *generation, const struct sb_takeover_slot *record,
                                            sockbroker_socket handle);

/* ---- status ---- */

void sb_supervise_fill(struct sb_broker *b, const struct sb_groups_request *request, struct sb_groups_page *page);

#endif
