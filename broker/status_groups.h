/* status_groups.h: the part of the status that is about groups, for status_text.c and status_json.c. */
#ifndef SB_BROKER_STATUS_GROUPS_H
#define SB_BROKER_STATUS_GROUPS_H

#include <jansson.h>
#include <stdio.h>

#include "broker/ask.h"

/* NULL when memory is short. */
json_t *sb_status_groups_json(const struct sb_status_report *report);
void sb_status_groups_text(const struct sb_status_report *report, FILE *to);

#endif
