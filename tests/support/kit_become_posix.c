#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/support/kit_become.h"

bool kit_become(const char *uid, const char *gid)
{
    uid_t u = (uid_t)strtoul(uid, NULL, 10);
    gid_t g = (gid_t)strtoul(gid, NULL, 10);

    if (setgroups(0, NULL) || setresgid(g, g, g) || setresuid(u, u, u))
        return false;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* the change has cleared it */
    return true;
}

bool kit_starve(void)
{
    int lowest = dup(0);
    struct rlimit limit = { (rlim_t)lowest + 1, (rlim_t)lowest + 1 };

    close(lowest);
    return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}
