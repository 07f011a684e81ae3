/* config_group.h: the part of sb_config_check() that looks at groups, for config_check.c only. */
#ifndef SB_BROKER_CONFIG_GROUP_H
#define SB_BROKER_CONFIG_GROUP_H

#include "broker/config.h"

sockbroker_status sb_config_check_groups(const struct sb_config *config, struct sockbroker_error *error_out);

#endif
