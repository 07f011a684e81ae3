/* Connections that the broker makes for workers, asked for through the public library: where they go, in which order, what is
 * told of each attempt, who is refused, and that nothing is left behind however it ends. Each test has a network with nothing
 * but lo, and a hosts file of its own, so that nobody is asked outside. */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/socket.h"
#include "sockbroker/request.h"
#include "tests/support/fault.h"
#include "tests/support/format.h"

#define PORT 4000u
#define STRANGER "65533"
#define AT_ONCE_PER_WORKER 16u /* what one worker may have under way */

/* ---- a network and a hosts file ---- */

#define HOSTS                                                                                                                  \
    "127.0.0.1 localhost\n::1 localhost\n"                                                                                     \
    "2001:db8::1 far.test\n127.0.0.1 four.test\n"

static bool is_inside;

static void cover(const char *path, const char *text)
{
    char own[] = "/tmp/sbkit-outbound-XXXXXX";
    int fd = mkstemp(own);

    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) || fchmod(fd, 0644) ||
        mount(own, path, NULL, MS_BIND, NULL))
        kit_fail("%s: %s", path, strerror(errno));
    close(fd);
    unlink(own);
}

/* Once for all tests: the way back is closed while a worker's threads share the files. */
static int enter(void **state)
{
    (void)state;
    if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
        return 0;
    int network = fault_net_enter();
    sb_socket_close(&network);
    cover("/etc/hosts", HOSTS);
    cover("/etc/nsswitch.conf", "hosts: files\n");
    is_inside = true;
    return 0;
}

static void need_place(void)
{
    if (!is_inside)
        skip();
}

/* ---- servers ---- */

static struct sockbroker_addr address_of(const char *ip, uint16_t port)
{
    struct sockbroker_addr addr;
    struct sockbroker_error error;

    if (sockbroker_addr_parse_ip(ip, &addr, &error))
        kit_fail("%s", error.text);
    addr.port = port;
    return addr;
}

static int listen_at(const char *ip, int backlog)
{
    struct sockbroker_addr at = address_of(ip, PORT);
    struct sockaddr_storage sa;
    socklen_t len = (socklen_t)sockbroker_addr_to_sockaddr(&at, &sa);
    int on = 1;
    sockbroker_socket sock = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (sa.ss_family == AF_INET6)
        setsockopt(sock, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(sock, (struct sockaddr *)&sa, len) || listen(sock, backlog))
        kit_fail("%s: %s", ip, strerror(errno));
    return sock;
}

/* Its queue is full: the system drops each SYN. */
struct hole {
    sockbroker_socket sock, filler;
};

static void open_hole(struct hole *h, const char *ip)
{
    h->sock = listen_at(ip, 0);
    h->filler = kit_connect(NULL, ip, PORT);
}

static void close_hole(struct hole *h)
{
    sb_socket_close(&h->sock);
    kit_close(&h->filler);
}

static int accept_at(sockbroker_socket listener)
{
    if (kit_is_silent(listener, KIT_WAIT_MS))
        kit_fail("nobody connects");
    return accept4(listener, NULL, NULL, SOCK_CLOEXEC);
}

/* ---- the broker and a worker inside the test ---- */

struct scene {
    struct kit_broker *b;
    struct sockbroker_worker *worker;
    struct sockbroker_conn conn;
    struct sockbroker_attempt attempts[SOCKBROKER_ATTEMPTS_MAX];
    size_t n_attempts;
    struct sockbroker_error error;
};

#define WEB "--endpoint", "web=[::]:0"

static void open_scene(struct scene *s, const struct kit_start *how)
{
    memset(s, 0, sizeof(*s));
    need_place();
    s->b = kit_broker_start(how);
    s->worker = kit_worker_open(s->b, "asker", "");
}

static void open_plain_scene(struct scene *s)
{
    open_scene(s, &(struct kit_start){ .args = { WEB } });
}

/* One setting, "KEY=VALUE". */
static void open_scene_with(struct scene *s, const char *setting)
{
    open_scene(s, &(struct kit_start){ .args = { WEB, "--set", setting } });
}

static void close_scene(struct scene *s)
{
    sockbroker_worker_close(s->worker);
    kit_broker_wait_ready(s->b, 0);
    kit_broker_wait_idle_fds(s->b);
    kit_broker_stop(s->b);
}

static sockbroker_status ask(struct scene *s, const struct sockbroker_connect_options *options)
{
    memset(s->attempts, 0x5a, sizeof(s->attempts));
    s->n_attempts = 99;
    return sockbroker_worker_connect(s->worker, options, &s->conn, s->attempts, &s->n_attempts, &s->error);
}

static sockbroker_status ask_host(struct scene *s, const char *host)
{
    struct sockbroker_connect_options o = SOCKBROKER_CONNECT_OPTIONS_INIT;

    o.host = host;
    o.port = PORT;
    return ask(s, &o);
}

#define MANY_MAX 4

static sockbroker_status ask_addresses(struct scene *s, const char *const *ips, const char *source)
{
    struct sockbroker_connect_options o = SOCKBROKER_CONNECT_OPTIONS_INIT;
    struct sockbroker_addr addresses[MANY_MAX];

    while (o.n_addresses < MANY_MAX && ips[o.n_addresses]) {
        addresses[o.n_addresses] = address_of(ips[o.n_addresses], 1); /* the port of an address means nothing */
        o.n_addresses++;
    }
    o.addresses = addresses;
    o.port = PORT;
    if (source)
        o.source = address_of(source, 0);
    return ask(s, &o);
}

#define ask_for(s, source, ...) ask_addresses((s), (const char *const[]){ __VA_ARGS__, NULL }, (source))

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

static void must_be(const struct sockbroker_addr *addr, const char *ip)
{
    char text[SOCKBROKER_ADDR_TEXT_MAX];

    if (strcmp(sockbroker_addr_format_ip(addr, text), ip))
        kit_fail("%s, not %s", text, ip);
}

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

/* The connection is what it is said to be, and a server is at its other end. */
static void must_be_connected(struct scene *s, sockbroker_socket listener, const char *local, const char *peer)
{
    const struct sockbroker_socket_info *info = &s->conn.info;
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    struct sockbroker_addr real;
    char bytes[8] = "";
    int server = accept_at(listener);

    must_be(&info->local, local);
    must_be(&info->peer, peer);
    assert_int_equal(info->peer.port, PORT);
    assert_int_equal(info->type, SOCKBROKER_STREAM);
    assert_int_equal(info->socket_family, info->peer.family);
    assert_false(info->listening);
    assert_false(info->nonblocking);
    assert_false(sb_socket_is_nonblocking(s->conn.sock));
    assert_int_equal(getsockname(s->conn.sock, (struct sockaddr *)&sa, &len), 0);
    assert_int_equal(sockbroker_addr_from_sockaddr((struct sockaddr *)&sa, len, &real), SOCKBROKER_OK);
    assert_int_equal(sockbroker_addr_compare(&real, &info->local), 0);
    assert_int_equal(send(s->conn.sock, "ping", 4, MSG_NOSIGNAL), 4);
    assert_int_equal(recv(server, bytes, 4, MSG_WAITALL), 4);
    assert_string_equal(bytes, "ping");
    sb_socket_close(&s->conn.sock);
    assert_int_equal(recv(server, bytes, 1, 0), 0); /* at once: nobody else has a copy */
    sb_socket_close(&server);
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

static void write_file(const char *path, const char *text)
{
    FILE *out = fopen(path, "we");

    if (!out || fputs(text, out) < 0 || fclose(out))
        kit_fail("%s cannot be written", path);
}

static void reload(struct kit_broker *b, const char *path, const char *text)
{
    unsigned before = kit_process_count_log(b->process, "event=reloaded");

    write_file(path, text);
    kit_process_signal(b->process, SIGHUP);
    kit_until(kit_process_count_log(b->process, "event=reloaded") > before);
}

static void a_reload_changes_table_and_rules(void **state)
{
    static const char endpoint[] = "endpoint web { address = [::]:0 }\n";
    char path[] = "/tmp/sbkit-outbound-XXXXXX", text[256];
    int fd = mkstemp(path);
    struct scene s;

    (void)state;
    close(fd);
    write_file(path, endpoint);
    open_scene(&s, &(struct kit_start){ .args = { "--config", path } });
    int v4 = listen_at("127.0.0.1", 16), v6 = listen_at("::1", 16);
    must(&s, SOCKBROKER_OK, ask_for(&s, NULL, "127.0.0.1", "::1"));
    must_be_connected(&s, v6, "::1", "::1");
    format_text(text, sizeof(text), "address_policy = { \"::/0 40 1\", \"0.0.0.0/0 100 4\" }\n%s", endpoint);
    reload(s.b, path, text);
    must(&s, SOCKBROKER_OK, ask_for(&s, NULL, "127.0.0.1", "::1"));
    must_be_connected(&s, v4, "127.0.0.1", "127.0.0.1");
    format_text(text, sizeof(text), "connect_deny = 127.0.0.0/8\n%s", endpoint);
    reload(s.b, path, text);
    must(&s, SOCKBROKER_REFUSED, ask_host(&s, "127.0.0.1"));
    reload(s.b, path, endpoint);
    must(&s, SOCKBROKER_OK, ask_host(&s, "127.0.0.1"));
    must_be_connected(&s, v4, "127.0.0.1", "127.0.0.1");
    unlink(path);
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

/* ---- processes ---- */

static struct kit_process *launch_asker(struct kit_broker *b, const char *name, const char *endpoints, const char *uid,
                                        const char *env)
{
    return kit_process_start(name, SB_ASKER_EXE,
                             &(struct kit_start){ .args = { b->dir, name, endpoints, uid, uid }, .env = { env } });
}

static struct kit_process *start_asker(struct kit_broker *b, const char *name, const char *env)
{
    struct kit_process *p = launch_asker(b, name, "", NULL, env);

    kit_process_wait_log(p, "ready\n");
    kit_broker_wait_worker(b, name, "ready");
    return p;
}

static void end_asker(struct kit_process *p)
{
    kit_process_end_input(p);
    assert_int_equal(kit_process_wait(p), 0);
    kit_process_free(p);
}

/* ---- other users ---- */

static struct kit_broker *start_public(char dir[64], const char *const *settings)
{
    struct kit_start how = { .args = { "--endpoint", "web=[::]:0,allow_uid=0+" STRANGER, "--set", "dir_mode=0711" },
                             .dir = dir };

    format_text(dir, 64, "/tmp/sboutbound-XXXXXX");
    assert_non_null(mkdtemp(dir));
    assert_int_equal(chmod(dir, 0711), 0);
    for (size_t i = 0; settings[i]; i++) {
        how.args[4 + 2 * i] = "--set";
        how.args[5 + 2 * i] = settings[i];
    }
    return kit_broker_start(&how);
}

static void stop_public(struct kit_broker *b, const char *dir)
{
    char lock[96];

    kit_broker_wait_ready(b, 0);
    kit_broker_wait_idle_fds(b);
    kit_broker_stop(b);
    format_text(lock, sizeof(lock), "%s/lock", dir);
    unlink(lock);
    assert_int_equal(rmdir(dir), 0);
}

static void other_users_need_rules(void **state)
{
    static const struct {
        const char *settings[3];
        const char *order, *says;
    } rows[] = {
        { { NULL },
          "connect 127.0.0.1 4000 5000",
          "failed REFUSED uid " STRANGER " may not have connections made; allow it with "
          "connect_uid" },
        { { "connect_allow=127.0.0.0/8" }, "connect 127.0.0.1 4000 5000", "failed REFUSED uid " STRANGER " may not" },
        { { "connect_uid=" STRANGER }, "connect 127.0.0.1 4000 5000", "no connect_allow rule holds it" },
        { { "connect_uid=" STRANGER, "connect_allow=127.0.0.0/8" }, "connect 127.0.0.1 4000 5000", "connected 127.0.0.1:" },
        { { "connect_uid=" STRANGER, "connect_allow=127.0.0.0/8:4000" },
          "connect localhost 4000 5000",
          "connected 127.0.0.1:" },
        { { "connect_uid=" STRANGER, "connect_allow=127.0.0.0/8" }, "connect ::1 4000 5000", "no connect_allow rule holds it" },
        { { "connect_uid=" STRANGER, "connect_allow=127.0.0.0/8" },
          "connect 127.0.0.1 4000 5000 1023",
          "failed REFUSED source port 1023 is for root; use 0 or 1024 to 65535" },
        { { "connect_uid=" STRANGER, "connect_allow=127.0.0.0/8" },
          "connect 127.0.0.1 4000 5000 1024",
          "connected 127.0.0.1:1024" },
    };

    (void)state;
    if (geteuid())
        skip();
    need_place();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char dir[64];
        struct kit_broker *b = start_public(dir, rows[i].settings);
        int v4 = listen_at("127.0.0.1", 16);
        struct kit_process *p = launch_asker(b, "stranger", "web", STRANGER, NULL);

        kit_process_wait_log(p, "ready\n");
        kit_process_tell(p, rows[i].order);
        kit_process_wait_log(p, rows[i].says);
        end_asker(p);
        sb_socket_close(&v4);
        stop_public(b, dir);
    }
}

/* A worker that serves nothing has no reason to be there unless it may ask. */
static void other_users_need_leave_to_attach_for_this_alone(void **state)
{
    static const char *const none[] = { NULL }, *const some[] = { "connect_uid=" STRANGER, NULL };
    char dir[64];

    (void)state;
    if (geteuid())
        skip();
    need_place();
    struct kit_broker *b = start_public(dir, none);
    struct kit_process *p = launch_asker(b, "stranger", "", STRANGER, NULL);
    kit_process_wait_log(p,
                         "attach gave REFUSED: uid " STRANGER " may not attach without an endpoint; name one, or allow it with "
                         "connect_uid");
    end_asker(p);
    stop_public(b, dir);

    b = start_public(dir, some);
    p = launch_asker(b, "stranger", "", STRANGER, NULL);
    kit_process_wait_log(p, "ready\n");
    end_asker(p);
    stop_public(b, dir);
}

/* ---- ends ---- */

/* Sockets of this network that wait for an answer to their SYN. */
static unsigned count_attempts(const char *table)
{
    char path[64], line[512];
    unsigned n = 0, state;

    format_text(path, sizeof(path), "/proc/thread-self/net/%s", table);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof(line), f))
        n += sscanf(line, " %*d: %*32[0-9A-F]:%*x %*32[0-9A-F]:%*x %x", &state) == 1 && state == 2;
    if (f)
        fclose(f);
    return n;
}

static void wait_under_way(unsigned n)
{
    kit_until(count_attempts("tcp") + count_attempts("tcp6") == n);
}

static void a_worker_killed_while_the_race_runs_leaves_nothing(void **state)
{
    struct hole v4, v6;
    struct scene s;

    (void)state;
    open_plain_scene(&s);
    open_hole(&v4, "127.0.0.1");
    open_hole(&v6, "::1");
    struct kit_process *p = start_asker(s.b, "victim", NULL);
    kit_process_tell(p, "connect localhost 4000 600000");
    wait_under_way(2);
    kit_process_kill(p);
    kit_broker_wait_worker(s.b, "victim", "gone");
    wait_under_way(0);
    close_hole(&v4);
    close_hole(&v6);
    must(&s, SOCKBROKER_SYSTEM, ask_host(&s, "localhost")); /* the broker goes on */
    close_scene(&s);                                        /* and has no descriptor too many */
}

/* With the socket in its hands, or without, before it has said that it has it: the server sees the end. */
static void a_worker_killed_after_the_grant_leaves_nothing(void **state)
{
    fault_need_failpoints();
    (void)state;
    struct scene s;
    open_plain_scene(&s);
    int v6 = listen_at("::1", 16);
    struct kit_process *p = start_asker(s.b, "victim", "SOCKBROKER_FAILPOINTS=settle_grant=kill");
    kit_process_tell(p, "connect ::1 4000 60000");
    assert_int_equal(kit_process_wait(p), 128 + SIGKILL);
    kit_process_free(p);
    int server = accept_at(v6);
    char byte;
    assert_true(recv(server, &byte, 1, 0) <= 0);
    sb_socket_close(&server);
    kit_broker_wait_worker(s.b, "victim", "gone");

    p = start_asker(s.b, "sleeper", "SOCKBROKER_FAILPOINTS=settle_grant=stop"); /* long asleep, then dead */
    kit_process_tell(p, "connect ::1 4000 60000");
    server = accept_at(v6);
    kit_process_wait_stopped(p);
    kit_process_kill(p);
    assert_true(recv(server, &byte, 1, 0) <= 0);
    sb_socket_close(&server);
    kit_broker_wait_worker(s.b, "sleeper", "gone");
    sb_socket_close(&v6);
    close_scene(&s);
}

static void short_of_memory_the_broker_says_so(void **state)
{
    fault_need_failpoints();
    (void)state;
    struct scene s;
    open_scene(&s, &(struct kit_start){ .args = { WEB },
                                        .env = { "SOCKBROKER_FAILPOINTS=outbound_memory=ENOMEM*1,"
                                                 "dial_socket=EMFILE*1" } });
    int v6 = listen_at("::1", 16);
    must(&s, SOCKBROKER_NO_MEMORY, ask_host(&s, "::1"));
    must(&s, SOCKBROKER_NO_DESCRIPTORS, ask_host(&s, "::1"));
    must_say(s.error.text, "Raise the limit");
    must(&s, SOCKBROKER_OK, ask_host(&s, "::1"));
    must_be_connected(&s, v6, "::1", "::1");
    sb_socket_close(&v6);
    close_scene(&s);
}

static void the_broker_stops_while_a_race_runs(void **state)
{
    struct hole v4, v6;

    (void)state;
    need_place();
    open_hole(&v4, "127.0.0.1");
    open_hole(&v6, "::1");
    struct kit_broker *b = kit_broker_start(&(struct kit_start){ .args = { WEB } });
    struct kit_process *p = start_asker(b, "asker", NULL);
    kit_process_tell(p, "connect localhost 4000 600000");
    wait_under_way(2);
    kit_broker_stop(b);
    kit_process_wait_log(p, "\nfailed "); /* at once, not at its deadline */
    end_asker(p);
    close_hole(&v4);
    close_hole(&v6);
}

/* ---- many ---- */

struct caller {
    struct sockbroker_worker *worker;
    const char *host;
    pthread_t thread;
    sockbroker_status status;
    struct sockbroker_error error;
    struct sockbroker_conn conn;
};

static void *call(void *arg)
{
    struct caller *c = arg;
    struct sockbroker_connect_options o = SOCKBROKER_CONNECT_OPTIONS_INIT;

    o.host = c->host;
    o.port = PORT;
    o.deadline_ms = 600000;
    c->status = sockbroker_worker_connect(c->worker, &o, &c->conn, NULL, NULL, &c->error);
    return NULL;
}

static void start_callers(struct caller *callers, unsigned n, struct sockbroker_worker *worker, const char *host)
{
    for (unsigned i = 0; i < n; i++) {
        callers[i] = (struct caller){ .worker = worker, .host = host, .conn.sock = SOCKBROKER_SOCKET_NONE };
        assert_int_equal(pthread_create(&callers[i].thread, NULL, call, &callers[i]), 0);
    }
}

static void join_callers(struct caller *callers, unsigned n, sockbroker_status expected)
{
    for (unsigned i = 0; i < n; i++) {
        pthread_join(callers[i].thread, NULL);
        if (callers[i].status != expected)
            kit_fail("caller %u: %s: %s", i, sockbroker_status_name(callers[i].status), callers[i].error.text);
        sb_socket_close(&callers[i].conn.sock);
    }
}

static void sixty_four_at_once_are_all_connected(void **state)
{
    static const char *const names[] = { "a", "b", "c", "d" };
    struct sockbroker_worker *workers[4];
    static struct caller callers[4 * AT_ONCE_PER_WORKER];
    struct scene s;

    (void)state;
    open_plain_scene(&s);
    int v6 = listen_at("::1", 4096);
    for (unsigned i = 0; i < 4; i++)
        workers[i] = kit_worker_open(s.b, names[i], "");
    for (unsigned round = 0; round < 2 * kit_scale(); round++) {
        for (unsigned i = 0; i < 4; i++)
            start_callers(callers + i * AT_ONCE_PER_WORKER, AT_ONCE_PER_WORKER, workers[i], "localhost");
        join_callers(callers, 4 * AT_ONCE_PER_WORKER, SOCKBROKER_OK);
        for (unsigned i = 0; i < 4 * AT_ONCE_PER_WORKER; i++) {
            int server = accept_at(v6);
            char byte;

            assert_int_equal(recv(server, &byte, 1, 0), 0); /* each one is somebody's, and was closed */
            sb_socket_close(&server);
        }
    }
    for (unsigned i = 0; i < 4; i++)
        sockbroker_worker_close(workers[i]);
    sb_socket_close(&v6);
    close_scene(&s);
}

static void one_too_many_is_told_to_wait(void **state)
{
    static struct caller callers[AT_ONCE_PER_WORKER];
    struct hole hole;
    struct scene s;

    (void)state;
    open_plain_scene(&s);
    open_hole(&hole, "127.0.0.1");
    struct sockbroker_worker *busy = kit_worker_open(s.b, "busy", "");
    kit_broker_wait_ready(s.b, 2);
    start_callers(callers, AT_ONCE_PER_WORKER, busy, "127.0.0.1");
    wait_under_way(AT_ONCE_PER_WORKER);
    struct sockbroker_worker *own = s.worker;
    s.worker = busy;
    must(&s, SOCKBROKER_BUSY, ask_host(&s, "127.0.0.1"));
    must_say(s.error.text, "16 connections are being made for this worker; ask again later");
    s.worker = own; /* others have their own */
    must(&s, SOCKBROKER_SYSTEM, ask_host(&s, "::1"));
    assert_int_equal(listen(hole.sock, 64), 0); /* no hole any more: the SYNs are repeated */
    join_callers(callers, AT_ONCE_PER_WORKER, SOCKBROKER_OK);
    sockbroker_worker_close(busy);
    kit_broker_wait_worker(s.b, "busy", "gone");
    close_hole(&hole);
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
        TEST(other_users_need_rules),
        TEST(other_users_need_leave_to_attach_for_this_alone),
        TEST(a_worker_killed_while_the_race_runs_leaves_nothing),
        TEST(a_worker_killed_after_the_grant_leaves_nothing),
        TEST(short_of_memory_the_broker_says_so),
        TEST(the_broker_stops_while_a_race_runs),
        TEST(sixty_four_at_once_are_all_connected),
        TEST(one_too_many_is_told_to_wait),
    };

    kit_filter(argc, argv);
    return cmocka_run_group_tests(tests, enter, NULL);
}
