/* The load of the restart benchmark: an open loop. It begins RATE connections in a second, over the addresses in turn, whatever
 * has become of those before, asks one HTTP/1.1 request on each, and keeps K more connections open, on each of which it asks
 * every 100 ms. SIGUSR1 is a mark: the line about what happened since the mark before is printed once all of that has ended.
 * SIGTERM ends it. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "restart_asker.h"

#define N_TARGETS 2
#define MAX_ASKERS 16384
#define ASK_EVERY_NS 100000000u
#define EXPIRY_CHECK_NS 100000000u
#define SECOND_NS 1000000000u

static const char usage[] = "usage: restart_load --port P [--rate N] [--kept K] [--timeout-ms T]\n";

struct plan {
    int port;
    unsigned rate;
    unsigned n_kept;
    unsigned timeout_ms;
};

static struct target targets[N_TARGETS];
static struct asker askers[MAX_ASKERS]; /* the kept ones first */
static unsigned n_used;                 /* no one from here on has ever asked */
static int epoll;

static _Noreturn void refuse(const char *what, const char *value)
{
    fprintf(stderr, "restart_load: %s: %s\n%s", what, value, usage);
    exit(2);
}

static unsigned number(const char *text, unsigned min, unsigned max)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (end == text || *end || value < min || value > max)
        refuse("number out of range", text);
    return (unsigned)value;
}

static void parse(int argc, char **argv, struct plan *plan)
{
    static const struct option options[] = {
        { "port", required_argument, NULL, 'p' },
        { "rate", required_argument, NULL, 'r' },
        { "kept", required_argument, NULL, 'k' },
        { "timeout-ms", required_argument, NULL, 't' },
        { 0 },
    };

    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'p':
            plan->port = (int)number(optarg, 1, 65535);
            break;
        case 'r':
            plan->rate = number(optarg, 1, 10000);
            break;
        case 'k':
            plan->n_kept = number(optarg, 0, MAX_ASKERS / 2);
            break;
        case 't':
            plan->timeout_ms = number(optarg, 1, 60000);
            break;
        default:
            refuse("unknown option", argv[optind - 1]);
        }
    }
    if (!plan->port || optind != argc)
        refuse("wrong use", plan->port ? argv[optind] : "--port is missing");
}

static void check(int failed, const char *what)
{
    if (failed) {
        perror(what);
        exit(1);
    }
}

static void watch(int fd, void *who)
{
    struct epoll_event want = { .events = EPOLLIN, .data.ptr = who };

    check(fd < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &want), "restart_load: epoll");
}

static int open_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int open_clock(unsigned rate)
{
    struct itimerspec each = { .it_interval.tv_nsec = (long)(SECOND_NS / (rate > 1 ? rate : 2)) };
    int clock = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

    each.it_value = each.it_interval;
    check(clock < 0 || timerfd_settime(clock, 0, &each, NULL), "restart_load: timer");
    return clock;
}

/* The first that is free, so that few are ever touched. */
static struct asker *free_asker(unsigned n_kept)
{
    for (unsigned i = n_kept; i < MAX_ASKERS; i++) {
        if (askers[i].state != ASKER_AWAY)
            continue;
        if (i >= n_used)
            n_used = i + 1;
        return &askers[i];
    }
    return NULL;
}

static void begin_fresh(const struct plan *plan, uint64_t n, uint64_t due_ns)
{
    struct asker *a = free_asker(plan->n_kept);

    if (!a) {
        tally_counted(&window_now()->fresh, OTHER);
        return;
    }
    a->to = &targets[n % N_TARGETS];
    asker_begin(a, epoll, due_ns);
}

/* Begins all that is due by now. */
static void begin_due(const struct plan *plan, uint64_t started_ns)
{
    static uint64_t n_begun;
    uint64_t at_ns = now_ns();

    for (; started_ns + n_begun * SECOND_NS / plan->rate <= at_ns; n_begun++)
        begin_fresh(plan, n_begun, started_ns + n_begun * SECOND_NS / plan->rate);
    for (unsigned i = 0; i < plan->n_kept; i++) {
        struct asker *a = &askers[i];

        if (a->due_ns > at_ns || a->state == ASKER_CONNECTS || a->state == ASKER_WAITS)
            continue;
        if (at_ns - a->due_ns > ASK_EVERY_NS) /* it waited for its last answer longer than it pauses */
            a->due_ns = at_ns;
        asker_begin(a, epoll, a->due_ns);
        a->due_ns += ASK_EVERY_NS;
    }
}

static void expire(const struct plan *plan)
{
    static uint64_t checked_ns;

    if (now_ns() - checked_ns < EXPIRY_CHECK_NS)
        return;
    checked_ns = now_ns();
    for (unsigned i = 0; i < n_used; i++)
        asker_expire(&askers[i], (uint64_t)plan->timeout_ms * 1000000u);
}

/* False: it shall end. */
static bool hear_signals(int signals)
{
    struct signalfd_siginfo info;

    while (read(signals, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGTERM)
            return false;
        window_mark();
    }
    return true;
}

static void run(const struct plan *plan, int *signals, int *clock)
{
    struct epoll_event events[256];
    uint64_t started_ns = now_ns();
    uint64_t ticks;

    n_used = plan->n_kept;
    for (unsigned i = 0; i < plan->n_kept; i++)
        askers[i].due_ns = started_ns + (uint64_t)i * ASK_EVERY_NS / plan->n_kept;
    for (;;) {
        int n = epoll_wait(epoll, events, 256, -1);

        for (int i = 0; i < n; i++) {
            void *who = events[i].data.ptr;

            if (who == signals && !hear_signals(*signals))
                return;
            if (who == clock)
                (void)!read(*clock, &ticks, sizeof ticks);
            if (who != signals && who != clock)
                asker_go_on(who, epoll);
        }
        begin_due(plan, started_ns);
        expire(plan);
        window_report();
    }
}

int main(int argc, char **argv)
{
    struct plan plan = { .rate = 1000, .n_kept = 20, .timeout_ms = 5000 };
    struct rlimit files;
    int signals = open_signals();
    int clock;

    parse(argc, argv, &plan);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    target_parse("127.0.0.1", plan.port, &targets[0]);
    target_parse("::1", plan.port, &targets[1]);
    for (unsigned i = 0; i < MAX_ASKERS; i++)
        askers[i] = (struct asker){ .sock = -1, .is_kept = i < plan.n_kept, .to = &targets[i % N_TARGETS] };
    epoll = epoll_create1(EPOLL_CLOEXEC);
    clock = open_clock(plan.rate);
    watch(signals, &signals);
    watch(clock, &clock);
    run(&plan, &signals, &clock);
    return 0;
}
