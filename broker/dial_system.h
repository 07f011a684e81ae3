/* dial_system.h: what dial.c asks of the system. dial_system_posix.c, dial_system_win32.c.
 *
 * What fails says so, and sb_oserr_last() says why. */
#ifndef SB_BROKER_DIAL_SYSTEM_H
#define SB_BROKER_DIAL_SYSTEM_H

#include "client-lib/sysnet.h"
#include "sockbroker/socket.h"

/* TCP, non-blocking, close-on-exec; Windows: overlapped, so that the worker may use it as it likes. NONE when it fails. */
sockbroker_socket sb_dial_system_open(enum sockbroker_family family);

/* Before bind(): of source port 0, that the system chooses it when the destination is known, where it can (Linux, Windows 10):
 * otherwise each port would be good for one connection only. Of any other, that connections to different destinations may share
 * it. */
bool sb_dial_system_set_port_use(sockbroker_socket sock, uint16_t port);

/* True also while it is under way. */
bool sb_dial_system_connect(sockbroker_socket sock, const struct sockaddr *destination, socklen_t len);

/* The system's code for: nobody listens there. */
extern const int sb_dial_system_refused;

/* A sentence, or NULL for what explains itself. */
const char *sb_dial_system_cure(int os_code);

#endif
