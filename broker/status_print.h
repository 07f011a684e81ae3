/* status_print.h: the status as text for people and as JSON for programs (schema 1, broker/README.md). */
#ifndef SB_BROKER_STATUS_PRINT_H
#define SB_BROKER_STATUS_PRINT_H

#include <stdio.h>

#include "broker/ask.h"

#define SB_STATUS_SCHEMA 1

/* False when memory or the output failed. */
bool sb_status_print_text(const struct sb_status_report *report, FILE *to);
bool sb_status_print_json(const struct sb_status_report *report, FILE *to);

#endif
