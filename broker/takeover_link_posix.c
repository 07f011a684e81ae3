#include "broker/takeover_link.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/clock.h"
#include "proto/error.h"
#include "proto/oserr.h"
#include "proto/socket.h"

#define ROOM (4 << 20) /* all sockets of a large configuration at once: about 1 KiB each */
#define SHORTAGE_MS 1  /* too many descriptors in flight: no event tells when it is over */

union control {
    struct cmsghdr align;
    char room[CMSG_SPACE(SB_TAKEOVER_DESCRIPTORS_MAX * sizeof(int))];
};

static int left_ms(uint64_t until_ms)
{
    uint64_t now_ms = sb_clock_ms();

    return now_ms >= until_ms ? 0 : (int)(until_ms - now_ms);
}

/* ---- out ---- */

static void put_descriptors(struct msghdr *m, union control *control, const sockbroker_socket *socks, uint32_t n)
{
    if (!n)
        return;
    memset(control, 0, sizeof(*control));
    m->msg_control = control->room;
    m->msg_controllen = CMSG_SPACE(n * sizeof(int));

    struct cmsghdr *c = CMSG_FIRSTHDR(m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(n * sizeof(int));
    memcpy(CMSG_DATA(c), socks, n * sizeof(int));
}

static bool is_shortage(int code)
{
    return code == ETOOMANYREFS || code == ENOBUFS || code == ENOMEM;
}

/* OK: it is worth another try. */
static sockbroker_status wait_for_room(sockbroker_socket channel, int code, uint64_t until_ms)
{
    struct pollfd p = { .fd = channel, .events = POLLOUT };
    int left = left_ms(until_ms);

    if (code == EINTR)
        return SOCKBROKER_OK;
    if (code != EAGAIN && !is_shortage(code))
        return code == EPIPE || code == ECONNRESET ? SOCKBROKER_CLOSED : sb_oserr_status(code);
    if (!left)
        return SOCKBROKER_TIMEOUT;
    if (is_shortage(code))
        poll(NULL, 0, SHORTAGE_MS);
    else
        poll(&p, 1, left);
    return SOCKBROKER_OK;
}

sockbroker_status sb_takeover_send(sockbroker_socket channel, const struct sb_takeover *message, const sockbroker_socket *socks,
                                   uint64_t until_ms)
{
    uint8_t buf[SB_MESSAGE_MAX];
    size_t len;
    union control control;
    struct iovec part = { .iov_base = buf };
    struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 };
    sockbroker_status st = sb_wire_pack_takeover(message, buf, sizeof(buf), &len);

    if (st)
        return st;
    part.iov_len = len;
    put_descriptors(&m, &control, socks, sb_takeover_descriptors(message));
    while (!st && sendmsg(channel, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        st = wait_for_room(channel, errno, until_ms);
    return st;
}

/* ---- in ---- */

void sb_takeover_close_socks(sockbroker_socket *socks)
{
    for (size_t i = 0; i < SB_TAKEOVER_DESCRIPTORS_MAX; i++)
        sb_socket_close(&socks[i]);
}

static uint32_t take_descriptors(struct msghdr *m, sockbroker_socket *socks)
{
    struct cmsghdr *c = CMSG_FIRSTHDR(m);
    size_t len = 0;

    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
        len = c->cmsg_len - CMSG_LEN(0);
    if (len)
        memcpy(socks, CMSG_DATA(c), len);
    return (uint32_t)(len / sizeof(int));
}

/* A last look when the time is over: we may have been stopped ourselves. A process that ends with messages unread resets the
 * pair, which is said once, before the last words that it has sent; unix(7) has no word for that. */
static ssize_t wait_message(sockbroker_socket channel, struct msghdr *m, uint64_t until_ms)
{
    struct pollfd p = { .fd = channel, .events = POLLIN };
    bool last = false, was_reset = false;

    for (;;) {
        size_t room = m->msg_controllen;
        ssize_t n = recvmsg(channel, m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

        if (n < 0 && errno == ECONNRESET && !was_reset) {
            was_reset = true;
            m->msg_controllen = room;
            continue;
        }
        if (n >= 0 || (errno != EAGAIN && errno != EINTR) || last)
            return n;
        m->msg_controllen = room;
        last = poll(&p, 1, left_ms(until_ms)) == 0;
    }
}

static sockbroker_status judge(const struct msghdr *m, uint32_t n_expected, uint32_t n_came, struct sockbroker_error *error)
{
    if (m->msg_flags & MSG_TRUNC)
        return sb_error_set(error, SOCKBROKER_BAD_MESSAGE, 0, "a message of the takeover is longer than %u bytes",
                            SB_MESSAGE_MAX);
    if (m->msg_flags & MSG_CTRUNC)
        return sb_error_set(error, SOCKBROKER_NO_DESCRIPTORS, 0,
                            "no descriptor is left for what the other broker gives; raise the limit (ulimit -n)");
    if (n_expected != n_came)
        return sb_error_set(error, SOCKBROKER_BAD_MESSAGE, 0,
                            "a message of the takeover came with %u descriptors instead of %u", n_came, n_expected);
    return SOCKBROKER_OK;
}

sockbroker_status sb_takeover_receive(sockbroker_socket channel, uint64_t until_ms, struct sb_takeover *message_out,
                                      sockbroker_socket *socks_out, struct sockbroker_error *error_out)
{
    uint8_t buf[SB_MESSAGE_MAX];
    union control control;
    struct iovec part = { .iov_base = buf, .iov_len = sizeof(buf) };
    struct msghdr m = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof(control.room)
    };

    for (size_t i = 0; i < SB_TAKEOVER_DESCRIPTORS_MAX; i++)
        socks_out[i] = SOCKBROKER_SOCKET_NONE;
    ssize_t n = wait_message(channel, &m, until_ms);
    if (n < 0)
        return sb_error_set(error_out, errno == EAGAIN ? SOCKBROKER_TIMEOUT : SOCKBROKER_CLOSED, errno,
                            "the other broker says nothing");
    if (n == 0)
        return sb_error_set(error_out, SOCKBROKER_CLOSED, 0, "the other broker has hung up");
    uint32_t n_came = take_descriptors(&m, socks_out);
    sockbroker_status st = sb_wire_unpack_takeover(buf, (size_t)n, message_out, error_out);
    if (!st)
        st = judge(&m, sb_takeover_descriptors(message_out), n_came, error_out);
    if (st)
        sb_takeover_close_socks(socks_out);
    return st;
}

/* ---- the pair ---- */

sockbroker_status sb_takeover_open_pair(sockbroker_socket ends_out[2])
{
    int room = ROOM;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends_out))
        return sb_oserr_status(errno);
    if (setsockopt(ends_out[0], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room))) /* for root */
        setsockopt(ends_out[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));      /* as far as net.core.wmem_max goes */
    return SOCKBROKER_OK;
}

sockbroker_status sb_takeover_peer(sockbroker_socket channel, struct sb_peer *peer_out)
{
    struct ucred who;
    socklen_t len = sizeof(who);

    if (getsockopt(channel, SOL_SOCKET, SO_PEERCRED, &who, &len) || who.uid != geteuid())
        return SOCKBROKER_REFUSED;
    return sb_peer_open(channel, peer_out);
}

static bool is_pair_end(int fd)
{
    int type = 0;
    struct sockaddr sa;
    socklen_t len = sizeof(type), sa_len = sizeof(sa);

    return !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) && type == SOCK_SEQPACKET && !getpeername(fd, &sa, &sa_len) &&
           sa.sa_family == AF_UNIX;
}

sockbroker_socket sb_takeover_inherited_end(void)
{
    const char *text = getenv(SB_TAKEOVER_VARIABLE);
    int fd = text && text[0] >= '0' && text[0] <= '9' ? atoi(text) : -1;

    unsetenv(SB_TAKEOVER_VARIABLE);
    if (fd < 3 || !is_pair_end(fd))
        return SOCKBROKER_SOCKET_NONE;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    prctl(PR_SET_PDEATHSIG, 0); /* we know what to do without the other one */
    return fd;
}
