#include "tests/support/kit_process.h"

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

#define PROCESSES_MAX 4096 /* polled at once */
#define LOG_SHOWN 24000u   /* bytes of each log when a test fails */
#define PIPE_ROOM (1 << 20)

extern char **environ;

static struct kit_process *processes;

struct kit_process *kit_processes(void)
{
    return processes;
}

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

struct kit_process *kit_process_start(const char *title, const char *program, const struct kit_start *how)
{
    struct kit_process *p = calloc(1, sizeof(*p));
    char **environment = make_environment(how);
    char *args[KIT_ARGS_MAX + 2];
    int in[2], out[2];
    pid_t parent = getpid();

    if (!p)
        kit_fail("out of memory");
    make_arguments(program, how, args);
    open_pipe(in);
    open_pipe(out);
    snprintf(p->title, sizeof(p->title), "%s", title);
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
    p->next = processes;
    processes = p;
    if (p->pid < 0)
        kit_fail("fork: %s", strerror(errno));
    return p;
}

/* ---- logs ---- */

/* False at the end of the stream. */
static bool read_log(struct kit_process *p)
{
    for (;;) {
        if (p->log_room - p->log_len < 4096) {
            size_t room = p->log_room ? 2 * p->log_room : 16384;
            char *grown = realloc(p->log, room);

            if (!grown)
                abort();
            p->log = grown;
            p->log_room = room;
        }
        ssize_t n = read(p->out, p->log + p->log_len, p->log_room - p->log_len - 1);
        p->log[p->log_len + (n > 0 ? (size_t)n : 0)] = '\0';
        if (n <= 0)
            return n < 0 && (errno == EAGAIN || errno == EINTR);
        p->log_len += (size_t)n;
    }
}

/* A reader that is at its end is closed, so that poll() does not report it for ever. */
static void take_logs(int wait_ms)
{
    static struct pollfd fds[PROCESSES_MAX];
    static struct kit_process *of[PROCESSES_MAX];
    nfds_t n = 0;

    for (struct kit_process *p = processes; p && n < PROCESSES_MAX; p = p->next) {
        if (p->out < 0)
            continue;
        of[n] = p;
        fds[n++] = (struct pollfd){ p->out, POLLIN, 0 };
    }
    if (poll(fds, n, wait_ms) <= 0)
        return;
    for (nfds_t i = 0; i < n; i++) {
        if (fds[i].revents && !read_log(of[i])) {
            close(of[i]->out);
            of[i]->out = -1;
        }
    }
}

void kit_pause(unsigned ms)
{
    take_logs((int)ms);
}

static const char *find_log(struct kit_process *p, const char *text)
{
    return p->log ? strstr(p->log, text) : NULL;
}

bool kit_process_has_log(struct kit_process *p, const char *text)
{
    take_logs(0);
    return find_log(p, text) != NULL;
}

unsigned kit_process_count_log(struct kit_process *p, const char *text)
{
    unsigned n = 0;

    take_logs(0);
    for (const char *at = find_log(p, text); at; at = strstr(at + 1, text))
        n++;
    return n;
}

const char *kit_process_wait_log(struct kit_process *p, const char *text)
{
    uint64_t end_ms = kit_now_ms() + KIT_WAIT_MS;
    const char *found;

    while (!(found = find_log(p, text))) {
        if (kit_now_ms() > end_ms)
            kit_fail("%s did not say \"%s\"", p->title, text);
        if (p->out < 0)
            kit_fail("%s ended without saying \"%s\"", p->title, text);
        take_logs(100);
    }
    return found;
}

static void show_log(const struct kit_process *p)
{
    size_t skip = p->log_len > LOG_SHOWN ? p->log_len - LOG_SHOWN : 0;

    fprintf(stderr, "---- %s (pid %d)%s\n%s", p->title, (int)p->pid, skip ? " ..." : "", p->log ? p->log + skip : "");
}

void kit_fail(const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    take_logs(0);
    for (struct kit_process *p = processes; p; p = p->next)
        show_log(p);
    fprintf(stderr, "---- %s\n", text);
    fail_msg("%s", text);
    abort(); /* fail_msg() does not come back */
}

/* ---- life and end ---- */

void kit_process_tell(struct kit_process *p, const char *line)
{
    char text[128];
    int len = snprintf(text, sizeof(text), "%s\n", line);

    if (write(p->in, text, (size_t)len) != len)
        kit_fail("%s does not listen: %s", p->title, strerror(errno));
}

void kit_process_signal(struct kit_process *p, int number)
{
    if (p->pid <= 0 || kill(p->pid, number))
        kit_fail("%s is no more", p->title);
}

static bool is_stopped(pid_t pid)
{
    char path[64], text[512];

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    size_t n = fread(text, 1, sizeof(text) - 1, f);
    fclose(f);
    text[n] = '\0';
    const char *after_name = strrchr(text, ')');
    return after_name && after_name[1] == ' ' && after_name[2] == 'T';
}

void kit_process_wait_stopped(struct kit_process *p)
{
    int status;

    kit_until(waitpid(p->pid, &status, WUNTRACED | WNOHANG) > 0 || is_stopped(p->pid));
    if (!is_stopped(p->pid))
        kit_fail("%s did not stop but end", p->title);
}

bool kit_process_is_over(struct kit_process *p)
{
    int status;

    if (p->pid && waitpid(p->pid, &status, WNOHANG) == p->pid) {
        p->pid = 0;
        p->exit_status = status;
        take_logs(0);
    }
    return !p->pid;
}

int kit_process_wait(struct kit_process *p)
{
    uint64_t end_ms = kit_now_ms() + KIT_WAIT_MS;

    while (!kit_process_is_over(p)) {
        if (kit_now_ms() > end_ms)
            kit_fail("%s does not end", p->title);
        take_logs(5);
    }
    return WIFEXITED(p->exit_status) ? WEXITSTATUS(p->exit_status) : 128 + WTERMSIG(p->exit_status);
}

void kit_process_free(struct kit_process *p)
{
    struct kit_process **at = &processes;

    while (*at && *at != p)
        at = &(*at)->next;
    if (*at)
        *at = p->next;
    close(p->in);
    if (p->out >= 0)
        close(p->out);
    free(p->log);
    free(p);
}

void kit_process_kill(struct kit_process *p)
{
    if (p->pid)
        kill(p->pid, SIGKILL);
    kit_process_wait(p);
    kit_process_free(p);
}

unsigned kit_process_clear(void)
{
    unsigned n = 0;

    take_logs(0);
    for (; processes; n++) {
        struct kit_process *p = processes;

        show_log(p);
        if (p->pid > 0) {
            kill(p->pid, SIGKILL);
            waitpid(p->pid, NULL, 0);
        }
        kit_process_free(p);
    }
    return n;
}

struct kit_process *kit_run_start(const char *const *args)
{
    struct kit_start how = { .args = { NULL } };

    for (size_t i = 0; i < KIT_ARGS_MAX - 1 && args[i]; i++)
        how.args[i] = args[i];
    return kit_process_start(args[0], SB_BROKER_EXE, &how);
}

int kit_run(const char *const *args, char *output, size_t output_room)
{
    struct kit_process *p = kit_run_start(args);
    int code = kit_process_wait(p);
    while (p->out >= 0)
        take_logs(100);
    if (output)
        snprintf(output, output_room, "%s", p->log ? p->log : "");
    kit_process_free(p);
    return code;
}
