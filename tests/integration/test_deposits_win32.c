/* Deposits, as far as Windows is another matter. */
#include <string.h>

#include "proto/channel.h"
#include "proto/rundir.h"
#include "proto/socket.h"
#include "proto/xfer.h"
#include "tests/integration/deposits_kit.h"
#include "tests/support/kit_deposit.h"
#include "tests/support/net.h"

/* Accounts have no numbers there: one that a worker made up would be somebody in the broker. */
static void numbers_of_accounts_are_refused(void **state)
{
    static const uint32_t uids[] = { 1000 };
    struct kit_broker *b = kit_broker_start(&(struct kit_start){ .args = { "--endpoint", "web=[::]:0" } });
    struct sockbroker_worker *w = kit_asker_open(b, "w");
    struct sockbroker_deposit deposit = SOCKBROKER_DEPOSIT_INIT;
    struct sockbroker_error error;
    uint16_t port;

    (void)state;
    deposit.name = "n";
    deposit.sock = kit_bind_udp("::1", &port);
    deposit.allow_uids = uids;
    deposit.n_allow_uids = 1;
    assert_int_equal(sockbroker_worker_deposit(w, &deposit, &error), SOCKBROKER_UNSUPPORTED);
    assert_non_null(strstr(error.text, "allow_uids: "));
    deposit.n_allow_uids = 0;
    assert_int_equal(sockbroker_worker_deposit(w, &deposit, &error), SOCKBROKER_OK);
    net_close(&deposit.sock);
    sockbroker_worker_close(w);
    kit_broker_stop(b);
}

/* A Hand for a grant that has ended, with a socket that is the broker's from when its record was made. */
static void hand_late(struct sb_client *client, sockbroker_socket sock)
{
    struct sb_record record = { .info = { .socket_family = SOCKBROKER_IPV6, .type = SOCKBROKER_STREAM } };
    struct sb_request request = { .kind = SB_REQUEST_HAND, .as.hand.hello = { .session_id = 1, .grant_id = 1ull << 63 | 1 } };
    sockbroker_socket process = SOCKBROKER_SOCKET_NONE;
    struct sockbroker_error error;
    struct sb_reply reply;
    int os_code = 0;

    assert_int_equal(sb_client_open_server(client, &process), SOCKBROKER_OK);
    assert_int_equal(sb_xfer_fill_record(process, sock, &record, &os_code), SOCKBROKER_OK);
    sb_socket_close(&process);
    request.as.hand.protocol_info_layout = record.protocol_info_layout;
    request.as.hand.protocol_info_len = record.protocol_info_len;
    memcpy(request.as.hand.protocol_info, record.protocol_info, record.protocol_info_len);
    assert_int_equal(sb_client_call(client, &request, SB_REPLY_HANDED, KIT_WAIT_MS, &reply, &error), SOCKBROKER_OK);
    assert_int_equal(reply.as.handed.status, SOCKBROKER_NOT_FOUND);
}

static void what_comes_too_late_is_closed(void **state)
{
    struct kit_broker *b = kit_broker_start(&(struct kit_start){ .args = { "--endpoint", "web=[::]:0" } });
    char dir[SB_RUNDIR_MAX], path[SB_PATH_MAX], byte;
    struct sockbroker_error error;
    struct sb_client *client = NULL;
    sockbroker_socket listener = net_open_bound("::1", 0, SOCK_STREAM);

    (void)state;
    assert_int_equal(listen(listener, 1), 0);
    sockbroker_socket far_end = net_open(AF_INET6, SOCK_STREAM);
    assert_true(net_connect(far_end, "::1", net_port(listener)));
    sockbroker_socket sock = net_accept(listener);
    assert_int_equal(sb_channel_prepare(&error), SOCKBROKER_OK);
    assert_int_equal(sb_rundir_find(b->dir, dir, &error), SOCKBROKER_OK);
    sb_rundir_path(dir, SB_RUNDIR_CONTROL, path);
    assert_int_equal(sb_client_open(path, NULL, NULL, &client, &error), SOCKBROKER_OK);
    hand_late(client, sock);
    net_close(&sock);
    assert_int_equal(net_receive(far_end, &byte, 1), 0); /* the last copy */
    sb_client_close(client);
    net_close(&far_end);
    net_close(&listener);
    kit_broker_stop(b);
}

/* The right token, and no socket. */
static void hand_without_a_record_deposits_nothing(void **state)
{
    struct kit_broker *b = deposits_start(NULL);
    struct sb_request request = { .kind = SB_REQUEST_HAND };
    struct fault_raw raw;

    (void)state;
    fault_raw_start(&raw, b, "raw", 4);
    assert_int_equal(deposits_announce(&raw, "c", 0), SOCKBROKER_OK);
    request.as.hand.hello = deposits_hello_of(&raw);
    assert_int_equal(fault_raw_ask(&raw, &request, SB_REPLY_HANDED, NULL), SOCKBROKER_OK);
    assert_int_equal(raw.reply.as.handed.status, SOCKBROKER_BAD_MESSAGE);
    kit_wait_deposits(b, 0);
    deposits_check_works(b);
    deposits_finish(b, &raw);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(numbers_of_accounts_are_refused, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(what_comes_too_late_is_closed, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(hand_without_a_record_deposits_nothing, kit_setup, kit_teardown),
    };

    return kit_main(tests, argc, argv);
}
