/* Processes that never outlive the driver: it adopts orphans (child subreaper) and kills them at the end;
 * should the driver itself be killed, its children get SIGKILL and theirs see an end of file. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
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

static int64_t clock_ms(void)
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
    int64_t deadline_ms = clock_ms() + timeout_ms;
    struct pollfd readable = { .fd = from, .events = POLLIN };
    size_t n = 0;

    while (!interrupted() && n + 1 < line_size) {
        int64_t left_ms = deadline_ms - clock_ms();

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
    int64_t deadline_ms = clock_ms() + timeout_ms;
    int status;

    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (clock_ms() >= deadline_ms) {
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
            return -1;
        }
        process_pause_ms(1);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void process_end_all(void)
{
    char path[64];
    int pid;

    /* killing one may hand us its children, so look again until none is left */
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    for (;;) {
        FILE *children = fopen(path, "re");
        bool any = children && fscanf(children, "%d", &pid) == 1;

        if (children)
            fclose(children);
        if (!any)
            return;
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
}
