/* destination.h: rules about where connections may be made to: "10.0.0.0/8", "10.0.0.0/8:443", "[2001:db8::/32]:8000-8099".
 */
#ifndef SB_BROKER_DESTINATION_H
#define SB_BROKER_DESTINATION_H

#include "broker/config.h"

/* A prefix or one address, as in sockbroker_prefix_parse(); an IPv6 one in brackets when ports follow. Without ports: all.
 * OK, INVALID. */
sockbroker_status sb_destination_rule_parse(const char *text, struct sb_destination_rule *rule_out,
                                            struct sockbroker_error *error_out);

/* "[2001:db8::/32]:443". Returns text_out. */
#define SB_DESTINATION_TEXT_MAX (SOCKBROKER_ADDR_TEXT_MAX + 16)
const char *sb_destination_rule_format(const struct sb_destination_rule *rule, char text_out[SB_DESTINATION_TEXT_MAX]);

/* The first rule that holds the address and port; NULL when none does. */
const struct sb_destination_rule *sb_destination_find(const struct sb_destination_list *list,
                                                      const struct sockbroker_addr *addr);

#endif
