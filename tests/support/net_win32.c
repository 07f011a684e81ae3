#include <stdlib.h>

#include "tests/support/format.h"
#include "tests/support/net.h"

void net_start(void)
{
    WSADATA data;

    if (WSAStartup(MAKEWORD(2, 2), &data))
        abort();
}

sockbroker_socket net_open(int family, int type)
{
    return WSASocketW(family, type, 0, NULL, 0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
}

/* An accepted socket has the mode of its listener, and can be inherited. */
sockbroker_socket net_accept(sockbroker_socket listener)
{
    sockbroker_socket sock = accept(listener, NULL, NULL);

    if (sock != SOCKBROKER_SOCKET_NONE)
        SetHandleInformation((HANDLE)sock, HANDLE_FLAG_INHERIT, 0);
    return sock;
}

bool net_set_nonblocking(sockbroker_socket sock)
{
    u_long on = 1;

    return ioctlsocket(sock, (long)FIONBIO, &on) == 0;
}

bool net_set_option(sockbroker_socket sock, int level, int name, int value)
{
    return setsockopt(sock, level, name, (const char *)&value, sizeof(value)) == 0;
}

bool net_get_option(sockbroker_socket sock, int level, int name, int *value_out)
{
    int len = sizeof(*value_out);

    return getsockopt(sock, level, name, (char *)value_out, &len) == 0;
}

bool net_share_port(sockbroker_socket sock)
{
    return net_set_option(sock, SOL_SOCKET, SO_REUSEADDR, 1);
}

long net_send(sockbroker_socket sock, const void *bytes, size_t len)
{
    return send(sock, bytes, (int)len, 0);
}

long net_receive(sockbroker_socket sock, void *bytes, size_t room)
{
    return recv(sock, bytes, (int)room, 0);
}

bool net_send_to(sockbroker_socket sock, const void *bytes, size_t len, const struct sockaddr_storage *to, socklen_t to_len)
{
    return sendto(sock, bytes, (int)len, 0, (const struct sockaddr *)to, to_len) == (int)len;
}

long net_receive_from(sockbroker_socket sock, void *bytes, size_t room, struct sockaddr_storage *from_out, socklen_t *len_out)
{
    *len_out = sizeof(*from_out);
    return recvfrom(sock, bytes, (int)room, 0, (struct sockaddr *)from_out, len_out);
}

long net_unread(sockbroker_socket sock)
{
    u_long n = 0;

    return ioctlsocket(sock, FIONREAD, &n) ? -1 : (long)n;
}

void net_close(sockbroker_socket *sock)
{
    int saved = WSAGetLastError();

    if (*sock != SOCKBROKER_SOCKET_NONE)
        closesocket(*sock);
    *sock = SOCKBROKER_SOCKET_NONE;
    WSASetLastError(saved);
}

/* WSAPoll() refuses a list in which no socket is left, and does not wait without one. */
unsigned net_wait(struct net_event *events, size_t n, int ms)
{
    WSAPOLLFD *fds = calloc(n + 1, sizeof(*fds));
    unsigned n_ready = 0;
    ULONG at = 0;

    if (!fds)
        abort();
    for (size_t i = 0; i < n; i++) {
        events[i].is_ready = false;
        if (events[i].sock != SOCKBROKER_SOCKET_NONE)
            fds[at++] = (WSAPOLLFD){ .fd = events[i].sock, .events = events[i].wants_write ? POLLOUT : POLLIN };
    }
    if (!at)
        Sleep(ms < 0 ? INFINITE : (DWORD)ms);
    bool any = at && WSAPoll(fds, at, ms) > 0;
    at = 0;
    for (size_t i = 0; any && i < n; i++) {
        if (events[i].sock != SOCKBROKER_SOCKET_NONE)
            events[i].is_ready = fds[at++].revents != 0;
        n_ready += events[i].is_ready;
    }
    free(fds);
    return n_ready;
}

int net_error(void)
{
    return WSAGetLastError();
}

const char *net_error_text(void)
{
    static _Thread_local char text[32];

    format_text(text, sizeof(text), "error %d", WSAGetLastError());
    return text;
}

bool net_is_pending(void)
{
    int code = WSAGetLastError();

    return code == WSAEWOULDBLOCK || code == WSAEINPROGRESS || code == WSAEINTR;
}

bool net_tells_resets(void)
{
    return !GetProcAddress(GetModuleHandleW(L"ntdll.dll"), "wine_get_version");
}

bool net_ends_reset(sockbroker_socket sock)
{
    char byte;
    int n = recv(sock, &byte, 1, 0);

    return (n == 0 && !net_tells_resets()) || (n < 0 && WSAGetLastError() == WSAECONNRESET);
}

bool net_is_reset(int code)
{
    return code == WSAECONNRESET;
}

bool net_is_inherited(sockbroker_socket sock)
{
    DWORD flags = HANDLE_FLAG_INHERIT;

    return !GetHandleInformation((HANDLE)sock, &flags) || flags & HANDLE_FLAG_INHERIT;
}
