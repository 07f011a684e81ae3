/* What udp.h promises in other networks than this machine's: families missing or off, several interfaces with the same
 * link-local address, multicast, broadcast. Each test is a child in network namespaces of its own. */
#include "tests/support/format.h"
#include "tests/unit/udp_kit.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- namespaces ---- */

static void in_own_network(void (*run)(void *))
{
    if (geteuid() != 0) {
        print_message("only root may make a network namespace\n");
        skip();
    }
    assert_child_succeeds(run, NULL);
}

static int network_now(void)
{
    int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

    UNIT_REQUIRE(fd >= 0);
    return fd;
}

/* ip(8), in the network the caller is in. */
static void ip(const char *format, ...)
{
    char command[256] = "ip ";
    va_list args;

    va_start(args, format);
    vsnprintf(command + 3, sizeof(command) - 3, format, args);
    va_end(args);
    bool worked = system(command) == 0;
    if (!worked)
        print_error("failed: %s (iproute2 is needed)\n", command);
    UNIT_REQUIRE(worked);
}

/* ---- families missing or off ---- */

static void be_where_sockets_are_v6only_by_default(void *arg)
{
    (void)arg;
    UNIT_REQUIRE(unit_own_network());
    UNIT_REQUIRE(unit_write_file("/proc/sys/net/ipv6/bindv6only", "1"));
    udp_ask_everywhere();
}

static void bindv6only_changes_nothing(void **state)
{
    (void)state;
    in_own_network(be_where_sockets_are_v6only_by_default);
}

static void be_where_ipv6_is_switched_off(void *arg)
{
    struct udp_server s;

    (void)arg;
    UNIT_REQUIRE(unit_own_network());
    UNIT_REQUIRE(unit_write_file("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1"));
    udp_start(&s, "[::]:0", true);
    udp_ask(&s, "127.0.0.1");
    udp_ask(&s, "127.0.0.2");
}

static void a_dual_socket_answers_ipv4_where_ipv6_is_off(void **state)
{
    (void)state;
    in_own_network(be_where_ipv6_is_switched_off);
}

/* A worker has a socket that was opened before IPv4 went away, or on a machine that has only IPv6 addresses. */
static void be_where_there_is_no_ipv4_address(void *arg)
{
    struct sockbroker_datagram batch[2] = { { .data = "x", .len = 1 }, { .data = "y", .len = 1 } };
    struct sockbroker_error error;
    struct udp_server s;
    size_t n_done = 0;
    struct sockaddr_in6 any = { .sin6_family = AF_INET6 };

    (void)arg;
    UNIT_REQUIRE(unit_own_network());
    int client = udp_client("::1");
    UNIT_REQUIRE(bind(client, (struct sockaddr *)&any, sizeof(any)) == 0);
    ip("addr del 127.0.0.1/8 dev lo");
    udp_start(&s, "[::]:0", true);
    udp_ask(&s, "::1");
    batch[0].peer = udp_address("127.0.0.1", 9);
    batch[1].peer = udp_address("::1", udp_port(client));
    UNIT_REQUIRE(sockbroker_udp_send(&s.udp, batch, 2, &n_done, &error) == SOCKBROKER_OK);
    UNIT_REQUIRE(n_done == 2 && batch[0].status == SOCKBROKER_SYSTEM && batch[1].status == SOCKBROKER_OK);
    UNIT_REQUIRE(error.os_code == ENETUNREACH && strstr(error.text, "datagram 0 of the batch, to 127.0.0.1:9"));
    udp_client_hear(client, "y");
}

static void a_dual_socket_answers_ipv6_where_there_is_no_ipv4(void **state)
{
    (void)state;
    in_own_network(be_where_there_is_no_ipv4_address);
}

/* ---- many addresses ---- */

static void be_a_server_of_many_addresses(void *arg)
{
    static const char *const more[] = { "2001:db8::1/128", "2001:db8::2/128", "fd00::5/128", "192.0.2.1/32", "192.0.2.2/32" };
    struct udp_server s;

    (void)arg;
    UNIT_REQUIRE(unit_own_network());
    for (size_t i = 0; i < UNIT_COUNT(more); i++)
        ip("addr add %s dev lo %s", more[i], strchr(more[i], ':') ? "nodad" : "");
    udp_start(&s, "[::]:0", true);
    for (size_t i = 0; i < UNIT_COUNT(more); i++) {
        char plain[32];

        format_text(plain, sizeof(plain), "%.*s", (int)strcspn(more[i], "/"), more[i]);
        udp_ask(&s, plain);
    }
}

static void each_of_many_addresses_answers_as_itself(void **state)
{
    (void)state;
    in_own_network(be_a_server_of_many_addresses);
}

/* ---- two links: a0 - a1 and b0 - b1; 0 is the server's end. But for 10.0.x.x, both have the same addresses, so that only who
 * keeps the interface answers on the second one. ---- */

static const struct link {
    const char *server_end, *client_end, *server_ip, *broadcast;
} links[] = { { "a0", "a1", "10.0.1.1", "10.0.1.255" }, { "b0", "b1", "10.0.2.1", "10.0.2.255" } };

struct two_links {
    int server_network, client_network;
    struct udp_server server;
    int client, client6; /* on the client's end of the link in use */
    const struct link *link;
};

static void enter(int network)
{
    UNIT_REQUIRE(setns(network, CLONE_NEWNET) == 0);
}

static bool is_running(void *arg)
{
    struct ifreq r = { .ifr_name = "" };
    int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    format_text(r.ifr_name, sizeof(r.ifr_name), "%s", (const char *)arg);
    bool is = ioctl(sock, SIOCGIFFLAGS, &r) == 0 && (r.ifr_flags & IFF_RUNNING);
    close(sock);
    return is;
}

static void set_up_end(const char *name, unsigned link, unsigned host)
{
    char copy[8];

    format_text(copy, sizeof(copy), "%s", name);
    UNIT_REQUIRE(unit_wait_for(is_running, copy)); /* before that, packets are dropped */
    ip("addr add 10.0.%u.%u/24 broadcast + dev %s", link + 1, host, name);
    ip("addr add 169.254.0.%u/16 broadcast + dev %s", host, name);
    ip("addr add fe80::%u/64 dev %s nodad", host, name);
    ip("addr add 2001:db8::%u/64 dev %s nodad", host, name);
}

static void set_up_link(struct two_links *t, unsigned i)
{
    enter(t->server_network);
    ip("link add %s type veth peer name %s netns /proc/%d/fd/%d", links[i].server_end, links[i].client_end, (int)getpid(),
       t->client_network);
    ip("link set %s addrgenmode none up", links[i].server_end);
    enter(t->client_network);
    ip("link set %s addrgenmode none up", links[i].client_end);
    set_up_end(links[i].client_end, i, 2);
    enter(t->server_network);
    set_up_end(links[i].server_end, i, 1);
}

static int client_on(const struct link *link, const char *family_of)
{
    int sock = udp_client(family_of);
    int on = 1;

    UNIT_REQUIRE(setsockopt(sock, SOL_SOCKET, SO_BINDTODEVICE, link->client_end, (socklen_t)strlen(link->client_end)) == 0);
    UNIT_REQUIRE(setsockopt(sock, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on)) == 0);
    return sock;
}

/* A question to `to`, and its answer from `from`, on the link it came by. */
static void ask(struct two_links *t, const char *to, bool to_group, const char *from)
{
    int client = strchr(to, ':') ? t->client6 : t->client;
    const struct sockbroker_datagram *d = &t->server.batch[0];

    udp_client_send(client, to, t->server.udp.port, to);
    UNIT_REQUIRE(udp_take(&t->server, UDP_BATCH) == 1);
    UNIT_REQUIRE(d->to_group == to_group);
    enter(t->server_network);
    UNIT_REQUIRE(d->interface_index == if_nametoindex(t->link->server_end));
    UNIT_REQUIRE(d->local.scope_id == (strchr(to, ':') ? d->interface_index : 0));
    enter(t->client_network);
    udp_answer(&t->server, 1);
    struct sockbroker_addr source = udp_client_hear(client, to); /* bound to its end: nothing else reaches it */
    source.scope_id = 0;
    UNIT_REQUIRE(udp_is_ip(&source, from));
}

/* From an address that does not tell the interface. */
static void ask_from(struct two_links *t, const char *address, const char *to, bool to_group, const char *from)
{
    struct sockbroker_addr a = udp_address(address, 0);
    struct sockaddr_storage sa;
    socklen_t len = (socklen_t)sockbroker_addr_to_sockaddr(&a, &sa);
    int client = client_on(t->link, address);
    int *place = strchr(to, ':') ? &t->client6 : &t->client;
    int before = *place;

    UNIT_REQUIRE(bind(client, (struct sockaddr *)&sa, len) == 0);
    *place = client;
    ask(t, to, to_group, from);
    *place = before;
    close(client);
}

/* Linux gives a dual-stack socket no IPv4 multicast unless it has joined. (224.0.0.1 needs no membership otherwise.) */
static void join_on(const struct two_links *t, const struct link *link)
{
    struct ip_mreqn all_hosts = { .imr_ifindex = (int)if_nametoindex(link->server_end) };

    memcpy(&all_hosts.imr_multiaddr, udp_address("224.0.0.1", 0).ip, 4);
    UNIT_REQUIRE(setsockopt(t->server.sock, IPPROTO_IP, IP_ADD_MEMBERSHIP, &all_hosts, sizeof(all_hosts)) == 0);
}

static void ask_on_link(struct two_links *t, const struct link *link)
{
    enter(t->client_network);
    t->link = link;
    t->client = client_on(link, "0.0.0.0");
    t->client6 = client_on(link, "::");
    ask(t, link->server_ip, false, link->server_ip);
    ask(t, "fe80::1", false, "fe80::1");
    ask(t, "ff02::1", true, "fe80::1");
    ask(t, "224.0.0.1", true, link->server_ip);
    ask(t, link->broadcast, true, link->server_ip);
    ask(t, "255.255.255.255", true, link->server_ip);
    ask_from(t, "169.254.0.2", "169.254.0.1", false, "169.254.0.1");
    ask_from(t, "169.254.0.2", "169.254.255.255", true, "169.254.0.1");
    ask_from(t, "169.254.0.2", "255.255.255.255", true, "169.254.0.1");
    ask_from(t, "2001:db8::2", "fe80::1", false, "fe80::1");
    ask_from(t, "2001:db8::2", "ff02::1", true, "2001:db8::1");
    close(t->client);
    close(t->client6);
}

static void be_between_two_links(void *arg)
{
    struct two_links t;

    (void)arg;
    UNIT_REQUIRE(unit_own_network());
    t.client_network = network_now();
    UNIT_REQUIRE(unit_own_network());
    t.server_network = network_now();
    for (unsigned i = 0; i < UNIT_COUNT(links); i++)
        set_up_link(&t, i);
    udp_start(&t.server, "[::]:0", true);
    for (unsigned i = 0; i < UNIT_COUNT(links); i++)
        join_on(&t, &links[i]);
    for (unsigned round = 0; round < 2; round++) {
        ask_on_link(&t, &links[0]);
        ask_on_link(&t, &links[1]);
    }
}

static void answers_to_link_local_multicast_and_broadcast_keep_the_interface(void **state)
{
    (void)state;
    in_own_network(be_between_two_links);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(bindv6only_changes_nothing),
        UNIT_TEST(a_dual_socket_answers_ipv4_where_ipv6_is_off),
        UNIT_TEST(a_dual_socket_answers_ipv6_where_there_is_no_ipv4),
        UNIT_TEST(each_of_many_addresses_answers_as_itself),
        UNIT_TEST(answers_to_link_local_multicast_and_broadcast_keep_the_interface),
    };

    return cmocka_run_group_tests_name("udp_network", tests, NULL, NULL);
}
