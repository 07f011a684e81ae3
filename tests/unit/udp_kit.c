#include "tests/unit/udp_kit.h"

#include <string.h>

#include "client-lib/datagram.h"
#include "proto/socket.h"

/* ---- the server ---- */

static void set_rooms(struct udp_server *s)
{
    memset(s->batch, 0, sizeof(s->batch));
    for (size_t i = 0; i < UDP_BATCH; i++) {
        s->batch[i].data = s->bytes[i];
        s->batch[i].room = UDP_ROOM;
    }
}

void udp_start(struct udp_server *s, const char *at, bool dual)
{
    struct sb_datagram_request r = { .dual = dual };
    struct sb_datagram_facts facts;

    UNIT_REQUIRE(sockbroker_addr_parse(at, &r.addr, NULL) == SOCKBROKER_OK);
    UNIT_REQUIRE(sb_datagram_open(&r, &s->sock, &facts, NULL) == SOCKBROKER_OK);
    UNIT_REQUIRE(sockbroker_udp_init(&s->udp, s->sock, NULL) == SOCKBROKER_OK);
    UNIT_REQUIRE(s->udp.port == facts.addr.port && s->udp.dual == dual);
    set_rooms(s);
}

void udp_stop(struct udp_server *s)
{
    sb_socket_close(&s->sock);
}

size_t udp_take(struct udp_server *s, size_t n)
{
    size_t n_taken = 0;

    set_rooms(s);
    UNIT_REQUIRE(unit_wait_readable(s->sock));
    UNIT_REQUIRE(sockbroker_udp_receive(&s->udp, s->batch, n, &n_taken) == SOCKBROKER_OK);
    UNIT_REQUIRE(n_taken > 0);
    return n_taken;
}

void udp_answer(struct udp_server *s, size_t n)
{
    struct sockbroker_error error;
    size_t n_done = 0;

    UNIT_REQUIRE(sockbroker_udp_send(&s->udp, s->batch, n, &n_done, &error) == SOCKBROKER_OK);
    if (error.status)
        print_error("%s\n", error.text);
    UNIT_REQUIRE(n_done == n && error.status == SOCKBROKER_OK && error.text[0] == '\0');
}

/* ---- addresses ---- */

struct sockbroker_addr udp_address(const char *ip, uint16_t port)
{
    struct sockbroker_addr a = { .family = SOCKBROKER_FAMILY_NONE };

    UNIT_REQUIRE(sockbroker_addr_parse_ip(ip, &a, NULL) == SOCKBROKER_OK);
    a.port = port;
    return a;
}

bool udp_is_ip(const struct sockbroker_addr *a, const char *ip)
{
    char text[SOCKBROKER_ADDR_TEXT_MAX];
    bool is = !strcmp(sockbroker_addr_format_ip(a, text), ip);

    if (!is)
        print_error("%s, not %s\n", text, ip);
    return is;
}

uint16_t udp_port(sockbroker_socket sock)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    struct sockbroker_addr a = { .port = 0 };

    UNIT_REQUIRE(getsockname(sock, (struct sockaddr *)&sa, &len) == 0);
    UNIT_REQUIRE(sockbroker_addr_from_sockaddr((struct sockaddr *)&sa, (size_t)len, &a) == SOCKBROKER_OK);
    return a.port;
}

uint16_t udp_closed_port(const char *ip)
{
    struct udp_server s;

    udp_start(&s, strchr(ip, ':') ? "[::1]:0" : "127.0.0.1:0", false);
    udp_stop(&s);
    return s.udp.port;
}

/* ---- clients ---- */

sockbroker_socket udp_client(const char *ip)
{
    return unit_socket(strchr(ip, ':') ? AF_INET6 : AF_INET, SOCK_DGRAM);
}

void udp_client_send(sockbroker_socket client, const char *ip, uint16_t port, const char *text)
{
    struct sockbroker_addr to = udp_address(ip, port);
    struct sockaddr_storage sa;
    socklen_t len = (socklen_t)sockbroker_addr_to_sockaddr(&to, &sa);

    UNIT_REQUIRE((size_t)sendto(client, text, (uint16_t)strlen(text), 0, (struct sockaddr *)&sa, len) == strlen(text));
}

struct sockbroker_addr udp_client_hear(sockbroker_socket client, const char *text)
{
    char bytes[UDP_ROOM] = "";
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    struct sockbroker_addr from = { .family = SOCKBROKER_FAMILY_NONE };

    UNIT_REQUIRE(unit_wait_readable(client));
    size_t n = (size_t)recvfrom(client, bytes, sizeof(bytes), 0, (struct sockaddr *)&sa, &len);
    UNIT_REQUIRE(n == strlen(text) && !memcmp(bytes, text, strlen(text)));
    UNIT_REQUIRE(sockbroker_addr_from_sockaddr((struct sockaddr *)&sa, (size_t)len, &from) == SOCKBROKER_OK);
    return from;
}

bool udp_client_is_left_alone(sockbroker_socket client)
{
    return !unit_is_readable(client);
}
