/* Connections that the broker makes for workers, on the network as it is: what is true on both systems. In a network and with a
 * hosts file of its own: test_outbound.c. */
#include <stdlib.h>
#include <string.h>

#include "sockbroker/request.h"
#include "tests/support/format.h"
#include "tests/support/kit.h"
#include "tests/support/net.h"

struct scene {
    struct kit_broker *b;
    struct sockbroker_worker *worker;
    struct sockbroker_conn conn;
    struct sockbroker_attempt attempts[SOCKBROKER_ATTEMPTS_MAX];
    size_t n_attempts;
    struct sockbroker_error error;
    sockbroker_socket v4, v6; /* listen on loopback, on one port */
    uint16_t port;
};

/* The same port for both families, which may take some tries. */
static void open_servers(struct scene *s)
{
    for (unsigned i = 0; i < 50; i++) {
        s->v4 = net_open_bound("127.0.0.1", 0, SOCK_STREAM);
        s->port = net_port(s->v4);
        s->v6 = net_open_bound("::1", s->port, SOCK_STREAM);
        if (s->v6 != SOCKBROKER_SOCKET_NONE)
            break;
        net_close(&s->v4);
    }
    if (s->v4 == SOCKBROKER_SOCKET_NONE || listen(s->v4, 16) || listen(s->v6, 16))
        kit_fail("no port for both families: %s", net_error_text());
}

/* What comes after the first attempt must leave nothing open. */
static void warm_up(struct scene *s)
{
    struct sockbroker_connect_options o = SOCKBROKER_CONNECT_OPTIONS_INIT;
    struct sockbroker_worker *w = kit_worker_open(s->b, "asker", "");

    o.host = "127.0.0.1";
    o.port = s->port;
    if (!sockbroker_worker_connect(w, &o, &s->conn, NULL, NULL, NULL)) {
        sockbroker_socket server = net_accept(s->v4);
        net_close(&s->conn.sock);
        net_close(&server);
    }
    sockbroker_worker_close(w);
    kit_broker_wait_ready(s->b, 0);
    kit_broker_wait_idle_after_first_use(s->b);
}

static void open_scene(struct scene *s, const struct kit_start *how)
{
    memset(s, 0, sizeof(*s));
    open_servers(s);
    s->b = kit_broker_start(how);
    warm_up(s);
    s->worker = kit_worker_open(s->b, "asker", "");
}

static void open_scene_with(struct scene *s, const char *setting)
{
    open_scene(s, &(struct kit_start){ .args = { "--endpoint", "web=[::]:0", "--set", setting } });
}

static void close_scene(struct scene *s)
{
    net_close(&s->v4);
    net_close(&s->v6);
    sockbroker_worker_close(s->worker);
    kit_broker_wait_ready(s->b, 0);
    kit_broker_wait_idle_fds(s->b);
    kit_broker_stop(s->b);
}

static struct sockbroker_addr address_of(const char *ip)
{
    struct sockbroker_addr addr;
    struct sockbroker_error error;

    if (sockbroker_addr_parse_ip(ip, &addr, &error))
        kit_fail("%s", error.text);
    return addr;
}

static sockbroker_status ask(struct scene *s, const struct sockbroker_connect_options *o)
{
    return sockbroker_worker_connect(s->worker, o, &s->conn, s->attempts, &s->n_attempts, &s->error);
}

static sockbroker_status ask_host(struct scene *s, const char *host)
{
    struct sockbroker_connect_options o = SOCKBROKER_CONNECT_OPTIONS_INIT;

    o.host = host;
    o.port = s->port;
    return ask(s, &o);
}

/* Both loopback addresses, IPv4 first. */
static sockbroker_status ask_both(struct scene *s)
{
    struct sockbroker_connect_options o = SOCKBROKER_CONNECT_OPTIONS_INIT;
    struct sockbroker_addr both[] = { address_of("127.0.0.1"), address_of("::1") };

    o.addresses = both;
    o.n_addresses = 2;
    o.port = s->port;
    return ask(s, &o);
}

static void must(struct scene *s, sockbroker_status expected, sockbroker_status got)
{
    if (got != expected)
        kit_fail("%s, not %s: %s", sockbroker_status_name(got), sockbroker_status_name(expected), s->error.text);
}

static void must_say(const char *text, const char *piece)
{
    if (!strstr(text, piece))
        kit_fail("\"%s\" is not in: %s", piece, text);
}

/* The connection is what it is said to be, and the server is at its other end; nobody else has a copy. */
static void must_be_connected(struct scene *s, sockbroker_socket listener, const char *peer)
{
    char text[SOCKBROKER_ADDR_TEXT_MAX], bytes[8] = "";

    if (!net_wait_readable(listener, KIT_WAIT_MS))
        kit_fail("nobody connects");
    sockbroker_socket server = net_accept(listener);
    assert_string_equal(sockbroker_addr_format_ip(&s->conn.info.peer, text), peer);
    assert_int_equal(s->conn.info.peer.port, s->port);
    assert_int_equal(s->conn.info.local.port, net_port(s->conn.sock));
    assert_int_equal(s->conn.info.type, SOCKBROKER_STREAM);
    assert_false(s->conn.info.listening);
    assert_false(s->conn.info.nonblocking);
    assert_false(net_is_inherited(s->conn.sock));
    assert_int_equal(net_send(s->conn.sock, "ping", 4), 4);
    assert_int_equal(net_receive(server, bytes, 4), 4);
    assert_string_equal(bytes, "ping");
    net_close(&s->conn.sock);
    assert_true(net_receive(server, bytes, 1) <= 0);
    net_close(&server);
}

static void literals_are_connected_to(void **state)
{
    struct scene s;

    (void)state;
    open_scene_with(&s, "heartbeat_ms=600000");
    must(&s, SOCKBROKER_OK, ask_host(&s, "127.0.0.1"));
    must_be_connected(&s, s.v4, "127.0.0.1");
    must(&s, SOCKBROKER_OK, ask_host(&s, "::1"));
    must_be_connected(&s, s.v6, "::1");
    must(&s, SOCKBROKER_OK, ask_host(&s, "::ffff:127.0.0.1"));
    must_be_connected(&s, s.v4, "127.0.0.1");
    assert_int_equal(s.n_attempts, 1);
    assert_int_equal(s.attempts[0].status, SOCKBROKER_OK);
    close_scene(&s);
}

/* ::1 is first by RFC 6724, and nobody is there. */
static void a_refused_destination_falls_to_the_next(void **state)
{
    struct scene s;

    (void)state;
    open_scene_with(&s, "heartbeat_ms=600000");
    must(&s, SOCKBROKER_OK, ask_both(&s));
    must_be_connected(&s, s.v6, "::1");
    net_close(&s.v6);
    must(&s, SOCKBROKER_OK, ask_both(&s));
    assert_int_equal(s.n_attempts, 2);
    assert_int_equal(s.attempts[0].destination.family, SOCKBROKER_IPV6);
    assert_true(s.attempts[0].started && s.attempts[0].status != SOCKBROKER_OK);
    assert_int_equal(s.attempts[1].status, SOCKBROKER_OK);
    must_be_connected(&s, s.v4, "127.0.0.1");
    net_close(&s.v4);
    assert_int_not_equal(ask_both(&s), SOCKBROKER_OK);
    must_say(s.error.text, "no connection to any of 2 destinations");
    close_scene(&s);
}

static void the_source_is_as_asked(void **state)
{
    struct sockbroker_connect_options o = SOCKBROKER_CONNECT_OPTIONS_INIT;
    char text[SOCKBROKER_ADDR_TEXT_MAX];
    struct scene s;

    (void)state;
    open_scene_with(&s, "heartbeat_ms=600000");
    o.host = "127.0.0.1";
    o.port = s.port;
    o.source = address_of("127.0.0.5");
    must(&s, SOCKBROKER_OK, ask(&s, &o));
    assert_string_equal(sockbroker_addr_format_ip(&s.conn.info.local, text), "127.0.0.5");
    must_be_connected(&s, s.v4, "127.0.0.1");
    o.source = address_of("::1");
    must(&s, SOCKBROKER_INVALID, ask(&s, &o));
    must_say(s.error.text, "the source is an IPv6 address");
    o.source = address_of("192.0.2.9");
    must(&s, SOCKBROKER_ADDRESS_NOT_AVAILABLE, ask(&s, &o));
    close_scene(&s);
}

static void the_policy_table_decides_who_is_first(void **state)
{
    struct scene s;

    (void)state;
    open_scene_with(&s, "address_policy=::/0 40 1+::ffff:0:0/96 100 4");
    must(&s, SOCKBROKER_OK, ask_both(&s));
    must_be_connected(&s, s.v4, "127.0.0.1");
    close_scene(&s);
}

static void rules_decide_where_to(void **state)
{
    static const struct {
        const char *setting, *host, *says; /* says NULL: allowed */
    } rows[] = {
        { "connect_deny=127.0.0.0/8", "127.0.0.1", "denied by connect_deny 127.0.0.0/8" },
        { "connect_deny=127.0.0.0/8", "::ffff:127.0.0.1", "denied by connect_deny 127.0.0.0/8" },
        { "connect_deny=127.0.0.0/8", "::1", NULL },
        { "connect_allow=127.0.0.0/8", "127.0.0.1", NULL },
        { "connect_allow=127.0.0.0/8", "::1", "no connect_allow rule holds it" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct scene s;

        open_scene_with(&s, rows[i].setting);
        sockbroker_status st = ask_host(&s, rows[i].host);
        if ((st == SOCKBROKER_OK) != !rows[i].says)
            kit_fail("%s, %s: %s %s", rows[i].setting, rows[i].host, sockbroker_status_name(st), s.error.text);
        if (rows[i].says)
            must_say(s.error.text, rows[i].says);
        else
            net_close(&s.conn.sock);
        close_scene(&s);
    }
}

static void a_reload_changes_the_rules(void **state)
{
    struct kit_config c;
    struct scene s;

    (void)state;
    kit_config_open(&c, "endpoint web { address = [::]:0 }\n");
    open_scene(&s, &(struct kit_start){ .args = { "--config", c.path } });
    must(&s, SOCKBROKER_OK, ask_host(&s, "127.0.0.1"));
    must_be_connected(&s, s.v4, "127.0.0.1");
    kit_config_write(&c, "connect_deny = 127.0.0.0/8\nendpoint web { address = [::]:0 }\n");
    kit_broker_reload(s.b, "event=reloaded");
    must(&s, SOCKBROKER_REFUSED, ask_host(&s, "127.0.0.1"));
    kit_config_close(&c);
    close_scene(&s);
}

static void wrong_requests_are_refused(void **state)
{
    static const struct {
        const char *host, *says;
    } rows[] = {
        { "a..b", "a part between two dots is empty or too long" },
        { "a b", "neither an address nor a name" },
        { "127.1", "a name does not end in a number" },
        { "0.0.0.0", "it is no destination" },
        { "", "host: use 1 to 255 bytes" },
        { NULL, "give either host or addresses" },
    };
    struct scene s;

    (void)state;
    open_scene_with(&s, "heartbeat_ms=600000");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        must(&s, SOCKBROKER_INVALID, ask_host(&s, rows[i].host));
        must_say(s.error.text, rows[i].says);
    }
    close_scene(&s);
}

static struct kit_process *start_asker(struct scene *s)
{
    struct kit_process *p =
        kit_process_start("process", SB_ASKER_EXE, &(struct kit_start){ .args = { s->b->dir, "process", "" } });

    kit_process_wait_log(p, "ready\n");
    return p;
}

/* What it got is its own, and ends with it. */
static void a_process_gets_its_connection_and_takes_it_along(void **state)
{
    char order[64], byte;
    struct scene s;

    (void)state;
    open_scene_with(&s, "heartbeat_ms=600000");
    struct kit_process *p = start_asker(&s);
    format_text(order, sizeof(order), "connect ::1 %u 5000", s.port);
    kit_process_tell(p, order);
    kit_process_wait_log(p, "connected [::1]:");
    sockbroker_socket server = net_accept(s.v6);
    assert_false(net_wait_readable(server, 0));
    kit_process_kill(p);
    assert_true(net_wait_readable(server, KIT_WAIT_MS));
    assert_true(net_receive(server, &byte, 1) <= 0);
    net_close(&server);
    kit_broker_wait_worker(s.b, "process", "gone");
    close_scene(&s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(literals_are_connected_to),  TEST(a_refused_destination_falls_to_the_next),
        TEST(the_source_is_as_asked),     TEST(the_policy_table_decides_who_is_first),
        TEST(rules_decide_where_to),      TEST(a_reload_changes_the_rules),
        TEST(wrong_requests_are_refused), TEST(a_process_gets_its_connection_and_takes_it_along),
    };

    return kit_main(tests, argc, argv);
}
