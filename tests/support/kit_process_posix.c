#include "tests/support/kit_process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/format.h"

#define PROCESSES_MAX 4096 /* polled at once */
#define PIPE_ROOM (1 << 20)

extern char **environ;

/* ---- start ---- */

/* What a child shall find: the test's own environment without SOCKBROKER_*, and `more`. */
static char **make_environment(const struct kit_start *how)
{
    size_t n = 0, at = 0;

    while (environ[n])
        n++;
    char **list = calloc(n + KIT_ENV_MAX + 1, sizeof(*list));
    if (!list)
        kit_fail("out of memory");
    for (size_t i = 0; i < n; i++) {
        if (strncmp(environ[i], "SOCKBROKER_", 11) && strncmp(environ[i], "NOTIFY_SOCKET=", 14))
            list[at++] = environ[i];
    }
    for (size_t i = 0; how && i < KIT_ENV_MAX && how->env[i]; i++)
        list[at++] = (char *)how->env[i];
    return list;
}

static void make_arguments(const char *program, const struct kit_start *how, char *list[KIT_ARGS_MAX + 2])
{
    size_t n = 0;

    list[n++] = (char *)program;
    for (size_t i = 0; how && i < KIT_ARGS_MAX && how->args[i]; i++)
        list[n++] = (char *)how->args[i];
    list[n] = NULL;
}

/* By way of high numbers: one may stand where another is to go. */
static void give(const struct kit_start *how)
{
    unsigned n = how ? how->n_give : 0;
    int high[KIT_GIVE_MAX];

    for (unsigned i = 0; i < n; i++)
        high[i] = fcntl(how->give[i], F_DUPFD, 3 + KIT_GIVE_MAX);
    for (unsigned i = 0; i < n; i++)
        dup2(high[i], 3 + (int)i);
    close_range(3 + n, ~0u, 0);
}

/* In the child: only what is safe between fork() and exec(). */
static void become(const char *program, char *const *args, char *const *environment, const struct kit_start *how, int in,
                   int out, pid_t parent)
{
    sigset_t none;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    dup2(in, 0);
    dup2(out, 1);
    dup2(out, 2);
    give(how);
    if (how && how->nofile) {
        struct rlimit limit = { how->nofile, how->nofile };

        if (setrlimit(RLIMIT_NOFILE, &limit))
            _exit(126);
    }
    execve(program, args, environment);
    _exit(127);
}

static void open_pipe(int ends[2])
{
    if (pipe2(ends, O_CLOEXEC))
        kit_fail("pipe2: %s", strerror(errno));
}

void kit_process_launch(struct kit_process *p, const char *program, const struct kit_start *how)
{
    char **environment = make_environment(how);
    char *args[KIT_ARGS_MAX + 2];
    int in[2], out[2];
    pid_t parent = getpid();

    make_arguments(program, how, args);
    open_pipe(in);
    open_pipe(out);
    p->pid = fork();
    if (p->pid == 0)
        become(program, args, environment, how, in[0], out[1], parent);
    free(environment);
    close(in[0]);
    close(out[1]);
    p->in = in[1];
    p->out = out[0];
    fcntl(p->in, F_SETFL, O_NONBLOCK);
    fcntl(p->out, F_SETFL, O_NONBLOCK);
    fcntl(p->out, F_SETPIPE_SZ, PIPE_ROOM);
}

/* ---- logs ---- */

/* False at the end of the stream. */
static bool read_log(struct kit_process *p)
{
    for (;;) {
        size_t room;
        char *into = kit_process_log_room(p, &room);
        ssize_t n = read(p->out, into, room);

        if (n <= 0)
            return n < 0 && (errno == EAGAIN || errno == EINTR);
        kit_process_log_grew(p, (size_t)n);
    }
}

/* A reader that is at its end is closed, so that poll() does not report it for ever. */
void kit_process_take_logs(int wait_ms)
{
    static struct pollfd fds[PROCESSES_MAX];
    static struct kit_process *of[PROCESSES_MAX];
    nfds_t n = 0;

    for (struct kit_process *p = kit_processes(); p && n < PROCESSES_MAX; p = p->next) {
        if (p->out < 0)
            continue;
        of[n] = p;
        fds[n++] = (struct pollfd){ p->out, POLLIN, 0 };
    }
    if (poll(fds, n, wait_ms) <= 0)
        return;
    for (nfds_t i = 0; i < n; i++) {
        if (fds[i].revents && !read_log(of[i])) {
            kit_process_close_end(&of[i]->out);
        }
    }
}

/* ---- life and end ---- */

bool kit_process_write(struct kit_process *p, const char *text, size_t len)
{
    return write(p->in, text, len) == (ssize_t)len;
}

/* Our end does not wait by itself. */
size_t kit_process_write_some(int in, const void *bytes, size_t len)
{
    struct pollfd writable = { in, POLLOUT, 0 };
    ssize_t n;

    do
        poll(&writable, 1, -1);
    while ((n = write(in, bytes, len)) < 0 && (errno == EAGAIN || errno == EINTR));
    return n < 0 ? 0 : (size_t)n;
}

void kit_process_close_end(int *end)
{
    if (*end >= 0)
        close(*end);
    *end = -1;
}

void kit_process_signal(struct kit_process *p, int number)
{
    if (p->pid <= 0 || kill(p->pid, number))
        kit_fail("%s is no more", p->title);
}

static bool is_task_stopped(const char *pid, const char *task)
{
    char path[64], text[512];

    format_text(path, sizeof(path), "/proc/%.10s/task/%.10s/stat", pid, task);
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    size_t n = fread(text, 1, sizeof(text) - 1, f);
    fclose(f);
    text[n] = '\0';
    const char *after_name = strrchr(text, ')');
    return after_name && after_name[1] == ' ' && after_name[2] == 'T';
}

/* All its threads: until its turn comes, one still does what it was woken for. */
static bool is_stopped(pid_t pid)
{
    char number[16], path[64];
    bool stopped = true;
    const struct dirent *task;

    format_text(number, sizeof(number), "%d", (int)pid);
    format_text(path, sizeof(path), "/proc/%s/task", number);
    DIR *tasks = opendir(path);
    if (!tasks)
        return false;
    while (stopped && (task = readdir(tasks)) != NULL)
        stopped = task->d_name[0] == '.' || is_task_stopped(number, task->d_name);
    closedir(tasks);
    return stopped;
}

void kit_process_ask_end(struct kit_process *p)
{
    kit_process_signal(p, SIGTERM);
}

void kit_process_ask_reload(struct kit_process *p)
{
    kit_process_signal(p, SIGHUP);
}

void kit_process_strike(struct kit_process *p)
{
    if (p->pid)
        kill(p->pid, SIGKILL);
}

void kit_process_halt(struct kit_process *p)
{
    kit_process_signal(p, SIGSTOP);
}

void kit_process_go_on(struct kit_process *p)
{
    kit_process_signal(p, SIGCONT);
}

void kit_process_wait_stopped(struct kit_process *p)
{
    kit_until(is_stopped(p->pid));
}

bool kit_process_reap(struct kit_process *p)
{
    int status;

    if (waitpid(p->pid, &status, WNOHANG) != p->pid)
        return false;
    p->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return true;
}

void kit_process_close(struct kit_process *p)
{
    (void)p; /* a process has a number here, no handle */
}

bool kit_process_has_children(void)
{
    int status;

    return waitpid(-1, &status, WNOHANG) >= 0;
}
