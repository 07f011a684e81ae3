#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/integration/udp_faults_kit.h"
#include "tests/support/format.h"

static void turn_pktinfo4_off(sockbroker_socket sock)
{
    udp_set_option(sock, IPPROTO_IP, IP_PKTINFO, 0);
}

static bool is_pktinfo4_on(sockbroker_socket sock)
{
    return udp_option_of(sock, IPPROTO_IP, IP_PKTINFO) == 1;
}

static void turn_pktinfo6_off(sockbroker_socket sock)
{
    udp_set_option(sock, IPPROTO_IPV6, IPV6_RECVPKTINFO, 0);
}

static bool is_pktinfo6_on(sockbroker_socket sock)
{
    return udp_option_of(sock, IPPROTO_IPV6, IPV6_RECVPKTINFO) == 1;
}

static void make_blocking(sockbroker_socket sock)
{
    assert_int_equal(fcntl(sock, F_SETFL, fcntl(sock, F_GETFL) & ~O_NONBLOCK), 0);
}

static bool is_nonblocking(sockbroker_socket sock)
{
    return fcntl(sock, F_GETFL) & O_NONBLOCK;
}

static void shrink_queue(sockbroker_socket sock)
{
    udp_set_option(sock, SOL_SOCKET, SO_RCVBUF, 4096);
}

static bool is_queue_long(sockbroker_socket sock)
{
    return udp_option_of(sock, SOL_SOCKET, SO_RCVBUF) == 2 * (1 << 20);
}

static void disconnect(sockbroker_socket sock)
{
    struct sockaddr none = { .sa_family = AF_UNSPEC };

    udp_connect_to_ipv4(sock);
    assert_int_equal(connect(sock, &none, sizeof(none)), 0);
}

static bool is_bound(sockbroker_socket sock)
{
    struct sockaddr_in6 at;
    socklen_t len = sizeof(at);

    return getsockname(sock, (struct sockaddr *)&at, &len) == 0 && at.sin6_port;
}

const struct udp_trick udp_tricks[] = {
    { "IP_PKTINFO", turn_pktinfo4_off, is_pktinfo4_on },
    { "IPV6_RECVPKTINFO", turn_pktinfo6_off, is_pktinfo6_on },
    { "O_NONBLOCK", make_blocking, is_nonblocking },
    { "SO_RCVBUF", shrink_queue, is_queue_long },
    { "unbound", disconnect, is_bound }, /* before the others: bound again to a port by number, it keeps it */
    { "connected", udp_connect_to_ipv4, udp_is_unconnected },
    { "connected", udp_connect_to_ipv6, udp_is_unconnected },
};
const unsigned udp_n_tricks = sizeof(udp_tricks) / sizeof(udp_tricks[0]);

const int udp_ways_to_shut[] = { SHUT_RD, SHUT_WR, SHUT_RDWR };
const unsigned udp_n_ways_to_shut = sizeof(udp_ways_to_shut) / sizeof(udp_ways_to_shut[0]);

struct kit_broker *udp_start_for_tricks(const char *more)
{
    char endpoint[96];

    format_text(endpoint, sizeof(endpoint), UDP_SHARED "%s", more);
    return udp_start(endpoint);
}
