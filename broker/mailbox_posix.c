#include "broker/mailbox.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <utlist.h>

#include "broker/dispatch.h"
#include "broker/session.h"
#include "broker/ticker.h"
#include "proto/clock.h"
#include "proto/socket.h"

#define EVENTS_MAX 64

struct sb_mailbox {
    struct sb_broker *broker;
    sockbroker_socket set;       /* an epoll set of all pairs; the loop watches it only while eager */
    struct sb_session *expected; /* have leases to settle */
    uint32_t n_expected;
    bool eager;
    uint64_t eager_until_ms;
    unsigned n_handles;
    uv_poll_t poll;
    uv_prepare_t before_sleep;
    struct sb_ticker *late;
    bool late_is_set;
    bool has_progress; /* reports came since late was set */
};

void sb_mailbox_expect(struct sb_mailbox *m, struct sb_session *s, bool expected)
{
    if (!expected) {
        DL_DELETE2(m->expected, s, expected_prev, expected_next);
        m->n_expected--;
        return;
    }
    DL_APPEND2(m->expected, s, expected_prev, expected_next);
    m->n_expected++;
    if (m->eager)
        sb_ring_raise_bell(&s->ring);
}

/* Each goes to the end of the list before its turn, for what it says may take any session off the list. True when somebody in
 * it uses packets. */
static bool look_into_rings(struct sb_mailbox *m)
{
    bool packets = false;

    for (uint32_t n = m->n_expected; n && m->expected; n--) {
        struct sb_session *s = m->expected;

        DL_DELETE2(m->expected, s, expected_prev, expected_next);
        DL_APPEND2(m->expected, s, expected_prev, expected_next);
        if (m->eager)
            sb_ring_raise_bell(&s->ring);
        packets |= !s->uses_ring;
        m->has_progress |= sb_session_look(s);
    }
    return packets;
}

static void read_packets(struct sb_mailbox *m)
{
    struct epoll_event events[EVENTS_MAX];
    uint32_t rounds =
        m->broker->n_sessions / EVENTS_MAX + 1; /* each gets a turn; who never stops talking does not hold up the rest */
    int n = EVENTS_MAX;

    while (rounds-- && n == EVENTS_MAX) {
        n = epoll_wait(m->set, events, EVENTS_MAX, 0);
        for (int i = 0; i < n; i++)
            sb_session_heard(events[i].data.ptr, events[i].events & EPOLLOUT);
        m->has_progress |= n > 0;
    }
}

void sb_mailbox_collect(struct sb_mailbox *m)
{
    look_into_rings(m);
    read_packets(m);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct sb_mailbox *m = poll->data;

    (void)status;
    (void)events;
    sb_mailbox_collect(m);
    sb_dispatch_pump(m->broker);
}

static void set_eager(struct sb_mailbox *m, bool eager)
{
    if (m->eager == eager)
        return;
    m->eager = eager;
    if (eager)
        uv_poll_start(&m->poll, UV_READABLE, on_ready);
    else
        uv_poll_stop(&m->poll);
}

static void set_late(struct sb_mailbox *m)
{
    m->late_is_set = true;
    m->has_progress = false;
    sb_ticker_set(m->late, SB_MAILBOX_LATE_MS, 0);
}

/* Did nothing wake the loop for a while? Then reports shall. */
static void on_late(void *arg)
{
    struct sb_mailbox *m = arg;

    m->late_is_set = false;
    if (!m->expected)
        return;
    if (m->has_progress) {
        set_late(m);
        return;
    }
    m->eager_until_ms = uv_now(&m->broker->loop) + SB_MAILBOX_EAGER_MS;
    set_eager(m, true);
    sb_mailbox_collect(m);
    sb_dispatch_pump(m->broker);
}

/* Each time before the loop sleeps. */
static void on_before_sleep(uv_prepare_t *prepare)
{
    struct sb_mailbox *m = prepare->data;

    if (m->eager && uv_now(&m->broker->loop) >= m->eager_until_ms)
        set_eager(m, false);
    if (!m->expected)
        return;
    if (look_into_rings(m) && !m->eager)
        read_packets(m);
    sb_dispatch_pump(m->broker);
    if (m->expected && !m->eager && !m->late_is_set)
        set_late(m);
}

sockbroker_status sb_mailbox_open(struct sb_broker *b, struct sb_mailbox **mailbox_out)
{
    struct sb_mailbox *m = calloc(1, sizeof(*m));

    if (!m)
        return SOCKBROKER_NO_MEMORY;
    m->broker = b;
    m->set = epoll_create1(EPOLL_CLOEXEC);
    if (m->set < 0 || uv_poll_init_socket(&b->loop, &m->poll, m->set)) {
        sb_socket_close(&m->set);
        free(m);
        return SOCKBROKER_NO_DESCRIPTORS;
    }
    uv_prepare_init(&b->loop, &m->before_sleep);
    m->poll.data = m->before_sleep.data = m;
    m->n_handles = 2;
    if (sb_ticker_open(&b->loop, on_late, m, &m->late)) {
        sb_mailbox_close(m);
        return SOCKBROKER_NO_DESCRIPTORS;
    }
    uv_prepare_start(&m->before_sleep, on_before_sleep);
    *mailbox_out = m;
    return SOCKBROKER_OK;
}

static void on_closed(uv_handle_t *handle)
{
    struct sb_mailbox *m = handle->data;

    if (--m->n_handles == 0)
        free(m);
}

void sb_mailbox_close(struct sb_mailbox *m)
{
    if (!m)
        return;
    uv_close((uv_handle_t *)&m->poll, on_closed);
    uv_close((uv_handle_t *)&m->before_sleep, on_closed);
    sb_ticker_close(m->late);
    sb_socket_close(&m->set);
}

static sockbroker_status control(struct sb_mailbox *m, int operation, struct sb_session *s, uint32_t events)
{
    struct epoll_event e = { .events = events, .data.ptr = s };

    return epoll_ctl(m->set, operation, s->end, &e) ? SOCKBROKER_NO_MEMORY : SOCKBROKER_OK;
}

sockbroker_status sb_mailbox_add(struct sb_mailbox *m, struct sb_session *s)
{
    return control(m, EPOLL_CTL_ADD, s, EPOLLIN);
}

void sb_mailbox_remove(struct sb_mailbox *m, struct sb_session *s)
{
    control(m, EPOLL_CTL_DEL, s, 0);
}

void sb_mailbox_want_writable(struct sb_mailbox *m, struct sb_session *s, bool wanted)
{
    control(m, EPOLL_CTL_MOD, s, EPOLLIN | (wanted ? EPOLLOUT : 0u));
    if (wanted) /* that event has to wake the loop */
        set_eager(m, true);
    if (wanted)
        m->eager_until_ms = uv_now(&m->broker->loop) + SB_MAILBOX_EAGER_MS;
}
