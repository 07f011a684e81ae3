/* What channel.h promises: whatever some caller sends, or does not send, the others are answered.
 *
 * The server's loop runs in a thread of the test and answers by the kind of request:
 *   STATUS  Done with the number that was asked     NEXT    nothing, it is parked
 *   DETACH  Done, and so are all parked ones        DRAIN   dropped without a reply
 * Raw callers speak nng's IPC framing (nng_ipc(7), RFC of SP over IPC): a greeting of 8 bytes, then for each message a
 * byte 1, 8 bytes of length and the body; of a request the body begins with an id whose highest bit is set. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/channel.h"
#include "proto/clock.h"
#include "proto/thread.h"
#include "tests/support/format.h"

#define TIMEOUT_MS 10000
#define PARKED_MAX 256
#define LOG_MAX 1024

/* ---- the server's loop ---- */

struct house {
    struct sb_server *server;
    struct sb_server_options options;
    char path[64];
    int bell;
    pthread_t thread;
    atomic_bool stop;
    struct sb_call *parked[PARKED_MAX];
    atomic_uint n_parked;
    uint32_t order[LOG_MAX]; /* of the numbers that were asked, as they came */
    atomic_uint n_answered;
};

static void ring(void *arg)
{
    uint64_t one = 1;

    if (write(*(int *)arg, &one, sizeof(one)) < 0)
        abort();
}

static void reply_done(struct sb_call *call, uint64_t count)
{
    struct sb_reply reply;

    reply.kind = SB_REPLY_DONE;
    reply.as.done_count = count;
    sb_call_reply(call, &reply);
}

static void answer_parked(struct house *h)
{
    while (h->n_parked)
        reply_done(h->parked[--h->n_parked], 0);
}

static void judge(struct house *h, struct sb_call *call, const struct sb_request *request)
{
    switch (request->kind) {
    case SB_REQUEST_STATUS:
        if (h->n_answered < LOG_MAX)
            h->order[h->n_answered] = request->as.status.first_endpoint;
        h->n_answered++;
        reply_done(call, request->as.status.first_endpoint);
        break;
    case SB_REQUEST_NEXT:
        h->parked[h->n_parked++] = call;
        break;
    case SB_REQUEST_DETACH:
        answer_parked(h);
        reply_done(call, 0);
        break;
    case SB_REQUEST_ATTACH:
    case SB_REQUEST_SETTLE:
    case SB_REQUEST_DRAIN:
    case SB_REQUEST_SHARE:
    case SB_REQUEST_CONNECT:
    case SB_REQUEST_DEPOSIT:
    case SB_REQUEST_DEPOSIT_STATE:
    case SB_REQUEST_WITHDRAW:
    case SB_REQUEST_READ_STATE:
    case SB_REQUEST_HAND:
    case SB_REQUEST_RELOAD:
    case SB_REQUEST_SCALE:
    case SB_REQUEST_PAUSE:
    case SB_REQUEST_GROUPS:
    case SB_REQUEST_UPGRADE:
        sb_call_drop(call);
        break;
    }
}

static void *run_loop(void *arg)
{
    struct house *h = arg;
    static struct sb_request request;
    struct sb_call *call;
    uint64_t count;

    while (!h->stop) {
        if (unit_poll(h->bell, POLLIN, 10) && read(h->bell, &count, sizeof(count)) < 0)
            abort();
        sb_server_tick(h->server);
        while (sb_server_take(h->server, &call, &request))
            judge(h, call, &request);
    }
    return NULL;
}

static const struct sb_server_options usual = {
    .max_calls = 512,
    .max_callers = 20000,
    .introduce_ms = 600000,
    .messages_per_second = 1000000,
};

static void open_house(struct house *h, const struct sb_server_options *options)
{
    struct sockbroker_error error;

    memset(h, 0, sizeof(*h));
    h->options = *options;
    h->bell = eventfd(0, EFD_CLOEXEC);
    h->options.wake = ring;
    h->options.arg = &h->bell;
    format_text(h->path, sizeof(h->path), "%s", unit_path("control"));
    assert_status(SOCKBROKER_OK, sb_server_open(h->path, &h->options, &h->server, &error));
    assert_int_equal(pthread_create(&h->thread, NULL, run_loop, h), 0);
}

static void stop_loop(struct house *h)
{
    h->stop = true;
    ring(&h->bell);
    pthread_join(h->thread, NULL);
}

static void close_house(struct house *h)
{
    stop_loop(h);
    sb_server_close(h->server);
    close(h->bell);
}

static uint64_t turned_away(struct house *h)
{
    struct sb_server_counters counters;

    sb_server_counters(h->server, &counters);
    return counters.turned_away;
}

/* ---- callers of the library ---- */

static struct sb_request ask_number(uint32_t number)
{
    struct sb_request r;

    memset(&r, 0, sizeof(r));
    r.kind = SB_REQUEST_STATUS;
    r.as.status.first_endpoint = number;
    return r;
}

static struct sb_request ask_kind(enum sb_request_kind kind)
{
    struct sb_request r;

    memset(&r, 0, sizeof(r));
    r.kind = kind;
    if (kind == SB_REQUEST_DRAIN)
        strcpy(r.as.drain.worker, "w");
    else
        r.as.next.session.id = 1; /* NEXT and DETACH begin with a session key */
    return r;
}

static struct sb_client *connect_client(const struct house *h)
{
    struct sockbroker_error error;
    struct sb_client *c = NULL;

    assert_status(SOCKBROKER_OK, sb_client_open(h->path, NULL, NULL, &c, &error));
    return c;
}

static void assert_answered(struct sb_client *c, uint32_t number)
{
    static struct sb_reply reply;
    struct sb_request request = ask_number(number);
    struct sockbroker_error error;

    assert_status(SOCKBROKER_OK, sb_client_call(c, &request, SB_REPLY_DONE, TIMEOUT_MS, &reply, &error));
    assert_int_equal(reply.as.done_count, number);
}

static void release_parked(struct sb_client *c)
{
    static struct sb_reply reply;
    struct sb_request request = ask_kind(SB_REQUEST_DETACH);

    assert_status(SOCKBROKER_OK, sb_client_call(c, &request, SB_REPLY_DONE, TIMEOUT_MS, &reply, NULL));
}

/* ---- raw callers ---- */

static const uint8_t greeting[8] = { 0, 'S', 'P', 0, 0, 0x30, 0, 0 }; /* REQ, version 0 */

static int connect_raw(const struct house *h)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(sock >= 0);
    memcpy(at.sun_path, h->path, strlen(h->path) + 1);
    assert_int_equal(connect(sock, (struct sockaddr *)&at, sizeof(at)), 0);
    return sock;
}

static void say(int sock, const void *bytes, size_t len)
{
    assert_int_equal(send(sock, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
}

/* False when the other side has closed. */
static bool hear(int sock, void *bytes, size_t len)
{
    uint8_t *at = bytes;

    for (size_t got = 0; got < len;) {
        assert_true(unit_wait_readable(sock));
        ssize_t n = recv(sock, at + got, len - got, 0);
        if (n <= 0)
            return false;
        got += (size_t)n;
    }
    return true;
}

static int greet_raw(const struct house *h)
{
    static const uint8_t expected[8] = { 0, 'S', 'P', 0, 0, 0x31, 0, 0 };
    uint8_t answer[8];
    int sock = connect_raw(h);

    say(sock, greeting, sizeof(greeting));
    assert_true(hear(sock, answer, sizeof(answer)));
    assert_memory_equal(answer, expected, sizeof(answer));
    return sock;
}

static void put_length(uint8_t *at, uint64_t len)
{
    for (int i = 0; i < 8; i++)
        at[i] = (uint8_t)(len >> (56 - 8 * i));
}

static size_t frame_request(const struct sb_request *request, uint32_t id, uint8_t out[SB_MESSAGE_MAX + 16])
{
    size_t len = 0;

    assert_status(SOCKBROKER_OK, sb_wire_pack_request(request, out + 13, SB_MESSAGE_MAX, &len));
    out[0] = 1;
    put_length(out + 1, len + 4);
    out[9] = (uint8_t)(id >> 24 | 0x80);
    out[10] = (uint8_t)(id >> 16);
    out[11] = (uint8_t)(id >> 8);
    out[12] = (uint8_t)id;
    return len + 13;
}

static void ask_raw(int sock, const struct sb_request *request, uint32_t id)
{
    uint8_t frame[SB_MESSAGE_MAX + 16];

    say(sock, frame, frame_request(request, id, frame));
}

/* The id that was answered. */
static bool hear_reply(int sock, uint32_t *id_out, struct sb_reply *reply_out)
{
    static uint8_t body[SB_MESSAGE_MAX + 4];
    uint8_t head[9];
    uint64_t len = 0;

    if (!hear(sock, head, sizeof(head)))
        return false;
    assert_int_equal(head[0], 1);
    for (int i = 1; i < 9; i++)
        len = len << 8 | head[i];
    assert_in_range(len, 4, sizeof(body));
    if (!hear(sock, body, len))
        return false;
    *id_out = (uint32_t)(body[0] & 0x7f) << 24 | (uint32_t)body[1] << 16 | (uint32_t)body[2] << 8 | body[3];
    assert_status(SOCKBROKER_OK, sb_wire_unpack_reply(body + 4, len - 4, reply_out, NULL));
    return true;
}

static void assert_raw_answered(int sock, uint32_t number)
{
    static struct sb_reply reply;
    struct sb_request request = ask_number(number);
    uint32_t id = 0;

    ask_raw(sock, &request, number);
    assert_true(hear_reply(sock, &id, &reply));
    assert_int_equal(id, number);
    assert_int_equal(reply.kind, SB_REPLY_DONE);
    assert_int_equal(reply.as.done_count, number);
}

static void assert_hangs_up(int sock)
{
    uint8_t bytes[64];

    for (;;) {
        assert_true(unit_wait_readable(sock));
        if (recv(sock, bytes, sizeof(bytes), 0) <= 0)
            return;
    }
}

static bool is_parked_count(void *arg)
{
    const struct house *h = ((void **)arg)[0];

    return h->n_parked == (unsigned)(uintptr_t)((void **)arg)[1];
}

static void wait_parked(struct house *h, unsigned n)
{
    void *arg[] = { h, (void *)(uintptr_t)n };

    assert_true(unit_wait_for(is_parked_count, arg));
}

/* ---- calls ---- */

static void a_call_is_answered_and_tells_who_asked(void **state)
{
    struct house h;
    struct sb_client *c;

    (void)state;
    open_house(&h, &usual);
    c = connect_client(&h);
    for (uint32_t i = 1; i <= 200; i++)
        assert_answered(c, i);
    sb_client_close(c);

    stop_loop(&h); /* the loop is ours now */
    struct sb_request request = ask_number(7);
    struct sb_call *call = NULL;
    uint64_t count;
    int raw = greet_raw(&h);
    ask_raw(raw, &request, 7);
    while (!sb_server_take(h.server, &call, &request)) {
        assert_true(unit_wait_readable(h.bell));
        assert_int_equal(read(h.bell, &count, sizeof(count)), sizeof(count));
    }
    assert_int_equal(sb_call_uid(call), geteuid());
    assert_int_equal(sb_call_gid(call), getegid());
    assert_int_equal(sb_call_pid(call), getpid());
    sb_call_drop(call);
    close(raw);
    sb_server_close(h.server);
    close(h.bell);
}

static void the_wrong_kind_of_reply_is_a_bad_message(void **state)
{
    static struct sb_reply reply;
    struct sb_request request = ask_number(5);
    struct sockbroker_error error;
    struct house h;

    (void)state;
    open_house(&h, &usual);
    struct sb_client *c = connect_client(&h);
    assert_status(SOCKBROKER_BAD_MESSAGE, sb_client_call(c, &request, SB_REPLY_STATUS, TIMEOUT_MS, &reply, &error));
    assert_true(error.text[0]);
    assert_answered(c, 6);
    sb_client_close(c);
    close_house(&h);
}

static void a_call_that_is_not_answered_times_out(void **state)
{
    static struct sb_reply reply;
    struct sb_request request = ask_kind(SB_REQUEST_DRAIN);
    struct sockbroker_error error;
    struct house h;

    (void)state;
    open_house(&h, &usual);
    struct sb_client *c = connect_client(&h);
    uint64_t before_ms = sb_clock_ms();
    assert_status(SOCKBROKER_TIMEOUT, sb_client_call(c, &request, SB_REPLY_DONE, 50, &reply, &error));
    assert_true(sb_clock_ms() - before_ms >= 50);
    assert_non_null(strstr(error.text, "the broker"));
    assert_answered(c, 1); /* the next one is none the worse for it */
    sb_client_close(c);
    close_house(&h);
}

static void nobody_there_is_no_broker(void **state)
{
    struct sockbroker_error error;
    struct sb_client *c = NULL;
    struct house h;
    char gone[64];

    (void)state;
    assert_status(SOCKBROKER_NO_BROKER, sb_client_open(unit_path("nothing"), NULL, NULL, &c, &error));
    assert_non_null(strstr(error.text, "sockbroker serve"));
    open_house(&h, &usual);
    format_text(gone, sizeof(gone), "%s", unit_path("gone"));
    assert_int_equal(rename(h.path, gone), 0); /* a socket file that nobody listens to any more */
    close_house(&h);
    assert_status(SOCKBROKER_NO_BROKER, sb_client_open(gone, NULL, NULL, &c, &error));
    assert_null(c);
}

static void the_end_is_told_once(void **state)
{
    static struct sb_reply reply;
    struct sb_request request = ask_number(1);
    struct house h;
    struct sb_client *c = NULL;
    int bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    uint64_t count = 0;

    (void)state;
    open_house(&h, &usual);
    assert_status(SOCKBROKER_OK, sb_client_open(h.path, ring, &bell, &c, NULL));
    assert_answered(c, 1);
    assert_int_equal(unit_poll(bell, POLLIN, 0), 0);
    close_house(&h);
    assert_true(unit_wait_readable(bell));
    assert_status(SOCKBROKER_CLOSED, sb_client_call(c, &request, SB_REPLY_DONE, TIMEOUT_MS, &reply, NULL));
    assert_status(SOCKBROKER_CLOSED, sb_client_park(c, &request, ring, &bell));
    sb_client_close(c);
    assert_int_equal(read(bell, &count, sizeof(count)), sizeof(count));
    assert_int_equal(count, 1);
    close(bell);
}

static void *stop_when_parked(void *arg)
{
    void **a = arg;

    while (!((struct house *)a[0])->n_parked)
        sched_yield();
    sb_client_stop(a[1]);
    return NULL;
}

static void stopping_ends_the_calls_of_other_threads(void **state)
{
    static struct sb_reply reply;
    struct sb_request request = ask_kind(SB_REQUEST_NEXT);
    struct house h;
    pthread_t thread;

    (void)state;
    open_house(&h, &usual);
    struct sb_client *c = connect_client(&h);
    void *arg[] = { &h, c };
    assert_int_equal(pthread_create(&thread, NULL, stop_when_parked, arg), 0);
    assert_status(SOCKBROKER_CLOSED, sb_client_call(c, &request, SB_REPLY_DONE, -1, &reply, NULL));
    pthread_join(thread, NULL);
    sb_client_close(c);
    sb_client_stop(NULL);
    sb_client_close(NULL);
    close_house(&h);
}

static void the_server_closing_ends_a_call(void **state)
{
    static struct sb_reply reply;
    struct sb_request request = ask_kind(SB_REQUEST_NEXT);
    struct house h;
    int bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    (void)state;
    open_house(&h, &usual);
    struct sb_client *c = connect_client(&h);
    assert_status(SOCKBROKER_OK, sb_client_park(c, &request, ring, &bell));
    wait_parked(&h, 1);
    close_house(&h); /* with a call taken and not replied */
    assert_true(unit_wait_readable(bell));
    assert_status(SOCKBROKER_CLOSED, sb_client_take(c, SB_REPLY_DONE, &reply, NULL));
    sb_client_close(c);
    close(bell);
}

/* ---- parked calls ---- */

static void a_parked_call_is_answered_when_there_is_something_to_say(void **state)
{
    static struct sb_reply reply;
    struct sb_request request = ask_kind(SB_REQUEST_NEXT);
    struct house h;
    int bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    uint64_t count;

    (void)state;
    open_house(&h, &usual);
    struct sb_client *c = connect_client(&h);
    for (int i = 0; i < 20; i++) {
        assert_status(SOCKBROKER_OK, sb_client_park(c, &request, ring, &bell));
        wait_parked(&h, 1);
        assert_status(SOCKBROKER_AGAIN, sb_client_take(c, SB_REPLY_DONE, &reply, NULL));
        assert_answered(c, 3); /* beside it, on the same connection */
        release_parked(c);
        assert_true(unit_wait_readable(bell));
        assert_int_equal(read(bell, &count, sizeof(count)), sizeof(count));
        assert_status(SOCKBROKER_OK, sb_client_take(c, SB_REPLY_DONE, &reply, NULL));
        assert_int_equal(reply.as.done_count, 0);
        assert_status(SOCKBROKER_AGAIN, sb_client_take(c, SB_REPLY_DONE, &reply, NULL));
    }
    sb_client_close(c);
    close(bell);
    close_house(&h);
}

static void a_client_may_leave_while_its_call_is_parked(void **state)
{
    struct sb_request request = ask_kind(SB_REQUEST_NEXT);
    struct house h;
    int bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    (void)state;
    open_house(&h, &usual);
    for (uint32_t i = 1; i <= 20; i++) {
        struct sb_client *leaver = connect_client(&h);

        assert_status(SOCKBROKER_OK, sb_client_park(leaver, &request, ring, &bell));
        wait_parked(&h, 1);
        sb_client_close(leaver);
        struct sb_client *c = connect_client(&h);
        release_parked(c); /* a reply to one that has gone */
        assert_answered(c, i);
        sb_client_close(c);
    }
    close(bell);
    close_house(&h);
}

static void many_parked_calls_leave_room_for_others(void **state)
{
    static struct sb_reply reply;
    struct sb_request request = ask_kind(SB_REQUEST_NEXT);
    struct house h;
    int raws[4];
    unsigned n = 0;
    uint32_t id;

    (void)state;
    open_house(&h, &usual);
    struct sb_client *c = connect_client(&h);
    for (size_t r = 0; r < UNIT_COUNT(raws); r++) {
        raws[r] = greet_raw(&h);
        for (uint32_t i = 0; i < 40; i++)
            ask_raw(raws[r], &request, i);
        wait_parked(&h, n += 40);
        assert_answered(c, n);
    }
    release_parked(c);
    for (size_t r = 0; r < UNIT_COUNT(raws); r++) {
        uint64_t seen = 0;

        for (int i = 0; i < 40; i++) {
            assert_true(hear_reply(raws[r], &id, &reply));
            seen |= (uint64_t)1 << id;
        }
        assert_true(seen == ((uint64_t)1 << 40) - 1); /* each its own answer, once */
        close(raws[r]);
    }
    sb_client_close(c);
    close_house(&h);
}

static void one_caller_cannot_park_more_than_its_share(void **state)
{
    struct sb_server_options options = usual;
    struct sb_request request = ask_kind(SB_REQUEST_NEXT);
    struct house h;

    (void)state;
    options.max_calls = 100;
    open_house(&h, &options);
    struct sb_client *c = connect_client(&h);
    int raw = greet_raw(&h);
    for (uint32_t i = 0; i < 300; i++)
        ask_raw(raw, &request, i);
    wait_parked(&h, 64);
    for (uint32_t i = 1; i <= 50; i++)
        assert_answered(c, i);
    assert_int_equal(h.n_parked, 64);
    close(raw);
    release_parked(c);
    assert_answered(c, 51);
    sb_client_close(c);
    close_house(&h);
}

static void a_full_house_answers_again_when_somebody_leaves(void **state)
{
    struct sb_server_options options = usual;
    struct sb_request request = ask_kind(SB_REQUEST_NEXT);
    struct house h;

    (void)state;
    options.max_calls = 16;
    open_house(&h, &options);
    int raw = greet_raw(&h);
    for (uint32_t i = 0; i < 15; i++)
        ask_raw(raw, &request, i);
    wait_parked(&h, 15);
    struct sb_client *c = connect_client(&h);
    assert_answered(c, 1); /* the last one is enough, one at a time */
    release_parked(c);
    assert_answered(c, 2);
    close(raw);
    sb_client_close(c);
    close_house(&h);
}

/* ---- bad input ---- */

enum fate { HANGS_UP, WAITS }; /* WAITS: it may still become a message */

struct bad_bytes {
    const char *name;
    uint8_t bytes[32];
    size_t len;
    enum fate fate;
};

static const struct bad_bytes bad_greetings[] = {
    { "nothing", { 0 }, 0, WAITS },
    { "half of it", { 0, 'S', 'P', 0 }, 4, WAITS },
    { "all but one byte", { 0, 'S', 'P', 0, 0, 0x30, 0 }, 7, WAITS },
    { "wrong first byte", { 1, 'S', 'P', 0, 0, 0x30, 0, 0 }, 8, HANGS_UP },
    { "wrong letters", { 0, 'S', 'Q', 0, 0, 0x30, 0, 0 }, 8, HANGS_UP },
    { "wrong version", { 0, 'S', 'P', 1, 0, 0x30, 0, 0 }, 8, HANGS_UP },
    { "wrong protocol", { 0, 'S', 'P', 0, 0, 0x31, 0, 0 }, 8, HANGS_UP },
    { "unknown protocol", { 0, 'S', 'P', 0, 0xff, 0xff, 0, 0 }, 8, HANGS_UP },
    { "reserved bits", { 0, 'S', 'P', 0, 0, 0x30, 0, 1 }, 8, HANGS_UP },
    { "http", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27, HANGS_UP },
};

static void bad_greetings_end_only_their_own_connection(void **state)
{
    struct house h;

    (void)state;
    open_house(&h, &usual);
    struct sb_client *old = connect_client(&h);
    assert_answered(old, 1);
    for (uint32_t i = 0; i < UNIT_COUNT(bad_greetings); i++) {
        const struct bad_bytes *b = &bad_greetings[i];
        int raw = connect_raw(&h);
        struct sb_client *new;

        say(raw, b->bytes, b->len);
        if (b->fate == HANGS_UP)
            assert_hangs_up(raw);
        assert_answered(old, i);
        close(raw);
        new = connect_client(&h);
        assert_answered(new, i);
        sb_client_close(new);
    }
    sb_client_close(old);
    close_house(&h);
}

static const struct {
    uint64_t len;
    enum fate fate;
} bad_lengths[] = {
    { 0, HANGS_UP }, /* a request has an id of 4 bytes */
    { 1, WAITS },    /* the byte that it announces is still missing */
    { SB_MESSAGE_MAX, WAITS },
    { SB_MESSAGE_MAX + 1, HANGS_UP },
    { UINT64_C(1) << 31, HANGS_UP },
    { UINT64_C(1) << 32, HANGS_UP },
    { (UINT64_C(1) << 32) + 8, HANGS_UP },
    { INT64_MAX, HANGS_UP },
    { UINT64_C(1) << 63, HANGS_UP },
    { UINT64_MAX - 63, HANGS_UP },
    { UINT64_MAX - 32, HANGS_UP },
    { UINT64_MAX - 16, HANGS_UP },
    { UINT64_MAX - 9, HANGS_UP },
    { UINT64_MAX - 8, HANGS_UP },
    { UINT64_MAX - 1, HANGS_UP },
    { UINT64_MAX, HANGS_UP },
};

static void no_announced_length_harms_the_others(void **state)
{
    struct house h;

    (void)state;
    open_house(&h, &usual);
    struct sb_client *c = connect_client(&h);
    for (uint32_t i = 0; i < UNIT_COUNT(bad_lengths); i++) {
        uint8_t head[9] = { 1 };
        int raw = greet_raw(&h);

        put_length(head + 1, bad_lengths[i].len);
        say(raw, head, sizeof(head));
        if (bad_lengths[i].fate == HANGS_UP)
            assert_hangs_up(raw);
        assert_answered(c, i);
        close(raw);
    }
    for (uint64_t len = UINT64_MAX; len > UINT64_MAX - 64; len--) {
        uint8_t head[9] = { 1 };
        int raw = greet_raw(&h);

        put_length(head + 1, len);
        say(raw, head, sizeof(head));
        assert_hangs_up(raw);
        close(raw);
    }
    assert_answered(c, 99);
    sb_client_close(c);
    close_house(&h);
}

static void frames_that_hold_no_request_end_or_are_refused(void **state)
{
    static const struct bad_bytes rows[] = {
        { "a message of one byte", { 1, 0, 0, 0, 0, 0, 0, 0, 1, 0x80 }, 10, HANGS_UP },
        { "an id cut short", { 1, 0, 0, 0, 0, 0, 0, 0, 3, 0x80, 0, 0 }, 12, HANGS_UP },
        { "a type that is not 1", { 2, 0, 0, 0, 0, 0, 0, 0, 4, 0x80, 0, 0, 1 }, 13, HANGS_UP },
        { "type 0", { 0, 0, 0, 0, 0, 0, 0, 0, 4, 0x80, 0, 0, 1 }, 13, HANGS_UP },
        { "no id at all", { 1, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 2 }, 17, HANGS_UP },
    };
    struct house h;

    (void)state;
    open_house(&h, &usual);
    struct sb_client *c = connect_client(&h);
    for (uint32_t i = 0; i < UNIT_COUNT(rows); i++) {
        int raw = greet_raw(&h);

        say(raw, rows[i].bytes, rows[i].len);
        assert_hangs_up(raw);
        assert_answered(c, i);
        close(raw);
    }
    sb_client_close(c);
    close_house(&h);
}

static void what_is_not_a_request_is_answered_with_a_failure_and_counted(void **state)
{
    static const size_t lens[] = { 0, 1, 5, 100, SB_MESSAGE_MAX - 4 }; /* the id belongs to the message */
    static uint8_t frame[SB_MESSAGE_MAX + 16];
    static struct sb_reply reply;
    struct sb_server_counters counters;
    struct house h;
    uint32_t id = 0;

    (void)state;
    open_house(&h, &usual);
    int raw = greet_raw(&h);
    for (uint32_t i = 0; i < UNIT_COUNT(lens); i++) {
        memset(frame, 0xff, sizeof(frame));
        frame[0] = 1;
        put_length(frame + 1, lens[i] + 4);
        frame[9] = 0x80;
        frame[10] = frame[11] = 0;
        frame[12] = (uint8_t)i;
        say(raw, frame, lens[i] + 13);
        assert_true(hear_reply(raw, &id, &reply));
        assert_int_equal(id, i);
        assert_int_equal(reply.kind, SB_REPLY_FAILURE);
        assert_int_equal(reply.as.failure.status, SOCKBROKER_BAD_MESSAGE);
        assert_true(reply.as.failure.text[0]);
        assert_raw_answered(raw, 77); /* and may do better */
    }
    sb_server_counters(h.server, &counters);
    assert_int_equal(counters.bad_messages, UNIT_COUNT(lens));
    close(raw);
    close_house(&h);
}

static void a_message_longer_than_its_body_waits_and_the_rest_completes_it(void **state)
{
    static struct sb_reply reply;
    struct sb_request request = ask_number(9);
    uint8_t frame[SB_MESSAGE_MAX + 16];
    size_t len = frame_request(&request, 9, frame);
    struct house h;
    uint32_t id = 0;

    (void)state;
    open_house(&h, &usual);
    struct sb_client *c = connect_client(&h);
    int raw = greet_raw(&h);
    say(raw, frame, len - 1);
    assert_answered(c, 1);
    assert_int_equal(unit_poll(raw, POLLIN, 0), 0);
    say(raw, frame + len - 1, 1);
    assert_true(hear_reply(raw, &id, &reply));
    assert_int_equal(id, 9);
    say(raw, frame, len - 1); /* and never the rest */
    close(raw);
    assert_answered(c, 2);
    sb_client_close(c);
    close_house(&h);
}

static void bytes_that_come_one_by_one_are_a_message_all_the_same(void **state)
{
    static struct sb_reply reply;
    struct sb_request request = ask_number(123456);
    uint8_t frame[SB_MESSAGE_MAX + 16];
    size_t len = frame_request(&request, 42, frame);
    uint8_t answer[8];
    struct house h;
    uint32_t id = 0;

    (void)state;
    open_house(&h, &usual);
    struct sb_client *c = connect_client(&h);
    int raw = connect_raw(&h);
    for (size_t i = 0; i < sizeof(greeting); i++)
        say(raw, greeting + i, 1);
    assert_true(hear(raw, answer, sizeof(answer)));
    for (size_t i = 0; i < len; i++) {
        say(raw, frame + i, 1);
        assert_answered(c, (uint32_t)i);
    }
    assert_true(hear_reply(raw, &id, &reply));
    assert_int_equal(id, 42);
    assert_int_equal(reply.as.done_count, 123456);
    close(raw);
    sb_client_close(c);
    close_house(&h);
}

static void ten_thousand_may_connect_and_leave(void **state)
{
    enum { N = UNIT_SANITIZED ? 1000 : 10000 };
    struct house h;

    (void)state;
    open_house(&h, &usual);
    struct sb_client *c = connect_client(&h);
    for (int i = 0; i < N; i++) {
        int raw = connect_raw(&h);

        if (i % 4 == 1)
            say(raw, greeting, sizeof(greeting) / 2);
        if (i % 4 == 2)
            say(raw, greeting, sizeof(greeting));
        if (i % 4 == 3)
            shutdown(raw, SHUT_WR);
        close(raw);
        if (i % 500 == 0)
            assert_answered(c, (uint32_t)i);
    }
    sb_client_close(c);
    c = connect_client(&h); /* the listener is alive */
    assert_answered(c, 1);
    sb_client_close(c);
    close_house(&h);
}

static void callers_may_leave_at_any_byte_of_a_request(void **state)
{
    struct sb_request request = ask_number(1);
    uint8_t frame[SB_MESSAGE_MAX + 16];
    size_t len = frame_request(&request, 1, frame);
    struct house h;

    (void)state;
    open_house(&h, &usual);
    for (size_t cut = 0; cut <= len; cut++) {
        int raw = greet_raw(&h);

        say(raw, frame, cut);
        close(raw);
    }
    struct sb_client *c = connect_client(&h);
    assert_answered(c, 1);
    sb_client_close(c);
    close_house(&h);
}

/* ---- limits ---- */

static void silent_callers_are_dropped_and_introduced_ones_stay(void **state)
{
    struct sb_server_options options = usual;
    struct house h;
    int silent[5];

    (void)state;
    options.introduce_ms = 100;
    open_house(&h, &options);
    struct sb_client *c = connect_client(&h);
    assert_answered(c, 1);
    for (size_t i = 0; i < UNIT_COUNT(silent); i++)
        silent[i] = greet_raw(&h);
    uint8_t half[9] = { 1, 0, 0, 0, 0, 0, 0, 0, 8 };
    say(silent[0], half, sizeof(half)); /* beginning to speak is not speaking */
    for (size_t i = 0; i < UNIT_COUNT(silent); i++) {
        assert_hangs_up(silent[i]);
        close(silent[i]);
    }
    assert_int_equal(turned_away(&h), UNIT_COUNT(silent));
    assert_answered(c, 2); /* silent for as long, but known */
    sb_client_close(c);
    close_house(&h);
}

enum { SILENT = 40 };

/* Closed ones are readable; the end of those that are told to go comes a little later. */
static bool are_at_most_four_left(void *arg)
{
    const int *silent = arg;
    unsigned n_left = 0;

    for (size_t i = 0; i < SILENT; i++)
        n_left += unit_poll(silent[i], POLLIN, 0) == 0;
    return n_left <= 4;
}

static void a_newcomer_gets_in_however_many_are_silent(void **state)
{
    struct sb_server_options options = usual;
    struct house h;
    int silent[SILENT];
    uint8_t answer[8];

    (void)state;
    options.max_callers = 4;
    open_house(&h, &options);
    for (size_t i = 0; i < SILENT; i++) { /* all at once */
        silent[i] = connect_raw(&h);
        say(silent[i], greeting, sizeof(greeting));
    }
    for (size_t i = 0; i < SILENT; i++)
        assert_true(hear(silent[i], answer, sizeof(answer)));
    struct sb_client *c = connect_client(&h);
    assert_answered(c, 1);
    assert_true(unit_wait_for(are_at_most_four_left, silent));
    assert_in_range(turned_away(&h), SILENT + 1 - 4, SILENT); /* each once */
    for (size_t i = 0; i < SILENT; i++)
        close(silent[i]);
    sb_client_close(c);
    close_house(&h);
}

static void introduced_callers_are_not_dropped_for_newcomers(void **state)
{
    struct sb_server_options options = usual;
    struct house h;
    int known[4];

    (void)state;
    options.max_callers = 4;
    open_house(&h, &options);
    for (size_t i = 0; i < UNIT_COUNT(known); i++) {
        known[i] = greet_raw(&h);
        assert_raw_answered(known[i], 1);
    }
    for (int i = 0; i < 20; i++) {
        int raw = connect_raw(&h);

        say(raw, greeting, sizeof(greeting));
        assert_hangs_up(raw);
        close(raw);
    }
    for (size_t i = 0; i < UNIT_COUNT(known); i++) {
        assert_raw_answered(known[i], 2);
        close(known[i]);
    }
    assert_int_equal(turned_away(&h), 20);
    close_house(&h);
}

static void a_flood_is_delayed_loses_nothing_and_lets_others_through(void **state)
{
    enum { PER_SECOND = 40, FLOOD = 60 };
    static struct sb_reply reply;
    struct sb_server_options options = usual;
    struct house h;
    uint64_t seen = 0;
    uint32_t id;

    (void)state;
    options.messages_per_second = PER_SECOND;
    open_house(&h, &options);
    struct sb_client *c = connect_client(&h);
    int raw = greet_raw(&h);
    for (uint32_t i = 0; i < FLOOD; i++) {
        struct sb_request request = ask_number(i);

        ask_raw(raw, &request, i);
    }
    for (int i = 0; i < PER_SECOND; i++) { /* what it had saved up */
        assert_true(hear_reply(raw, &id, &reply));
        seen |= (uint64_t)1 << id;
    }
    for (uint32_t i = 0; i < 10; i++)
        assert_answered(c, 1000 + i);
    /* Ten answers of another caller fit before the flood was through. */
    unsigned last = 0, n = h.n_answered;
    for (unsigned i = 0; i < n; i++) {
        if (h.order[i] >= 1000)
            last = i;
    }
    assert_true(last < FLOOD + 10 - 1);
    for (int i = PER_SECOND; i < FLOOD; i++) {
        assert_true(hear_reply(raw, &id, &reply));
        seen |= (uint64_t)1 << id;
    }
    assert_true(seen == ((uint64_t)1 << FLOOD) - 1);
    assert_int_equal(h.n_answered, FLOOD + 10);
    close(raw);
    sb_client_close(c);
    close_house(&h);
}

/* ---- opening ---- */

static void a_server_that_cannot_listen_says_so_and_leaves_nothing(void **state)
{
    struct sb_server_options options = usual;
    struct sockbroker_error error;
    struct sb_server *server = NULL;
    int bell = eventfd(0, EFD_CLOEXEC);

    (void)state;
    options.wake = ring;
    options.arg = &bell;
    assert_true(sb_server_open("/nonexistent/folder/control", &options, &server, &error) != SOCKBROKER_OK);
    assert_null(server);
    assert_non_null(strstr(error.text, "/nonexistent/folder/control"));
    sb_server_close(NULL);
    close(bell);
}

static void prepare_in_child(void *arg)
{
    struct sockbroker_error error;

    (void)arg;
    UNIT_REQUIRE(sb_channel_prepare(&error) == SOCKBROKER_FORKED);
    UNIT_REQUIRE(strstr(error.text, "fork") != NULL);
}

static void a_child_of_a_user_of_nng_is_told_so(void **state)
{
    struct sockbroker_error error;

    (void)state;
    assert_status(SOCKBROKER_OK, sb_channel_prepare(&error));
    assert_status(SOCKBROKER_OK, sb_channel_prepare(&error));
    assert_child_succeeds(prepare_in_child, NULL);
}

/* nng opens descriptors of its own at the first use and keeps them; what is ours it closes in a thread of its own. */
static int warm_up(void **state)
{
    struct house h;
    int n_before = unit_count_sockets();

    (void)state;
    open_house(&h, &usual);
    sb_client_close(connect_client(&h));
    close_house(&h);
    unit_folder_remove();
    return unit_wait_sockets(n_before) ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(a_call_is_answered_and_tells_who_asked),
        UNIT_TEST(the_wrong_kind_of_reply_is_a_bad_message),
        UNIT_TEST(a_call_that_is_not_answered_times_out),
        UNIT_TEST(nobody_there_is_no_broker),
        UNIT_TEST(the_end_is_told_once),
        UNIT_TEST(stopping_ends_the_calls_of_other_threads),
        UNIT_TEST(the_server_closing_ends_a_call),
        UNIT_TEST(a_parked_call_is_answered_when_there_is_something_to_say),
        UNIT_TEST(a_client_may_leave_while_its_call_is_parked),
        UNIT_TEST(many_parked_calls_leave_room_for_others),
        UNIT_TEST(one_caller_cannot_park_more_than_its_share),
        UNIT_TEST(a_full_house_answers_again_when_somebody_leaves),
        UNIT_TEST(bad_greetings_end_only_their_own_connection),
        UNIT_TEST(no_announced_length_harms_the_others),
        UNIT_TEST(frames_that_hold_no_request_end_or_are_refused),
        UNIT_TEST(what_is_not_a_request_is_answered_with_a_failure_and_counted),
        UNIT_TEST(a_message_longer_than_its_body_waits_and_the_rest_completes_it),
        UNIT_TEST(bytes_that_come_one_by_one_are_a_message_all_the_same),
        UNIT_TEST(ten_thousand_may_connect_and_leave),
        UNIT_TEST(callers_may_leave_at_any_byte_of_a_request),
        UNIT_TEST(silent_callers_are_dropped_and_introduced_ones_stay),
        UNIT_TEST(a_newcomer_gets_in_however_many_are_silent),
        UNIT_TEST(introduced_callers_are_not_dropped_for_newcomers),
        UNIT_TEST(a_flood_is_delayed_loses_nothing_and_lets_others_through),
        UNIT_TEST(a_server_that_cannot_listen_says_so_and_leaves_nothing),
        UNIT_TEST(a_child_of_a_user_of_nng_is_told_so),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("channel", tests, warm_up, NULL);
}
