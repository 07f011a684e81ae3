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
#include <time.h>

#include "run.h"

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

static uint64_t children_of_thread_ns(pid_t root, const char *thread, const pid_t *except, int n_except)
{
    char path[MAX_PATH];
    uint64_t sum = 0;
    FILE *children;
    int child;

    snprintf(path, sizeof path, "/proc/%d/task/%.20s/children", (int)root, thread);
    children = fopen(path, "re");
    while (children && fscanf(children, "%d", &child) == 1)
        sum += cpu_tree_ns(child, except, n_except);
    if (children)
        fclose(children);
    return sum;
}

uint64_t cpu_tree_ns(pid_t root, const pid_t *except, int n_except)
{
    char path[MAX_PATH];
    struct dirent *task;
    uint64_t sum;
    DIR *tasks;

    if (is_among(root, except, n_except))
        return 0;
    sum = cpu_process_ns(root);
    snprintf(path, sizeof path, "/proc/%d/task", (int)root);
    tasks = opendir(path);
    while (tasks && (task = readdir(tasks)))
        if (task->d_name[0] != '.')
            sum += children_of_thread_ns(root, task->d_name, except, n_except);
    if (tasks)
        closedir(tasks);
    return sum;
}
