#include "client-lib/worker_state.h"

#include <stdlib.h>

#include "proto/socket.h"
#include "proto/xfer.h"

struct sb_link *sb_link_use(struct sb_link *link)
{
    if (link)
        link->n_users++;
    return link;
}

void sb_link_drop(struct sockbroker_worker *w, struct sb_link *link)
{
    if (!link || --link->n_users)
        return;
    sb_wake_unwatch(&w->wake, link->end);
    sb_socket_close(&link->end);
    sb_ring_close(&link->ring);
    free(link);
}

void sb_link_release(struct sockbroker_worker *w, struct sb_link *link)
{
    if (!link)
        return;
    sb_lock_take(w->lock);
    sb_link_drop(w, link);
    sb_lock_drop(w->lock);
}

uint64_t sb_worker_live_session(const struct sockbroker_worker *w)
{
    return w->link && !w->link->empty ? w->link->session.id : 0;
}

static bool has_pending(const struct sockbroker_worker *w)
{
    uint64_t live = sb_worker_live_session(w);
    struct sb_pending_query complete = { SB_PENDING_COMPLETE, live, 0, UINT64_MAX };
    struct sb_pending_query orphan = { SB_PENDING_WITH_SOCKET, 0, live, UINT64_MAX };

    return (live && sb_pending_has(&w->pending, &complete)) || sb_pending_has(&w->pending, &orphan);
}

static bool has_something_to_say(const struct sockbroker_worker *w)
{
    switch (w->state) {
    case SOCKBROKER_WORKER_CLOSED:
    case SOCKBROKER_WORKER_REFUSED:
        return true;
    case SOCKBROKER_WORKER_DRAINING:
        return !w->pending.n_used || has_pending(w);
    case SOCKBROKER_WORKER_ATTACHING:
    case SOCKBROKER_WORKER_READY:
        break;
    }
    return w->pending.n_used && has_pending(w);
}

void sb_worker_update_bell(struct sockbroker_worker *w)
{
    bool on = has_something_to_say(w);

    if (on == w->bell_is_on)
        return;
    w->bell_is_on = on;
    if (on)
        sb_wake_ring(&w->wake);
    else
        sb_wake_quiet(&w->wake);
}

/* Threads that wait in the pair do not hear the bell. */
static void wake_waiting(const struct sb_link *link)
{
    if (link && link->carrier == SB_CARRIER_DIRECT)
        sb_xfer_stop_waiting(link->end);
}

void sb_worker_set_state(struct sockbroker_worker *w, enum sockbroker_worker_state state)
{
    bool changes = !w->stopping && w->state != state;

    if (changes)
        w->state = state;
    if (changes && (state == SOCKBROKER_WORKER_DRAINING || state == SOCKBROKER_WORKER_CLOSED))
        wake_waiting(w->link);
    sb_worker_update_bell(w);
}
