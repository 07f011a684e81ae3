#include "broker/keeper_core.h"

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
#include "broker/process.h"
#include "proto/socket.h"
#include "proto/xfer.h"

#define BROKERS_END 3 /* the descriptor's number in the broker */

struct process {
    pid_t pid; /* 0: none */
    int handle;
    int program; /* that it runs, which may be another one than ours after an upgrade; NONE: ours */
    bool is_told_to_stop;
};

struct keeper {
    struct sb_keeper core;
    int signals;
    struct process broker;
    int program;           /* of the last broker, once that has ended; NONE: ours */
    struct process before; /* the one that it follows, until that is gone */
};

bool sb_keeper_can_log(void)
{
    struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };

    return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT);
}

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
        execv(program, k->core.options->argv);
    _exit(127); /* as shells do; no end that the broker documents */
}

/* ---- life and death of a broker ---- */

static void start_broker(struct keeper *k)
{
    sockbroker_socket ours = SOCKBROKER_SOCKET_NONE, theirs = SOCKBROKER_SOCKET_NONE;
    pid_t parent = getpid();
    pid_t pid = -1;

    if (!sb_xfer_open_pair(&ours, &theirs)) {
        sb_xfer_accept_sockets(ours);
        pid = fork();
    }
    if (pid == 0)
        become_broker(k, theirs, parent);
    sb_socket_close(&theirs);
    if (pid < 0) {
        sb_socket_close(&ours);
        sb_keeper_failed(&k->core, "it could not be started: out of descriptors, processes or memory", SB_EXIT_FAILED);
        return;
    }
    k->broker = (struct process){ pid, open_handle(pid), sb_socket_take(&k->program), false };
    sb_keeper_begin(&k->core, &ours, SOCKBROKER_SOCKET_NONE);
    sb_keeper_note(SB_LOG_INFO, "broker_started", "pid=%d kept=%zu", (int)pid, sb_keeper_items_count(k->core.items));
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
    sb_keeper_ended(&k->core, is_documented(status), cause, code);
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
    if (k->core.is_stopping && !k->broker.is_told_to_stop)
        stop_broker(k, SIGTERM);
}

/* The process that was to follow died before its parent left: then that one goes on. */
static void look_at_follower(struct keeper *k)
{
    if (!k->before.pid || is_alive(&k->broker) || !is_alive(&k->before))
        return;
    sb_keeper_note(SB_LOG_WARNING, "follower_died", "pid=%d goes_on=%d", (int)k->broker.pid, (int)k->before.pid);
    forget(&k->broker);
    k->broker = k->before;
    k->before = no_process;
    k->core.is_ready = true;
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
        sb_keeper_note(SB_LOG_ERROR, "not_followed",
                       "pid=%d cause=\"no living process of this user, or one is followed already\"", (int)next.pid);
        forget(&next);
        return;
    }
    next.program = open_program(next.pid);
    k->before = k->broker;
    k->broker = next;
    k->core.is_ready = false;
    sb_keeper_note(SB_LOG_NOTICE, "broker_followed", "pid=%d after=%d", (int)next.pid, (int)k->before.pid);
    send(p->passenger, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void on_word(void *arg, const struct sb_keeper_packet *p)
{
    if (p->word == SB_KEEPER_FOLLOW) /* a barrier's descriptor is closed when this is done, and that is all it wants */
        follow(arg, p);
}

/* ---- signals ---- */

static void leave_broker(struct keeper *k)
{
    sb_keeper_leave(&k->core);
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
    if (pid == k->broker.pid) {
        k->core.handing_over = false;
        sb_keeper_listen(&k->core); /* it may have said who follows */
    }
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

    k->core.is_stopping |= is_stop;
    if (k->broker.pid && is_stop)
        stop_broker(k, number);
    else if (k->broker.pid)
        tell(&k->broker, number);
    else if (is_stop)
        sb_keeper_end(&k->core, SB_EXIT_OK); /* between two brokers */
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

static void run(struct keeper *k)
{
    struct sb_keeper *core = &k->core;
    bool is_busy = false;

    while (!core->is_over) {
        struct pollfd p[] = {
            { .fd = k->signals, .events = POLLIN },
            { .fd = core->channel, .events = (short)(POLLIN | (core->handing_over && !is_busy ? POLLOUT : 0)) },
            { .fd = k->before.pid ? k->broker.handle : -1, .events = POLLIN },
        };

        if (sb_keeper_is_due(core)) {
            start_broker(k);
            continue;
        }
        poll(p, sizeof(p) / sizeof(p[0]), sb_keeper_wait_ms(core, is_busy));
        is_busy = core->handing_over && !sb_keeper_hand_over(core);
        if (p[1].revents)
            sb_keeper_listen(core);
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

    DL_FOREACH(k->core.items, i) {
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
        sb_keeper_note(SB_LOG_ERROR, "not_taken", "cause=\"%s\"", error.text);
    DL_FOREACH(list, g) {
        char label[SB_LABEL_MAX + 1];

        snprintf(label, sizeof(label), SB_GIVEN_PREFIX "%.200s/%u", g->label, n++);
        sb_keeper_items_put(&k->core.items, label, &g->descriptor); /* without memory it closes with the list */
    }
    sb_given_clear(&list);
}

bool sb_keeper_is_ours(void)
{
    return getenv(SB_KEEPER_VARIABLE) != NULL;
}

int sb_keeper_exit_code(int code)
{
    return code;
}

int sb_keeper_run(const struct sb_keeper_options *options)
{
    struct keeper k = { .broker = no_process, .before = no_process, .program = SOCKBROKER_SOCKET_NONE };
    uint64_t limit;

    sb_keeper_init(&k.core, options, on_word, &k);
    prctl(PR_SET_NAME, "sockbroker:keep"); /* 15 bytes are all there is room for */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    take_given(&k);
    close_others(&k);
    sb_process_raise_descriptors(0, &limit); /* not the hard one: what the broker may have is its own affair */
    if (!open_signals(&k)) {
        sb_keeper_note(SB_LOG_ERROR, "keeper_failed",
                       "cause=\"no descriptor for signals\" cure=\"raise the descriptor limit\"");
        sb_keeper_items_clear(&k.core.items);
        return SB_EXIT_FAILED;
    }
    run(&k);
    sb_keeper_items_clear(&k.core.items);
    close(k.signals);
    return k.core.exit_code;
}
