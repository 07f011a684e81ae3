#include "broker/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/process.h"
#include "proto/error.h"
#include "proto/failpoint.h"
#include "proto/oserr.h"
#include "proto/socket.h"

#define PROCESS_GROUP (1u << 2) /* PIDFD_SIGNAL_PROCESS_GROUP of linux/pidfd.h, which older headers do not have */
#define FIRST_NOT_STANDARD 3
#define CANNOT_START 127 /* as shells say it */

/* ---- in the child: only what is safe between fork() and exec() in a program with threads ---- */

/* What the child tells before it gives up. */
struct trouble {
    int step;
    int os_code;
};

enum { STEP_SESSION, STEP_DESCRIPTORS, STEP_GROUPS, STEP_USER, STEP_PROGRAM };

static void give_up(int trouble, int step)
{
    struct trouble t = { step, errno };
    ssize_t n = write(trouble, &t, sizeof(t));

    _exit(n == (ssize_t)sizeof(t) ? CANNOT_START : CANNOT_START - 1);
}

static void reset_signals(void)
{
    struct sigaction by_default = { .sa_handler = SIG_DFL };
    sigset_t none;

    for (int number = 1; number < NSIG; number++)
        sigaction(number, &by_default, NULL); /* for those that cannot be changed it fails, and need not */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void close_from(int first)
{
    if (syscall(SYS_close_range, first, ~0u, 0) == 0)
        return;
    for (long fd = first, end = sysconf(_SC_OPEN_MAX); fd < end; fd++) /* before Linux 5.9 */
        close((int)fd);
}

/* Standard input from nowhere, and nothing else but the trouble pipe, which goes with exec(). */
static int arrange_descriptors(int trouble)
{
    int nowhere = open("/dev/null", O_RDONLY);

    if (nowhere < 0 || dup2(nowhere, STDIN_FILENO) < 0)
        give_up(trouble, STEP_DESCRIPTORS);
    if (trouble != FIRST_NOT_STANDARD && dup2(trouble, FIRST_NOT_STANDARD) < 0)
        give_up(trouble, STEP_DESCRIPTORS);
    fcntl(FIRST_NOT_STANDARD, F_SETFD, FD_CLOEXEC);
    close_from(FIRST_NOT_STANDARD + 1);
    return FIRST_NOT_STANDARD;
}

/* The uid goes last: without root's, the rest could not be changed. */
static void become(const struct sb_account *user, int trouble)
{
    gid_t groups[SB_ACCOUNT_GROUPS_MAX];

    for (size_t i = 0; i < user->n_groups; i++)
        groups[i] = user->groups[i];
    if (setgroups(user->n_groups, groups) || setgid(user->gid))
        give_up(trouble, STEP_GROUPS);
    if (setuid(user->uid))
        give_up(trouble, STEP_USER);
}

/* All that the child needs, made before it is there. */
struct plan {
    char **command;
    char **environment;
    const struct sb_account *user; /* NULL: nothing to change */
};

static void run(const struct plan *p, int trouble)
{
    if (setsid() < 0)
        give_up(trouble, STEP_SESSION);
    trouble = arrange_descriptors(trouble);
    sb_process_restore_descriptors();
    if (p->user)
        become(p->user, trouble);
    reset_signals();
    execvpe(p->command[0], p->command, p->environment);
    give_up(trouble, STEP_PROGRAM);
}

/* ---- in the broker ---- */

static sockbroker_status fail(const struct plan *p, int os_code, struct sockbroker_error *error)
{
    return sb_oserr_set(error, os_code, p->command[0], "check the limits of processes and descriptors");
}

/* No signal may find the child with the handlers of the broker. Who ignores SIGCHLD does not learn how children end. */
static pid_t fork_quietly(const struct plan *p, int trouble)
{
    sigset_t all, before;
    pid_t pid;

    signal(SIGCHLD, SIG_DFL);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid = fork();
    if (pid == 0)
        run(p, trouble);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return pid;
}

/* Not reaped by anybody else, so the number is good until sb_child_bury(). */
static sockbroker_status watch(const struct plan *p, struct sb_child *c, struct sockbroker_error *error)
{
    c->handle = (int)syscall(SYS_pidfd_open, c->pid, 0);
    if (c->handle >= 0)
        return SOCKBROKER_OK;
    int os_code = errno;
    kill((pid_t)c->pid, SIGKILL);
    waitpid((pid_t)c->pid, NULL, 0);
    return fail(p, os_code, error);
}

static sockbroker_status start(const struct plan *p, struct sb_child *child_out, struct sockbroker_error *error)
{
    struct sb_child c = SB_CHILD_NONE;
    int ends[2];
    int os_code = sb_failpoint("spawn");

    if (os_code || pipe2(ends, O_CLOEXEC))
        return fail(p, os_code ? os_code : errno, error);
    pid_t pid = fork_quietly(p, ends[1]);
    os_code = errno;
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return fail(p, os_code, error);
    }
    c.pid = (uint32_t)pid;
    c.trouble = ends[0];
    fcntl(c.trouble, F_SETFL, O_NONBLOCK);
    sockbroker_status st = watch(p, &c, error);
    if (st)
        sb_socket_close(&c.trouble);
    else
        *child_out = c;
    return st;
}

/* As exec() wants it. */
static char **make_array(const struct sb_text_list *list)
{
    char **array = calloc(list->n + 1, sizeof(*array));

    for (size_t i = 0; array && i < list->n; i++)
        array[i] = list->texts[i];
    return array;
}

sockbroker_status sb_spawn(const struct sb_spawn_request *r, struct sb_child *child_out, struct sockbroker_error *error_out)
{
    const char *program = r->command->texts[0];
    struct plan p = { make_array(r->command), make_array(r->environment), NULL };
    sockbroker_status st;

    if (r->user && r->user->uid != geteuid())
        p.user = r->user;
    if (!p.command || !p.environment)
        st = sb_error_set(error_out, SOCKBROKER_NO_MEMORY, 0, "%s: out of memory", program);
    else if (p.user && geteuid() != 0)
        st = sb_oserr_set(error_out, EPERM, program,
                          "only a broker that runs as root may start workers as another user; leave the key user out");
    else
        st = start(&p, child_out, error_out);
    free(p.command);
    free(p.environment);
    return st;
}

sockbroker_status sb_child_adopt(uint32_t pid, sockbroker_socket handle, struct sb_child *child_out)
{
    struct sb_child c = { pid, SOCKBROKER_SOCKET_NONE, SOCKBROKER_SOCKET_NONE, SOCKBROKER_SOCKET_NONE, true };
    sockbroker_status st = sb_socket_duplicate(handle, &c.handle);

    if (!st)
        *child_out = c;
    return st;
}

bool sb_child_has(const struct sb_child *c, uint32_t pid)
{
    if (!c->pid || pid == c->pid)
        return c->pid != 0;
    return getpgid((pid_t)pid) == (pid_t)c->pid && (!c->adopted || !sb_child_wait(c, 0)); /* else the number may be another's */
}

/* The group by its leader's handle, since Linux 6.9; pidfd_send_signal(2). It is good also when the leader has ended. */
static bool signal_group(int handle, int number)
{
    return syscall(SYS_pidfd_send_signal, handle, number, NULL, PROCESS_GROUP) == 0;
}

static void signal_adopted(const struct sb_child *c, int number)
{
    if (!signal_group(c->handle, number))
        syscall(SYS_pidfd_send_signal, c->handle, number, NULL, 0);
}

/* Before setsid() the group is not there yet. */
void sb_child_end(const struct sb_child *c, bool at_once)
{
    int number = at_once ? SIGKILL : SIGTERM;

    if (c->pid && c->adopted)
        signal_adopted(c, number);
    else if (c->pid && kill(-(pid_t)c->pid, number) && errno == ESRCH)
        kill((pid_t)c->pid, number);
}

static void tell_trouble(const struct trouble *t, char how[SB_CHILD_END_MAX])
{
    static const char *const steps[] = { "a session of its own", "its descriptors", "its groups", "its user", "the program" };
    char text[96];

    snprintf(how, SB_CHILD_END_MAX, "could not be started: %s: %s", steps[t->step],
             sb_oserr_text(t->os_code, text, sizeof(text)));
}

static void tell_end(const struct sb_child *c, char how_out[SB_CHILD_END_MAX])
{
    struct trouble t;
    int status = 0;

    if (c->adopted)
        signal_group(c->handle, SIGKILL);
    else
        kill(-(pid_t)c->pid, SIGKILL); /* while the number is still taken */
    if (c->adopted || waitpid((pid_t)c->pid, &status, 0) < 0)
        snprintf(how_out, SB_CHILD_END_MAX, "ended in a way that nobody saw");
    else if (read(c->trouble, &t, sizeof(t)) == (ssize_t)sizeof(t))
        tell_trouble(&t, how_out);
    else if (WIFSIGNALED(status))
        snprintf(how_out, SB_CHILD_END_MAX, "was killed by signal %d", WTERMSIG(status));
    else
        snprintf(how_out, SB_CHILD_END_MAX, "exited with %d", WEXITSTATUS(status));
}

void sb_child_bury(struct sb_child *c, char how_out[SB_CHILD_END_MAX])
{
    tell_end(c, how_out);
    sb_socket_close(&c->handle);
    sb_socket_close(&c->trouble);
    c->pid = 0;
}

bool sb_child_wait(const struct sb_child *c, int timeout_ms)
{
    struct pollfd p = { .fd = c->handle, .events = POLLIN };
    int n;

    do {
        n = poll(&p, 1, timeout_ms);
    } while (n < 0 && errno == EINTR);
    return n > 0;
}
