/* peer.h: which process is at the other end of a socket; by the kernel's word, never by its own, and never by pid alone.
 *
 * A pid can be given to another process; the handle cannot. POSIX: a pidfd (SO_PEERPIDFD since Linux 6.5, else
 * pidfd_open() while the peer is known to be connected). Windows: a process HANDLE.
 */
#ifndef SB_PROTO_PEER_H
#define SB_PROTO_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "sockbroker/socket.h"

struct sb_peer {
    uint32_t pid;
    uint32_t uid; /* Windows: the number of its account, sid_win32.h */
    uint32_t gid; /* Windows: 0 */
    sockbroker_socket
        handle; /* a pidfd, readable once the process has ended; a process HANDLE, signalled then. Yours to close */
};
#define SB_PEER_NONE                                                                                                           \
    {                                                                                                                          \
        0, 0, 0, SOCKBROKER_SOCKET_NONE                                                                                        \
    }

/* The process that connected `sock`, a connected AF_UNIX socket; UNSUPPORTED on Windows. OK; CLOSED when it has gone already;
 * the system's failures. */
sockbroker_status sb_peer_open(sockbroker_socket sock, struct sb_peer *peer_out);

/* The process of that number, who must be known to be there now: connected by a pipe that tells the number. Ask whether the
 * pipe is still connected afterwards; only then it was that process. Its user and group: of now. OK; CLOSED (there is none, or
 * it has ended); PERMISSION (Windows: it may not be given handles by us); the system's failures. */
sockbroker_status sb_peer_open_pid(uint32_t pid, struct sb_peer *peer_out);

/* Its handle alone, which only shows its end; close it with sb_socket_close(). As above, and PERMISSION when the system does
 * not let us look (Windows: another account's, unless that account lets us). */
sockbroker_status sb_peer_watch_pid(uint32_t pid, sockbroker_socket *handle_out);

void sb_peer_close(struct sb_peer *peer);

/* False once the process has ended, also when nobody has waited for it yet. */
bool sb_peer_is_alive(const struct sb_peer *peer);

/* Ends the process at once. OK, CLOSED (already gone), PERMISSION. */
sockbroker_status sb_peer_kill(const struct sb_peer *peer);

#endif
