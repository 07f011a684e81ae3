/* kit_mover.h: a worker that deposits and withdraws, in a process of its own (kit_mover.c); the page it shares with the test.
 *
 *     kit_mover --dir DIR --name NAME [--endpoint NAME] [--uid UID] [--moves FILE --slot N]
 *
 * Serves no endpoint, or one from which it takes nothing. Says "ready", or "open gave STATUS: TEXT" when it is not taken in.
 * Then it obeys, a line each, about the one socket that it has in hand:
 *     connect HOST PORT      says "connected PORT", its own
 *     deposit NAME BYTES [LIFETIME_MS [UID]]
 *                            with so much state (kit_state.h, number 1); says "deposit NAME gave STATUS: TEXT"
 *     withdraw NAME          says "withdraw NAME gave STATUS: TEXT"; with OK the text is "N bytes whole" or "N bytes broken"
 *     read N                 says "read TEXT"
 *     write TEXT             adds a newline, says "wrote"
 *     close                  says "closed"
 *     starve                 has one descriptor left from now on, says "starved"
 *     move N ROUND           takes out, checks and puts back N times, see below; says "moved ROUND"
 *     leave                  detaches and ends
 * Ends with its standard input too, without detaching.
 */
#ifndef SB_TESTS_SUPPORT_KIT_MOVER_H
#define SB_TESTS_SUPPORT_KIT_MOVER_H

#include <stdatomic.h>
#include <stdbool.h>

#include "sockbroker/sockbroker.h"

/* What "move" is about: KIT_MOVES_NAMES deposits "m0", "m1", ... of connections with 8 unread bytes. Deposit i has state number
 * taken[i] + 1; who takes it out counts taken[i], so nobody can get an old state, or a socket that another has. */
#define KIT_MOVES_NAMES 12
#define KIT_MOVES_MOVERS 4
#define KIT_MOVES_UNREAD 8

enum kit_phase { KIT_IDLE, KIT_WITHDRAWING, KIT_HOLDING, KIT_DEPOSITING };

struct kit_moves_page {
    atomic_uint taken[KIT_MOVES_NAMES];
    atomic_uint n_moves; /* deposits and withdrawals that were answered OK */
    atomic_uint n_wrong;
    char wrong[256]; /* the first */
    struct {
        atomic_uint phase; /* enum kit_phase: what a killed mover was about */
        atomic_uint name;
        atomic_uint n_moves;
    } movers[KIT_MOVES_MOVERS];
};

/* How much state a deposit has. */
static inline size_t kit_moves_state_len(unsigned number)
{
    return number * 7919u % (SOCKBROKER_STATE_MAX + 1u);
}

struct kit_mover {
    struct sockbroker_worker *worker;
    sockbroker_socket sock; /* in hand */
    struct kit_moves_page *page;
    unsigned slot;
};

/* The order "move". */
void kit_mover_move(struct kit_mover *m, unsigned n);

#endif
