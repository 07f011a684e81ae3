#include "broker/ids.h"

#include <stdio.h>

#include "proto/sid_win32.h"

bool sb_ids_has_numbers(void)
{
    return false;
}

sockbroker_status sb_ids_user(const char *name, uint32_t *uid_out, int *os_code_out)
{
    *os_code_out = 0;
    return sb_sid_read(name, uid_out);
}

sockbroker_status sb_ids_group(const char *name, uint32_t *gid_out, int *os_code_out)
{
    return sb_ids_user(name, gid_out, os_code_out);
}

/* Its groups and its home are the system's business here: nobody is made to run as it (config_system_win32.c). */
sockbroker_status sb_ids_account(const char *text, struct sb_account *account_out, int *os_code_out)
{
    struct sb_account a = { 0 };
    sockbroker_status st = sb_ids_user(text, &a.uid, os_code_out);

    if (st)
        return st;
    if ((size_t)snprintf(a.name, sizeof(a.name), "%s", text) >= sizeof(a.name))
        return SOCKBROKER_UNSUPPORTED;
    *account_out = a;
    return SOCKBROKER_OK;
}
