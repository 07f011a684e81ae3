/* rollover.h: from one generation of a group to the next.
 *
 * The new generation starts beside the one that serves, and its workers wait on standby. When all of them are ready it serves
 * from that moment on, and the old one drains. If one of them ends before that, or is not ready in time, the new generation
 * leaves and the old one goes on as if nothing had happened.
 */
#ifndef SB_BROKER_ROLLOVER_H
#define SB_BROKER_ROLLOVER_H

#include "broker/group.h"

/* config (NULL: as the one that serves) is copied. OK: ops->rolled tells how it ended, maybe before this returns. BUSY: one is
 * under way already, or the group leaves; NO_MEMORY. */
sockbroker_status sb_rollover_begin(struct sb_group *g, const struct sb_group_config *config, uint64_t now_ms,
                                    struct sockbroker_error *error_out);

/* A slot of the starting generation became ready. */
void sb_rollover_check(struct sb_group *g, uint64_t now_ms);

/* The starting generation cannot be had. */
void sb_rollover_fail(struct sb_group *g, sockbroker_status status, const char *text, uint64_t now_ms);

#endif
