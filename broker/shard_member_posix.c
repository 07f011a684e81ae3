#include "broker/shard_member.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#include "client-lib/datagram.h"
#include "proto/oserr.h"
#include "proto/socket.h"
#include "sockbroker/addr.h"

#define DISCARD_PORT 9 /* RFC 863 */
#define LOOPBACK "lo"

static sockbroker_status failed(const struct sb_shard_request *as, const char *operation, int code,
                                struct sockbroker_error *error)
{
    char text[SOCKBROKER_ADDR_TEXT_MAX];
    char what[SOCKBROKER_ADDR_TEXT_MAX + 64];
    const char *cure = code == EADDRINUSE ? "stop what is bound there (ss -lunp shows it) or choose another port" : NULL;

    snprintf(what, sizeof(what), "%s %s (%s)", operation, sockbroker_addr_format(&as->addr, text),
             as->type == SOCKBROKER_STREAM ? "TCP" : "UDP");
    return sb_oserr_set(error, code, what, cure);
}

static int switch_on(int sock, int option)
{
    int on = 1;

    return setsockopt(sock, SOL_SOCKET, option, &on, sizeof(on));
}

static int real_address(int sock, struct sockbroker_addr *addr_out)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);

    return getsockname(sock, (struct sockaddr *)&sa, &len) ||
           sockbroker_addr_from_sockaddr((struct sockaddr *)&sa, len, addr_out);
}

/* ---- opening ---- */

static sockbroker_status open_datagram(const struct sb_shard_request *as, bool joins, sockbroker_socket *sock_out,
                                       struct sockbroker_addr *addr_out, enum sb_listen_note *note_out,
                                       struct sockbroker_error *error)
{
    struct sb_datagram_request r = {
        .addr = as->addr, .dual = as->dual, .reuseport = joins, .receive_buffer = as->receive_buffer
    };
    struct sb_datagram_facts facts;
    sockbroker_status st = sb_datagram_open(&r, sock_out, &facts, error);

    if (st)
        return st;
    *addr_out = facts.addr;
    *note_out = facts.note == SB_DATAGRAM_NO_IPV6 ? SB_LISTEN_NO_IPV6 : SB_LISTEN_AS_ASKED;
    return SOCKBROKER_OK;
}

/* Without SO_REUSEPORT at first: with it the kernel puts it into any group of the same user, and may choose the port of one
 * when the port is 0 (UDP). */
sockbroker_status sb_shard_member_found(const struct sb_shard_request *as, sockbroker_socket *sock_out,
                                        struct sockbroker_addr *addr_out, enum sb_listen_note *note_out,
                                        struct sockbroker_error *error_out)
{
    struct sb_listen_request r = { .addr = as->addr, .dual = as->dual, .backlog = as->backlog };
    sockbroker_socket sock = SOCKBROKER_SOCKET_NONE;
    sockbroker_status st = as->type == SOCKBROKER_STREAM ? sb_listen_open(&r, &sock, addr_out, note_out, error_out)
                                                         : open_datagram(as, false, &sock, addr_out, note_out, error_out);

    if (!st && switch_on(sock, SO_REUSEPORT))
        st = failed(as, "SO_REUSEPORT on", errno, error_out);
    if (!st)
        *sock_out = sb_socket_take(&sock);
    sb_socket_close(&sock);
    return st;
}

sockbroker_status sb_shard_member_join(const struct sb_shard_request *as, sockbroker_socket *sock_out,
                                       struct sockbroker_error *error_out)
{
    struct sb_listen_request r = { .addr = as->addr, .dual = as->dual, .backlog = as->backlog, .reuseport = true };
    struct sockbroker_addr at;
    enum sb_listen_note note;

    if (as->type == SOCKBROKER_STREAM)
        return sb_listen_open(&r, sock_out, &at, &note, error_out);
    return open_datagram(as, true, sock_out, &at, &note, error_out);
}

/* ---- is it what it was ---- */

static bool is_shut_down(int sock)
{
    struct pollfd p = { .fd = sock, .events = POLLRDHUP };

    return poll(&p, 1, 0) < 0 || (p.revents & (POLLRDHUP | POLLHUP | POLLNVAL));
}

static bool is_connected(int sock)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);

    return getpeername(sock, (struct sockaddr *)&sa, &len) == 0;
}

bool sb_shard_member_is_on(const struct sb_shard_request *as, sockbroker_socket sock)
{
    struct sockbroker_addr at;

    if (as->type == SOCKBROKER_STREAM)
        return sb_listen_is_on(sock);
    return sock != SOCKBROKER_SOCKET_NONE && !is_connected(sock) && !is_shut_down(sock) && !real_address(sock, &at) &&
           !sockbroker_addr_compare(&at, &as->addr);
}

/* ---- mending ---- */

void sb_shard_member_reassert(const struct sb_shard_request *as, sockbroker_socket sock)
{
    switch_on(sock, SO_REUSEPORT);
    sb_socket_set_nonblocking(sock, true);
    if (as->type == SOCKBROKER_STREAM && sb_listen_is_on(sock))
        sb_listen_again(sock, &as->addr, as->backlog);
}

void sb_shard_member_reach(const struct sb_shard_request *as, struct sockbroker_addr *addr_out)
{
    uint16_t port = as->addr.port;

    *addr_out = as->addr;
    if (sockbroker_addr_classify(addr_out) != SOCKBROKER_CLASS_UNSPECIFIED)
        return;
    bool by_ipv6 = as->addr.family == SOCKBROKER_IPV6 && (!as->dual || sb_listen_has_ipv6_address());
    sockbroker_addr_parse_ip(by_ipv6 ? "::1" : "127.0.0.1", addr_out, NULL);
    addr_out->port = port;
}

bool sb_shard_member_revive(const struct sb_shard_request *as, sockbroker_socket sock)
{
    return as->type == SOCKBROKER_STREAM && !sb_listen_again(sock, &as->addr, as->backlog);
}

/* Connected it gets nothing but from its peer, and nobody is there; bound to an interface it is no kin of the group (the kernel
 * lets a new socket join the first one it meets of the same address, interface and user). */
void sb_shard_member_dismiss(const struct sb_shard_request *as, sockbroker_socket sock)
{
    struct sockaddr_storage sa;
    struct sockbroker_addr nobody;

    if (as->type == SOCKBROKER_STREAM)
        return;
    sb_shard_member_reach(as, &nobody);
    nobody.port = DISCARD_PORT;
    if (as->addr.family == SOCKBROKER_IPV6)
        sockbroker_addr_map(&nobody);
    socklen_t len = (socklen_t)sockbroker_addr_to_sockaddr(&nobody, &sa);
    connect(sock, (struct sockaddr *)&sa, len);
    setsockopt(sock, SOL_SOCKET, SO_BINDTODEVICE, LOOPBACK, sizeof(LOOPBACK));
}
