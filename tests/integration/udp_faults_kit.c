#include "tests/integration/udp_faults_kit.h"

#include <string.h>

#include "tests/support/format.h"
#include "tests/support/net.h"

void udp_check_answers_at(uint16_t port, const char *const *hosts)
{
    struct kit_udp_options o = { .port = port, .total = 60 };
    struct kit_udp u;

    for (unsigned i = 0; hosts[i]; i++)
        o.hosts[i] = hosts[i];
    kit_udp_open(&u, &o);
    kit_udp_run(&u, 60);
    kit_udp_close(&u);
}

void udp_check_serves(struct kit_broker *b)
{
    const char *hosts[KIT_UDP_HOSTS_MAX + 1] = { NULL };

    for (unsigned i = 0; i < udp_n_hosts; i++)
        hosts[i] = udp_hosts[i];
    udp_check_answers_at(kit_broker_port(b, "echo"), hosts);
}

void udp_end(struct kit_broker *b)
{
    kit_broker_wait_ready(b, 0);
    kit_broker_wait_idle_fds(b);
    kit_broker_stop(b);
}

/* ---- refusals ---- */

void udp_check_taken(const char *host, const char *more)
{
    sockbroker_socket sock = net_open_bound(host, 0, SOCK_DGRAM);
    char endpoint[96];

    format_text(endpoint, sizeof(endpoint), "echo=[::]:%u,protocol=udp,%s", net_port(sock), more);
    struct kit_broker *b = kit_broker_launch(&(struct kit_start){ .args = { "--endpoint", endpoint } });
    assert_int_equal(kit_process_wait(b->process), 1);
    assert_true(kit_process_has_log(b->process, "endpoint echo: bind "));
    assert_true(kit_process_has_log(b->process, "EADDRINUSE") || kit_process_has_log(b->process, "WSAEACCES"));
    assert_true(kit_process_has_log(b->process, "ss -lunp shows it") ||
                kit_process_has_log(b->process, "netstat -ano -p udp shows it"));
    kit_broker_free(b);
    net_close(&sock);
}

void udp_check_refused(const struct udp_refusal *r)
{
    char output[2048];
    int code = kit_run((const char *const[]){ "check", "--endpoint", r->endpoint, NULL }, output, sizeof(output));

    if (code != 2 || !strstr(output, r->says))
        kit_fail("%s: exit code %d, %s", r->endpoint, code, output);
}

/* ---- a worker inside the test ---- */

void udp_rogue_open(struct udp_rogue *r, struct kit_broker *b, const char *name)
{
    struct sockbroker_error error = { .text = "" };
    struct sockbroker_conn conn;
    uint64_t before = kit_counters(b, "echo").granted;

    r->worker = kit_worker_open(b, name, "echo");
    if (sockbroker_worker_socket(r->worker, "echo", 0, &conn, NULL, &error))
        kit_fail("%s", error.text);
    r->sock = conn.sock;
    udp_wait_granted(b, before + 1);
}

void udp_rogue_close(struct udp_rogue *r)
{
    net_close(&r->sock);
    r->worker = sockbroker_worker_close(r->worker);
}

void udp_rogue_must_hear_drain(struct udp_rogue *r)
{
    struct sockbroker_conn conn;

    assert_int_equal(sockbroker_worker_next(r->worker, KIT_WAIT_MS, &conn), SOCKBROKER_DRAINING);
}

/* ---- what it can do to the socket ---- */

int udp_option_of(sockbroker_socket sock, int level, int name)
{
    int value = -1;

    return net_get_option(sock, level, name, &value) ? value : -1;
}

void udp_set_option(sockbroker_socket sock, int level, int name, int value)
{
    assert_true(net_set_option(sock, level, name, value));
}

static void connect_to(sockbroker_socket sock, const char *host)
{
    struct sockbroker_addr addr;
    struct sockaddr_storage sa;

    assert_int_equal(sockbroker_addr_parse_ip(host, &addr, NULL), SOCKBROKER_OK);
    addr.port = 9;
    sockbroker_addr_map(&addr);
    socklen_t len = (socklen_t)sockbroker_addr_to_sockaddr(&addr, &sa);
    assert_int_equal(connect(sock, (struct sockaddr *)&sa, len), 0);
}

void udp_connect_to_ipv4(sockbroker_socket sock)
{
    connect_to(sock, "127.0.0.1");
}

void udp_connect_to_ipv6(sockbroker_socket sock)
{
    connect_to(sock, "::1");
}

bool udp_is_unconnected(sockbroker_socket sock)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);

    return getpeername(sock, (struct sockaddr *)&sa, &len) != 0;
}

void udp_shut(sockbroker_socket sock)
{
    shutdown(sock, udp_ways_to_shut[udp_n_ways_to_shut - 1]);
}
