/* On what machine it ran; the middle of many values. */
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "run.h"

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

double median(double *values, size_t n)
{
    if (n == 0)
        return 0;
    qsort(values, n, sizeof *values, by_value);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

void machine_processor(char name_out[128])
{
    FILE *info = fopen("/proc/cpuinfo", "re");
    char line[256];

    strcpy(name_out, "unknown processor");
    while (info && fgets(line, sizeof line, info))
        if (sscanf(line, "model name : %127[^\n]", name_out) == 1)
            break;
    if (info)
        fclose(info);
}

static void load_average(char text_out[32])
{
    FILE *file = fopen("/proc/loadavg", "re");

    if (!file || fscanf(file, "%31s", text_out) != 1)
        strcpy(text_out, "?");
    if (file)
        fclose(file);
}

void report_machine(FILE *to)
{
    struct utsname u;
    char processor[128];
    char load[32];

    uname(&u);
    machine_processor(processor);
    load_average(load);
    fprintf(to, "%ld cores, %s, %s %s %s, load average %s\n", sysconf(_SC_NPROCESSORS_ONLN), processor, u.sysname, u.release,
            u.machine, load);
}
