#include <stddef.h>

#include "broker/config_system.h"

const enum sb_keeping sb_config_system_keeper = SB_KEEPING_KEEPER;
const enum sb_carrier sb_config_system_carrier = SB_CARRIER_DIRECT;
const uint32_t sb_config_system_ack_timeout_ms = 10000;
const bool sb_config_system_fixes_users = false;

const char *sb_config_system_refuses(const struct sb_config *config)
{
    (void)config;
    return NULL;
}

const char *sb_config_system_refuses_endpoint(const struct sb_endpoint_config *endpoint)
{
    (void)endpoint;
    return NULL;
}

const char *sb_config_system_refuses_group(const struct sb_group_config *group)
{
    (void)group;
    return NULL;
}
