#include <stddef.h>

#include "broker/config_system.h"

const enum sb_keeping sb_config_system_keeper = SB_KEEPING_KEEPER;
const enum sb_carrier sb_config_system_carrier = SB_CARRIER_MESSAGE;
const uint32_t sb_config_system_ack_timeout_ms = 15000; /* nothing can be withdrawn before: a worker is ended after 30 s */
const bool sb_config_system_fixes_users = true; /* in the rules of the pipe */

const char *sb_config_system_refuses(const struct sb_config *config)
{
    if (config->keeper == SB_KEEPING_SYSTEMD)
        return "keeper = systemd: Windows has no systemd; leave it out, and a keeper holds the sockets for a broker that "
               "crashes";
    if (config->dir_mode != 0700)
        return "dir_mode: pipes have no mode; leave it out, and name other accounts in allow_uid";
    return NULL;
}

const char *sb_config_system_refuses_endpoint(const struct sb_endpoint_config *endpoint)
{
    if (endpoint->mode == SB_MODE_SHARD)
        return "mode = shard needs groups of sockets on one address, which Windows does not have; use mode = share or "
               "mode = handoff";
    if (endpoint->carrier != SB_CARRIER_MESSAGE)
        return "carrier = direct needs packets that carry sockets, which Windows does not have; leave it out";
    if (endpoint->allow_gid.n)
        return "allow_gid: accounts are admitted one by one on Windows; name them in allow_uid";
    return NULL;
}

const char *sb_config_system_refuses_group(const struct sb_group_config *group)
{
    if (group->user)
        return "user: another account needs its password on Windows; leave it out, or run those workers as a service of their "
               "own";
    return NULL;
}
