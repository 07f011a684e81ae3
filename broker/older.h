/* older.h: generations of workers that somebody else started. */
#ifndef SB_BROKER_OLDER_H
#define SB_BROKER_OLDER_H

#include "broker/session.h"

/* A worker has become ready: where an endpoint of its says drain_older, workers of lower generations drain. Those that the
 * broker started itself neither drain others nor are drained: their group replaces them. */
void sb_older_drain(struct sb_session *newer);

#endif
