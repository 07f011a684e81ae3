/* signals.h: what is said to a running broker from outside, and not by its control socket.
 *
 * POSIX: SIGTERM, SIGINT and SIGQUIT mean stop, SIGHUP reload, SIGUSR2 upgrade.
 * Windows: Ctrl-C, Ctrl-Break and the end of the console mean stop. A broker without a console is told by two events, which
 * its own account and SYSTEM may set: Global\sockbroker-PID-stop and Global\sockbroker-PID-reload. PID: of the keeper, where
 * there is one; the broker below it does not mind the console.
 */
#ifndef SB_BROKER_SIGNALS_H
#define SB_BROKER_SIGNALS_H

#include <uv.h>

#include "sockbroker/status.h"

enum sb_signal {
    SB_SIGNAL_STOP,
    SB_SIGNAL_RELOAD,
    SB_SIGNAL_UPGRADE,
};

struct sb_signals;

/* on_signal is called from the loop; how: "SIGTERM", "Ctrl-C", ... OK, NO_MEMORY. */
sockbroker_status sb_signals_open(uv_loop_t *loop, void (*on_signal)(void *arg, enum sb_signal what, const char *how),
                                  void *arg, struct sb_signals **signals_out);
void sb_signals_close(struct sb_signals *s); /* NULL is allowed; frees when the loop lets go */

#endif
