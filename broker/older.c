#include "broker/older.h"

#include <utlist.h>

#include "broker/endpoint.h"
#include "broker/log.h"

static void drain_at(struct sb_session *newer, struct sb_endpoint *e)
{
    struct sb_session *s, *tmp;

    DL_FOREACH_SAFE(newer->broker->sessions, s, tmp) {
        if (s->slot || s->state == SB_SESSION_DRAINING || s->generation >= newer->generation || !sb_session_member(s, e))
            continue;
        sb_log(SB_LOG_NOTICE, "older_drains", "worker=%s generation=%llu endpoint=%s newer=%s newer_generation=%llu", s->name,
               (unsigned long long)s->generation, e->config.name, newer->name, (unsigned long long)newer->generation);
        sb_session_drain(s);
    }
}

void sb_older_drain(struct sb_session *newer)
{
    for (uint32_t i = 0; !newer->slot && i < newer->n_places; i++) {
        struct sb_endpoint *e = newer->places[i].endpoint;

        if (e && e->config.drain_older)
            drain_at(newer, e);
    }
}
