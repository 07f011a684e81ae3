#include "broker/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utlist.h>

#include "broker/activation.h"
#include "broker/command.h"
#include "broker/keeper_items.h"
#include "broker/keeper_link.h"
#include "broker/log.h"
#include "broker/pace.h"
#include "broker/process.h"
#include "proto/clock.h"
#include "proto/secret.h"
#include "proto/socket.h"
#include "proto/xfer.h"

#define BROKERS_END 3 /* the descriptor's number in the broker */
#define BUSY_MS 10    /* descriptors in flight give no event when they land */

struct process {
    pid_t pid; /* 0: none */
    int handle;
    int program; /* that it runs, which may be another one than ours after an upgrade; NONE: ours */
    bool is_told_to_stop;
};

struct keeper {
    const struct sb_keeper_options *options;
    struct sb_pace pace;
    int signals;
    struct sb_keeper_item *items;
    struct process broker;
    int program;           /* of the last broker, once that has ended; NONE: ours */
    struct process before; /* the one that it follows, until that is gone */
    sockbroker_socket channel;
    const struct sb_keeper_item *next; /* to hand over */
    bool handing_over;
    bool is_ready;
    bool was_ready; /* some broker of this keeper */
    bool is_stopping;
    uint64_t start_at_ms; /* 0: a broker runs */
    bool is_over;
    int exit_code;
};

/* A reader of stderr that has stopped reading must not stop the keeper: then nobody reads this line. */
static bool can_log(void)
{
    struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };

    return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT);
}
#define note(...) (can_log() ? sb_log(__VA_ARGS__) : (void)0)

/* ---- processes ---- */

static const struct process no_process = { 0, SOCKBROKER_SOCKET_NONE, SOCKBROKER_SOCKET_NONE, false };

static void forget(struct process *p)
{
    sb_socket_close(&p->handle);
    sb_socket_close(&p->program);
    *p = no_process;
}

static int open_handle(pid_t pid)
{
    int handle = (int)syscall(SYS_pidfd_open, pid, 0);

    return handle < 0 ? SOCKBROKER_SOCKET_NONE : handle;
}

/* Named by its process: the file may be another one by now, or none. */
static int open_program(pid_t pid)
{
    char path[32];

    snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
    int program = open(path, O_PATH | O_CLOEXEC);
    return program < 0 ? SOCKBROKER_SOCKET_NONE : program;
}

static void tell(const struct process *p, int number)
{
    if (p->handle != SOCKBROKER_SOCKET_NONE)
        syscall(SYS_pidfd_send_signal, p->handle, number, NULL, 0);
    else
        kill(p->pid, number); /* our own child, and not waited for: the number is its own */
}

static bool is_alive(const struct process *p)
{
    struct pollfd look = { .fd = p->handle, .events = POLLIN };

    return p->pid && p->handle >= 0 && poll(&look, 1, 0) == 0;
}

/* The program that the last broker ran. False: there is no descriptor for its name. */
static bool name_program(const struct keeper *k, char path_out[32])
{
    int program = k->program == SOCKBROKER_SOCKET_NONE ? -1 : fcntl(k->program, F_DUPFD_CLOEXEC, BROKERS_END + 1);

    snprintf(path_out, 32, program < 0 ? "/proc/self/exe" : "/proc/self/fd/%d", program);
    return program >= 0 || k->program == SOCKBROKER_SOCKET_NONE;
}

/* In the child. The signals that the keeper passes on stay blocked until the broker is able to hear them. */
static void become_broker(const struct keeper *k, sockbroker_socket end, pid_t parent)
{
    char number[16], program[32];

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || !name_program(k, program))
        _exit(SB_EXIT_FAILED);
    setpgid(0, 0);
    if (end == BROKERS_END)
        fcntl(end, F_SETFD, 0);
    else if (dup2(end, BROKERS_END) < 0)
        _exit(SB_EXIT_FAILED);
    close_range(BROKERS_END + 1, ~0u, CLOSE_RANGE_CLOEXEC);
    snprintf(number, sizeof(number), "%d", BROKERS_END);
    if (setenv(SB_KEEPER_VARIABLE, number, 1) == 0)
        execv(program, k->options->argv);
    _exit(127); /* as shells do; no end that the broker documents */
}

static void begin_handing_over(struct keeper *k)
{
    k->handing_over = true;
    k->next = k->items;
    sb_keeper_items_mark(k->items, false);
}

/* ---- life and death of a broker ---- */

static void end(struct keeper *k, int code)
{
    k->is_over = true;
    k->exit_code = code;
}

static uint32_t random_number(void)
{
    uint32_t r = 0;

    sb_secret_fill(&r, sizeof(r)); /* failing, it is no spread */
    return r;
}

static void restart_or_give_up(struct keeper *k, const char *cause, int code)
{
    uint64_t delay_ms = 0;
    uint64_t now_ms = sb_clock_ms();

    if (!sb_pace_died(&k->pace, now_ms, random_number(), &delay_ms)) {
        note(SB_LOG_ERROR, "keeper_gives_up", "cause=\"%s\" restarts=%u window_ms=%u exit=%d cure=\"see what it said last\"",
             cause, k->options->restarts, k->options->window_ms, code);
        end(k, code);
        return;
    }
    note(SB_LOG_ERROR, "broker_died", "cause=\"%s\" kept=%zu restart_in_ms=%llu", cause, sb_keeper_items_count(k->items),
         (unsigned long long)delay_ms);
    k->start_at_ms = now_ms + delay_ms;
}

static void start_broker(struct keeper *k)
{
    sockbroker_socket ours = SOCKBROKER_SOCKET_NONE, theirs = SOCKBROKER_SOCKET_NONE;
    pid_t parent = getpid();
    pid_t pid = -1;

    k->start_at_ms = 0;
    k->is_ready = false;
    if (!sb_xfer_open_pair(&ours, &theirs)) {
        sb_xfer_accept_sockets(ours);
        pid = fork();
    }
    if (pid == 0)
        become_broker(k, theirs, parent);
    sb_socket_close(&theirs);
    if (pid < 0) {
        sb_socket_close(&ours);
        restart_or_give_up(k, "it could not be started: out of descriptors, processes or memory", SB_EXIT_FAILED);
        return;
    }
    k->broker = (struct process){ pid, open_handle(pid), sb_socket_take(&k->program), false };
    k->channel = ours;
    begin_handing_over(k);
    note(SB_LOG_INFO, "broker_started", "pid=%d kept=%zu", (int)pid, sb_keeper_items_count(k->items));
}

static bool is_documented(int status)
{
    return WIFEXITED(status) && WEXITSTATUS(status) <= SB_EXIT_NO_BROKER;
}

static void on_end(struct keeper *k, int status)
{
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    char cause[64];

    snprintf(cause, sizeof(cause), WIFEXITED(status) ? "it ended with code %d" : "signal %d",
             WIFEXITED(status) ? code : WTERMSIG(status));
    if (k->is_stopping || (is_documented(status) && (k->is_ready || !k->was_ready)))
        end(k, code);
    else
        restart_or_give_up(k, cause, code);
}

/* ---- what the broker says ---- */

static void stop_broker(struct keeper *k, int number)
{
    tell(&k->broker, number);
    k->broker.is_told_to_stop = true;
}

/* Another process is the broker now: it need not know that it shall stop. */
static void pass_stop_on(struct keeper *k)
{
    if (k->is_stopping && !k->broker.is_told_to_stop)
        stop_broker(k, SIGTERM);
}

/* The process that was to follow died before its parent left: then that one goes on. */
static void look_at_follower(struct keeper *k)
{
    if (!k->before.pid || is_alive(&k->broker) || !is_alive(&k->before))
        return;
    note(SB_LOG_WARNING, "follower_died", "pid=%d goes_on=%d", (int)k->broker.pid, (int)k->before.pid);
    forget(&k->broker);
    k->broker = k->before;
    k->before = no_process;
    k->is_ready = true;
    pass_stop_on(k);
}

/* Only a process of the same user, and only while the handle proves that the number is still its own. */
static bool may_follow(const struct process *next)
{
    char path[32];
    struct stat st;

    snprintf(path, sizeof(path), "/proc/%d", (int)next->pid);
    return next->handle != SOCKBROKER_SOCKET_NONE && !stat(path, &st) && st.st_uid == geteuid() && is_alive(next);
}

static void follow(struct keeper *k, const struct sb_keeper_packet *p)
{
    struct process next = { .pid = (pid_t)strtol(p->label, NULL, 10),
                            .handle = SOCKBROKER_SOCKET_NONE,
                            .program = SOCKBROKER_SOCKET_NONE };

    look_at_follower(k); /* its end may be news yet */
    if (next.pid > 0)
        next.handle = open_handle(next.pid);
    if (k->before.pid || next.pid == k->broker.pid || !may_follow(&next)) {
        note(SB_LOG_ERROR, "not_followed", "pid=%d cause=\"no living process of this user, or one is followed already\"",
             (int)next.pid);
        forget(&next);
        return;
    }
    next.program = open_program(next.pid);
    k->before = k->broker;
    k->broker = next;
    k->is_ready = false;
    note(SB_LOG_NOTICE, "broker_followed", "pid=%d after=%d", (int)next.pid, (int)k->before.pid);
    send(p->passenger, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void set_ready(struct keeper *k)
{
    k->is_ready = true;
    k->was_ready = true;
    sb_keeper_items_drop_stale(&k->items);
}

static void hear(struct keeper *k, struct sb_keeper_packet *p)
{
    switch (p->word) {
    case SB_KEEPER_PUT:
        if (p->passenger != SOCKBROKER_SOCKET_NONE && sb_keeper_items_put(&k->items, p->label, &p->passenger))
            note(SB_LOG_ERROR, "not_kept", "label=%s cause=\"out of memory\"", p->label);
        break;
    case SB_KEEPER_DROP:
        sb_keeper_items_drop(&k->items, p->label);
        break;
    case SB_KEEPER_READY:
        set_ready(k);
        break;
    case SB_KEEPER_FOLLOW:
        follow(k, p);
        break;
    case SB_KEEPER_RENAME:
        sb_keeper_items_mark(k->items, true);
        break;
    case SB_KEEPER_BARRIER: /* its descriptor closes below */
    case SB_KEEPER_END:
        break;
    }
    sb_socket_close(&p->passenger);
}

/* All that it has said; also what a dead one said last. */
static void listen_to_broker(struct keeper *k)
{
    struct sb_keeper_packet p;
    sockbroker_status st;

    while (!(st = sb_keeper_receive(k->channel, &p)) || st == SOCKBROKER_BAD_MESSAGE || st == SOCKBROKER_NO_DESCRIPTORS) {
        if (!st)
            hear(k, &p);
        else
            note(SB_LOG_ERROR, "not_kept", "cause=\"%s\" cure=\"raise the descriptor limit (ulimit -n, LimitNOFILE)\"",
                 sockbroker_status_text(st));
    }
    if (st != SOCKBROKER_AGAIN)
        sb_socket_close(&k->channel); /* nobody is there to speak any more; its end is seen by the process */
}

/* Nothing is dropped before all is handed over: the broker listens first and speaks then. False: later, without an event. */
static bool hand_over(struct keeper *k)
{
    sockbroker_status st = SOCKBROKER_OK;

    while (k->handing_over && !st) {
        st = k->next ? sb_keeper_send(k->channel, SB_KEEPER_PUT, k->next->label, k->next->descriptor)
                     : sb_keeper_send(k->channel, SB_KEEPER_END, "", SOCKBROKER_SOCKET_NONE);
        if (st)
            break;
        k->handing_over = k->next != NULL;
        k->next = k->next ? k->next->next : NULL;
    }
    if (st && st != SOCKBROKER_AGAIN && st != SOCKBROKER_BUSY)
        k->handing_over = false; /* it is gone: its end says more */
    return st != SOCKBROKER_BUSY;
}

/* ---- signals ---- */

static void leave_broker(struct keeper *k)
{
    if (k->channel != SOCKBROKER_SOCKET_NONE)
        listen_to_broker(k);
    sb_socket_close(&k->channel);
    k->handing_over = false;
    sb_socket_close(&k->program);
    k->program = sb_socket_take(&k->broker.program);
    forget(&k->broker);
}

/* The one before has made way. */
static void forget_before(struct keeper *k)
{
    forget(&k->before);
    pass_stop_on(k);
}

static void on_child(struct keeper *k, pid_t pid, int status)
{
    if (pid == k->broker.pid && k->channel != SOCKBROKER_SOCKET_NONE)
        listen_to_broker(k); /* it may have said who follows */
    if (pid == k->before.pid) {
        forget_before(k);
    } else if (pid == k->broker.pid) {
        leave_broker(k);
        on_end(k, status);
    }
}

/* One that follows was the child of the one before, which may have waited for it and then ended too. */
static void look_for_lost(struct keeper *k)
{
    int status = SIGKILL;

    if (!k->broker.pid || k->before.pid || is_alive(&k->broker) || waitpid(k->broker.pid, &status, WNOHANG) == 0)
        return;
    leave_broker(k);
    on_end(k, status);
}

/* Processes that lost their parent below us end here too: nobody else waits for them. */
static void reap(struct keeper *k)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        on_child(k, pid, status);
    look_for_lost(k);
}

static void pass_on(struct keeper *k, int number)
{
    bool is_stop = number == SIGTERM || number == SIGINT || number == SIGQUIT;

    k->is_stopping |= is_stop;
    if (k->broker.pid && is_stop)
        stop_broker(k, number);
    else if (k->broker.pid)
        tell(&k->broker, number);
    else if (is_stop)
        end(k, SB_EXIT_OK); /* between two brokers */
}

static void on_signals(struct keeper *k)
{
    struct signalfd_siginfo s;

    while (read(k->signals, &s, sizeof(s)) == sizeof(s)) {
        if (s.ssi_signo == SIGCHLD)
            reap(k);
        else
            pass_on(k, (int)s.ssi_signo);
    }
}

static bool open_signals(struct keeper *k)
{
    static const int numbers[] = { SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR2, SIGCHLD };
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        sigaddset(&set, numbers[i]);
    if (sigprocmask(SIG_BLOCK, &set, NULL))
        return false;
    k->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return k->signals >= 0;
}

/* ---- the loop ---- */

static int wait_ms(const struct keeper *k, bool is_busy)
{
    uint64_t now_ms = sb_clock_ms();

    if (is_busy)
        return BUSY_MS;
    if (!k->start_at_ms)
        return -1;
    return k->start_at_ms > now_ms ? (int)(k->start_at_ms - now_ms) : 0;
}

static void run(struct keeper *k)
{
    bool is_busy = false;

    while (!k->is_over) {
        struct pollfd p[] = {
            { .fd = k->signals, .events = POLLIN },
            { .fd = k->channel, .events = (short)(POLLIN | (k->handing_over && !is_busy ? POLLOUT : 0)) },
            { .fd = k->before.pid ? k->broker.handle : -1, .events = POLLIN },
        };

        if (k->start_at_ms && sb_clock_ms() >= k->start_at_ms) {
            start_broker(k);
            continue;
        }
        poll(p, sizeof(p) / sizeof(p[0]), wait_ms(k, is_busy));
        if (k->handing_over)
            is_busy = !hand_over(k);
        else
            is_busy = false;
        if (p[1].revents && !k->handing_over && k->channel != SOCKBROKER_SOCKET_NONE)
            listen_to_broker(k);
        look_at_follower(k);
        on_signals(k);
    }
}

/* ---- start ---- */

/* What the starter of this process left open is nobody's here. */
static void close_others(const struct keeper *k)
{
    const struct sb_keeper_item *i;
    unsigned first = STDERR_FILENO + 1;

    DL_FOREACH(k->items, i) {
        if ((unsigned)i->descriptor >= first)
            first = (unsigned)i->descriptor + 1;
    }
    close_range(first, ~0u, 0);
}

/* The same name may have been given several times: each its own label. */
static void take_given(struct keeper *k)
{
    struct sb_given *list = NULL;
    struct sb_given *g;
    struct sockbroker_error error = { SOCKBROKER_OK, 0, "" };
    unsigned n = 0;

    if (sb_activation_take(&list, &error))
        note(SB_LOG_ERROR, "not_taken", "cause=\"%s\"", error.text);
    DL_FOREACH(list, g) {
        char label[SB_LABEL_MAX + 1];

        snprintf(label, sizeof(label), SB_GIVEN_PREFIX "%.200s/%u", g->label, n++);
        sb_keeper_items_put(&k->items, label, &g->descriptor); /* without memory it closes with the list */
    }
    sb_given_clear(&list);
}

bool sb_keeper_is_ours(void)
{
    return getenv(SB_KEEPER_VARIABLE) != NULL;
}

int sb_keeper_run(const struct sb_keeper_options *options)
{
    struct keeper k = { .options = options,
                        .pace = { .restarts = options->restarts, .window_ms = options->window_ms },
                        .broker = no_process,
                        .before = no_process,
                        .program = SOCKBROKER_SOCKET_NONE,
                        .channel = SOCKBROKER_SOCKET_NONE,
                        .start_at_ms = 1 };
    uint64_t limit;

    prctl(PR_SET_NAME, "sockbroker:keep"); /* 15 bytes are all there is room for */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    take_given(&k);
    close_others(&k);
    sb_process_raise_descriptors(0, &limit); /* not the hard one: what the broker may have is its own affair */
    if (!open_signals(&k)) {
        note(SB_LOG_ERROR, "keeper_failed", "cause=\"no descriptor for signals\" cure=\"raise the descriptor limit\"");
        sb_keeper_items_clear(&k.items);
        return SB_EXIT_FAILED;
    }
    run(&k);
    sb_keeper_items_clear(&k.items);
    close(k.signals);
    return k.exit_code;
}
