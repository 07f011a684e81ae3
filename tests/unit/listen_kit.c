#include "tests/unit/listen_kit.h"

#include "proto/socket.h"
#include "sockbroker/addr.h"

struct row {
    const char *at;
    bool dual;
    int v6only; /* -1: IPv4 */
    bool ipv4, ipv6;
};

static const struct row rows[] = {
    { "[::]:0", true, 0, true, true },         { "[::]:0", false, 1, false, true },     { "[::1]:0", false, 1, false, true },
    { "127.0.0.1:0", false, -1, true, false }, { "0.0.0.0:0", false, -1, true, false },
};

struct sb_listen_request listen_request(const char *text, bool dual)
{
    struct sb_listen_request r = { .dual = dual, .backlog = 16 };

    UNIT_REQUIRE(sockbroker_addr_parse(text, &r.addr, NULL) == SOCKBROKER_OK);
    return r;
}

sockbroker_status listen_open_at(const char *text, bool dual, struct listen_opened *o)
{
    struct sb_listen_request r = listen_request(text, dual);

    o->sock = SOCKBROKER_SOCKET_NONE;
    return sb_listen_open(&r, &o->sock, &o->at, &o->note, &o->error);
}

bool listen_serves(const struct listen_opened *o, const char *ip)
{
    struct sockaddr_storage sa;
    struct sockbroker_addr to;

    UNIT_REQUIRE(sockbroker_addr_parse_ip(ip, &to, NULL) == SOCKBROKER_OK);
    to.port = o->at.port;
    socklen_t len = (socklen_t)sockbroker_addr_to_sockaddr(&to, &sa);
    sockbroker_socket client = unit_socket(sa.ss_family, SOCK_STREAM);
    bool served = connect(client, (struct sockaddr *)&sa, len) == 0 && unit_wait_readable(o->sock);
    sockbroker_socket came = served ? unit_accept(o->sock) : SOCKBROKER_SOCKET_NONE;
    bool there = came != SOCKBROKER_SOCKET_NONE;

    sb_socket_close(&client);
    sb_socket_close(&came);
    return there;
}

void listen_serve_as_asked(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct listen_opened o;

        UNIT_REQUIRE(listen_open_at(rows[i].at, rows[i].dual, &o) == SOCKBROKER_OK);
        UNIT_REQUIRE(o.note == SB_LISTEN_AS_ASKED);
        UNIT_REQUIRE(o.at.port != 0);
        UNIT_REQUIRE(o.at.family == (rows[i].v6only < 0 ? SOCKBROKER_IPV4 : SOCKBROKER_IPV6));
        if (rows[i].v6only >= 0)
            UNIT_REQUIRE(unit_option(o.sock, IPPROTO_IPV6, IPV6_V6ONLY) == rows[i].v6only);
        UNIT_REQUIRE(listen_serves(&o, "127.0.0.1") == rows[i].ipv4);
        UNIT_REQUIRE(listen_serves(&o, "::1") == rows[i].ipv6);
        sb_socket_close(&o.sock);
    }
}
