/* What race.h promises, at times that the test chooses: who starts when, what late answers change, how it ends, and what is
 * told of it. */
#include "tests/unit/unit.h"

#include <string.h>

#include "broker/race.h"
#include "sockbroker/addr.h"
#include "tests/support/format.h"

#define START 1000 /* ms; not 0, so that a time that was not filled in shows */

/* ---- support ---- */

static struct sb_race race;

static struct sockbroker_addr ip(const char *text)
{
    struct sockbroker_addr addr;

    assert_status(SOCKBROKER_OK, sockbroker_addr_parse_ip(text, &addr, NULL));
    return addr;
}

static struct sb_race_options options(void)
{
    return (struct sb_race_options){ SB_RACE_ATTEMPT_DELAY_MS, SB_RACE_RESOLUTION_DELAY_MS, 10000, false };
}

static void begin_with(struct sb_race_options o)
{
    memset(&race, 0xff, sizeof(race));
    assert_status(SOCKBROKER_OK, sb_race_init(&race, &o, START, NULL));
}

/* Both families are being looked up. */
static void begin_lookup(void)
{
    begin_with(options());
    sb_race_await(&race, SOCKBROKER_IPV6);
    sb_race_await(&race, SOCKBROKER_IPV4);
}

/* "2001:db8::1 192.0.2.1": destinations, best first. */
static void offer(const char *list)
{
    struct sb_race_pair pairs[2 * SB_RACE_MAX];
    size_t n = 0;
    char copy[1024], *save = NULL;

    memset(pairs, 0, sizeof(pairs));
    format_text(copy, sizeof(copy), "%s", list);
    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        assert_true(n < UNIT_COUNT(pairs));
        pairs[n].destination = ip(word);
        pairs[n].source = ip(strchr(word, ':') ? "2001:db8::aaaa" : "192.0.2.99");
        n++;
    }
    sb_race_offer(&race, pairs, n);
}

static void begin_list(const char *list)
{
    begin_with(options());
    offer(list);
}

/* The answer of one family; empty: there is no address. */
static void answer(enum sockbroker_family family, const char *list, uint64_t at_ms)
{
    if (*list)
        offer(list);
    sb_race_answered(&race, family, START + at_ms);
}

static size_t assert_starts(const char *destination, uint64_t at_ms)
{
    struct sb_race_step step = sb_race_next(&race, START + at_ms);
    char text[SOCKBROKER_ADDR_TEXT_MAX];

    assert_int_equal(step.action, SB_RACE_START);
    const struct sb_attempt *a = &race.attempts[step.attempt];
    assert_string_equal(sockbroker_addr_format_ip(&a->pair.destination, text), destination);
    assert_int_equal(a->state, SB_ATTEMPT_RUNNING);
    assert_int_equal(a->started_ms, START + at_ms);
    assert_int_equal(a->ended_ms, 0);
    return step.attempt;
}

static void assert_waits(uint64_t at_ms, uint64_t until_ms)
{
    struct sb_race_step step = sb_race_next(&race, START + at_ms);

    assert_int_equal(step.action, SB_RACE_WAIT);
    assert_int_equal(step.until_ms, START + until_ms);
}

static void assert_fails(uint64_t at_ms, sockbroker_status expected)
{
    struct sockbroker_error error = { SOCKBROKER_OK, 0, "" };

    for (int i = 0; i < 2; i++) { /* and stays so */
        assert_int_equal(sb_race_next(&race, START + at_ms).action, SB_RACE_FAILED);
        assert_status(expected, sb_race_failure(&race, &error));
        assert_int_equal(error.status, expected);
        assert_true(strlen(error.text) > 0);
    }
}

static void assert_won_by(size_t attempt, uint64_t at_ms)
{
    for (int i = 0; i < 2; i++) {
        struct sb_race_step step = sb_race_next(&race, START + at_ms);

        assert_int_equal(step.action, SB_RACE_WON);
        assert_int_equal(step.attempt, attempt);
    }
}

static const struct sockbroker_error refused = { SOCKBROKER_SYSTEM, 111, "connect to it: ECONNREFUSED" };
static const struct sockbroker_error unreachable = { SOCKBROKER_SYSTEM, 101, "connect to it: ENETUNREACH" };
static const struct sockbroker_error forbidden = { SOCKBROKER_REFUSED, 0, "rule 192.0.2.0/24" };

static void lose(size_t attempt, uint64_t at_ms)
{
    sb_race_failed(&race, attempt, START + at_ms, &refused);
}

/* ---- options ---- */

static void options_out_of_bounds_are_refused(void **state)
{
    static const struct {
        struct sb_race_options options;
        sockbroker_status expected;
        const char *says;
    } rows[] = {
        { { 250, 50, 1, false }, SOCKBROKER_OK, NULL },
        { { 10, 0, 1, false }, SOCKBROKER_OK, NULL },
        { { 2000, 2000, UINT32_MAX, false }, SOCKBROKER_OK, NULL },
        { { 9, 50, 1, false }, SOCKBROKER_INVALID, "attempt delay: 9 ms" },
        { { 0, 50, 1, false }, SOCKBROKER_INVALID, "attempt delay: 0 ms" },
        { { 2001, 50, 1, false }, SOCKBROKER_INVALID, "attempt delay: 2001 ms" },
        { { 250, 2001, 1, false }, SOCKBROKER_INVALID, "resolution delay: 2001 ms" },
        { { 250, 50, 0, false }, SOCKBROKER_INVALID, "deadline: 0 ms" },
    };

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct sockbroker_error error = { SOCKBROKER_OK, 0, "" };

        assert_status(rows[i].expected, sb_race_init(&race, &rows[i].options, START, &error));
        assert_status(rows[i].expected, error.status);
        assert_true(!rows[i].says || strstr(error.text, rows[i].says));
    }
}

static void the_defaults_are_those_of_rfc_8305(void **state)
{
    (void)state;
    assert_int_equal(SB_RACE_ATTEMPT_DELAY_MS, 250);
    assert_int_equal(SB_RACE_RESOLUTION_DELAY_MS, 50);
    assert_int_equal(SB_RACE_ATTEMPT_DELAY_LEAST_MS, 10);
    assert_int_equal(SB_RACE_ATTEMPT_DELAY_MOST_MS, 2000);
}

/* ---- order ---- */

static void families_alternate_from_the_best_destination_on(void **state)
{
    static const struct {
        const char *offered;
        const char *started;
    } rows[] = {
        { "2001:db8::1 2001:db8::2 2001:db8::3 192.0.2.1 192.0.2.2",
          "2001:db8::1 192.0.2.1 2001:db8::2 192.0.2.2 2001:db8::3" },
        { "192.0.2.1 192.0.2.2 2001:db8::1", "192.0.2.1 2001:db8::1 192.0.2.2" },
        { "2001:db8::1 192.0.2.1 192.0.2.2 192.0.2.3", "2001:db8::1 192.0.2.1 192.0.2.2 192.0.2.3" },
        { "2001:db8::1 192.0.2.1 2001:db8::2", "2001:db8::1 192.0.2.1 2001:db8::2" },
        { "192.0.2.3 192.0.2.1 192.0.2.2", "192.0.2.3 192.0.2.1 192.0.2.2" },
        { "2001:db8::2 2001:db8::1", "2001:db8::2 2001:db8::1" },
        { "192.0.2.1", "192.0.2.1" },
    };

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        char copy[256], *save = NULL;
        uint64_t at_ms = 0;
        size_t n = 0;

        begin_list(rows[i].offered);
        format_text(copy, sizeof(copy), "%s", rows[i].started);
        for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
            assert_int_equal(assert_starts(word, at_ms), n); /* records stand in the order of the start */
            at_ms += 250;
            n++;
        }
        assert_waits(at_ms, 10000);
        assert_int_equal(race.n_attempts, n);
    }
}

static void a_destination_is_tried_once(void **state)
{
    (void)state;
    begin_list("192.0.2.1 192.0.2.1 192.0.2.2 192.0.2.1");
    assert_int_equal(race.n_attempts, 2);
    assert_true(sb_race_knows(&race, &race.attempts[1].pair.destination));
    assert_starts("192.0.2.1", 0);
    offer("192.0.2.1 192.0.2.2");
    assert_starts("192.0.2.2", 250);
    assert_waits(500, 10000);
}

static void sixteen_destinations_are_the_most(void **state)
{
    char list[512] = "";
    struct sockbroker_addr one_more = ip("203.0.113.1");

    (void)state;
    for (int i = 0; i < SB_RACE_MAX + 4; i++)
        format_text(list + strlen(list), sizeof(list) - strlen(list), "192.0.2.%d ", i + 1);
    begin_list(list);
    assert_int_equal(race.n_attempts, SB_RACE_MAX);
    sb_race_turn_away(&race, &one_more, START, &forbidden);
    assert_int_equal(race.n_attempts, SB_RACE_MAX);
    assert_false(sb_race_knows(&race, &one_more));
    for (uint64_t i = 0; i < SB_RACE_MAX; i++)
        assert_int_equal(sb_race_next(&race, START + 250 * i).action, SB_RACE_START);
    assert_waits(250 * SB_RACE_MAX, 10000);
}

/* ---- connection attempt delay: RFC 8305, section 5 ---- */

static void starts_are_one_attempt_delay_apart(void **state)
{
    static const uint32_t delays[] = { 10, 100, 250, 2000 };

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(delays); i++) {
        struct sb_race_options o = options();
        uint64_t delay = delays[i];

        o.attempt_delay_ms = delays[i];
        begin_with(o);
        offer("2001:db8::1 192.0.2.1 2001:db8::2");
        assert_starts("2001:db8::1", 0);
        assert_waits(0, delay);
        assert_waits(delay - 1, delay);
        assert_starts("192.0.2.1", delay);
        assert_waits(delay, 2 * delay);
        assert_waits(2 * delay - 1, 2 * delay);
        assert_starts("2001:db8::2", 2 * delay);
        assert_waits(2 * delay, 10000);
    }
}

static void who_wakes_late_starts_one_and_waits_again(void **state)
{
    (void)state;
    begin_list("2001:db8::1 192.0.2.1 2001:db8::2");
    assert_starts("2001:db8::1", 0);
    assert_starts("192.0.2.1", 900); /* not 250 */
    assert_waits(900, 1150);
    assert_starts("2001:db8::2", 1150);
}

static void a_failure_starts_the_next_at_once(void **state)
{
    (void)state;
    begin_list("2001:db8::1 192.0.2.1 2001:db8::2 192.0.2.2");
    size_t first = assert_starts("2001:db8::1", 0);
    lose(first, 3);
    size_t second = assert_starts("192.0.2.1", 3);
    assert_waits(3, 253);
    assert_starts("2001:db8::2", 253);
    lose(second, 300); /* also when it was not the last to start */
    assert_starts("192.0.2.2", 300);
    assert_waits(300, 10000);
}

/* ---- resolution delay: section 3 ---- */

static void ipv6_waits_for_nobody(void **state)
{
    (void)state;
    begin_lookup();
    assert_waits(0, 10000);
    answer(SOCKBROKER_IPV6, "2001:db8::1", 20);
    assert_starts("2001:db8::1", 20);
    assert_waits(20, 10000);
    answer(SOCKBROKER_IPV4, "192.0.2.1", 30);
    assert_waits(30, 270); /* IPv4 has its turn, no sooner */
    assert_starts("192.0.2.1", 270);
}

static void ipv4_alone_waits_the_resolution_delay(void **state)
{
    (void)state;
    begin_lookup();
    answer(SOCKBROKER_IPV4, "192.0.2.1", 10);
    assert_waits(10, 60);
    assert_waits(59, 60);
    assert_starts("192.0.2.1", 60);
}

static void the_resolution_delay_is_the_one_asked_for(void **state)
{
    static const uint32_t delays[] = { 0, 1, 50, 2000 };

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(delays); i++) {
        struct sb_race_options o = options();

        o.resolution_delay_ms = delays[i];
        begin_with(o);
        sb_race_await(&race, SOCKBROKER_IPV6);
        sb_race_await(&race, SOCKBROKER_IPV4);
        answer(SOCKBROKER_IPV4, "192.0.2.1", 10);
        if (delays[i])
            assert_waits(10 + delays[i] - 1, 10 + delays[i]);
        assert_starts("192.0.2.1", 10 + delays[i]);
    }
}

static void ipv6_within_the_resolution_delay_is_first(void **state)
{
    (void)state;
    begin_lookup();
    answer(SOCKBROKER_IPV4, "192.0.2.1", 10);
    assert_waits(10, 60);
    answer(SOCKBROKER_IPV6, "2001:db8::1 192.0.2.1", 35);
    assert_starts("2001:db8::1", 35);
    assert_starts("192.0.2.1", 285);
}

static void begin_lookup_where_ipv4_is_preferred(void)
{
    struct sb_race_options o = options();

    o.prefers_ipv4 = true;
    begin_with(o);
    sb_race_await(&race, SOCKBROKER_IPV6);
    sb_race_await(&race, SOCKBROKER_IPV4);
}

/* The families change places when the table of the host prefers IPv4. */
static void ipv6_alone_waits_where_ipv4_is_preferred(void **state)
{
    (void)state;
    begin_lookup_where_ipv4_is_preferred();
    answer(SOCKBROKER_IPV6, "2001:db8::1", 10);
    assert_waits(59, 60);
    assert_starts("2001:db8::1", 60);

    begin_lookup_where_ipv4_is_preferred();
    answer(SOCKBROKER_IPV6, "2001:db8::1", 10);
    assert_waits(10, 60);
    answer(SOCKBROKER_IPV4, "192.0.2.1 2001:db8::1", 35);
    assert_starts("192.0.2.1", 35);
    assert_starts("2001:db8::1", 285);

    begin_lookup_where_ipv4_is_preferred();
    answer(SOCKBROKER_IPV6, "2001:db8::1", 10);
    answer(SOCKBROKER_IPV4, "", 12);
    assert_starts("2001:db8::1", 12);

    begin_lookup_where_ipv4_is_preferred();
    answer(SOCKBROKER_IPV4, "192.0.2.1", 10);
    assert_starts("192.0.2.1", 10); /* waits for nobody */
}

static void the_word_that_there_is_no_ipv6_ends_the_resolution_delay(void **state)
{
    (void)state;
    begin_lookup();
    answer(SOCKBROKER_IPV4, "192.0.2.1", 10);
    assert_waits(10, 60);
    answer(SOCKBROKER_IPV6, "", 12);
    assert_starts("192.0.2.1", 12);
}

static void ipv4_after_the_word_that_there_is_no_ipv6_does_not_wait(void **state)
{
    (void)state;
    begin_lookup();
    answer(SOCKBROKER_IPV6, "", 5);
    assert_waits(5, 10000);
    answer(SOCKBROKER_IPV4, "192.0.2.1", 10);
    assert_starts("192.0.2.1", 10);
}

static void one_family_alone_does_not_wait(void **state)
{
    (void)state;
    begin_with(options());
    sb_race_await(&race, SOCKBROKER_IPV4);
    answer(SOCKBROKER_IPV4, "192.0.2.1", 10);
    assert_starts("192.0.2.1", 10);
}

/* ---- late answers: section 6 ---- */

static void late_ipv6_has_the_next_turn(void **state)
{
    (void)state;
    begin_lookup();
    answer(SOCKBROKER_IPV4, "192.0.2.1 192.0.2.2", 0);
    assert_starts("192.0.2.1", 50);
    assert_waits(50, 300);
    answer(SOCKBROKER_IPV6, "2001:db8::1 2001:db8::2 192.0.2.2", 100);
    assert_waits(100, 300); /* what runs keeps its time */
    assert_starts("2001:db8::1", 300);
    assert_starts("192.0.2.2", 550);
    assert_starts("2001:db8::2", 800);
}

static void late_ipv6_starts_at_once_when_all_ipv4_has_failed(void **state)
{
    (void)state;
    begin_lookup();
    answer(SOCKBROKER_IPV4, "192.0.2.1", 0);
    lose(assert_starts("192.0.2.1", 50), 60);
    assert_waits(60, 10000); /* not lost: IPv6 may come */
    answer(SOCKBROKER_IPV6, "2001:db8::1", 700);
    assert_starts("2001:db8::1", 700);
}

static void what_is_not_offered_again_is_not_tried(void **state)
{
    (void)state;
    begin_list("192.0.2.1 192.0.2.2 192.0.2.3");
    assert_starts("192.0.2.1", 0);
    offer("192.0.2.3"); /* and what has begun goes on */
    assert_starts("192.0.2.3", 250);
    assert_waits(500, 10000);
    assert_int_equal(race.attempts[0].state, SB_ATTEMPT_RUNNING);
    assert_int_equal(race.n_attempts, 2);
}

/* ---- the end ---- */

static void the_winner_ends_all_others(void **state)
{
    struct sb_attempt before[SB_RACE_MAX];

    (void)state;
    begin_list("2001:db8::1 192.0.2.1 2001:db8::2 192.0.2.2 192.0.2.3");
    size_t failed = assert_starts("2001:db8::1", 0);
    lose(failed, 5);
    size_t loser = assert_starts("192.0.2.1", 5);
    size_t winner = assert_starts("2001:db8::2", 255);
    size_t other = assert_starts("192.0.2.2", 505);
    sb_race_won(&race, winner, START + 510);
    assert_won_by(winner, 510);
    assert_int_equal(race.attempts[failed].state, SB_ATTEMPT_FAILED);
    assert_int_equal(race.attempts[winner].state, SB_ATTEMPT_WON);
    assert_int_equal(race.attempts[winner].error.status, SOCKBROKER_OK);
    assert_int_equal(race.attempts[4].state, SB_ATTEMPT_WAITING);
    for (size_t i = loser; i <= other; i++)
        assert_int_equal(race.attempts[i].ended_ms, START + 510);
    assert_int_equal(race.attempts[loser].state, SB_ATTEMPT_LOST);
    assert_int_equal(race.attempts[other].state, SB_ATTEMPT_LOST);
    assert_int_equal(race.attempts[other].error.status, SOCKBROKER_CLOSED);
    assert_non_null(strstr(race.attempts[loser].error.text, "[2001:db8::2]:0 was first"));
    memcpy(before, race.attempts, sizeof(before));
    sb_race_won(&race, loser, START + 511); /* nothing that comes after changes it */
    sb_race_failed(&race, winner, START + 512, &refused);
    sb_race_failed(&race, SB_RACE_MAX, START + 512, &refused);
    assert_won_by(winner, 20000);
    assert_memory_equal(before, race.attempts, sizeof(before));
}

static void when_all_fail_the_best_one_tells_why(void **state)
{
    struct sockbroker_error error;

    (void)state;
    begin_list("2001:db8::1 192.0.2.1");
    size_t first = assert_starts("2001:db8::1", 0);
    size_t second = assert_starts("192.0.2.1", 250);
    sb_race_failed(&race, second, START + 260, &refused);
    assert_waits(260, 10000);
    sb_race_failed(&race, first, START + 300, &unreachable);
    assert_fails(300, SOCKBROKER_SYSTEM);
    sb_race_failure(&race, &error);
    assert_int_equal(error.os_code, 101);
    assert_non_null(strstr(error.text, "any of 2 destinations"));
    assert_non_null(strstr(error.text, "ENETUNREACH"));
    assert_int_equal(race.attempts[first].ended_ms, START + 300);
    assert_int_equal(race.attempts[second].ended_ms, START + 260);
    assert_string_equal(race.attempts[second].error.text, refused.text);
}

static void a_race_is_not_lost_while_a_family_is_looked_up(void **state)
{
    (void)state;
    begin_lookup();
    answer(SOCKBROKER_IPV6, "2001:db8::1", 0);
    lose(assert_starts("2001:db8::1", 0), 1);
    assert_waits(1, 10000);
    answer(SOCKBROKER_IPV4, "", 2);
    assert_fails(2, SOCKBROKER_SYSTEM);
}

static void a_name_without_address_is_not_found(void **state)
{
    (void)state;
    begin_lookup();
    answer(SOCKBROKER_IPV4, "", 5);
    assert_waits(5, 10000);
    answer(SOCKBROKER_IPV6, "", 6);
    assert_fails(6, SOCKBROKER_NOT_FOUND);
    assert_fails(20000, SOCKBROKER_NOT_FOUND); /* and no time-out later */
}

static void the_deadline_ends_what_runs(void **state)
{
    struct sb_race_options o = options();
    struct sockbroker_error error;

    (void)state;
    o.deadline_ms = 400;
    begin_with(o);
    offer("2001:db8::1 192.0.2.1 2001:db8::2");
    lose(assert_starts("2001:db8::1", 0), 10);
    size_t running = assert_starts("192.0.2.1", 10);
    assert_waits(10, 260);
    size_t last = assert_starts("2001:db8::2", 260);
    assert_waits(260, 400); /* never beyond */
    assert_waits(399, 400);
    assert_fails(400, SOCKBROKER_TIMEOUT);
    assert_int_equal(race.attempts[running].state, SB_ATTEMPT_FAILED);
    assert_int_equal(race.attempts[running].error.status, SOCKBROKER_TIMEOUT);
    assert_non_null(strstr(race.attempts[running].error.text, "no answer in 390 ms"));
    assert_int_equal(race.attempts[last].ended_ms, START + 400);
    sb_race_failure(&race, &error);
    assert_non_null(strstr(error.text, "no connection in 400 ms, 3 of 3 destinations tried"));
    sb_race_won(&race, running, START + 401); /* too late */
    assert_fails(401, SOCKBROKER_TIMEOUT);
}

static void the_deadline_does_not_wait_for_a_delay_or_an_answer(void **state)
{
    struct sb_race_options o = options();
    struct sockbroker_error error;

    (void)state;
    o.deadline_ms = 30;
    begin_with(o); /* within the attempt delay */
    offer("192.0.2.1 192.0.2.2");
    assert_starts("192.0.2.1", 0);
    assert_waits(0, 30);
    assert_fails(30, SOCKBROKER_TIMEOUT);
    assert_int_equal(race.attempts[1].state, SB_ATTEMPT_WAITING);

    begin_with(o); /* within the resolution delay */
    sb_race_await(&race, SOCKBROKER_IPV6);
    sb_race_await(&race, SOCKBROKER_IPV4);
    answer(SOCKBROKER_IPV4, "192.0.2.1", 5);
    assert_waits(5, 30);
    assert_fails(30, SOCKBROKER_TIMEOUT);
    sb_race_failure(&race, &error);
    assert_non_null(strstr(error.text, "0 of 1 destinations tried"));

    begin_with(o); /* before any answer */
    sb_race_await(&race, SOCKBROKER_IPV6);
    assert_waits(0, 30);
    assert_fails(31, SOCKBROKER_TIMEOUT);
    sb_race_failure(&race, &error);
    assert_non_null(strstr(error.text, "see the resolver"));
}

static void a_winner_at_the_deadline_has_won(void **state)
{
    (void)state;
    begin_list("192.0.2.1");
    size_t i = assert_starts("192.0.2.1", 0);
    sb_race_won(&race, i, START + 10000);
    assert_won_by(i, 10000);
}

/* ---- turned away ---- */

static void who_is_turned_away_is_told_and_not_tried(void **state)
{
    struct sockbroker_addr bad = ip("192.0.2.66");

    (void)state;
    begin_list("2001:db8::1 192.0.2.1");
    assert_starts("2001:db8::1", 0);
    sb_race_turn_away(&race, &bad, START + 7, &forbidden);
    assert_int_equal(race.n_attempts, 3);
    assert_int_equal(race.attempts[1].state, SB_ATTEMPT_TURNED_AWAY);
    assert_int_equal(race.attempts[1].error.status, SOCKBROKER_REFUSED);
    assert_string_equal(race.attempts[1].error.text, forbidden.text);
    assert_int_equal(race.attempts[1].started_ms, START + 7);
    assert_int_equal(race.attempts[1].ended_ms, START + 7);
    assert_waits(7, 250); /* it takes nobody's turn */
    offer("192.0.2.66 192.0.2.1");
    assert_int_equal(assert_starts("192.0.2.1", 250), 2);
    assert_waits(500, 10000);
}

static void when_nobody_may_be_tried_the_rule_tells_why(void **state)
{
    struct sockbroker_addr bad = ip("192.0.2.66"), worse = ip("192.0.2.67");

    (void)state;
    begin_with(options());
    sb_race_turn_away(&race, &bad, START, &forbidden);
    sb_race_turn_away(&race, &worse, START, &unreachable);
    assert_fails(0, SOCKBROKER_REFUSED);
    offer("192.0.2.1");
    lose(assert_starts("192.0.2.1", 0), 1);
    assert_fails(1, SOCKBROKER_SYSTEM); /* what was tried says more */
}

/* ---- any order of events ---- */

static uint64_t random_state;

static uint64_t next_random(void) /* xorshift64, Marsaglia 2003 */
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* What a start may be measured against. */
struct history {
    uint64_t last_start_ms;
    bool has_failed_since;
    size_t n_started;
};

static void check_start(const struct sb_race_step *step, struct history *h, uint64_t now_ms)
{
    assert_true(h->n_started == 0 || h->has_failed_since || now_ms >= h->last_start_ms + 250);
    assert_int_equal(race.attempts[step->attempt].state, SB_ATTEMPT_RUNNING);
    for (size_t i = 0; i < step->attempt; i++)
        assert_int_not_equal(
            sockbroker_addr_compare(&race.attempts[i].pair.destination, &race.attempts[step->attempt].pair.destination), 0);
    h->last_start_ms = now_ms;
    h->has_failed_since = false;
    h->n_started++;
}

static void answer_at_random(enum sockbroker_family family, uint64_t now_ms)
{
    static const char *const lists[] = { "", "192.0.2.1 192.0.2.2", "2001:db8::1", "2001:db8::1 192.0.2.7 2001:db8::2" };

    answer(family, lists[next_random() % UNIT_COUNT(lists)], now_ms - START);
}

static void happen_at_random(struct history *h, uint64_t now_ms)
{
    size_t attempt = race.n_begun ? next_random() % race.n_begun : 0;
    bool ran = race.n_begun && race.attempts[attempt].state == SB_ATTEMPT_RUNNING;

    switch (next_random() % 16) {
    case 0:
        answer_at_random(SOCKBROKER_IPV6, now_ms);
        break;
    case 1:
        answer_at_random(SOCKBROKER_IPV4, now_ms);
        break;
    case 2:
        sb_race_won(&race, attempt, now_ms);
        break;
    case 3:
        sb_race_failed(&race, attempt, now_ms, &refused);
        h->has_failed_since = h->has_failed_since || ran;
        break;
    default: /* time passes */
        break;
    }
}

static size_t n_won, n_timed_out, n_long; /* how they went: all of it must have happened */

static void run_at_random(void)
{
    struct history h = { 0, false, 0 };
    uint64_t now_ms = START;

    begin_lookup();
    for (;;) {
        struct sb_race_step step = sb_race_next(&race, now_ms);

        n_won += step.action == SB_RACE_WON;
        if (step.action == SB_RACE_WON || step.action == SB_RACE_FAILED)
            break;
        if (step.action == SB_RACE_START) {
            check_start(&step, &h, now_ms);
            continue;
        }
        assert_true(step.until_ms > now_ms && step.until_ms <= START + 10000);
        now_ms += next_random() % 400;
        if (now_ms > step.until_ms)
            now_ms = step.until_ms;
        happen_at_random(&h, now_ms);
    }
    n_timed_out += race.timed_out;
    n_long += h.n_started > 3;
    for (size_t i = 0; i < race.n_attempts; i++)
        assert_int_not_equal(race.attempts[i].state, SB_ATTEMPT_RUNNING);
}

static void in_any_order_of_events_the_delays_hold_and_nothing_runs_on(void **state)
{
    (void)state;
    random_state = 8305;
    for (int i = 0; i < 20000; i++)
        run_at_random();
    assert_true(n_won > 1000 && n_timed_out > 1000 && n_long > 1000);
}

static void every_state_has_a_name(void **state)
{
    (void)state;
    for (int i = SB_ATTEMPT_WAITING; i <= SB_ATTEMPT_WON; i++)
        assert_string_not_equal(sb_attempt_state_name((enum sb_attempt_state)i), "unknown");
    assert_string_equal(sb_attempt_state_name((enum sb_attempt_state)(SB_ATTEMPT_WON + 1)), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(options_out_of_bounds_are_refused),
        UNIT_TEST(the_defaults_are_those_of_rfc_8305),
        UNIT_TEST(families_alternate_from_the_best_destination_on),
        UNIT_TEST(a_destination_is_tried_once),
        UNIT_TEST(sixteen_destinations_are_the_most),
        UNIT_TEST(starts_are_one_attempt_delay_apart),
        UNIT_TEST(who_wakes_late_starts_one_and_waits_again),
        UNIT_TEST(a_failure_starts_the_next_at_once),
        UNIT_TEST(ipv6_waits_for_nobody),
        UNIT_TEST(ipv4_alone_waits_the_resolution_delay),
        UNIT_TEST(the_resolution_delay_is_the_one_asked_for),
        UNIT_TEST(ipv6_within_the_resolution_delay_is_first),
        UNIT_TEST(ipv6_alone_waits_where_ipv4_is_preferred),
        UNIT_TEST(the_word_that_there_is_no_ipv6_ends_the_resolution_delay),
        UNIT_TEST(ipv4_after_the_word_that_there_is_no_ipv6_does_not_wait),
        UNIT_TEST(one_family_alone_does_not_wait),
        UNIT_TEST(late_ipv6_has_the_next_turn),
        UNIT_TEST(late_ipv6_starts_at_once_when_all_ipv4_has_failed),
        UNIT_TEST(what_is_not_offered_again_is_not_tried),
        UNIT_TEST(the_winner_ends_all_others),
        UNIT_TEST(when_all_fail_the_best_one_tells_why),
        UNIT_TEST(a_race_is_not_lost_while_a_family_is_looked_up),
        UNIT_TEST(a_name_without_address_is_not_found),
        UNIT_TEST(the_deadline_ends_what_runs),
        UNIT_TEST(the_deadline_does_not_wait_for_a_delay_or_an_answer),
        UNIT_TEST(a_winner_at_the_deadline_has_won),
        UNIT_TEST(who_is_turned_away_is_told_and_not_tried),
        UNIT_TEST(when_nobody_may_be_tried_the_rule_tells_why),
        UNIT_TEST(in_any_order_of_events_the_delays_hold_and_nothing_runs_on),
        UNIT_TEST(every_state_has_a_name),
    };

    return cmocka_run_group_tests_name("race", tests, NULL, NULL);
}
