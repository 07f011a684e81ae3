/* Faults of the control protocol and of access: rows F70 to F81 of the list of faults, and bad input for all three sockets. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/socket.h"
#include "tests/support/fault.h"
#include "tests/support/format.h"

#define STRANGER "65534" /* a uid and gid that is not ours */

static struct kit_broker *start(const char *endpoint, const char *setting)
{
    return kit_broker_start(&(struct kit_start){ .args = { "--endpoint", endpoint, setting ? "--set" : NULL, setting } });
}

static struct kit_process *start_worker(struct kit_broker *b, const char *name)
{
    struct kit_process *w = kit_worker_start(b, name, "hello", NULL);

    kit_broker_wait_worker(b, name, "ready");
    return w;
}

/* Everything still works, for a worker that was there and one that comes. */
static void finish(struct kit_broker *b, struct kit_process *w)
{
    struct kit_process *late = start_worker(b, "late");

    fault_check_serves(b, 40);
    kit_broker_wait_settled(b);
    kit_worker_stop(late);
    if (w)
        kit_worker_stop(w);
    kit_broker_wait_ready(b, 0);
    kit_broker_wait_idle_fds(b);
    kit_broker_stop(b);
}

static size_t pack_status(uint8_t *buf, size_t room)
{
    struct sb_request request = { .kind = SB_REQUEST_STATUS };
    size_t len;

    assert_int_equal(sb_wire_pack_request(&request, buf, room, &len), SOCKBROKER_OK);
    return len;
}

/* ---- bytes on the control socket ---- */

/* F70: what comes before any frame. */
static void wrong_greetings_are_hung_up_on(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
        { "GET / HTTP/1.1\r\n\r\n", 18 }, { "\0SQ\0\0\x30\0\0", 8 },       { "\0SP\x01\0\x30\0\0", 8 },
        { "\0SP\0\0\x31\0\0", 8 }, /* a REP: two of a kind */
        { "\0SP\0\0\x10\0\0", 8 },        { "\0SP\0\xff\xff\xff\xff", 8 }, { "\0\0\0\0\0\0\0\0", 8 },
    };
    struct kit_broker *b = start("web=[::]:0", NULL);
    struct kit_process *w = start_worker(b, "w1");

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int sock = fault_knock(b, "control");

        (void)!send(sock, cases[i].bytes, cases[i].len, MSG_NOSIGNAL);
        if (!fault_is_closed(&sock, KIT_WAIT_MS))
            kit_fail("greeting %zu is accepted", i);
    }
    finish(b, w);
}

/* F70, F71 */
static void frames_of_impossible_length_are_hung_up_on(void **state)
{
    static const uint64_t lengths[] = { SB_MESSAGE_MAX + 5, 2 * SB_MESSAGE_MAX, 1ull << 31,     1ull << 32,
                                        (1ull << 32) + 8,   INT64_MAX,          1ull << 63,     UINT64_MAX - 63,
                                        UINT64_MAX - 32,    UINT64_MAX - 8,     UINT64_MAX - 1, UINT64_MAX };
    struct kit_broker *b = start("web=[::]:0", NULL);
    struct kit_process *w = start_worker(b, "w1");

    (void)state;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        int sock = fault_ipc_open(b);
        uint8_t head[9];

        assert_int_equal(send(sock, head, fault_ipc_head(lengths[i], head), MSG_NOSIGNAL), 9);
        if (!fault_is_closed(&sock, 2000)) /* earlier than any deadline for a slow body */
            kit_fail("length %llu is accepted", (unsigned long long)lengths[i]);
    }
    finish(b, w);
}

/* F70: frames that are too short to be a request, and a wrong type of frame. Nothing may come back for them but an end. */
static void frames_that_are_no_requests_get_no_reply(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
        { "\x01\0\0\0\0\0\0\0\0", 9 },
        { "\x01\0\0\0\0\0\0\0\x01\x80", 10 },
        { "\x01\0\0\0\0\0\0\0\x03\x80\0\0", 12 },
        { "\x01\0\0\0\0\0\0\0\x04\0\0\0\0", 13 }, /* an id without its mark: a hop, then nothing */
        { "\x01\0\0\0\0\0\0\0\x08\0\0\0\0\0\0\0\0", 17 },
        { "\x02\0\0\0\0\0\0\0\x04\x80\0\0\x01", 13 }, /* no type of frame that nng knows */
        { "\0\0\0\0\0\0\0\0\x04\x80\0\0\x01", 13 },
    };
    struct kit_broker *b = start("web=[::]:0", "attach_ms=300");
    struct kit_process *w = start_worker(b, "w1");

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int sock = fault_ipc_open(b);
        char byte;

        assert_int_equal(send(sock, cases[i].bytes, cases[i].len, MSG_NOSIGNAL), (int)cases[i].len);
        assert_false(kit_is_silent(sock, KIT_WAIT_MS)); /* by attach_ms at the latest */
        assert_true(recv(sock, &byte, 1, 0) <= 0);
        sb_socket_close(&sock);
    }
    finish(b, w);
}

/* Each file of tests/data/wire whose name begins so. */
static unsigned for_each_input(const char *prefix, void (*body)(void *arg, const uint8_t *data, size_t len, const char *name),
                               void *arg)
{
    DIR *dir = opendir("tests/data/wire");
    unsigned n = 0;

    assert_non_null(dir);
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        static uint8_t data[4 * SB_MESSAGE_MAX];

        if (strncmp(e->d_name, prefix, strlen(prefix)))
            continue;
        int fd = openat(dirfd(dir), e->d_name, O_RDONLY | O_CLOEXEC);
        ssize_t len = read(fd, data, sizeof(data));
        close(fd);
        assert_true(len >= 0);
        body(arg, data, (size_t)len, e->d_name);
        n++;
    }
    closedir(dir);
    return n;
}

/* A Failure with a reason, or, for a message beyond the cap, the end. */
static void ask_badly(void *arg, const uint8_t *data, size_t len, const char *name)
{
    static struct sb_reply reply;
    struct kit_broker *b = arg;
    uint8_t answer[SB_MESSAGE_MAX];
    size_t answer_len;
    int sock = fault_ipc_open(b);

    if (fault_ipc_send(sock, data, len) && fault_ipc_receive(sock, answer, sizeof(answer), &answer_len)) {
        assert_int_equal(sb_wire_unpack_reply(answer, answer_len, &reply, NULL), SOCKBROKER_OK);
        if (reply.kind != SB_REPLY_FAILURE || reply.as.failure.status != SOCKBROKER_BAD_MESSAGE || !reply.as.failure.text[0])
            kit_fail("%s is not refused", name);
    } else if (len + 4 <= SB_MESSAGE_MAX) {
        kit_fail("%s gets no reason", name);
    }
    sb_socket_close(&sock);
}

/* F70 */
static void bad_requests_are_answered_with_a_reason(void **state)
{
    struct kit_broker *b = start("web=[::]:0", NULL);
    struct kit_process *w = start_worker(b, "w1");
    uint8_t good[SB_MESSAGE_MAX];
    size_t len = pack_status(good, sizeof(good));

    (void)state;
    uint64_t bad = fault_broker_status(b).bad_messages;
    unsigned n = for_each_input("reject_request_", ask_badly, b);
    assert_true(n > 10);
    for (size_t cut = 1; cut < len; cut++) {
        ask_badly(b, good, cut, "a request cut short");
        n++;
    }
    assert_int_equal(fault_broker_status(b).bad_messages, bad + n);
    finish(b, w);
}

/* One caller may be wrong as often as it likes; the next request on the same connection is answered. */
static void caller_that_was_wrong_may_ask_again(void **state)
{
    struct kit_broker *b = start("web=[::]:0", NULL);
    struct kit_process *w = start_worker(b, "w1");
    static struct sb_reply reply;
    uint8_t buf[SB_MESSAGE_MAX];
    size_t len;
    int sock = fault_ipc_open(b);

    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        assert_true(fault_ipc_send(sock, "\xff\xff\xff", 3));
        assert_true(fault_ipc_receive(sock, buf, sizeof(buf), &len));
        assert_true(fault_ipc_send(sock, buf, pack_status(buf, sizeof(buf))));
        assert_true(fault_ipc_receive(sock, buf, sizeof(buf), &len));
        assert_int_equal(sb_wire_unpack_reply(buf, len, &reply, NULL), SOCKBROKER_OK);
        assert_int_equal(reply.kind, SB_REPLY_STATUS);
    }
    sb_socket_close(&sock);
    finish(b, w);
}

/* F70: a request in writes of one byte is a request. */
static void request_in_single_bytes_is_answered(void **state)
{
    struct kit_broker *b = start("web=[::]:0", NULL);
    uint8_t body[64], frame[96], answer[SB_MESSAGE_MAX];
    size_t len = pack_status(body, sizeof(body));
    int sock = fault_knock(b, "control");
    size_t n = 0;

    (void)state;
    memcpy(frame, fault_sp_req, FAULT_SP_GREETING);
    n += FAULT_SP_GREETING;
    n += fault_ipc_head(4 + len, frame + n);
    memcpy(frame + n, "\x80\0\0\x01", 4);
    memcpy(frame + n + 4, body, len);
    n += 4 + len;
    for (size_t i = 0; i < n; i++)
        assert_int_equal(send(sock, frame + i, 1, MSG_NOSIGNAL), 1);
    assert_int_equal(recv(sock, answer, FAULT_SP_GREETING, MSG_WAITALL), FAULT_SP_GREETING);
    assert_true(fault_ipc_receive(sock, answer, sizeof(answer), &len));
    sb_socket_close(&sock);
    finish(b, NULL);
}

/* ---- floods and slowness ---- */

/* F72: one caller asks as fast as it can and reads nothing. */
static void flood_of_one_caller_delays_nobody_else(void **state)
{
    struct kit_broker *b = start("web=[::]:0", "messages_per_second=100");
    struct kit_process *w = start_worker(b, "w1");
    struct kit_load_result r;
    uint8_t body[64];
    size_t len = pack_status(body, sizeof(body));
    int sock = fault_ipc_open(b);
    unsigned n_sent = 0;

    (void)state;
    fcntl(sock, F_SETFL, O_NONBLOCK);
    struct kit_load *load =
        kit_load_start(&(struct kit_load_options){ .port = kit_broker_port(b, "web"), .total = 2000, .per_second = 1000 });
    while (!kit_load_is_over(load)) {
        struct pollfd p = { sock, POLLOUT, 0 };

        for (unsigned i = 0; i < 200 && fault_ipc_send(sock, body, len); i++)
            n_sent++;
        poll(&p, 1, 10);
    }
    kit_load_finish(load, &r);
    kit_load_check_all_answered(&r, 2000);
    assert_true(n_sent > 100);
    assert_true(r.slowest_ms < 1000 * FAULT_SLOWNESS);
    uint64_t begin_ms = kit_now_ms();
    struct kit_process *w2 = start_worker(b, "w2");
    assert_true(kit_now_ms() - begin_ms < 5000);
    sb_socket_close(&sock);
    kit_worker_stop(w2);
    finish(b, w);
}

/* F73, F74: what each of them has sent before it stops. */
static void callers_that_do_not_finish_are_dropped(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
        { "", 0 }, /* this and the next: nng's own deadline of 10 s */
        { "\0SP", 3 },
        { "\0SP\0\0\x30\0\0", 8 },
        { "\0SP\0\0\x30\0\0\x01\0\0", 11 },
        { "\0SP\0\0\x30\0\0\x01\0\0\0\0\0\0\0\x40", 17 },
        { "\0SP\0\0\x30\0\0\x01\0\0\0\0\0\0\0\x40\x80\0\0\x01slow", 25 },
    };
    struct kit_broker *b = start("web=[::]:0", "attach_ms=300");
    struct kit_process *w = start_worker(b, "w1");
    int socks[6];

    (void)state;
    for (size_t i = 0; i < 6; i++) {
        socks[i] = fault_knock(b, "control");
        (void)!send(socks[i], cases[i].bytes, cases[i].len, MSG_NOSIGNAL);
    }
    int stranger = fault_knock(b, "handoff");
    for (size_t i = 6; i-- > 2;) {
        if (!fault_is_closed(&socks[i], 8000)) /* less than nng's deadline */
            kit_fail("case %zu is not dropped", i);
    }
    assert_true(fault_is_closed(&stranger, 8000));
    assert_true(fault_is_closed(&socks[0], KIT_WAIT_MS));
    assert_true(fault_is_closed(&socks[1], KIT_WAIT_MS));
    finish(b, w);
}

/* F73: far more than the cap on both sockets; whoever comes with something to say gets in. */
static void silent_crowd_keeps_nobody_out(void **state)
{
    struct kit_broker *b = kit_broker_start(
        &(struct kit_start){ .args = { "--endpoint", "web=[::]:0", "--set", "max_sessions=8", "--set", "attach_ms=60000" } });
    struct kit_process *w = start_worker(b, "w1");
    static int socks[1000];
    unsigned n_open = 0;

    (void)state;
    for (unsigned i = 0; i < 1000; i++)
        socks[i] = i % 2 ? fault_ipc_open(b) : fault_knock(b, "handoff");
    unsigned n_fds = kit_count_fds(b->process->pid);
    assert_true(n_fds < 700); /* memory and descriptors are bounded */
    struct kit_process *w2 = start_worker(b, "w2");
    fault_check_serves(b, 40);
    for (unsigned i = 0; i < 1000; i++) {
        struct pollfd p = { socks[i], POLLIN, 0 };

        n_open += poll(&p, 1, 0) == 0;
        sb_socket_close(&socks[i]);
    }
    assert_true(n_open > 0 && n_open < 1000);
    assert_true(fault_broker_status(b).busy_refusals > 0);
    kit_worker_stop(w2);
    finish(b, w);
}

/* F75 */
static void connecting_and_leaving_does_nothing(void **state)
{
    struct kit_broker *b = start("web=[::]:0", NULL);
    struct kit_process *w = start_worker(b, "w1");

    (void)state;
    for (unsigned i = 0; i < 10000; i++) {
        int one = fault_knock(b, "control");
        int two = fault_knock(b, "handoff");

        if (i % 4 == 1)
            (void)!send(one, fault_sp_req, i % FAULT_SP_GREETING, MSG_NOSIGNAL);
        sb_socket_close(&one);
        sb_socket_close(&two);
    }
    fault_check_serves(b, 100);
    finish(b, w);
}

/* ---- tokens ---- */

static void attach_raw(struct fault_raw *r, struct kit_broker *b, const char *name)
{
    static const struct fault_raw none = FAULT_RAW_NONE;
    struct sockbroker_error error;
    struct sb_attach attach;

    *r = none;
    fault_raw_fill(&attach, name, "web", 4);
    if (fault_raw_attach(r, b->dir, &attach, &error))
        kit_fail("%s", error.text);
}

/* F76 */
static void wrong_token_is_refused_and_counted_and_never_logged(void **state)
{
    struct kit_broker *b = start("web=[::]:0", NULL);
    struct fault_raw raw;
    struct sockbroker_error error;
    char hex[2 * SB_SECRET_LEN + 1];

    (void)state;
    attach_raw(&raw, b, "raw");
    uint64_t bad = fault_broker_status(b).bad_messages;
    for (unsigned i = 0; i < 8; i++) {
        raw.attached.token[4 * i] ^= 1;
        assert_int_equal(fault_raw_hello(&raw, b->dir, &error), SOCKBROKER_REFUSED);
        raw.attached.token[4 * i] ^= 1;
    }
    raw.attached.session.id ^= 2;
    assert_int_equal(fault_raw_hello(&raw, b->dir, &error), SOCKBROKER_NOT_FOUND);
    raw.attached.session.id ^= 2;
    assert_int_equal(fault_broker_status(b).bad_messages, bad + 9);
    assert_int_equal(fault_raw_hello(&raw, b->dir, &error), SOCKBROKER_OK);
    sockbroker_socket end = raw.end;
    assert_int_equal(fault_raw_hello(&raw, b->dir, &error), SOCKBROKER_NOT_FOUND); /* once */
    raw.end = end;
    kit_broker_wait_log(b, "event=hello_refused");
    fault_write_hex(raw.attached.token, SB_SECRET_LEN, hex);
    hex[16] = '\0';
    assert_false(kit_process_has_log(b->process, hex));
    fault_raw_close(&raw);
    finish(b, NULL);
}

/* The token of a session, shown by another process. */
static struct kit_process *show_token(struct kit_broker *b, const struct fault_raw *raw, const char *user)
{
    struct sb_hello hello = { .session_id = raw->attached.session.id };

    memcpy(hello.token, raw->attached.token, sizeof(hello.token));
    return fault_show_token(b, &hello, user);
}

/* F78: a process of the same user with the right token. */
static void token_is_good_for_the_process_that_attached_only(void **state)
{
    struct kit_broker *b = start("web=[::]:0", NULL);
    struct fault_raw raw;
    struct sockbroker_error error;

    (void)state;
    attach_raw(&raw, b, "raw");
    fault_worker_said(show_token(b, &raw, NULL), "hello gave REFUSED");
    assert_int_equal(fault_raw_hello(&raw, b->dir, &error), SOCKBROKER_OK);
    fault_raw_close(&raw);
    finish(b, NULL);
}

/* A broker that others can reach, when we may become others. NULL: skip. */
static struct kit_broker *start_public(const char *endpoint, char dir[64])
{
    if (geteuid() != 0)
        skip();
    format_text(dir, 64, "/tmp/sbfault-XXXXXX");
    assert_non_null(mkdtemp(dir));
    assert_int_equal(chmod(dir, 0711), 0);
    return kit_broker_start(&(struct kit_start){
        .args = { "--endpoint", endpoint, "--set", "dir_mode=0711", "--set", "max_sessions_per_uid=2" }, .dir = dir });
}

static void finish_public(struct kit_broker *b, struct kit_process *w, const char *dir)
{
    char lock[96];

    finish(b, w);
    format_text(lock, sizeof(lock), "%s/lock", dir);
    unlink(lock);
    assert_int_equal(rmdir(dir), 0);
}

/* F77 */
static void right_token_from_another_user_is_refused(void **state)
{
    char dir[64];
    struct kit_broker *b = start_public("web=[::]:0", dir);
    struct fault_raw raw;
    struct sockbroker_error error;

    (void)state;
    attach_raw(&raw, b, "raw");
    fault_worker_said(show_token(b, &raw, STRANGER), "hello gave REFUSED");
    assert_int_equal(fault_raw_hello(&raw, b->dir, &error), SOCKBROKER_OK);
    fault_raw_close(&raw);
    finish_public(b, NULL, dir);
}

/* ---- who may serve and drain ---- */

static struct kit_process *launch_as(struct kit_broker *b, const char *name, const char *uid, const char *gid)
{
    const char *const args[] = { name, "4", uid, gid, NULL };

    return fault_worker_launch(b, args);
}

static void check_admitted(struct kit_broker *b, const char *uid, const char *gid, bool admitted)
{
    struct kit_process *p = launch_as(b, "other", uid, gid);

    if (admitted) {
        kit_process_wait_log(p, "ready\n");
        kit_process_kill(p);
        kit_broker_wait_worker(b, "other", "gone");
    } else {
        fault_worker_said(p, "attach gave REFUSED: uid ");
    }
}

static void endpoint_rules_decide_which_users_may_serve(void **state)
{
    static const struct {
        const char *rule;
        bool ok_1000, ok_1001, ok_gid;
    } cases[] = {
        { "", false, false, false },
        { ",allow_uid=1000", true, false, false },
        { ",allow_gid=2000", false, false, true },
        { ",allow_uid=1000+1001,allow_gid=2000", true, true, true },
        { ",allow_uid=0", false, false, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char dir[64], endpoint[96];

        format_text(endpoint, sizeof(endpoint), "web=[::]:0%s", cases[i].rule);
        struct kit_broker *b = start_public(endpoint, dir);
        check_admitted(b, "1000", "3000", cases[i].ok_1000);
        check_admitted(b, "1001", "3000", cases[i].ok_1001);
        check_admitted(b, "1002", "2000", cases[i].ok_gid);
        if (!cases[i].rule[0] || strstr(cases[i].rule, "=0")) {
            finish_public(b, NULL, dir);
            continue;
        }
        kit_broker_stop(b); /* root is not on the list */
        char lock[96];
        format_text(lock, sizeof(lock), "%s/lock", dir);
        unlink(lock);
        assert_int_equal(rmdir(dir), 0);
    }
}

/* F81: the numbers are unsigned. */
static void uids_beyond_2_31_are_numbers_like_others(void **state)
{
    static const char *const bad[] = { "-1", "4294967296", "-2147483648", "+5", "0x10", "4294967295", "" };
    char dir[64], output[512];
    struct kit_broker *b = start_public("web=[::]:0,allow_uid=2147483648+4294967294+0", dir);

    (void)state;
    check_admitted(b, "2147483648", "2147483648", true);
    check_admitted(b, "4294967294", "4294967294", true);
    check_admitted(b, "2147483647", "2147483647", false);
    finish_public(b, NULL, dir);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char endpoint[64];
        const char *const args[] = { "check", "--endpoint", endpoint, NULL };

        format_text(endpoint, sizeof(endpoint), "web=[::]:0,allow_uid=%s", bad[i]);
        if (kit_run(args, output, sizeof(output)) != 2 || !strstr(output, "allow_uid"))
            kit_fail("allow_uid=%s: %s", bad[i], output);
    }
}

static void only_the_brokers_user_may_drain(void **state)
{
    char dir[64];
    struct kit_broker *b = start_public("web=[::]:0", dir);
    struct kit_process *w = start_worker(b, "w1");

    (void)state;
    fault_worker_said(fault_ask_drain(b, "w1", STRANGER), "drain gave REFUSED");
    assert_string_equal(kit_worker_status(b, "w1").state, "ready");
    fault_worker_said(fault_ask_drain(b, "w1", NULL), "drain gave OK");
    kit_process_wait_log(w, "draining\n");
    assert_int_equal(kit_process_wait(w), 0);
    kit_process_free(w);
    kit_broker_wait_worker(b, "w1", "gone");
    finish_public(b, NULL, dir);
}

/* One user's workers are counted; root and the broker's own user are not. */
static void workers_of_one_user_are_limited(void **state)
{
    char dir[64];
    struct kit_broker *b = start_public("web=[::]:0,allow_uid=1000+0", dir);
    struct kit_process *one = launch_as(b, "one", "1000", "1000");
    struct kit_process *two = launch_as(b, "two", "1000", "1000");

    (void)state;
    kit_process_wait_log(one, "ready\n");
    kit_process_wait_log(two, "ready\n");
    fault_worker_said(launch_as(b, "three", "1000", "1000"), "attach gave BUSY");
    kit_process_kill(one);
    kit_broker_wait_worker(b, "one", "gone");
    one = launch_as(b, "one", "1000", "1000");
    kit_process_wait_log(one, "ready\n");
    kit_process_kill(one);
    kit_process_kill(two);
    kit_broker_wait_ready(b, 0);
    finish_public(b, NULL, dir);
}

/* ---- names ---- */

/* F80 */
static void name_of_a_living_worker_is_taken(void **state)
{
    struct kit_broker *b = start("web=[::]:0", NULL);
    struct kit_process *w = start_worker(b, "w1");
    struct sockbroker_error error;
    struct sb_attach attach;
    struct fault_raw raw = FAULT_RAW_NONE;

    (void)state;
    fault_raw_fill(&attach, "w1", "web", 4);
    assert_int_equal(fault_raw_attach(&raw, b->dir, &attach, &error), SOCKBROKER_NAME_TAKEN);
    attach.has_resume = true; /* by somebody who guesses */
    attach.resume.id = kit_worker_status(b, "w1").id;
    assert_int_equal(fault_raw_attach(&raw, b->dir, &attach, &error), SOCKBROKER_NAME_TAKEN);
    assert_string_equal(kit_worker_status(b, "w1").state, "ready");
    fault_raw_close(&raw);
    finish(b, w);
}

/* F80 */
static void resume_secret_takes_the_name_over(void **state)
{
    struct kit_broker *b = start("web=[::]:0", NULL);
    struct fault_raw first, second = FAULT_RAW_NONE;
    struct sockbroker_error error;
    struct sb_attach attach;

    (void)state;
    fault_raw_start(&first, b, "raw", 4);
    sockbroker_socket sock = kit_connect(NULL, "::1", kit_broker_port(b, "web"));
    fault_wait_unacked(b, "raw", 1);
    fault_raw_fill(&attach, "raw", "web", 4);
    attach.has_resume = true;
    attach.resume = first.attached.session;
    attach.resume.secret[31] ^= 1;
    assert_int_equal(fault_raw_attach(&second, b->dir, &attach, &error), SOCKBROKER_NAME_TAKEN);
    attach.resume.secret[31] ^= 1;
    assert_int_equal(fault_raw_attach(&second, b->dir, &attach, &error), SOCKBROKER_OK);
    assert_true(fault_raw_is_dismissed(&first, KIT_WAIT_MS));
    assert_int_equal(fault_raw_hello(&second, b->dir, &error), SOCKBROKER_OK);
    assert_int_equal(fault_raw_park(&second), SOCKBROKER_OK);
    sockbroker_socket taken; /* what the first had not read */
    fault_raw_report(&second, fault_raw_must_take(&second, &taken), SB_VERDICT_ACK);
    sb_socket_close(&taken);
    assert_false(fault_ends_reset(&sock));
    fault_raw_close(&first);
    fault_raw_close(&second);
    finish(b, NULL);
}

/* F80 */
static void name_of_a_dead_worker_is_free_at_once(void **state)
{
    struct kit_broker *b = start("web=[::]:0", NULL);

    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        struct kit_process *w = kit_worker_start(b, "w1", "hello", NULL);

        kit_process_strike(w);
        kit_process_wait(w);
        kit_process_free(w);
    }
    finish(b, start_worker(b, "w1"));
}

/* ---- meaning ---- */

static void attach_requests_that_make_no_sense_are_refused(void **state)
{
    struct kit_broker *b = start("web=[::]:0", NULL);
    struct sockbroker_error error;
    struct sb_attach attach;
    struct fault_raw raw = FAULT_RAW_NONE;

    (void)state;
    fault_raw_fill(&attach, "raw", "nowhere", 4);
    assert_int_equal(fault_raw_attach(&raw, b->dir, &attach, &error), SOCKBROKER_NOT_FOUND);
    fault_raw_fill(&attach, "raw", "web", 4);
    attach.version_min = attach.version_max = SB_PROTOCOL_VERSION + 1;
    assert_int_equal(fault_raw_attach(&raw, b->dir, &attach, &error), SOCKBROKER_VERSION);
    attach.version_max = UINT32_MAX;
    assert_int_equal(fault_raw_attach(&raw, b->dir, &attach, &error), SOCKBROKER_VERSION);
    fault_raw_close(&raw);
    finish(b, NULL);
}

/* Before attach, with a wrong secret, and after detach. */
static void requests_of_unknown_sessions_are_refused(void **state)
{
    struct kit_broker *b = start("web=[::]:0", NULL);
    struct fault_raw raw;
    bool kept;

    (void)state;
    fault_raw_start(&raw, b, "raw", 4);
    raw.attached.session.id ^= 2;
    assert_int_equal(fault_raw_settle(&raw, 1, SB_VERDICT_ACK, &kept), SOCKBROKER_NOT_FOUND);
    raw.attached.session.id ^= 2;
    raw.attached.session.secret[0] ^= 1;
    uint64_t bad = fault_broker_status(b).bad_messages;
    assert_int_equal(fault_raw_settle(&raw, 1, SB_VERDICT_ACK, &kept), SOCKBROKER_REFUSED);
    assert_int_equal(fault_broker_status(b).bad_messages, bad + 1);
    raw.attached.session.secret[0] ^= 1;
    struct fault_raw after = raw;
    after.client = NULL;
    after.end = SOCKBROKER_SOCKET_NONE;
    fault_raw_close(&raw);
    kit_broker_wait_worker(b, "raw", "gone");
    struct sockbroker_error error;
    assert_int_equal(fault_raw_hello(&after, b->dir, &error), SOCKBROKER_NOT_FOUND);
    finish(b, NULL);
}

/* ---- bad packets ---- */

static void send_bad_packet(void *arg, const uint8_t *data, size_t len, const char *name)
{
    struct kit_broker *b = arg;
    struct fault_raw raw;

    fault_raw_start(&raw, b, "raw", 4);
    if (send(raw.end, data, len, MSG_NOSIGNAL) != (ssize_t)len)
        kit_fail("%s: %s", name, strerror(errno));
    if (!fault_raw_is_dismissed(&raw, KIT_WAIT_MS))
        kit_fail("%s is accepted", name);
    kit_broker_wait_worker(b, "raw", "gone");
    fault_raw_close(&raw);
}

static void bad_packets_on_the_pair_end_the_session(void **state)
{
    static const uint8_t good[] = { 0x0a, 0x0b, 0x09, 1, 0, 0, 0, 0, 0, 0, 0, 0x10, 0x05 };
    static uint8_t big[60000];
    struct kit_broker *b = start("web=[::]:0", NULL);
    struct kit_process *w = start_worker(b, "w1");

    (void)state;
    assert_true(for_each_input("reject_report_", send_bad_packet, b) > 3);
    for (size_t cut = 1; cut < sizeof(good); cut++)
        send_bad_packet(b, good, cut, "a report cut short");
    send_bad_packet(b, big, SB_PACKET_MAX, "zeros");
    send_bad_packet(b, big, SB_PACKET_MAX + 1, "one byte too many");
    send_bad_packet(b, big, sizeof(big), "60,000 bytes");
    memset(big, 0x0a, sizeof(big));
    send_bad_packet(b, big, SB_PACKET_MAX, "sub-messages");
    send_bad_packet(b, (const uint8_t *)"", 0, "an empty packet");
    finish(b, w);
}

/* The worker shuts its end down instead. */
static void pair_that_is_shut_ends_the_session(void **state)
{
    static const int how[] = { SHUT_WR, SHUT_RD, SHUT_RDWR };
    struct kit_broker *b = start("web=[::]:0", NULL);

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct fault_raw raw;

        fault_raw_start(&raw, b, "raw", 4);
        shutdown(raw.end, how[i]);
        sockbroker_socket sock =
            kit_connect(NULL, "::1", kit_broker_port(b, "web")); /* at the latest when something is sent to it */
        kit_broker_wait_worker(b, "raw", "gone");
        struct kit_process *w = start_worker(b, "w1");
        assert_int_equal(fault_answers_by(&sock, 1, "w1"), 1);
        kit_worker_stop(w);
        fault_raw_close(&raw);
        kit_broker_wait_ready(b, 0);
    }
    finish(b, NULL);
}

/* Reports as fast as they go, all valid: others get their turn. */
static void flood_of_reports_delays_nobody_else(void **state)
{
    static const uint8_t finished[] = { 0x0a, 0x0b, 0x09, 1, 0, 0, 0, 0, 0, 0, 0, 0x10, 0x05 };
    struct kit_broker *b = start("web=[::]:0", NULL);
    struct kit_process *w = start_worker(b, "w1");
    struct fault_raw raw;
    struct kit_load_result r;

    (void)state;
    fault_raw_start(&raw, b, "raw", 1);
    sockbroker_socket sock =
        kit_connect(NULL, "::1", kit_broker_port(b, "web")); /* one of two goes to raw and fills its window */
    sockbroker_socket sock_2 = kit_connect(NULL, "::1", kit_broker_port(b, "web"));
    fault_wait_unacked(b, "raw", 1);
    struct kit_load *load =
        kit_load_start(&(struct kit_load_options){ .port = kit_broker_port(b, "web"), .total = 2000, .per_second = 1000 });
    while (!kit_load_is_over(load)) {
        struct pollfd p = { raw.end, POLLOUT, 0 };

        for (unsigned i = 0; i < 1000 && send(raw.end, finished, sizeof(finished), MSG_DONTWAIT | MSG_NOSIGNAL) > 0; i++)
            continue;
        poll(&p, 1, 10);
    }
    kit_load_finish(load, &r);
    kit_load_check_all_answered(&r, 2000);
    assert_true(r.slowest_ms < 1000 * FAULT_SLOWNESS);
    fault_raw_close(&raw);
    kit_broker_wait_worker(b, "raw", "gone");
    kit_broker_wait_settled(b);
    kit_close(&sock);
    kit_close(&sock_2);
    finish(b, w);
}

static void greet_badly(void *arg, const uint8_t *data, size_t len, const char *name)
{
    int sock = fault_knock(arg, "handoff");

    if (len && send(sock, data, len, MSG_NOSIGNAL) != (ssize_t)len)
        kit_fail("%s: %s", name, strerror(errno));
    if (!fault_is_closed(&sock, KIT_WAIT_MS))
        kit_fail("%s is accepted", name);
}

static void bad_packets_on_the_handoff_socket_are_hung_up_on(void **state)
{
    static uint8_t big[60000];
    struct kit_broker *b = start("web=[::]:0", NULL);
    struct kit_process *w = start_worker(b, "w1");

    (void)state;
    uint64_t bad = fault_broker_status(b).bad_messages;
    unsigned n = for_each_input("reject_hello_", greet_badly, b);
    assert_true(n > 2);
    greet_badly(b, big, SB_PACKET_MAX + 1, "one byte too many");
    greet_badly(b, big, sizeof(big), "60,000 bytes");
    kit_until(fault_broker_status(b).bad_messages == bad + n + 2);
    n = for_each_input("accept_hello_", greet_badly, b); /* of a session that nobody has */
    assert_true(n > 1);
    finish(b, w);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(wrong_greetings_are_hung_up_on),
        TEST(frames_of_impossible_length_are_hung_up_on),
        TEST(frames_that_are_no_requests_get_no_reply),
        TEST(bad_requests_are_answered_with_a_reason),
        TEST(caller_that_was_wrong_may_ask_again),
        TEST(request_in_single_bytes_is_answered),
        TEST(flood_of_one_caller_delays_nobody_else),
        TEST(callers_that_do_not_finish_are_dropped),
        TEST(silent_crowd_keeps_nobody_out),
        TEST(connecting_and_leaving_does_nothing),
        TEST(wrong_token_is_refused_and_counted_and_never_logged),
        TEST(token_is_good_for_the_process_that_attached_only),
        TEST(right_token_from_another_user_is_refused),
        TEST(endpoint_rules_decide_which_users_may_serve),
        TEST(uids_beyond_2_31_are_numbers_like_others),
        TEST(only_the_brokers_user_may_drain),
        TEST(workers_of_one_user_are_limited),
        TEST(name_of_a_living_worker_is_taken),
        TEST(resume_secret_takes_the_name_over),
        TEST(name_of_a_dead_worker_is_free_at_once),
        TEST(attach_requests_that_make_no_sense_are_refused),
        TEST(requests_of_unknown_sessions_are_refused),
        TEST(bad_packets_on_the_pair_end_the_session),
        TEST(pair_that_is_shut_ends_the_session),
        TEST(flood_of_reports_delays_nobody_else),
        TEST(bad_packets_on_the_handoff_socket_are_hung_up_on),
    };

    return kit_main(tests, argc, argv);
}
