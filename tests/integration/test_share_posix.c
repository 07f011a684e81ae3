/* mode = share and shard, as far as it is POSIX alone: whatever a worker does to the socket, the others go on; who has which
 * socket; one that is never fetched; shards. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "client-lib/link.h"
#include "proto/socket.h"
#include "sockbroker/addr.h"
#include "sockbroker/request.h"
#include "tests/integration/share_kit.h"
#include "tests/support/format.h"
#include "tests/support/net.h"

/* ---- what workers get ---- */

static void workers_have_the_same_socket(void **state)
{
    struct kit_broker *b = share_start("web=[::]:0,mode=share");
    struct kit_process *w[3];
    uint64_t cookie = 0;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        w[i] = share_start_worker(b, (const char *[]){ "w1", "w2", "w3" }[i]);
        sockbroker_socket sock = kit_worker_borrow(w[i], "web", 0);

        assert_true(!i || kit_socket_cookie(sock) == cookie);
        cookie = kit_socket_cookie(sock);
        net_close(&sock);
    }
    for (unsigned i = 0; i < 3; i++)
        kit_worker_stop(w[i]);
    share_finish(b);
}

/* Eight wait; with a shared wake-up there would be eight for each connection. */
static void one_connection_wakes_one_worker(void **state)
{
    enum { WORKERS = 8, CONNECTIONS = 50 };
    struct kit_broker *b = share_start("web=[::]:0,mode=share");
    struct kit_journal journals[WORKERS];
    struct kit_process *w[WORKERS];
    struct kit_answer a;
    uint64_t n_woken = 0;
    char name[8];

    (void)state;
    for (unsigned i = 0; i < WORKERS; i++) {
        format_text(name, sizeof(name), "w%u", i + 1);
        kit_journal_open(&journals[i]);
        w[i] = kit_worker_start(b, name, "accept", &(struct kit_start){ .args = { "--journal", journals[i].path } });
    }
    kit_broker_wait_ready(b, WORKERS);
    for (unsigned i = 0; i < CONNECTIONS; i++)
        kit_read_only_answer(kit_connect(NULL, i % 2 ? "127.0.0.1" : "::1", kit_broker_port(b, "web")), &a);
    for (unsigned i = 0; i < WORKERS; i++) {
        kit_worker_stop(w[i]);
        n_woken += kit_journal_woken(&journals[i]);
        kit_journal_close(&journals[i]);
    }
    printf("%llu wake-ups for %d connections\n", (unsigned long long)n_woken, CONNECTIONS);
    assert_true(n_woken >= CONNECTIONS && n_woken <= 2 * CONNECTIONS);
    share_finish(b);
}

static void configurations_of_shards_and_carriers_that_cannot_be_are_refused(void **state)
{
    static const struct {
        const char *endpoint;
        const char *text;
    } refused[] = {
        { "web=[::]:80,mode=share,carrier=message", "carrier = message is for mode = handoff" },
        { "web=[::]:80,mode=shard,policy=least-connections", "mode = shard cannot count" },
        { "web=[::]:80,mode=shard,policy=least-pending", "mode = shard cannot count" },
        { "web=[::]:80,mode=shard,carrier=message", "carrier = message is for mode = handoff" },
        { "web=[::]:80,mode=shard,allow=10.0.0.0/8", "with mode = shard workers do" },
        { "web=[::]:80,mode=shard,deny=::/0", "with mode = shard workers do" },
        { "web=[::]:80,mode=shard,slots=0", "slots" },
        { "web=[::]:80,mode=shard,slots=257", "slots" },
    };
    char output[1024];

    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        const char *args[] = { "check", "--endpoint", refused[i].endpoint, NULL };

        assert_int_equal(kit_run(args, output, sizeof(output)), 2);
        if (!strstr(output, refused[i].text))
            kit_fail("%s: \"%s\" does not say \"%s\"", refused[i].endpoint, output, refused[i].text);
    }
}

/* ---- a worker does something to the socket ---- */

static void shut_down(sockbroker_socket sock)
{
    assert_int_equal(shutdown(sock, SHUT_RDWR), 0);
}

static void lower_backlog(sockbroker_socket sock)
{
    assert_int_equal(listen(sock, 1), 0);
}

static void set_number(sockbroker_socket sock, int level, int option, int value)
{
    assert_int_equal(setsockopt(sock, level, option, &value, sizeof(value)), 0);
}

static void defer_accept(sockbroker_socket sock)
{
    set_number(sock, IPPROTO_TCP, TCP_DEFER_ACCEPT, 30);
}

static void let_linger(sockbroker_socket sock)
{
    struct linger reset = { 1, 0 };

    assert_int_equal(setsockopt(sock, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
}

static void shrink_buffer(sockbroker_socket sock)
{
    set_number(sock, SOL_SOCKET, SO_RCVBUF, 4096);
}

static void let_keep_alive(sockbroker_socket sock)
{
    set_number(sock, SOL_SOCKET, SO_KEEPALIVE, 1);
}

static void make_blocking(sockbroker_socket sock)
{
    assert_int_equal(sb_socket_set_nonblocking(sock, false), SOCKBROKER_OK);
}

static const struct deed {
    const char *cause;
    void (*act)(sockbroker_socket sock);
} deeds[] = {
    { "shut down", shut_down },      { "backlog", lower_backlog },   { "TCP_DEFER_ACCEPT", defer_accept },
    { "SO_LINGER", let_linger },     { "SO_RCVBUF", shrink_buffer }, { "SO_KEEPALIVE", let_keep_alive },
    { "O_NONBLOCK", make_blocking },
};

struct look {
    int on, defer_accept, keep_alive, receive_buffer;
    bool nonblocking;
    unsigned backlog;
    struct linger linger;
};

static struct look look_at(sockbroker_socket sock)
{
    struct look l;
    struct tcp_info info;

    memset(&l, 0, sizeof(l));
    l.nonblocking = sb_socket_is_nonblocking(sock);
    getsockopt(sock, SOL_SOCKET, SO_ACCEPTCONN, &l.on, &(socklen_t){ sizeof(l.on) });
    getsockopt(sock, IPPROTO_TCP, TCP_DEFER_ACCEPT, &l.defer_accept, &(socklen_t){ sizeof(l.defer_accept) });
    getsockopt(sock, SOL_SOCKET, SO_KEEPALIVE, &l.keep_alive, &(socklen_t){ sizeof(l.keep_alive) });
    getsockopt(sock, SOL_SOCKET, SO_RCVBUF, &l.receive_buffer, &(socklen_t){ sizeof(l.receive_buffer) });
    getsockopt(sock, SOL_SOCKET, SO_LINGER, &l.linger, &(socklen_t){ sizeof(l.linger) });
    getsockopt(sock, IPPROTO_TCP, TCP_INFO, &info, &(socklen_t){ sizeof(info) });
    l.backlog = info.tcpi_sacked;
    return l;
}

/* Each in turn; after each the socket is as it was, and everybody is served. */
static void check_deeds(struct kit_broker *b, sockbroker_socket sock, const char *by)
{
    struct look before = look_at(sock);
    char text[128];

    for (unsigned i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++) {
        uint64_t n = kit_counters(b, "web").repaired;

        deeds[i].act(sock);
        kit_until(kit_counters(b, "web").repaired > n);
        struct look after = look_at(sock);
        assert_memory_equal(&after, &before, sizeof(before));
        format_text(text, sizeof(text), "event=listener_repaired endpoint=web cause=\"%s\" by=\"%s\"", deeds[i].cause, by);
        kit_broker_wait_log(b, text);
        fault_check_serves(b, 20);
        assert_int_equal(kit_counters(b, "web").repaired, n + 1);
    }
}

static void what_one_worker_does_to_the_socket_is_undone(void **state)
{
    struct kit_broker *b = share_start("web=[::]:0,mode=share");
    struct kit_process *w1 = share_start_worker(b, "w1");
    sockbroker_socket sock = kit_worker_borrow(w1, "web", 0);

    (void)state;
    check_deeds(b, sock, "w1");
    struct kit_process *w2 = share_start_worker(b, "w2");
    check_deeds(b, sock, "one of w1, w2");
    kit_process_kill(w1); /* in blocking mode one may wait in accept() */
    kit_process_kill(w2);
    kit_broker_wait_ready(b, 0);
    shut_down(sock);
    kit_broker_wait_log(b, "cause=\"shut down\" by=\"w2, gone now\"");
    net_close(&sock);
    struct sb_status_report r;
    kit_status(b, &r);
    assert_int_equal(r.broker.listener_repairs, 2 * sizeof(deeds) / sizeof(deeds[0]) + 1);
    sb_status_report_deinit(&r);
    share_finish(b);
}

/* Shut down and then used for a connection, it listens never again. */
static void a_socket_that_cannot_listen_again_is_replaced(void **state)
{
    struct kit_broker *b = share_start("web=[::]:0,mode=share");
    struct kit_process *w1 = share_start_worker(b, "w1");
    uint16_t port = kit_broker_port(b, "web");
    sockbroker_socket sock = kit_worker_borrow(w1, "web", 0);
    struct sockaddr_in6 elsewhere = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    socklen_t len = sizeof(elsewhere);
    sockbroker_socket listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    assert_int_equal(bind(listener, (struct sockaddr *)&elsewhere, len), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&elsewhere, &len), 0);
    kit_process_stop(w1);
    kit_process_stop(b->process);
    shut_down(sock);
    assert_true(!connect(sock, (struct sockaddr *)&elsewhere, len) || errno == EINPROGRESS);
    kit_process_go_on(b->process);
    kit_broker_wait_log(b, "event=socket_lost endpoint=web");
    kit_process_go_on(w1);
    kit_process_wait_log(w1, "draining"); /* what it has is of no use any more */
    assert_int_equal(kit_process_wait(w1), 0);
    kit_process_free(w1);
    struct kit_process *w2 = share_start_worker(b, "w2");
    fault_check_serves(b, 20);
    assert_int_equal(kit_broker_port(b, "web"), port);
    assert_int_equal(kit_counters(b, "web").repaired, 1);
    net_close(&sock);
    net_close(&listener);
    kit_worker_stop(w2);
    share_finish(b);
}

/* ---- several sockets ---- */

static int family_of(sockbroker_socket sock)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);

    assert_int_equal(getsockname(sock, (struct sockaddr *)&sa, &len), 0);
    return sa.ss_family;
}

static uint16_t port_of(sockbroker_socket sock)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    struct sockbroker_addr addr;

    assert_int_equal(getsockname(sock, (struct sockaddr *)&sa, &len), 0);
    assert_int_equal(sockbroker_addr_from_sockaddr((struct sockaddr *)&sa, len, &addr), SOCKBROKER_OK);
    return addr.port;
}

/* Of each family one, on one port, and both workers have the same. */
static void check_who_has_what(const char *endpoint)
{
    struct kit_broker *b = share_start(endpoint);
    struct kit_process *w1 = share_start_worker(b, "w1"), *w2 = share_start_worker(b, "w2");
    uint16_t port = kit_broker_port(b, "web");
    unsigned n_ipv4 = 0;

    for (unsigned i = 0; i < 2; i++) {
        sockbroker_socket mine = kit_worker_borrow(w1, "web", i), other = kit_worker_borrow(w2, "web", i);
        int v6only = 1;

        getsockopt(mine, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, &(socklen_t){ sizeof(v6only) });
        assert_true(v6only);
        assert_int_equal(port_of(mine), port);
        assert_true(kit_socket_cookie(mine) == kit_socket_cookie(other));
        n_ipv4 += family_of(mine) == AF_INET;
        net_close(&mine);
        net_close(&other);
    }
    assert_int_equal(n_ipv4, 1);
    kit_worker_stop(w1);
    kit_worker_stop(w2);
    share_finish(b);
}

static void two_sockets_are_of_one_family_each(void **state)
{
    (void)state;
    check_who_has_what("web=127.0.0.1:0+[::1]:0,mode=share");
    check_who_has_what("web=[::]:0,mode=share,family=split");
}

/* ---- sockets on their way ---- */

/* On OK the token is in r->reply. */
static sockbroker_status ask_for_socket(struct fault_raw *r)
{
    struct sb_request request = { .kind = SB_REQUEST_SHARE };

    request.as.share.session = r->attached.session;
    format_text(request.as.share.endpoint, sizeof(request.as.share.endpoint), "web");
    return sb_client_call(r->client, &request, SB_REPLY_GRANTED, KIT_WAIT_MS, &r->reply, NULL);
}

static sockbroker_status fetch(struct kit_broker *b, const struct fault_raw *r, sockbroker_socket *sock_out)
{
    struct sb_hello hello = { .session_id = r->attached.session.id, .grant_id = r->reply.as.granted.grant_id };

    memcpy(hello.token, r->reply.as.granted.token, sizeof(hello.token));
    return sb_link_fetch(b->dir, NULL, &hello, KIT_WAIT_MS, sock_out, NULL);
}

static void a_socket_that_is_never_fetched_disturbs_nobody(void **state)
{
    struct kit_broker *b = share_start("web=[::]:0,mode=share");
    struct kit_process *w1 = share_start_worker(b, "w1");
    struct fault_raw r = FAULT_RAW_NONE;
    sockbroker_socket sock = -1;

    (void)state;
    fault_raw_start(&r, b, "raw", 4);
    assert_int_equal(ask_for_socket(&r), SOCKBROKER_OK);
    fault_check_serves(b, 100);
    assert_int_equal(kit_counters(b, "web").granted, 1);
    assert_int_equal(fetch(b, &r, &sock), SOCKBROKER_OK); /* it still can */
    assert_int_equal(kit_counters(b, "web").granted, 2);
    net_close(&sock);
    assert_int_not_equal(fetch(b, &r, &sock), SOCKBROKER_OK); /* a token is good once */
    assert_int_equal(ask_for_socket(&r), SOCKBROKER_OK);
    fault_raw_close(&r); /* leaves with one under way */
    fault_check_serves(b, 100);
    kit_worker_stop(w1);
    share_finish(b);
}

static void an_endpoint_removed_takes_its_grants_along(void **state)
{
    struct kit_config c;
    struct fault_raw r = FAULT_RAW_NONE;
    sockbroker_socket sock = -1;

    (void)state;
    kit_config_open(&c, "endpoint web { address = \"[::]:0\"\n mode = share }\nendpoint other { address = \"[::]:0\" }\n");
    struct kit_broker *b = kit_broker_start(&(struct kit_start){ .args = { "--config", c.path } });
    fault_raw_start(&r, b, "raw", 4);
    assert_int_equal(ask_for_socket(&r), SOCKBROKER_OK);
    kit_config_write(&c, "endpoint other { address = \"[::]:0\" }\n");
    kit_broker_reload(b, "event=reloaded");
    assert_int_not_equal(fetch(b, &r, &sock), SOCKBROKER_OK);
    assert_int_equal(ask_for_socket(&r), SOCKBROKER_NOT_FOUND);
    fault_raw_close(&r);
    kit_broker_wait_ready(b, 0);
    kit_broker_stop(b);
    kit_config_close(&c);
}

/* ---- changes while it runs ---- */

/* A worker has the socket from before, and makes it blocking for all: the broker, which accepts now, must not hang there. */
static void a_worker_cannot_block_the_broker_after_a_change_of_mode(void **state)
{
    struct kit_config c;

    (void)state;
    kit_config_open(&c, "endpoint web { address = \"[::]:0\"\n mode = share }\n");
    struct kit_broker *b = kit_broker_start(&(struct kit_start){ .args = { "--config", c.path } });
    struct kit_process *w1 = share_start_worker(b, "w1");
    struct kit_process *w2 = kit_worker_start(b, "w2", "hello", NULL);
    sockbroker_socket sock = kit_worker_borrow(w1, "web", 0);

    kit_process_stop(w1);
    kit_config_write(&c, "endpoint web { address = \"[::]:0\"\n withdraw_after_ms = 10 }\n");
    kit_broker_reload(b, "event=reloaded");
    for (unsigned i = 0; i < 3; i++) {
        make_blocking(sock);
        fault_check_serves(b, 10);
    }
    assert_int_equal(kit_counters(b, "web").accepted, 30);
    net_close(&sock);
    kit_process_kill(w1);
    kit_worker_stop(w2);
    kit_broker_wait_ready(b, 0);
    kit_broker_stop(b);
    kit_config_close(&c);
}

/* ---- shards ---- */

static void a_split_endpoint_of_shards_opens_both_sockets_or_none(void **state)
{
    (void)state;
    share_check_all_or_nothing("shard", AF_INET);
    share_check_all_or_nothing("shard", AF_INET6);
}

static void an_endpoint_of_shards_removed_under_load_leaves_nobody_without_answer(void **state)
{
    (void)state;
    share_check_removal("shard");
}

static void the_sample_greets_from_a_shard(void **state)
{
    (void)state;
    share_check_sample("web=[::]:0,mode=shard");
}

static void dead_workers_of_a_shard_leave_no_descriptor_behind(void **state)
{
    (void)state;
    share_check_no_leak("web=[::]:0,mode=shard");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(workers_have_the_same_socket),
        TEST(one_connection_wakes_one_worker),
        TEST(configurations_of_shards_and_carriers_that_cannot_be_are_refused),
        TEST(what_one_worker_does_to_the_socket_is_undone),
        TEST(a_socket_that_cannot_listen_again_is_replaced),
        TEST(two_sockets_are_of_one_family_each),
        TEST(a_socket_that_is_never_fetched_disturbs_nobody),
        TEST(an_endpoint_removed_takes_its_grants_along),
        TEST(a_worker_cannot_block_the_broker_after_a_change_of_mode),
        TEST(a_split_endpoint_of_shards_opens_both_sockets_or_none),
        TEST(an_endpoint_of_shards_removed_under_load_leaves_nobody_without_answer),
        TEST(the_sample_greets_from_a_shard),
        TEST(dead_workers_of_a_shard_leave_no_descriptor_behind),
    };

    return kit_main(tests, argc, argv);
}
