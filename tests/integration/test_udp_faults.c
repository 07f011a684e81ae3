/* What goes wrong around UDP endpoints: ports, configurations, and workers that spoil the socket they share. Shards, families
 * that are missing and the length of queues: test_udp_faults_posix.c. */
#include <stdio.h>
#include <string.h>

#include "tests/integration/udp_faults_kit.h"
#include "tests/support/fault.h"
#include "tests/support/format.h"
#include "tests/support/net.h"

/* ---- what a worker can do to a shared socket, and what becomes of it ---- */

/* At once, as the broker sees it. */
static void play(struct kit_broker *b, const struct udp_trick *trick, sockbroker_socket sock)
{
    kit_process_stop(b->process);
    trick->play(sock);
    kit_process_go_on(b->process);
}

/* Noticed, named, put right, and the neighbour goes on answering. */
static void tricks_with_a_shared_socket_are_undone(void **state)
{
    struct kit_broker *b = udp_start_for_tricks(",receive_buffer=1048576");
    struct kit_process *w;
    struct udp_rogue r;

    (void)state;
    udp_rogue_open(&r, b, "rogue");
    for (size_t i = 0; i < udp_n_tricks; i++) {
        char text[160];

        format_text(text, sizeof(text), "event=listener_repaired endpoint=echo cause=\"%s\" by=\"rogue\" result=OK",
                    udp_tricks[i].cause);
        unsigned before = kit_process_count_log(b->process, text);
        play(b, &udp_tricks[i], r.sock);
        kit_until(kit_process_count_log(b->process, text) == before + 1);
        kit_until(udp_tricks[i].is_mended(r.sock));
        assert_int_equal(kit_counters(b, "echo").repaired, i + 1); /* once: what is right stays so */
    }
    w = udp_start_echo(b, "neighbour", 1);
    udp_check_serves(b);
    udp_connect_to_ipv6(r.sock);
    kit_broker_wait_log(b, "cause=\"connected\" by=\"one of rogue, neighbour\" result=OK");
    udp_check_serves(b);
    udp_rogue_close(&r);
    udp_stop_echo(w);
    udp_end(b);
}

/* Nothing opens such a socket again. Its workers are told to finish, nobody else gets it, and as soon as all have closed it
 * there is another one in its place, on the same port. */
static void a_socket_that_was_shut_down_is_replaced(void **state)
{
    (void)state;
    for (unsigned i = 0; i < udp_n_ways_to_shut; i++) {
        struct kit_broker *b = udp_start(UDP_SHARED);
        struct kit_process *w, *late;
        struct udp_rogue r;

        udp_rogue_open(&r, b, "rogue");
        shutdown(r.sock, udp_ways_to_shut[i]);
        kit_broker_wait_log(b, "level=error event=socket_lost endpoint=echo cause=\"shut down\" by=\"rogue\"");
        udp_rogue_must_hear_drain(&r);
        late = udp_launch_echo(b, "late");
        kit_process_wait_log(late,
                             "a worker has shut the socket of endpoint \"echo\" down; it comes back when all who have it");
        assert_int_equal(kit_process_wait(late), 1);
        kit_process_free(late);
        assert_false(kit_process_has_log(b->process, "event=socket_back"));
        assert_int_equal(kit_counters(b, "echo").repaired, 1);
        udp_rogue_close(&r);
        kit_broker_wait_log(b, "event=socket_back endpoint=echo");
        w = udp_start_echo(b, "next", 1);
        udp_check_serves(b);
        assert_int_equal(kit_counters(b, "echo").repaired, 1);
        udp_stop_echo(w);
        udp_end(b);
    }
}

/* Of several holders each one is told, and the last one to go makes room. */
static void all_holders_of_a_lost_socket_are_told(void **state)
{
    struct kit_broker *b = udp_start_for_tricks("");
    struct kit_process *w = udp_start_echo(b, "neighbour", 1);
    struct udp_rogue r, second;

    (void)state;
    udp_rogue_open(&r, b, "rogue");
    udp_rogue_open(&second, b, "second");
    udp_connect_to_ipv4(r.sock);
    udp_shut(r.sock);
    kit_broker_wait_log(b, "by=\"one of neighbour, rogue, second\"");
    assert_int_equal(kit_process_wait(w), 0); /* the polite one goes at once */
    kit_process_free(w);
    udp_rogue_must_hear_drain(&second);
    udp_rogue_close(&r);
    kit_broker_wait_worker(b, "rogue", "gone");
    assert_false(kit_process_has_log(b->process, "event=socket_back"));
    udp_rogue_close(&second);
    kit_broker_wait_log(b, "event=socket_back endpoint=echo");
    w = udp_start_echo(b, "next", 1);
    udp_check_serves(b);
    udp_stop_echo(w);
    udp_end(b);
}

/* ---- a configuration file ---- */

/* ---- a new configuration ---- */

static struct kit_broker *start_with(const struct kit_config *f)
{
    return kit_broker_start(&(struct kit_start){ .args = { "--config", f->path } });
}

static void reload_with(struct kit_broker *b, const struct kit_config *f, const char *text)
{
    kit_config_write(f, text);
    kit_broker_reload(b, "event=reloaded");
}

/* A socket that is lost gives its number in the broker away: here to the listening socket of an endpoint that comes next. */
static void the_number_of_a_lost_socket_is_anybodys(void **state)
{
    struct kit_broker *b;
    struct kit_process *w;
    struct udp_rogue r;
    struct kit_config f;

    (void)state;
    kit_config_open(&f, UDP_ECHO(""));
    b = start_with(&f);
    udp_rogue_open(&r, b, "rogue");
    udp_shut(r.sock);
    kit_broker_wait_log(b, "event=socket_lost");
    reload_with(b, &f, UDP_WEB UDP_ECHO(""));
    udp_rogue_close(&r);
    kit_broker_wait_log(b, "event=socket_back");
    reload_with(b, &f, UDP_WEB);
    w = kit_worker_start(b, "w1", "hello", NULL);
    fault_check_serves(b, 20);
    kit_worker_stop(w);
    kit_broker_wait_ready(b, 0);
    kit_broker_stop(b);
    kit_config_close(&f);
}

/* Nobody has the port, so that we can. A system may close it only after who had it has ended. */
static bool is_free(const char *host, uint16_t port)
{
    sockbroker_socket sock = net_open_bound(host, port, SOCK_DGRAM);
    bool is_ours = sock != SOCKBROKER_SOCKET_NONE;

    net_close(&sock);
    return is_ours;
}

static void an_endpoint_comes_and_goes_with_its_socket(void **state)
{
    struct kit_broker *b;
    struct kit_process *w;
    struct kit_config f;

    (void)state;
    kit_config_open(&f, UDP_WEB);
    b = start_with(&f);
    reload_with(b, &f, UDP_WEB UDP_ECHO(""));
    uint16_t port = kit_broker_port(b, "echo");
    w = udp_start_echo(b, "u1", 1);
    udp_check_serves(b);
    reload_with(b, &f, UDP_WEB);
    assert_int_equal(kit_process_wait(w), 0);
    kit_process_free(w);
    kit_broker_wait_ready(b, 0);
    kit_until(is_free("127.0.0.1", port));
    kit_until(is_free("::1", port));
    kit_broker_stop(b);
    kit_config_close(&f);
}

/* ---- ports ---- */

/* F93, F94: all or none, and nobody else gets in. */
static void a_taken_port_is_named(void **state)
{
    static const char *const taken[] = { "127.0.0.1", "::1" };
    static const char *const how[] = { "mode=share", "mode=share,family=split" };

    (void)state;
    for (size_t i = 0; i < 4; i++)
        udp_check_taken(taken[i % 2], how[i / 2]);
}

/* TCP and UDP have ports of their own: the one that the system chose for TCP may be somebody else's in UDP. */
static struct kit_broker *start_on_one_port(const struct kit_config *f)
{
    for (;;) {
        char more[128];

        kit_config_write(f, UDP_WEB);
        struct kit_broker *b = kit_broker_start(&(struct kit_start){ .args = { "--config", f->path } });
        uint16_t port = kit_broker_port(b, "web");
        format_text(more, sizeof(more), UDP_WEB "endpoint echo { address = \"[::]:%u\" protocol = udp mode = share }\n", port);
        kit_config_write(f, more);
        kit_broker_reload(b, "event=reload"); /* "reloaded" or "reload_failed" */
        if (kit_process_has_log(b->process, "event=reloaded")) {
            assert_int_equal(kit_broker_port(b, "echo"), port);
            return b;
        }
        if (!kit_process_has_log(b->process, "endpoint echo: bind "))
            kit_fail("the reload fails for another reason");
        kit_broker_stop(b);
    }
}

static void tcp_and_udp_share_a_port(void **state)
{
    struct kit_config f;

    (void)state;
    kit_config_open(&f, "");
    struct kit_broker *b = start_on_one_port(&f);
    struct kit_process *web = kit_worker_start(b, "w1", "hello", NULL);
    struct kit_process *echo = udp_start_echo(b, "u1", 1);
    fault_check_serves(b, 20);
    udp_check_serves(b);
    kit_worker_stop(web);
    udp_stop_echo(echo);
    kit_broker_stop(b);
    kit_config_close(&f);
}

/* ---- configurations ---- */

/* F92 and others: refused before anything is bound, with what to write instead. */
static void wrong_configurations_are_refused(void **state)
{
    static const struct udp_refusal cases[] = {
        { "echo=[::]:7,protocol=udp", "protocol = udp has no connections to hand over; write mode = share or mode = shard" },
        { "echo=[::]:7,protocol=udp,mode=handoff", "write mode = share or mode = shard" },
        { "echo=[::]:7,protocol=icmp,mode=share", "protocol \"icmp\" is not known; use tcp or udp" },
        { "echo=[::]:7,protocol=udp,mode=share,policy=source-hash", "leave policy out, or use mode = handoff" },
        { "echo=[::]:7,protocol=udp,mode=share,allow=10.0.0.0/8", "allow and deny look at connections" },
        { "echo=[::]:7,protocol=udp,mode=share,receive_buffer=67108865", "receive_buffer" },
        { "echo=[::]:7,receive_buffer=4096", "receive_buffer is for protocol = udp; leave it out" },
        { "echo=[::ffff:192.0.2.1]:7,protocol=udp,mode=share", "an IPv4 address in IPv6 form; write 192.0.2.1:7" },
        { "echo=[::192.0.2.1]:7,protocol=udp,mode=share",
          "IPv4-compatible address, which nothing uses any more; write 192.0.2.1:7" },
        { "echo=[64:ff9b::192.0.2.1]:7,protocol=udp,mode=share",
          "a NAT64 address, which only translators answer; write 192.0.2.1:7" },
        { "echo=[fe80::1]:7,protocol=udp,mode=share", "is link-local and needs its interface; write it as [fe80::1%eth0]:80" },
        { "echo=[fe80::1%nowhere0]:7,protocol=udp,mode=share", "nowhere0" },
        { "echo=224.0.0.1:7,protocol=udp,mode=share", "stands for many machines" },
        { "echo=255.255.255.255:7,protocol=udp,mode=share", "stands for many machines" },
        { "echo=[::]:7+0.0.0.0:7,protocol=udp,mode=share", "is taken by" },
        { "echo=127.0.0.1:7,protocol=udp,mode=share,family=ipv6", "write family = dual, or an address of that family" },
    };
    char output[2048];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        udp_check_refused(&cases[i]);
    assert_int_equal(kit_run((const char *const[]){ "check", "--endpoint", "a=[::]:7", "--endpoint",
                                                    "b=[::]:7,protocol=udp,mode=share", NULL },
                             output, sizeof(output)),
                     0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(tricks_with_a_shared_socket_are_undone),
        TEST(a_socket_that_was_shut_down_is_replaced),
        TEST(all_holders_of_a_lost_socket_are_told),
        TEST(the_number_of_a_lost_socket_is_anybodys),
        TEST(an_endpoint_comes_and_goes_with_its_socket),
        TEST(a_taken_port_is_named),
        TEST(tcp_and_udp_share_a_port),
        TEST(wrong_configurations_are_refused),
    };

    return kit_main(tests, argc, argv);
}
