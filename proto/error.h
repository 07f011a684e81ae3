/* error.h: fill in a sockbroker_error; make foreign text fit to print. */
#ifndef SB_PROTO_ERROR_H
#define SB_PROTO_ERROR_H

#include <stddef.h>

#include "proto/printf.h"
#include "sockbroker/status.h"

/* Writes the sentence (printf form, cut to fit) and returns `status`, so that `return sb_error_set(...)` reads well.
 * error may be NULL. */
sockbroker_status sb_error_set(struct sockbroker_error *error, sockbroker_status status, int os_code, const char *format, ...)
    SB_PRINTF(4, 5);

#define SB_QUOTE_MAX 96

/* Text that came from outside, fit for a log line or an error: control characters, quotes, backslashes and bytes
 * above 0x7e become \xNN; cut with "..." when it does not fit. len is the number of bytes to read; NULs are data.
 * Returns out. */
const char *sb_quote(const char *text, size_t len, char *out, size_t out_size);

#endif
