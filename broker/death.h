/* death.h: tells the loop when a process has ended. death_posix.c, death_win32.c.
 */
#ifndef SB_BROKER_DEATH_H
#define SB_BROKER_DEATH_H

#include <uv.h>

#include "sockbroker/socket.h"

struct sb_death;

/* Calls on_death from the loop, once or oftener, after the process has ended, until it is forgotten.
 *   handle  of the process (peer.h, spawn.h); lent, and open until the death is forgotten
 * OK, NO_MEMORY. */
sockbroker_status sb_death_watch(uv_loop_t *loop, sockbroker_socket handle, void (*on_death)(void *arg), void *arg,
                                 struct sb_death **death_out);

/* on_death is not called any more, and the handle may close; may be done from inside on_death.
 *   forgotten  called with arg when the loop lets go, after what it is doing now; may be NULL */
void sb_death_forget(struct sb_death *d, void (*forgotten)(void *arg));

#endif
