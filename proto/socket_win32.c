#include "proto/socket.h"

#include <winsock2.h>
#include <ws2tcpip.h>

#include <windows.h>

#include "proto/oserr.h"

/* ---- Winsock ---- */

static INIT_ONCE once = INIT_ONCE_STATIC_INIT;
static int start_error;

static BOOL CALLBACK start(PINIT_ONCE unused, PVOID arg, PVOID *context)
{
    WSADATA facts;

    (void)unused;
    (void)arg;
    (void)context;
    start_error = WSAStartup(MAKEWORD(2, 2), &facts);
    return TRUE;
}

/* Never cleaned up: the end of the process does, and until then any thread may hold a socket. */
sockbroker_status sb_socket_prepare(void)
{
    InitOnceExecuteOnce(&once, start, NULL, NULL);
    return sb_oserr_status(start_error);
}

/* ---- sockets ---- */

static bool is_no_socket(int os_code)
{
    return os_code == WSAENOTSOCK || os_code == WSANOTINITIALISED;
}

/* A session also keeps the handle of a process in such a number; only that is closed as a handle. */
void sb_socket_close(sockbroker_socket *sock)
{
    int saved = WSAGetLastError();

    if (*sock != SOCKBROKER_SOCKET_NONE && closesocket(*sock) && is_no_socket(WSAGetLastError()))
        CloseHandle((HANDLE)*sock);
    *sock = SOCKBROKER_SOCKET_NONE;
    WSASetLastError(saved);
}

void sb_socket_reset(sockbroker_socket *sock)
{
    struct linger now = { .l_onoff = 1, .l_linger = 0 };

    if (*sock != SOCKBROKER_SOCKET_NONE)
        setsockopt(*sock, SOL_SOCKET, SO_LINGER, (const char *)&now, sizeof(now));
    sb_socket_close(sock);
}

bool sb_socket_lingers(sockbroker_socket sock)
{
    struct linger linger = { 0, 0 };
    int len = sizeof(linger);

    return getsockopt(sock, SOL_SOCKET, SO_LINGER, (char *)&linger, &len) == 0 && linger.l_onoff && linger.l_linger;
}

static sockbroker_status duplicate_handle(sockbroker_socket handle, sockbroker_socket *copy_out)
{
    HANDLE self = GetCurrentProcess();
    HANDLE copy;

    if (!DuplicateHandle(self, (HANDLE)handle, self, &copy, 0, FALSE, DUPLICATE_SAME_ACCESS))
        return sb_oserr_status(sb_oserr_last());
    *copy_out = (sockbroker_socket)copy;
    return SOCKBROKER_OK;
}

sockbroker_status sb_socket_duplicate(sockbroker_socket sock, sockbroker_socket *sock_out)
{
    WSAPROTOCOL_INFOW info;

    if (WSADuplicateSocketW(sock, GetCurrentProcessId(), &info))
        return is_no_socket(WSAGetLastError()) ? duplicate_handle(sock, sock_out) : sb_oserr_status(WSAGetLastError());
    SOCKET copy = WSASocketW(FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, &info, 0,
                             WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    if (copy == INVALID_SOCKET)
        return sb_oserr_status(WSAGetLastError());
    *sock_out = copy;
    return SOCKBROKER_OK;
}

bool sb_socket_is_datagram(sockbroker_socket sock)
{
    int type = 0;
    int len = sizeof(type);

    return getsockopt(sock, SOL_SOCKET, SO_TYPE, (char *)&type, &len) == 0 && type == SOCK_DGRAM;
}

uint64_t sb_socket_identity(sockbroker_socket sock)
{
    return sock == SOCKBROKER_SOCKET_NONE ? 0 : (uint64_t)sock;
}

bool sb_socket_is_nonblocking(sockbroker_socket sock)
{
    (void)sock;
    return false; /* there is no call that tells */
}

sockbroker_status sb_socket_set_nonblocking(sockbroker_socket sock, bool nonblocking)
{
    u_long on = nonblocking;

    return ioctlsocket(sock, (long)FIONBIO, &on) ? sb_oserr_status(WSAGetLastError()) : SOCKBROKER_OK;
}
