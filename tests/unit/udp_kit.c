#include "tests/unit/udp_kit.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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

uint16_t udp_port(int sock)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    struct sockbroker_addr a = { .port = 0 };

    UNIT_REQUIRE(getsockname(sock, (struct sockaddr *)&sa, &len) == 0);
    UNIT_REQUIRE(sockbroker_addr_from_sockaddr((struct sockaddr *)&sa, len, &a) == SOCKBROKER_OK);
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

int udp_client(const char *ip)
{
    int sock = socket(strchr(ip, ':') ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    UNIT_REQUIRE(sock >= 0);
    return sock;
}

void udp_client_send(int client, const char *ip, uint16_t port, const char *text)
{
    struct sockbroker_addr to = udp_address(ip, port);
    struct sockaddr_storage sa;
    socklen_t len = (socklen_t)sockbroker_addr_to_sockaddr(&to, &sa);

    UNIT_REQUIRE(sendto(client, text, strlen(text), 0, (struct sockaddr *)&sa, len) == (ssize_t)strlen(text));
}

struct sockbroker_addr udp_client_hear(int client, const char *text)
{
    char bytes[UDP_ROOM] = "";
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    struct sockbroker_addr from = { .family = SOCKBROKER_FAMILY_NONE };

    UNIT_REQUIRE(unit_wait_readable(client));
    ssize_t n = recvfrom(client, bytes, sizeof(bytes), MSG_DONTWAIT, (struct sockaddr *)&sa, &len);
    UNIT_REQUIRE(n == (ssize_t)strlen(text) && !memcmp(bytes, text, strlen(text)));
    UNIT_REQUIRE(sockbroker_addr_from_sockaddr((struct sockaddr *)&sa, len, &from) == SOCKBROKER_OK);
    return from;
}

bool udp_client_is_left_alone(int client)
{
    char byte;

    return recv(client, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

/* ---- question and answer ---- */

void udp_ask(struct udp_server *s, const char *ip)
{
    const struct sockbroker_datagram *d = &s->batch[0];
    int client = udp_client(ip);

    udp_client_send(client, ip, s->udp.port, "question");
    UNIT_REQUIRE(udp_take(s, UDP_BATCH) == 1);
    UNIT_REQUIRE(d->len == 8 && !d->truncated && !memcmp(d->data, "question", 8));
    UNIT_REQUIRE(udp_is_ip(&d->local, ip) && d->local.port == s->udp.port && !d->to_group);
    UNIT_REQUIRE(d->peer.family == d->local.family && d->peer.port == udp_port(client));
    UNIT_REQUIRE(d->interface_index == if_nametoindex("lo"));
    memcpy(s->bytes[0], "answer", 6);
    s->batch[0].len = 6;
    udp_answer(s, 1);
    struct sockbroker_addr from = udp_client_hear(client, "answer");
    UNIT_REQUIRE(udp_is_ip(&from, ip) && from.port == s->udp.port);
    close(client);
}

void udp_ask_everywhere(void)
{
    static const char *const ipv4[] = { "127.0.0.1", "127.0.0.2", "127.1.2.3", "127.255.255.254" };
    static const struct {
        const char *at;
        bool dual, ipv4, ipv6;
    } servers[] = { { "[::]:0", true, true, true }, { "[::]:0", false, false, true }, { "0.0.0.0:0", false, true, false } };

    for (size_t i = 0; i < UNIT_COUNT(servers); i++) {
        struct udp_server s;

        udp_start(&s, servers[i].at, servers[i].dual);
        UNIT_REQUIRE(s.udp.socket_family == (servers[i].ipv6 ? SOCKBROKER_IPV6 : SOCKBROKER_IPV4));
        for (size_t j = 0; servers[i].ipv4 && j < UNIT_COUNT(ipv4); j++)
            udp_ask(&s, ipv4[j]);
        if (servers[i].ipv6)
            udp_ask(&s, "::1");
        udp_stop(&s);
    }
}
