#include <winsock2.h>
#include <ws2tcpip.h>

#include <mstcpip.h>
#include <stdint.h>

#include "broker/conn.h"

/* TCP_INFO_v0 of Windows 10, version 1703 (mstcpip.h), which older headers lack. */
struct counters {
    int state; /* TCPSTATE */
    uint32_t mss;
    uint64_t connection_ms;
    uint8_t timestamps;
    uint32_t rtt_us, min_rtt_us, bytes_in_flight, window, send_window, receive_window, receive_buffer;
    uint64_t bytes_out, bytes_in;
    uint32_t bytes_reordered, bytes_again, fast_again, duplicate_acks, timeouts;
    uint8_t syn_again;
};

#define ASK_TCP_INFO _WSAIORW(IOC_VENDOR, 39) /* SIO_TCP_INFO */
#define STATE_ESTABLISHED 4
#define STATE_CLOSE_WAIT 7

_Static_assert(sizeof(struct counters) == 88, "as the system has it");

static bool read_counters(SOCKET sock, struct counters *counters_out)
{
    DWORD version = 0, n = 0;

    return WSAIoctl(sock, ASK_TCP_INFO, &version, sizeof(version), counters_out, sizeof(*counters_out), &n, NULL, NULL) == 0 &&
           n >= sizeof(*counters_out);
}

static bool agrees(const struct counters *c, u_long unread)
{
    uint64_t fin = c->state == STATE_CLOSE_WAIT; /* whether a FIN counts as a byte is not said */

    if (c->state != STATE_ESTABLISHED && c->state != STATE_CLOSE_WAIT)
        return false;
    return c->bytes_out == 0 && (c->bytes_in == unread || c->bytes_in == unread + fin);
}

/* An application sees a connection only after the ack (carrier = message), and whoever asks here has none, so nobody has
 * touched it but by breaking into the worker. Where the system counts, its count must say the same. */
bool sb_conn_is_untouched(const struct sb_conn *conn)
{
    struct counters c;
    u_long unread = 0;

    if (conn->info.type != SOCKBROKER_STREAM || ioctlsocket(conn->sock, FIONREAD, &unread))
        return false;
    return !read_counters(conn->sock, &c) || agrees(&c, unread);
}
