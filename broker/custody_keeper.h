/* custody_keeper.h: what the broker says to its keeper and hears from it, on every system.
 */
#ifndef SB_BROKER_CUSTODY_KEEPER_H
#define SB_BROKER_CUSTODY_KEEPER_H

#include "broker/custody_link.h"

/* All that it has kept. OK; NO_MEMORY; CLOSED; TIMEOUT (10 s). */
sockbroker_status sb_custody_keeper_take(sockbroker_socket end, struct sb_given **list, struct sockbroker_error *error);

/* Waits once for room, at most 100 ms. Results as of sb_keeper_send(). */
sockbroker_status sb_custody_keeper_tell(const struct sb_custody_link *l, enum sb_keeper_word word, const char *label,
                                         sockbroker_socket passenger);

#endif
