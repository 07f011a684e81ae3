#include "client-lib/link.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "proto/error.h"
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

static sockbroker_status take_end(sockbroker_socket sock, sockbroker_socket *end_out, struct sockbroker_error *error)
{
    struct sb_welcome welcome;
    uint8_t buf[SB_PACKET_MAX];
    size_t len;
    sockbroker_socket end = SOCKBROKER_SOCKET_NONE;
    sockbroker_status st = sb_xfer_receive_packet(sock, buf, sizeof(buf), &len, &end);

    if (!st)
        st = sb_wire_unpack_welcome(buf, len, &welcome, error);
    if (!st && welcome.status)
        st = sb_error_set(error, welcome.status, 0, "%s", welcome.text);
    if (!st && end == SOCKBROKER_SOCKET_NONE)
        st = sb_error_set(error, SOCKBROKER_BAD_MESSAGE, 0, "the broker said welcome and sent no descriptor");
    if (!st)
        *end_out = sb_socket_take(&end);
    sb_socket_close(&end);
    return st;
}

sockbroker_status sb_link_open(const char *dir, const struct sb_hello *hello, int timeout_ms, sockbroker_socket *end_out,
                               struct sockbroker_error *error_out)
{
    char path[SB_PATH_MAX];
    uint8_t buf[SB_PACKET_MAX];
    size_t len;
    int os_code;
    sockbroker_socket sock = SOCKBROKER_SOCKET_NONE;
    sockbroker_status st = sb_wire_pack_hello(hello, buf, sizeof(buf), &len);

    sb_rundir_path(dir, SB_RUNDIR_HANDOFF, path);
    sb_error_set(error_out, SOCKBROKER_OK, 0, "%s", "");
    if (!st)
        st = connect_to(path, timeout_ms, &sock);
    if (!st)
        st = sb_xfer_send_packet(sock, buf, len, SOCKBROKER_SOCKET_NONE, &os_code);
    if (!st)
        st = wait_for_packet(sock, timeout_ms);
    if (!st)
        st = take_end(sock, end_out, error_out);
    if (st && (!error_out || !error_out->text[0]))
        sb_error_set(error_out, st, 0, "%s: %s", path, sockbroker_status_text(st));
    sb_socket_close(&sock);
    return st;
}
