#include "broker/process.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

void sb_process_ignore_sigpipe(void)
{
    signal(SIGPIPE, SIG_IGN);
}

bool sb_process_is_own_user(uint32_t uid)
{
    return uid == geteuid() || uid == 0;
}

bool sb_process_exists(uint32_t pid)
{
    return kill((pid_t)pid, 0) == 0 || errno != ESRCH;
}

static struct rlimit first_limit; /* 0: it was never changed */

void sb_process_restore_descriptors(void)
{
    if (first_limit.rlim_max)
        setrlimit(RLIMIT_NOFILE, &first_limit);
}

void sb_process_first_descriptors(uint64_t *soft_out, uint64_t *hard_out)
{
    *soft_out = first_limit.rlim_cur;
    *hard_out = first_limit.rlim_max;
}

void sb_process_set_first_descriptors(uint64_t soft, uint64_t hard)
{
    first_limit = (struct rlimit){ soft, hard };
}

bool sb_process_full_path(const char *path, char *full_out, size_t room)
{
    char full[PATH_MAX];

    return realpath(path, full) && (size_t)snprintf(full_out, room, "%s", full) < room;
}

void sb_process_raise_descriptors(uint64_t wanted, uint64_t *limit_out)
{
    struct rlimit limit = { 1024, 1024 };

    getrlimit(RLIMIT_NOFILE, &limit);
    if (!first_limit.rlim_max)
        first_limit = limit;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max < wanted) {
        struct rlimit more = { wanted, wanted };

        if (setrlimit(RLIMIT_NOFILE, &more) == 0) /* needs CAP_SYS_RESOURCE */
            limit = more;
    }
    *limit_out = limit.rlim_cur;
}

void sb_process_unblock_signals(void)
{
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

void sb_process_ignore_upgrade(void)
{
    signal(SIGUSR2, SIG_IGN);
}

bool sb_process_take_arguments(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    return true;
}

void sb_process_set_name(const char *name)
{
    prctl(PR_SET_NAME, name);
}
