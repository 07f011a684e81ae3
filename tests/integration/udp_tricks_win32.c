#include <winsock2.h>
#include <ws2tcpip.h>

#include "tests/integration/udp_faults_kit.h"
#include "tests/support/format.h"
#include "tests/support/net.h"

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
    udp_set_option(sock, IPPROTO_IPV6, IPV6_PKTINFO, 0);
}

static bool is_pktinfo6_on(sockbroker_socket sock)
{
    return udp_option_of(sock, IPPROTO_IPV6, IPV6_PKTINFO) == 1;
}

static void shrink_queue(sockbroker_socket sock)
{
    udp_set_option(sock, SOL_SOCKET, SO_RCVBUF, 4096);
}

/* How long it may be is the system's to say. */
static bool is_queue_long(sockbroker_socket sock)
{
    return udp_option_of(sock, SOL_SOCKET, SO_RCVBUF) > 2 * 4096;
}

/* The mode cannot be asked for, and is put back without a word. */
const struct udp_trick udp_tricks[] = {
    { "IP_PKTINFO", turn_pktinfo4_off, is_pktinfo4_on },
    { "IPV6_PKTINFO", turn_pktinfo6_off, is_pktinfo6_on },
    { "SO_RCVBUF", shrink_queue, is_queue_long },
    { "connected", udp_connect_to_ipv4, udp_is_unconnected },
    { "connected", udp_connect_to_ipv6, udp_is_unconnected },
};
const unsigned udp_n_tricks = sizeof(udp_tricks) / sizeof(udp_tricks[0]);

/* Of sending alone it need not tell. */
const int udp_ways_to_shut[] = { SD_RECEIVE, SD_BOTH };
const unsigned udp_n_ways_to_shut = sizeof(udp_ways_to_shut) / sizeof(udp_ways_to_shut[0]);

static bool is_free(const char *host, uint16_t port)
{
    sockbroker_socket sock = net_open_bound(host, port, SOCK_DGRAM);
    bool is_ours = sock != SOCKBROKER_SOCKET_NONE;

    net_close(&sock);
    return is_ours;
}

/* Below those that systems choose from. A port that was chosen is lost with a connection on Wine, which binds no socket twice.
 */
struct kit_broker *udp_start_for_tricks(const char *more)
{
    uint16_t port = (uint16_t)(20000 + GetCurrentProcessId() % 8000);
    char endpoint[96];

    while (!is_free("::", port) || !is_free("0.0.0.0", port))
        port++;
    format_text(endpoint, sizeof(endpoint), "echo=[::]:%u,protocol=udp,mode=share%s", port, more);
    return udp_start(endpoint);
}
