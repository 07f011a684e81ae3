/* A worker that leaves while connections are on their way to it, where none can be withdrawn: they go to others. The worker is
 * the test itself, by the protocol, so that it has been told and says nothing of it. */
#include <string.h>

#include "proto/channel.h"
#include "proto/rundir.h"
#include "proto/socket.h"
#include "proto/xfer.h"
#include "tests/support/kit.h"

#define N 4

static struct sb_request request;
static struct sb_reply reply;

static void ask(struct sb_client *client, enum sb_request_kind kind, enum sb_reply_kind expected)
{
    struct sockbroker_error error;

    request.kind = kind;
    if (sb_client_call(client, &request, expected, KIT_WAIT_MS, &reply, &error))
        kit_fail("%s", error.text);
}

static struct sb_client *attach(struct kit_broker *b, struct sb_session_key *session_out)
{
    struct sb_client *client = NULL;
    struct sockbroker_error error;
    char dir[SB_RUNDIR_MAX], path[SB_PATH_MAX];

    assert_int_equal(sb_channel_prepare(&error), SOCKBROKER_OK);
    assert_int_equal(sb_rundir_find(b->dir, dir, &error), SOCKBROKER_OK);
    sb_rundir_path(dir, SB_RUNDIR_CONTROL, path);
    assert_int_equal(sb_client_open(path, NULL, NULL, &client, &error), SOCKBROKER_OK);
    memset(&request, 0, sizeof(request));
    request.as.attach = (struct sb_attach){ .version_min = SB_PROTOCOL_VERSION,
                                            .version_max = SB_PROTOCOL_VERSION,
                                            .name = "leaver",
                                            .weight = 1,
                                            .n_endpoints = 1,
                                            .endpoints = { "web" } };
    ask(client, SB_REQUEST_ATTACH, SB_REPLY_ATTACHED);
    *session_out = reply.as.attached.session;
    memset(&request, 0, sizeof(request));
    request.as.hand.hello.session_id = session_out->id;
    memcpy(request.as.hand.hello.token, reply.as.attached.token, sizeof(reply.as.attached.token));
    ask(client, SB_REQUEST_HAND, SB_REPLY_HANDED);
    assert_int_equal(reply.as.handed.status, SOCKBROKER_OK);
    return client;
}

static void note(void *arg)
{
    (void)arg;
}

/* Asks for the next connections; whatever comes, it is for take(). */
static void park(struct sb_client *client, const struct sb_session_key *session)
{
    memset(&request, 0, sizeof(request));
    request.kind = SB_REQUEST_NEXT;
    request.as.next.session = *session;
    assert_int_equal(sb_client_park(client, &request, note, NULL), SOCKBROKER_OK);
}

static unsigned take(struct sb_client *client)
{
    struct sockbroker_error error;
    sockbroker_socket sock;

    kit_until(sb_client_take(client, SB_REPLY_TOLD, &reply, &error) == SOCKBROKER_OK);
    for (uint32_t i = 0; i < reply.as.told.n_handoffs; i++) {
        assert_int_equal(sb_xfer_open_record(&reply.as.told.handoffs[i], &sock), SOCKBROKER_OK);
        sb_socket_close(&sock);
    }
    return reply.as.told.n_handoffs;
}

static void what_a_worker_that_leaves_was_told_goes_to_others(void **state)
{
    struct kit_broker *b = kit_broker_start(&(struct kit_start){ .args = { "--endpoint", "web=[::]:0" } });
    struct sb_session_key session;
    struct sb_client *client = attach(b, &session);
    sockbroker_socket socks[N];
    struct kit_answer a;

    (void)state;
    park(client, &session);
    kit_broker_wait_worker(b, "leaver", "ready");
    for (unsigned i = 0; i < N; i++)
        socks[i] = kit_connect(NULL, i % 2 ? "127.0.0.1" : "::1", kit_broker_port(b, "web"));
    kit_until(kit_worker_status(b, "leaver").unacked == N);
    assert_true(take(client) > 0);
    struct kit_process *other = kit_worker_start(b, "other", "hello", NULL);
    memset(&request, 0, sizeof(request));
    request.as.detach = session;
    ask(client, SB_REQUEST_DETACH, SB_REPLY_DONE);
    for (unsigned i = 0; i < N; i++) {
        kit_read_only_answer(socks[i], &a);
        assert_string_equal(a.worker, "other");
    }
    kit_broker_wait_settled(b);
    assert_int_equal(kit_counters(b, "web").in_doubt, 0);
    assert_int_equal(kit_counters(b, "web").released, N);
    sb_client_close(client);
    kit_worker_stop(other);
    kit_broker_stop(b);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_a_worker_that_leaves_was_told_goes_to_others, kit_setup, kit_teardown),
    };

    return kit_main(tests, argc, argv);
}
