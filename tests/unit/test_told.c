/* What a worker makes of records that it is told (client-lib/control.c), by a broker that the test plays: the socket in a
 * record is opened once, however often it is told (F113). */
#include "tests/unit/unit.h"

#include <windows.h>

#include <string.h>

#include "proto/channel.h"
#include "proto/rundir.h"
#include "proto/socket.h"
#include "proto/xfer.h"
#include "sockbroker/worker.h"

/* Tells the record, and once more when `again` is set; or only when the worker leaves. */
struct broker {
    bool tells_last;
    struct sb_server *server;
    struct sb_record record;
    HANDLE bell, again, seen, over; /* seen: the worker has what it was told the second time, or asks; over: it has left */
    struct sb_call *next;           /* parked */
    unsigned n_told;
    unsigned n_settled;
};

static struct sb_request request;
static struct sb_reply reply;

static void note(void *bell)
{
    SetEvent((HANDLE)bell);
}

/* ---- the broker: a thread ---- */

static void answer_attach(struct sb_call *call)
{
    reply.kind = SB_REPLY_ATTACHED;
    reply.as.attached = (struct sb_attached){
        .version = SB_PROTOCOL_VERSION, .session = { .id = 1 }, .carrier = SB_CARRIER_MESSAGE, .heartbeat_ms = 60000
    };
    sb_call_reply(call, &reply);
}

static void answer_settle(struct broker *b, struct sb_call *call)
{
    reply.kind = SB_REPLY_SETTLED;
    reply.as.settled.n_kept = request.as.settle.n_results;
    for (uint32_t i = 0; i < request.as.settle.n_results; i++) {
        reply.as.settled.kept[i] = request.as.settle.results[i].verdict == SB_VERDICT_ACK;
        b->n_settled++;
    }
    sb_call_reply(call, &reply);
}

static void tell(struct broker *b)
{
    if (b->n_told == 1 && WaitForSingleObject(b->again, UNIT_PATIENCE_MS) != WAIT_OBJECT_0)
        return;
    reply.kind = SB_REPLY_TOLD;
    reply.as.told = (struct sb_told){ .n_handoffs = 1, .handoffs = { b->record } };
    sb_call_reply(b->next, &reply);
    b->next = NULL;
    b->n_told++;
}

static void serve(struct broker *b, struct sb_call *call)
{
    memset(&reply, 0, sizeof(reply));
    switch (request.kind) {
    case SB_REQUEST_ATTACH:
        answer_attach(call);
        return;
    case SB_REQUEST_HAND:
        reply.kind = SB_REPLY_HANDED;
        sb_call_reply(call, &reply);
        return;
    case SB_REQUEST_SETTLE:
        answer_settle(b, call);
        return;
    case SB_REQUEST_NEXT:
        b->next = call;
        if (b->n_told == 2 || b->tells_last)
            SetEvent(b->seen);
        return;
    default: /* it leaves */
        reply.kind = SB_REPLY_DONE;
        sb_call_reply(call, &reply);
        if (b->tells_last)
            tell(b);
        SetEvent(b->over);
    }
}

static DWORD WINAPI run(LPVOID arg)
{
    struct broker *b = arg;
    HANDLE events[] = { b->over, b->bell };
    struct sb_call *call;

    for (;;) {
        while (sb_server_take(b->server, &call, &request))
            serve(b, call);
        if (b->next && !b->tells_last && b->n_told < 2 && b->n_settled == b->n_told)
            tell(b);
        if (WaitForMultipleObjects(2, events, FALSE, UNIT_PATIENCE_MS) != WAIT_OBJECT_0 + 1)
            break;
    }
    if (b->next)
        sb_call_drop(b->next);
    return 0;
}

static HANDLE start(struct broker *b, const char *dir)
{
    struct sb_server_options options = {
        .max_calls = 16, .max_callers = 16, .introduce_ms = 60000, .messages_per_second = 1000, .wake = note
    };
    struct sockbroker_error error;
    char path[SB_PATH_MAX];

    b->bell = CreateEventW(NULL, FALSE, FALSE, NULL);
    b->again = CreateEventW(NULL, TRUE, FALSE, NULL);
    b->seen = CreateEventW(NULL, TRUE, FALSE, NULL);
    b->over = CreateEventW(NULL, TRUE, FALSE, NULL);
    options.arg = b->bell;
    assert_status(SOCKBROKER_OK, sb_channel_prepare(&error));
    sb_rundir_path(dir, SB_RUNDIR_CONTROL, path);
    assert_status(SOCKBROKER_OK, sb_server_open(path, &options, &b->server, &error));
    return CreateThread(NULL, 0, run, b, 0, NULL);
}

static void finish(struct broker *b, HANDLE thread)
{
    assert_int_equal(WaitForSingleObject(thread, 2 * UNIT_PATIENCE_MS), WAIT_OBJECT_0);
    CloseHandle(thread);
    sb_server_close(b->server);
    CloseHandle(b->bell);
    CloseHandle(b->again);
    CloseHandle(b->seen);
    CloseHandle(b->over);
}

/* ---- the test ---- */

static void make_record(struct sb_record *record, sockbroker_socket sock)
{
    int os_code = 0;

    memset(record, 0, sizeof(*record));
    record->info.lease_id = 4096;
    record->info.socket_family = SOCKBROKER_IPV6;
    record->info.type = SOCKBROKER_STREAM;
    record->info.protocol = 6;
    record->info.peer = record->info.local =
        (struct sockbroker_addr){ .family = SOCKBROKER_IPV6, .ip = { [15] = 1 }, .port = 1 };
    strcpy(record->info.endpoint, "web");
    assert_status(SOCKBROKER_OK, sb_xfer_fill_record((sockbroker_socket)GetCurrentProcess(), sock, record, &os_code));
}

static void a_record_that_is_told_twice_is_opened_once(void **state)
{
    struct sockbroker_worker_options options = SOCKBROKER_WORKER_OPTIONS_INIT;
    struct sockbroker_worker *worker = NULL;
    struct sockbroker_error error;
    struct sockbroker_conn conn;
    struct broker b = { .server = NULL };
    struct unit_tcp t;
    char byte;

    (void)state;
    unit_tcp_open(&t, "::1");
    make_record(&b.record, t.server);
    sb_socket_close(&t.server);
    options.dir = unit_path("told");
    options.endpoints = "web";
    HANDLE thread = start(&b, options.dir);
    assert_status(SOCKBROKER_OK, sockbroker_worker_open(&options, &worker, &error));
    assert_status(SOCKBROKER_OK, sockbroker_worker_next(worker, UNIT_PATIENCE_MS, &conn));
    sb_socket_close(&conn.sock);
    assert_int_equal(recv(t.client, &byte, 1, 0), 0);
    sockbroker_socket other = unit_socket(AF_INET6, SOCK_STREAM); /* the system gives it the number that is free again */
    SetEvent(b.again);
    assert_int_equal(WaitForSingleObject(b.seen, UNIT_PATIENCE_MS), WAIT_OBJECT_0);
    assert_status(SOCKBROKER_AGAIN, sockbroker_worker_next(worker, 0, &conn));
    sockbroker_worker_close(worker);
    finish(&b, thread);
    assert_true(unit_is_open(other));
    assert_int_equal(b.n_told, 2);
    assert_int_equal(b.n_settled, 1); /* it is no news to the broker either */
    sb_socket_close(&other);
    unit_tcp_close(&t);
}

/* Two answers that come at once are taken in any order. */
static void what_it_is_told_when_it_leaves_is_closed(void **state)
{
    struct sockbroker_worker_options options = SOCKBROKER_WORKER_OPTIONS_INIT;
    struct sockbroker_worker *worker = NULL;
    struct sockbroker_error error;
    struct broker b = { .tells_last = true };
    struct unit_tcp t;
    char byte;

    (void)state;
    unit_tcp_open(&t, "::1");
    make_record(&b.record, t.server);
    sb_socket_close(&t.server);
    options.dir = unit_path("last");
    options.endpoints = "web";
    HANDLE thread = start(&b, options.dir);
    assert_status(SOCKBROKER_OK, sockbroker_worker_open(&options, &worker, &error));
    assert_int_equal(WaitForSingleObject(b.seen, UNIT_PATIENCE_MS), WAIT_OBJECT_0); /* its Next is there */
    sockbroker_worker_close(worker);
    finish(&b, thread);
    assert_int_equal(b.n_told, 1);
    assert_true(unit_wait_readable(t.client));
    assert_int_equal(recv(t.client, &byte, 1, 0), 0);
    unit_tcp_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_record_that_is_told_twice_is_opened_once, unit_setup), /* nng keeps handles of its own */
        cmocka_unit_test_setup(what_it_is_told_when_it_leaves_is_closed, unit_setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
