/* wishes.h: what the operator has asked for and no configuration says: endpoints that pause, groups of another size.
 *
 * After a crash the next broker goes on with it: it lies in custody (custody.h). An ordered stop ends it.
 */
#ifndef SB_BROKER_WISHES_H
#define SB_BROKER_WISHES_H

#include "broker/broker.h"

/* The parts of a label in custody: is it a wish? */
bool sb_wishes_are(char *const *parts, size_t n);

/* Takes it in, for the two functions below. OK, NO_MEMORY. */
sockbroker_status sb_wishes_take(struct sb_broker *b, char *const *parts);

/* Once the endpoints are there: those that were paused are. */
void sb_wishes_pause(struct sb_broker *b);

/* How many workers a group starts with: what was asked for, unless the configuration has another number than it had then. */
uint32_t sb_wishes_wanted(const struct sb_broker *b, const struct sb_group_config *config);

/* Once the groups are there: what was taken in is done, or good for nothing. */
void sb_wishes_clear(struct sb_broker *b);

/* Names all to whoever keeps them; takes all back. */
void sb_wishes_keep(struct sb_broker *b);
void sb_wishes_end(struct sb_broker *b);

#endif
