#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/supervise_kit.h"
#include "tests/support/format.h"

const char how_struck[] = "how=\"was killed by signal 9\"";
const bool can_ask = true;

void supervise_take_orphans(void)
{
    prctl(PR_SET_CHILD_SUBREAPER, 1);
}

static pid_t parent_of(const char *pid)
{
    char path[64], text[512];
    int parent = 0;

    format_text(path, sizeof(path), "/proc/%.20s/stat", pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    size_t n = fread(text, 1, sizeof(text) - 1, f);
    fclose(f);
    text[n] = '\0';
    const char *after_name = strrchr(text, ')');
    return after_name && sscanf(after_name, ") %*c %d", &parent) == 1 ? parent : 0;
}

void supervise_end_orphans(void)
{
    DIR *dir = opendir("/proc");

    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        if (e->d_name[0] < '1' || e->d_name[0] > '9' || parent_of(e->d_name) != getpid())
            continue;
        pid_t pid = (pid_t)atoi(e->d_name);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    closedir(dir);
}

void supervise_wait_orphan(uint32_t pid)
{
    kit_until(waitpid((pid_t)pid, NULL, WNOHANG) != 0);
}

void strike(uint32_t pid)
{
    kill((pid_t)pid, SIGKILL);
}
