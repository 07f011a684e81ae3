#include "broker/ids.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* getpwnam(3): for a name that is not there, any of these or 0 is found in practice. */
static sockbroker_status not_answered(int code, int *os_code_out)
{
    *os_code_out = code;
    if (code == 0 || code == ENOENT || code == ESRCH || code == EBADF || code == EPERM)
        return SOCKBROKER_NOT_FOUND;
    return code == ENOMEM ? SOCKBROKER_NO_MEMORY : SOCKBROKER_SYSTEM;
}

bool sb_ids_has_numbers(void)
{
    return true;
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

static bool is_number(const char *text)
{
    return text[0] && !text[strspn(text, "0123456789")];
}

static bool copy_text(char *to, size_t room, const char *from)
{
    return (size_t)snprintf(to, room, "%s", from) < room;
}

sockbroker_status sb_ids_account(const char *text, struct sb_account *account_out, int *os_code_out)
{
    struct sb_account a = { 0 };
    gid_t groups[SB_ACCOUNT_GROUPS_MAX];
    int n = SB_ACCOUNT_GROUPS_MAX;

    errno = 0;
    const struct passwd *p = is_number(text) ? getpwuid((uid_t)strtoul(text, NULL, 10)) : getpwnam(text);
    if (!p)
        return not_answered(errno, os_code_out);
    a.uid = p->pw_uid;
    a.gid = p->pw_gid;
    if (!copy_text(a.name, sizeof(a.name), p->pw_name) || !copy_text(a.home, sizeof(a.home), p->pw_dir) ||
        getgrouplist(a.name, p->pw_gid, groups, &n) < 0)
        return SOCKBROKER_UNSUPPORTED;
    a.n_groups = (size_t)n;
    for (int i = 0; i < n; i++)
        a.groups[i] = groups[i];
    *account_out = a;
    return SOCKBROKER_OK;
}
