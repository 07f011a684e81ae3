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
 */
#ifndef SB_BROKER_KEEPER_H
#define SB_BROKER_KEEPER_H

#include <stdbool.h>
#include <stdint.h>

struct sb_keeper_options {
    char *const *argv; /* of the whole program, NULL-terminated */
    uint32_t restarts; /* pace.h */
    uint32_t window_ms;
};

/* Is this process the child of a keeper? */
bool sb_keeper_is_ours(void);

/* Runs to the end of the last broker. Returns the exit code for this process. */
int sb_keeper_run(const struct sb_keeper_options *options);

#endif
