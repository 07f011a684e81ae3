/* CPU time from the scheduler's own accounting, in nanoseconds: /proc/PID/task/TID/schedstat, first field, summed
 * over all threads (/proc/PID/schedstat alone is the main thread). It needs CONFIG_SCHED_INFO, which about every
 * distribution kernel has; utime and stime would count in ticks of 4 to 10 ms. Without it we ask the process's
 * CPU clock, the same sum by another way; getrusage() cannot look at a living process that is not its caller.
 * A thread's figure is exact only while it sleeps, so the caller waits until the sums stand still.
 *
 * Interrupt work is charged to whoever runs at that moment (no CONFIG_IRQ_TIME_ACCOUNTING): on the loopback the
 * client's connect() pays for most of the handshake, and a close for the other side's reaction to it. */
#include <dirent.h>
#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "run.h"

#define MAX_CHILDREN 256

static bool read_number(const char *path, uint64_t *value_out)
{
    FILE *file = fopen(path, "re");
    bool ok = file && fscanf(file, "%" SCNu64, value_out) == 1;

    if (file)
        fclose(file);
    return ok;
}

static uint64_t cpu_clock_ns(pid_t pid)
{
    struct timespec t;
    clockid_t clock;

    if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &t))
        return 0;
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t cpu_process_ns(pid_t pid)
{
    char path[MAX_PATH];
    uint64_t sum = 0;
    uint64_t one;
    bool any = false;
    struct dirent *task;
    DIR *tasks;

    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    tasks = opendir(path);
    while (tasks && (task = readdir(tasks))) {
        snprintf(path, sizeof path, "/proc/%d/task/%.20s/schedstat", (int)pid, task->d_name);
        if (task->d_name[0] != '.' && read_number(path, &one)) {
            sum += one;
            any = true;
        }
    }
    if (tasks)
        closedir(tasks);
    return any ? sum : cpu_clock_ns(pid);
}

static bool is_among(pid_t pid, const pid_t *list, int n)
{
    for (int i = 0; i < n; i++)
        if (list[i] == pid)
            return true;
    return false;
}

uint64_t cpu_tree_ns(pid_t root, const pid_t *except, int n_except)
{
    pid_t children[MAX_CHILDREN];
    uint64_t sum;
    int n;

    if (is_among(root, except, n_except))
        return 0;
    sum = cpu_process_ns(root);
    n = process_children(root, children, MAX_CHILDREN);
    for (int i = 0; i < n; i++)
        sum += cpu_tree_ns(children[i], except, n_except);
    return sum;
}

/* Fields 16 and 17 of /proc/PID/stat, in ticks. They stand behind the name, which may contain anything. */
static uint64_t reaped_ns(pid_t pid)
{
    unsigned long long user;
    unsigned long long system;
    char path[64];
    char text[1024];
    const char *after_name;
    FILE *file;
    size_t n;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    file = fopen(path, "re");
    if (!file)
        return 0;
    n = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[n] = '\0';
    after_name = strrchr(text, ')');
    if (!after_name ||
        sscanf(after_name, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %llu %llu", &user, &system) != 2)
        return 0;
    return (user + system) * (1000000000u / (uint64_t)sysconf(_SC_CLK_TCK));
}

static uint64_t tree_with_reaped_ns(pid_t root, const pid_t *except, int n_except)
{
    pid_t children[MAX_CHILDREN];
    uint64_t sum;
    int n;

    if (is_among(root, except, n_except))
        return 0;
    sum = cpu_process_ns(root) + reaped_ns(root);
    n = process_children(root, children, MAX_CHILDREN);
    for (int i = 0; i < n; i++)
        sum += tree_with_reaped_ns(children[i], except, n_except);
    return sum;
}

static uint64_t timeval_ns(struct timeval t)
{
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_usec * 1000u;
}

uint64_t cpu_descendants_ns(const pid_t *except, int n_except)
{
    pid_t children[MAX_CHILDREN];
    int n = process_children(getpid(), children, MAX_CHILDREN);
    struct rusage reaped;
    uint64_t sum;

    getrusage(RUSAGE_CHILDREN, &reaped);
    sum = timeval_ns(reaped.ru_utime) + timeval_ns(reaped.ru_stime);
    for (int i = 0; i < n; i++)
        sum += tree_with_reaped_ns(children[i], except, n_except);
    return sum;
}
