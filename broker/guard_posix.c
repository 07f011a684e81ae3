#include "broker/guard.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "proto/socket.h"

struct option {
    int level;
    int name;
    const char *word;
    int forced; /* of a buffer: beyond the system's limit, for who may; the kernel doubles what it is given (socket(7)) */
};

static const struct option options[] = {
    { SOL_SOCKET, SO_LINGER, "SO_LINGER", 0 },
    { SOL_SOCKET, SO_KEEPALIVE, "SO_KEEPALIVE", 0 },
    { SOL_SOCKET, SO_RCVBUF, "SO_RCVBUF", SO_RCVBUFFORCE },
    { SOL_SOCKET, SO_SNDBUF, "SO_SNDBUF", SO_SNDBUFFORCE },
    { SOL_SOCKET, SO_RCVLOWAT, "SO_RCVLOWAT", 0 },
    { SOL_SOCKET, SO_RCVTIMEO, "SO_RCVTIMEO", 0 },
    { SOL_SOCKET, SO_SNDTIMEO, "SO_SNDTIMEO", 0 },
    { SOL_SOCKET, SO_BROADCAST, "SO_BROADCAST", 0 },
    { IPPROTO_IP, IP_TOS, "IP_TOS", 0 },
    { IPPROTO_IP, IP_PKTINFO, "IP_PKTINFO", 0 },
    { IPPROTO_IPV6, IPV6_TCLASS, "IPV6_TCLASS", 0 },
    { IPPROTO_IPV6, IPV6_RECVPKTINFO, "IPV6_RECVPKTINFO", 0 },
    { IPPROTO_TCP, TCP_NODELAY, "TCP_NODELAY", 0 },
    { IPPROTO_TCP, TCP_DEFER_ACCEPT, "TCP_DEFER_ACCEPT", 0 },
    { IPPROTO_TCP, TCP_FASTOPEN, "TCP_FASTOPEN", 0 },
};

_Static_assert(sizeof(options) / sizeof(options[0]) <= SB_GUARD_OPTIONS, "each option has a place");

#define N_OPTIONS (sizeof(options) / sizeof(options[0]))

static unsigned read_option(sockbroker_socket sock, const struct option *o, unsigned char bytes[SB_GUARD_VALUE_MAX])
{
    socklen_t len = SB_GUARD_VALUE_MAX;

    return getsockopt(sock, o->level, o->name, bytes, &len) ? 0 : (unsigned)len;
}

static void write_option(sockbroker_socket sock, const struct option *o, const unsigned char *bytes, unsigned len)
{
    int half;

    if (!o->forced) {
        setsockopt(sock, o->level, o->name, bytes, (socklen_t)len);
        return;
    }
    memcpy(&half, bytes, sizeof(half));
    half /= 2;
    if (setsockopt(sock, o->level, o->forced, &half, sizeof(half)))
        setsockopt(sock, o->level, o->name, &half, sizeof(half));
}

void sb_guard_init(struct sb_guard *g, sockbroker_socket sock)
{
    for (size_t i = 0; i < N_OPTIONS; i++)
        g->values[i].len = read_option(sock, &options[i], g->values[i].bytes);
}

/* True when it was another value and could be changed; what the system does not let us put back is no news each time. */
static bool restore(sockbroker_socket sock, const struct option *o, const unsigned char *bytes, unsigned len)
{
    unsigned char before[SB_GUARD_VALUE_MAX], after[SB_GUARD_VALUE_MAX];

    if (!len || (read_option(sock, o, before) == len && !memcmp(before, bytes, len)))
        return false;
    write_option(sock, o, bytes, len);
    return read_option(sock, o, after) == len && memcmp(before, after, len) != 0;
}

static const char *check_options(const struct sb_guard *g, sockbroker_socket sock)
{
    const char *wrong = NULL;

    for (size_t i = 0; i < N_OPTIONS; i++) {
        if (restore(sock, &options[i], g->values[i].bytes, g->values[i].len) && !wrong)
            wrong = options[i].word;
    }
    return wrong;
}

/* Of a listening socket the kernel tells the length of the queue in this field (tcp_diag does too). */
static uint32_t backlog_of(sockbroker_socket sock)
{
    struct tcp_info info;
    socklen_t len = sizeof(info);

    return getsockopt(sock, IPPROTO_TCP, TCP_INFO, &info, &len) ? 0 : info.tcpi_sacked;
}

static const char *check_backlog(sockbroker_socket sock, uint32_t backlog)
{
    uint32_t before = backlog_of(sock);

    if (!backlog || before == backlog || listen(sock, (int)backlog))
        return NULL;
    return backlog_of(sock) == before ? NULL : "backlog"; /* the system may allow less (somaxconn) */
}

static const char *check_mode(sockbroker_socket sock)
{
    if (sb_socket_is_nonblocking(sock))
        return NULL;
    sb_socket_set_nonblocking(sock, true);
    return "O_NONBLOCK";
}

const char *sb_guard_check(const struct sb_guard *g, sockbroker_socket sock, uint32_t backlog)
{
    const char *mode = check_mode(sock);
    const char *queue = check_backlog(sock, backlog);
    const char *option = check_options(g, sock);

    return mode ? mode : queue ? queue : option;
}
