#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "client_load.h"

#define EXPIRY_CHECK_MS 100

struct slot {
    int sock; /* -1 when free */
    uint64_t start_ns;
};

struct many {
    const struct load *load;
    struct tally *tally;
    struct slot slots[MAX_CONCURRENCY];
    size_t n_started;
    size_t n_ended;
    int epoll;
};

/* Starts a connection in this slot; one that fails at once is counted and the next one tried. */
static void start(struct many *m, struct slot *slot)
{
    struct epoll_event want = { .events = EPOLLIN, .data.ptr = slot };

    while (slot->sock < 0 && m->n_started < m->load->n_connections && !load_over(m->load, m->tally)) {
        const struct target *to = &m->load->targets[m->n_started++ % m->load->n_targets];
        int sock = socket(to->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        slot->start_ns = now_ns();
        if (sock >= 0 && (connect(sock, (const struct sockaddr *)&to->addr, to->addr_len) == 0 || errno == EINPROGRESS) &&
            epoll_ctl(m->epoll, EPOLL_CTL_ADD, sock, &want) == 0) {
            slot->sock = sock;
        } else {
            tally_failed(m->tally, errno);
            reset_close(sock);
            m->n_ended++;
        }
    }
}

static void end(struct many *m, struct slot *slot)
{
    reset_close(slot->sock); /* the only descriptor, so epoll forgets it too */
    slot->sock = -1;
    m->n_ended++;
    start(m, slot);
}

static void on_readable(struct many *m, struct slot *slot)
{
    unsigned char worker;
    ssize_t n = recv(slot->sock, &worker, 1, 0);

    if (n < 0 && errno == EAGAIN)
        return;
    if (n == 1)
        tally_served(m->tally, worker, m->load->n_workers, now_ns() - slot->start_ns);
    else
        tally_failed(m->tally, n < 0 ? errno : 0);
    end(m, slot);
}

static void expire(struct many *m, uint64_t at_ns)
{
    uint64_t timeout_ns = (uint64_t)m->load->timeout_ms * 1000000u;

    for (int i = 0; i < m->load->concurrency; i++) {
        struct slot *slot = &m->slots[i];

        if (slot->sock >= 0 && at_ns > slot->start_ns + timeout_ns) {
            tally_failed(m->tally, ETIMEDOUT);
            end(m, slot);
        }
    }
}

static void serve_events(struct many *m)
{
    struct epoll_event events[256];
    uint64_t checked_ns = now_ns();

    while (m->n_ended < m->n_started) {
        int n = epoll_wait(m->epoll, events, 256, EXPIRY_CHECK_MS);
        uint64_t at_ns = now_ns();

        for (int i = 0; i < n; i++)
            on_readable(m, events[i].data.ptr);
        if (at_ns - checked_ns > EXPIRY_CHECK_MS * 1000000u) {
            expire(m, at_ns);
            checked_ns = at_ns;
        }
    }
}

void load_many(const struct load *load, struct tally *t)
{
    static struct many m;

    m = (struct many){ .load = load, .tally = t, .epoll = epoll_create1(EPOLL_CLOEXEC) };
    if (m.epoll < 0) {
        perror("bench_client: epoll");
        exit(1);
    }
    for (int i = 0; i < load->concurrency; i++)
        m.slots[i].sock = -1;
    t->started_ns = now_ns();
    for (int i = 0; i < load->concurrency; i++)
        start(&m, &m.slots[i]);
    serve_events(&m);
    t->stopped_ns = now_ns();
    close(m.epoll);
}
