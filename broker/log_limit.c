#include "broker/log_limit.h"

#include <string.h>

#define SECOND_NS UINT64_C(1000000000)

/* NULL when the table is full, or the name too long to be one of ours. */
static struct sb_log_event *find_or_add(struct sb_log_limits *limits, const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < limits->n_events; i++)
        if (strcmp(limits->events[i].name, name) == 0)
            return &limits->events[i];
    if (limits->n_events == SB_LOG_EVENTS_MAX || len >= SB_LOG_EVENT_NAME_MAX)
        return NULL;
    memcpy(limits->events[limits->n_events].name, name, len + 1);
    return &limits->events[limits->n_events++];
}

static void count_suppressed(struct sb_log_event *event, enum sb_log_level level, uint64_t now_ns)
{
    if (event->suppressed++ == 0)
        event->first_ns = now_ns;
    event->last_ns = now_ns;
    event->level = level;
}

bool sb_log_limit_admit(struct sb_log_limits *limits, const char *event_name, enum sb_log_level level, uint64_t now_ns)
{
    struct sb_log_event *event = find_or_add(limits, event_name);
    uint64_t *oldest;

    if (!event)
        return true;
    oldest = &event->at_ns[event->n % SB_LOG_LINES_PER_SECOND];
    if (event->n >= SB_LOG_LINES_PER_SECOND && now_ns - *oldest < SECOND_NS) {
        count_suppressed(event, level, now_ns);
        return false;
    }
    *oldest = now_ns;
    event->n++;
    return true;
}

static bool is_due(const struct sb_log_event *event, uint64_t now_ns)
{
    return now_ns - event->last_ns >= SECOND_NS || now_ns - event->first_ns >= 60 * SECOND_NS;
}

struct sb_log_event *sb_log_limit_due(struct sb_log_limits *limits, uint64_t now_ns, bool all)
{
    for (size_t i = 0; i < limits->n_events; i++)
        if (limits->events[i].suppressed > 0 && (all || is_due(&limits->events[i], now_ns)))
            return &limits->events[i];
    return NULL;
}

void sb_log_limit_reported(struct sb_log_event *event)
{
    event->suppressed = 0;
}

bool sb_log_limit_is_pending(const struct sb_log_limits *limits)
{
    for (size_t i = 0; i < limits->n_events; i++)
        if (limits->events[i].suppressed > 0)
            return true;
    return false;
}
