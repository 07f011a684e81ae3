#include "broker/ids.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>

/* getpwnam(3): for a name that is not there, any of these or 0 is found in practice. */
static sockbroker_status not_answered(int code, int *os_code_out)
{
    *os_code_out = code;
    if (code == 0 || code == ENOENT || code == ESRCH || code == EBADF || code == EPERM)
        return SOCKBROKER_NOT_FOUND;
    return code == ENOMEM ? SOCKBROKER_NO_MEMORY : SOCKBROKER_SYSTEM;
}

sockbroker_status sb_ids_user(const char *name, uint32_t *uid_out, int *os_code_out)
{
    const struct passwd *user;

    errno = 0;
    user = getpwnam(name);
    if (!user)
        return not_answered(errno, os_code_out);
    *uid_out = user->pw_uid;
    return SOCKBROKER_OK;
}

sockbroker_status sb_ids_group(const char *name, uint32_t *gid_out, int *os_code_out)
{
    const struct group *group;

    errno = 0;
    group = getgrnam(name);
    if (!group)
        return not_answered(errno, os_code_out);
    *gid_out = group->gr_gid;
    return SOCKBROKER_OK;
}
