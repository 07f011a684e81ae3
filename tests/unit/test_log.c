/* What log.h promises: the shape of a line, nobody waits for the reader of stderr, drops are told, floods are cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "broker/log.h"
#include "broker/log_limit.h"
#include "proto/clock.h"
#include "tests/support/format.h"

#define SECOND_NS UINT64_C(1000000000)
#define SLOW_NS (2 * SECOND_NS) /* far above what is promised: these machines are busy */

/* ---- support: stderr becomes a pipe of ours ---- */

static int real_stderr;
static int reader;

static int setup(void **state)
{
    int ends[2];

    (void)state;
    unsetenv("JOURNAL_STREAM");
    real_stderr = dup(2);
    if (real_stderr < 0 || pipe(ends))
        return -1;
    reader = ends[0];
    dup2(ends[1], 2);
    close(ends[1]);
    return 0;
}

static void restore_stderr(void)
{
    if (real_stderr < 0)
        return;
    dup2(real_stderr, 2);
    close(real_stderr);
    real_stderr = -1;
}

static int teardown(void **state)
{
    (void)state;
    sb_log_close();
    restore_stderr();
    if (reader >= 0)
        close(reader);
    return 0;
}

/* One line, without its newline; waits at most ten seconds. */
static void read_line(char *line, size_t size)
{
    struct pollfd p = { .fd = reader, .events = POLLIN };
    size_t len = 0;

    while (len + 1 < size) {
        assert_int_equal(poll(&p, 1, 10000), 1);
        assert_int_equal(read(reader, line + len, 1), 1);
        if (line[len] == '\n')
            break;
        len++;
    }
    line[len] = '\0';
}

static void expect_line(const char *end)
{
    char line[SB_LOG_LINE_MAX + 1];

    read_line(line, sizeof(line));
    assert_true(strlen(line) >= strlen(end));
    assert_string_equal(line + strlen(line) - strlen(end), end);
}

static bool nothing_to_read(void)
{
    struct pollfd p = { .fd = reader, .events = POLLIN };

    return poll(&p, 1, 0) == 0;
}

/* How many bytes it took. */
static size_t fill_pipe(void)
{
    static char bytes[4096];
    int flags = fcntl(2, F_GETFL);
    size_t total = 0;

    memset(bytes, '\n', sizeof(bytes));
    fcntl(2, F_SETFL, flags | O_NONBLOCK);
    for (size_t size = sizeof(bytes); size > 0; size /= 2)
        for (ssize_t n; (n = write(2, bytes, size)) > 0;)
            total += (size_t)n;
    fcntl(2, F_SETFL, flags);
    return total;
}

/* Each name is limited by itself, so many names make many lines. */
static void log_many(unsigned n)
{
    char event[16];

    for (unsigned i = 0; i < n; i++) {
        format_text(event, sizeof(event), "many_%u", i % 100);
        sb_log(SB_LOG_INFO, event, "i=%u", i);
    }
}

/* ---- the shape of a line ---- */

static void line_has_time_level_event_and_values(void **state)
{
    char line[SB_LOG_LINE_MAX + 1];

    (void)state;
    assert_int_equal(sb_log_open(SB_LOG_INFO), SOCKBROKER_OK);
    sb_log(SB_LOG_WARNING, "session_died", "worker=%s pid=%u", "web1", 12u);
    read_line(line, sizeof(line));
    assert_int_equal(line[4], '-');
    assert_int_equal(line[10], 'T');
    assert_int_equal(line[19], '.');
    assert_string_equal(line + 23, "Z level=warning event=session_died worker=web1 pid=12");
}

static void journal_gets_a_priority_and_no_time(void **state)
{
    char stream[64], line[SB_LOG_LINE_MAX + 1];
    struct stat st;

    (void)state;
    assert_int_equal(fstat(2, &st), 0);
    format_text(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    assert_int_equal(sb_log_open(SB_LOG_INFO), SOCKBROKER_OK);
    sb_log(SB_LOG_ERROR, "bind_failed", "endpoint=%s", "web");
    read_line(line, sizeof(line));
    assert_string_equal(line, "<3>event=bind_failed endpoint=web");
}

static void journal_of_somebody_else_does_not_count(void **state)
{
    (void)state;
    setenv("JOURNAL_STREAM", "1:2", 1);
    assert_int_equal(sb_log_open(SB_LOG_INFO), SOCKBROKER_OK);
    sb_log(SB_LOG_INFO, "started", "pid=%d", 1);
    expect_line("Z level=info event=started pid=1");
}

static void levels_below_are_left_out(void **state)
{
    (void)state;
    assert_int_equal(sb_log_open(SB_LOG_NOTICE), SOCKBROKER_OK);
    sb_log(SB_LOG_INFO, "no", "n=%d", 1);
    sb_log(SB_LOG_NOTICE, "yes", "n=%d", 2);
    sb_log_set_level(SB_LOG_DEBUG);
    sb_log(SB_LOG_DEBUG, "yes", "n=%d", 3);
    sb_log_set_level(SB_LOG_ERROR);
    sb_log(SB_LOG_WARNING, "no", "n=%d", 4);
    sb_log(SB_LOG_ERROR, "yes", "n=%d", 5);
    expect_line("event=yes n=2");
    expect_line("event=yes n=3");
    expect_line("event=yes n=5");
}

static void long_lines_are_cut(void **state)
{
    char text[2 * SB_LOG_LINE_MAX], line[SB_LOG_LINE_MAX + 1];

    (void)state;
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(sb_log_open(SB_LOG_INFO), SOCKBROKER_OK);
    sb_log(SB_LOG_INFO, "long", "text=%s", text);
    sb_log(SB_LOG_INFO, "next", "n=%d", 1);
    read_line(line, sizeof(line));
    assert_int_equal(strlen(line), SB_LOG_LINE_MAX - 1);
    assert_string_equal(line + SB_LOG_LINE_MAX - 5, "x...");
    expect_line("event=next n=1");
}

static void longest_event_name_does_no_harm(void **state)
{
    char event[2 * SB_LOG_LINE_MAX], line[SB_LOG_LINE_MAX + 1];

    (void)state;
    memset(event, 'e', sizeof(event));
    event[sizeof(event) - 1] = '\0';
    assert_int_equal(sb_log_open(SB_LOG_INFO), SOCKBROKER_OK);
    sb_log(SB_LOG_INFO, event, "n=%d", 1);
    read_line(line, sizeof(line));
    assert_int_equal(strlen(line), SB_LOG_LINE_MAX - 1);
}

static void one_call_is_one_line(void **state)
{
    (void)state;
    assert_int_equal(sb_log_open(SB_LOG_INFO), SOCKBROKER_OK);
    sb_log(SB_LOG_INFO, "text", "a=%s", "1\n<0>event=forged\x1b[2J");
    sb_log(SB_LOG_INFO, "bare", "%s", "");
    expect_line("event=text a=1?<0>event=forged?[2J");
    expect_line("event=bare");
    sb_log_close();
    assert_true(nothing_to_read());
}

static void lines_are_written_without_a_writer_too(void **state)
{
    (void)state;
    sb_log(SB_LOG_INFO, "early", "n=%d", 1);
    expect_line("event=early n=1");
    assert_int_equal(sb_log_open(SB_LOG_INFO), SOCKBROKER_OK);
    sb_log_close();
    sb_log(SB_LOG_INFO, "late", "n=%d", 2);
    expect_line("event=late n=2");
}

static void close_writes_what_is_queued(void **state)
{
    char line[64];

    (void)state;
    assert_int_equal(sb_log_open(SB_LOG_INFO), SOCKBROKER_OK);
    log_many(200);
    sb_log_close();
    for (unsigned i = 0; i < 200; i++) {
        format_text(line, sizeof(line), "event=many_%u i=%u", i % 100, i);
        expect_line(line);
    }
    assert_true(nothing_to_read());
    sb_log_close();
}

static void one_thread_too_many(void *arg)
{
    (void)arg;
    log_many(200);
}

static void threads_do_not_mix_their_lines(void **state)
{
    uint64_t before = sb_log_lines_dropped();
    uv_thread_t threads[3];
    char line[SB_LOG_LINE_MAX + 1];

    (void)state;
    assert_int_equal(sb_log_open(SB_LOG_INFO), SOCKBROKER_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(uv_thread_create(&threads[i], one_thread_too_many, NULL), 0);
    for (int i = 0; i < 600; i++) {
        read_line(line, sizeof(line));
        assert_string_equal(strtok(line + 23, " "), "Z");
        assert_string_equal(strtok(NULL, " "), "level=info");
    }
    for (int i = 0; i < 3; i++)
        uv_thread_join(&threads[i]);
    assert_int_equal(sb_log_lines_dropped(), before);
}

/* ---- F37: a reader that stopped ---- */

/* Reads up to a line with `piece` in it; returns how many lines of log_many() came before. */
static unsigned read_up_to(const char *piece, char line[SB_LOG_LINE_MAX + 1])
{
    unsigned n = 0;

    for (;;) {
        read_line(line, SB_LOG_LINE_MAX + 1); /* the bytes of fill_pipe() are empty lines */
        if (strstr(line, piece))
            return n;
        n += strstr(line, "event=many_") != NULL;
    }
}

static unsigned read_up_to_gap(uint64_t *n_told_out)
{
    char line[SB_LOG_LINE_MAX + 1];
    unsigned n = read_up_to("level=warning event=log_lines_dropped count=", line);

    *n_told_out = strtoull(strstr(line, "count=") + 6, NULL, 10);
    return n;
}

static void full_pipe_never_holds_the_caller_and_the_gap_is_told(void **state)
{
    uint64_t before = sb_log_lines_dropped(), begin_ns, n_told;
    char line[SB_LOG_LINE_MAX + 1];
    unsigned n_lines;

    (void)state;
    fill_pipe();
    assert_int_equal(sb_log_open(SB_LOG_INFO), SOCKBROKER_OK);
    begin_ns = sb_clock_ns();
    log_many(1900);
    assert_true(sb_clock_ns() - begin_ns < SLOW_NS);
    assert_in_range(sb_log_lines_dropped() - before, 1900 - 1025, 1900 - 1024); /* one may be in write() */
    n_lines = read_up_to_gap(&n_told);
    assert_int_equal(n_told, sb_log_lines_dropped() - before);
    sb_log(SB_LOG_INFO, "after", "n=%d", 1);
    n_lines += read_up_to("event=after n=1", line); /* a line that found a place between two drops */
    assert_int_equal(n_lines + n_told, 1900);
}

static void close_leaves_a_stuck_reader_behind(void **state)
{
    uint64_t before = sb_log_lines_dropped(), begin_ns;

    (void)state;
    fill_pipe();
    assert_int_equal(sb_log_open(SB_LOG_INFO), SOCKBROKER_OK);
    log_many(10);
    begin_ns = sb_clock_ns();
    sb_log_close();
    assert_true(sb_clock_ns() - begin_ns >= SECOND_NS / 10);
    assert_true(sb_clock_ns() - begin_ns < SLOW_NS);
    sb_log(SB_LOG_INFO, "later", "n=%d", 1); /* must not hang either */
    close(reader);                           /* ends the write() of the thread that was left behind */
    reader = -1;
    while (sb_log_lines_dropped() - before < 11)
        uv_sleep(1);
    assert_int_equal(sb_log_lines_dropped() - before, 11);
}

/* Comes right after the test before. */
static void log_opens_again_after_a_stuck_reader(void **state)
{
    (void)state;
    assert_int_equal(sb_log_open(SB_LOG_INFO), SOCKBROKER_OK);
    sb_log(SB_LOG_INFO, "again", "n=%d", 1);
    expect_line("event=again n=1"); /* and the thread of before is joined */
}

static void nonblocking_stderr_loses_nothing(void **state)
{
    char line[64];
    size_t left;

    (void)state;
    left = fill_pipe();
    fcntl(2, F_SETFL, fcntl(2, F_GETFL) | O_NONBLOCK);
    assert_int_equal(sb_log_open(SB_LOG_INFO), SOCKBROKER_OK);
    log_many(3);
    while (left > 0) {
        char bytes[4096];
        ssize_t n = read(reader, bytes, left < sizeof(bytes) ? left : sizeof(bytes));

        assert_true(n > 0);
        left -= (size_t)n;
    }
    for (unsigned i = 0; i < 3; i++) {
        format_text(line, sizeof(line), "event=many_%u i=%u", i, i);
        expect_line(line);
    }
}

static void gone_reader_and_full_disk_are_counted(void **state)
{
    uint64_t before = sb_log_lines_dropped();
    int full = open("/dev/full", O_WRONLY);

    (void)state;
    assert_true(full >= 0);
    close(reader); /* the thread must not die of SIGPIPE */
    reader = -1;
    assert_int_equal(sb_log_open(SB_LOG_INFO), SOCKBROKER_OK);
    log_many(5);
    sb_log_close();
    assert_int_equal(sb_log_lines_dropped() - before, 5);
    dup2(full, 2);
    close(full);
    assert_int_equal(sb_log_open(SB_LOG_INFO), SOCKBROKER_OK);
    log_many(5);
    sb_log_close();
    assert_int_equal(sb_log_lines_dropped() - before, 10);
}

/* ---- floods ---- */

/* Reads until `total` lines of one event are accounted for; returns how many were suppressed. The exact numbers are for
 * the tests of log_limit.h, which have a clock of their own. */
static unsigned read_flood(unsigned total)
{
    char line[SB_LOG_LINE_MAX + 1];
    unsigned n_lines = 0, n_suppressed = 0;

    while (n_lines + n_suppressed < total) {
        const char *report;

        read_line(line, sizeof(line));
        assert_non_null(strstr(line, "Z level=warning event=accept_failed "));
        report = strstr(line, " suppressed=");
        if (report)
            n_suppressed += (unsigned)strtoul(report + 12, NULL, 10);
        else
            n_lines++;
    }
    assert_int_equal(n_lines + n_suppressed, total);
    assert_true(n_lines >= 20);
    return n_suppressed;
}

static void flood_of_one_event_is_cut_and_told_at_close(void **state)
{
    (void)state;
    assert_int_equal(sb_log_open(SB_LOG_INFO), SOCKBROKER_OK);
    for (int i = 0; i < 1000; i++)
        sb_log(SB_LOG_WARNING, "accept_failed", "i=%d", i);
    sb_log_close();
    assert_true(read_flood(1000) > 0);
    assert_true(nothing_to_read());
}

/* The log stays open: the report comes by itself. */
static void flood_is_told_once_it_is_quiet(void **state)
{
    (void)state;
    assert_int_equal(sb_log_open(SB_LOG_INFO), SOCKBROKER_OK);
    for (int i = 0; i < 500; i++)
        sb_log(SB_LOG_WARNING, "accept_failed", "i=%d", i);
    assert_true(read_flood(500) > 0);
}

static struct sb_log_limits limits;

static void no_second_has_more_than_20_lines(void **state)
{
    uint64_t admitted_ns[400], t;
    size_t n = 0;

    (void)state;
    memset(&limits, 0, sizeof(limits));
    for (t = 0; t < 10 * SECOND_NS; t += SECOND_NS / 97)
        if (sb_log_limit_admit(&limits, "a", SB_LOG_INFO, t))
            admitted_ns[n++] = t;
    assert_true(n >= 10 * 20 && n <= 11 * 20);
    for (size_t i = 20; i < n; i++)
        assert_true(admitted_ns[i] - admitted_ns[i - 20] >= SECOND_NS);
}

static void lasting_flood_is_told_every_minute(void **state)
{
    struct sb_log_event *event = NULL;
    uint64_t t;

    (void)state;
    memset(&limits, 0, sizeof(limits));
    for (t = 0; !event && t < 100 * SECOND_NS; t += SECOND_NS / 50) {
        sb_log_limit_admit(&limits, "a", SB_LOG_WARNING, t);
        event = sb_log_limit_due(&limits, t, false);
    }
    assert_non_null(event);
    assert_true(t > 60 * SECOND_NS && t < 62 * SECOND_NS);
    assert_int_equal(event->level, SB_LOG_WARNING);
    assert_true(event->suppressed > 1500);
    sb_log_limit_reported(event);
    assert_false(sb_log_limit_is_pending(&limits));
}

static void events_are_limited_each_by_itself(void **state)
{
    char name[16];

    (void)state;
    memset(&limits, 0, sizeof(limits));
    for (unsigned i = 0; i < SB_LOG_EVENTS_MAX; i++) {
        format_text(name, sizeof(name), "e%u", i);
        for (unsigned k = 0; k < SB_LOG_LINES_PER_SECOND; k++)
            assert_true(sb_log_limit_admit(&limits, name, SB_LOG_INFO, 5));
        assert_false(sb_log_limit_admit(&limits, name, SB_LOG_INFO, 5));
    }
    for (unsigned k = 0; k < 100; k++)
        assert_true(sb_log_limit_admit(&limits, "one_more", SB_LOG_INFO, 5));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(line_has_time_level_event_and_values),
        TEST(journal_gets_a_priority_and_no_time),
        TEST(journal_of_somebody_else_does_not_count),
        TEST(levels_below_are_left_out),
        TEST(long_lines_are_cut),
        TEST(longest_event_name_does_no_harm),
        TEST(one_call_is_one_line),
        TEST(lines_are_written_without_a_writer_too),
        TEST(close_writes_what_is_queued),
        TEST(threads_do_not_mix_their_lines),
        TEST(full_pipe_never_holds_the_caller_and_the_gap_is_told),
        TEST(close_leaves_a_stuck_reader_behind),
        TEST(log_opens_again_after_a_stuck_reader),
        TEST(nonblocking_stderr_loses_nothing),
        TEST(gone_reader_and_full_disk_are_counted),
        TEST(flood_of_one_event_is_cut_and_told_at_close),
        TEST(flood_is_told_once_it_is_quiet),
        TEST(no_second_has_more_than_20_lines),
        TEST(lasting_flood_is_told_every_minute),
        TEST(events_are_limited_each_by_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
