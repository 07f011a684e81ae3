#include "proto/peer.h"

#include <windows.h>

#include "proto/oserr.h"
#include "proto/sid_win32.h"
#include "proto/socket.h"

sockbroker_status sb_peer_open(sockbroker_socket sock, struct sb_peer *peer_out)
{
    (void)sock;
    (void)peer_out;
    return SOCKBROKER_UNSUPPORTED; /* the pipe tells the number of the process: sb_peer_open_pid() */
}

/* To give it sockets we need DUP_HANDLE, to end it TERMINATE; who has the first right has the second in practice. */
#define RIGHTS (PROCESS_DUP_HANDLE | PROCESS_QUERY_LIMITED_INFORMATION | SYNCHRONIZE)

static HANDLE open_process(uint32_t pid)
{
    HANDLE process = OpenProcess(RIGHTS | PROCESS_TERMINATE, FALSE, pid);

    return process ? process : OpenProcess(RIGHTS, FALSE, pid);
}

sockbroker_status sb_peer_watch_pid(uint32_t pid, sockbroker_socket *handle_out)
{
    HANDLE process = OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION | SYNCHRONIZE, FALSE, pid);

    if (!process)
        return GetLastError() == ERROR_INVALID_PARAMETER ? SOCKBROKER_CLOSED : sb_oserr_status(sb_oserr_last());
    *handle_out = (sockbroker_socket)process;
    return SOCKBROKER_OK;
}

sockbroker_status sb_peer_open_pid(uint32_t pid, struct sb_peer *peer_out)
{
    struct sb_peer peer = SB_PEER_NONE;
    HANDLE process = open_process(pid);

    if (!process)
        return GetLastError() == ERROR_INVALID_PARAMETER ? SOCKBROKER_CLOSED : sb_oserr_status(sb_oserr_last());
    peer.pid = pid;
    peer.handle = (sockbroker_socket)process;
    sockbroker_status st = sb_peer_is_alive(&peer) ? sb_sid_of_process(peer.handle, &peer.uid) : SOCKBROKER_CLOSED;
    if (!st)
        *peer_out = peer;
    else
        sb_peer_close(&peer);
    return st;
}

void sb_peer_close(struct sb_peer *peer)
{
    if (peer->handle != SOCKBROKER_SOCKET_NONE)
        CloseHandle((HANDLE)peer->handle);
    peer->handle = SOCKBROKER_SOCKET_NONE;
}

bool sb_peer_is_alive(const struct sb_peer *peer)
{
    return peer->handle != SOCKBROKER_SOCKET_NONE && WaitForSingleObject((HANDLE)peer->handle, 0) == WAIT_TIMEOUT;
}

sockbroker_status sb_peer_kill(const struct sb_peer *peer)
{
    if (!sb_peer_is_alive(peer))
        return SOCKBROKER_CLOSED;
    return TerminateProcess((HANDLE)peer->handle, 137) ? SOCKBROKER_OK : sb_oserr_status(sb_oserr_last());
}
