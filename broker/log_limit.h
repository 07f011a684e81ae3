/* log_limit.h: which events come too often, for log.c only. Pure: the caller gives the time. */
#ifndef SB_BROKER_LOG_LIMIT_H
#define SB_BROKER_LOG_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/config.h"

#define SB_LOG_EVENTS_MAX 128u /* names that are watched; further ones are not limited */
#define SB_LOG_EVENT_NAME_MAX 40u
#define SB_LOG_LINES_PER_SECOND 20u /* of one event */

struct sb_log_event {
    char name[SB_LOG_EVENT_NAME_MAX];
    enum sb_log_level level;                 /* of the newest line that was suppressed */
    uint64_t at_ns[SB_LOG_LINES_PER_SECOND]; /* when the newest lines were let through, a ring */
    uint64_t n;                              /* lines let through */
    uint64_t suppressed;                     /* since the last report */
    uint64_t first_ns, last_ns;              /* the first and the newest suppressed one */
};

struct sb_log_limits {
    struct sb_log_event events[SB_LOG_EVENTS_MAX];
    size_t n_events;
};

/* May this line be written? If not, it is counted. */
bool sb_log_limit_admit(struct sb_log_limits *limits, const char *event, enum sb_log_level level, uint64_t now_ns);

/* The next event to report: quiet for a second, or suppressed for a minute, or any with `all`. NULL: none is due.
 * The caller reports it and calls sb_log_limit_reported(). */
struct sb_log_event *sb_log_limit_due(struct sb_log_limits *limits, uint64_t now_ns, bool all);
void sb_log_limit_reported(struct sb_log_event *event);

/* Is there anything that will be due later? */
bool sb_log_limit_is_pending(const struct sb_log_limits *limits);

#endif
