/* Processes that never outlive the driver: it adopts orphans (child subreaper) and kills them at the end;
 * should the driver itself be killed, its children get SIGKILL and theirs see an end of file. */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "run.h"

static volatile sig_atomic_t stop_asked;

static void on_signal(int signo)
{
    (void)signo;
    stop_asked = 1;
}

bool interrupted(void)
{
    return stop_asked;
}

void catch_interrupts(void)
{
    struct sigaction act = { .sa_handler = on_signal };

    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    sigaction(SIGHUP, &act, NULL);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
}

static _Noreturn void become(char *const argv[], int out, int log, pid_t parent)
{
    int nothing = open("/dev/null", O_RDONLY);

    setpgid(0, 0); /* Ctrl-C reaches the driver only, which then stops everything in order */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    dup2(nothing, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    execvp(argv[0], argv);
    perror(argv[0]);
    _exit(127);
}

pid_t process_start(char *const argv[], const char *log_path, int *stdout_out)
{
    int log = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int ends[2] = { -1, -1 };
    pid_t parent = getpid();
    pid_t pid;

    if (log < 0 || (stdout_out && pipe2(ends, O_CLOEXEC))) {
        perror(log_path);
        exit(1);
    }
    pid = fork();
    if (pid == 0)
        become(argv, stdout_out ? ends[1] : log, log, parent);
    if (pid < 0) {
        perror("fork");
        exit(1);
    }
    close(log);
    if (stdout_out) {
        close(ends[1]);
        *stdout_out = ends[0];
    }
    return pid;
}

int64_t process_clock_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void process_pause_ms(int ms)
{
    poll(NULL, 0, ms);
}

bool process_read_line(int from, char *line, size_t line_size, int timeout_ms)
{
    int64_t deadline_ms = process_clock_ms() + timeout_ms;
    struct pollfd readable = { .fd = from, .events = POLLIN };
    size_t n = 0;

    while (!interrupted() && n + 1 < line_size) {
        int64_t left_ms = deadline_ms - process_clock_ms();

        if (left_ms <= 0)
            return false;
        if (poll(&readable, 1, (int)left_ms) <= 0)
            continue;
        if (read(from, line + n, 1) != 1)
            return false;
        if (line[n] == '\n') {
            line[n] = '\0';
            return true;
        }
        n++;
    }
    return false;
}

bool process_has_ended(pid_t pid)
{
    siginfo_t info = { 0 };

    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid != 0;
}

int process_wait(pid_t pid, int timeout_ms)
{
    int64_t deadline_ms = process_clock_ms() + timeout_ms;
    int status;

    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (process_clock_ms() >= deadline_ms) {
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
            return -1;
        }
        process_pause_ms(1);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int children_of_thread(pid_t process, const char *thread, pid_t *children_out, int max)
{
    char path[MAX_PATH];
    FILE *children;
    int n = 0;

    snprintf(path, sizeof path, "/proc/%d/task/%.20s/children", (int)process, thread);
    children = fopen(path, "re");
    while (children && n < max && fscanf(children, "%d", &children_out[n]) == 1)
        n++;
    if (children)
        fclose(children);
    return n;
}

int process_children(pid_t parent, pid_t *children_out, int max)
{
    char path[MAX_PATH];
    struct dirent *task;
    int n = 0;
    DIR *tasks;

    snprintf(path, sizeof path, "/proc/%d/task", (int)parent);
    tasks = opendir(path);
    while (tasks && (task = readdir(tasks)))
        if (task->d_name[0] != '.')
            n += children_of_thread(parent, task->d_name, children_out + n, max - n);
    if (tasks)
        closedir(tasks);
    return n;
}

static bool is_called(pid_t pid, const char *name)
{
    char path[64];
    char line[64] = "";
    FILE *comm;

    snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
    comm = fopen(path, "re");
    if (comm && fgets(line, sizeof line, comm))
        line[strcspn(line, "\n")] = '\0';
    if (comm)
        fclose(comm);
    return strcmp(line, name) == 0;
}

pid_t process_child_called(pid_t parent, const char *name)
{
    pid_t children[MAX_WORKERS];
    int n = process_children(parent, children, MAX_WORKERS);

    for (int i = 0; i < n; i++)
        if (is_called(children[i], name))
            return children[i];
    return 0;
}

bool process_await(bool (*holds)(void *), void *arg, int timeout_ms)
{
    int64_t deadline_ms = process_clock_ms() + timeout_ms;

    while (!holds(arg)) {
        if (interrupted() || process_clock_ms() >= deadline_ms)
            return false;
        process_pause_ms(1);
    }
    return true;
}

void process_end_all(void)
{
    pid_t pid;

    /* killing one may hand us its children, so look again until none is left */
    while (process_children(getpid(), &pid, 1) == 1) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
}
