/* pump.h: copies between a connection and a pair of files, both ways at once.
 *
 * What `in` gives goes to the connection; its end is told there by a half-close (RFC 9293, 3.6). What the connection gives goes
 * to `out`. Neither way waits for the other, and each reads only what it has room for: a reader that stops is felt by the
 * writer at the other end. The mode of `in` and `out` is not touched, for others may share them.
 */
#ifndef SB_BROKER_PUMP_H
#define SB_BROKER_PUMP_H

#include "sockbroker/socket.h"

/* The C runtime's numbers of a process's own files. */
#define SB_PUMP_INPUT 0
#define SB_PUMP_OUTPUT 1

/* Returns when the peer has sent its end and everything is written. The files and the connection stay the caller's.
 * OK; CLOSED (nobody reads `out` any more; Windows: seen when something is written there), and the system's failures; error_out
 * says which of the three it was. */
sockbroker_status sb_pump_run(int in, int out, sockbroker_socket conn, struct sockbroker_error *error_out);

#endif
