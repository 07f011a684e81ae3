/* link.h: how a worker gets its end of the session's pair. */
#ifndef SB_CLIENT_LINK_H
#define SB_CLIENT_LINK_H

#include "proto/wire.h"

/* Shows the token at the broker's handoff socket and takes the worker's end. `end_out` is yours on OK.
 * OK, NO_BROKER, TIMEOUT, CLOSED, BAD_MESSAGE, what the broker answered, and the system's failures. */
sockbroker_status sb_link_open(const char *dir, const struct sb_hello *hello, int timeout_ms, sockbroker_socket *end_out,
                               struct sockbroker_error *error_out);

#endif
