/* dial.h: one TCP connection to one destination, begun without waiting. */
#ifndef SB_BROKER_DIAL_H
#define SB_BROKER_DIAL_H

#include "sockbroker/socket.h"

/* Opens a socket, binds it to the source unless that has FAMILY_NONE, and begins to connect. The socket is non-blocking and
 * close-on-exec; Nagle's algorithm and all else is left as the system has it. Source port 0: one that is free for this
 * destination; any other may be shared by connections to different destinations.
 *   sock_out  yours on OK: wait until it is writable, then ask sb_dial_outcome()
 * OK; NO_DESCRIPTORS, NO_MEMORY, PERMISSION, ADDRESS_IN_USE, ADDRESS_NOT_AVAILABLE, UNSUPPORTED, SYSTEM (also for a
 * connection refused at once) and others. */
sockbroker_status sb_dial_start(const struct sockbroker_addr *source, const struct sockbroker_addr *destination,
                                sockbroker_socket *sock_out, struct sockbroker_error *error_out);

/* How it went, once the socket is writable or has an error. local_out and peer_out: both ends, on OK.
 * OK; TIMEOUT (the system's own), SYSTEM (refused, no route) and others; SYSTEM also when it met itself: a connection to a free
 * port of this machine may be given that port as its own, and TCP then connects it to itself (RFC 9293, section 3.5). */
sockbroker_status sb_dial_outcome(sockbroker_socket sock, const struct sockbroker_addr *destination,
                                  struct sockbroker_addr *local_out, struct sockbroker_addr *peer_out,
                                  struct sockbroker_error *error_out);

#endif
