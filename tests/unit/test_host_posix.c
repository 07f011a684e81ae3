/* What a machine of Linux answers when its addresses change, or descriptors run out; and the order of the system's own
 * getaddrinfo() beside ours. What changes addresses runs in a child with a network of its own; without the right to have one,
 * it is left out. */
#include "tests/support/format.h"
#include "tests/unit/host_kit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netdb.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define LO 1 /* the first interface of any network */

/* ---- support: a network ---- */

static void skip_without_network(void (*run)(void *))
{
    static const int not_allowed = 88;
    int status = unit_in_child(run, NULL);

    if (WIFEXITED(status) && WEXITSTATUS(status) == not_allowed)
        skip();
    assert_int_equal(status, 0);
}

static void enter_network(void)
{
    if (!unit_own_network())
        _exit(88);
}

/* The bytes of one address attribute of a netlink message. */
static void put_attribute(struct nlmsghdr *message, unsigned short type, const void *data, size_t len)
{
    struct rtattr *attribute = (struct rtattr *)(void *)((char *)message + NLMSG_ALIGN(message->nlmsg_len));

    attribute->rta_type = type;
    attribute->rta_len = (unsigned short)RTA_LENGTH(len);
    memcpy(RTA_DATA(attribute), data, len);
    message->nlmsg_len = (uint32_t)(NLMSG_ALIGN(message->nlmsg_len) + RTA_ALIGN(attribute->rta_len));
}

static int talk(struct nlmsghdr *message)
{
    int sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    union {
        struct nlmsghdr head;
        char bytes[1024];
    } answer;

    UNIT_REQUIRE(sock >= 0);
    UNIT_REQUIRE(send(sock, message, message->nlmsg_len, 0) == (ssize_t)message->nlmsg_len);
    UNIT_REQUIRE(recv(sock, &answer, sizeof(answer), 0) >= (ssize_t)NLMSG_LENGTH(sizeof(struct nlmsgerr)));
    UNIT_REQUIRE(answer.head.nlmsg_type == NLMSG_ERROR);
    close(sock);
    return -((struct nlmsgerr *)NLMSG_DATA(&answer.head))->error;
}

/* flags: IFA_F_NODAD and IFA_F_HOMEADDRESS are taken; a deprecated address has no preferred time left. */
static void add_address(int interface_, const char *ip, unsigned char bits, uint32_t flags, bool deprecated)
{
    union {
        struct nlmsghdr head;
        char bytes[256];
    } message = { .head = { NLMSG_LENGTH(sizeof(struct ifaddrmsg)), RTM_NEWADDR,
                            NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, 1, 0 } };
    struct ifaddrmsg *address = NLMSG_DATA(&message.head);
    struct ifa_cacheinfo life = { .ifa_prefered = deprecated ? 0 : 3600, .ifa_valid = 3600 };
    unsigned char bytes[16];
    bool is_v6 = strchr(ip, ':') != NULL;

    address->ifa_family = is_v6 ? AF_INET6 : AF_INET;
    address->ifa_prefixlen = bits;
    address->ifa_index = (uint32_t)interface_;
    flags |= IFA_F_NODAD;
    UNIT_REQUIRE(inet_pton(address->ifa_family, ip, bytes) == 1);
    put_attribute(&message.head, IFA_LOCAL, bytes, is_v6 ? 16 : 4);
    if (is_v6) {
        put_attribute(&message.head, IFA_FLAGS, &flags, sizeof(flags));
        put_attribute(&message.head, IFA_CACHEINFO, &life, sizeof(life));
    }
    errno = talk(&message.head);
    UNIT_REQUIRE(errno == 0);
}

/* An interface of that hardware type, up; it lives as long as the descriptor. -1 when the system has no such thing. */
static int open_tunnel(const char *name, int type, int *index_out)
{
    struct ifreq request = { .ifr_flags = IFF_TUN | IFF_NO_PI };
    int tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (tun < 0) {
        close(sock);
        return -1;
    }
    format_text(request.ifr_name, sizeof(request.ifr_name), "%s", name);
    UNIT_REQUIRE(ioctl(tun, TUNSETIFF, &request) == 0);
    UNIT_REQUIRE(ioctl(tun, TUNSETLINK, type) == 0);
    request.ifr_flags = IFF_UP;
    UNIT_REQUIRE(ioctl(sock, SIOCSIFFLAGS, &request) == 0);
    *index_out = (int)if_nametoindex(name);
    UNIT_REQUIRE(*index_out > 0);
    close(sock);
    return tun;
}

/* With none left for the list, and with one for the list but none for the destination. */
static void use_up_descriptors(void *arg)
{
    struct sockbroker_addr destination = host_read_addr("127.0.0.1");
    struct sockbroker_error error = { .status = SOCKBROKER_OK };
    struct sockbroker_pair pair;
    struct sb_host host;
    struct sb_host_wish wish = { .source = NULL };
    struct sockbroker_addr source;
    enum sockbroker_unusable unusable;
    struct rlimit none = { 0, 0 };
    size_t n = 77;
    int os_code;

    (void)arg;
    UNIT_REQUIRE(sb_host_open(&host, &error) == SOCKBROKER_OK);
    UNIT_REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
    UNIT_REQUIRE(host.find_source(&host, &destination, &wish, &source, &unusable, &os_code) == SOCKBROKER_NO_DESCRIPTORS);
    UNIT_REQUIRE(os_code == EMFILE);
    sb_host_close(&host);
    UNIT_REQUIRE(sockbroker_select_pairs(&destination, 1, NULL, &pair, &n, &error) == SOCKBROKER_NO_DESCRIPTORS);
    UNIT_REQUIRE(error.os_code == EMFILE && strstr(error.text, "the addresses of this machine"));
    UNIT_REQUIRE(n == 77);
}

static void without_descriptors_it_fails_and_says_so(void **state)
{
    (void)state;
    assert_child_succeeds(use_up_descriptors, NULL);
}

static void an_ipv4_source_that_is_not_ours_is_of_no_use(void **state)
{
    (void)state;
    host_assert_no_source("127.0.0.1", "192.0.2.77");
}

/* ---- networks of our own ---- */

static const struct sb_host_address *known(const struct sb_host *host, const char *ip)
{
    struct sockbroker_addr addr = host_read_addr(ip);
    const struct sb_host_address *found = NULL;

    for (size_t i = 0; i < host->n_addresses; i++) {
        if (!memcmp(host->addresses[i].addr.ip, addr.ip, sizeof(addr.ip)))
            found = &host->addresses[i];
    }
    if (!found)
        print_error("%s is not listed\n", ip);
    UNIT_REQUIRE(found != NULL);
    return found;
}

static void read_addresses(void *arg)
{
    struct sb_host host;

    (void)arg;
    enter_network();
    add_address(LO, "2001:db8:1::2", 48, 0, false);
    add_address(LO, "2001:db8:2::2", 64, 0, true);
    add_address(LO, "2001:db8:3::2", 64, IFA_F_HOMEADDRESS, false);
    add_address(LO, "fe80::2", 64, 0, false);
    add_address(LO, "192.0.2.2", 27, 0, false);
    UNIT_REQUIRE(sb_host_open(&host, NULL) == SOCKBROKER_OK);
    UNIT_REQUIRE(host.n_addresses == 7); /* with 127.0.0.1 and ::1 */
    for (size_t i = 0; i < host.n_addresses; i++)
        UNIT_REQUIRE(host.addresses[i].interface_index == LO && !host.addresses[i].temporary &&
                     !host.addresses[i].encapsulated && !host.addresses[i].addr.port);
    UNIT_REQUIRE(known(&host, "2001:db8:1::2")->prefix_bits == 48 && !known(&host, "2001:db8:1::2")->deprecated);
    UNIT_REQUIRE(known(&host, "2001:db8:2::2")->deprecated && known(&host, "2001:db8:2::2")->care_of);
    UNIT_REQUIRE(known(&host, "2001:db8:3::2")->home && !known(&host, "2001:db8:3::2")->care_of);
    UNIT_REQUIRE(known(&host, "fe80::2")->addr.scope_id == LO);
    UNIT_REQUIRE(known(&host, "192.0.2.2")->prefix_bits == 27);
    UNIT_REQUIRE(known(&host, "::1")->prefix_bits == 128);
    UNIT_REQUIRE(sb_host_zone(&host, NULL) == LO);
    sb_host_close(&host);
}

static void addresses_are_read_with_all_that_is_said_of_them(void **state)
{
    (void)state;
    skip_without_network(read_addresses);
}

static void see_what_is_unusable(void *arg)
{
    (void)arg;
    enter_network();
    add_address(LO, "2001:db8:1::2", 64, 0, false);
    UNIT_REQUIRE(host_pair_for("2001:db8:1::1").unusable == SOCKBROKER_USABLE);
    UNIT_REQUIRE(host_pair_for("2001:db8:9::1").unusable == SOCKBROKER_UNUSABLE_NO_ROUTE);
    UNIT_REQUIRE(host_pair_for("2001:db8:9::1").os_code == ENETUNREACH);
    UNIT_REQUIRE(host_pair_for("192.0.2.1").unusable == SOCKBROKER_UNUSABLE_NO_ROUTE);
    UNIT_REQUIRE(host_pair_for("127.255.255.255").unusable == SOCKBROKER_UNUSABLE_FORBIDDEN); /* a broadcast address */
    UNIT_REQUIRE(host_pair_for("fe80::1").unusable == SOCKBROKER_UNUSABLE_NO_ZONE);
    UNIT_REQUIRE(host_pair_for("fe80::1%99").unusable == SOCKBROKER_UNUSABLE_NO_ROUTE);
    add_address(LO, "fe80::2", 64, 0, false);
    UNIT_REQUIRE(host_pair_for("fe80::1").destination.scope_id == LO);
    UNIT_REQUIRE(host_pair_for("fe80::1").source.scope_id == LO);
    UNIT_REQUIRE(unit_write_file("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1"));
    UNIT_REQUIRE(host_pair_for("::1").unusable != SOCKBROKER_USABLE);
    UNIT_REQUIRE(host_pair_for("127.0.0.1").unusable == SOCKBROKER_USABLE);
}

static void unusable_destinations_are_told_with_the_reason(void **state)
{
    (void)state;
    skip_without_network(see_what_is_unusable);
}

/* The same link-local address on two interfaces, and deprecated on one. */
static void require_each_has_its_own(int deprecated_on, int preferred_on)
{
    struct sockbroker_addr addr = host_read_addr("fe80::4");
    struct sb_host host;

    add_address(deprecated_on, "fe80::4", 64, 0, true);
    add_address(preferred_on, "fe80::4", 64, 0, false);
    UNIT_REQUIRE(sb_host_open(&host, NULL) == SOCKBROKER_OK);
    addr.scope_id = (uint32_t)deprecated_on;
    UNIT_REQUIRE(sb_host_describe(&host, &addr).deprecated);
    addr.scope_id = (uint32_t)preferred_on;
    UNIT_REQUIRE(!sb_host_describe(&host, &addr).deprecated);
    UNIT_REQUIRE(sb_host_zone(&host, &addr) == SB_HOST_ZONES);
    sb_host_close(&host);
}

/* Two tunnels, one that carries IPv6 in IPv4. */
static void use_tunnels(void *arg)
{
    static const char *const given[] = { "2001:db8:1::1", "2001:db8:2::1", NULL };
    struct sockbroker_addr list[HOST_LIST_MAX];
    struct sockbroker_pair pairs[2];
    int sit, plain, tun_sit, tun_plain;
    size_t n = host_read_addrs(given, list);

    (void)arg;
    enter_network();
    UNIT_REQUIRE(unit_write_file("/proc/sys/net/ipv6/conf/default/addr_gen_mode", "1")); /* no link-local ones but ours */
    tun_sit = open_tunnel("t6in4", ARPHRD_SIT, &sit);
    tun_plain = open_tunnel("tplain", ARPHRD_NONE, &plain);
    if (tun_sit < 0)
        _exit(88);
    add_address(sit, "2001:db8:1::2", 64, 0, false);
    add_address(plain, "2001:db8:2::2", 64, 0, false);
    UNIT_REQUIRE(sockbroker_select_pairs(list, n, NULL, pairs, &n, NULL) == SOCKBROKER_OK);
    UNIT_REQUIRE(n == 2);
    host_require_text(&pairs[0].destination, "2001:db8:2::1");
    UNIT_REQUIRE(pairs[0].rule == SOCKBROKER_RULE_NATIVE);
    UNIT_REQUIRE(pairs[1].encapsulated && !pairs[0].encapsulated);
    add_address(plain, "fe80::2", 64, 0, false);
    UNIT_REQUIRE(host_pair_for("fe80::1").destination.scope_id == (uint32_t)plain);
    add_address(LO, "fe80::3", 64, 0, false);
    UNIT_REQUIRE(host_pair_for("fe80::1").unusable == SOCKBROKER_UNUSABLE_NO_ZONE); /* two interfaces */
    require_each_has_its_own(sit, plain);
    close(tun_sit);
    close(tun_plain);
}

static void tunnels_come_last_and_zones_need_one_interface(void **state)
{
    (void)state;
    skip_without_network(use_tunnels);
}

/* ---- beside getaddrinfo() ---- */

/* What the system may sort by: the table that glibc has had since RFC 3484, as gai.conf(5) tells it, or that of RFC 6724. */
static const char *const table_of_glibc[] = { "::1/128 50 0",   "::/0 40 1",      "2002::/16 30 2", "::/96 20 3",
                                              "0.0.0.0/0 10 4", "fec0::/10 40 5", "fc00::/7 40 6",  "2001::/32 40 7" };

/* No list has two destinations that no rule tells apart: these keep the order they were given, which is not the same here. */
static const char *const lists[][8] = {
    { "192.0.2.1", "2001:db8:1::1" },                     /* precedence */
    { "2001:db8:1::1", "::1", "127.0.0.1" },              /* precedence of ::1 */
    { "2001:db8:2::1", "2001:db8:1::1", "192.0.2.1" },    /* one source is deprecated */
    { "2001:db8:9::1", "192.0.2.1" },                     /* no route */
    { "203.0.113.1", "192.0.2.1", "2001:db8:1::1" },      /* no route */
    { "192.0.2.1", "2002:c000:201::1", "2001:db8:1::1" }, /* precedence of 6to4 */
    { "fd00::1", "192.0.2.1", "::1" },                    /* the tables differ here */
    { "fd00::1", "2001:db8:2::1", "::1", "2002:c000:201::1" },
};

struct answer {
    struct sockbroker_addr list[HOST_LIST_MAX];
    size_t n;
};

/* A file in the place of another, for this process alone. */
static void put_file(const char *name, const char *target, const char *const *addresses)
{
    const char *path = unit_path(name);
    FILE *f = fopen(path, "we");

    UNIT_REQUIRE(f != NULL);
    for (size_t i = 0; addresses[i]; i++)
        fprintf(f, "%s many.test\n", addresses[i]);
    fclose(f);
    UNIT_REQUIRE(mount(path, target, NULL, MS_BIND, NULL) == 0);
}

static void ask_system(const char *const *addresses, struct answer *answer)
{
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;

    answer->n = 0;
    put_file("hosts", "/etc/hosts", addresses);
    UNIT_REQUIRE(getaddrinfo("many.test", NULL, &hints, &found) == 0);
    UNIT_REQUIRE(umount("/etc/hosts") == 0);
    for (const struct addrinfo *i = found; i; i = i->ai_next) {
        UNIT_REQUIRE(answer->n < HOST_LIST_MAX);
        UNIT_REQUIRE(!sockbroker_addr_from_sockaddr(i->ai_addr, i->ai_addrlen, &answer->list[answer->n++]));
    }
    freeaddrinfo(found);
    UNIT_REQUIRE(answer->n > 1);
}

static void print_list(const char *whose, const struct sockbroker_addr *list, size_t n)
{
    char text[SOCKBROKER_ADDR_TEXT_MAX];

    print_message("%s:", whose);
    for (size_t i = 0; i < n; i++)
        print_message(" %s", sockbroker_addr_format_ip(&list[i], text));
    print_message("\n");
}

/* The system's order, turned around and sorted by us, must be the system's order again. */
static bool agrees(const struct answer *system_answer, const struct sockbroker_select_options *options)
{
    struct answer ours = { .n = system_answer->n };

    for (size_t i = 0; i < ours.n; i++)
        ours.list[i] = system_answer->list[ours.n - 1 - i];
    UNIT_REQUIRE(sockbroker_select_sort(ours.list, &ours.n, options, NULL) == SOCKBROKER_OK);
    UNIT_REQUIRE(ours.n == system_answer->n);
    for (size_t i = 0; i < ours.n; i++) {
        if (sockbroker_addr_compare(&ours.list[i], &system_answer->list[i]) == 0)
            continue;
        print_list("system", system_answer->list, ours.n);
        print_list("ours", ours.list, ours.n);
        return false;
    }
    return true;
}

static bool agrees_in_all(const struct answer *answers, const struct sockbroker_policy *policies, size_t n_policies)
{
    struct sockbroker_select_options options = SOCKBROKER_SELECT_OPTIONS_INIT;
    bool good = true;

    options.keep_unusable = true;
    options.policies = policies;
    options.n_policies = n_policies;
    for (size_t i = 0; i < UNIT_COUNT(lists); i++)
        good = agrees(&answers[i], &options) && good;
    return good;
}

static void order_like_the_system(void *arg)
{
    static const char *const nothing[] = { NULL };
    struct sockbroker_policy table[UNIT_COUNT(table_of_glibc)];
    struct answer answers[UNIT_COUNT(lists)];

    (void)arg;
    enter_network();
    if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
        _exit(88);
    if (!access("/etc/gai.conf", F_OK))
        put_file("gai.conf", "/etc/gai.conf", nothing);
    add_address(LO, "2001:db8:1::2", 64, 0, false);
    add_address(LO, "2001:db8:2::2", 64, 0, true);
    add_address(LO, "2002:c000:201::2", 64, 0, false);
    add_address(LO, "fd00::2", 64, 0, false);
    add_address(LO, "192.0.2.2", 24, 0, false);
    for (size_t i = 0; i < UNIT_COUNT(lists); i++)
        ask_system(lists[i], &answers[i]);
    for (size_t i = 0; i < UNIT_COUNT(table_of_glibc); i++)
        UNIT_REQUIRE(sockbroker_policy_parse(table_of_glibc[i], &table[i], NULL) == SOCKBROKER_OK);
    UNIT_REQUIRE(agrees_in_all(answers, table, UNIT_COUNT(table)) || agrees_in_all(answers, NULL, 0));
}

/* Differences that are meant, and so not in the lists above:
 *   - The tables. glibc's puts fc00::/7 and 2001::/32 level with other IPv6 and all of it before IPv4; RFC 6724 does not.
 *   - Rule 9. glibc counts all 128 bits of IPv6, the RFC (2.2) those of the source's prefix; and of IPv4 glibc counts bits only
 *     when both are in one subnet.
 *   - Rule 10. Destinations without a source are judged by glibc by what rules remain; here they keep their order. */
static void order_is_that_of_the_system_by_the_same_table(void **state)
{
    (void)state;
    unit_folder(); /* made here, so that it is removed here */
    skip_without_network(order_like_the_system);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(an_ipv4_source_that_is_not_ours_is_of_no_use),     UNIT_TEST(without_descriptors_it_fails_and_says_so),
        UNIT_TEST(addresses_are_read_with_all_that_is_said_of_them), UNIT_TEST(unusable_destinations_are_told_with_the_reason),
        UNIT_TEST(tunnels_come_last_and_zones_need_one_interface),   UNIT_TEST(order_is_that_of_the_system_by_the_same_table),
    };

    return cmocka_run_group_tests_name("host_posix", tests, NULL, NULL);
}
