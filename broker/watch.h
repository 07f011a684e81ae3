/* watch.h: what happens because time has passed: withdrawal, deadlines, heartbeats, rests that end.
 */
#ifndef SB_BROKER_WATCH_H
#define SB_BROKER_WATCH_H

#include "broker/broker.h"

#define SB_TICK_MS 50

/* Every SB_TICK_MS. */
void sb_watch_tick(struct sb_broker *b);

#endif
