/* race.h: which destination to try next, and when, until one connection stands: Happy Eyeballs version 2 (RFC 8305).
 *
 * Nothing here does I/O or reads a clock. The caller brings the time, the destinations and what became of each attempt, asks
 * sb_race_next() after each event, and does what it says. Times are milliseconds of one clock that never goes back.
 *
 *     sb_race_init(), sb_race_await() for each family that is being looked up
 *     sb_race_offer(), sb_race_answered()    addresses have come, or the word that there are none
 *     sb_race_next()                         start this one; wait; won; failed
 *     sb_race_failed(), sb_race_won()        an attempt has ended
 */
#ifndef SB_BROKER_RACE_H
#define SB_BROKER_RACE_H

#include <stddef.h>

#include "sockbroker/socket.h"

#define SB_RACE_MAX 16 /* destinations of one race, those that were turned away with them */

/* Defaults and bounds: RFC 8305, section 8. It wants an attempt delay of at least 100 ms where nothing is known of the path,
 * and forbids less than 10. The bound of the resolution delay is ours. */
#define SB_RACE_ATTEMPT_DELAY_MS 250
#define SB_RACE_ATTEMPT_DELAY_LEAST_MS 10
#define SB_RACE_ATTEMPT_DELAY_MOST_MS 2000
#define SB_RACE_RESOLUTION_DELAY_MS 50
#define SB_RACE_RESOLUTION_DELAY_MOST_MS 2000

struct sb_race_options {
    uint32_t attempt_delay_ms;    /* from one start to the next, while the first has not failed (section 5) */
    uint32_t resolution_delay_ms; /* how long IPv4 addresses wait for IPv6 ones (section 3, where IPv6 is preferred) */
    uint32_t deadline_ms;         /* for all of it, from init on; at least 1 */
    bool prefers_ipv4;            /* the policy table does: then IPv6 addresses wait for IPv4 ones, and not the reverse */
};

/* A destination and the address of this machine from which it is reached; FAMILY_NONE: the system chooses. */
struct sb_race_pair {
    struct sockbroker_addr source;
    struct sockbroker_addr destination;
};

enum sb_attempt_state {
    SB_ATTEMPT_WAITING, /* not tried yet, or never */
    SB_ATTEMPT_TURNED_AWAY,
    SB_ATTEMPT_RUNNING,
    SB_ATTEMPT_FAILED, /* also: no answer by the deadline */
    SB_ATTEMPT_LOST,   /* another one was first */
    SB_ATTEMPT_WON,
};

struct sb_attempt {
    struct sb_race_pair pair;
    enum sb_attempt_state state;
    uint64_t started_ms;           /* 0 while waiting */
    uint64_t ended_ms;             /* 0 while waiting or running */
    struct sockbroker_error error; /* of one that was turned away, failed or lost: status, system code, sentence */
};

struct sb_race {
    struct sb_race_options options;
    struct sb_attempt attempts[SB_RACE_MAX]; /* those begun, in the order of their start; then those that wait, best first */
    size_t n_begun;                          /* or turned away; their places do not change any more */
    size_t n_attempts;
    bool awaits_ipv4, awaits_ipv6; /* being looked up */
    bool timed_out;
    enum sockbroker_family last_family; /* of the last start; FAMILY_NONE before the first */
    uint64_t start_at_ms;               /* the next one does not start before */
    uint64_t deadline_at_ms;
};

enum sb_race_action {
    SB_RACE_START,  /* connect attempts[attempt].pair now; it counts as running */
    SB_RACE_WAIT,   /* for an event, but not beyond until_ms */
    SB_RACE_WON,    /* by attempts[attempt]; all others are over: close theirs */
    SB_RACE_FAILED, /* sb_race_failure() says why; all are over: close theirs */
};

struct sb_race_step {
    enum sb_race_action action;
    size_t attempt;    /* of START and WON */
    uint64_t until_ms; /* of WAIT */
};

/* OK; INVALID for options out of bounds, and the race is not to be used. */
sockbroker_status sb_race_init(struct sb_race *r, const struct sb_race_options *options, uint64_t now_ms,
                               struct sockbroker_error *error_out);

/* Addresses of that family are being looked up: the race is not lost before sb_race_answered() for it. */
void sb_race_await(struct sb_race *r, enum sockbroker_family family);

/* The destinations still to try, sorted, best first (RFC 6724). They replace all that wait: addresses that come late are
 * sorted among those not tried yet, and one that is gone is not tried any more (section 6). Known ones that have begun or
 * were turned away are left out, and so is what exceeds SB_RACE_MAX. Families need not alternate here: see sb_race_next(). */
void sb_race_offer(struct sb_race *r, const struct sb_race_pair *pairs, size_t n_pairs);

/* After the offer with its addresses, or when it has none. IPv4 alone waits resolution_delay_ms for IPv6; IPv6 waits for
 * nobody. With prefers_ipv4 they change places. */
void sb_race_answered(struct sb_race *r, enum sockbroker_family family, uint64_t now_ms);

/* A destination that will not be tried, with the reason; it is told among the attempts. */
void sb_race_turn_away(struct sb_race *r, const struct sockbroker_addr *destination, uint64_t now_ms,
                       const struct sockbroker_error *reason);

/* Has it begun, was it turned away, or does it wait? The same zone, too. */
bool sb_race_knows(const struct sb_race *r, const struct sockbroker_addr *destination);

/* What to do now. The next to start is the best that waits of the family that was not started last, if there is one: so
 * families alternate from the best destination on, also when addresses come late (section 4, First Address Family Count 1). */
struct sb_race_step sb_race_next(struct sb_race *r, uint64_t now_ms);

/* A running attempt has ended; does nothing to any other. failed: the next may start at once. won: the others that run are
 * lost. */
void sb_race_failed(struct sb_race *r, size_t attempt, uint64_t now_ms, const struct sockbroker_error *error);
void sb_race_won(struct sb_race *r, size_t attempt, uint64_t now_ms);

/* After FAILED: TIMEOUT; NOT_FOUND when there was no destination at all; else the status of the best destination that was
 * tried and failed, or, when none was tried, of the first that was turned away. */
sockbroker_status sb_race_failure(const struct sb_race *r, struct sockbroker_error *error_out);

/* "waiting", "turned away", "running", "failed", "lost", "won"; static, never NULL, "unknown" for others. */
const char *sb_attempt_state_name(enum sb_attempt_state state);

#endif
