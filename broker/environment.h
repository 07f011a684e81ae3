/* environment.h: what a worker that the broker starts finds in its environment.
 *
 * The broker's own, without what is between the broker and its service manager (NOTIFY_SOCKET, WATCHDOG_*, LISTEN_*, FDSTORE);
 * USER, LOGNAME and HOME of another user; the variables of its group; SOCKBROKER_DIR, _ENDPOINT, _NAME and _GENERATION. What
 * comes later replaces what came before.
 */
#ifndef SB_BROKER_ENVIRONMENT_H
#define SB_BROKER_ENVIRONMENT_H

#include "broker/broker.h"
#include "broker/group.h"

/* Every text NAME=VALUE; clear it with sb_text_list_clear(). OK, NO_MEMORY (nothing to clear). */
sockbroker_status sb_environment_make(const struct sb_broker *b, const struct sb_slot *slot, struct sb_text_list *list_out);

#endif
