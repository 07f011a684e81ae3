#include "tests/support/kit_udp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/net.h"

#define MARK 0x5bd9a3c1u
#define LENGTHS 48u /* datagrams differ in length too */

struct kit_udp_number {
    unsigned sending; /* the last one, counted from 1 */
    unsigned n_sendings;
    unsigned n_answers;
};

/* What a datagram begins with; the rest of it is derived from the number. */
struct content {
    uint32_t mark;
    uint32_t client;
    uint32_t number;
};

static unsigned client_of(const struct kit_udp *u, unsigned number)
{
    return number % u->options.n_clients;
}

static size_t make(const struct kit_udp *u, unsigned number, unsigned char *bytes)
{
    struct content c = { MARK, client_of(u, number), number };
    size_t extra = number % LENGTHS;

    memcpy(bytes, &c, sizeof(c));
    memset(bytes + sizeof(c), (int)(number & 0xff), extra);
    return sizeof(c) + extra;
}

/* ---- sockets ---- */

static void open_client(struct kit_udp_client *c, const char *host, uint16_t port)
{
    struct sockbroker_addr addr;
    struct sockaddr_storage sa;
    struct sockbroker_error error;

    if (sockbroker_addr_parse_ip(host, &addr, &error))
        kit_fail("%s", error.text);
    addr.port = port;
    sockbroker_addr_format(&addr, c->asked);
    size_t len = sockbroker_addr_to_sockaddr(&addr, &sa);
    c->is_ipv6 = addr.family == SOCKBROKER_IPV6;
    c->sock = net_open(sa.ss_family, SOCK_DGRAM);
    if (c->sock == SOCKBROKER_SOCKET_NONE || !len || !net_set_nonblocking(c->sock))
        kit_fail("no socket for %s: %s", host, net_error_text());
}

static unsigned count_hosts(const struct kit_udp_options *o)
{
    unsigned n = 0;

    while (n < KIT_UDP_HOSTS_MAX && o->hosts[n])
        n++;
    return n;
}

void kit_udp_open(struct kit_udp *u, const struct kit_udp_options *options)
{
    unsigned n_hosts = count_hosts(options);

    memset(u, 0, sizeof(*u));
    u->options = *options;
    if (!u->options.n_clients)
        u->options.n_clients = n_hosts;
    if (!u->options.window)
        u->options.window = KIT_UDP_WINDOW;
    u->numbers = calloc(options->total, sizeof(*u->numbers));
    if (!u->numbers)
        kit_fail("out of memory");
    for (unsigned i = 0; i < u->options.n_clients; i++)
        open_client(&u->clients[i], options->hosts[i % n_hosts], options->port);
}

/* ---- sending ---- */

static void send_one(struct kit_udp *u, unsigned number)
{
    const struct kit_udp_client *c = &u->clients[client_of(u, number)];
    unsigned char bytes[sizeof(struct content) + LENGTHS];
    struct sockbroker_addr to;
    struct sockaddr_storage sa;
    size_t len = make(u, number, bytes);

    sockbroker_addr_parse(c->asked, &to, NULL);
    socklen_t sa_len = (socklen_t)sockbroker_addr_to_sockaddr(&to, &sa);
    if (!net_send_to(c->sock, bytes, len, &sa, sa_len))
        kit_fail("datagram %u to %s: %s", number, c->asked, net_error_text());
    u->numbers[number].sending = ++u->n_sendings;
    u->numbers[number].n_sendings++;
}

static unsigned under_way(const struct kit_udp *u)
{
    return u->n_sent - u->n_answered;
}

void kit_udp_send(struct kit_udp *u, unsigned n)
{
    if (under_way(u) + n > u->options.window || u->n_sent + n > u->options.total)
        kit_fail("%u more datagrams are too many", n);
    while (n--)
        send_one(u, u->n_sent++);
}

/* ---- receiving ---- */

static void judge_source(const struct kit_udp_client *c, unsigned number, const struct sockaddr_storage *sa, socklen_t len)
{
    struct sockbroker_addr from;
    char text[SOCKBROKER_ADDR_TEXT_MAX] = "nowhere";

    if (!sockbroker_addr_from_sockaddr((const struct sockaddr *)sa, (size_t)len, &from))
        sockbroker_addr_format(&from, text);
    if (strcmp(text, c->asked))
        kit_fail("datagram %u was sent to %s, and its answer came from %s", number, c->asked, text);
}

static unsigned judge_content(const struct kit_udp *u, unsigned client, const unsigned char *bytes, size_t len)
{
    unsigned char expected[sizeof(struct content) + LENGTHS];
    struct content c;

    if (len < sizeof(c))
        kit_fail("client %u got %zu bytes", client, len);
    memcpy(&c, bytes, sizeof(c));
    if (c.mark != MARK || c.client != client || c.number >= u->n_sent)
        kit_fail("client %u got datagram %u of client %u", client, c.number, c.client);
    if (make(u, c.number, expected) != len || memcmp(bytes, expected, len))
        kit_fail("datagram %u came back changed", c.number);
    return c.number;
}

static void note_answer(struct kit_udp *u, const struct kit_udp_client *c, unsigned number)
{
    struct kit_udp_number *n = &u->numbers[number];

    if (n->n_answers == n->n_sendings)
        kit_fail("datagram %u was sent %u times and answered once more", number, n->n_sendings);
    if (n->sending > u->last_answered)
        u->last_answered = n->sending;
    if (n->n_answers++)
        return;
    u->n_answered++;
    if (c->is_ipv6)
        u->n_ipv6++;
    else
        u->n_ipv4++;
}

static void take(struct kit_udp *u, unsigned client, const unsigned char *bytes, size_t len, const struct sockaddr_storage *sa,
                 socklen_t sa_len)
{
    const struct kit_udp_client *c = &u->clients[client];
    unsigned number = judge_content(u, client, bytes, len);

    judge_source(c, number, sa, sa_len);
    note_answer(u, c, number);
}

static void take_all(struct kit_udp *u, unsigned client)
{
    unsigned char bytes[512];

    for (;;) {
        struct sockaddr_storage sa;
        socklen_t sa_len = sizeof(sa);
        long n = net_receive_from(u->clients[client].sock, bytes, sizeof(bytes), &sa, &sa_len);

        if (n < 0 && net_is_pending())
            return;
        if (n < 0)
            kit_fail("client %u of %s: %s", client, u->clients[client].asked, net_error_text());
        take(u, client, bytes, (size_t)n, &sa, sa_len);
    }
}

/* False when nothing comes within ms. */
static bool take_what_comes(struct kit_udp *u, unsigned ms)
{
    struct net_event events[KIT_UDP_CLIENTS_MAX];
    unsigned n = u->options.n_clients;

    for (unsigned i = 0; i < n; i++)
        events[i] = (struct net_event){ .sock = u->clients[i].sock };
    if (!net_wait(events, n, (int)ms))
        return false;
    for (unsigned i = 0; i < n; i++) {
        if (events[i].is_ready)
            take_all(u, i);
    }
    return true;
}

static void await_fewer(struct kit_udp *u, unsigned n)
{
    while (under_way(u) >= n) {
        if (!take_what_comes(u, KIT_WAIT_MS))
            kit_fail("%u of %u datagrams have no answer", under_way(u), u->n_sent);
    }
}

void kit_udp_collect(struct kit_udp *u)
{
    await_fewer(u, 1);
}

void kit_udp_run(struct kit_udp *u, unsigned n)
{
    while (n) {
        unsigned some = u->options.window - under_way(u);

        some = some < n ? some : n;
        kit_udp_send(u, some);
        n -= some;
        await_fewer(u, u->options.window / 2);
    }
    kit_udp_collect(u);
}

void kit_udp_collect_last(struct kit_udp *u)
{
    while (!u->numbers[u->n_sent - 1].n_answers) {
        if (!take_what_comes(u, KIT_WAIT_MS))
            kit_fail("the last of %u datagrams has no answer", u->n_sent);
    }
}

unsigned kit_udp_repeat_lost(struct kit_udp *u)
{
    unsigned n = 0;

    while (take_what_comes(u, 0)) /* an answer tells of the sendings before it only when all of them have been read */
        continue;
    for (unsigned i = 0; i < u->n_sent; i++) {
        if (u->numbers[i].n_answers || u->numbers[i].sending > u->last_answered)
            continue;
        send_one(u, i);
        n++;
    }
    u->n_repeated += n;
    return n;
}

void kit_udp_close(struct kit_udp *u)
{
    take_what_comes(u, 0);
    if (under_way(u))
        kit_fail("%u of %u datagrams have no answer", under_way(u), u->n_sent);
    for (unsigned i = 0; i < u->options.n_clients; i++)
        net_close(&u->clients[i].sock);
    free(u->numbers);
    u->numbers = NULL;
}
