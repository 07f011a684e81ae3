#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "broker/conn.h"

/* tcp_info as the kernel has it; glibc's netinet/tcp.h lacks the byte counters and cannot be included beside linux/tcp.h. */
#define STATE_ESTABLISHED 1 /* include/net/tcp_states.h */
#define STATE_CLOSE_WAIT 8

static bool read_info(int sock, struct tcp_info *info_out)
{
    static const struct tcp_info none;
    socklen_t len = sizeof(*info_out);

    *info_out = none;
    return getsockopt(sock, IPPROTO_TCP, TCP_INFO, info_out, &len) == 0 &&
           len >= offsetof(struct tcp_info, tcpi_bytes_sent) + sizeof(info_out->tcpi_bytes_sent); /* Linux 4.19 */
}

/* Bytes may arrive between the questions, and could then stand for bytes that were read. So the received ones are asked before
 * and after, until both agree. */
#define LOOKS 8

static bool read_counters(int sock, struct tcp_info *info_out, int *unread_out, int *unsent_out)
{
    struct tcp_info before;

    for (int i = 0; i < LOOKS; i++) {
        if (!read_info(sock, &before) || ioctl(sock, SIOCINQ, unread_out) || ioctl(sock, SIOCOUTQ, unsent_out) ||
            !read_info(sock, info_out))
            return false;
        if (before.tcpi_bytes_received == info_out->tcpi_bytes_received && before.tcpi_state == info_out->tcpi_state)
            return true;
    }
    return false;
}

/* shutdown(SHUT_RD) leaves the state and the counters as they are, and the next reader would meet an end that the client
 * has not sent. */
static bool is_shut_for_reading(int sock)
{
    struct pollfd p = { .fd = sock, .events = POLLRDHUP };

    return poll(&p, 1, 0) != 0;
}

bool sb_conn_is_untouched(const struct sb_conn *conn)
{
    struct tcp_info info;
    int unread, unsent;

    if (conn->info.type != SOCKBROKER_STREAM || !read_counters(conn->sock, &info, &unread, &unsent))
        return false;
    if (info.tcpi_state != STATE_ESTABLISHED && info.tcpi_state != STATE_CLOSE_WAIT)
        return false; /* somebody shut it down, or the client has reset it */
    if (info.tcpi_state == STATE_ESTABLISHED && is_shut_for_reading(conn->sock))
        return false;
    uint64_t fin = info.tcpi_state == STATE_CLOSE_WAIT; /* a FIN counts as one byte received, RFC 9293 3.4 */
    if (fin && (info.tcpi_options & TCPI_OPT_SYN_DATA))
        return false; /* Fast Open: a FIN in the SYN may not have been counted */
    return info.tcpi_bytes_received - fin == (uint64_t)unread && info.tcpi_bytes_sent == 0 && unsent == 0;
}
