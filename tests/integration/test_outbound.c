/* Connections that the broker makes for workers, asked for through the public library: where they go, from where, in which
 * order, what is told of each attempt, what is refused. */
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "proto/socket.h"
#include "tests/integration/outbound_kit.h"
#include "tests/support/fault.h"
#include "tests/support/format.h"

/* What is told of attempt i. piece "": a winner, of whom nothing needs to be said. */
static void must_have_tried(const struct scene *s, size_t i, const char *destination, bool started, sockbroker_status st,
                            const char *piece)
{
    const struct sockbroker_attempt *a = &s->attempts[i];

    if (i >= s->n_attempts)
        kit_fail("there are %zu attempts", s->n_attempts);
    must_be(&a->destination, destination);
    assert_int_equal(a->destination.port, PORT);
    if (a->started != started || a->status != st)
        kit_fail("attempt %zu, to %s: %s, started %d: %s", i, destination, sockbroker_status_name(a->status), a->started,
                 a->text);
    must_say(a->text, piece);
    assert_true(a->ended_ms >= a->started_ms);
    assert_true(memchr(a->text, '\0', sizeof(a->text)) != NULL);
}

/* ---- where they go ---- */

static void names_and_literals_are_connected_to(void **state)
{
    static const struct {
        const char *host, *local, *peer;
        bool by_ipv6;
    } rows[] = {
        { "127.0.0.1", "127.0.0.1", "127.0.0.1", false },
        { "127.1.2.3", "127.0.0.1", "127.1.2.3", false },
        { "::1", "::1", "::1", true },
        { "::ffff:127.0.0.1", "127.0.0.1", "127.0.0.1", false },
        { "FOUR.Test", "127.0.0.1", "127.0.0.1", false },
    };
    struct scene s;

    (void)state;
    open_plain_scene(&s);
    int v4 = listen_at("0.0.0.0", 16), v6 = listen_at("::", 16);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        must(&s, SOCKBROKER_OK, ask_host(&s, rows[i].host));
        assert_int_equal(s.n_attempts, 1);
        must_have_tried(&s, 0, rows[i].peer, true, SOCKBROKER_OK, "");
        must_be(&s.attempts[0].source, rows[i].local);
        must_be_connected(&s, rows[i].by_ipv6 ? v6 : v4, rows[i].local, rows[i].peer);
    }
    assert_int_equal(fault_broker_status(s.b).grants, sizeof(rows) / sizeof(rows[0]));
    assert_int_equal(fault_broker_status(s.b).connects_failed, 0);
    sb_socket_close(&v4);
    sb_socket_close(&v6);
    close_scene(&s);
}

static void nobody_needs_to_hear_of_the_attempts(void **state)
{
    struct sockbroker_connect_options o = SOCKBROKER_CONNECT_OPTIONS_INIT;
    struct scene s;

    (void)state;
    open_plain_scene(&s);
    int v6 = listen_at("::1", 16);
    o.host = "localhost";
    o.port = PORT;
    assert_int_equal(sockbroker_worker_connect(s.worker, &o, &s.conn, NULL, NULL, NULL), SOCKBROKER_OK);
    must_be_connected(&s, v6, "::1", "::1");
    sb_socket_close(&v6);
    assert_int_equal(sockbroker_worker_connect(s.worker, &o, &s.conn, NULL, NULL, NULL), SOCKBROKER_SYSTEM);
    close_scene(&s);
}

/* In any order, with those that are impossible dropped, and the family that has failed giving way at once. */
static void a_refused_destination_falls_to_the_next(void **state)
{
    struct scene s;

    (void)state;
    open_plain_scene(&s);
    int v4 = listen_at("127.0.0.2", 16);
    must(&s, SOCKBROKER_OK, ask_for(&s, NULL, "127.0.0.2", "2001:db8::1", "::1"));
    assert_int_equal(s.n_attempts, 3);
    must_have_tried(&s, 0, "2001:db8::1", false, SOCKBROKER_ADDRESS_NOT_AVAILABLE, "2001:db8::1");
    must_have_tried(&s, 1, "::1", true, SOCKBROKER_SYSTEM, "ECONNREFUSED");
    must_have_tried(&s, 2, "127.0.0.2", true, SOCKBROKER_OK, "");
    must_be_connected(&s, v4, "127.0.0.1", "127.0.0.2");

    sb_socket_close(&v4);
    must(&s, SOCKBROKER_SYSTEM, ask_host(&s, "localhost"));
    must_say(s.error.text, "localhost, port 4000: no connection to any of 2 destinations. The first: connect to ");
    must(&s, SOCKBROKER_SYSTEM, ask_for(&s, NULL, "127.0.0.1", "::1"));
    must_say(s.error.text, "the addresses given, port 4000: no connection to any of 2 destinations. The first: connect to "
                           "[::1]:4000: ECONNREFUSED");
    assert_int_equal(s.n_attempts, 2);
    must_have_tried(&s, 0, "::1", true, SOCKBROKER_SYSTEM, "ECONNREFUSED");
    must_have_tried(&s, 1, "127.0.0.1", true, SOCKBROKER_SYSTEM, "ECONNREFUSED");
    assert_int_equal(fault_broker_status(s.b).connects_failed, 2);

    must(&s, SOCKBROKER_ADDRESS_NOT_AVAILABLE, ask_host(&s, "far.test"));
    must_say(s.error.text, "this machine has no route there");
    close_scene(&s);
}

static void a_black_hole_is_overtaken_by_the_other_family(void **state)
{
    struct hole hole;
    struct scene s;

    (void)state;
    open_plain_scene(&s);
    open_hole(&hole, "::1");
    int v4 = listen_at("127.0.0.1", 16);
    must(&s, SOCKBROKER_OK, ask_for(&s, NULL, "127.0.0.1", "::1"));
    must_have_tried(&s, 0, "::1", true, s.attempts[0].status, "given up, for 127.0.0.1:4000 was first");
    assert_int_not_equal(s.attempts[0].status, SOCKBROKER_OK);
    must_have_tried(&s, 1, "127.0.0.1", true, SOCKBROKER_OK, "");
    assert_true(s.attempts[1].started_ms >= s.attempts[0].started_ms + 250); /* RFC 8305, section 5 */
    must_be_connected(&s, v4, "127.0.0.1", "127.0.0.1");
    sb_socket_close(&v4);
    close_hole(&hole);
    close_scene(&s);
}

static void the_deadline_ends_it(void **state)
{
    struct sockbroker_connect_options o = SOCKBROKER_CONNECT_OPTIONS_INIT;
    struct sockbroker_addr both[] = { address_of("127.0.0.1", 0), address_of("::1", 0) };
    struct hole v4, v6;
    struct scene s;

    (void)state;
    open_plain_scene(&s);
    open_hole(&v4, "127.0.0.1");
    open_hole(&v6, "::1");
    o.addresses = both;
    o.n_addresses = 2;
    o.port = PORT;
    o.deadline_ms = 300;
    must(&s, SOCKBROKER_TIMEOUT, ask(&s, &o));
    must_say(s.error.text, "no connection in 300 ms, 2 of 2 destinations tried");
    assert_int_equal(s.n_attempts, 2);
    for (size_t i = 0; i < 2; i++) {
        must_have_tried(&s, i, i ? "127.0.0.1" : "::1", true, SOCKBROKER_TIMEOUT, "");
        assert_true(s.attempts[i].ended_ms >= 300);
    }
    close_hole(&v4);
    close_hole(&v6);
    close_scene(&s);
}

/* ---- from where ---- */

static void the_source_is_as_asked(void **state)
{
    struct sockbroker_connect_options o = SOCKBROKER_CONNECT_OPTIONS_INIT;
    struct sockbroker_addr both[] = { address_of("127.0.0.1", 0), address_of("::1", 0) };
    struct scene s;

    (void)state;
    open_plain_scene(&s);
    int v4 = listen_at("127.0.0.1", 16), v6 = listen_at("::1", 16);
    must(&s, SOCKBROKER_OK, ask_for(&s, "127.0.0.5", "127.0.0.1"));
    must_be(&s.attempts[0].source, "127.0.0.5");
    must_be_connected(&s, v4, "127.0.0.5", "127.0.0.1");

    o.addresses = both;
    o.n_addresses = 2;
    o.port = PORT;
    o.source = address_of("127.0.0.6", 4567);
    must(&s, SOCKBROKER_OK, ask(&s, &o)); /* of its family only */
    assert_int_equal(s.conn.info.local.port, 4567);
    assert_int_equal(s.n_attempts, 2);
    must_have_tried(&s, 0, "::1", false, SOCKBROKER_INVALID, "the source is an IPv4 address");
    must_have_tried(&s, 1, "127.0.0.1", true, SOCKBROKER_OK, "");
    must_be_connected(&s, v4, "127.0.0.6", "127.0.0.1");

    must(&s, SOCKBROKER_OK, ask_for(&s, "::ffff:127.0.0.7", "127.0.0.1"));
    must_be_connected(&s, v4, "127.0.0.7", "127.0.0.1");
    must(&s, SOCKBROKER_INVALID, ask_for(&s, "::1", "127.0.0.1"));
    must_say(s.error.text, "the source is an IPv6 address. Give one of the same family, or none");
    must(&s, SOCKBROKER_ADDRESS_NOT_AVAILABLE, ask_for(&s, "192.0.2.9", "127.0.0.1"));
    must_say(s.error.text, "bind to the source 192.0.2.9");
    must(&s, SOCKBROKER_ADDRESS_NOT_AVAILABLE, ask_for(&s, "2001:db8::9", "::1"));
    sb_socket_close(&v4);
    sb_socket_close(&v6);
    close_scene(&s);
}

/* struct in6_ifreq of linux/ipv6.h, which cannot be included beside netinet/in.h. */
struct ipv6_request {
    struct in6_addr addr;
    uint32_t prefix_len;
    int interface_index;
};

/* F92: where one interface alone can be meant, the zone is filled in. */
static void a_link_local_address_gets_its_zone(void **state)
{
    struct ipv6_request r = { .prefix_len = 64 };
    struct sockbroker_addr addr = address_of("fe80::1", 0);
    struct scene s;

    (void)state;
    open_plain_scene(&s);
    int control = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    r.interface_index = (int)if_nametoindex("lo");
    memcpy(&r.addr, addr.ip, sizeof(addr.ip));
    assert_int_equal(ioctl(control, SIOCSIFADDR, &r), 0);
    sb_socket_close(&control);
    int v6 = listen_at("::", 16);
    for (unsigned with_zone = 0; with_zone < 2; with_zone++) {
        must(&s, SOCKBROKER_OK, ask_host(&s, with_zone ? "fe80::1%lo" : "fe80::1"));
        assert_int_equal(s.conn.info.peer.scope_id, if_nametoindex("lo"));
        assert_int_equal(s.attempts[0].destination.scope_id, if_nametoindex("lo"));
        int server = accept_at(v6);
        sb_socket_close(&server);
        sb_socket_close(&s.conn.sock);
    }
    sb_socket_close(&v6);
    close_scene(&s);
}

/* ---- in which order ---- */

/* How often of nine IPv4 was first. By name, a family may be late whose lookup was held up for longer than the other waits. */
static unsigned count_ipv4_first(struct scene *s, const char *host)
{
    unsigned n = 0;

    for (unsigned i = 0; i < 9; i++) {
        must(s, SOCKBROKER_OK, ask_host(s, host));
        n += s->attempts[0].destination.family == SOCKBROKER_IPV4;
        sb_socket_close(&s->conn.sock);
    }
    return n;
}

static void the_policy_table_decides_who_is_first(void **state)
{
    struct scene s;

    (void)state;
    open_scene_with(&s, "address_policy=::/0 40 1+::ffff:0:0/96 100 4");
    int v4 = listen_at("127.0.0.1", 16), v6 = listen_at("::1", 16);
    must(&s, SOCKBROKER_OK, ask_for(&s, NULL, "::1", "127.0.0.1"));
    must_have_tried(&s, 0, "127.0.0.1", true, SOCKBROKER_OK, "");
    must_be_connected(&s, v4, "127.0.0.1", "127.0.0.1");
    assert_true(count_ipv4_first(&s, "localhost") > 4);
    sb_socket_close(&v4);
    sb_socket_close(&v6);
    close_scene(&s);
}

static void reload(struct kit_broker *b, const struct kit_config *f, const char *text)
{
    kit_config_write(f, text);
    kit_broker_reload(b, "event=reloaded");
}

static void a_reload_changes_table_and_rules(void **state)
{
    static const char endpoint[] = "endpoint web { address = [::]:0 }\n";
    char text[256];
    struct kit_config f;
    struct scene s;

    (void)state;
    kit_config_open(&f, endpoint);
    open_scene(&s, &(struct kit_start){ .args = { "--config", f.path } });
    int v4 = listen_at("127.0.0.1", 16), v6 = listen_at("::1", 16);
    must(&s, SOCKBROKER_OK, ask_for(&s, NULL, "127.0.0.1", "::1"));
    must_be_connected(&s, v6, "::1", "::1");
    format_text(text, sizeof(text), "address_policy = { \"::/0 40 1\", \"0.0.0.0/0 100 4\" }\n%s", endpoint);
    reload(s.b, &f, text);
    must(&s, SOCKBROKER_OK, ask_for(&s, NULL, "127.0.0.1", "::1"));
    must_be_connected(&s, v4, "127.0.0.1", "127.0.0.1");
    format_text(text, sizeof(text), "connect_deny = 127.0.0.0/8\n%s", endpoint);
    reload(s.b, &f, text);
    must(&s, SOCKBROKER_REFUSED, ask_host(&s, "127.0.0.1"));
    reload(s.b, &f, endpoint);
    must(&s, SOCKBROKER_OK, ask_host(&s, "127.0.0.1"));
    must_be_connected(&s, v4, "127.0.0.1", "127.0.0.1");
    kit_config_close(&f);
    sb_socket_close(&v4);
    sb_socket_close(&v6);
    close_scene(&s);
}

/* ---- what cannot be ---- */

static void wrong_requests_are_refused(void **state)
{
    static const struct {
        const char *host;
        unsigned port, deadline_ms, n_addresses;
        sockbroker_status status;
        const char *says;
    } rows[] = {
        { "no-such.test", PORT, 0, 0, SOCKBROKER_NOT_FOUND, "no-such.test, port 4000: it has no address. Check its spelling" },
        { "a..b", PORT, 0, 0, SOCKBROKER_INVALID, "host \"a..b\": a part between two dots is empty or too long" },
        { "a b", PORT, 0, 0, SOCKBROKER_INVALID, "host \"a b\": neither an address nor a name" },
        { "127.1", PORT, 0, 0, SOCKBROKER_INVALID, "host \"127.1\": a name does not end in a number" },
        { "fe80::1%nowhere0", PORT, 0, 0, SOCKBROKER_INVALID, "nowhere0" },
        { "0.0.0.0", PORT, 0, 0, SOCKBROKER_INVALID, "it is no destination" },
        { "::", PORT, 0, 0, SOCKBROKER_INVALID, "it is no destination" },
        { "", PORT, 0, 0, SOCKBROKER_INVALID, "host: use 1 to 255 bytes" },
        { NULL, PORT, 0, 0, SOCKBROKER_INVALID, "give either host or addresses" },
        { "localhost", PORT, 0, 1, SOCKBROKER_INVALID, "give either host or addresses" },
        { NULL, PORT, 0, 17, SOCKBROKER_INVALID, "addresses: use at most 16" },
        { "localhost", 0, 0, 0, SOCKBROKER_INVALID, "port: use 1 to 65535" },
        { "localhost", 65536, 0, 0, SOCKBROKER_INVALID, "port: use 1 to 65535" },
        { "localhost", PORT, 600001, 0, SOCKBROKER_INVALID, "deadline_ms: use 1 to 600000" },
    };
    struct sockbroker_addr list[17];
    struct scene s;

    (void)state;
    for (size_t i = 0; i < 17; i++)
        list[i] = address_of("127.0.0.1", 0);
    open_plain_scene(&s);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sockbroker_connect_options o = SOCKBROKER_CONNECT_OPTIONS_INIT;

        o.host = rows[i].host;
        o.port = rows[i].port;
        o.deadline_ms = rows[i].deadline_ms;
        o.addresses = list;
        o.n_addresses = rows[i].n_addresses;
        sockbroker_status st = ask(&s, &o);
        if (st != rows[i].status)
            kit_fail("row %zu gives %s: %s", i, sockbroker_status_name(st), s.error.text);
        must_say(s.error.text, rows[i].says);
        assert_int_equal(s.error.status, rows[i].status);
        assert_true(s.n_attempts <= 1);
    }
    struct sockbroker_connect_options o = SOCKBROKER_CONNECT_OPTIONS_INIT;
    o.port = PORT;
    o.n_addresses = 1;
    must(&s, SOCKBROKER_INVALID, ask(&s, &o));
    must_say(s.error.text, "n_addresses says that there are some");
    o.size = 1;
    must(&s, SOCKBROKER_INVALID, ask(&s, &o));
    must_say(s.error.text, "begin with SOCKBROKER_CONNECT_OPTIONS_INIT");
    close_scene(&s);
}

/* ---- rules ---- */

static void rules_decide_where_to(void **state)
{
    static const struct {
        const char *setting, *host, *says; /* says NULL: allowed */
    } rows[] = {
        { "connect_deny=127.0.0.0/8", "127.0.0.1", "127.0.0.1:4000: denied by connect_deny 127.0.0.0/8" },
        { "connect_deny=127.0.0.0/8", "::ffff:127.0.0.1", "127.0.0.1:4000: denied by connect_deny 127.0.0.0/8" },
        { "connect_deny=127.0.0.0/8", "::1", NULL },
        { "connect_deny=127.0.0.1:3999-4001", "127.0.0.1", "denied by connect_deny 127.0.0.1/32:3999-4001" },
        { "connect_deny=127.0.0.1:4001", "127.0.0.1", NULL },
        { "connect_deny=[::1]:4000", "::1", "[::1]:4000: denied by connect_deny [::1/128]:4000" },
        { "connect_deny=[::1]:4000", "localhost", NULL }, /* the other family is left */
        { "connect_deny=::/0+0.0.0.0/0", "localhost", "denied by connect_deny " },
        { "connect_allow=127.0.0.0/8", "127.0.0.1", NULL },
        { "connect_allow=127.0.0.0/8", "::1", "[::1]:4000: no connect_allow rule holds it" },
        { "connect_allow=127.0.0.0/8:4001", "127.0.0.1", "no connect_allow rule holds it" },
        { "connect_allow=127.0.0.0/8:4000", "127.0.0.1", NULL },
        { "connect_allow=10.0.0.0/8+[::1]:4000", "::1", NULL },
        { "connect_deny=127.0.0.0/8", "64:ff9b::127.0.0.1", "has no route there" }, /* F92: a rule of its own decides */
        { "connect_deny=64:ff9b::/96", "64:ff9b::127.0.0.1", "denied by connect_deny 64:ff9b::/96" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct scene s;

        open_scene_with(&s, rows[i].setting);
        int v4 = listen_at("127.0.0.1", 16), v6 = listen_at("::1", 16);
        sockbroker_status st = ask_host(&s, rows[i].host);
        if ((st == SOCKBROKER_OK) != !rows[i].says)
            kit_fail("%s, %s: %s %s", rows[i].setting, rows[i].host, sockbroker_status_name(st), s.error.text);
        if (rows[i].says)
            must_say(s.error.text, rows[i].says);
        else
            sb_socket_close(&s.conn.sock);
        sb_socket_close(&v4);
        sb_socket_close(&v6);
        close_scene(&s);
    }
}

/* deny comes first, and what is refused is told with its rule beside what was tried. */
static void a_refused_destination_is_told_beside_the_others(void **state)
{
    struct scene s;

    (void)state;
    open_scene(&s,
               &(struct kit_start){ .args = { WEB, "--set", "connect_deny=127.0.0.2", "--set", "connect_allow=127.0.0.0/8" } });
    int v4 = listen_at("0.0.0.0", 16);
    must(&s, SOCKBROKER_OK, ask_for(&s, NULL, "127.0.0.2", "127.0.0.1", "::1"));
    assert_int_equal(s.n_attempts, 3);
    must_have_tried(&s, 0, "127.0.0.2", false, SOCKBROKER_REFUSED, "127.0.0.2:4000: denied by connect_deny 127.0.0.2/32");
    must_have_tried(&s, 1, "::1", false, SOCKBROKER_REFUSED, "[::1]:4000: no connect_allow rule holds it");
    must_have_tried(&s, 2, "127.0.0.1", true, SOCKBROKER_OK, "");
    must_be_connected(&s, v4, "127.0.0.1", "127.0.0.1");
    sb_socket_close(&v4);
    close_scene(&s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(names_and_literals_are_connected_to),
        TEST(nobody_needs_to_hear_of_the_attempts),
        TEST(a_refused_destination_falls_to_the_next),
        TEST(a_black_hole_is_overtaken_by_the_other_family),
        TEST(the_deadline_ends_it),
        TEST(the_source_is_as_asked),
        TEST(a_link_local_address_gets_its_zone),
        TEST(the_policy_table_decides_who_is_first),
        TEST(a_reload_changes_table_and_rules),
        TEST(wrong_requests_are_refused),
        TEST(rules_decide_where_to),
        TEST(a_refused_destination_is_told_beside_the_others),
    };

    kit_filter(argc, argv);
    return cmocka_run_group_tests(tests, enter, NULL);
}
