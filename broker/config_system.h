/* config_system.h: what a configuration means on this system: defaults that depend on it, and settings that it cannot have.
 */
#ifndef SB_BROKER_CONFIG_SYSTEM_H
#define SB_BROKER_CONFIG_SYSTEM_H

#include "broker/config.h"

/* Defaults. */
extern const enum sb_keeping sb_config_system_keeper;
extern const enum sb_carrier sb_config_system_carrier;
extern const uint32_t sb_config_system_ack_timeout_ms;

/* Who may connect at all is settled when the broker starts. */
extern const bool sb_config_system_fixes_users;

/* Why this cannot be had here, and what to write instead; NULL when it can. */
const char *sb_config_system_refuses(const struct sb_config *config);
const char *sb_config_system_refuses_endpoint(const struct sb_endpoint_config *endpoint);
const char *sb_config_system_refuses_group(const struct sb_group_config *group);

#endif
