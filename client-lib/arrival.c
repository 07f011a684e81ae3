#include "client-lib/arrival.h"

#include "client-lib/ends.h"
#include "client-lib/report.h"
#include "proto/clock.h"
#include "proto/failpoint.h"
#include "proto/socket.h"
#include "proto/xfer.h"

static void give(const struct sockbroker_socket_info *info, sockbroker_socket sock, struct sockbroker_conn *conn_out)
{
    conn_out->sock = sock;
    conn_out->info = *info;
}

/* ---- carrier = message: two halves ---- */

/* Lock taken. Of a session whose broker has gone: nobody else knows of the connection, so it is ours; what the record does not
 * say, the kernel does. */
static bool take_orphan(struct sockbroker_worker *w, struct sb_pending_entry *e)
{
    struct sb_pending_query q = { SB_PENDING_WITH_SOCKET, 0, sb_worker_live_session(w), UINT64_MAX };

    if (!sb_pending_take(&w->pending, &q, e))
        return false;
    if (!e->has_record) {
        sb_ends_describe(e->sock, &e->info);
        e->info.lease_id = e->lease_id;
    }
    w->n_open++;
    return true;
}

/* Lock taken. */
static bool take_complete(struct sockbroker_worker *w, struct sb_pending_entry *e)
{
    struct sb_pending_query q = { SB_PENDING_COMPLETE, sb_worker_live_session(w), 0, UINT64_MAX };

    return q.session_id && sb_pending_take(&w->pending, &q, e);
}

/* OK; AGAIN when there is none, or the broker had given it to another worker. */
static sockbroker_status next_pending(struct sockbroker_worker *w, struct sb_link *link, struct sockbroker_conn *conn_out)
{
    struct sb_pending_entry e;
    bool kept = true;

    sb_lock_take(w->lock);
    bool orphan = take_orphan(w, &e);
    bool complete = !orphan && take_complete(w, &e);
    sb_worker_update_bell(w);
    sb_lock_drop(w->lock);
    if (complete)
        sb_report_settle(w, link, e.lease_id, &kept);
    if (!orphan && !complete)
        return SOCKBROKER_AGAIN;
    if (!kept) {
        sb_socket_close(&e.sock);
        return SOCKBROKER_AGAIN;
    }
    give(&e.info, e.sock, conn_out);
    return SOCKBROKER_OK;
}

/* Half a connection: look at the table again. */
static sockbroker_status keep_socket(struct sockbroker_worker *w, struct sb_link *link, uint64_t lease_id,
                                     sockbroker_socket sock)
{
    sb_lock_take(w->lock);
    sockbroker_status st = sb_pending_add_socket(&w->pending, link->session.id, lease_id, sock, sb_clock_ms());
    sb_worker_update_bell(w);
    sb_lock_wake(w->lock); /* the control thread watches for a half that stays alone */
    sb_lock_drop(w->lock);
    if (st) {
        sb_socket_close(&sock);
        sb_report_result(w, link, lease_id, SB_VERDICT_NACK_UNUSABLE);
    }
    return SOCKBROKER_AGAIN;
}

/* ---- packets ---- */

/* Without it, results go by packets. */
static void keep_ring(struct sockbroker_worker *w, struct sb_link *link, sockbroker_socket memory)
{
    struct sb_ring ring = SB_RING_NONE;
    sockbroker_status st = sb_ring_open(memory, &ring);

    sb_socket_close(&memory);
    sb_lock_take(w->lock);
    if (!st && !link->ring.page)
        link->ring = ring;
    else
        sb_ring_close(&ring);
    sb_lock_drop(w->lock);
}

static bool is_lease(const struct sb_delivery *d)
{
    return d->kind == SB_DELIVERY_INFO || d->kind == SB_DELIVERY_LEASE;
}

/* One packet. OK: conn_out is filled. AGAIN with more_out: it was something else, look again. */
static sockbroker_status take_packet(struct sockbroker_worker *w, struct sb_link *link, bool wait,
                                     struct sockbroker_conn *conn_out, bool *more_out)
{
    struct sb_delivery d;
    sockbroker_socket sock = SOCKBROKER_SOCKET_NONE;
    sockbroker_status st = wait ? sb_xfer_wait(link->end, &d, &sock) : sb_xfer_receive(link->end, &d, &sock);

    *more_out = st == SOCKBROKER_NO_DESCRIPTORS && !is_lease(&d);
    if (*more_out)
        return SOCKBROKER_AGAIN;
    if (st == SOCKBROKER_NO_DESCRIPTORS)
        sb_report_result(w, link, d.number, SB_VERDICT_NACK_DESCRIPTORS);
    if (st)
        return st;
    if (is_lease(&d))
        (void)sb_failpoint("taken");
    if (d.kind == SB_DELIVERY_INFO) {
        sb_report_result(w, link, d.number, SB_VERDICT_ACK);
        give(&d.record.info, sock, conn_out);
        return SOCKBROKER_OK;
    }
    *more_out = true;
    if (d.kind == SB_DELIVERY_LEASE)
        return keep_socket(w, link, d.number, sock);
    if (d.kind == SB_DELIVERY_RING)
        keep_ring(w, link, sock);
    else
        sb_report_probe(w, link, d.number);
    return SOCKBROKER_AGAIN;
}

/* The broker at the other end is gone and all it sent was read. Out of the set, or it would wake everybody for ever. */
static void note_empty(struct sockbroker_worker *w, struct sb_link *link)
{
    sb_lock_take(w->lock);
    if (!link->empty) {
        link->empty = true;
        sb_wake_unwatch(&w->wake, link->end);
    }
    if (w->old_link == link) {
        w->old_link = NULL;
        sb_link_drop(w, link);
    }
    sb_worker_update_bell(w); /* what is pending of it can be served now */
    sb_lock_drop(w->lock);
}

struct view {
    struct sb_link *link; /* the one to read: first what an earlier broker left behind */
    bool empty;
    bool is_simple; /* carrier = direct and no earlier broker: all that can happen shows in the pair */
    bool has_halves;
    enum sockbroker_worker_state state;
};

static struct view look(struct sockbroker_worker *w)
{
    struct view v;

    sb_lock_take(w->lock);
    v.link = sb_link_use(w->old_link ? w->old_link : w->link);
    v.empty = v.link && v.link->empty;
    v.has_halves = w->pending.n_used > 0;
    v.state = w->state;
    v.is_simple = v.link && v.link == w->link && !v.empty && v.link->carrier == SB_CARRIER_DIRECT && !v.has_halves &&
                  v.state == SOCKBROKER_WORKER_READY;
    sb_lock_drop(w->lock);
    return v;
}

static sockbroker_status take_from(struct sockbroker_worker *w, const struct view *v, bool wait,
                                   struct sockbroker_conn *conn_out)
{
    struct sb_link *link = v->link;
    sockbroker_status st = v->is_simple ? SOCKBROKER_AGAIN : next_pending(w, link, conn_out);
    bool more = true;

    while (st == SOCKBROKER_AGAIN && more && !v->empty) {
        st = take_packet(w, link, wait && v->is_simple, conn_out, &more);
        if (st == SOCKBROKER_AGAIN && link->carrier == SB_CARRIER_MESSAGE)
            st = next_pending(w, link, conn_out);
    }
    if (st == SOCKBROKER_BAD_MESSAGE) /* not one of our brokers: it sees the end and the library attaches anew */
        sb_ends_shut(link->end);
    if (st != SOCKBROKER_CLOSED && st != SOCKBROKER_BAD_MESSAGE)
        return st;
    note_empty(w, link);
    return next_pending(w, link, conn_out);
}

/* ---- what to answer ---- */

sockbroker_status sb_arrival_take(struct sockbroker_worker *w, bool wait, struct sockbroker_conn *conn_out)
{
    struct view v = look(w);
    sockbroker_status st = SOCKBROKER_AGAIN;

    if (v.link && v.state != SOCKBROKER_WORKER_CLOSED)
        st = take_from(w, &v, wait, conn_out);
    sb_link_release(w, v.link);
    if (st != SOCKBROKER_AGAIN)
        return st;
    switch (v.state) {
    case SOCKBROKER_WORKER_DRAINING:
        return v.has_halves ? SOCKBROKER_AGAIN : SOCKBROKER_DRAINING;
    case SOCKBROKER_WORKER_REFUSED:
        return SOCKBROKER_REFUSED;
    case SOCKBROKER_WORKER_CLOSED:
        return SOCKBROKER_CLOSED;
    case SOCKBROKER_WORKER_ATTACHING:
    case SOCKBROKER_WORKER_READY:
        break;
    }
    return SOCKBROKER_AGAIN;
}
