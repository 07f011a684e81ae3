/* link.h: how a worker gets what its session is made of: its end of the session and the sockets it was granted; and how it
 * leaves those it deposits.
 *
 * POSIX: at the handoff socket of the broker's directory `dir`. Windows: by a Hand to the broker that `client` is connected to
 * (NULL: NO_BROKER), and the socket travels inside the request or the reply. The other argument is not looked at.
 */
#ifndef SB_CLIENT_LINK_H
#define SB_CLIENT_LINK_H

#include "proto/channel.h"

/* Shows the token and takes what it is for: with grant_id 0 the worker's end of the session (ends.h). `sock_out` is yours on
 * OK. OK, NO_BROKER, TIMEOUT, CLOSED, BAD_MESSAGE, what the broker answered, and the system's failures. */
sockbroker_status sb_link_fetch(const char *dir, struct sb_client *client, const struct sb_hello *hello, int timeout_ms,
                                sockbroker_socket *sock_out, struct sockbroker_error *error_out);

/* Shows the token and leaves a socket, which stays the caller's too. OK: the broker has it. Else as above. Windows: REFUSED or
 * PERMISSION to a worker of another account than the broker's, for who leaves a socket there has to be trusted with all that
 * the broker has. */
sockbroker_status sb_link_leave(const char *dir, struct sb_client *client, const struct sb_hello *hello, int timeout_ms,
                                sockbroker_socket sock, struct sockbroker_error *error_out);

#endif
