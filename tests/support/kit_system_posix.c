#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/format.h"
#include "tests/support/kit_keeper.h"
#include "tests/support/kit_process.h"

bool kit_make_folder(char *path, size_t room)
{
    format_text(path, room, "/tmp/sbkit-XXXXXX");
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
    format_text(path, room, "/tmp/sbkit-%s-XXXXXX", name);
    int fd = mkstemp(path);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

unsigned kit_count_fds(int pid)
{
    char path[64];
    unsigned n = 0;

    format_text(path, sizeof(path), "/proc/%d/fd", pid);
    DIR *dir = opendir(path);
    if (!dir)
        kit_fail("%s: %s", path, strerror(errno));
    for (struct dirent *e = readdir(dir); e; e = readdir(dir))
        n += e->d_name[0] != '.';
    closedir(dir);
    return pid == getpid() ? n - 1 : n; /* the one that reads the directory */
}

void kit_broker_wait_idle_after_first_use(struct kit_broker *b)
{
    kit_broker_wait_idle_fds(b);
}

unsigned long kit_listener_number(int family, uint16_t port)
{
    char line[512];
    unsigned long found = 0;

    FILE *f = fopen(family == AF_INET ? "/proc/net/tcp" : "/proc/net/tcp6", "re");
    while (f && fgets(line, sizeof(line), f)) {
        unsigned own_port, state;
        unsigned long inode;

        if (sscanf(line, " %*d: %*32[0-9A-F]:%x %*32[0-9A-F]:%*x %x %*x:%*x %*x:%*x %*x %*u %*d %lu", &own_port, &state,
                   &inode) == 3 &&
            own_port == port && state == 0x0A)
            found = inode;
    }
    if (f)
        fclose(f);
    return found;
}

bool kit_kill_pid(int pid)
{
    return kill(pid, SIGKILL) == 0;
}

bool kit_is_gone(int pid)
{
    return kill(pid, 0) && errno == ESRCH;
}
