/* notify.h: tells the service manager how we are. POSIX: systemd (sd_notify protocol: a datagram to $NOTIFY_SOCKET). Windows:
 * the service control manager. */
#ifndef SB_BROKER_NOTIFY_H
#define SB_BROKER_NOTIFY_H

#include "sockbroker/socket.h"

/* Each does nothing without a manager; failures are ignored. The socket may be abstract ("@...") or a path. */
void sb_notify_ready(const char *status_line);
void sb_notify_ready_as(unsigned pid); /* the same from a process that the manager did not start: MAINPID */
void sb_notify_reloading(void);        /* with MONOTONIC_USEC, as systemd.service(5) asks for Type=notify-reload */
void sb_notify_stopping(void);
void sb_notify_failed(const char *why); /* it did not start, or cannot go on */

/* A socket that is connected to the manager, for messages with descriptors; yours. False: there is none, or no descriptor. */
bool sb_notify_open(sockbroker_socket *sock_out);

#endif
