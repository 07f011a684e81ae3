/* What goes wrong around UDP endpoints where it is POSIX alone: shards, families that are missing or off, the length of queues
 * and what becomes of it.
 */
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/socket.h"
#include "tests/integration/udp_faults_kit.h"
#include "tests/support/fault.h"
#include "tests/support/format.h"

#define N_OPTION_TRICKS 4u

static struct kit_broker *start(const char *endpoint, const char *env)
{
    return kit_broker_start(&(struct kit_start){ .args = { "--endpoint", endpoint }, .env = { env } });
}

/* The error of sending there and waiting for an answer; 0 when none comes at once: loopback tells of a closed port before
 * send() returns. */
static int refusal_at(const char *host, uint16_t port)
{
    struct sockbroker_addr addr;
    struct sockaddr_storage sa;
    char byte;

    assert_int_equal(sockbroker_addr_parse_ip(host, &addr, NULL), SOCKBROKER_OK);
    addr.port = port;
    socklen_t len = (socklen_t)sockbroker_addr_to_sockaddr(&addr, &sa);
    int sock = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int code =
        connect(sock, (struct sockaddr *)&sa, len) || send(sock, "x", 1, 0) < 0 || recv(sock, &byte, 1, 0) < 0 ? errno : 0;
    sb_socket_close(&sock);
    return code == EAGAIN ? 0 : code;
}

/* The queue stays, whoever is kept out meanwhile. */
static void datagrams_in_a_socket_outlive_a_connect(void **state)
{
    struct kit_broker *b = udp_start(UDP_SHARED);
    struct kit_process *w;
    struct kit_udp u;
    struct udp_rogue r;

    (void)state;
    udp_rogue_open(&r, b, "rogue");
    kit_udp_open(&u, &(struct kit_udp_options){ kit_broker_port(b, "echo"), { "127.0.0.1", "::1" }, 4, 80, 0 });
    kit_udp_send(&u, 80);
    udp_connect_to_ipv4(r.sock);
    kit_broker_wait_log(b, "cause=\"connected\" by=\"rogue\"");
    w = udp_start_echo(b, "next", 1);
    kit_udp_collect(&u);
    kit_udp_close(&u);
    udp_rogue_close(&r);
    udp_stop_echo(w);
    udp_end(b);
}

/* ---- shards ---- */

static void disconnect(int sock)
{
    struct sockaddr none = { .sa_family = AF_UNSPEC };

    udp_connect_to_ipv4(sock);
    assert_int_equal(connect(sock, &none, sizeof(none)), 0);
}

/* Each slot has a socket of its own: that one is replaced, and the others know nothing of it. */
static void tricks_in_a_shard_hurt_nobody_else(void **state)
{
    static void (*const plays[])(int) = { udp_connect_to_ipv4, udp_connect_to_ipv6, disconnect };

    (void)state;
    for (size_t i = 0; i < sizeof(plays) / sizeof(plays[0]); i++) {
        struct kit_broker *b = start("echo=[::]:0,protocol=udp,mode=shard,slots=3", NULL);
        struct kit_process *w = udp_start_echo(b, "neighbour", 1);
        struct udp_rogue r;

        udp_rogue_open(&r, b, "rogue");
        plays[i](r.sock);
        kit_broker_wait_log(b, "event=listener_repaired endpoint=echo slot=1 cause=\"shut down or connected\" by=\"rogue\"");
        udp_rogue_must_hear_drain(&r);
        udp_rogue_close(&r);
        kit_broker_wait_worker(b, "rogue", "gone");
        udp_check_serves(b);
        struct kit_process *next = udp_start_echo(b, "next", 1);
        udp_check_serves(b);
        udp_stop_echo(w);
        udp_stop_echo(next);
        udp_end(b);
    }
}

/* The next worker of a slot finds its socket as the first one did. */
static void options_changed_in_a_shard_are_put_back(void **state)
{
    struct kit_broker *b = start("echo=[::]:0,protocol=udp,mode=shard,slots=2,receive_buffer=1048576", NULL);
    struct udp_rogue r;

    (void)state;
    udp_rogue_open(&r, b, "rogue");
    for (size_t i = 0; i < N_OPTION_TRICKS; i++)
        udp_tricks[i].play(r.sock);
    udp_rogue_close(&r);
    kit_broker_wait_worker(b, "rogue", "gone");
    udp_rogue_open(&r, b, "next");
    for (size_t i = 0; i < N_OPTION_TRICKS; i++)
        assert_true(udp_tricks[i].is_mended(r.sock));
    udp_rogue_close(&r);
    udp_end(b);
}

/* ---- receive_buffer ---- */

/* More datagrams than the system's default holds, in a queue that is long enough. */
static void fill_and_empty(struct kit_broker *b)
{
    struct kit_udp_options o = { .port = kit_broker_port(b, "echo"), .hosts = { "127.0.0.1", "::1" } };
    struct kit_process *w;
    struct kit_udp u;

    o.n_clients = 40;
    o.total = o.window = 1000;
    kit_udp_open(&u, &o);
    kit_udp_send(&u, 1000);
    w = udp_start_echo(b, "u1", 1);
    kit_udp_collect(&u);
    kit_udp_close(&u);
    udp_stop_echo(w);
    kit_broker_wait_worker(b, "u1", "gone");
}

static void receive_buffer_decides_how_many_wait(void **state)
{
    static const char *const modes[] = { "share", "shard" };

    (void)state;
    if (geteuid())
        skip(); /* beyond net.core.rmem_max only with CAP_NET_ADMIN */
    for (size_t i = 0; i < 2; i++) {
        char endpoint[96];

        format_text(endpoint, sizeof(endpoint), "echo=[::]:0,protocol=udp,mode=%s,receive_buffer=1048576", modes[i]);
        struct kit_broker *b = start(endpoint, NULL);
        fill_and_empty(b);
        udp_end(b);
    }
}

/* A reload changes it in place: what waits stays. */
static void receive_buffer_can_be_changed(void **state)
{
    struct kit_broker *b;
    struct udp_rogue r;
    struct kit_config f;

    (void)state;
    if (geteuid())
        skip();
    kit_config_open(&f, UDP_ECHO(""));
    b = kit_broker_start(&(struct kit_start){ .args = { "--config", f.path } });
    udp_rogue_open(&r, b, "u0");
    int by_default = udp_option_of(r.sock, SOL_SOCKET, SO_RCVBUF);
    assert_true(by_default > 0 && by_default < 2 * (1 << 20));
    kit_config_write(&f, UDP_ECHO("receive_buffer = 1048576 "));
    kit_broker_reload(b, "event=reloaded");
    assert_int_equal(udp_option_of(r.sock, SOL_SOCKET, SO_RCVBUF), 2 * (1 << 20));
    assert_int_equal(kit_process_count_log(b->process, "event=listening"), 1); /* the same socket */
    fill_and_empty(b);
    kit_config_write(&f, UDP_ECHO(""));
    kit_broker_reload(b, "event=reloaded");
    assert_int_equal(udp_option_of(r.sock, SOL_SOCKET, SO_RCVBUF), by_default);
    assert_int_equal(kit_counters(b, "echo").repaired, 0);
    udp_rogue_close(&r);
    udp_end(b);
    kit_config_close(&f);
}

/* ---- families ---- */

static struct ifreq lo_request(void)
{
    struct ifreq r = { .ifr_name = "lo" };

    r.ifr_addr.sa_family = AF_INET;
    return r;
}

/* IPv4 cannot be switched off; without an address there is none. */
static void remove_ipv4_from_lo(void)
{
    struct ifreq r = lo_request();
    int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert_int_equal(ioctl(sock, SIOCSIFADDR, &r), 0);
    sb_socket_close(&sock);
}

static void without_ipv4_addresses_ipv6_is_served(void **state)
{
    int net = fault_net_enter();

    (void)state;
    remove_ipv4_from_lo();
    struct kit_broker *b = start(UDP_SHARED, NULL);
    struct kit_process *w = udp_start_echo(b, "u1", 1);
    udp_check_answers(b, "::1");
    assert_int_equal(refusal_at("127.0.0.1", kit_broker_port(b, "echo")), ENETUNREACH);
    udp_stop_echo(w);
    udp_end(b);
    fault_net_leave(&net);
}

static void a_system_without_ipv4_is_noticed(void **state)
{
    fault_need_failpoints();
    (void)state;
    struct kit_broker *b = start(UDP_SHARED, "SOCKBROKER_FAILPOINTS=pktinfo4=ENOPROTOOPT*1000,socket4=EAFNOSUPPORT*1000");
    struct kit_process *w = udp_start_echo(b, "u1", 1);
    assert_int_equal(kit_process_count_log(b->process, "level=warning event=no_ipv4 endpoint=echo"), 1);
    udp_check_answers(b, "::1");
    udp_stop_echo(w);
    udp_end(b);

    b = kit_broker_launch(&(struct kit_start){ .args = { "--endpoint", UDP_SHARED },
                                               .env = { "SOCKBROKER_FAILPOINTS=pktinfo4=ENOPROTOOPT*1000" } });
    assert_int_equal(kit_process_wait(b->process), 1); /* it has IPv4: then this is a failure like any other */
    assert_true(kit_process_has_log(b->process, "IP_PKTINFO on [::]:0 (UDP, IPv6 and IPv4): ENOPROTOOPT"));
    kit_broker_free(b);
}

static void a_system_without_ipv6_falls_back(void **state)
{
    static const char *const endpoints[] = { UDP_SHARED, UDP_SHARED ",family=split",
                                             "echo=[::]:0,protocol=udp,mode=shard,slots=2" };

    fault_need_failpoints();
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct kit_broker *b = start(endpoints[i], "SOCKBROKER_FAILPOINTS=socket6=EAFNOSUPPORT*1000");
        struct kit_process *w = udp_start_echo(b, "u1", 1);

        assert_int_equal(kit_process_count_log(b->process, "level=warning"), 1);
        udp_check_answers(b, "127.0.0.1", "127.0.0.2");
        udp_stop_echo(w);
        udp_end(b);
    }
}

/* F95 */
static void ipv6_switched_off_leaves_ipv4_served(void **state)
{
    static const char *const endpoints[] = { UDP_SHARED, "echo=[::1]:0+127.0.0.1:0,protocol=udp,mode=share",
                                             "echo=[::]:0,protocol=udp,mode=shard,slots=2",
                                             "echo=[::1]:0+127.0.0.1:0,protocol=udp,mode=shard,slots=2" };
    int net = fault_net_enter();

    (void)state;
    fault_sysctl("net/ipv6/conf/all/disable_ipv6", "1");
    fault_sysctl("net/ipv6/conf/default/disable_ipv6", "1");
    for (size_t i = 0; i < 4; i++) {
        struct kit_broker *b = start(endpoints[i], NULL);
        struct kit_process *w = udp_start_echo(b, "u1", 1);

        assert_int_equal(kit_process_count_log(b->process, "event=address_left_out"), strchr(endpoints[i], '+') ? 1 : 0);
        udp_check_answers(b, "127.0.0.1");
        udp_stop_echo(w);
        udp_end(b);
    }
    struct kit_broker *b =
        kit_broker_launch(&(struct kit_start){ .args = { "--endpoint", "echo=[::1]:0,protocol=udp,mode=share" } });
    assert_int_equal(kit_process_wait(b->process), 1);
    assert_true(kit_process_has_log(b->process, "[::1]:0 (UDP, IPv6): EADDRNOTAVAIL"));
    kit_broker_free(b);
    fault_net_leave(&net);
}

/* F97 */
static void bindv6only_changes_nothing(void **state)
{
    static const char *const endpoints[] = { UDP_SHARED, UDP_SHARED ",family=split",
                                             "echo=[::]:0,protocol=udp,mode=shard,slots=2" };
    int net = fault_net_enter();

    (void)state;
    for (unsigned only = 0; only < 2; only++) {
        fault_sysctl("net/ipv6/bindv6only", only ? "1" : "0");
        for (size_t i = 0; i < 3; i++) {
            struct kit_broker *b = start(endpoints[i], NULL);
            struct kit_process *w = udp_start_echo(b, "u1", strstr(endpoints[i], "split") ? 2 : 1);

            udp_check_serves(b);
            udp_stop_echo(w);
            udp_end(b);
        }
        struct kit_broker *b = start(UDP_SHARED ",family=ipv6", NULL);
        struct kit_process *w = udp_start_echo(b, "u1", 1);
        udp_check_answers(b, "::1");
        assert_int_equal(refusal_at("127.0.0.1", kit_broker_port(b, "echo")), ECONNREFUSED);
        udp_stop_echo(w);
        udp_end(b);
    }
    fault_net_leave(&net);
}

/* ---- ports and configurations ---- */

static void a_port_that_a_shard_cannot_have_is_named(void **state)
{
    (void)state;
    udp_check_taken("127.0.0.1", "mode=shard,slots=2");
    udp_check_taken("::1", "mode=shard,slots=2");
}

static void configurations_that_are_wrong_here_are_refused(void **state)
{
    static const struct udp_refusal cases[] = {
        { "echo=[::]:7,protocol=udp,mode=share,carrier=message", "carrier = message is for mode = handoff; leave it out" },
        { "echo=[::]:7,protocol=udp,mode=shard,policy=least-connections", "write policy = round-robin" },
        { "echo=[::]:7,protocol=udp,mode=shard,slots=0", "slots" },
        { "echo=[::]:7,protocol=udp,mode=shard,slots=257", "slots" },
        { "echo=[::]:7,protocol=udp,mode=shard,deny=10.0.0.0/8", "allow and deny look at connections" },
        { "echo=[ff02::1%lo]:7,protocol=udp,mode=share", "stands for many machines" },
    };
    char output[2048];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        udp_check_refused(&cases[i]);
    assert_int_equal(kit_run((const char *const[]){ "check", "--endpoint", "a=[::]:7,protocol=udp,mode=shard", "--endpoint",
                                                    "b=127.0.0.1:7,protocol=udp,mode=share", NULL },
                             output, sizeof(output)),
                     2);
    assert_non_null(strstr(output, "endpoint b: address 127.0.0.1:7 is taken by"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(datagrams_in_a_socket_outlive_a_connect),
        TEST(tricks_in_a_shard_hurt_nobody_else),
        TEST(options_changed_in_a_shard_are_put_back),
        TEST(receive_buffer_decides_how_many_wait),
        TEST(receive_buffer_can_be_changed),
        TEST(without_ipv4_addresses_ipv6_is_served),
        TEST(a_system_without_ipv4_is_noticed),
        TEST(a_system_without_ipv6_falls_back),
        TEST(ipv6_switched_off_leaves_ipv4_served),
        TEST(bindv6only_changes_nothing),
        TEST(a_port_that_a_shard_cannot_have_is_named),
        TEST(configurations_that_are_wrong_here_are_refused),
    };

    return kit_main(tests, argc, argv);
}
