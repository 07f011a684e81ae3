#include "broker/guard.h"

#include <winsock2.h>
#include <ws2tcpip.h>

#include <string.h>

#include "proto/socket.h"

struct option {
    int level;
    int name;
    const char *word;
};

static const struct option options[] = {
    { SOL_SOCKET, SO_LINGER, "SO_LINGER" },       { SOL_SOCKET, SO_KEEPALIVE, "SO_KEEPALIVE" },
    { SOL_SOCKET, SO_RCVBUF, "SO_RCVBUF" },       { SOL_SOCKET, SO_SNDBUF, "SO_SNDBUF" },
    { SOL_SOCKET, SO_RCVTIMEO, "SO_RCVTIMEO" },   { SOL_SOCKET, SO_SNDTIMEO, "SO_SNDTIMEO" },
    { SOL_SOCKET, SO_BROADCAST, "SO_BROADCAST" }, { IPPROTO_IP, IP_TOS, "IP_TOS" },
    { IPPROTO_IP, IP_PKTINFO, "IP_PKTINFO" },     { IPPROTO_IPV6, IPV6_PKTINFO, "IPV6_PKTINFO" },
    { IPPROTO_TCP, TCP_NODELAY, "TCP_NODELAY" },
};

#define N_OPTIONS (sizeof(options) / sizeof(options[0]))

_Static_assert(N_OPTIONS <= SB_GUARD_OPTIONS, "each option has a place");

static unsigned read_option(sockbroker_socket sock, const struct option *o, unsigned char bytes[SB_GUARD_VALUE_MAX])
{
    int len = SB_GUARD_VALUE_MAX;

    memset(bytes, 0, SB_GUARD_VALUE_MAX);
    return getsockopt(sock, o->level, o->name, (char *)bytes, &len) ? 0 : (unsigned)len;
}

void sb_guard_init(struct sb_guard *g, sockbroker_socket sock)
{
    memset(g, 0, sizeof(*g));
    for (size_t i = 0; i < N_OPTIONS; i++)
        g->values[i].len = read_option(sock, &options[i], g->values[i].bytes);
}

/* True when it was another value and could be changed; what the system does not let us put back is no news each time. */
static bool restore(sockbroker_socket sock, const struct option *o, const unsigned char *bytes, unsigned len)
{
    unsigned char before[SB_GUARD_VALUE_MAX], after[SB_GUARD_VALUE_MAX];

    if (!len || (read_option(sock, o, before) == len && !memcmp(before, bytes, len)))
        return false;
    setsockopt(sock, o->level, o->name, (const char *)bytes, (int)len);
    return read_option(sock, o, after) == len && memcmp(before, after, len) != 0;
}

/* The mode cannot be asked for, so it is set each time and no news; nor can the length of the queue. */
const char *sb_guard_check(const struct sb_guard *g, sockbroker_socket sock, uint32_t backlog)
{
    const char *wrong = NULL;

    (void)backlog;
    sb_socket_set_nonblocking(sock, true);
    for (size_t i = 0; i < N_OPTIONS; i++) {
        if (restore(sock, &options[i], g->values[i].bytes, g->values[i].len) && !wrong)
            wrong = options[i].word;
    }
    return wrong;
}
