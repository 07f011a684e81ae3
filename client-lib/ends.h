/* ends.h: what a worker asks the system about a socket it holds, and about its end of a session.
 *
 * POSIX: the end is the worker's half of the pair. Windows has no pair: the end is a HANDLE of the broker's process that can be
 * waited for, cast; sb_socket_close() closes either.
 */
#ifndef SB_CLIENT_ENDS_H
#define SB_CLIENT_ENDS_H

#include "sockbroker/socket.h"

/* Waits at most so long until the pair takes another packet (writable: look for that) or its other end is gone. */
void sb_ends_wait_writable(sockbroker_socket end, bool writable, int timeout_ms);

/* Ends the pair for both sides. Windows: there is none. */
void sb_ends_shut(sockbroker_socket end);

/* False once the other end of the pair is gone; Windows: once the broker's process has ended. */
bool sb_ends_is_open(sockbroker_socket end);

/* May connections lie between broker and worker, unread, after the session has ended? Windows: no. */
bool sb_ends_may_hold(sockbroker_socket end);

/* Fills addresses, family, type, protocol and what it does from the socket itself; the rest is zero. What cannot be had stays
 * zero, and everything for what is no IP socket. */
void sb_ends_describe(sockbroker_socket sock, struct sockbroker_socket_info *info_out);

#endif
