/* keeper.h: the process that `sockbroker serve` is by default: it starts the broker, holds copies of what must outlive it, and
 * starts another one when it dies.
 *
 * What it does, and no more (no nng, no event loop, no threads):
 *  - it starts the same program with the same arguments as its child; SOCKBROKER_KEEPER names the child's end of the pair
 *    (keeper_link.h). The child dies with it (PR_SET_PDEATHSIG);
 *  - first it gives the broker all that it keeps, then it keeps and drops as the broker says;
 *  - SIGTERM, SIGINT, SIGQUIT, SIGHUP and SIGUSR2 go on to the broker, which has a process group of its own, so that nobody
 *    gets the terminal's twice;
 *  - the broker's documented ends (exit codes 0 to 3) are its own. Death by a signal, another code, and a documented end before
 * a restarted broker was ready are followed by another start (pace.h); one too many, and it ends with that code (128 + signal);
 *  - a broker that has handed over to another process says so, and that one is followed. PR_SET_CHILD_SUBREAPER makes it a
 *    child when its parent is gone.
 *
 * On Windows: a job that only the keeper has ends the broker with it, and not the broker's workers. What the keeper is told
 * (Ctrl-C, the end of the console, the service manager, the events of signals.h) it passes on by the broker's own events, which
 * are there before the broker runs. A broker that was ended cannot be told from one that ended by its exit code alone, so that
 * says more there (sb_keeper_exit_code()). No broker hands over to another. The log has its thread.
 */
#ifndef SB_BROKER_KEEPER_H
#define SB_BROKER_KEEPER_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/config.h"

struct sb_keeper_options {
    char *const *argv; /* of the whole program, NULL-terminated */
    uint32_t restarts; /* pace.h */
    uint32_t window_ms;
    enum sb_log_level log_level;
};

/* Is this process the child of a keeper? */
bool sb_keeper_is_ours(void);

/* What a broker that ends with this code (command.h) gives to the system, so that its keeper can tell that from a process that
 * was ended. POSIX: the code itself. */
int sb_keeper_exit_code(int code);

/* Runs to the end of the last broker. Returns the exit code for this process. */
int sb_keeper_run(const struct sb_keeper_options *options);

#endif
