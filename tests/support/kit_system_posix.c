#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/kit_keeper.h"
#include "tests/support/kit_process.h"

bool kit_make_folder(char *path, size_t room)
{
    snprintf(path, room, "/tmp/sbkit-XXXXXX");
    return mkdtemp(path) != NULL;
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

bool kit_remove_folder(const char *path)
{
    return nftw(path, remove_entry, 8, FTW_DEPTH | FTW_PHYS) == 0;
}

bool kit_make_file(const char *name, char *path, size_t room)
{
    snprintf(path, room, "/tmp/sbkit-%s-XXXXXX", name);
    int fd = mkstemp(path);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

unsigned kit_count_fds(int pid)
{
    char path[64];
    unsigned n = 0;

    snprintf(path, sizeof(path), "/proc/%d/fd", pid);
    DIR *dir = opendir(path);
    if (!dir)
        kit_fail("%s: %s", path, strerror(errno));
    for (struct dirent *e = readdir(dir); e; e = readdir(dir))
        n += e->d_name[0] != '.';
    closedir(dir);
    return pid == getpid() ? n - 1 : n; /* the one that reads the directory */
}

void kit_broker_reload(struct kit_broker *b, const char *event)
{
    unsigned before = kit_process_count_log(b->process, event);

    kit_process_signal(b->process, SIGHUP);
    kit_until(kit_process_count_log(b->process, event) > before);
}

bool kit_kill_pid(int pid)
{
    return kill(pid, SIGKILL) == 0;
}

bool kit_is_gone(int pid)
{
    return kill(pid, 0) && errno == ESRCH;
}
