/* link.h: what a worker does at the broker's handoff socket: it fetches its end of the session's pair and the sockets it was
 * granted, and leaves those it deposits. */
#ifndef SB_CLIENT_LINK_H
#define SB_CLIENT_LINK_H

#include "proto/wire.h"

/* Shows the token and takes what it is for. `sock_out` is yours on OK.
 * OK, NO_BROKER, TIMEOUT, CLOSED, BAD_MESSAGE, what the broker answered, and the system's failures. */
sockbroker_status sb_link_fetch(const char *dir, const struct sb_hello *hello, int timeout_ms, sockbroker_socket *sock_out,
                                struct sockbroker_error *error_out);

/* Shows the token and leaves a socket, which stays the caller's too. OK: the broker has it. Else as above. */
sockbroker_status sb_link_leave(const char *dir, const struct sb_hello *hello, int timeout_ms, sockbroker_socket sock,
                                struct sockbroker_error *error_out);

#endif
