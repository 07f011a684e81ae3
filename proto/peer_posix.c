#include "proto/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proto/oserr.h"
#include "proto/socket.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5, asm-generic/socket.h */
#endif

static bool is_hung_up(sockbroker_socket sock)
{
    struct pollfd p = { .fd = sock, .events = POLLRDHUP };

    return poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLRDHUP | POLLERR));
}

/* Older kernels: the pid may be stale by now, but not while its owner still holds the connection open. */
static sockbroker_status open_by_pid(sockbroker_socket sock, pid_t pid, int *pidfd_out)
{
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

    if (pidfd < 0)
        return errno == ESRCH ? SOCKBROKER_CLOSED : sb_oserr_status(errno);
    if (is_hung_up(sock)) {
        close(pidfd);
        return SOCKBROKER_CLOSED;
    }
    *pidfd_out = pidfd;
    return SOCKBROKER_OK;
}

static sockbroker_status open_pidfd(sockbroker_socket sock, pid_t pid, int *pidfd_out)
{
    int pidfd = -1;
    socklen_t len = sizeof(pidfd);

    if (getsockopt(sock, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &len) == 0) {
        fcntl(pidfd, F_SETFD, FD_CLOEXEC);
        *pidfd_out = pidfd;
        return SOCKBROKER_OK;
    }
    if (errno != ENOPROTOOPT)
        return errno == ESRCH ? SOCKBROKER_CLOSED : sb_oserr_status(errno);
    return open_by_pid(sock, pid, pidfd_out);
}

sockbroker_status sb_peer_open(sockbroker_socket sock, struct sb_peer *peer_out)
{
    struct ucred cred;
    socklen_t len = sizeof(cred);
    int pidfd = -1;

    if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &len))
        return sb_oserr_status(errno);
    sockbroker_status st = open_pidfd(sock, cred.pid, &pidfd);
    if (st)
        return st;
    *peer_out = (struct sb_peer){ (uint32_t)cred.pid, cred.uid, cred.gid, pidfd };
    return SOCKBROKER_OK;
}

sockbroker_status sb_peer_watch_pid(uint32_t pid, sockbroker_socket *handle_out)
{
    int pidfd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);

    if (pidfd < 0)
        return errno == ESRCH || errno == EINVAL ? SOCKBROKER_CLOSED : sb_oserr_status(errno);
    *handle_out = pidfd;
    return SOCKBROKER_OK;
}

sockbroker_status sb_peer_open_pid(uint32_t pid, struct sb_peer *peer_out)
{
    char path[32];
    struct stat facts;
    struct sb_peer peer = SB_PEER_NONE;

    peer.pid = pid;
    sockbroker_status st = sb_peer_watch_pid(pid, &peer.handle);
    if (st)
        return st;
    snprintf(path, sizeof(path), "/proc/%u", (unsigned)pid); /* its owner is the effective user: proc(5) */
    if (stat(path, &facts) || !sb_peer_is_alive(&peer)) {
        sb_peer_close(&peer);
        return SOCKBROKER_CLOSED;
    }
    peer.uid = facts.st_uid;
    peer.gid = facts.st_gid;
    *peer_out = peer;
    return SOCKBROKER_OK;
}

void sb_peer_close(struct sb_peer *peer)
{
    sb_socket_close(&peer->handle);
}

bool sb_peer_is_alive(const struct sb_peer *peer)
{
    struct pollfd p = { .fd = peer->handle, .events = POLLIN };

    return peer->handle >= 0 && poll(&p, 1, 0) == 0;
}

sockbroker_status sb_peer_kill(const struct sb_peer *peer)
{
    if (syscall(SYS_pidfd_send_signal, peer->handle, SIGKILL, NULL, 0) == 0)
        return SOCKBROKER_OK;
    return errno == ESRCH ? SOCKBROKER_CLOSED : sb_oserr_status(errno);
}
