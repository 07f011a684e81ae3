#include "client-lib/link.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "proto/error.h"
#include "proto/failpoint.h"
#include "proto/oserr.h"
#include "proto/rundir.h"
#include "proto/socket.h"
#include "proto/xfer.h"

static sockbroker_status connect_to(const char *path, int timeout_ms, sockbroker_socket *sock_out)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    struct timeval wait = { .tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000 };
    sockbroker_socket sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    if (sock < 0)
        return sb_oserr_status(errno);
    memcpy(at.sun_path, path, strlen(path) + 1);
    setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)); /* connect() obeys it when the queue is full */
    if (connect(sock, (struct sockaddr *)&at, sizeof(at))) {
        sockbroker_status st = errno == EAGAIN ? SOCKBROKER_TIMEOUT : sb_oserr_status(errno);

        sb_socket_close(&sock);
        return st;
    }
    *sock_out = sock;
    return SOCKBROKER_OK;
}

static sockbroker_status wait_for_packet(sockbroker_socket sock, int timeout_ms)
{
    struct pollfd p = { .fd = sock, .events = POLLIN };
    int n;

    do
        n = poll(&p, 1, timeout_ms);
    while (n < 0 && errno == EINTR);
    return n > 0 ? SOCKBROKER_OK : n == 0 ? SOCKBROKER_TIMEOUT : sb_oserr_status(errno);
}

/* What the broker says, and the socket that comes with it, if any. */
static sockbroker_status take_welcome(sockbroker_socket door, int timeout_ms, sockbroker_socket *passenger_out,
                                      struct sockbroker_error *error)
{
    struct sb_welcome welcome;
    uint8_t buf[SB_PACKET_MAX];
    size_t len;
    sockbroker_status st = wait_for_packet(door, timeout_ms);

    if (!st)
        st = sb_xfer_receive_packet(door, buf, sizeof(buf), &len, passenger_out);
    if (!st)
        st = sb_wire_unpack_welcome(buf, len, &welcome, error);
    if (!st && welcome.status)
        st = sb_error_set(error, welcome.status, 0, "%s", welcome.text);
    return st;
}

static sockbroker_status knock(const char *path, const struct sb_hello *hello, int timeout_ms, sockbroker_socket *door_out)
{
    uint8_t buf[SB_PACKET_MAX];
    size_t len;
    int os_code;
    sockbroker_status st = sb_wire_pack_hello(hello, buf, sizeof(buf), &len);

    if (!st)
        st = connect_to(path, timeout_ms, door_out);
    return st ? st : sb_xfer_send_packet(*door_out, buf, len, SOCKBROKER_SOCKET_NONE, &os_code);
}

static sockbroker_status fetch(sockbroker_socket door, int timeout_ms, sockbroker_socket *sock_out,
                               struct sockbroker_error *error)
{
    sockbroker_socket sock = SOCKBROKER_SOCKET_NONE;
    sockbroker_status st = take_welcome(door, timeout_ms, &sock, error);

    if (!st && sock == SOCKBROKER_SOCKET_NONE)
        st = sb_error_set(error, SOCKBROKER_BAD_MESSAGE, 0, "the broker said welcome and sent no descriptor");
    if (!st)
        *sock_out = sb_socket_take(&sock);
    sb_socket_close(&sock);
    return st;
}

static sockbroker_status leave(sockbroker_socket door, int timeout_ms, sockbroker_socket sock, struct sockbroker_error *error)
{
    static const uint8_t luggage = 1; /* no packet is empty */
    sockbroker_socket stray = SOCKBROKER_SOCKET_NONE;
    int os_code;
    sockbroker_status st = take_welcome(door, timeout_ms, &stray, error);

    if (!st)
        st = sb_xfer_send_packet(door, &luggage, sizeof(luggage), sock, &os_code);
    (void)sb_failpoint("socket_left");
    if (!st)
        st = take_welcome(door, timeout_ms, &stray, error);
    sb_socket_close(&stray);
    return st;
}

static sockbroker_status name_failure(sockbroker_status st, const char *path, struct sockbroker_error *error)
{
    if (st && error && !error->text[0])
        sb_error_set(error, st, 0, "%s: %s", path, sockbroker_status_text(st));
    return st;
}

/* Takes something (sock_out) or leaves something (sock). */
static sockbroker_status visit(const char *dir, const struct sb_hello *hello, int timeout_ms, sockbroker_socket sock,
                               sockbroker_socket *sock_out, struct sockbroker_error *error)
{
    char path[SB_PATH_MAX];
    sockbroker_socket door = SOCKBROKER_SOCKET_NONE;

    sb_error_set(error, SOCKBROKER_OK, 0, "%s", "");
    sockbroker_status st = knock(sb_rundir_path(dir, SB_RUNDIR_HANDOFF, path), hello, timeout_ms, &door);
    if (!st)
        st = sock_out ? fetch(door, timeout_ms, sock_out, error) : leave(door, timeout_ms, sock, error);
    sb_socket_close(&door);
    return name_failure(st, path, error);
}

sockbroker_status sb_link_fetch(const char *dir, struct sb_client *client, const struct sb_hello *hello, int timeout_ms,
                                sockbroker_socket *sock_out, struct sockbroker_error *error_out)
{
    (void)client;
    return visit(dir, hello, timeout_ms, SOCKBROKER_SOCKET_NONE, sock_out, error_out);
}

sockbroker_status sb_link_leave(const char *dir, struct sb_client *client, const struct sb_hello *hello, int timeout_ms,
                                sockbroker_socket sock, struct sockbroker_error *error_out)
{
    (void)client;
    return visit(dir, hello, timeout_ms, sock, NULL, error_out);
}
