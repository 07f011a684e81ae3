#include "tests/unit/udp_kit.h"

#include <net/if.h>
#include <string.h>
#include <unistd.h>

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
