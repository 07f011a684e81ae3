/* takeover_spawn_posix.c: the process that will be the broker. */
#include "broker/takeover_link.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/error.h"
#include "proto/oserr.h"
#include "proto/socket.h"

#define FIRST_FREE 3 /* where it finds its end; 0, 1 and 2 are as ours */
#define ARGS_MAX 512
#define CANNOT_START 127 /* as shells say it */
#define KILLED_MS 1000   /* to die of SIGKILL takes no time, unless the system hangs */

extern char **environ;

/* The link of a file that was removed or renamed over ends so; proc(5). */
static void cut_deleted(char *path)
{
    static const char mark[] = " (deleted)";
    size_t len = strlen(path);

    if (len > sizeof(mark) && !strcmp(path + len - (sizeof(mark) - 1), mark))
        path[len - (sizeof(mark) - 1)] = '\0';
}

sockbroker_status sb_takeover_own_binary(char path_out[SB_BINARY_ROOM], struct sockbroker_error *error_out)
{
    ssize_t n = readlink("/proc/self/exe", path_out, SB_BINARY_MAX);

    if (n <= 0 || n == SB_BINARY_MAX)
        return sb_error_set(error_out, SOCKBROKER_SYSTEM, errno,
                            "the broker's own file cannot be found; name it with --binary");
    path_out[n] = '\0';
    cut_deleted(path_out);
    return SOCKBROKER_OK;
}

/* Ours, and the number of its end. NULL: out of memory. The list is yours, its entries are not. */
static char **make_environment(char *entry)
{
    static const char name[] = SB_TAKEOVER_VARIABLE "=";
    size_t n = 0, at = 0;

    while (environ[n])
        n++;
    char **list = calloc(n + 2, sizeof(*list));
    for (size_t i = 0; list && i < n; i++) {
        if (strncmp(environ[i], name, sizeof(name) - 1))
            list[at++] = environ[i];
    }
    if (list)
        list[at] = entry;
    return list;
}

static bool make_arguments(const char *binary, char *const *args, const char *list[ARGS_MAX])
{
    size_t n = 0;

    list[n++] = binary;
    while (*args && n < ARGS_MAX - 1)
        list[n++] = *args++;
    list[n] = NULL;
    return !*args;
}

/* ---- in the child: only what is safe between fork() and exec() in a program with threads ---- */

struct plan {
    const char *binary;
    char *const *args, *const *environment;
    sockbroker_socket end;
    pid_t parent; /* to die with; 0: it does not */
};

static void give_up(int trouble)
{
    int code = errno;

    _exit(write(trouble, &code, sizeof(code)) == (ssize_t)sizeof(code) ? CANNOT_START : CANNOT_START - 1);
}

/* Its end of the pair, and behind it the trouble pipe, which goes with exec(). Returns the new number of that. */
static int arrange_descriptors(sockbroker_socket end, int trouble)
{
    int spare = fcntl(trouble, F_DUPFD, FIRST_FREE + 2); /* out of the way of both */

    if (spare < 0)
        give_up(trouble);
    if (end == FIRST_FREE ? fcntl(end, F_SETFD, 0) : dup2(end, FIRST_FREE) < 0)
        give_up(spare);
    dup2(spare, FIRST_FREE + 1);
    fcntl(FIRST_FREE + 1, F_SETFD, FD_CLOEXEC);
    if (syscall(SYS_close_range, FIRST_FREE + 2, ~0u, 0))
        give_up(FIRST_FREE + 1);
    return FIRST_FREE + 1;
}

/* A program that is no broker, or hangs before it knows that it is one, has the lock of the directory: below a keeper, which
 * could start no other, it dies with us. A broker ends that (sb_takeover_inherited_end); without a keeper it is the only hope.
 */
static void run(const struct plan *p, int trouble)
{
    struct sigaction by_default = { .sa_handler = SIG_DFL };
    sigset_t none;

    if (p->parent && (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != p->parent))
        give_up(trouble);
    trouble = arrange_descriptors(p->end, trouble);
    for (int number = 1; number < NSIG; number++)
        sigaction(number, &by_default, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execve(p->binary, p->args, p->environment);
    give_up(trouble);
}

/* ---- in the broker ---- */

static pid_t fork_quietly(const struct plan *p, int trouble)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid == 0)
        run(p, trouble);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return pid;
}

/* Its signals are as at login, its descriptors what it is given: nothing of ours leaks into it. 0, or why not. */
static int start(const struct plan *p, pid_t *pid_out)
{
    int ends[2];
    int code = 0;

    if (pipe2(ends, O_CLOEXEC))
        return errno;
    pid_t pid = fork_quietly(p, ends[1]);
    if (pid < 0)
        code = errno;
    close(ends[1]);
    if (pid > 0 && read(ends[0], &code, sizeof(code)) > 0) /* else exec() has closed it */
        waitpid(pid, NULL, 0);
    close(ends[0]);
    *pid_out = pid;
    return code;
}

static sockbroker_status watch(pid_t pid, struct sb_peer *peer_out, struct sockbroker_error *error)
{
    int handle = (int)syscall(SYS_pidfd_open, pid, 0); /* it is our child and not waited for: the number is still its own */

    if (handle < 0) {
        int code = errno;

        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        return sb_oserr_set(error, code, "a handle of the new broker", "check the descriptor limit");
    }
    *peer_out = (struct sb_peer){ (uint32_t)pid, geteuid(), getegid(), handle };
    return SOCKBROKER_OK;
}

sockbroker_status sb_takeover_spawn(const char *binary, char *const *args, sockbroker_socket end, bool dies_with_us,
                                    struct sb_peer *peer_out, struct sockbroker_error *error_out)
{
    const char *list[ARGS_MAX];
    char entry[sizeof(SB_TAKEOVER_VARIABLE) + 12];
    pid_t pid = -1;

    snprintf(entry, sizeof(entry), "%s=%d", SB_TAKEOVER_VARIABLE, FIRST_FREE);
    char **environment = make_environment(entry);
    if (!environment || !make_arguments(binary, args, list)) {
        free(environment);
        return sb_error_set(error_out, SOCKBROKER_NO_MEMORY, 0, "no memory for the arguments of the new broker");
    }
    const struct plan plan = { binary, (char *const *)(uintptr_t)list, environment, end, dies_with_us ? getpid() : 0 };
    int code = start(&plan, &pid);
    free(environment);
    if (code)
        return sb_oserr_set(error_out, code, binary, "name a sockbroker that may be run, with --binary");
    return watch(pid, peer_out, error_out);
}

bool sb_takeover_wait_end(const struct sb_peer *peer, uint32_t wait_ms)
{
    struct pollfd p = { .fd = peer->handle, .events = POLLIN };

    return peer->handle < 0 || poll(&p, 1, (int)wait_ms) > 0;
}

const char *sb_takeover_reap(const struct sb_peer *peer, uint32_t wait_ms, char *text_out, size_t text_size)
{
    int status = 0;
    bool by_itself = sb_takeover_wait_end(peer, wait_ms);

    if (!by_itself) {
        sb_peer_kill(peer);
        sb_takeover_wait_end(peer, KILLED_MS);
    }
    pid_t pid = waitpid((pid_t)peer->pid, &status, WNOHANG);
    if (pid <= 0 || !by_itself)
        snprintf(text_out, text_size, "was killed");
    else if (WIFEXITED(status))
        snprintf(text_out, text_size, "ended with exit code %d", WEXITSTATUS(status));
    else
        snprintf(text_out, text_size, "was ended by signal %d", WTERMSIG(status));
    return text_out;
}
