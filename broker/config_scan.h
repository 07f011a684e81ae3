/* config_scan.h: reads a configuration text once before libconfuse does, for config_*.c only.
 *
 * libconfuse 3.3 counts lines wrong after a block comment, takes no comment inside a list, takes a missing last brace for
 * an end, skips what it does not know, replaces ${NAME}, and after an unclosed quote stays inside it for the next text.
 * So comments are blanked here, and everything of that kind is refused, with its line.
 */
#ifndef SB_BROKER_CONFIG_SCAN_H
#define SB_BROKER_CONFIG_SCAN_H

#include <stddef.h>

#include "sockbroker/status.h"

/* Changes the text in place: same length, same lines. OK; INVALID: *line_out is the line of the error. */
sockbroker_status sb_config_scan(char *text, size_t len, int *line_out, struct sockbroker_error *error_out);

/* The line on which block number n (from 0) of the top level begins; the text has passed sb_config_scan() and stays as
 * it is. */
int sb_config_scan_block_line(char *text, size_t n);

#endif
