/* Sockets that workers leave with the broker and take out again: which, with what, by whom, for how long. */
#include <stdlib.h>
#include <string.h>

#include "tests/support/format.h"
#include "tests/support/kit_deposit.h"
#include "tests/support/net.h"

static const char *const hosts[] = { "127.0.0.1", "::1" };

static struct kit_broker *start(const char *setting)
{
    return kit_broker_start(&(struct kit_start){
        .args = { "--endpoint", "web=[::]:0", "--set", "attach_ms=60000", "--set", setting ? setting : "max_deposits=1024" } });
}

/* Nothing is left in the broker of what was here. */
static void finish(struct kit_broker *b, struct sockbroker_worker *w)
{
    sockbroker_worker_close(w);
    kit_wait_deposits(b, 0);
    kit_broker_wait_ready(b, 0);
    kit_broker_wait_idle_fds(b);
    kit_broker_stop(b);
}

/* ---- what moves ---- */

static void check_connection(const struct sockbroker_conn *conn, const char *host, sockbroker_socket client)
{
    const struct sockbroker_socket_info *info = &conn->info;

    assert_int_equal(info->type, SOCKBROKER_STREAM);
    assert_int_equal(info->protocol, 6);
    assert_false(info->listening);
    assert_false(info->nonblocking);
    assert_int_equal(info->socket_family, strchr(host, ':') ? SOCKBROKER_IPV6 : SOCKBROKER_IPV4);
    assert_int_equal(info->peer.port, net_port(client));
    assert_int_equal(info->local.port, net_port(conn->sock));
}

static void connection_comes_back_with_unread_bytes_and_state(void **state)
{
    static const size_t lens[] = { 0, 1, 8191, 8192, 8193, SOCKBROKER_STATE_MAX };
    struct kit_broker *b = start(NULL);
    struct sockbroker_worker *w = kit_asker_open(b, "w");
    struct sockbroker_error error;
    struct sockbroker_conn conn;

    (void)state;
    for (size_t i = 0; i < 2 * sizeof(lens) / sizeof(lens[0]); i++) {
        sockbroker_socket ends[2];

        kit_open_stream(hosts[i % 2], ends);
        kit_send(ends[0], "one two");
        kit_expect(ends[1], "one");
        if (kit_deposit(w, "c", ends[1], lens[i / 2], &error))
            kit_fail("%s", error.text);
        net_close(&ends[1]);
        kit_send(ends[0], " three");
        kit_withdraw(w, "c", lens[i / 2], &conn);
        check_connection(&conn, hosts[i % 2], ends[0]);
        kit_expect(conn.sock, " two three");
        kit_send(conn.sock, "four");
        kit_expect(ends[0], "four");
        net_close(&conn.sock);
        kit_expect_end(&ends[0]);
    }
    assert_int_equal(sockbroker_worker_open_count(w), 0);
    finish(b, w);
}

static void connection_moves_to_another_process(void **state)
{
    struct kit_broker *b = start(NULL);
    struct kit_process *one = kit_mover_start(b, "one", NULL);
    struct kit_process *two = kit_mover_start(b, "two", NULL);

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        uint16_t port;
        sockbroker_socket listener = kit_listen(hosts[i], &port);
        sockbroker_socket client = kit_mover_connect(one, hosts[i], listener, port);

        kit_send(client, "one two");
        assert_memory_equal(kit_mover_ask(one, "read 4", "read "), "one \n", 5);
        kit_mover_ask(one, "deposit c 65536", "deposit c gave OK");
        kit_mover_ask(two, "withdraw c", "withdraw c gave OK: 65536 bytes whole");
        kit_mover_ask(two, "read 3", "read two\n");
        kit_mover_ask(two, "write three", "wrote");
        kit_expect(client, "three\n");
        kit_mover_ask(two, "close", "closed");
        kit_expect_end(&client);
        net_close(&listener);
    }
    kit_mover_stop(one);
    kit_mover_stop(two);
    finish(b, NULL);
}

static void listening_socket_keeps_its_queue(void **state)
{
    struct kit_broker *b = start(NULL);
    struct sockbroker_worker *one = kit_asker_open(b, "one");
    struct sockbroker_worker *two = kit_asker_open(b, "two");
    struct sockbroker_error error;
    struct sockbroker_conn conn;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        uint16_t port;
        sockbroker_socket listener = kit_listen(hosts[i], &port);
        sockbroker_socket before = kit_connect(NULL, hosts[i], port);

        assert_int_equal(kit_deposit(one, "l", listener, 10, &error), SOCKBROKER_OK);
        net_close(&listener);
        sockbroker_socket meanwhile = kit_connect(NULL, hosts[i], port);
        kit_withdraw(i ? one : two, "l", 10, &conn);
        assert_true(conn.info.listening);
        assert_int_equal(conn.info.local.port, port);
        assert_int_equal(conn.info.peer.family, SOCKBROKER_FAMILY_NONE);
        sockbroker_socket first = kit_accept(conn.sock);
        sockbroker_socket second = kit_accept(conn.sock);
        kit_send(first, "1");
        kit_send(second, "2");
        kit_expect(before, "1");
        kit_expect(meanwhile, "2");
        sockbroker_socket socks[] = { before, meanwhile, first, second, conn.sock };
        for (size_t k = 0; k < 5; k++)
            kit_close(&socks[k]);
    }
    sockbroker_worker_close(two);
    finish(b, one);
}

static void udp_socket_keeps_its_datagrams(void **state)
{
    struct kit_broker *b = start(NULL);
    struct sockbroker_worker *one = kit_asker_open(b, "one");
    struct sockbroker_worker *two = kit_asker_open(b, "two");
    struct sockbroker_error error;
    struct sockbroker_conn conn;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        uint16_t port, client_port;
        sockbroker_socket server = kit_bind_udp(hosts[i], &port);
        sockbroker_socket client = kit_bind_udp(hosts[i], &client_port);
        struct sockaddr_storage to;
        socklen_t len = net_address(hosts[i], port, &to);

        assert_int_equal(connect(client, (struct sockaddr *)&to, len), 0);
        kit_send(client, "before");
        assert_int_equal(kit_deposit(one, "u", server, 0, &error), SOCKBROKER_OK);
        net_close(&server);
        kit_send(client, "meanwhile");
        kit_withdraw(i ? one : two, "u", 0, &conn);
        assert_int_equal(conn.info.type, SOCKBROKER_DATAGRAM);
        assert_int_equal(conn.info.protocol, 17);
        assert_int_equal(conn.info.local.port, port);
        kit_expect(conn.sock, "before");
        kit_expect(conn.sock, "meanwhile");
        net_close(&conn.sock);
        net_close(&client);
    }
    sockbroker_worker_close(two);
    finish(b, one);
}

/* ---- status ---- */

static void run_status(struct kit_broker *b, const char *json, char *out, size_t room)
{
    const char *const args[] = { "status", "--dir", b->dir, json, NULL };

    assert_int_equal(kit_run(args, out, room), 0);
}

static void check_printed(struct kit_broker *b)
{
    char text[16384];

    run_status(b, "--json", text, sizeof(text));
    assert_non_null(strstr(text, "\"deposits\": ["));
    assert_non_null(strstr(text, "\"name\": \"c5\""));
    assert_non_null(strstr(text, "\"kind\": \"connection\""));
    assert_non_null(strstr(text, "\"state_len\": 5"));
    assert_non_null(strstr(text, "\"n_deposits\": 10"));
    run_status(b, NULL, text, sizeof(text));
    assert_non_null(strstr(text, "\nc9 "));
    assert_non_null(strstr(text, "deposits 10 (expired 0)"));
}

static void status_lists_deposits(void **state)
{
    struct kit_broker *b = start(NULL);
    struct sockbroker_worker *w = kit_asker_open(b, "left-it");
    struct sb_deposit_status d;
    struct sockbroker_error error;
    struct sockbroker_conn conn;
    sockbroker_socket ends[10][2];

    (void)state;
    for (unsigned i = 0; i < 10; i++) { /* more than two pages */
        char name[8];

        format_text(name, sizeof(name), "c%u", i);
        kit_open_stream(hosts[i % 2], ends[i]);
        assert_int_equal(kit_deposit(w, name, ends[i][1], i, &error), SOCKBROKER_OK);
        net_close(&ends[i][1]);
    }
    kit_wait_deposits(b, 10);
    assert_true(kit_find_deposit(b, "c7", &d));
    assert_string_equal(d.owner, "left-it");
    assert_int_equal(d.uid, kit_worker_status(b, "left-it").uid);
    assert_string_equal(d.kind, "connection");
    assert_int_equal(d.peer.port, net_port(ends[7][0]));
    assert_int_equal(d.state_len, 7);
    assert_true(d.expires_ms > 3500000 && d.expires_ms <= 3600000);
    assert_string_equal(d.taken_by, "");
    check_printed(b);
    for (unsigned i = 0; i < 10; i++) {
        char name[8];

        format_text(name, sizeof(name), "c%u", i);
        kit_withdraw(w, name, i, &conn);
        net_close(&conn.sock);
        kit_close(&ends[i][0]);
    }
    assert_int_equal(kit_process_count_log(b->process, "event=deposited"), 10);
    kit_until(kit_process_count_log(b->process, "event=withdrawn_deposit") >= 10); /* the answer may be faster than the log */
    assert_int_equal(kit_process_count_log(b->process, "event=withdrawn_deposit"), 10);
    finish(b, w);
}

/* ---- how long ---- */

static void deposit_survives_the_worker_that_left_it(void **state)
{
    struct kit_broker *b = start(NULL);
    uint16_t port;
    sockbroker_socket listener = kit_listen("::1", &port);

    (void)state;
    for (unsigned killed = 0; killed < 2; killed++) {
        struct kit_process *one = kit_mover_start(b, "one", NULL);
        sockbroker_socket client = kit_mover_connect(one, "::1", listener, port);
        struct sockbroker_conn conn;

        kit_mover_ask(one, "deposit c 1000", "deposit c gave OK");
        if (killed)
            kit_process_kill(one);
        else
            kit_mover_stop(one);
        kit_broker_wait_worker(b, "one", "gone");
        struct sockbroker_worker *two = kit_asker_open(b, "two");
        kit_withdraw(two, "c", 1000, &conn);
        kit_send(conn.sock, "alive");
        kit_expect(client, "alive");
        sockbroker_worker_close(two);
        net_close(&conn.sock);
        kit_close(&client);
    }
    net_close(&listener);
    finish(b, NULL);
}

static void deposit_expires_loudly(void **state)
{
    struct kit_broker *b = start(NULL);
    struct kit_process *m = kit_mover_start(b, "m", NULL);
    struct sb_status_report r;
    struct sb_deposit_status d;
    uint16_t port;
    sockbroker_socket listener = kit_listen("::1", &port);
    sockbroker_socket later = kit_mover_connect(m, "::1", listener, port);

    (void)state;
    kit_mover_ask(m, "deposit later 1 86400000", "deposit later gave OK");
    sockbroker_socket soon = kit_mover_connect(m, "::1", listener, port);
    kit_mover_ask(m, "deposit soon 65536 1", "deposit soon gave OK");
    kit_expect_end(&soon);
    kit_broker_wait_log(b, "level=warning event=deposit_expired deposit=soon worker=m kind=connection lifetime_ms=1");
    assert_false(kit_find_deposit(b, "soon", &d));
    kit_status(b, &r);
    assert_int_equal(r.broker.deposits_expired, 1);
    assert_int_equal(r.broker.n_deposits, 1);
    sb_status_report_deinit(&r);
    kit_mover_ask(m, "withdraw soon", "withdraw soon gave NOT_FOUND: no deposit \"soon\" here");
    assert_true(kit_is_open(later));
    kit_mover_ask(m, "withdraw later", "withdraw later gave OK");
    kit_mover_stop(m);
    kit_expect_end(&later);
    net_close(&listener);
    finish(b, NULL);
}

static void deposits_end_with_the_broker(void **state)
{
    struct kit_broker *b = start(NULL);
    struct sockbroker_worker *w = kit_asker_open(b, "w");
    struct sockbroker_error error;
    sockbroker_socket ends[2];

    (void)state;
    kit_open_stream("::1", ends);
    assert_int_equal(kit_deposit(w, "c", ends[1], 5, &error), SOCKBROKER_OK);
    net_close(&ends[1]);
    sockbroker_worker_close(w);
    kit_process_ask_end(b->process);
    kit_expect_end(&ends[0]);
    kit_broker_wait_log(b, "event=deposit_closed deposit=c worker=w");
    assert_int_equal(kit_process_wait(b->process), 0);
    kit_broker_free(b);
}

/* ---- refusals ---- */

static void check_refused(struct sockbroker_worker *w, const struct sockbroker_deposit *d, sockbroker_status status,
                          const char *cause)
{
    struct sockbroker_error error;
    sockbroker_status st = sockbroker_worker_deposit(w, d, &error);

    if (st != status || error.status != status || !strstr(error.text, cause))
        kit_fail("%s: %s instead of %s", sockbroker_status_name(st), error.text, cause);
    assert_int_equal(sockbroker_worker_deposit(w, d, NULL), status);
}

static void wrong_arguments_are_refused(void **state)
{
    static const uint32_t uids[9] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };
    static const uint8_t blob[SOCKBROKER_STATE_MAX + 1];
    const size_t size = sizeof(struct sockbroker_deposit);
    struct kit_broker *b = start(NULL);
    struct sockbroker_worker *w = kit_asker_open(b, "w");
    uint16_t port;
    sockbroker_socket sock = kit_bind_udp("::1", &port);
    const struct {
        struct sockbroker_deposit deposit;
        const char *cause;
    } cases[] = {
        { { 1, "n", sock, NULL, 0, 0, NULL, 0 }, "SOCKBROKER_DEPOSIT_INIT" },
        { { size, NULL, sock, NULL, 0, 0, NULL, 0 }, "deposit \"\"" },
        { { size, "a/b", sock, NULL, 0, 0, NULL, 0 }, "deposit \"a/b\"" },
        { { size, "n", SOCKBROKER_SOCKET_NONE, NULL, 0, 0, NULL, 0 }, "sock: " },
        { { size, "n", sock, blob, sizeof(blob), 0, NULL, 0 }, "state_len: use at most 65536" },
        { { size, "n", sock, NULL, 1, 0, NULL, 0 }, "state: " },
        { { size, "n", sock, NULL, 0, 86400001, NULL, 0 }, "lifetime_ms: use 1 to 86400000" },
        { { size, "n", sock, NULL, 0, 0, uids, 9 }, "allow_uids: use at most 8" },
        { { size, "n", sock, NULL, 0, 0, NULL, 1 }, "allow_uids: " },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check_refused(w, &cases[i].deposit, SOCKBROKER_INVALID, cases[i].cause);
    assert_int_equal(sockbroker_worker_withdraw(w, "a b", NULL, NULL, 0, NULL, NULL), SOCKBROKER_INVALID);
    net_close(&sock);
    finish(b, w);
}

static void connection_that_is_over_is_not_taken(void **state)
{
    struct kit_broker *b = start(NULL);
    struct sockbroker_worker *w = kit_asker_open(b, "w");
    struct sockbroker_error error;
    sockbroker_socket ends[2];

    (void)state;
    kit_open_stream("127.0.0.1", ends);
    kit_close(&ends[0]);
    assert_false(kit_is_silent(ends[1], KIT_WAIT_MS)); /* the reset is here */
    assert_int_equal(kit_deposit(w, "c", ends[1], 0, &error), SOCKBROKER_INVALID);
    assert_non_null(strstr(error.text, "over"));
    net_close(&ends[1]);
    finish(b, w);
}

static void name_belongs_to_one_deposit(void **state)
{
    struct kit_broker *b = start(NULL);
    struct sockbroker_worker *one = kit_asker_open(b, "one");
    struct sockbroker_worker *two = kit_asker_open(b, "two");
    struct sockbroker_error error;
    struct sockbroker_conn conn;
    sockbroker_socket first[2], second[2];

    (void)state;
    kit_open_stream("::1", first);
    kit_open_stream("::1", second);
    assert_int_equal(kit_deposit(one, "c", first[1], 5, &error), SOCKBROKER_OK);
    assert_int_equal(kit_deposit(two, "c", second[1], 6, &error), SOCKBROKER_NAME_TAKEN);
    assert_non_null(strstr(error.text, "left by one"));
    kit_withdraw(two, "c", 5, &conn);
    kit_send(conn.sock, "first");
    kit_expect(first[0], "first");
    assert_int_equal(kit_deposit(two, "c", second[1], 6, &error), SOCKBROKER_OK);
    net_close(&conn.sock);
    kit_withdraw(one, "c", 6, &conn);
    net_close(&conn.sock);
    sockbroker_socket all[] = { first[0], first[1], second[0], second[1] };
    for (size_t i = 0; i < 4; i++)
        kit_close(&all[i]);
    sockbroker_worker_close(two);
    finish(b, one);
}

static void state_that_finds_no_room_stays_with_its_deposit(void **state)
{
    struct kit_broker *b = start(NULL);
    struct sockbroker_worker *w = kit_asker_open(b, "w");
    struct sockbroker_error error;
    struct sockbroker_conn conn;
    uint8_t room[99];
    size_t len;
    sockbroker_socket ends[2];

    (void)state;
    kit_open_stream("::1", ends);
    assert_int_equal(kit_deposit(w, "c", ends[1], 100, &error), SOCKBROKER_OK);
    net_close(&ends[1]);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(sockbroker_worker_withdraw(w, "c", &conn, room, sizeof(room), &len, &error), SOCKBROKER_INVALID);
        assert_string_equal(error.text, "the state has 100 bytes, there is room for 99");
        assert_int_equal(sockbroker_worker_withdraw(w, "c", &conn, NULL, 0, NULL, &error), SOCKBROKER_INVALID);
    }
    kit_withdraw(w, "c", 100, &conn);
    net_close(&conn.sock);
    kit_close(&ends[0]);
    finish(b, w);
}

static void limit_of_deposits_holds(void **state)
{
    static const struct {
        const char *setting, *cause;
    } limits[] = { { "max_deposits=2", "raise max_deposits" }, { "max_connections=4", "raise it (ulimit -n)" } };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct kit_broker *b = start(limits[i].setting);
        struct sockbroker_worker *w = kit_asker_open(b, "w");
        struct sockbroker_error error;
        struct sockbroker_conn conn;
        uint16_t port;
        sockbroker_socket sock = kit_bind_udp("::1", &port);

        assert_int_equal(kit_deposit(w, "a", sock, 0, &error), SOCKBROKER_OK);
        assert_int_equal(kit_deposit(w, "b", sock, 0, &error), SOCKBROKER_OK);
        assert_int_equal(kit_deposit(w, "c", sock, 0, &error), SOCKBROKER_BUSY);
        assert_non_null(strstr(error.text, limits[i].cause));
        kit_withdraw(w, "b", 0, &conn);
        net_close(&conn.sock);
        assert_int_equal(kit_deposit(w, "c", sock, 0, &error), SOCKBROKER_OK);
        kit_withdraw(w, "a", 0, &conn);
        net_close(&conn.sock);
        kit_withdraw(w, "c", 0, &conn);
        net_close(&conn.sock);
        net_close(&sock);
        finish(b, w);
    }
}

static void nothing_can_be_left_where_max_deposits_is_0(void **state)
{
    struct kit_broker *b = start("max_deposits=0");
    struct sockbroker_worker *w = kit_asker_open(b, "w");
    struct sockbroker_error error;
    uint16_t port;
    sockbroker_socket sock = kit_bind_udp("::1", &port);

    (void)state;
    assert_int_equal(kit_deposit(w, "a", sock, 0, &error), SOCKBROKER_BUSY);
    net_close(&sock);
    finish(b, w);
}

static void without_a_broker_requests_say_so(void **state)
{
    struct kit_broker *b = start(NULL);
    struct sockbroker_worker *w = kit_asker_open(b, "w");
    struct sockbroker_error error;
    char place[160];
    uint16_t port;
    sockbroker_socket sock = kit_bind_udp("::1", &port);

    (void)state;
    kit_broker_place(b, place);
    kit_broker_kill(b);
    kit_until(sockbroker_worker_state(w) == SOCKBROKER_WORKER_ATTACHING);
    assert_int_equal(kit_deposit(w, "u", sock, 10, &error), SOCKBROKER_NO_BROKER);
    assert_non_null(strstr(error.text, place));
    assert_int_equal(kit_try_withdraw(w, "u", &error), SOCKBROKER_NO_BROKER);
    sockbroker_worker_stop(w);
    assert_int_equal(kit_deposit(w, "u", sock, 10, &error), SOCKBROKER_CLOSED);
    sockbroker_worker_close(w);
    net_close(&sock);
    kit_broker_free(b);
}

/* ---- other users ---- */

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(connection_comes_back_with_unread_bytes_and_state, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(connection_moves_to_another_process, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(listening_socket_keeps_its_queue, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(udp_socket_keeps_its_datagrams, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(status_lists_deposits, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(deposit_survives_the_worker_that_left_it, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(deposit_expires_loudly, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(deposits_end_with_the_broker, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(wrong_arguments_are_refused, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(connection_that_is_over_is_not_taken, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(name_belongs_to_one_deposit, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(state_that_finds_no_room_stays_with_its_deposit, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(limit_of_deposits_holds, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(nothing_can_be_left_where_max_deposits_is_0, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(without_a_broker_requests_say_so, kit_setup, kit_teardown),
    };

    return kit_main(tests, argc, argv);
}
