/* Nobody keeps anything here: a socket lives in the processes that have it, and a keeper that takes copies of them would have
 * to be given each by name. keeper=no is the only setting (config_system_win32.c). */
#include "broker/custody_link.h"

#include "proto/error.h"

sockbroker_status sb_custody_link_open(enum sb_keeping keeping, struct sb_custody_link *link_out, struct sb_given **given_out,
                                       struct sockbroker_error *error_out)
{
    if (keeping != SB_KEEPING_NONE)
        return sb_error_set(error_out, SOCKBROKER_UNSUPPORTED, 0, "there is no keeper on this system; write keeper = no");
    *link_out = (struct sb_custody_link){ SB_CUSTODIAN_NOBODY, SOCKBROKER_SOCKET_NONE };
    *given_out = NULL;
    return SOCKBROKER_OK;
}

sockbroker_status sb_custody_link_put(const struct sb_custody_link *l, const char *label, sockbroker_socket sock)
{
    (void)l;
    (void)label;
    (void)sock;
    return SOCKBROKER_UNSUPPORTED;
}

sockbroker_status sb_custody_link_drop(const struct sb_custody_link *l, const char *label)
{
    (void)l;
    (void)label;
    return SOCKBROKER_UNSUPPORTED;
}

sockbroker_status sb_custody_link_ready(const struct sb_custody_link *l)
{
    (void)l;
    return SOCKBROKER_OK;
}

sockbroker_status sb_custody_link_settle(const struct sb_custody_link *l)
{
    (void)l;
    return SOCKBROKER_OK;
}

sockbroker_status sb_custody_link_join(enum sb_keeping keeping, sockbroker_socket channel, struct sb_custody_link *link_out)
{
    (void)keeping;
    (void)channel;
    *link_out = (struct sb_custody_link){ SB_CUSTODIAN_NOBODY, SOCKBROKER_SOCKET_NONE };
    return SOCKBROKER_OK;
}

sockbroker_status sb_custody_link_rename(const struct sb_custody_link *l)
{
    (void)l;
    return SOCKBROKER_OK;
}

bool sb_custody_link_bind_life(uint32_t first_parent)
{
    (void)first_parent;
    return true;
}

uint32_t sb_custody_link_parent(void)
{
    return 0;
}

/* A socket has another handle in each process, and no number of its own. */
uint64_t sb_custody_number(sockbroker_socket sock)
{
    (void)sock;
    return 0;
}
