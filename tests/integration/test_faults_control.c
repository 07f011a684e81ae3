/* Faults of the control protocol: rows F70 to F81 of the list of faults. Those of access, and of the other sockets:
 * test_faults_control_posix.c. */
#include <string.h>

#include "tests/integration/control_kit.h"

/* ---- bytes on the control channel ---- */

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
    struct kit_broker *b = control_start("web=[::]:0", NULL);
    struct kit_process *w = control_start_worker(b, "w1");

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        sockbroker_socket line = fault_call(b);

        fault_say(line, cases[i].bytes, cases[i].len);
        if (!fault_is_closed(&line, KIT_WAIT_MS))
            kit_fail("greeting %zu is accepted", i);
    }
    control_finish(b, w);
}

/* F70, F71 */
static void frames_of_impossible_length_are_hung_up_on(void **state)
{
    static const uint64_t lengths[] = { SB_MESSAGE_MAX + 5, 2 * SB_MESSAGE_MAX, 1ull << 31,     1ull << 32,
                                        (1ull << 32) + 8,   INT64_MAX,          1ull << 63,     UINT64_MAX - 63,
                                        UINT64_MAX - 32,    UINT64_MAX - 8,     UINT64_MAX - 1, UINT64_MAX };
    struct kit_broker *b = control_start("web=[::]:0", NULL);
    struct kit_process *w = control_start_worker(b, "w1");

    (void)state;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        sockbroker_socket line = fault_ipc_open(b);
        uint8_t head[9];

        assert_true(fault_say(line, head, fault_ipc_head(lengths[i], head)));
        if (!fault_is_closed(&line, 2000)) /* earlier than any deadline for a slow body */
            kit_fail("length %llu is accepted", (unsigned long long)lengths[i]);
    }
    control_finish(b, w);
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
    struct kit_broker *b = control_start("web=[::]:0", "attach_ms=300");
    struct kit_process *w = control_start_worker(b, "w1");

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        sockbroker_socket line = fault_ipc_open(b);
        char byte;

        assert_true(fault_say(line, cases[i].bytes, cases[i].len));
        assert_int_equal(fault_hear(line, &byte, 1, KIT_WAIT_MS), 0); /* by attach_ms at the latest */
        fault_hang_up(&line);
    }
    control_finish(b, w);
}

/* A Failure with a reason, or, for a message beyond the cap, the end. */
static void ask_badly(void *arg, const uint8_t *data, size_t len, const char *name)
{
    static struct sb_reply reply;
    struct kit_broker *b = arg;
    uint8_t answer[SB_MESSAGE_MAX];
    size_t answer_len;
    sockbroker_socket line = fault_ipc_open(b);

    if (fault_ipc_send(line, data, len) && fault_ipc_receive(line, answer, sizeof(answer), &answer_len)) {
        assert_int_equal(sb_wire_unpack_reply(answer, answer_len, &reply, NULL), SOCKBROKER_OK);
        if (reply.kind != SB_REPLY_FAILURE || reply.as.failure.status != SOCKBROKER_BAD_MESSAGE || !reply.as.failure.text[0])
            kit_fail("%s is not refused", name);
    } else if (len + 4 <= SB_MESSAGE_MAX) {
        kit_fail("%s gets no reason", name);
    }
    fault_hang_up(&line);
}

/* F70 */
static void bad_requests_are_answered_with_a_reason(void **state)
{
    struct kit_broker *b = control_start("web=[::]:0", NULL);
    struct kit_process *w = control_start_worker(b, "w1");
    uint8_t good[SB_MESSAGE_MAX];
    size_t len = control_pack_status(good, sizeof(good));

    (void)state;
    uint64_t bad = fault_broker_status(b).bad_messages;
    unsigned n = control_for_each_input("reject_request_", ask_badly, b);
    assert_true(n > 10);
    for (size_t cut = 1; cut < len; cut++) {
        ask_badly(b, good, cut, "a request cut short");
        n++;
    }
    assert_int_equal(fault_broker_status(b).bad_messages, bad + n);
    control_finish(b, w);
}

/* One caller may be wrong as often as it likes; the next request on the same connection is answered. */
static void caller_that_was_wrong_may_ask_again(void **state)
{
    struct kit_broker *b = control_start("web=[::]:0", NULL);
    struct kit_process *w = control_start_worker(b, "w1");
    static struct sb_reply reply;
    uint8_t buf[SB_MESSAGE_MAX];
    size_t len;
    sockbroker_socket line = fault_ipc_open(b);

    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        assert_true(fault_ipc_send(line, "\xff\xff\xff", 3));
        assert_true(fault_ipc_receive(line, buf, sizeof(buf), &len));
        assert_true(fault_ipc_send(line, buf, control_pack_status(buf, sizeof(buf))));
        assert_true(fault_ipc_receive(line, buf, sizeof(buf), &len));
        assert_int_equal(sb_wire_unpack_reply(buf, len, &reply, NULL), SOCKBROKER_OK);
        assert_int_equal(reply.kind, SB_REPLY_STATUS);
    }
    fault_hang_up(&line);
    control_finish(b, w);
}

/* F70: a request in writes of one byte is a request. */
static void request_in_single_bytes_is_answered(void **state)
{
    struct kit_broker *b = control_start("web=[::]:0", NULL);
    uint8_t body[64], frame[96], answer[SB_MESSAGE_MAX];
    size_t len = control_pack_status(body, sizeof(body));
    sockbroker_socket line = fault_call(b);
    size_t n = 0;

    (void)state;
    memcpy(frame, fault_sp_req, FAULT_SP_GREETING);
    n += FAULT_SP_GREETING;
    n += fault_ipc_head(4 + len, frame + n);
    memcpy(frame + n, "\x80\0\0\x01", 4);
    memcpy(frame + n + 4, body, len);
    n += 4 + len;
    for (size_t i = 0; i < n; i++)
        assert_true(fault_say(line, frame + i, 1));
    assert_true(fault_hear_all(line, answer, FAULT_SP_GREETING));
    assert_true(fault_ipc_receive(line, answer, sizeof(answer), &len));
    fault_hang_up(&line);
    control_finish(b, NULL);
}

/* ---- floods and slowness ---- */

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
    struct kit_broker *b = control_start("web=[::]:0", "attach_ms=300");
    struct kit_process *w = control_start_worker(b, "w1");
    sockbroker_socket lines[6];

    (void)state;
    for (size_t i = 0; i < 6; i++) {
        lines[i] = fault_call(b);
        fault_say(lines[i], cases[i].bytes, cases[i].len);
    }
    for (size_t i = 6; i-- > 2;) {
        if (!fault_is_closed(&lines[i], 8000)) /* less than nng's deadline */
            kit_fail("case %zu is not dropped", i);
    }
    assert_true(fault_is_closed(&lines[0], KIT_WAIT_MS));
    assert_true(fault_is_closed(&lines[1], KIT_WAIT_MS));
    control_finish(b, w);
}

/* F73: far more than the cap; whoever comes with something to say gets in. */
static void silent_crowd_keeps_nobody_out(void **state)
{
    struct kit_broker *b = kit_broker_start(
        &(struct kit_start){ .args = { "--endpoint", "web=[::]:0", "--set", "max_sessions=8", "--set", "attach_ms=60000" } });
    struct kit_process *w = control_start_worker(b, "w1");
    sockbroker_socket lines[500];
    unsigned n_open = 0;

    (void)state;
    for (unsigned i = 0; i < 500; i++)
        lines[i] = fault_ipc_open(b);
    assert_true(kit_count_fds(b->process->pid) < 400); /* memory and descriptors are bounded */
    struct kit_process *w2 = control_start_worker(b, "w2");
    fault_check_serves(b, 40);
    for (unsigned i = 0; i < 500; i++) {
        char byte;

        n_open += fault_hear(lines[i], &byte, 1, 0) < 0;
        fault_hang_up(&lines[i]);
    }
    assert_true(n_open > 0 && n_open < 500);
    assert_true(fault_broker_status(b).busy_refusals > 0);
    kit_worker_stop(w2);
    control_finish(b, w);
}

/* F75 */
static void calling_and_leaving_does_nothing(void **state)
{
    struct kit_broker *b = control_start("web=[::]:0", NULL);
    struct kit_process *w = control_start_worker(b, "w1");

    (void)state;
    for (unsigned i = 0; i < fault_n_visits; i++) {
        sockbroker_socket line = fault_call(b);

        if (i % 4 == 1)
            fault_say(line, fault_sp_req, i % FAULT_SP_GREETING);
        fault_hang_up(&line);
    }
    fault_check_serves(b, 100);
    control_finish(b, w);
}

/* ---- tokens ---- */

/* F76 */
static void wrong_token_is_refused_and_counted_and_never_logged(void **state)
{
    struct kit_broker *b = control_start("web=[::]:0", NULL);
    struct fault_raw raw;
    struct sockbroker_error error;
    char hex[2 * SB_SECRET_LEN + 1];

    (void)state;
    control_attach_raw(&raw, b, "raw");
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
    control_finish(b, NULL);
}

/* F78: a process of the same user with the right token. */
static void token_is_good_for_the_process_that_attached_only(void **state)
{
    struct kit_broker *b = control_start("web=[::]:0", NULL);
    struct fault_raw raw;
    struct sockbroker_error error;

    (void)state;
    control_attach_raw(&raw, b, "raw");
    fault_worker_said(control_show_token(b, &raw, NULL), "hello gave REFUSED");
    assert_int_equal(fault_raw_hello(&raw, b->dir, &error), SOCKBROKER_OK);
    fault_raw_close(&raw);
    control_finish(b, NULL);
}

/* ---- names ---- */

/* F80 */
static void name_of_a_living_worker_is_taken(void **state)
{
    struct kit_broker *b = control_start("web=[::]:0", NULL);
    struct kit_process *w = control_start_worker(b, "w1");
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
    control_finish(b, w);
}

/* F80 */
static void name_of_a_dead_worker_is_free_at_once(void **state)
{
    struct kit_broker *b = control_start("web=[::]:0", NULL);

    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        struct kit_process *w = kit_worker_start(b, "w1", "hello", NULL);

        kit_process_strike(w);
        kit_process_wait(w);
        kit_process_free(w);
    }
    control_finish(b, control_start_worker(b, "w1"));
}

/* ---- meaning ---- */

static void attach_requests_that_make_no_sense_are_refused(void **state)
{
    struct kit_broker *b = control_start("web=[::]:0", NULL);
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
    control_finish(b, NULL);
}

/* Before attach, with a wrong secret, and after detach. */
static void requests_of_unknown_sessions_are_refused(void **state)
{
    struct kit_broker *b = control_start("web=[::]:0", NULL);
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
    assert_int_equal(fault_raw_connect(&after, b->dir, &error), SOCKBROKER_OK);
    assert_int_equal(fault_raw_hello(&after, b->dir, &error), SOCKBROKER_NOT_FOUND);
    fault_raw_close(&after);
    control_finish(b, NULL);
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
        TEST(callers_that_do_not_finish_are_dropped),
        TEST(silent_crowd_keeps_nobody_out),
        TEST(calling_and_leaving_does_nothing),
        TEST(wrong_token_is_refused_and_counted_and_never_logged),
        TEST(token_is_good_for_the_process_that_attached_only),
        TEST(name_of_a_living_worker_is_taken),
        TEST(name_of_a_dead_worker_is_free_at_once),
        TEST(attach_requests_that_make_no_sense_are_refused),
        TEST(requests_of_unknown_sessions_are_refused),
    };

    return kit_main(tests, argc, argv);
}
