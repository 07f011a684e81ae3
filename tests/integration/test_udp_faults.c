/* What goes wrong around UDP endpoints: families that are missing or off, ports, configurations, and workers that spoil the
 * socket they share. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/socket.h"
#include "tests/support/fault.h"
#include "tests/support/format.h"
#include "tests/support/kit_udp.h"

#define SHARED "echo=[::]:0,protocol=udp,mode=share"

/* ---- support ---- */

static struct kit_broker *start(const char *endpoint, const char *env)
{
    return kit_broker_start(&(struct kit_start){ .args = { "--endpoint", endpoint }, .env = { env } });
}

static bool has_granted(const struct sb_status_report *r, void *n)
{
    return kit_endpoint(r, "echo")->counters.granted == *(const uint64_t *)n;
}

static void wait_granted(struct kit_broker *b, uint64_t n)
{
    kit_broker_wait_status(b, has_granted, &n, "as many sockets given as wanted");
}

static struct kit_process *launch_echo(struct kit_broker *b, const char *name)
{
    return kit_process_start(name, SB_UDP_ECHO_EXE,
                             &(struct kit_start){ .args = { "--dir", b->dir, "--endpoint", "echo", "--name", name } });
}

static struct kit_process *start_echo(struct kit_broker *b, const char *name, uint64_t n_sockets)
{
    uint64_t before = kit_counters(b, "echo").granted;
    struct kit_process *w = launch_echo(b, name);

    wait_granted(b, before + n_sockets);
    return w;
}

static void stop_echo(struct kit_process *w)
{
    kit_process_ask_end(w);
    assert_int_equal(kit_process_wait(w), 0);
    kit_process_free(w);
}

static void finish(struct kit_broker *b)
{
    kit_broker_wait_ready(b, 0);
    kit_broker_wait_idle_fds(b);
    kit_broker_stop(b);
}

/* All of these addresses are answered, each as itself. */
static void check_answers_at(uint16_t port, const char *const *hosts)
{
    struct kit_udp_options o = { .port = port, .total = 60 };
    struct kit_udp u;

    for (unsigned i = 0; hosts[i]; i++)
        o.hosts[i] = hosts[i];
    kit_udp_open(&u, &o);
    kit_udp_run(&u, 60);
    kit_udp_close(&u);
}

#define check_answers(b, ...) check_answers_at(kit_broker_port((b), "echo"), (const char *const[]){ __VA_ARGS__, NULL })

static void check_serves(struct kit_broker *b)
{
    check_answers(b, "127.0.0.1", "127.0.0.2", "::1");
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

/* ---- a worker inside the test, which does what workers must not ---- */

struct rogue {
    struct sockbroker_worker *worker;
    sockbroker_socket sock;
};

static void open_rogue(struct rogue *r, struct kit_broker *b, const char *name)
{
    struct sockbroker_worker_options options = SOCKBROKER_WORKER_OPTIONS_INIT;
    struct sockbroker_error error = { .text = "" };
    struct sockbroker_conn conn;
    uint64_t before = kit_counters(b, "echo").granted;

    options.dir = b->dir;
    options.endpoints = "echo";
    options.name = name;
    if (sockbroker_worker_open(&options, &r->worker, &error) ||
        sockbroker_worker_socket(r->worker, "echo", 0, &conn, NULL, &error))
        kit_fail("%s", error.text);
    r->sock = conn.sock;
    wait_granted(b, before + 1);
}

static void close_rogue(struct rogue *r)
{
    sb_socket_close(&r->sock);
    r->worker = sockbroker_worker_close(r->worker);
}

static void rogue_must_hear_drain(struct rogue *r)
{
    struct sockbroker_conn conn;

    assert_int_equal(sockbroker_worker_next(r->worker, KIT_WAIT_MS, &conn), SOCKBROKER_DRAINING);
}

/* ---- what a worker can do to a shared socket, and what becomes of it ---- */

static int option_of(int sock, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);

    getsockopt(sock, level, name, &value, &len);
    return value;
}

static void set_option(int sock, int level, int name, int value)
{
    assert_int_equal(setsockopt(sock, level, name, &value, sizeof(value)), 0);
}

static void turn_pktinfo4_off(int sock)
{
    set_option(sock, IPPROTO_IP, IP_PKTINFO, 0);
}

static bool is_pktinfo4_on(int sock)
{
    return option_of(sock, IPPROTO_IP, IP_PKTINFO) == 1;
}

static void turn_pktinfo6_off(int sock)
{
    set_option(sock, IPPROTO_IPV6, IPV6_RECVPKTINFO, 0);
}

static bool is_pktinfo6_on(int sock)
{
    return option_of(sock, IPPROTO_IPV6, IPV6_RECVPKTINFO) == 1;
}

static void make_blocking(int sock)
{
    assert_int_equal(fcntl(sock, F_SETFL, fcntl(sock, F_GETFL) & ~O_NONBLOCK), 0);
}

static bool is_nonblocking(int sock)
{
    return fcntl(sock, F_GETFL) & O_NONBLOCK;
}

static void shrink_queue(int sock)
{
    set_option(sock, SOL_SOCKET, SO_RCVBUF, 4096);
}

static bool is_queue_long(int sock)
{
    return option_of(sock, SOL_SOCKET, SO_RCVBUF) == 2 * (1 << 20);
}

static void connect_to(int sock, const char *host)
{
    struct sockbroker_addr addr;
    struct sockaddr_storage sa;

    assert_int_equal(sockbroker_addr_parse_ip(host, &addr, NULL), SOCKBROKER_OK);
    addr.port = 9;
    sockbroker_addr_map(&addr);
    socklen_t len = (socklen_t)sockbroker_addr_to_sockaddr(&addr, &sa);
    assert_int_equal(connect(sock, (struct sockaddr *)&sa, len), 0);
}

static void connect_to_ipv4(int sock)
{
    connect_to(sock, "127.0.0.1");
}

static void connect_to_ipv6(int sock)
{
    connect_to(sock, "::1");
}

static bool is_unconnected(int sock)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);

    return getpeername(sock, (struct sockaddr *)&sa, &len) < 0 && errno == ENOTCONN;
}

static void disconnect(int sock)
{
    struct sockaddr none = { .sa_family = AF_UNSPEC };

    connect_to(sock, "127.0.0.1");
    assert_int_equal(connect(sock, &none, sizeof(none)), 0);
}

static bool is_bound(int sock)
{
    struct sockaddr_in6 at;
    socklen_t len = sizeof(at);

    return getsockname(sock, (struct sockaddr *)&at, &len) == 0 && at.sin6_port;
}

static const struct trick {
    const char *cause;
    void (*play)(int sock);
    bool (*is_mended)(int sock);
} tricks[] = {
    { "IP_PKTINFO", turn_pktinfo4_off, is_pktinfo4_on },
    { "IPV6_RECVPKTINFO", turn_pktinfo6_off, is_pktinfo6_on },
    { "O_NONBLOCK", make_blocking, is_nonblocking },
    { "SO_RCVBUF", shrink_queue, is_queue_long },
    { "unbound", disconnect, is_bound }, /* before the others: bound again to a port by number, it keeps it */
    { "connected", connect_to_ipv4, is_unconnected },
    { "connected", connect_to_ipv6, is_unconnected },
};

#define N_TRICKS (sizeof(tricks) / sizeof(tricks[0]))
#define N_TRICKS_WITH_OPTIONS 4u

/* At once, as the broker sees it. */
static void play(struct kit_broker *b, const struct trick *trick, int sock)
{
    kit_process_stop(b->process);
    trick->play(sock);
    kit_process_go_on(b->process);
}

/* Noticed, named, put right, and the neighbour goes on answering. */
static void tricks_with_a_shared_socket_are_undone(void **state)
{
    struct kit_broker *b = start(SHARED ",receive_buffer=1048576", NULL);
    struct kit_process *w;
    struct rogue r;

    (void)state;
    open_rogue(&r, b, "rogue");
    for (size_t i = 0; i < N_TRICKS; i++) {
        char text[160];

        format_text(text, sizeof(text), "event=listener_repaired endpoint=echo cause=\"%s\" by=\"rogue\" result=OK",
                    tricks[i].cause);
        unsigned before = kit_process_count_log(b->process, text);
        play(b, &tricks[i], r.sock);
        kit_until(kit_process_count_log(b->process, text) == before + 1);
        kit_until(tricks[i].is_mended(r.sock));
        assert_int_equal(kit_counters(b, "echo").repaired, i + 1); /* once: what is right stays so */
    }
    w = start_echo(b, "neighbour", 1);
    check_serves(b);
    connect_to_ipv6(r.sock);
    kit_broker_wait_log(b, "cause=\"connected\" by=\"one of rogue, neighbour\" result=OK");
    check_serves(b);
    close_rogue(&r);
    stop_echo(w);
    finish(b);
}

/* The queue stays, whoever is kept out meanwhile. */
static void datagrams_in_a_socket_outlive_a_connect(void **state)
{
    struct kit_broker *b = start(SHARED, NULL);
    struct kit_process *w;
    struct kit_udp u;
    struct rogue r;

    (void)state;
    open_rogue(&r, b, "rogue");
    kit_udp_open(&u, &(struct kit_udp_options){ kit_broker_port(b, "echo"), { "127.0.0.1", "::1" }, 4, 80, 0 });
    kit_udp_send(&u, 80);
    connect_to_ipv4(r.sock);
    kit_broker_wait_log(b, "cause=\"connected\" by=\"rogue\"");
    w = start_echo(b, "next", 1);
    kit_udp_collect(&u);
    kit_udp_close(&u);
    close_rogue(&r);
    stop_echo(w);
    finish(b);
}

/* Nothing opens such a socket again. Its workers are told to finish, nobody else gets it, and as soon as all have closed it
 * there is another one in its place, on the same port. */
static void a_socket_that_was_shut_down_is_replaced(void **state)
{
    static const int ways[] = { SHUT_RD, SHUT_WR, SHUT_RDWR };

    (void)state;
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        struct kit_broker *b = start(SHARED, NULL);
        struct kit_process *w, *late;
        struct rogue r;

        open_rogue(&r, b, "rogue");
        shutdown(r.sock, ways[i]);
        kit_broker_wait_log(b, "level=error event=socket_lost endpoint=echo cause=\"shut down\" by=\"rogue\"");
        rogue_must_hear_drain(&r);
        late = launch_echo(b, "late");
        kit_process_wait_log(late,
                             "a worker has shut the socket of endpoint \"echo\" down; it comes back when all who have it");
        assert_int_equal(kit_process_wait(late), 1);
        kit_process_free(late);
        assert_false(kit_process_has_log(b->process, "event=socket_back"));
        assert_int_equal(kit_counters(b, "echo").repaired, 1);
        close_rogue(&r);
        kit_broker_wait_log(b, "event=socket_back endpoint=echo");
        w = start_echo(b, "next", 1);
        check_serves(b);
        assert_int_equal(kit_counters(b, "echo").repaired, 1);
        stop_echo(w);
        finish(b);
    }
}

/* Of several holders each one is told, and the last one to go makes room. */
static void all_holders_of_a_lost_socket_are_told(void **state)
{
    struct kit_broker *b = start(SHARED, NULL);
    struct kit_process *w = start_echo(b, "neighbour", 1);
    struct rogue r, second;

    (void)state;
    open_rogue(&r, b, "rogue");
    open_rogue(&second, b, "second");
    connect_to_ipv4(r.sock);
    shutdown(r.sock, SHUT_RDWR);
    kit_broker_wait_log(b, "by=\"one of neighbour, rogue, second\"");
    assert_int_equal(kit_process_wait(w), 0); /* the polite one goes at once */
    kit_process_free(w);
    rogue_must_hear_drain(&second);
    close_rogue(&r);
    kit_broker_wait_worker(b, "rogue", "gone");
    assert_false(kit_process_has_log(b->process, "event=socket_back"));
    close_rogue(&second);
    kit_broker_wait_log(b, "event=socket_back endpoint=echo");
    w = start_echo(b, "next", 1);
    check_serves(b);
    stop_echo(w);
    finish(b);
}

/* Each slot has a socket of its own: that one is replaced, and the others know nothing of it. */
static void tricks_in_a_shard_hurt_nobody_else(void **state)
{
    static void (*const plays[])(int) = { connect_to_ipv4, connect_to_ipv6, disconnect };

    (void)state;
    for (size_t i = 0; i < sizeof(plays) / sizeof(plays[0]); i++) {
        struct kit_broker *b = start("echo=[::]:0,protocol=udp,mode=shard,slots=3", NULL);
        struct kit_process *w = start_echo(b, "neighbour", 1);
        struct rogue r;

        open_rogue(&r, b, "rogue");
        plays[i](r.sock);
        kit_broker_wait_log(b, "event=listener_repaired endpoint=echo slot=1 cause=\"shut down or connected\" by=\"rogue\"");
        rogue_must_hear_drain(&r);
        close_rogue(&r);
        kit_broker_wait_worker(b, "rogue", "gone");
        check_serves(b);
        struct kit_process *next = start_echo(b, "next", 1);
        check_serves(b);
        stop_echo(w);
        stop_echo(next);
        finish(b);
    }
}

/* The next worker of a slot finds its socket as the first one did. */
static void options_changed_in_a_shard_are_put_back(void **state)
{
    struct kit_broker *b = start("echo=[::]:0,protocol=udp,mode=shard,slots=2,receive_buffer=1048576", NULL);
    struct rogue r;

    (void)state;
    open_rogue(&r, b, "rogue");
    for (size_t i = 0; i < N_TRICKS_WITH_OPTIONS; i++)
        tricks[i].play(r.sock);
    close_rogue(&r);
    kit_broker_wait_worker(b, "rogue", "gone");
    open_rogue(&r, b, "next");
    for (size_t i = 0; i < N_TRICKS_WITH_OPTIONS; i++)
        assert_true(tricks[i].is_mended(r.sock));
    close_rogue(&r);
    finish(b);
}

/* ---- a configuration file ---- */

struct file {
    char path[40];
};

static void write_file(const struct file *f, const char *text)
{
    FILE *out = fopen(f->path, "we");

    if (!out || fputs(text, out) < 0 || fclose(out))
        kit_fail("%s cannot be written", f->path);
}

static void open_file(struct file *f, const char *text)
{
    format_text(f->path, sizeof(f->path), "/tmp/sbkit-udp-XXXXXX");
    int fd = mkstemp(f->path);

    if (fd < 0)
        kit_fail("no file like %s", f->path);
    close(fd);
    write_file(f, text);
}

static struct kit_broker *start_with(const struct file *f)
{
    return kit_broker_start(&(struct kit_start){ .args = { "--config", f->path } });
}

static void reload_with(struct kit_broker *b, const struct file *f, const char *text)
{
    unsigned before = kit_process_count_log(b->process, "event=reloaded");

    write_file(f, text);
    kit_process_signal(b->process, SIGHUP);
    kit_until(kit_process_count_log(b->process, "event=reloaded") > before);
}

#define WEB "endpoint web { address = \"[::]:0\" }\n"
#define ECHO(more) "endpoint echo { address = \"[::]:0\" protocol = udp mode = share " more "}\n"

/* A socket that is lost gives its number in the broker away: here to the listening socket of an endpoint that comes next. */
static void the_number_of_a_lost_socket_is_anybodys(void **state)
{
    struct kit_broker *b;
    struct kit_process *w;
    struct rogue r;
    struct file f;

    (void)state;
    open_file(&f, ECHO(""));
    b = start_with(&f);
    open_rogue(&r, b, "rogue");
    shutdown(r.sock, SHUT_RDWR);
    kit_broker_wait_log(b, "event=socket_lost");
    reload_with(b, &f, WEB ECHO(""));
    close_rogue(&r);
    kit_broker_wait_log(b, "event=socket_back");
    reload_with(b, &f, WEB);
    w = kit_worker_start(b, "w1", "hello", NULL);
    fault_check_serves(b, 20);
    kit_worker_stop(w);
    kit_broker_wait_ready(b, 0);
    kit_broker_stop(b);
    unlink(f.path);
}

static void an_endpoint_comes_and_goes_with_its_socket(void **state)
{
    struct kit_broker *b;
    struct kit_process *w;
    struct file f;

    (void)state;
    open_file(&f, WEB);
    b = start_with(&f);
    reload_with(b, &f, WEB ECHO(""));
    uint16_t port = kit_broker_port(b, "echo");
    w = start_echo(b, "u1", 1);
    check_serves(b);
    reload_with(b, &f, WEB);
    assert_int_equal(kit_process_wait(w), 0);
    kit_process_free(w);
    kit_broker_wait_ready(b, 0);
    assert_int_equal(refusal_at("127.0.0.1", port), ECONNREFUSED);
    assert_int_equal(refusal_at("::1", port), ECONNREFUSED);
    kit_broker_stop(b);
    unlink(f.path);
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
    w = start_echo(b, "u1", 1);
    kit_udp_collect(&u);
    kit_udp_close(&u);
    stop_echo(w);
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
        finish(b);
    }
}

/* A reload changes it in place: what waits stays. */
static void receive_buffer_can_be_changed(void **state)
{
    struct kit_broker *b;
    struct rogue r;
    struct file f;

    (void)state;
    if (geteuid())
        skip();
    open_file(&f, ECHO(""));
    b = start_with(&f);
    open_rogue(&r, b, "u0");
    int by_default = option_of(r.sock, SOL_SOCKET, SO_RCVBUF);
    assert_true(by_default > 0 && by_default < 2 * (1 << 20));
    reload_with(b, &f, ECHO("receive_buffer = 1048576 "));
    assert_int_equal(option_of(r.sock, SOL_SOCKET, SO_RCVBUF), 2 * (1 << 20));
    assert_int_equal(kit_process_count_log(b->process, "event=listening"), 1); /* the same socket */
    fill_and_empty(b);
    reload_with(b, &f, ECHO(""));
    assert_int_equal(option_of(r.sock, SOL_SOCKET, SO_RCVBUF), by_default);
    assert_int_equal(kit_counters(b, "echo").repaired, 0);
    close_rogue(&r);
    finish(b);
    unlink(f.path);
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
    struct kit_broker *b = start(SHARED, NULL);
    struct kit_process *w = start_echo(b, "u1", 1);
    check_answers(b, "::1");
    assert_int_equal(refusal_at("127.0.0.1", kit_broker_port(b, "echo")), ENETUNREACH);
    stop_echo(w);
    finish(b);
    fault_net_leave(&net);
}

static void a_system_without_ipv4_is_noticed(void **state)
{
    fault_need_failpoints();
    (void)state;
    struct kit_broker *b = start(SHARED, "SOCKBROKER_FAILPOINTS=pktinfo4=ENOPROTOOPT*1000,socket4=EAFNOSUPPORT*1000");
    struct kit_process *w = start_echo(b, "u1", 1);
    assert_int_equal(kit_process_count_log(b->process, "level=warning event=no_ipv4 endpoint=echo"), 1);
    check_answers(b, "::1");
    stop_echo(w);
    finish(b);

    b = kit_broker_launch(
        &(struct kit_start){ .args = { "--endpoint", SHARED }, .env = { "SOCKBROKER_FAILPOINTS=pktinfo4=ENOPROTOOPT*1000" } });
    assert_int_equal(kit_process_wait(b->process), 1); /* it has IPv4: then this is a failure like any other */
    assert_true(kit_process_has_log(b->process, "IP_PKTINFO on [::]:0 (UDP, IPv6 and IPv4): ENOPROTOOPT"));
    kit_broker_free(b);
}

static void a_system_without_ipv6_falls_back(void **state)
{
    static const char *const endpoints[] = { SHARED, SHARED ",family=split", "echo=[::]:0,protocol=udp,mode=shard,slots=2" };

    fault_need_failpoints();
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct kit_broker *b = start(endpoints[i], "SOCKBROKER_FAILPOINTS=socket6=EAFNOSUPPORT*1000");
        struct kit_process *w = start_echo(b, "u1", 1);

        assert_int_equal(kit_process_count_log(b->process, "level=warning"), 1);
        check_answers(b, "127.0.0.1", "127.0.0.2");
        stop_echo(w);
        finish(b);
    }
}

/* F95 */
static void ipv6_switched_off_leaves_ipv4_served(void **state)
{
    static const char *const endpoints[] = { SHARED, "echo=[::1]:0+127.0.0.1:0,protocol=udp,mode=share",
                                             "echo=[::]:0,protocol=udp,mode=shard,slots=2",
                                             "echo=[::1]:0+127.0.0.1:0,protocol=udp,mode=shard,slots=2" };
    int net = fault_net_enter();

    (void)state;
    fault_sysctl("net/ipv6/conf/all/disable_ipv6", "1");
    fault_sysctl("net/ipv6/conf/default/disable_ipv6", "1");
    for (size_t i = 0; i < 4; i++) {
        struct kit_broker *b = start(endpoints[i], NULL);
        struct kit_process *w = start_echo(b, "u1", 1);

        assert_int_equal(kit_process_count_log(b->process, "event=address_left_out"), strchr(endpoints[i], '+') ? 1 : 0);
        check_answers(b, "127.0.0.1");
        stop_echo(w);
        finish(b);
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
    static const char *const endpoints[] = { SHARED, SHARED ",family=split", "echo=[::]:0,protocol=udp,mode=shard,slots=2" };
    int net = fault_net_enter();

    (void)state;
    for (unsigned only = 0; only < 2; only++) {
        fault_sysctl("net/ipv6/bindv6only", only ? "1" : "0");
        for (size_t i = 0; i < 3; i++) {
            struct kit_broker *b = start(endpoints[i], NULL);
            struct kit_process *w = start_echo(b, "u1", strstr(endpoints[i], "split") ? 2 : 1);

            check_serves(b);
            stop_echo(w);
            finish(b);
        }
        struct kit_broker *b = start(SHARED ",family=ipv6", NULL);
        struct kit_process *w = start_echo(b, "u1", 1);
        check_answers(b, "::1");
        assert_int_equal(refusal_at("127.0.0.1", kit_broker_port(b, "echo")), ECONNREFUSED);
        stop_echo(w);
        finish(b);
    }
    fault_net_leave(&net);
}

/* ---- ports ---- */

static void bind_udp(const char *host, uint16_t port, int *sock_out, uint16_t *port_out)
{
    struct sockbroker_addr addr;
    struct sockaddr_storage sa;
    int on = 1;

    assert_int_equal(sockbroker_addr_parse_ip(host, &addr, NULL), SOCKBROKER_OK);
    addr.port = port;
    socklen_t len = (socklen_t)sockbroker_addr_to_sockaddr(&addr, &sa);
    *sock_out = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (sa.ss_family == AF_INET6)
        set_option(*sock_out, IPPROTO_IPV6, IPV6_V6ONLY, on);
    if (bind(*sock_out, (struct sockaddr *)&sa, len))
        kit_fail("%s: %s", host, strerror(errno));
    len = sizeof(sa);
    getsockname(*sock_out, (struct sockaddr *)&sa, &len);
    sockbroker_addr_from_sockaddr((struct sockaddr *)&sa, len, &addr);
    *port_out = addr.port;
}

/* F93, F94: all or none, and nobody else gets in. */
static void a_taken_port_is_named(void **state)
{
    static const char *const taken[] = { "127.0.0.1", "::1" };
    static const char *const how[] = { "mode=share", "mode=share,family=split", "mode=shard,slots=2" };

    (void)state;
    for (size_t i = 0; i < 6; i++) {
        char endpoint[96];
        uint16_t port;
        int sock;

        bind_udp(taken[i % 2], 0, &sock, &port);
        format_text(endpoint, sizeof(endpoint), "echo=[::]:%u,protocol=udp,%s", port, how[i / 2]);
        struct kit_broker *b = kit_broker_launch(&(struct kit_start){ .args = { "--endpoint", endpoint } });
        assert_int_equal(kit_process_wait(b->process), 1);
        assert_true(kit_process_has_log(b->process, "endpoint echo: bind "));
        assert_true(kit_process_has_log(b->process, "EADDRINUSE"));
        assert_true(kit_process_has_log(b->process, "ss -lunp shows it"));
        kit_broker_free(b);
        sb_socket_close(&sock);
    }
}

static void tcp_and_udp_share_a_port(void **state)
{
    int net = fault_net_enter(); /* so that no other test has that port */
    char more[128];
    struct file f;

    (void)state;
    open_file(&f, WEB);
    struct kit_broker *b = start_with(&f);
    uint16_t port = kit_broker_port(b, "web");
    format_text(more, sizeof(more), WEB "endpoint echo { address = \"[::]:%u\" protocol = udp mode = share }\n", port);
    reload_with(b, &f, more);
    assert_int_equal(kit_broker_port(b, "echo"), port);
    struct kit_process *web = kit_worker_start(b, "w1", "hello", NULL);
    struct kit_process *echo = start_echo(b, "u1", 1);
    fault_check_serves(b, 20);
    check_serves(b);
    kit_worker_stop(web);
    stop_echo(echo);
    kit_broker_stop(b);
    unlink(f.path);
    fault_net_leave(&net);
}

/* ---- configurations ---- */

/* F92 and others: refused before anything is bound, with what to write instead. */
static void wrong_configurations_are_refused(void **state)
{
    static const struct {
        const char *endpoint, *says;
    } cases[] = {
        { "echo=[::]:7,protocol=udp", "protocol = udp has no connections to hand over; write mode = share or mode = shard" },
        { "echo=[::]:7,protocol=udp,mode=handoff", "write mode = share or mode = shard" },
        { "echo=[::]:7,protocol=icmp,mode=share", "protocol \"icmp\" is not known; use tcp or udp" },
        { "echo=[::]:7,protocol=udp,mode=share,policy=source-hash", "leave policy out, or use mode = handoff" },
        { "echo=[::]:7,protocol=udp,mode=shard,policy=least-connections", "write policy = round-robin" },
        { "echo=[::]:7,protocol=udp,mode=shard,slots=0", "slots" },
        { "echo=[::]:7,protocol=udp,mode=shard,slots=257", "slots" },
        { "echo=[::]:7,protocol=udp,mode=share,carrier=message", "carrier = message is for mode = handoff; leave it out" },
        { "echo=[::]:7,protocol=udp,mode=share,allow=10.0.0.0/8", "allow and deny look at connections" },
        { "echo=[::]:7,protocol=udp,mode=shard,deny=10.0.0.0/8", "allow and deny look at connections" },
        { "echo=[::]:7,protocol=udp,mode=share,receive_buffer=67108865", "receive_buffer" },
        { "echo=[::]:7,receive_buffer=4096", "receive_buffer is for protocol = udp; leave it out" },
        { "echo=[::ffff:192.0.2.1]:7,protocol=udp,mode=share", "an IPv4 address in IPv6 form; write 192.0.2.1:7" },
        { "echo=[::192.0.2.1]:7,protocol=udp,mode=share",
          "IPv4-compatible address, which nothing uses any more; write 192.0.2.1:7" },
        { "echo=[64:ff9b::192.0.2.1]:7,protocol=udp,mode=share",
          "a NAT64 address, which only translators answer; write 192.0.2.1:7" },
        { "echo=[fe80::1]:7,protocol=udp,mode=share", "is link-local and needs its interface; write it as [fe80::1%eth0]:80" },
        { "echo=[fe80::1%nowhere0]:7,protocol=udp,mode=share", "nowhere0" },
        { "echo=[ff02::1%lo]:7,protocol=udp,mode=share", "stands for many machines" },
        { "echo=224.0.0.1:7,protocol=udp,mode=share", "stands for many machines" },
        { "echo=255.255.255.255:7,protocol=udp,mode=share", "stands for many machines" },
        { "echo=[::]:7+0.0.0.0:7,protocol=udp,mode=share", "is taken by" },
        { "echo=127.0.0.1:7,protocol=udp,mode=share,family=ipv6", "write family = dual, or an address of that family" },
    };
    char output[2048];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int code = kit_run((const char *const[]){ "check", "--endpoint", cases[i].endpoint, NULL }, output, sizeof(output));

        if (code != 2 || !strstr(output, cases[i].says))
            kit_fail("%s: exit code %d, %s", cases[i].endpoint, code, output);
    }
    assert_int_equal(kit_run((const char *const[]){ "check", "--endpoint", "a=[::]:7", "--endpoint",
                                                    "b=[::]:7,protocol=udp,mode=share", NULL },
                             output, sizeof(output)),
                     0);
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
        TEST(tricks_with_a_shared_socket_are_undone),
        TEST(datagrams_in_a_socket_outlive_a_connect),
        TEST(a_socket_that_was_shut_down_is_replaced),
        TEST(all_holders_of_a_lost_socket_are_told),
        TEST(tricks_in_a_shard_hurt_nobody_else),
        TEST(options_changed_in_a_shard_are_put_back),
        TEST(the_number_of_a_lost_socket_is_anybodys),
        TEST(an_endpoint_comes_and_goes_with_its_socket),
        TEST(receive_buffer_decides_how_many_wait),
        TEST(receive_buffer_can_be_changed),
        TEST(without_ipv4_addresses_ipv6_is_served),
        TEST(a_system_without_ipv4_is_noticed),
        TEST(a_system_without_ipv6_falls_back),
        TEST(ipv6_switched_off_leaves_ipv4_served),
        TEST(bindv6only_changes_nothing),
        TEST(a_taken_port_is_named),
        TEST(tcp_and_udp_share_a_port),
        TEST(wrong_configurations_are_refused),
    };

    return kit_main(tests, argc, argv);
}
