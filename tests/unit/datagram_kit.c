#include "tests/unit/datagram_kit.h"

#include "proto/socket.h"
#include "sockbroker/addr.h"

static const struct row {
    const char *at;
    bool dual;
    int v6only; /* -1: IPv4 */
    bool ipv4, ipv6;
} rows[] = {
    { "[::]:0", true, 0, true, true },         { "[::]:0", false, 1, false, true },     { "[::1]:0", false, 1, false, true },
    { "127.0.0.1:0", false, -1, true, false }, { "0.0.0.0:0", false, -1, true, false },
};

struct sb_datagram_request datagram_request(const char *text, bool dual)
{
    struct sb_datagram_request r = { .dual = dual };

    UNIT_REQUIRE(sockbroker_addr_parse(text, &r.addr, NULL) == SOCKBROKER_OK);
    return r;
}

sockbroker_status datagram_open_at(const char *text, bool dual, struct datagram_opened *o)
{
    struct sb_datagram_request r = datagram_request(text, dual);

    o->sock = SOCKBROKER_SOCKET_NONE;
    return sb_datagram_open(&r, &o->sock, &o->facts, &o->error);
}

/* On loopback it is there, or refused, when send() returns. */
bool datagram_serves(const struct datagram_opened *o, const char *ip)
{
    struct sockaddr_storage sa;
    struct sockbroker_addr to;
    char byte = 0;

    UNIT_REQUIRE(sockbroker_addr_parse_ip(ip, &to, NULL) == SOCKBROKER_OK);
    to.port = o->facts.addr.port;
    socklen_t len = (socklen_t)sockbroker_addr_to_sockaddr(&to, &sa);
    sockbroker_socket client = unit_socket(sa.ss_family, SOCK_DGRAM);
    bool sent = sendto(client, "x", 1, 0, (struct sockaddr *)&sa, len) == 1;

    sb_socket_close(&client);
    return sent && recv(o->sock, &byte, 1, 0) == 1 && byte == 'x';
}

static void check_row(const struct row *row)
{
    struct datagram_opened o;

    UNIT_REQUIRE(datagram_open_at(row->at, row->dual, &o) == SOCKBROKER_OK);
    UNIT_REQUIRE(o.facts.note == SB_DATAGRAM_AS_ASKED && o.facts.addr.port != 0);
    UNIT_REQUIRE(o.facts.addr.family == (row->v6only < 0 ? SOCKBROKER_IPV4 : SOCKBROKER_IPV6));
    if (row->v6only >= 0)
        UNIT_REQUIRE(unit_option(o.sock, IPPROTO_IPV6, IPV6_V6ONLY) == row->v6only);
    UNIT_REQUIRE(datagram_serves(&o, "127.0.0.1") == row->ipv4);
    UNIT_REQUIRE(datagram_serves(&o, "::1") == row->ipv6);
    sb_socket_close(&o.sock);
}

void datagram_serve_as_asked(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++)
        check_row(&rows[i]);
}

void datagram_connect_to_discard(sockbroker_socket sock, const char *ip, bool mapped)
{
    struct sockbroker_addr to;
    struct sockaddr_storage sa;

    assert_status(SOCKBROKER_OK, sockbroker_addr_parse_ip(ip, &to, NULL));
    to.port = 9;
    if (mapped)
        sockbroker_addr_map(&to);
    socklen_t len = (socklen_t)sockbroker_addr_to_sockaddr(&to, &sa);
    assert_int_equal(connect(sock, (struct sockaddr *)&sa, len), 0);
}
