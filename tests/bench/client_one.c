#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include "client_load.h"

#define TICK_MS 100

/* A timer that interrupts blocking calls costs nothing for each connection; SO_RCVTIMEO and
 * SO_SNDTIMEO would cost two system calls for each. */
static void on_tick(int signo)
{
    (void)signo;
}

static void tick_every(int interval_ms)
{
    struct sigaction act = { .sa_handler = on_tick };
    struct itimerval every = {
        .it_interval = { .tv_usec = interval_ms * 1000 },
        .it_value = { .tv_usec = interval_ms * 1000 },
    };

    sigaction(SIGALRM, &act, NULL);
    setitimer(ITIMER_REAL, &every, NULL);
}

/* An interrupted connect() goes on by itself; its end shows as writability. */
static int finish_connect(int sock, int timeout_ms)
{
    struct pollfd writable = { .fd = sock, .events = POLLOUT };
    int error = 0;
    socklen_t error_len = sizeof error;
    int n;

    do
        n = poll(&writable, 1, timeout_ms);
    while (n < 0 && errno == EINTR);
    if (n == 0)
        return ETIMEDOUT;
    getsockopt(sock, SOL_SOCKET, SO_ERROR, &error, &error_len);
    return error;
}

static int connect_to(int sock, const struct target *to, int timeout_ms)
{
    if (connect(sock, (const struct sockaddr *)&to->addr, to->addr_len) == 0)
        return 0;
    return errno == EINTR ? finish_connect(sock, timeout_ms) : errno;
}

static void one(const struct load *load, const struct target *to, struct tally *t)
{
    int sock = socket(to->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    uint64_t start_ns = now_ns();
    uint64_t deadline_ns = start_ns + (uint64_t)load->timeout_ms * 1000000u;
    unsigned char worker = 0;
    ssize_t n = 0;
    int error = sock < 0 ? errno : connect_to(sock, to, load->timeout_ms);

    if (!error) {
        do
            n = recv(sock, &worker, 1, 0);
        while (n < 0 && errno == EINTR && now_ns() < deadline_ns);
        if (n < 0)
            error = errno == EINTR ? ETIMEDOUT : errno;
    }
    if (n == 1)
        tally_served(t, worker, load->n_workers, now_ns() - start_ns);
    else
        tally_failed(t, error);
    reset_close(sock);
}

void load_one_by_one(const struct load *load, struct tally *t)
{
    tick_every(TICK_MS);
    t->started_ns = now_ns();
    for (size_t i = 0; i < load->n_connections && !load_over(load, t); i++)
        one(load, &load->targets[i % load->n_targets], t);
    t->stopped_ns = now_ns();
}
