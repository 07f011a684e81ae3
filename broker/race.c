#include "broker/race.h"

#include <string.h>

#include "proto/error.h"
#include "sockbroker/addr.h"

static sockbroker_status check(const struct sb_race_options *o, struct sockbroker_error *error_out)
{
    if (o->attempt_delay_ms < SB_RACE_ATTEMPT_DELAY_LEAST_MS || o->attempt_delay_ms > SB_RACE_ATTEMPT_DELAY_MOST_MS)
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0,
                            "attempt delay: %u ms is out of bounds (RFC 8305, section 8). Give %d to %d", o->attempt_delay_ms,
                            SB_RACE_ATTEMPT_DELAY_LEAST_MS, SB_RACE_ATTEMPT_DELAY_MOST_MS);
    if (o->resolution_delay_ms > SB_RACE_RESOLUTION_DELAY_MOST_MS)
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0, "resolution delay: %u ms is too long. Give 0 to %d",
                            o->resolution_delay_ms, SB_RACE_RESOLUTION_DELAY_MOST_MS);
    if (o->deadline_ms == 0)
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0, "deadline: 0 ms leaves no time. Give 1 or more");
    return SOCKBROKER_OK;
}

sockbroker_status sb_race_init(struct sb_race *r, const struct sb_race_options *options, uint64_t now_ms,
                               struct sockbroker_error *error_out)
{
    sockbroker_status st = check(options, error_out);

    if (st)
        return st;
    memset(r, 0, sizeof(*r));
    r->options = *options;
    r->start_at_ms = now_ms;
    r->deadline_at_ms = now_ms + options->deadline_ms;
    return SOCKBROKER_OK;
}

/* ---- destinations ---- */

void sb_race_await(struct sb_race *r, enum sockbroker_family family)
{
    r->awaits_ipv4 = r->awaits_ipv4 || family == SOCKBROKER_IPV4;
    r->awaits_ipv6 = r->awaits_ipv6 || family == SOCKBROKER_IPV6;
}

bool sb_race_knows(const struct sb_race *r, const struct sockbroker_addr *destination)
{
    for (size_t i = 0; i < r->n_attempts; i++) {
        if (!sockbroker_addr_compare(&r->attempts[i].pair.destination, destination))
            return true;
    }
    return false;
}

void sb_race_offer(struct sb_race *r, const struct sb_race_pair *pairs, size_t n_pairs)
{
    static const struct sb_attempt none;

    r->n_attempts = r->n_begun;
    for (size_t i = 0; i < n_pairs && r->n_attempts < SB_RACE_MAX; i++) {
        if (sb_race_knows(r, &pairs[i].destination))
            continue;
        r->attempts[r->n_attempts] = none;
        r->attempts[r->n_attempts++].pair = pairs[i];
    }
}

void sb_race_answered(struct sb_race *r, enum sockbroker_family family, uint64_t now_ms)
{
    if (family == SOCKBROKER_IPV4)
        r->awaits_ipv4 = false;
    if (family == SOCKBROKER_IPV6)
        r->awaits_ipv6 = false;
    bool awaits_better = r->options.prefers_ipv4 ? r->awaits_ipv4 : r->awaits_ipv6;
    if (r->last_family == SOCKBROKER_FAMILY_NONE)
        r->start_at_ms = now_ms + (awaits_better ? r->options.resolution_delay_ms : 0);
}

/* Moves a waiting one to the end of those that have begun. */
static struct sb_attempt *enlist(struct sb_race *r, size_t i)
{
    struct sb_attempt *to = &r->attempts[r->n_begun];
    struct sb_attempt chosen = r->attempts[i];

    memmove(to + 1, to, (i - r->n_begun) * sizeof(*to));
    *to = chosen;
    r->n_begun++;
    return to;
}

void sb_race_turn_away(struct sb_race *r, const struct sockbroker_addr *destination, uint64_t now_ms,
                       const struct sockbroker_error *reason)
{
    static const struct sb_attempt none;

    if (r->n_attempts == SB_RACE_MAX)
        return;
    r->attempts[r->n_attempts++] = none;
    struct sb_attempt *a = enlist(r, r->n_attempts - 1);
    a->pair.destination = *destination;
    a->state = SB_ATTEMPT_TURNED_AWAY;
    a->started_ms = a->ended_ms = now_ms;
    a->error = *reason;
}

/* ---- attempts ---- */

static bool is_running(const struct sb_race *r)
{
    for (size_t i = 0; i < r->n_begun; i++) {
        if (r->attempts[i].state == SB_ATTEMPT_RUNNING)
            return true;
    }
    return false;
}

/* n_begun when nobody has won. */
static size_t find_winner(const struct sb_race *r)
{
    size_t i = 0;

    while (i < r->n_begun && r->attempts[i].state != SB_ATTEMPT_WON)
        i++;
    return i;
}

static size_t choose(const struct sb_race *r)
{
    for (size_t i = r->n_begun; i < r->n_attempts; i++) {
        if (r->attempts[i].pair.destination.family != r->last_family)
            return i;
    }
    return r->n_begun;
}

static struct sb_race_step start(struct sb_race *r, uint64_t now_ms)
{
    struct sb_attempt *a = enlist(r, choose(r));

    a->state = SB_ATTEMPT_RUNNING;
    a->started_ms = now_ms;
    r->last_family = a->pair.destination.family;
    r->start_at_ms = now_ms + r->options.attempt_delay_ms;
    return (struct sb_race_step){ .action = SB_RACE_START, .attempt = r->n_begun - 1 };
}

static void end(struct sb_attempt *a, enum sb_attempt_state state, uint64_t now_ms)
{
    a->state = state;
    a->ended_ms = now_ms;
}

static void give_up(struct sb_race *r, uint64_t now_ms)
{
    char text[SOCKBROKER_ADDR_TEXT_MAX];

    r->timed_out = true;
    for (size_t i = 0; i < r->n_begun; i++) {
        struct sb_attempt *a = &r->attempts[i];

        if (a->state != SB_ATTEMPT_RUNNING)
            continue;
        end(a, SB_ATTEMPT_FAILED, now_ms);
        sb_error_set(&a->error, SOCKBROKER_TIMEOUT, 0,
                     "%s: no answer in %llu ms, at the deadline. A firewall may drop the packets; else allow more time",
                     sockbroker_addr_format(&a->pair.destination, text), (unsigned long long)(now_ms - a->started_ms));
    }
}

/* Nothing can come any more. */
static bool is_lost(const struct sb_race *r)
{
    return r->timed_out || (r->n_begun == r->n_attempts && !r->awaits_ipv4 && !r->awaits_ipv6 && !is_running(r));
}

struct sb_race_step sb_race_next(struct sb_race *r, uint64_t now_ms)
{
    struct sb_race_step wait = { .action = SB_RACE_WAIT, .until_ms = r->deadline_at_ms };
    size_t winner = find_winner(r);

    if (winner < r->n_begun)
        return (struct sb_race_step){ .action = SB_RACE_WON, .attempt = winner };
    if (now_ms >= r->deadline_at_ms && !is_lost(r))
        give_up(r, now_ms);
    if (is_lost(r))
        return (struct sb_race_step){ .action = SB_RACE_FAILED };
    if (r->n_begun == r->n_attempts)
        return wait;
    if (now_ms >= r->start_at_ms)
        return start(r, now_ms);
    if (r->start_at_ms < wait.until_ms)
        wait.until_ms = r->start_at_ms;
    return wait;
}

static bool runs(const struct sb_race *r, size_t attempt)
{
    return attempt < r->n_begun && r->attempts[attempt].state == SB_ATTEMPT_RUNNING;
}

void sb_race_failed(struct sb_race *r, size_t attempt, uint64_t now_ms, const struct sockbroker_error *error)
{
    if (!runs(r, attempt))
        return;
    end(&r->attempts[attempt], SB_ATTEMPT_FAILED, now_ms);
    r->attempts[attempt].error = *error;
    r->start_at_ms = now_ms;
}

void sb_race_won(struct sb_race *r, size_t attempt, uint64_t now_ms)
{
    char winner[SOCKBROKER_ADDR_TEXT_MAX], loser[SOCKBROKER_ADDR_TEXT_MAX];

    if (!runs(r, attempt))
        return;
    end(&r->attempts[attempt], SB_ATTEMPT_WON, now_ms);
    sockbroker_addr_format(&r->attempts[attempt].pair.destination, winner);
    for (size_t i = 0; i < r->n_begun; i++) {
        struct sb_attempt *a = &r->attempts[i];

        if (a->state != SB_ATTEMPT_RUNNING)
            continue;
        end(a, SB_ATTEMPT_LOST, now_ms);
        sb_error_set(&a->error, SOCKBROKER_CLOSED, 0, "%s: given up, for %s was first",
                     sockbroker_addr_format(&a->pair.destination, loser), winner);
    }
}

/* ---- in words ---- */

static size_t count_tried(const struct sb_race *r)
{
    size_t n = 0;

    for (size_t i = 0; i < r->n_begun; i++)
        n += r->attempts[i].state != SB_ATTEMPT_TURNED_AWAY;
    return n;
}

static const struct sb_attempt *find_state(const struct sb_race *r, enum sb_attempt_state state)
{
    for (size_t i = 0; i < r->n_begun; i++) {
        if (r->attempts[i].state == state)
            return &r->attempts[i];
    }
    return NULL;
}

/* The best that was tried, else the first that was not allowed to be. */
static const struct sb_attempt *find_cause(const struct sb_race *r)
{
    const struct sb_attempt *failed = find_state(r, SB_ATTEMPT_FAILED);

    return failed ? failed : find_state(r, SB_ATTEMPT_TURNED_AWAY);
}

sockbroker_status sb_race_failure(const struct sb_race *r, struct sockbroker_error *error_out)
{
    const struct sb_attempt *cause = find_cause(r);

    if (r->timed_out)
        return sb_error_set(error_out, SOCKBROKER_TIMEOUT, 0, "no connection in %u ms, %zu of %zu destinations tried. %s%s",
                            r->options.deadline_ms, count_tried(r), r->n_attempts,
                            cause ? "The first: " : "Allow more time, or see the resolver (/etc/resolv.conf)",
                            cause ? cause->error.text : "");
    if (!cause)
        return sb_error_set(error_out, SOCKBROKER_NOT_FOUND, 0,
                            "it has no address. Check its spelling (getent ahosts asks the same)");
    if (r->n_attempts == 1)
        return sb_error_set(error_out, cause->error.status, cause->error.os_code, "%s", cause->error.text);
    return sb_error_set(error_out, cause->error.status, cause->error.os_code,
                        "no connection to any of %zu destinations. The first: %s", r->n_attempts, cause->error.text);
}

const char *sb_attempt_state_name(enum sb_attempt_state state)
{
    switch (state) {
    case SB_ATTEMPT_WAITING:
        return "waiting";
    case SB_ATTEMPT_TURNED_AWAY:
        return "turned away";
    case SB_ATTEMPT_RUNNING:
        return "running";
    case SB_ATTEMPT_FAILED:
        return "failed";
    case SB_ATTEMPT_LOST:
        return "lost";
    case SB_ATTEMPT_WON:
        return "won";
    }
    return "unknown";
}
